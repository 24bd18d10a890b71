r"""Readers of lists that judges write: weighted criteria (PC2), grades, claims.

    read_criteria("1. Keeps `__init__` | 70\n2. Names C:\\temp | 70")   # weights 50 and 50; `stated` is 140
    read_grades("1. 4 | right\n2. 2 | late\nTotal: 300", 2)              # values (4.0, 2.0), total 300.0

A reader takes whole lines of the form that was asked for, each number once and in order, and keeps what stands in a
line character by character: underscores, backslashes and pipes belong to identifiers and formulas. Where a reply holds
the asked block, only the block counts; two blocks that say different things, or a line that comes twice, say nothing:
None. So a number out of an answer that the judge quotes never becomes a grade.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from evalsuite.judging.contract import Criterion

MOST = 20
"""A longer list is no list of criteria but an answer, or a loop."""

_T = TypeVar("_T")


# --- weighted criteria ---


@dataclass(frozen=True, slots=True)
class Weighted:
    """Criteria whose weights are whole numbers that sum to 100; `stated` is the sum that the judge wrote, `normalised`
    says whether its weights had to be changed."""

    criteria: tuple[Criterion, ...]
    stated: float
    normalised: bool


_START = r"^\s*(?:\|\s*)?(?:[-*•]\s+)?(?P<bold>\*\*)?\s*(?P<number>\d{1,2})\s*(?:[.):]|\|)"
_WEIGHTED = re.compile(
    _START + r"(?P<closed>\*\*)?\s*(?P<text>\S.*?)\s*\|\s*\**(?:weight\s*[:=]?\s*)?\**(?P<weight>\d{1,4}(?:\.\d+)?)"
    r"\s*%?\s*\**\s*(?:\|\s*)?$",
    re.IGNORECASE,
)


def read_criteria(text: str) -> Weighted | None:
    """Lines "NUMBER. TEXT | WEIGHT" inside <criteria> tags, or anywhere where there are no tags.

    None where there is no such line, more than 20, or two blocks that differ. Lines of weight 0 are left out. Weights
    that do not sum to 100 are scaled to it (`to_hundred`).
    """
    return _agreed(text, "criteria", _weighted)


def _weighted(text: str) -> Weighted | None:
    found = [m for line in text.split("\n") if (m := _WEIGHTED.match(line)) and float(m["weight"]) > 0]
    if not found or len(found) > MOST:
        return None
    stated = [float(m["weight"]) for m in found]
    weights = to_hundred(stated)
    criteria = tuple(Criterion(_unmarked(m), float(w)) for m, w in zip(found, weights, strict=True))
    return Weighted(criteria, sum(stated), weights != stated)


def _unmarked(match: re.Match[str]) -> str:
    """The text of a line; bold marks that were opened before its number are closed inside it."""
    text: str = match["text"]
    return text.replace("**", "", 1) if match["bold"] and not match["closed"] else text


def to_hundred(weights: Sequence[float]) -> list[int]:
    """Whole numbers in the proportions of `weights` (positive) that sum to 100, by largest remainders; earlier ones
    first where remainders are equal. Raises ValueError where a weight is not positive."""
    if not weights or any(w <= 0 for w in weights):
        raise ValueError(f"weights must be positive, not {list(weights)}")
    total = sum(weights)
    shares = [100 * w / total for w in weights]
    floors = [int(s) for s in shares]
    by_rest = sorted(range(len(shares)), key=lambda i: (floors[i] - shares[i], i))
    for i in by_rest[: 100 - sum(floors)]:
        floors[i] += 1
    return floors


def write_criteria(criteria: Sequence[Criterion], weights: bool = True) -> str:
    """Numbered lines, the form that `read_criteria` reads."""
    lines = [f"{i}. {c.text}" + (f" | {c.weight:g}" if weights else "") for i, c in enumerate(criteria, start=1)]
    return "\n".join(lines)


# --- grades on numbered criteria ---


@dataclass(frozen=True, slots=True)
class Grades:
    """One grade for each criterion, in their order, and the judge's line for it; `total` is the judge's own sum, None
    where it gave none."""

    values: tuple[float, ...]
    total: float | None = None
    lines: tuple[str, ...] = ()

    def weighted_sum(self, weights: Sequence[float]) -> float:
        """Σ weight · grade: what the judge's own total should be."""
        return sum(w * v for w, v in zip(weights, self.values, strict=True))


_GRADE = re.compile(
    r"^\s*(?:\|\s*)?(?:[-*•]\s+)?\**(?:criterion\s+)?(?P<number>\d{1,2})\**\s*(?:[.):]|\|)\s*\**"
    r"(?:(?:grade|score|rating)\s*[:=]\s*)?\**(?P<grade>\d{1,3}(?:\.\d+)?)(?:\s*/\s*(?P<of>\d{1,3}))?\**"
    r"\s*(?:$|[|:;,(]|[-–—]\s)",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"^\W*(?:(?:my|the)\s+)?(?:weighted\s+|overall\s+)?(?:total|sum|score)\b[^\n:=\d]{0,20}[:=](?P<rest>.*)$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"^[\s*`]*(\d+(?:\.\d+)?)(?:\s*/\s*\d+)?[\s*`.]*$")


def read_grades(text: str, count: int, low: float = 1, high: float = 5) -> Grades | None:
    """Lines "NUMBER. GRADE | reason" for criteria 1 to `count`, inside <grades> tags where there are any, and a line
    "Total: SUM". None where a grade is missing, comes twice, is out of order, or lies outside [low, high]."""
    return _agreed(text, "grades", lambda part: _graded(part, count, low, high))


def _graded(text: str, count: int, low: float, high: float) -> Grades | None:
    found = [m for line in text.split("\n") if (m := _GRADE.match(line))]
    own = [m for m in found if 1 <= int(m["number"]) <= count]
    if [int(m["number"]) for m in own] != list(range(1, count + 1)):
        return None
    if any(m["of"] and float(m["of"]) != high for m in own):
        return None
    values = tuple(float(m["grade"]) for m in own)
    if any(not low <= v <= high for v in values):
        return None
    totals = {t for line in text.split("\n") if (m := _TOTAL.match(line)) and (t := _sum(m["rest"])) is not None}
    return Grades(values, totals.pop() if len(totals) == 1 else None, tuple(m.string.strip() for m in own))


def _sum(text: str) -> float | None:
    """ "340", "340/500", "30 x 4 + 70 x 3 = 330"; None for a calculation without its result."""
    match = _NUMBER.match(text.rpartition("=")[2])
    return float(match[1]) if match else None


# --- plain lists ---

_ITEM = re.compile(r"^\s*(?:[-*•]\s+)?\**\s*(?P<number>\d{1,2})\s*[.)]\**\s+(?P<text>\S.*?)\s*$")


def read_items(text: str, tag: str) -> tuple[str, ...] | None:
    """Numbered items inside <tag>, each once, in order; an empty tuple where the block says "none"; else None."""

    def items(part: str) -> tuple[str, ...] | None:
        found = [m for line in part.split("\n") if (m := _ITEM.match(line))]
        if not found:
            return () if re.fullmatch(r"\W*none\W*", part, re.IGNORECASE) else None
        if [int(m["number"]) for m in found] != list(range(1, len(found) + 1)):
            return None  # a second list: one that an answer brought along
        return tuple(dict.fromkeys(" ".join(m["text"].split()) for m in found))

    return _agreed(text, tag, items)


def _agreed(text: str, tag: str, read: Callable[[str], _T | None]) -> _T | None:
    """What every <tag> block of a reply says (a last one may be open), or the whole reply where there is no tag."""
    parts = re.split(rf"<\s*{tag}\s*>", text, flags=re.IGNORECASE)
    if len(parts) == 1:
        return read(text)
    found = [read(re.split(rf"<\s*/\s*{tag}\s*>", part, maxsplit=1, flags=re.IGNORECASE)[0]) for part in parts[1:]]
    return found[0] if all(f == found[0] for f in found) else None


def with_weight(criteria: Sequence[Criterion], weights: Sequence[float]) -> tuple[Criterion, ...]:
    """The same criteria with other weights, scaled so that they sum to 100."""
    return tuple(replace(c, weight=float(w)) for c, w in zip(criteria, to_hundred(weights), strict=True))
