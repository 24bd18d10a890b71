"""A judge on a server reads a subject's answers while the subject still gives others.

Its verdicts go into the judge's response cache and nowhere else: `judge_run`, which asks for all of them in order once
the run is whole, finds them there. So nothing depends on what was judged early, and an error here is told there. A
judge whose weights are loaded on this machine waits until the subjects are done: the two would share memory and cores.
"""

import queue
import threading
from types import TracebackType

from evalsuite.errors import EvalsuiteError
from evalsuite.judging import Answer, Case, judge_cases, pair
from evalsuite.planning.samples import last_user
from evalsuite.records import Completion, Request, user
from evalsuite.running.engine import answer
from evalsuite.running.figures import Row
from evalsuite.running.judged import ReadyJudge, first_answers
from evalsuite.store import Run


def may_overlap(judge: ReadyJudge) -> bool:
    """Whether a judge can answer beside a subject."""
    return judge.engine.model.backend == "openai"


class EarlyJudge:
    """A thread that judges answers as they come, as a context; leaving it waits for the cases in hand.

    >>> with EarlyJudge(judge, baseline) as early:
    ...     run_plan(engine, plan, store, told=early.tell)
    """

    def __init__(self, judge: ReadyJudge, baseline: Run) -> None:
        self._judge = judge
        self._theirs = first_answers(baseline)
        self._cases: queue.SimpleQueue[Case | None] = queue.SimpleQueue()
        self._stopped = False
        self.asked = 0
        self._thread = threading.Thread(target=self._run, name="evalsuite-judge", daemon=True)

    def tell(self, row: Row) -> None:
        """One sample of a run has been answered."""
        theirs = self._theirs.get((row.task.id, row.sample.id))
        if row.repeat == 0 and theirs is not None and row.generated and row.task.spec.get("judged"):
            asked = (user(last_user(row.sample.messages)),)
            answers = Answer(row.generated[0].text), Answer(theirs[1])
            self._cases.put(pair(row.sample.id, asked, *answers, task=row.task.id))

    def __enter__(self) -> "EarlyJudge":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = kind is not None
        self._cases.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            cases, more = self._next()
            if self._stopped:
                return
            try:
                judge_cases(cases, self._judge.judge, self._ask)
            except EvalsuiteError:
                return  # `judge_run` asks again and tells

    def _ask(self, requests: list[Request]) -> list[tuple[Completion, ...]]:
        replies = answer(self._judge.engine, requests)
        self.asked += len(requests)
        return replies

    def _next(self) -> tuple[list[Case], bool]:
        """Waits for a case and takes all that are there; False at the end."""
        cases: list[Case] = []
        case = self._cases.get()
        while case is not None:
            cases.append(case)
            if self._cases.empty():
                return cases, True
            case = self._cases.get()
        return cases, False
