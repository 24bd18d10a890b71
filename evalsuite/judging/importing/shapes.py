"""What every importer shares: a shape is a name, the fields that it is known by, and a reader of one row.

A reader turns one row of a file into annotations in our one coding. It raises KeyError where a field is missing and
ValueError where a field's value has no meaning; both become one line with the file and the row.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.judging.contract import Annotation

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a row does not say of itself: the name of its file (without endings), which some shapes name the model by,
    and how the baseline is called where the shape names none."""

    stem: str
    baseline: str = "baseline"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of annotations files. A row has it where all of `fields` are there and none of `without`."""

    name: str
    fields: tuple[str, ...]
    read: Callable[[Row, Origin], Sequence[Annotation]]
    without: tuple[str, ...] = ()

    def fits(self, keys: Collection[str]) -> bool:
        return all(f in keys for f in self.fields) and not any(f in keys for f in self.without)


def annotation(sample: object, model_a: str, model_b: str, judge: tuple[str, str], **known: Any) -> Annotation:
    """An imported row; `judge` is (its protocol's or prompt's name, its model). Without a preference and without a
    score it is unparsed, unless `status` says otherwise."""
    found = known.get("preference") is not None or known.get("score") is not None
    known.setdefault("status", "parsed" if found else "judge_parse")
    known.setdefault("mode", "person" if judge[0] == PERSON else "text" if found else "none")
    known.setdefault("task", "")
    known.setdefault("protocol", "pairwise" if model_b else "pointwise")
    known.setdefault("order", "")
    known.setdefault("preference", None)
    return Annotation(str(sample), model_a=model_a, model_b=model_b, judge=judge[0], judge_model=judge[1], **known)


PERSON = "person"
_PEOPLE = ("expert", "author", "arena_user", "user", "annotator", "human", "person")


def judged_by(value: Any) -> tuple[str, str]:
    """(judge, model) of a `judge` field: MT-Bench's ["gpt-4", "pair-v2"] (its prompts differ by question and are one
    judge), or one name. A name such as expert_17 or arena_user_973 is a person's."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "mt_bench", str(value[0])
    name = str(value)
    stem, _, number = name.rpartition("_")
    return (PERSON, name) if stem in _PEOPLE and number.isdigit() else ("judge", name)


def turned(question: Any, turn: Any) -> str:
    """A question's id, with its turn from the second on: 81, 81#2."""
    return f"{question}#{turn}" if turn is not None and int(turn) > 1 else str(question)


def text_lengths(a: Any, b: Any) -> dict[str, Any]:
    """Lengths in characters, and the texts themselves for whoever counts markdown in them."""
    one, two = str(a or ""), str(b or "")
    return {"length_a": len(one), "length_b": len(two), "details": {"text_a": one, "text_b": two}}
