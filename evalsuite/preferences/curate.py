"""Flip or drop the pairs that most contradict a wanted direction of one feature, and say what that does to all others.

    wanted = Wanted("refuses", "less", n=200, action="flip")
    found = curate(pairs, measured, wanted)
    found.chosen                        # rows, strongest first
    found.shifts[3].before.change, found.shifts[3].after.change, found.shifts[3].inside
    write_curated(pairs, measured, found, Path("out"))          # curate_files.py

A pair contradicts "more" where the text that has less of the feature is preferred; the more the two texts differ in it
(|z|), the stronger (WIMHF, Movva et al. 2025). Ties and unlabelled pairs are never chosen.

Pairs are chosen by a feature *and* their label, so effects afterwards are no estimates of what anybody prefers: they
are what a model trained on the new labels is taught. Labels that are changed are also the ones that other features
may have caused, so others can move too, which is why each is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.effects import Design, alone, jointly, scales_of
from evalsuite.preferences.measured import Measured

Direction = Literal["more", "less"]
Action = Literal["flip", "drop"]


@dataclass(frozen=True)
class Wanted:
    """`feature` by name or number; `direction`: what shall be preferred; at most `n` pairs are changed."""

    feature: str
    direction: Direction
    n: int
    action: Action = "flip"


@dataclass(frozen=True)
class Shift:
    """A feature's effects on the labels before and after: alone, and jointly with all others. `inside`: the change in
    win rate afterwards lies in its interval before (None where either is not known)."""

    name: str
    before: Effect
    after: Effect
    joint_before: Effect
    joint_after: Effect

    @property
    def inside(self) -> bool | None:
        return _inside(self.before, self.after)

    @property
    def joint_inside(self) -> bool | None:
        return _inside(self.joint_before, self.joint_after)


@dataclass(frozen=True)
class Curated:
    """`chosen`: changed rows, strongest first; `contradicting`: how many there were to choose from; `labels` (n,): the
    preferences afterwards, NaN where there is none or the pair is dropped."""

    wanted: Wanted
    column: int
    chosen: Any
    contradicting: int
    labelled: int
    labels: Any
    shifts: tuple[Shift, ...]
    notes: tuple[str, ...] = ()


def contradicting(z: Any, preference: Any, direction: Direction) -> Any:
    """Rows whose label contradicts the direction, strongest |z| first (then the earlier row). z, preference: (n,)."""
    import numpy as np

    z, y = np.asarray(z, dtype=float), np.asarray(preference, dtype=float)
    sign = 1.0 if direction == "more" else -1.0
    rows = np.flatnonzero(np.nan_to_num(sign * z * (y - 0.5)) < 0)
    return rows[np.argsort(-np.abs(z[rows]), kind="stable")]


def changed_labels(preference: Any, rows: Any, action: Action) -> Any:
    """Preferences (n,) with those rows turned round, or NaN where they are dropped."""
    import numpy as np

    labels = np.array(preference, dtype=float)
    labels[rows] = 1 - labels[rows] if action == "flip" else np.nan
    return labels


def curate(pairs: Pairs, measured: Measured, wanted: Wanted, clusters: Any = None) -> Curated:
    """What would be changed, and every feature's effect before and after. Nothing is written. `clusters` (n,): pairs
    that depend on each other (conversations). Raises InputError for an unknown feature, n < 1, or where no label
    contradicts."""
    import numpy as np

    if wanted.n < 1:
        raise InputError(f"--n {wanted.n}: at least 1 pair is to be changed")
    column = measured.place(wanted.feature)
    name, before = measured.names[column], pairs.preference
    rows = contradicting(measured.z[:, column], before, wanted.direction)
    labelled = int((~np.isnan(before)).sum())
    if not len(rows):
        raise InputError(f"{pairs.name}: none of {labelled} labels contradicts '{wanted.direction}' of {name}")
    notes = []
    if len(rows) < wanted.n:
        notes.append(f"only {len(rows)} labels contradict: all of them are changed, not {wanted.n}")
    chosen = rows[: wanted.n]
    after = changed_labels(before, chosen, wanted.action)
    shifts = shifts_of(measured, before, after, clusters)
    moved = [s.name for j, s in enumerate(shifts) if j != column and s.inside is False]
    if moved:
        notes.append(f"also moved out of their intervals: {', '.join(moved)}")
    if len(chosen) > 0.1 * labelled:
        notes.append(f"{len(chosen)} of {labelled} labels are changed: more than a tenth, which other features feel")
    return Curated(
        Wanted(name, wanted.direction, wanted.n, wanted.action), column, chosen, len(rows), labelled, after,
        shifts, tuple(notes),
    )  # fmt: skip


def shifts_of(measured: Measured, before: Any, after: Any, clusters: Any = None) -> tuple[Shift, ...]:
    """Every feature's effects under two sets of labels of the same pairs, in the same units: alone beside length where
    that is one of them."""
    import numpy as np

    z, names = np.asarray(measured.z, dtype=float), measured.names
    codes = () if clusters is None else (clusters,)
    scales = scales_of(z)
    length = names.index("length") if "length" in names else -1
    found = []
    for labels in (before, after):
        design = Design(z, labels, None, codes, scales)
        each = alone(design)
        if length >= 0:
            held = alone(Design(z, labels, z[:, [length]], codes, scales))
            each = [each[j] if j == length else held[j] for j in range(len(names))]
        found.append((each, jointly(design)))
    (one, together), (other, together_after) = found
    return tuple(Shift(*each) for each in zip(names, one, other, together, together_after, strict=True))


def _inside(before: Effect, after: Effect) -> bool | None:
    if after.change is None or before.low is None or before.high is None:
        return None
    return before.low <= after.change <= before.high
