"""Preference pairs explained: what can be measured in the difference of two texts, and which of it is rewarded.

    explanation = run_explain(load("pairs.jsonl"), Path("out"), Options(), Engines(embedder))

Embeddings of both texts → differences → features (an SAE trained on them without labels; or a pretrained one; or given
columns) → descriptions, examples, effects on the preference (raw, alone with controls, jointly, adjusted), held-out
AUC, redundancy. Rows that decide about AUC take no part in training the SAE, except for when it stops.

The folder gets `manifest.json`, `features.parquet` (a row a feature), `activations.npy` (float32, n x m, row i is pair
i), `examples.jsonl`, and of an SAE `sae.safetensors` and `sae_lens/`. An interrupted command goes on: embeddings and
answers of models are cached, the SAE's training has a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect, Explanation, Feature, Predicted
from evalsuite.features.describe import Described, describe
from evalsuite.features.examples import examples, strongest
from evalsuite.features.extractive import extract
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.controls import Controls, length_columns, read_controls
from evalsuite.preferences.describe_text import counts_of
from evalsuite.preferences.effects import Design, alone, faithful, jointly, mark, scales_of
from evalsuite.preferences.explain_data import Data, clusters_of, read_data
from evalsuite.preferences.explain_features import Read, read_features
from evalsuite.preferences.explain_files import write_folder
from evalsuite.preferences.explain_options import NOTHING, Engines, Options
from evalsuite.preferences.predict import auc, fitted
from evalsuite.preferences.redundancy import components as alike
from evalsuite.preferences.table import prompt_of
from evalsuite.records import Progress

__all__ = ["NOTHING", "Engines", "Options", "measures", "run_explain"]


def run_explain(
    pairs: Pairs,
    folder: Path,
    options: Options | None = None,
    engines: Engines | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Explains pairs and writes the folder. Raises InputError (one line) where there are too few labels, no embeddings,
    or what was given does not fit."""
    import numpy as np

    options, engines = options or Options(), engines or Engines()
    data = read_data(pairs, options)
    controls = read_controls(pairs, options.controls, data.texts)
    adjust = read_controls(pairs, options.adjust, data.texts)
    read = read_features(data, folder, options, engines, progress)
    z = read.z
    effects, tests = _effects(data, z, (controls, adjust), options)
    described = _described(data, z, options, engines, progress)
    if described is not None:
        held = faithful([d.fidelity.r for d in described], [d.fidelity.p for d in described], options.alpha)
        effects = {kind: mark(each, options.alpha, held) for kind, each in effects.items()}
        tests = sum(h and e.p is not None for h, e in zip(held, effects["alone"], strict=True))
        data.notes.append(
            f"{sum(held)} of {len(held)} descriptions hold on fresh pairs; only these features are tested"
        )
    features = _assembled(data, read, effects, described, options)
    label = data.preference[~np.isnan(data.preference)]
    found = Explanation(
        pairs.name, len(pairs), len(label), int((label == 0.5).sum()), read.about, features,
        controls=options.controls, adjusted_for=options.adjust,
        predicted=tuple(_predicted(data, read, options)), tests=tests, alpha=options.alpha,
        notes=(*pairs.notes, *data.notes, *controls.notes, *adjust.notes), settings=_settings(options, engines),
    )  # fmt: skip
    write_folder(found, z, folder)
    return found


def measures(text: str) -> dict[str, float]:
    """What is counted in a text to describe features without a model."""
    words, _, headers, lists, bold, code = counts_of(text)
    counts = {"words": words, "headers": headers, "list items": lists, "bold spans": bold, "code spans": code}
    marks = {"questions": "?", "exclamation marks": "!", "quotation marks": '"', "lines": "\n"}
    counts |= {name: text.count(mark) for name, mark in marks.items()}
    digits = sum(map(str.isdigit, text))
    return {**{name: float(n) for name, n in counts.items()}, "digits": float(digits)}


def _effects(
    data: Data, z: Any, beside: tuple[Controls, Controls], options: Options
) -> tuple[dict[str, list[Effect]], int]:
    """Effects of every kind by name, and how many features were tested."""
    import numpy as np

    controls, adjust = beside
    design = Design(z, data.preference, None, clusters_of(data, options), scales_of(z), options.ties)
    found = {"raw": alone(design)}
    design = replace(design, controls=controls.columns)
    found["alone"] = alone(design)
    found["joint"] = jointly(design)
    if options.adjust:
        found["adjusted"] = alone(replace(design, controls=np.column_stack([controls.columns, adjust.columns])))
    marked = {kind: mark(effects, options.alpha) for kind, effects in found.items()}
    return marked, sum(effect.p is not None for effect in marked["alone"])


def _described(
    data: Data, z: Any, options: Options, engines: Engines, progress: Progress | None
) -> list[Described] | None:
    if engines.judge is None:
        return None
    settings = replace(options.describing, seed=options.seed)
    return describe(engines.judge, data.pairs, z, data.together, prompt_of, settings, progress)


def _assembled(
    data: Data,
    read: Read,
    effects: Mapping[str, Sequence[Effect]],
    described: list[Described] | None,
    options: Options,
) -> tuple[Feature, ...]:
    z = read.z
    extracted = extract(data.pairs, z, measures)
    component = alike(read.directions, z[: 1 << 17])
    scales = scales_of(z)
    features = []
    for j, name in enumerate(read.names):
        said, column = extracted[j], z[:, j]
        mine = described[j] if described is not None and described[j].description else None
        how: Literal["model", "extractive", "given"] = "model" if mine else "given" if options.columns else "extractive"
        shown = {"model": mine.description if mine else "", "given": name, "extractive": said.description}[how]
        rows = strongest(column, options.examples)
        features.append(
            Feature(
                index=j,
                name={"model": shown, "given": name, "extractive": said.name}[how],
                description=shown,
                how=how,
                prevalence=float((column != 0).mean()),
                fidelity=mine.fidelity if mine else None,
                effects={kind: each[j] for kind, each in effects.items()},
                examples=examples(data.pairs, column, rows, prompt_of) if len(rows) else (),
                component=int(component[j]),
                terms=said.terms,
                statistics={**said.statistics, "pairs looked at": float(said.n), "scale": float(scales[j])},
            )
        )
    return tuple(features)


def _predicted(data: Data, read: Read, options: Options) -> list[Predicted]:
    """Held-out AUC of features and of what they are held against."""
    import numpy as np

    names = ["features", "length"] + (["embedding"] if read.directions is not None else [])
    if data.parts is None:
        return [Predicted(name, None, None, None, 0, "nothing could be held out") for name in names]
    train, held_out = data.parts
    y, clusters = data.preference, data.together[held_out]
    predictors: dict[str, Any] = {"features": read.z, "length": length_columns(data.texts)}
    if read.directions is not None and read.embedded is not None:
        predictors["embedding"] = read.embedded.differences
    if not ((y[train] != 0.5) & ~np.isnan(y[train])).any():
        return [Predicted(name, None, None, None, 0, "no decided pair to learn from") for name in names]
    found = [
        auc(name, fitted(x, y, train, held_out, options.seed), y[held_out], clusters) for name, x in predictors.items()
    ]
    if options.reward:
        scores = read_controls(data.pairs, (options.reward,), data.texts).columns
        if scores.shape[1] != 1:
            raise InputError(f"--reward {options.reward}: a number for each text is wanted")
        found.append(auc("reward model", scores[held_out, 0], y[held_out], clusters))
    return found


def _settings(options: Options, engines: Engines) -> dict[str, Any]:
    """What was asked for; and of the embedding model what tells whether it is the same one again (`compare --features`
    reads other texts by it)."""
    given = {"controls": list(options.controls), "adjust": list(options.adjust), "sae": dict(options.sae)}
    files = {
        "embeddings": options.embeddings.name if options.embeddings else "",
        "pretrained": options.pretrained.name if options.pretrained else "",
    }
    plain = {
        name: getattr(options, name)
        for name in ("embedder", "what", "by", "ties", "alpha", "held_out", "seed", "reward")
    }
    coding = "D = sign of the activation, from -1 to +1; mean over all labelled pairs"
    model = engines.embedder.model if engines.embedder and not options.columns else None
    chosen = {
        "address": options.embedder or model.address,
        "fingerprint": model.fingerprint,
        "identity": model.identity,
        "args": dict(model.options.args),
        "template": model.options.template,
        "system": model.options.system,
        "dtype": model.options.dtype,
    } if model else None  # fmt: skip
    columns = {"columns": list(options.columns), "change_in_win_rate": coding}
    return {**given, **files, **plain, **columns, "embedding_model": chosen}
