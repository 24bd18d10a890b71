"""The whole comparison of two or more runs, as data: what `evalsuite compare --json` prints and the report draws.

    found = compare([base, sft, dpo])                       # each against its parent, else the first
    found = compare(runs, Asked(order=True))                # the runs in the order given are a lineage
    found.pairs[0].differences, .families, .texts, .calibration, .gaps, .overlap, .divergence, .mismatches, .summary
    found.plane, found.curves, found.formats

Everything is read off stored runs and computes in seconds, but for what asks models: `Asked.kl` and
`Asked.reward_model`, which is why they are off unless asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.comparison.calibration import calibration_differences
from evalsuite.comparison.differences import paired, shared_rows
from evalsuite.comparison.divergence import divergence, rewards
from evalsuite.comparison.families import family_differences
from evalsuite.comparison.formats import format_effects
from evalsuite.comparison.gaps import gap_changes, plane
from evalsuite.comparison.lineage import chain, choose_pairs, declared
from evalsuite.comparison.mismatch import mismatches, stored_rewards
from evalsuite.comparison.near import engine_vectors
from evalsuite.comparison.overlap import Overlap, training_overlap
from evalsuite.comparison.records import Comparison, PairComparison, Skipped
from evalsuite.comparison.summary import summarise
from evalsuite.comparison.texts import diversity_across, text_differences
from evalsuite.comparison.training_curve import overoptimisation
from evalsuite.errors import InputError
from evalsuite.models import ModelOptions, resolve
from evalsuite.records import Progress
from evalsuite.running.engine import Engine
from evalsuite.store import Run, default_store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compare and what to add. `order`: the runs are a lineage in this order. `logs`: training logs' rows by
    run name. `training`: files whose prompts are searched for in the samples. `kl`: log-likelihood of every run's
    stored answers under its own model and its parent's. `reward_model`: a MODEL that gives rewards to stored answers.
    `embedder`: a MODEL that finds rephrased training prompts. `skip`: pairs that may not be compared are named in
    `Comparison.skipped` instead of raised, as a page of many runs wants it.
    """

    baseline: Run | None = None
    order: bool = False
    logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    training: tuple[Path, ...] = ()
    kl: bool = False
    reward_model: str | None = None
    embedder: str | None = None
    store: Path | None = None
    seed: int = 0
    skip: bool = False


def compare(runs: Sequence[Run], asked: Asked | None = None, progress: Progress | None = None) -> Comparison:
    """Raises InputError where fewer than two runs are given; and, but for `Asked.skip`, where two share no sample or
    nothing at all may be compared: then with the reason for each task."""
    asked = asked or Asked()
    given = [*runs, *([asked.baseline] if asked.baseline else [])]
    unique = list({run.name: run for run in given}.values())
    pairs = chain(unique) if asked.order else choose_pairs(unique, asked.baseline)
    made, skipped = [], []
    for run, baseline in pairs:
        try:
            rows = shared_rows(run, baseline)
        except InputError as error:
            if not asked.skip:
                raise
            skipped.append(Skipped(run.name, baseline.name, str(error)))
            continue
        made.append(_pair(run, baseline, rows, asked, progress))
    if not asked.skip and not any(d.verdict != "not comparable" for pair in made for d in pair.differences):
        reasons = {f"{task}: {'; '.join(why)}" for pair in made for task, why in pair.refused.items()}
        told = ". ".join(sorted(reasons)) or "no metric has a value for each sample on both sides"
        raise InputError(f"nothing may be compared between {_names(unique)}: {told}")
    order = unique if asked.order else declared(unique) or unique
    comparable = [t for t in _tasks(order) if not any(t in pair.refused for pair in made) and _same_samples(order, t)]
    curves = [overoptimisation(run.name, asked.logs[run.name]) for run in order if run.name in asked.logs]
    return Comparison(
        [run.name for run in unique],
        made,
        plane(order, comparable),
        [curve for curve in curves if curve is not None],
        format_effects(unique),
        skipped,
    )


def _pair(run: Run, baseline: Run, rows: "pd.DataFrame", asked: Asked, progress: Progress | None) -> PairComparison:
    found = paired(run, baseline, seed=asked.seed, rows=rows)
    refused = {d.task: list(d.notes) for d in found if d.verdict == "not comparable"}
    kept = rows[~rows["task"].isin(list(refused))]
    headline = {d.task: d.metric for d in found if d.primary and d.task not in refused}
    texts = text_differences(kept, asked.seed)
    across = diversity_across(kept)
    calibrated, trade_offs = calibration_differences(kept, headline, asked.seed)
    pay = _rewards(run, baseline, kept, asked, progress)
    pair = PairComparison(
        run=run.name,
        baseline=baseline.name,
        method=(run.manifest.get("model", {}).get("lineage") or {}).get("method"),
        differences=found,
        families=family_differences(found, kept),
        refused=refused,
        texts=[*texts, *([across] if across else [])],
        calibration=calibrated,
        trade_offs=trade_offs,
        gaps=gap_changes(run, baseline, kept, headline),
        mismatches=mismatches(kept, pay, found),
        overlap=_overlap(run, baseline, kept, asked),
        divergence=divergence(run, baseline, kept, asked.store or default_store(), progress) if asked.kl else [],
        summary=[],
    )
    curve = overoptimisation(run.name, asked.logs[run.name]) if run.name in asked.logs else None
    return replace(pair, summary=[sentence.text for sentence in summarise(pair, curve)])


def _overlap(run: Run, baseline: Run, rows: "pd.DataFrame", asked: Asked) -> list[Overlap]:
    if not asked.training:
        return []
    if asked.embedder is None:
        return training_overlap(run, baseline, rows, asked.training, asked.seed)
    engine = Engine(resolve(asked.embedder, ModelOptions()), asked.store or default_store())
    try:
        return training_overlap(run, baseline, rows, asked.training, asked.seed, engine_vectors(engine))
    finally:
        engine.close()


def _rewards(
    run: Run, baseline: Run, rows: "pd.DataFrame", asked: Asked, progress: Progress | None
) -> Mapping[tuple[str, str, int], tuple[float, float]]:
    if asked.reward_model is None:
        return stored_rewards(rows)
    return rewards(rows, asked.reward_model, asked.store or default_store(), progress)


def _same_samples(runs: Sequence[Run], task: str) -> bool:
    """Whether all runs that have a task have it on the same samples: the plane takes the runs' own figures."""
    specs = [run.manifest.get("tasks", {}).get(task) for run in runs]
    return len({spec.get("data_hash") for spec in specs if spec}) == 1


def _tasks(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(m.task for run in runs for m in run.metrics))


def _names(runs: Sequence[Run]) -> str:
    return " and ".join(run.name for run in runs)
