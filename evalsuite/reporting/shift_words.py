"""What `compare --features` says in plain words: one standing for each run, its features by how they bear on reward.

    for said in told(found, found.runs[0]):
        said.relation, said.title, said.text

Words go no further than tests: "moved" needs Holm's q below 5% over the run's features; "rewarded" what explain's page
needs. Of what could not be told nothing is claimed, and a reward that could not be shown is not called absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalsuite.comparison.shift_folder import LITTLE
from evalsuite.reporting.numbers import bounds_text, value_text
from evalsuite.statistics.errors_in_both import Correlated

if TYPE_CHECKING:
    from evalsuite.comparison.shift_folder import Feature
    from evalsuite.comparison.shift_records import Relation, RunShift, Shift, Shifts

CHIPS: dict[Relation, str] = {
    "followed": "moved as rewarded",
    "unrewarded": "moved, not shown to be rewarded",
    "unmoved": "rewarded or punished, not seen to move",
    "against": "moved against its reward",
    "open": "neither rewarded nor moved",
}
LISTS: dict[Relation, tuple[str, str, str]] = {
    "followed": ("Moved the way the data pull", "good", "No rewarded or punished feature was found to move that way."),
    "unrewarded": ("Moved, although nothing rewarded it", "warn", "No such feature was found."),
    "unmoved": ("Rewarded or punished, and not seen to move", "plain", "None: each of them moved."),
    "against": ("Moved against its reward", "bad", "None."),
}
"""Title, kind and what stands there for an empty list."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence about one feature in one run."""

    index: int
    name: str
    text: str


def label(feature: Feature, most: int = 60) -> str:
    """A feature's name, short: the last part of a measured column, else its description."""
    text = feature.description or feature.name or f"feature {feature.index}"
    if feature.how == "given" and " " not in text:
        text = text.rsplit(".", 1)[-1]
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip(" ,;“") + "…"


def correlation_text(c: Correlated) -> str:
    """'0.92 [0.87, 0.97]', or why there is none."""
    if c.value is None:
        return "not to be had"
    return f"{_number(c.value)} {_ends(c.low, c.high)}"


def odds_text(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    """'+0.80' and '[+0.68, +0.92]': log-odds or a shift, and the interval."""
    if value is None or low is None or high is None:
        return "–", ""
    return _signed(value), f"[{_signed(low)}, {_signed(high)}]"


def shift_text(shift: Shift) -> str:
    """'+0.51 s.d. [+0.46, +0.55]'."""
    value, ends = odds_text(shift.shift, shift.low, shift.high)
    return f"{value} s.d. {ends}" if ends else "in no answer"


def reward_text(feature: Feature) -> str:
    """'+28.3 pt [+15.6, +41.0]': the change in win rate."""
    r = feature.reward
    if r.change is None:
        return "–"
    return f"{value_text(r.change, 'share', sign=True)} {bounds_text(r.low, r.high, 'share', sign=True)}"


def standing(found: Shifts, run: RunShift) -> str:
    """One run in two or three sentences."""
    counts = {relation: sum(s.relation == relation for s in run.features) for relation in CHIPS}
    paid = counts["followed"] + counts["against"] + counts["unmoved"]
    c = run.correlation
    if c.value is None:
        first = f"{c.features} features with a reward and a shift are too few for a correlation."
    else:
        sure = c.low is not None and c.high is not None and not c.low <= 0 <= c.high
        how = "moved along what the data reward" if c.value > 0 else "moved against what the data reward"
        how = how if sure else "shows no movement along what the data reward"
        first = f"{run.run} {how}: over {c.features} features, reward and shift correlate {correlation_text(c)}."
    if not paid:
        return f"{first} No feature of these data is shown to be rewarded or punished."
    second = f"Of {_count(paid, 'feature')} that the data reward or punish, {counts['followed']} moved that way"
    parts = [f"{counts['against']} the other way"] if counts["against"] else []
    parts += [f"{counts['unmoved']} {_was(counts['unmoved'])} not seen to move"] if counts["unmoved"] else []
    second += f", {' and '.join(parts)}." if parts else "."
    third = counts["unrewarded"]
    last = f" {_count(third, 'feature')} moved although nothing shows that {_it(third)} rewarded." if third else ""
    return f"{first} {second}{last}"


def told(found: Shifts, run: RunShift) -> dict[Relation, list[Said]]:
    """The four lists of a run, the furthest moved first."""
    about = {f.index: f for f in found.features}
    lists: dict[Relation, list[Said]] = {relation: [] for relation in LISTS}
    for shift in sorted(run.features, key=lambda s: -abs(s.shift or 0.0)):
        if shift.relation in lists:
            feature = about[shift.index]
            name = feature.description or feature.name
            lists[shift.relation].append(Said(shift.index, name, _sentence(feature, shift)))
    return lists


def contrasts(found: Shifts) -> list[str]:
    """How the runs differ in what they follow."""
    said = []
    for c in found.contrasts:
        d = c.difference
        if d.value is None or d.low is None or d.high is None:
            continue
        first, second, value = c.first, c.second, " ".join(odds_text(d.value, d.low, d.high))
        if d.high < 0:  # told the way round in which it is a gain
            first, second, value = second, first, " ".join(odds_text(-d.value, -d.high, -d.low))
        if d.low > 0 or d.high < 0:
            said.append(
                f"{first} follows the data's reward more closely than {second}: correlations differ by {value}."
            )
        else:
            said.append(f"{first} and {second}: no difference was found in what they follow ({value}).")
    return said


def _sentence(feature: Feature, shift: Shift) -> str:
    moved = f"{shift_text(shift)}; more of it in {_share(shift.more)} of prompts, less in {_share(shift.less)}"
    paid = reward_text(feature)
    if shift.relation in ("followed", "against"):
        return f"{moved}. The data pay {paid}."
    if shift.relation == "unmoved":
        why = "hardly any shift" if shift.verdict == "still" else "a shift cannot be told from none"
        return f"The data pay {paid}; {why}: {shift_text(shift)}."
    if feature.reward.verdict == "little":
        return f"{moved}. The data pay little or nothing: {paid}."
    if feature.reward.verdict == "none":
        return f"{moved}. What the data pay could not be estimated: {feature.reward.reason or 'no effect'}."
    return f"{moved}. Whether the data pay for it cannot be told: {paid}."


def notes(found: Shifts) -> list[str]:
    """What a reader must know first, each with the runs that it concerns."""
    lines: dict[str, list[str]] = {}
    for run in found.runs:
        for note in run.notes:
            lines.setdefault(note, []).append(run.run)
    of_runs = [
        f"{note} ({', '.join(names)})" if len(names) < len(found.runs) else note for note, names in lines.items()
    ]
    return [*found.notes, *of_runs]


def little_text() -> str:
    return f"{100 * LITTLE:.0f} points"


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _share(value: float) -> str:
    return f"{100 * value:.0f}%"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value + 0.0 if abs(value) >= 0.005 else 0.0:+.2f}".replace("-", "−")


def _ends(low: float | None, high: float | None) -> str:
    return "[–]" if low is None or high is None else f"[{_number(low)}, {_number(high)}]"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _it(n: int) -> str:
    return "it was" if n == 1 else "they were"
