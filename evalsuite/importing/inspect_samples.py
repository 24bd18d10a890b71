"""One sample of an Inspect log: its prompt, the answer, and the scorers' values as numbers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from evalsuite.errors import InputError
from evalsuite.importing.foreign import LONGEST, Answer
from evalsuite.importing.reading import want
from evalsuite.records import Completion, Score

GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
ENDS = {
    "stop": "stop",
    "tool_calls": "stop",
    "content_filter": "stop",
    "max_tokens": "length",
    "model_length": "length",
}
ATTACHED = "attachment://"
Row = Mapping[str, Any]


def answer_of(where: str, sample: Row, judged: bool) -> Answer:
    """Raises InputError naming the field that is missing or of another kind."""
    name, epoch = sample.get("id"), want(where, sample, "epoch", int)
    if isinstance(name, bool) or not isinstance(name, int | str) or epoch < 1:
        raise InputError(f"{where}: field 'id' or 'epoch' is no name or number of a sample")
    asked, question = _asked(sample)
    completion = _completion(sample)
    metadata = sample.get("metadata")
    return Answer(
        sample=str(name)[:LONGEST],
        repeat=epoch - 1,
        question=question,
        prompt=asked,
        completions=(completion,),
        target=sample.get("target"),
        metadata=metadata if isinstance(metadata, dict) else {},
        scores=dict(columns_of(where, sample)),
        finish=completion.finish_reason,
        judged=judged,
        place=where,
    )


def columns_of(where: str, sample: Row) -> Iterator[tuple[str, Score]]:
    """Each scorer's value as (metric, score); an object gives one for each key, a list none. A sample that failed has
    no value, for the reason "backend_error"; a grade that is not known has none, for "unparsable"."""
    scores = sample.get("scores") or {}
    if not isinstance(scores, Mapping):
        raise InputError(f"{where}: field 'scores' is no object")
    for scorer, score in scores.items():
        if not isinstance(score, Mapping) or "value" not in score:
            raise InputError(f"{where}: field 'scores.{str(scorer)[:60]}.value' is missing")
        value = score["value"]
        answer = score.get("answer") if isinstance(score.get("answer"), str) else None
        details = {"explanation": score["explanation"]} if isinstance(score.get("explanation"), str) else {}
        parts = {f"{scorer}.{key}": v for key, v in value.items()} if isinstance(value, Mapping) else {scorer: value}
        for name, part in parts.items():
            if isinstance(part, list):
                continue
            number = _grade(part)
            grade = {"grade": part} if isinstance(part, str) else {}
            reason = "unparsable" if number is None else None
            yield str(name)[:LONGEST], Score(number, reason, answer=answer, details={**grade, **details})


def _grade(value: Any) -> float | None:
    if isinstance(value, str):
        known = GRADES.get(value, GRADES.get(value.lower()))
        if known is not None:
            return known
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _asked(sample: Row) -> tuple[str, str]:
    """(all that stood before the model's first answer, what the user last said there)."""
    given = sample.get("input")
    first = [m for m in given if isinstance(m, Mapping)] if isinstance(given, list) else []
    messages = [m for m in sample.get("messages") or first if isinstance(m, Mapping)]
    before = []
    for message in messages:
        if message.get("role") == "assistant" and message.get("source") != "input":
            break
        before.append((str(message.get("role") or "user"), _text(sample, message.get("content"))[0]))
    if not before:
        text = _attached(sample, given) if isinstance(given, str) else ""
        return text, text
    question = next((text for role, text in reversed(before) if role == "user"), before[-1][1])
    return "\n\n".join(f"{role}: {text}" for role, text in before), question


def _completion(sample: Row) -> Completion:
    """The model's last answer; a sample that failed before one has an error for it."""
    output = sample.get("output") or {}
    choices = output.get("choices") or []
    usage = output.get("usage") or {}
    if not choices or not isinstance(choices[0], Mapping):
        return Completion(finish_reason="error", error=f"backend_error: {_fault(sample)}")
    text, reasoning = _text(sample, (choices[0].get("message") or {}).get("content"))
    thought = _count(usage, "reasoning_tokens")
    return Completion(
        text=text,
        finish_reason=ENDS.get(str(choices[0].get("stop_reason")), "stop"),
        prompt_tokens=_count(usage, "input_tokens"),
        tokens=max(0, _count(usage, "output_tokens") - thought),
        reasoning=reasoning,
        reasoning_tokens=thought,
    )


def _fault(sample: Row) -> str:
    error = sample.get("error")
    return str(error.get("message"))[:300] if isinstance(error, Mapping) else "the log has no answer"


def _count(usage: Row, name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _text(sample: Row, content: Any) -> tuple[str, str | None]:
    """A message's (text, reasoning): content is a text, or parts of several kinds."""
    if isinstance(content, str):
        return _attached(sample, content), None
    parts = [p for p in content if isinstance(p, Mapping)] if isinstance(content, list) else []
    texts = [_attached(sample, str(p.get("text"))) for p in parts if p.get("type") == "text"]
    other = [f"[{str(p.get('type'))[:20]}]" for p in parts if p.get("type") not in ("text", "reasoning")]
    thought = [_attached(sample, str(p.get("reasoning"))) for p in parts if p.get("type") == "reasoning"]
    return "\n".join([*texts, *other]), "\n".join(thought) or None


def _attached(sample: Row, text: str) -> str:
    """Long texts are kept apart under their hash, and stand as a reference."""
    if not text.startswith(ATTACHED):
        return text
    found = (sample.get("attachments") or {}).get(text.removeprefix(ATTACHED))
    return found if isinstance(found, str) else text
