"""The loop closed: what the training data rewarded, beside what the trained model does more or less of.

    found = feature_shift([sft, dpo, ppo], Path("explained"), Asked(store=store))
    found.runs[0].features[3].reward.beta, .shift, .low, .high, .relation
    found.runs[0].correlation            # reward against shift over features, errors of both counted

A shift is the mean over prompts of (the feature's activation on the run's answer − on the parent's answer to the same
prompt), in standard deviations of the training pairs; rows are paired on (task, sample, repeat), and all rows of one
prompt are one observation. Its interval is Student's over prompts, q is Holm's over the features of one run. How the
activation of a difference is read, and why so: `shift_reading`.

The reward is explain's log-odds for one standard deviation of the same activation, so both axes have one unit. To first
order a model trained towards a reward r moves a feature by its correlation with r, in these units (the tilted
distribution π ∝ π_parent · exp(r / β)), which is why a feature that is rare or hardly varies cannot move far however
well it is paid.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.comparison.comparability import comparability
from evalsuite.comparison.differences import shared_rows
from evalsuite.comparison.lineage import chain, choose_pairs
from evalsuite.comparison.shift_folder import Explained, Feature, read_explained
from evalsuite.comparison.shift_reading import Answer, How, Measure, read_features
from evalsuite.comparison.shift_records import Contrast, Moved, Relation, RunShift, Seen, Shift, Shifts
from evalsuite.errors import InputError
from evalsuite.records import Progress
from evalsuite.statistics import holm, paired_difference
from evalsuite.statistics.errors_in_both import Correlated, contrast, correlated, mean_draws, normal_draws
from evalsuite.store import Run, default_store

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
STILL = 0.1
"""A shift within ±0.1 standard deviations is "hardly any"."""
DRAWS = 2000
FEWEST = 20
"""Prompts below which no shift is called one."""
SHOWN, LOOKED = 3, 60
"""Prompts that show a feature, and among how many they are chosen."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`effect`: which of explain's effects is the reward (default: the one its page judges by)."""

    baseline: Run | None = None
    order: bool = False
    effect: str | None = None
    embedder: str | None = None
    measure: Measure | None = None
    store: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class Means:
    """Activations by prompt: `rows` (prompts, m), scaled; `prompts` are their texts."""

    rows: Any
    prompts: tuple[str, ...]


def feature_shift(
    runs: Sequence[Run], folder: Path, asked: Asked | None = None, progress: Progress | None = None
) -> Shifts:
    """Raises InputError (one line) where runs share no answers, or the features cannot be read as they were."""
    asked = asked or Asked()
    known = read_explained(folder, asked.effect)
    given = [*runs, *([asked.baseline] if asked.baseline else [])]
    unique = list({run.name: run for run in given}.values())
    pairs = chain(unique) if asked.order else choose_pairs(unique, asked.baseline)
    tables = [_answers(run, parent) for run, parent in pairs]
    twice = [pair for table, _ in tables for pair in _twice(table)]
    how = How(asked.store or default_store(), asked.embedder, asked.measure, progress)
    z = read_features(known, twice, how)
    found, means, start = [], [], 0
    for (run, parent), (table, notes) in zip(pairs, tables, strict=True):
        part = z[start : start + len(table)]
        start += len(table)
        means.append(_means(known, part, table))
        found.append(_run_shift(known, run, parent, table, part, means[-1], notes, asked.seed))
    found, contrasts = _related(known, found, means, asked.seed)
    return Shifts(
        known.dataset, known.n, known.labelled, known.source, known.effect, known.controls,
        tuple(replace(f, pairs=f.pairs[:SHOWN]) for f in known.features), tuple(found), tuple(contrasts), _notes(known),
    )  # fmt: skip


def _notes(known: Explained) -> tuple[str, ...]:
    notes = []
    if not any(f.reward.verdict in ("rewarded", "punished") for f in known.features):
        notes.append("no feature of these data is shown to be rewarded or punished: nothing can be followed")
    few = sum(f.how == "extractive" for f in known.features)
    if few:
        notes.append(f"{few} of {len(known.features)} descriptions are counted words that nobody tested; see examples")
    return tuple(notes)


def _answers(run: Run, parent: Run) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows with an answer on both sides, of tasks that may be compared; the parent's columns end in `|b`."""
    rows = shared_rows(run, parent)
    rows = rows[rows["answer"].notna() & rows["answer|b"].notna()] if "answer" in rows else rows[:0]
    plain = rows.drop(columns=["helped", "helped|b"], errors="ignore")  # who scored them is no matter here
    kept, notes, refused = [], [], []
    for task in dict.fromkeys(plain["task"]):
        reasons, told = comparability(run, parent, task, plain[plain["task"] == task])
        if reasons:
            refused.append(f"{task} is left out: {'; '.join(reasons)}")
        else:
            kept.append(task)
            notes += [f"{note} ({task})" for note in told]
    if not kept:
        why = ". ".join(refused) or "no task on which both wrote answers"
        raise InputError(f"no features can be compared between {run.name} and {parent.name}: {why}")
    return rows[rows["task"].isin(kept)].reset_index(drop=True), (*refused, *notes)


def _twice(table: pd.DataFrame) -> list[tuple[Answer, Answer]]:
    questions = table["question"] if "question" in table else table["prompt"]
    said = [json.loads(m) if isinstance(m, str) and m else {} for m in table["metadata"]]
    return [
        (Answer(str(q), str(a), m), Answer(str(q), str(b), m))
        for q, a, b, m in zip(questions, table["answer"], table["answer|b"], said, strict=True)
    ]


def _means(known: Explained, z: Any, table: pd.DataFrame) -> Means:
    """Each prompt's mean, in standard deviations; a feature that never varied in the data stays as it is."""
    import numpy as np

    texts, codes = np.unique(np.asarray([str(p) for p in table["prompt"]], dtype=object), return_inverse=True)
    sums = np.zeros((len(texts), z.shape[1]))
    np.add.at(sums, codes, z)
    scales = np.array([f.scale if f.scale > 0 else 1.0 for f in known.features])
    return Means(sums / np.bincount(codes)[:, None] / scales, tuple(texts))


def _run_shift(
    known: Explained, run: Run, parent: Run, table: pd.DataFrame, z: Any, means: Means, notes: tuple[str, ...],
    seed: int,
) -> RunShift:  # fmt: skip
    told = [_shift(feature, means.rows[:, j], seed) for j, feature in enumerate(known.features)]
    tested = [j for j, shift in enumerate(told) if shift.p is not None]
    for j, q in zip(tested, holm([p for j in tested if (p := told[j].p) is not None]), strict=True):
        told[j] = replace(told[j], q=q)
    told = [_judged(shift, feature, len(means.rows)) for shift, feature in zip(told, known.features, strict=True)]
    told = [replace(shift, examples=_seen(shift, z[:, j], table)) for j, shift in enumerate(told)]
    if len(means.rows) < FEWEST:
        notes = (*notes, f"{len(means.rows)} prompts are too few to call a shift one; {FEWEST} are wanted")
    lineage = run.manifest.get("model", {}).get("lineage") or {}
    return RunShift(
        run.name, parent.name, lineage.get("method"), len(means.rows), len(table), tuple(dict.fromkeys(table["task"])),
        tuple(told), Correlated(None, None, None, 0), notes,
    )  # fmt: skip


def _shift(feature: Feature, column: Any, seed: int) -> Shift:
    """The mean over prompts with its interval and p; not yet judged."""
    import numpy as np

    more, less = float((column > 0).mean()), float((column < 0).mean())
    raw = float(column.mean()) * (feature.scale if feature.scale > 0 else 1.0)
    if not (column != 0).any():
        return Shift(feature.index, 0.0, None, None, 0.0, 0.0, 0.0, None, None, "absent", "open")
    found = paired_difference(column, np.zeros(len(column)), seed=seed)
    return Shift(
        feature.index, found.value, found.low, found.high, raw, more, less, found.p, None, "open", "open"
    )  # fmt: skip


def _judged(shift: Shift, feature: Feature, prompts: int) -> Shift:
    """With what may be said aloud: whether it moved, and whether that was rewarded."""
    verdict: Moved = shift.verdict
    if shift.q is not None and shift.shift is not None and prompts >= FEWEST:
        if shift.q < ALPHA:
            verdict = "up" if shift.shift > 0 else "down"
        elif shift.low is not None and shift.high is not None and max(-shift.low, shift.high) < STILL:
            verdict = "still"
    paid, moved = feature.reward.verdict, verdict in ("up", "down")
    relation: Relation = "open"
    if paid in ("rewarded", "punished"):
        same = (paid == "rewarded") == (verdict == "up")
        relation = ("followed" if same else "against") if moved else "unmoved"
    elif moved:
        relation = "unrewarded"
    return replace(shift, verdict=verdict, relation=relation)


def _seen(shift: Shift, z: Any, table: pd.DataFrame) -> tuple[Seen, ...]:
    """The prompts in which it moved furthest in the direction in which it moved on the whole, each prompt once; of
    several alike those whose answers differ least besides."""
    import numpy as np

    sign = 1.0 if (shift.shift or 0.0) >= 0 else -1.0
    best = [int(row) for row in np.argsort(-sign * z, kind="stable")[:LOOKED] if sign * z[row] > 0]
    lines = {row: table.iloc[row] for row in best}
    apart = {
        row: len(set(str(line["answer"]).split()) ^ set(str(line["answer|b"]).split())) for row, line in lines.items()
    }
    found: dict[str, Seen] = {}
    for row in sorted(best, key=lambda row: (round(-sign * float(z[row]), 6), apart[row])):
        if len(found) == SHOWN:
            break
        line = lines[row]
        question = str(line["question"] if "question" in table else line["prompt"])
        if question not in found:
            texts = (question, str(line["answer"]), str(line["answer|b"]))
            found[question] = Seen(str(line["task"]), str(line["sample"]), *texts, float(z[row]))
    return tuple(found.values())


def _related(
    known: Explained, runs: Sequence[RunShift], means: Sequence[Means], seed: int
) -> tuple[list[RunShift], list[Contrast]]:
    """Each run's correlation with the reward, and how those of any two runs differ. Runs that share their prompts share
    the draws of prompts too."""
    import numpy as np

    use = [
        j
        for j, f in enumerate(known.features)
        if f.reward.beta is not None and f.reward.error is not None and all((m.rows[:, j] != 0).any() for m in means)
    ]
    beta = np.array([known.features[j].reward.beta or 0.0 for j in use])
    errors = np.array([known.features[j].reward.error or 0.0 for j in use])
    rng = np.random.default_rng(seed)
    x = normal_draws(beta, errors, known.alike[np.ix_(use, use)], DRAWS, rng) if use else np.empty((DRAWS, 0))
    places: dict[tuple[str, ...], int] = {}
    sides = []
    for m in means:
        place = places.setdefault(m.prompts, len(places))
        drawn = mean_draws(m.rows[:, use], DRAWS, np.random.default_rng([seed, 1 + place]))
        sides.append((m.rows[:, use].mean(axis=0), drawn))
    done = [
        replace(run, correlation=correlated(beta, y, x, draws)) for run, (y, draws) in zip(runs, sides, strict=True)
    ]
    contrasts = [
        Contrast(
            runs[i].run,
            runs[k].run,
            contrast(beta, (sides[i][0], sides[k][0]), x, (sides[i][1], sides[k][1])),
        )
        for i in range(len(runs))
        for k in range(i + 1, len(runs))
    ]
    return done, contrasts
