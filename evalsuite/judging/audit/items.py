"""Judge and people on the same ground: every word on a pair turned the same way, matched by sample and pair of models.

A pair is unordered: files that name its models in another order, or show them so, are turned (joining MT-Bench's votes
without that loses a third of them). Rows that name no models are matched by sample and keep their sides.

>>> items = match(judge_rows, people_rows)          # doctest: +SKIP
>>> outcome(items[0].judge), [v.label for v in items[0].people]     # doctest: +SKIP
(1.0, [1, 0])
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from evalsuite.judging.contract import Annotation, Case

Key = tuple[str, str, str, str]
"""(task, sample, first model, second model): the models in alphabetical order where they are named."""

Rule = Literal["mean", "both"]
EVEN = 1e-9
PERSON = "person"
PLACES = (("first answer", "second answer"), ("response 1", "response 2"), ("", ""))
"""How files call two answers whose models they do not name."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One word on one pair. `preference` is for the key's first model; None where the row holds no verdict.
    `first_shown`: whether that model's answer stood first, None where the file does not say. `lengths` are characters
    of the first and second model's answers, (0, 0) where the file does not say; `turned`: whether the row itself names
    the key's first model second."""

    key: Key
    voter: str
    preference: float | None
    first_shown: bool | None
    lengths: tuple[int, int]
    turned: bool
    row: Annotation

    @property
    def label(self) -> int | None:
        """1: the first model's answer is better, -1: the second's, 0: a tie."""
        return label(self.preference)

    @property
    def for_shown(self) -> float | None:
        """Preference for whichever answer stood first; None where that or the verdict is not known."""
        if self.preference is None or self.first_shown is None:
            return None
        return self.preference if self.first_shown else 1 - self.preference

    @property
    def texts(self) -> tuple[str, str] | None:
        """Both answers' texts, where the row holds them (`details`: text_a, text_b)."""
        a, b = (self.row.details.get(f"text_{side}") for side in ("ba" if self.turned else "ab"))
        return None if a is None or b is None else (str(a), str(b))

    @property
    def asked(self) -> bool:
        """Whether somebody was asked: not so where both answers are the same text, or one is empty."""
        return self.row.status not in ("identical", "empty")


@dataclass(frozen=True, slots=True)
class Item:
    """One pair of answers with all that was said about it; either side may be empty."""

    key: Key
    judge: tuple[Vote, ...]
    people: tuple[Vote, ...]

    @property
    def cluster(self) -> str:
        """Pairs of one sample may depend on each other."""
        return sample_of(self.key)

    @property
    def lengths(self) -> tuple[int, int]:
        return next((v.lengths for v in (*self.judge, *self.people) if any(v.lengths)), (0, 0))

    @property
    def texts(self) -> tuple[str, str] | None:
        """Both answers, the key's first model's first; None where no row holds them."""
        return next((v.texts for v in (*self.judge, *self.people) if v.texts is not None), None)


def sample_of(key: Key) -> str:
    return f"{key[0]}\n{key[1]}"


def label(preference: float | None) -> int | None:
    if preference is None:
        return None
    return (preference > 0.5 + EVEN) - (preference < 0.5 - EVEN)


def match(judge: Sequence[Annotation], people: Sequence[Annotation]) -> list[Item]:
    """All pairs that either side speaks about, in the order in which they come. Tasks count where both sides name them.
    Grades of single answers are compared with each other first (`pairs_of_grades`)."""
    judged, voted = pairs_of_grades(judge), pairs_of_grades(people)
    tasks = bool({r.task for r in judged} & {r.task for r in voted}) or not (judged and voted)
    named_judged, named_voted = _named(judged, voted, tasks), _named(voted, judged, tasks)
    found: dict[Key, tuple[list[Vote], list[Vote]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((named_judged, named_voted)):
        for row in rows:
            vote = _vote(row, tasks)
            found[vote.key][side].append(vote)
    return [Item(key, tuple(a), tuple(b)) for key, (a, b) in found.items()]


def outcome(votes: Iterable[Vote], rule: Rule = "mean") -> float | None:
    """What one judge says about one pair: preference for the key's first model out of its orders and repeats.

    "mean": the mean preference over the orders. "both" (MT-Bench's): a win only where all orders name the same winner,
    anything else is a tie. A repeat of which one order has no verdict says nothing.
    """
    repeats: dict[int, list[float | None]] = defaultdict(list)
    for vote in votes:
        repeats[vote.row.repeat].append(vote.preference)
    said = []
    for preferences in repeats.values():
        given = [p for p in preferences if p is not None]
        if len(given) < len(preferences):
            continue
        winners = {label(p) for p in given}
        said.append(sum(given) / len(given) if rule == "mean" else given[0] if len(winners) == 1 else 0.5)
    return sum(said) / len(said) if said else None


def pairs_of_grades(rows: Sequence[Annotation]) -> list[Annotation]:
    """Rows on pairs as they are; grades of single answers as what they say about each pair of models on a sample: the
    higher mean grade (over aspects) is better, equal ones are a tie, a missing one leaves the pair without verdict."""
    pairs = [r for r in rows if not is_grade(r)]
    groups: dict[tuple[str, str, str, str, int], dict[str, list[Annotation]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if is_grade(row):
            groups[row.task, row.sample, row.judge, row.judge_model, row.repeat][row.model_a].append(row)
    for graded in groups.values():
        for a, b in combinations(sorted(graded), 2):
            pairs.append(_compared(graded[a], graded[b]))
    return pairs


def is_grade(row: Annotation) -> bool:
    """Whether a row is on one answer alone (with its grade, or with the reason why there is none)."""
    return row.preference is None and not row.model_b and (row.score is not None or bool(row.model_a))


def _compared(a: Sequence[Annotation], b: Sequence[Annotation]) -> Annotation:
    rows = [*a, *b]
    base = replace(
        a[0],
        model_b=b[0].model_a,
        length_b=b[0].length_a,
        score=None,
        aspect="",
        order="",
        tokens=sum(r.tokens for r in rows),
        prompt_tokens=sum(r.prompt_tokens for r in rows),
        cost=None if any(r.cost is None for r in rows) else sum(r.cost or 0 for r in rows),
    )
    lost = next((r for r in rows if r.score is None), None)
    if lost is not None:
        return replace(base, preference=None, status=lost.status)
    x, y = (sum(r.score or 0 for r in side) / len(side) for side in (a, b))
    return replace(base, preference=0.5 if abs(x - y) < EVEN else float(x > y), status="parsed")


def _named(rows: Sequence[Annotation], others: Sequence[Annotation], tasks: bool) -> list[Annotation]:
    """Rows whose models are called by their place take the names of the other file's only pair on the same sample,
    side by side."""
    if not any(map(_unnamed, rows)):
        return list(rows)
    known: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for other in others:
        if not _unnamed(other):
            known[other.task if tasks else "", other.sample].add((other.model_a, other.model_b))
    found = []
    for row in rows:
        if _unnamed(row):
            pairs = known[row.task if tasks else "", row.sample]
            a, b = next(iter(pairs)) if len(pairs) == 1 else PLACES[0]
            row = replace(row, model_a=a, model_b=b)
        found.append(row)
    return found


def _unnamed(row: Annotation) -> bool:
    return (row.model_a, row.model_b) in PLACES


def _vote(row: Annotation, tasks: bool) -> Vote:
    turned = row.model_b < row.model_a
    a, b = (row.model_b, row.model_a) if turned else (row.model_a, row.model_b)
    preference = row.preference
    if preference is not None and turned:
        preference = 1 - preference
    shown = None if row.order not in ("ab", "ba") else (row.order == "ab") != turned
    lengths = (row.length_b, row.length_a) if turned else (row.length_a, row.length_b)
    voter = row.judge_model or row.judge if row.judge == PERSON else f"{row.judge} {row.judge_model}".strip()
    return Vote((row.task if tasks else "", row.sample, a, b), voter, preference, shown, lengths, turned, row)


def with_texts(rows: Sequence[Annotation], cases: Sequence[Case]) -> list[Annotation]:
    """Rows with the texts and lengths of the answers that were judged, where a case of that name has them."""
    known = {(case.id, case.repeat, case.answers[0].model, case.answers[1].model): case for case in cases}
    found = []
    for row in rows:
        case = known.get((row.sample, row.repeat, row.model_a, row.model_b))
        if case is not None:
            details = {**row.details, "text_a": case.a, "text_b": case.b}
            row = replace(row, length_a=len(case.a), length_b=len(case.b), details=details)
        found.append(row)
    return found


def by_judge(rows: Sequence[Annotation]) -> dict[tuple[str, str], list[Annotation]]:
    """(judge, judge model) → its rows, in the order in which judges appear."""
    found: dict[tuple[str, str], list[Annotation]] = defaultdict(list)
    for row in rows:
        found[row.judge, row.judge_model].append(row)
    return dict(found)
