"""What a judge does whatever people say: places, lengths, lists, ties, draws, unread replies, cost; and what naive
judges (the longest answer, the first one) do on the same pairs.

Shares over single verdicts keep verdicts on one sample together. A preference of people stands beside the judge's where
people voted on the same pairs: people may well like longer answers too.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from evalsuite.judging.audit.figures import Figure, difference, mean, nothing, share
from evalsuite.judging.audit.items import Item, Vote, outcome
from evalsuite.judging.contract import Annotation

LONGER = 30  # characters: AlpacaEval's evaluator analysis leaves smaller differences out
LIST = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
MARKUP = re.compile(r"^[ \t]*#{1,6}[ \t]+\S|\*\*[^*\n]+\*\*|^[ \t]*```|^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)


def flips(items: Sequence[Item]) -> Figure:
    """Share of pairs whose two orders do not name the same winner (a tie against a winner is a flip too). Files that
    hold one merged row for both orders say in `details` that they were not consistent."""
    merged = any(v.row.details.get("consistent") is False for item in items for v in item.judge)
    values, clusters = [], []
    for item in items:
        orders: dict[int, dict[bool, int]] = defaultdict(dict)
        for v in item.judge:
            if v.label is not None and v.first_shown is not None and v.asked:
                orders[v.row.repeat][v.first_shown] = v.label
        found = [float(len(set(said.values())) > 1) for said in orders.values() if len(said) == 2]
        if merged:
            found += [float(v.row.details.get("consistent") is False) for v in item.judge if v.preference is not None]
        values += found
        clusters += [item.cluster] * len(found)
    return share(values, clusters, "no pair was judged in both orders")


def first_share(items: Sequence[Item]) -> Figure:
    """Share of decided verdicts that name the answer shown first; one half where position does not matter and every
    pair is judged in both orders."""
    told = [(v.for_shown, i.cluster) for i in items for v in i.judge if _decided(v)]
    found = [(float(p > 0.5), c) for p, c in told if p is not None]
    return share([f for f, _ in found], [c for _, c in found], "the file does not say which answer stood first")


def first_preference(items: Sequence[Item]) -> Figure:
    """Mean preference for the answer shown first, ties half, as soft as the verdicts are."""
    found = [(v.for_shown, i.cluster) for i in items for v in i.judge if v.asked and v.for_shown is not None]
    return share([f for f, _ in found], [c for _, c in found], "the file does not say which answer stood first")


@dataclass(frozen=True, slots=True)
class Liking:
    """How often the judge, and people on the same pairs, prefer the answer that has more of something; `gap` is judge
    minus people over pairs that both decided."""

    judge: Figure
    people: Figure
    gap: Figure


def liking(items: Sequence[Item], more: Callable[[Item], int], reason: str) -> Liking:
    """`more(item)`: 1 where the first model's answer has more of it, -1 where the second's has, 0: not counted."""
    rows: dict[str, tuple[list[float], list[str]]] = {"judge": ([], []), "people": ([], [])}
    both: tuple[list[float], list[float], list[str]] = ([], [], [])
    for item in items:
        side = more(item)
        if not side:
            continue
        means = []
        for who, votes in (("judge", item.judge), ("people", item.people)):
            likes = [float(v.label == side) for v in votes if _decided(v)]
            rows[who][0].extend(likes)
            rows[who][1].extend([item.cluster] * len(likes))
            means.append(sum(likes) / len(likes) if likes else None)
        if means[0] is not None and means[1] is not None:
            both[0].append(means[0])
            both[1].append(means[1])
            both[2].append(item.cluster)
    return Liking(
        share(*rows["judge"], reason),
        share(*rows["people"], "people decided none of these pairs"),
        difference(*both, "judge and people decided none of these pairs together"),
    )


def length_liking(items: Sequence[Item], threshold: int = LONGER) -> Liking:
    """Preference for the longer answer where the lengths differ by more than `threshold` characters."""

    def more(item: Item) -> int:
        a, b = item.lengths
        return (a > b) - (a < b) if abs(a - b) > threshold else 0

    known = any(any(item.lengths) for item in items)
    few = f"no decided pair differs by more than {threshold} characters"
    return liking(items, more, few if known else "the file does not hold the answers' lengths")


def list_liking(items: Sequence[Item]) -> Liking:
    """Preference for the answer with a list (two points or more) where the other has none."""
    return _of_texts(items, lambda text: int(len(LIST.findall(text)) >= 2), "exactly one answer holds a list")


def markup_liking(items: Sequence[Item]) -> Liking:
    """Preference for the answer with more headings, bold words, code blocks and table rows."""
    return _of_texts(items, lambda text: len(MARKUP.findall(text)), "one answer has more Markdown")


def _of_texts(items: Sequence[Item], count: Callable[[str], int], what: str) -> Liking:
    def more(item: Item) -> int:
        if item.texts is None:
            return 0
        a, b = map(count, item.texts)
        return (a > b) - (a < b)

    known = any(item.texts for item in items)
    return liking(items, more, f"no decided pair where {what}" if known else "the answers' texts are not given")


def ties(items: Sequence[Item]) -> Figure:
    """Share of single verdicts that are ties."""
    found = [(float(v.label == 0), i.cluster) for i in items for v in i.judge if v.label is not None and v.asked]
    return share([f for f, _ in found], [c for _, c in found], "no verdicts")


def distribution(rows: Sequence[Annotation]) -> list[tuple[str, int]]:
    """Counts of what was said: grades by value, or preferences for the answer shown first (model_a where that is not
    known) in tenths, 0.5 apart."""
    grades = [r.score for r in rows if r.score is not None]
    if grades:
        counts = Counter(f"{g:.4g}" for g in grades)
        return sorted(counts.items(), key=lambda found: float(found[0]))
    said = [1 - r.preference if r.order == "ba" else r.preference for r in rows if r.preference is not None]
    if not said:
        return []
    bins = Counter("tie" if abs(p - 0.5) < 1e-9 else _tenth(p) for p in said)
    names = [_tenth(i / 10 + 0.05) for i in range(10)]
    return [(name, bins[name]) for name in [*names[:5], "tie", *names[5:]]]


def _tenth(p: float) -> str:
    low = min(int(p * 10), 9)
    return f"{low / 10:.1f}–{(low + 1) / 10:.1f}"


def draws(items: Sequence[Item]) -> Figure:
    """Share of pairs of draws (same question, answers and order, another seed or repeat) with different winners."""
    values, clusters = [], []
    for item in items:
        groups: dict[object, list[int]] = defaultdict(list)
        for v in item.judge:
            if v.label is not None and v.asked:
                groups[v.first_shown, v.lengths].append(v.label)
        for said in groups.values():
            found = [float(x != y) for x, y in combinations(said, 2)]
            values += found
            clusters += [item.cluster] * len(found)
    return share(values, clusters, "every verdict was drawn once")


def grade_spread(rows: Sequence[Annotation]) -> Figure:
    """Mean variance (n − 1) of the grades that one answer got over repeats of the same judge."""
    groups: dict[object, list[float]] = defaultdict(list)
    for r in rows:
        if r.score is not None:
            groups[r.task, r.sample, r.model_a, r.aspect, r.length_a].append(r.score)
    several = {key: g for key, g in groups.items() if len(g) > 1}
    values = [sum((x - sum(g) / len(g)) ** 2 for x in g) / (len(g) - 1) for g in several.values()]
    return mean(values, list(map(str, several)), "grade", "every grade was drawn once")


def unparsed(rows: Sequence[Annotation]) -> tuple[Figure, dict[str, int]]:
    """Share of asked rows without a verdict, and how many for each reason."""
    asked = [r for r in rows if r.status not in ("identical", "empty")]
    lost = [r.preference is None and r.score is None for r in asked]
    why = Counter(r.status for r, missing in zip(asked, lost, strict=True) if missing)
    return share([float(x) for x in lost], [f"{r.task}\n{r.sample}" for r in asked]), dict(sorted(why.items()))


def cost(rows: Sequence[Annotation]) -> tuple[Figure, Figure]:
    """(cost of 1,000 verdicts in the price list's currency, tokens read and written for one verdict)."""
    asked = [r for r in rows if r.status not in ("identical", "empty")]
    priced = [r for r in asked if r.cost is not None]
    spent = [r for r in asked if r.tokens or r.prompt_tokens]
    return (
        mean([1000 * (r.cost or 0) for r in priced], [r.sample for r in priced], "cost", "no row says what it cost"),
        mean([r.tokens + r.prompt_tokens for r in spent], [r.sample for r in spent], "tokens", "no row counts tokens"),
    )


def longest(items: Sequence[Item]) -> list[Item]:
    """The same pairs, judged by length: the longer answer wins in every order."""

    def judge(vote: Vote) -> float | None:
        a, b = vote.lengths
        return (1 + (a > b) - (a < b)) / 2 if a or b else None

    return _pretend(items, judge)


def first(items: Sequence[Item]) -> list[Item]:
    """The same pairs, judged by place: the answer shown first wins."""
    return _pretend(items, lambda v: None if v.first_shown is None else float(v.first_shown))


def _decided(vote: Vote) -> bool:
    return bool(vote.label) and vote.asked


def _pretend(items: Sequence[Item], judge: Callable[[Vote], float | None]) -> list[Item]:
    found = []
    for item in items:
        said = [(v, judge(replace(v, lengths=item.lengths))) for v in item.judge]
        naive = tuple(
            replace(
                v,
                preference=p,
                lengths=item.lengths,
                row=replace(v.row, status="parsed", preference=_own(v, p), details={}),
            )
            for v, p in said
            if p is not None
        )
        found.append(replace(item, judge=naive))
    return found


def _own(vote: Vote, preference: float) -> float:
    """A preference for the key's first model as the row itself names its models."""
    return 1 - preference if vote.turned else preference


def constant_contestants(items: Sequence[Item], fewest: int = 20) -> dict[str, Figure]:
    """Models whose answers all have one length over at least `fewest` samples (a null model gives the same text to
    every question), with their win rate by the judge: a judge that lets one win can be cheated."""
    lengths: dict[str, dict[str, int]] = defaultdict(dict)
    wins: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for item in items:
        preference = outcome(item.judge)
        for side, model in enumerate(item.key[2:]):
            if any(item.lengths) and model:
                lengths[model][item.cluster] = item.lengths[side]
                if preference is not None:
                    wins[model].append((preference if side == 0 else 1 - preference, item.cluster))
    constant = [m for m, found in lengths.items() if len(found) >= fewest and len(set(found.values())) == 1]
    return {m: share([w for w, _ in wins[m]], [c for _, c in wins[m]], "no verdicts") for m in constant}


def coin(items: Sequence[Item]) -> Mapping[str, Figure]:
    """What a fair coin is expected to reach on these pairs, with the range in which 95 of 100 coins land (as many
    samples, one toss each): by its definition, so nothing is tossed."""
    from evalsuite.statistics import wilson

    told = [(v.label, i.cluster) for i in items if i.judge for v in i.people]
    voted = [(said, c) for said, c in told if said is not None]
    if not voted:
        none = nothing("no pair has both a verdict and a vote")
        return {"each": none, "with_ties": none, "without_ties": none}

    def fair(rows: Sequence[tuple[int, str]], value: float) -> Figure:
        n = len({c for _, c in rows})
        low, high = wilson(value * n, n)
        return Figure(value, low, high, n, hits=value * len(rows), total=len(rows), method="wilson")

    decided = [(said, c) for said, c in voted if said]
    tied = fair(voted, len(decided) / len(voted) / 2)
    half = fair(decided, 0.5) if decided else nothing("people tie on every pair")
    return {"each": tied, "with_ties": tied, "without_ties": half}
