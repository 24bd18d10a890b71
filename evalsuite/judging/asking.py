"""Cases → annotations: every stage of a judge, retries of what cannot be read, many cases in hand at a time.

`ask` answers a list of requests; with `running.engine.answer` behind it every reply is cached and journaled by its
content, so that a killed command, run again, asks only for what it had not got, and writes the same rows. Retries and
later stages of earlier cases are asked together with the first requests of later ones: a server is kept busy, and only
`How.window` cases are held at a time.

>>> rows = judge_cases(cases, find("pairwise"), lambda requests: answer(engine, requests), "gpt")   # doctest: +SKIP
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Literal

from evalsuite.judging.contract import ORDERS, Annotation, Case, Status, Step, Verdict
from evalsuite.judging.judge import Judge
from evalsuite.records import Completion, Completions, Request, Sampling
from evalsuite.scoring.abstention import refuses

Reply = Completion | Sequence[Completion] | None
Ask = Callable[[list[Request]], Sequence[Reply]]
"""Asks a model: for each request, in order, its completion (several for continuations); None or nothing where the
prompt does not fit the model's window."""

Verdicts = Literal["logprobs", "likelihood", "text"]


@dataclass(frozen=True)
class How:
    """How cases are asked.

    `attempts`: how often a reply that holds no verdict is asked for, in all; again means another seed and at least
    `temperature`. `verdicts`: read from log-probabilities of the reply's tokens, from the likelihoods of the fixed
    verdicts that a request names as its continuations, or from text alone. `orders` of pairs: "both", "ab", "ba", or
    "seeded" (one of them, drawn by `seed` for each sample). `repeats` draws of each case; several are drawn with at
    least `temperature`. `prices`: money for a million tokens read and written, None where not known. `window`: cases
    held at a time.
    """

    attempts: int = 3
    verdicts: Verdicts = "logprobs"
    orders: str = "both"
    repeats: int = 1
    seed: int = 0
    temperature: float = 0.7
    prices: tuple[float, float] | None = None
    window: int = 4096


def judge_cases(
    cases: Iterable[Case], judge: Judge, ask: Ask, judge_model: str = "", how: How | None = None
) -> list[Annotation]:
    """All annotations, in the order of the cases. Raises JudgeError where a case lacks what the judge needs."""
    return list(annotate(cases, judge, ask, judge_model, how))


def annotate(
    cases: Iterable[Case], judge: Judge, ask: Ask, judge_model: str = "", how: How | None = None
) -> Iterator[Annotation]:
    """The same, one after the other as cases are finished."""
    how = how or How()
    coming = (replace(case, repeat=case.repeat + i) for case in cases for i in range(how.repeats))
    held: deque[_Dialogue] = deque()
    told: set[bytes] = set()
    while True:
        held.extend(_Dialogue.start(case, judge, how) for case in islice(coming, how.window - len(held)))
        if not held:
            return
        if not held[0].pending:
            yield from held.popleft().rows(judge_model, told)
            continue
        busy = [dialogue for dialogue in held if dialogue.pending]
        requests = [request for dialogue in busy for request in dialogue.pending]
        replies = list(ask(requests))
        if len(replies) != len(requests):
            raise ValueError(f"{len(replies)} replies to {len(requests)} requests")
        rest = iter(replies)
        for dialogue in busy:
            dialogue.hear([next(rest) for _ in dialogue.pending])


def first_requests(case: Case, judge: Judge, how: How) -> list[Request]:
    """What is asked first about one draw of a case; nothing where it is decided without asking."""
    return _Dialogue.start(case, judge, how).pending


@dataclass
class _Asked:
    """One key of a case: the request as it was last asked, what came, and what that was taken for."""

    request: Request
    attempts: int = 1
    replies: tuple[Completion, ...] = ()
    tokens: int = 0
    prompt_tokens: int = 0
    status: Status = "skipped"
    read: Step | tuple[Verdict, ...] | None = None


@dataclass
class _Dialogue:
    """A case while it is asked about."""

    case: Case
    judge: Judge
    how: How
    asked: dict[str, _Asked] = field(default_factory=dict)
    pending: list[Request] = field(default_factory=list)
    decided: Status | None = None
    known: tuple[Verdict, ...] = ()

    @classmethod
    def start(cls, case: Case, judge: Judge, how: How) -> "_Dialogue":
        judge.check(case)
        made = cls(case, judge, how, decided=_without_asking(case, judge))
        if made.decided is None:
            made.known = judge.decide(case)
            made._add([] if made.known else judge.requests(case))
        return made

    def hear(self, replies: Sequence[Reply]) -> None:
        """Takes the replies to what was pending; what is pending then is asked next."""
        heard, self.pending = self.pending, []
        for request, reply in zip(heard, replies, strict=True):
            self._hear(self.asked[request.key], reply)
        if not self.pending:
            # What builds on a step that was never understood names that step again: it has had its attempts.
            failed = {key for key, asked in self.asked.items() if asked.read is None}
            self._add([r for r in self.judge.follow_up(self.case, self._understood()) if r.key not in failed])

    def rows(self, judge_model: str, told: set[bytes]) -> list[Annotation]:
        """The case's annotations: one for each verdict, one for each request that came to nothing. What steps cost is
        counted in the first row, once for all cases that share it (`told`)."""
        base = _base(self.case, self.judge, judge_model)
        if self.decided is not None:
            return _undoubted(base, self.case, self.judge, self.decided, self.how)
        rows = [_worded(_of_answer(replace(base, attempts=0), self.case, v.answer), v) for v in self.known]
        tokens = prompt_tokens = 0
        for key, asked in self.asked.items():
            if isinstance(asked.read, Step):
                mark = hashlib.sha256(_words(asked.request).encode("utf-8", "surrogatepass")).digest()
                if mark not in told:
                    told.add(mark)
                    tokens, prompt_tokens = tokens + asked.tokens, prompt_tokens + asked.prompt_tokens
            elif asked.read is None:
                rows.append(_failed(base, self.case, key, asked))
            else:
                rows += _parsed(base, self.case, asked, asked.read)
        rows = rows or [replace(base, status="skipped")]
        rows[0] = replace(rows[0], tokens=rows[0].tokens + tokens, prompt_tokens=rows[0].prompt_tokens + prompt_tokens)
        return [_priced(row, self.how) for row in rows]

    def _add(self, requests: Sequence[Request]) -> None:
        wanted = [r for r in requests if _in_order(r.key, self.case, self.judge, self.how)]
        for request in wanted:
            if request.key in self.asked:
                raise ValueError(f"judge {self.judge.name}: two requests of one case are called '{request.key}'")
            drawn = _drawn(request, self.case, self.how)
            self.asked[request.key] = _Asked(drawn)
            self.pending.append(drawn)

    def _hear(self, asked: _Asked, reply: Reply) -> None:
        asked.replies = (reply,) if isinstance(reply, Completion) else tuple(reply or ())
        if not asked.replies:
            asked.status = "too_long"
            return
        asked.tokens += sum(c.tokens + c.reasoning_tokens for c in asked.replies)
        asked.prompt_tokens += sum(c.prompt_tokens for c in asked.replies)
        error = next((c.error for c in asked.replies if c.error is not None), None)
        if error is not None:
            asked.status = "too_long" if error.startswith("too_long") else "backend_error"
            return
        read = self.judge.parse(self.case, self._understood(asked), asked.request.key)
        if read is not None:
            asked.read = read if isinstance(read, Step) else (read,) if isinstance(read, Verdict) else tuple(read)
            asked.status = "parsed"
            return
        asked.status = _unread(asked.replies[0])
        if asked.request.kind == "generate" and asked.attempts < self.how.attempts:
            asked.request = _again(asked.request, self.how)
            asked.attempts += 1
            self.pending.append(asked.request)

    def _understood(self, latest: _Asked | None = None) -> Completions:
        """The replies that were understood so far, and the one that is to be read."""
        known = {key: asked.replies for key, asked in self.asked.items() if asked.read is not None or asked is latest}
        return Completions(known)


def places(key: str) -> tuple[str, int]:
    """What a request's key says about itself, between its punctuation: the order ("ab", "ba") and the answer (a
    number), "" and 0 where it does not. Failed requests have rows too, and no verdict that says it."""
    parts = re.split(r"[\W_]+", key)
    order = next((p for p in parts if p in ORDERS), "")
    return order, next((int(p) for p in parts if p.isdecimal() and len(p) < 4), 0)


def order_of(case: Case, how: How) -> tuple[str, ...]:
    """The orders in which a pair is shown."""
    if how.orders == "seeded":
        drawn = hashlib.sha256(f"{how.seed}\n{case.task}\n{case.id}\n{case.repeat}".encode()).digest()[0] % 2
        return (ORDERS[drawn],)
    return ORDERS if how.orders == "both" else (how.orders,)


def _in_order(key: str, case: Case, judge: Judge, how: How) -> bool:
    if how.orders == "both" or not judge.pairs:
        return True
    order = places(key)[0]
    return not order or order in order_of(case, how)


def _drawn(request: Request, case: Case, how: How) -> Request:
    """The request as this draw of the case asks it, in the form from which its verdict is read. A `generate` request
    with continuations says by them that its reply is one of these, from its first token on."""
    likelihood = how.verdicts == "likelihood" and bool(request.continuations) and request.kind == "generate"
    generates = request.kind == "generate" and not likelihood
    return replace(
        request,
        kind="loglikelihood" if likelihood else request.kind,
        continuations=() if generates else request.continuations,
        sampling=_sampling(request.sampling, how, generates),
        repeat=case.repeat,
    )


@lru_cache(maxsize=256)
def _sampling(asked: Sampling, how: How, generates: bool) -> Sampling:
    warm = max(asked.temperature, how.temperature) if how.repeats > 1 else asked.temperature
    top = asked.top_logprobs if how.verdicts == "logprobs" or not generates else 0
    return replace(asked, temperature=warm, top_logprobs=top, seed=asked.seed + how.seed)


def _again(request: Request, how: How) -> Request:
    sampling = request.sampling
    warm = max(sampling.temperature, how.temperature)
    return replace(request, sampling=replace(sampling, seed=sampling.seed + 1, temperature=warm))


def _without_asking(case: Case, judge: Judge) -> Status | None:
    """ "identical" or "empty" where the answers decide without a judge."""
    if not judge.spec.get("shortcuts", True):
        return None
    texts = [answer.text for answer in case.answers]
    blank = [not text.strip() for text in texts]
    if judge.pairs:
        if (texts[0] == texts[1] or all(blank)) and case.conversation(0) == case.conversation(1):
            return "identical"
        return "empty" if any(blank) and not all(blank) else None
    return "empty" if len(texts) == 1 and blank[0] and judge.scale is not None else None


def _undoubted(base: Annotation, case: Case, judge: Judge, status: Status, how: How) -> list[Annotation]:
    if not judge.pairs:
        return [replace(base, status=status, score=judge.scale[0] if judge.scale else None, attempts=0)]
    preference = 0.5 if status == "identical" else float(bool(case.a.strip()))
    row = replace(base, status=status, preference=preference, attempts=0)
    return [replace(row, order=order) for order in order_of(case, how)]


def _base(case: Case, judge: Judge, judge_model: str) -> Annotation:
    return Annotation(
        sample=case.id,
        task=case.task,
        model_a=case.answers[0].model,
        model_b=case.answers[1].model if judge.pairs else "",
        judge=judge.identity,
        judge_model=judge_model,
        protocol=judge.protocol,
        order="",
        preference=None,
        status="skipped",
        category=case.category,
        repeat=case.repeat,
        length_a=len(case.a),
        length_b=len(case.b) if judge.pairs else 0,
    )


def _asked_row(base: Annotation, case: Case, answer: int, asked: _Asked) -> Annotation:
    """What a row says about the asking, whatever came of it."""
    row = replace(
        base,
        raw=_raw(asked),
        finish_reason=asked.replies[-1].finish_reason if asked.replies else "error",
        tokens=asked.tokens,
        prompt_tokens=asked.prompt_tokens,
        seed=asked.request.sampling.seed,
        attempts=asked.attempts,
    )
    return _of_answer(row, case, answer)


def _of_answer(row: Annotation, case: Case, answer: int) -> Annotation:
    """The row with the model and the length of the answer that it is about."""
    if row.model_b or not 0 < answer < len(case.answers):
        return row
    return replace(row, model_a=case.answers[answer].model, length_a=len(case.answers[answer].text))


def _failed(base: Annotation, case: Case, key: str, asked: _Asked) -> Annotation:
    order, answer = places(key)
    return replace(_asked_row(base, case, answer, asked), order=order, status=asked.status, details={"request": key})


def _parsed(base: Annotation, case: Case, asked: _Asked, verdicts: Sequence[Verdict]) -> list[Annotation]:
    """A row for each verdict of one reply; the first one bears its tokens."""
    rows = []
    for number, verdict in enumerate(verdicts):
        row = _asked_row(base, case, verdict.answer, asked)
        if number:
            row = replace(row, raw="", tokens=0, prompt_tokens=0)
        rows.append(_worded(row, verdict))
    return rows


def _worded(row: Annotation, verdict: Verdict) -> Annotation:
    """The row with what a verdict says."""
    value = {"preference": verdict.preference} if verdict.order else {"score": verdict.value}
    more = {"mode": verdict.mode, "aspect": verdict.aspect, "details": verdict.details, "order": verdict.order}
    return replace(row, status="parsed", **value, **more)  # type: ignore[arg-type]


def _raw(asked: _Asked) -> str:
    """What came, as text: the reply, or the figures of a scoring or rewarding model."""
    if not asked.replies:
        return ""
    first = asked.replies[0]
    if first.error is not None:
        return first.error
    if asked.request.kind == "loglikelihood":
        scored = zip(asked.request.continuations, asked.replies, strict=True)
        return json.dumps({text: round(c.logprob, 6) for text, c in scored}, ensure_ascii=False)
    if asked.request.kind == "reward":
        return json.dumps({k: round(v, 6) for k, v in first.rewards.items()}, ensure_ascii=False)
    return first.text


def _unread(completion: Completion) -> Status:
    if refuses(completion.text):
        return "judge_refusal"
    return "truncated" if completion.finish_reason == "length" else "judge_parse"


def _priced(row: Annotation, how: How) -> Annotation:
    if how.prices is None:
        return row
    return replace(row, cost=(row.prompt_tokens * how.prices[0] + row.tokens * how.prices[1]) / 1e6)


def _words(request: Request) -> str:
    asked = {**asdict(request), "key": ""}
    return json.dumps(asked, ensure_ascii=False, sort_keys=True)
