"""What the folder of an explained dataset says of its features, as the comparison of runs needs it.

    known = read_explained(Path("explained"))
    known.features[0].reward.beta, .scale, .description
    known.reading                    # "sae", or "columns": how the features are read on other texts

The data's reward is one of explain's effects: the one that its page judges by (`adjusted` where there were confounders,
else `alone`), or the one asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect, Example
from evalsuite.features.sae import FILE as SAE
from evalsuite.preferences.explain_files import EXAMPLES, FEATURES, MANIFEST, read_activations

ORDER = ("adjusted", "alone", "raw", "joint")
LITTLE = 0.10
"""A change in win rate within ±10 points is "little or no reward", as on explain's own page."""
NORMAL = 1.959964
AT_ONCE = 65_536

Paid = Literal["rewarded", "punished", "little", "open", "none"]


@dataclass(frozen=True, slots=True)
class Reward:
    """What the data pay for a feature: log-odds (beta) for one standard deviation of it, and the change in win rate
    when it moves from the other answer to this one, both with 95% intervals. `verdict` as on explain's page:
    "rewarded" and "punished" hold after correction, "little" means an interval within ±10 points, "open" that it cannot
    be told."""

    effect: str
    verdict: Paid
    beta: float | None
    beta_low: float | None
    beta_high: float | None
    change: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    reason: str = ""

    @property
    def error(self) -> float | None:
        """Standard error of beta."""
        if self.beta_low is None or self.beta_high is None:
            return None
        return (self.beta_high - self.beta_low) / 2 / NORMAL


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as the data have it. `scale`: the root mean square of its activation in the training pairs, the unit of
    shifts and of beta. `fidelity`: how well its words fit (r), where that was measured. `pairs`: training pairs that
    show it."""

    index: int
    name: str
    description: str
    how: str
    prevalence: float
    fidelity: float | None
    scale: float
    reward: Reward
    pairs: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Explained:
    """A folder. `alike` (m, m): how the errors of the effects go together. `settings` are explain's own."""

    folder: Path
    dataset: str
    n: int
    labelled: int
    source: str
    effect: str
    controls: tuple[str, ...]
    features: tuple[Feature, ...]
    alike: Any
    reading: Literal["sae", "columns"]
    settings: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.settings.get("columns") or ())


def read_explained(folder: Path, effect: str | None = None) -> Explained:
    """Raises InputError (one line) where the folder is none, or its features cannot be read on other texts."""
    z = read_activations(folder)
    if not (folder / FEATURES).is_file():
        raise InputError(f"{folder / FEATURES}: no such file; explain the dataset again")
    about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    settings = about.get("settings") or {}
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / FEATURES).to_pylist()
    if len(rows) != z.shape[1]:
        raise InputError(f"{folder}: describes {len(rows)} features and holds activations of {z.shape[1]}")
    chosen = _effect(folder, rows, effect)
    shown = _examples(folder)
    features = tuple(_feature(row, chosen, shown.get(row["index"], ())) for row in rows)
    reading: Literal["sae", "columns"] = "columns" if settings.get("columns") else "sae"
    if reading == "sae" and not (folder / SAE).is_file():
        raise InputError(
            f"{folder}: its features come of a pretrained SAE, which is not read on other texts yet; "
            "explain with an embedder, or with --columns"
        )
    return Explained(
        folder, str(about.get("dataset", "")), int(about["n"]), int(about["labelled"]), str(about.get("source", "")),
        chosen, tuple(about.get("controls") or ()), features, _alike(z, chosen), reading, settings,
    )  # fmt: skip


def _effect(folder: Path, rows: Sequence[Mapping[str, Any]], asked: str | None) -> str:
    there = [n for n in ORDER if any(row.get(f"{n}_beta") is not None for row in rows)]
    if asked and asked not in there:
        raise InputError(f"--effect {asked}: {folder} has no such effect (there are: {', '.join(there) or 'none'})")
    if not there:
        raise InputError(f"{folder}: no effect was estimated for any feature: nothing is known to be rewarded")
    return asked or there[0]


def _feature(row: Mapping[str, Any], effect: str, pairs: Sequence[Example]) -> Feature:
    statistics = json.loads(row.get("statistics") or "{}")
    found = Effect(**{f.name: row[f"{effect}_{f.name}"] for f in fields(Effect) if f"{effect}_{f.name}" in row})
    reward = Reward(
        effect, _paid(found), found.beta, found.beta_low, found.beta_high, found.change, found.low, found.high,
        found.p, found.n, found.reason,
    )  # fmt: skip
    return Feature(
        int(row["index"]), str(row["name"]), str(row["description"] or row["name"]), str(row["how"]),
        float(row["prevalence"]), row.get("fidelity_r"), float(statistics.get("scale") or 0.0), reward, tuple(pairs),
    )  # fmt: skip


def _paid(effect: Effect) -> Paid:
    if effect.change is None or effect.beta is None:
        return "none"
    if (effect.significant_bonferroni or effect.significant_bh) and effect.beta * effect.change >= 0:
        return "rewarded" if effect.change > 0 else "punished"
    if effect.low is not None and effect.high is not None and effect.low > -LITTLE and effect.high < LITTLE:
        return "little"
    return "open"


def _alike(z: Any, effect: str) -> Any:
    """Correlations of the effects' errors. Effects on one label that are estimated one by one err together as far as
    their features occur together (uncentred, as nothing here has an intercept); jointly estimated ones as the inverse
    of that."""
    import numpy as np

    m = z.shape[1]
    gram = np.zeros((m, m))
    for start in range(0, len(z), AT_ONCE):
        part = np.asarray(z[start : start + AT_ONCE], dtype=np.float64)
        gram += part.T @ part
    if effect == "joint":
        gram = np.linalg.pinv(gram, hermitian=True)
    size = np.sqrt(np.diag(gram))
    size[size == 0] = 1.0
    alike = gram / size[:, None] / size[None, :]
    np.fill_diagonal(alike, 1.0)
    return alike


def _examples(folder: Path) -> dict[int, list[Example]]:
    path = folder / EXAMPLES
    names = {f.name for f in fields(Example)}
    found: dict[int, list[Example]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.setdefault(row["feature"], []).append(Example(**{k: v for k, v in row.items() if k in names}))
    return found
