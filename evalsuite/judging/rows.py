"""What was asked about a case → its rows: one for each verdict, one for each request that came to nothing."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evalsuite.judging.contract import ORDERS, Annotation, Case, Status, Step, Verdict
from evalsuite.judging.judge import Judge
from evalsuite.records import Completion, Request

Prices = tuple[float, float]


@dataclass
class Asked:
    """One key of a case: the request as it was last asked, what came, and what that was taken for."""

    request: Request
    attempts: int = 1
    replies: tuple[Completion, ...] = ()
    tokens: int = 0
    prompt_tokens: int = 0
    status: Status = "skipped"
    read: Step | tuple[Verdict, ...] | None = None


def rows_of(base: Annotation, case: Case, asked: Mapping[str, Asked], told: set[bytes]) -> list[Annotation]:
    """The rows of a case that was asked about. What steps cost is counted in the first row, once for all cases that
    share it (`told`)."""
    rows: list[Annotation] = []
    tokens = prompt_tokens = 0
    for key, one in asked.items():
        if isinstance(one.read, Step):
            mark = hashlib.sha256(_words(one.request).encode("utf-8", "surrogatepass")).digest()
            if mark not in told:
                told.add(mark)
                tokens, prompt_tokens = tokens + one.tokens, prompt_tokens + one.prompt_tokens
        elif one.read is None:
            rows.append(_failed(base, case, key, one))
        else:
            rows += _parsed(base, case, one, one.read)
    rows = rows or [replace(base, status="skipped")]
    rows[0] = replace(rows[0], tokens=rows[0].tokens + tokens, prompt_tokens=rows[0].prompt_tokens + prompt_tokens)
    return rows


def known_rows(base: Annotation, case: Case, verdicts: Sequence[Verdict]) -> list[Annotation]:
    """The rows of verdicts that needed no model."""
    return [_worded(_of_answer(replace(base, attempts=0), case, verdict.answer), verdict) for verdict in verdicts]


def undoubted(base: Annotation, case: Case, judge: Judge, status: Status, orders: Sequence[str]) -> list[Annotation]:
    """The rows of a case that its answers decide: "identical" or "empty"."""
    if not judge.pairs:
        return [replace(base, status=status, score=judge.scale[0] if judge.scale else None, attempts=0)]
    preference = 0.5 if status == "identical" else float(bool(case.a.strip()))
    row = replace(base, status=status, preference=preference, attempts=0)
    return [replace(row, order=order) for order in orders]


def base_row(case: Case, judge: Judge, judge_model: str) -> Annotation:
    """What all rows of a case say."""
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


def _asked_row(base: Annotation, case: Case, answer: int, asked: Asked) -> Annotation:
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


def _failed(base: Annotation, case: Case, key: str, asked: Asked) -> Annotation:
    order, answer = places(key)
    return replace(_asked_row(base, case, answer, asked), order=order, status=asked.status, details={"request": key})


def _parsed(base: Annotation, case: Case, asked: Asked, verdicts: Sequence[Verdict]) -> list[Annotation]:
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


def _raw(asked: Asked) -> str:
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


def places(key: str) -> tuple[str, int]:
    """What a request's key says about itself, between its punctuation: the order ("ab", "ba") and the answer (a
    number), "" and 0 where it does not. Failed requests have rows too, and no verdict that says it."""
    parts = re.split(r"[\W_]+", key)
    order = next((p for p in parts if p in ORDERS), "")
    return order, next((int(p) for p in parts if p.isdecimal() and len(p) < 4), 0)


def priced(row: Annotation, prices: Prices | None) -> Annotation:
    """The row with its cost, where the prices of a million tokens read and written are known."""
    if prices is None:
        return row
    return replace(row, cost=(row.prompt_tokens * prices[0] + row.tokens * prices[1]) / 1e6)


def _words(request: Request) -> str:
    asked = {**request.plain(), "key": ""}
    return json.dumps(asked, ensure_ascii=False, sort_keys=True)
