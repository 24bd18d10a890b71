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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect, Explanation, Feature, Predicted
from evalsuite.features.describe import Described, Describing, describe
from evalsuite.features.embed import Embedded, What, embed_pairs
from evalsuite.features.examples import examples, strongest
from evalsuite.features.extractive import extract
from evalsuite.features.given import read_embeddings
from evalsuite.features.pretrained import Columns, residual_features
from evalsuite.features.sae import Settings
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.controls import Controls, length_columns, read_controls
from evalsuite.preferences.describe_text import Reading, Texts, counts_of
from evalsuite.preferences.duplicates import Keys, components, keys
from evalsuite.preferences.effects import Design, Ties, alone, faithful, jointly, mark, scales_of
from evalsuite.preferences.explain_files import write_folder
from evalsuite.preferences.predict import auc, fitted
from evalsuite.preferences.redundancy import components as alike
from evalsuite.preferences.splits import Split, split
from evalsuite.preferences.table import prompt_of
from evalsuite.records import Progress
from evalsuite.running.engine import Engine

LEAST = 20
"""Labelled pairs without which nothing is explained."""
GROUPS = 10
"""Clusters without which no variance between clusters can be known."""
ROWS_EACH = 40
"""Pairs for each feature of an SAE by default."""
WIDTH, ACTIVE, STEPS = 32, 4, 4000
NOTHING = (
    "explain needs embeddings of the answers: --embedder MODEL (minilm, a sentence-transformers folder, a language "
    "model, openai:NAME@URL), --embeddings FILE, or measured features by --columns NAMES"
)


@dataclass(frozen=True)
class Options:
    """`embedder`: what the embedding model is called in the results; `what` is embedded; `columns`: given features
    instead; `pretrained`: a folder of sae-lens. `sae`: settings by name (width, active, epochs, ...), where they differ
    from the defaults. `controls` stand beside every feature, `adjust` names confounders, `reward` a column with a
    reward model's scores (controls.py says what names there are). `by`: whose labels depend on each other: prompts and
    conversations, annotators, both, or none's."""

    embeddings: Path | None = None
    embedder: str = ""
    what: What = "response"
    columns: tuple[str, ...] = ()
    pretrained: Path | None = None
    sae: Mapping[str, Any] = field(default_factory=dict)
    controls: tuple[str, ...] = ("length", "format")
    adjust: tuple[str, ...] = ()
    reward: str = ""
    by: Literal["both", "conversation", "annotator", "none"] = "both"
    ties: Ties = "half"
    alpha: float = 0.05
    held_out: float = 0.2
    examples: int = 10
    seed: int = 0
    describing: Describing = field(default_factory=Describing)


@dataclass(frozen=True)
class Engines:
    """Models that take part, where there are any: one embeds, one describes."""

    embedder: Engine | None = None
    judge: Engine | None = None


@dataclass(frozen=True)
class _Data:
    """What the pairs say, read once."""

    pairs: Pairs
    texts: Texts
    found: Keys
    together: Any
    preference: Any
    parts: Split | None
    notes: list[str]


@dataclass(frozen=True)
class _Read:
    """Features as read: activations z (n, m), their names, directions (m, d) where there are some."""

    z: Any
    names: tuple[str, ...]
    about: str
    directions: Any = None
    embedded: Embedded | None = None


def run_explain(
    pairs: Pairs,
    folder: Path,
    options: Options | None = None,
    engines: Engines = Engines(),
    progress: Progress | None = None,
) -> Explanation:
    """Explains pairs and writes the folder. Raises InputError (one line) where there are too few labels, no embeddings,
    or what was given does not fit."""
    import numpy as np

    options = options or Options()
    data = _data(pairs, options)
    controls = read_controls(pairs, options.controls, data.texts)
    adjust = read_controls(pairs, options.adjust, data.texts)
    read = _features(data, folder, options, engines, progress)
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
        notes=(*pairs.notes, *data.notes, *controls.notes, *adjust.notes), settings=_settings(options),
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


def _data(pairs: Pairs, options: Options) -> _Data:
    import numpy as np

    reading = Reading()
    found = keys(reading.watch(pairs))
    preference = pairs.preference
    labelled = int((~np.isnan(preference)).sum())
    if labelled < LEAST:
        raise InputError(f"{pairs.name}: {labelled} of {len(pairs)} pairs are labelled; at least {LEAST} are wanted")
    if not ((preference != 0.5) & ~np.isnan(preference)).any():
        raise InputError(f"{pairs.name}: all {labelled} labels are ties: nothing is preferred")
    notes = []
    if len(found.aspects) > 1:
        named = ", ".join(sorted(found.aspects)[:6])
        notes.append(f"labels of {len(found.aspects)} aspects ({named}) are taken together; --where aspect=NAME parts")
    try:
        parts = split(pairs, options.held_out, options.seed, found)
    except InputError as error:
        parts = None
        notes.append(f"nothing was held out: {error}")
    return _Data(pairs, reading.texts(), found, components(found), preference, parts, notes)


def _features(data: _Data, folder: Path, options: Options, engines: Engines, progress: Progress | None) -> _Read:
    """The features' activations, from whatever source was asked for."""
    import numpy as np

    pairs: Any = data.pairs
    if options.columns:
        columns = [read_controls(data.pairs, (name,), data.texts).columns for name in options.columns]
        for name, column in zip(options.columns, columns, strict=True):
            if column.shape[1] != 1 or np.isnan(column).any():
                raise InputError(f"--columns {name}: one number of every pair is wanted")
        source = Columns(options.columns)
        return _Read(source.read(np.concatenate(columns, axis=1).astype(np.float32)), options.columns, "given columns")
    if options.pretrained is not None:
        if engines.embedder is None:
            raise InputError("--pretrained FOLDER needs the language model that it reads: --embedder MODEL")
        pretrained, embedded = residual_features(engines.embedder, options.pretrained, pairs, folder, progress=progress)
        data.notes.extend(embedded.notes)
        about = f"{options.pretrained.name} over {embedded.source}"
        return _Read(pretrained.read(embedded.differences), tuple(pretrained.names), about, embedded=embedded)
    if options.embeddings is not None:
        embedded = read_embeddings(options.embeddings, len(data.pairs))
    elif engines.embedder is not None:
        embedded = embed_pairs(engines.embedder, pairs, folder, options.what, progress)
    else:
        raise InputError(NOTHING)
    data.notes.extend(embedded.notes)
    return _trained(data, embedded, folder, options, progress)


def _trained(data: _Data, embedded: Embedded, folder: Path, options: Options, progress: Progress | None) -> _Read:
    """Features of an SAE that is trained here, and kept in the folder."""
    from evalsuite.features import sae_lens
    from evalsuite.features.sae import save
    from evalsuite.features.training import train

    settings = _sae_settings(data, options)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "training.safetensors"
    held_out = None if data.parts is None else data.parts.held_out
    done = train(embedded.differences, settings, checkpoint, progress, held_out)
    save(done.sae, folder)
    sae_lens.save(done.sae, folder / "sae_lens")
    checkpoint.unlink(missing_ok=True)
    unexplained = done.held_out.unexplained
    data.notes.append(
        f"SAE of {settings.width} features, {done.held_out.active:.2f} active in a pair; on held-out pairs it leaves "
        f"{unexplained:.0%} of the embeddings' difference unexplained; {done.held_out.dead} never fire there"
    )
    about = f"SAE over {options.embedder or embedded.source}"
    z = done.sae.read(embedded.differences)
    return _Read(z, tuple(done.sae.names), about, done.sae.decoder.numpy(), embedded)


def _sae_settings(data: _Data, options: Options) -> Settings:
    room = len(data.pairs) if data.parts is None else len(data.parts.train)
    settings = sae_settings(room, {"seed": options.seed, **options.sae})
    if settings.width < WIDTH and "width" not in options.sae:
        why = f"{room:,} pairs to learn from carry {settings.width} features, not {WIDTH}"
        data.notes.append(f"{why} ({ROWS_EACH} pairs for each)")
    return settings


def sae_settings(rows: int, asked: Mapping[str, Any]) -> Settings:
    """How an SAE is trained on so many rows, where nothing else is asked for: the published settings from 16,384 rows
    on; of fewer rows fewer features, smaller batches, more patience, and as many epochs as make `STEPS` steps."""
    width = int(asked.get("width", max(ACTIVE, min(WIDTH, rows // ROWS_EACH))))
    batch = int(asked.get("batch", min(256, max(32, 1 << max(rows // 64, 1).bit_length() - 1))))
    epochs = int(asked.get("epochs", max(50, -(-STEPS * batch // max(rows, 1)))))
    made = {"width": width, "active": min(ACTIVE, width), "batch": batch, "epochs": epochs}
    made |= {"least_epochs": epochs // 5, "patience": 3 if batch == 256 else max(12, epochs // 4)}
    try:
        return Settings(**{**made, **asked})
    except TypeError as error:
        raise InputError(f"--sae {', '.join(asked)}: {', '.join(Settings.__dataclass_fields__)} can be set") from error


def _clusters(data: _Data, options: Options) -> tuple[Any, ...]:
    """Codes of what depends on each other, where there are enough groups to tell."""
    import numpy as np

    found = []
    if options.by in ("both", "conversation"):
        found.append(("prompts and conversations", data.together))
    if options.by in ("both", "annotator") and (len(data.found.annotators) > 1 or data.found.annotators[0]):
        found.append(("annotators", data.found.annotator))
    kept = []
    for name, codes in found:
        groups = len(np.unique(codes))
        if groups >= GROUPS:
            kept.append(codes)
        else:
            data.notes.append(f"{groups} groups of {name} are too few for errors by group: they count as independent")
    return tuple(kept)


def _effects(
    data: _Data, z: Any, beside: tuple[Controls, Controls], options: Options
) -> tuple[dict[str, list[Effect]], int]:
    """Effects of every kind by name, and how many features were tested."""
    import numpy as np

    controls, adjust = beside
    design = Design(z, data.preference, None, _clusters(data, options), scales_of(z), options.ties)
    found = {"raw": alone(design)}
    design = replace(design, controls=controls.columns)
    found["alone"] = alone(design)
    found["joint"] = jointly(design)
    if options.adjust:
        found["adjusted"] = alone(replace(design, controls=np.column_stack([controls.columns, adjust.columns])))
    marked = {kind: mark(effects, options.alpha) for kind, effects in found.items()}
    return marked, sum(effect.p is not None for effect in marked["alone"])


def _described(
    data: _Data, z: Any, options: Options, engines: Engines, progress: Progress | None
) -> list[Described] | None:
    if engines.judge is None:
        return None
    settings = replace(options.describing, seed=options.seed)
    return describe(engines.judge, data.pairs, z, data.together, prompt_of, settings, progress)


def _assembled(
    data: _Data,
    read: _Read,
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


def _predicted(data: _Data, read: _Read, options: Options) -> list[Predicted]:
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


def _settings(options: Options) -> dict[str, Any]:
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
    return {**given, **files, **plain, "columns": list(options.columns), "change_in_win_rate": coding}
