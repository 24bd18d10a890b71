"""A judge inside a task: what it still wants to ask about a case, and what it says once all is answered.

A task asks stage by stage (`follow_up`), so nothing is held between two calls: the dialogue is played again from the
replies that are there. Replies that hold no verdict are asked for again, as `evalsuite judge` does.

    JUDGE = "reference"

    def follow_up(sample, completions, setup):
        return ask(find(JUDGE), case_of(sample, completions), completions)

    def score(sample, completions, setup):
        return {"grade": score_of(read(find(JUDGE), case_of(sample, completions), completions))}
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evalsuite.judging.asking import Dialogue, How
from evalsuite.judging.contract import Answer, Case, Outcome, Status, Verdict, pair
from evalsuite.judging.judge import Judge
from evalsuite.records import REASONS, Completion, Completions, Request, Sample, Score, missing

_REASONS: dict[Status, str] = {"truncated": "judge_parse", "skipped": "judge_parse"}


@dataclass(frozen=True)
class Read:
    """What a judge says of a case. `verdicts` are all that it gave, None where a reply held none; `outcome` decides out
    of them; `reason` says why there is no outcome (one of `records.REASONS`), None where there is one."""

    outcome: Outcome
    verdicts: tuple[Verdict | None, ...]
    reason: str | None

    @property
    def value(self) -> float | None:
        """The preference for answer 0, or the grade; None where a verdict is missing."""
        return self.outcome.preference


def against_recorded(sample: Sample, completions: Completions) -> Case:
    """The model's answer beside the one that a benchmark recorded: `sample.target` has its "output" and "generator"."""
    recorded = Answer(sample.target["output"], sample.target["generator"])
    return pair(sample.id, sample.messages, Answer(completions.text, "subject"), recorded)


def ask(
    judge: Judge, case: Case, completions: Completions, prefix: str = "judge", how: How | None = None
) -> list[Request]:
    """The requests that the judge still has, keyed `prefix:key#attempt`, for the model in the role "judge"; none once
    it has said all."""
    _, pending = _play(judge, case, completions, prefix, how or How())
    return pending


def read(judge: Judge, case: Case, completions: Completions, prefix: str = "judge", how: How | None = None) -> Read:
    """What the judge says, out of the replies to what `ask` gave."""
    dialogue, _ = _play(judge, case, completions, prefix, how or How())
    verdicts, statuses = dialogue.told()
    outcome = judge.aggregate(verdicts) if verdicts else Outcome(None)
    if outcome.preference is not None:
        return Read(outcome, tuple(verdicts), None)
    failed: Status = next((s for s in statuses if s not in ("parsed", "identical", "empty")), "judge_parse")
    reason = _REASONS.get(failed, failed)
    return Read(outcome, tuple(verdicts), reason if reason in REASONS else "judge_parse")


def score_of(said: Read, lowest: float = 0.0, highest: float = 1.0) -> Score:
    """The outcome as a score, a grade between `lowest` and `highest` brought to [0, 1]; missing with its reason."""
    if said.value is None:
        return missing(said.reason or "judge_parse")
    return Score((said.value - lowest) / (highest - lowest), details={"judged": said.value})


def _play(judge: Judge, case: Case, completions: Completions, prefix: str, how: How) -> tuple[Dialogue, list[Request]]:
    """The dialogue as far as it has been answered, and what is asked next."""
    dialogue = Dialogue.start(case, judge, how)
    while dialogue.pending:
        named = [replace(r, key=dialogue.label(prefix, r.key), role="judge") for r in dialogue.pending]
        if any(request.key not in completions for request in named):
            return dialogue, [request for request in named if request.key not in completions]
        replies: list[Sequence[Completion]] = [completions.of(request.key) for request in named]
        dialogue.hear(replies)
    return dialogue, []
