"""An explained dataset's features on other texts: activations of a difference, this answer minus that one.

    z = read_features(known, [(Answer(question, ours), Answer(question, theirs)), ...], How(store=store))    # (n, m)

**Which reading, and why.** The SAE of `preferences explain` was trained on differences of two answers' embeddings to
one prompt, in both signs, and has no bias. It is given the same kind of input here: embedding of a run's answer minus
embedding of its parent's answer to the same prompt. Nothing else is of its kind: a single answer's embedding lies
mostly along what all answers share, which no difference has, and would pass the threshold everywhere. The reading is
exactly odd, so two runs that answer alike (in distribution) have a mean activation of 0 whatever the threshold does,
and who is called the run only turns the sign. What it cannot see is a change that is too small in every single answer
to pass the threshold.

Measured features (explain's `--columns`) are read by whatever measures them in one answer: counts of format by
themselves, anything else by a function of (question, answer, metadata).

**The same reading.** The embedding model must be the one that explain used: by its identity, where the folder has it,
and in any case by its result: training pairs that the folder shows are read again and must give the activations that
are written there.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.comparison.shift_folder import Explained
from evalsuite.errors import BackendError, InputError
from evalsuite.features.contract import Example
from evalsuite.features.embed import embed, minilm
from evalsuite.features.sae import load
from evalsuite.models import ModelOptions, resolve
from evalsuite.preferences.describe_text import FORMATS
from evalsuite.records import Message, Progress, assistant, user
from evalsuite.running.engine import Engine

Measure = Callable[[str, str, Mapping[str, Any]], Mapping[str, float]]
"""Question, answer, the sample's metadata → numbers by name."""
CHECKED = 8
"""Features of which a training pair is read again."""
CLOSE = 0.02
"""How far an activation may be off, as a share of its size: engines and number formats round differently."""
CUT = "more characters]"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question, with what its sample says besides."""

    question: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


Twice = tuple[Answer, Answer]


@dataclass(frozen=True)
class How:
    """`embedder`: a MODEL in place of the one that the folder names; `measure`: for measured features; `store`: where
    embeddings are cached."""

    store: Path
    embedder: str | None = None
    measure: Measure | None = None
    progress: Progress | None = None


def read_features(known: Explained, twice: Sequence[Twice], how: How) -> Any:
    """Float64 (n, m): activations of first minus second. Raises InputError (one line) where features cannot be read,
    or not as they were."""
    shown = _shown(known)
    everything = [*(pair for _, _, pair in shown), *twice]
    z = _measured(known, everything, how) if known.reading == "columns" else _embedded(known, everything, how)
    _check(known, [(index, example) for index, example, _ in shown], z[: len(shown)], how)
    return z[len(shown) :]


def _shown(known: Explained) -> list[tuple[int, Example, Twice]]:
    """A training pair for each of a few features, the most frequent first: its strongest that the folder has whole."""
    found: list[tuple[int, Example, Twice]] = []
    for feature in sorted(known.features, key=lambda f: -f.prevalence):
        if len(found) == CHECKED:
            break
        for example in feature.pairs:
            if not any(text.endswith(CUT) for text in (example.prompt, example.a, example.b)):
                sides = (Answer(example.prompt, example.a), Answer(example.prompt, example.b))
                found.append((feature.index, example, sides))
                break
    return found


def _check(known: Explained, shown: Sequence[tuple[int, Example]], z: Any, how: How) -> None:
    if known.reading == "sae" and known.settings.get("what") == "conversation":
        return  # an example's prompt is one text, and may have been several turns
    for (index, example), row in zip(shown, z, strict=True):
        now = float(row[index])
        if abs(now - example.activation) > CLOSE * abs(example.activation):
            name = next(f.name for f in known.features if f.index == index)
            who = "what measures them" if known.reading == "columns" else f"the embedding model {_address(known, how)}"
            raise InputError(
                f"--features {known.folder}: {who} reads training pair {example.id} otherwise than explain did "
                f"('{name}': {now:.3g}, not {example.activation:.3g}); give the same one, or explain again"
            )


# --- features of an SAE ---


def _embedded(known: Explained, twice: Sequence[Twice], how: How) -> Any:
    import numpy as np

    sae = load(known.folder)
    whole = known.settings.get("what") == "conversation"
    asked = [_conversation(answer, whole) for pair in twice for answer in pair]
    places: dict[str, int] = {}
    unique: list[tuple[Message, ...]] = []
    rows = np.empty(len(asked), dtype=np.int64)
    for i, messages in enumerate(asked):
        key = repr(messages)
        if key not in places:
            places[key] = len(unique)
            unique.append(messages)
        rows[i] = places[key]
    engine = _engine(known, how)
    try:
        with tempfile.TemporaryDirectory() as folder:
            vectors, _ = embed(engine, unique, Path(folder) / "rows.npy", how.progress)
            vectors = np.array(vectors)
    finally:
        engine.close()
    if vectors.shape[1] != sae.dimensions:
        raise InputError(
            f"--features {known.folder}: its SAE reads {sae.dimensions} dimensions, and {engine.model.address} gives "
            f"{vectors.shape[1]}; it was explained with {known.settings.get('embedder') or known.source}"
        )
    differences = vectors[rows[0::2]] - vectors[rows[1::2]]
    return np.asarray(sae.read(differences), dtype=np.float64)


def _conversation(answer: Answer, whole: bool) -> tuple[Message, ...]:
    """What explain embeds of an answer (features/embed.py)."""
    return (user(answer.question), assistant(answer.text)) if whole else (user(answer.text or " "),)


def _engine(known: Explained, how: How) -> Engine:
    address, told = _address(known, how), known.settings.get("embedding_model") or {}
    options = ModelOptions(
        template=told.get("template") or "auto",
        system=told.get("system"),
        dtype=told.get("dtype") or "auto",
        args=told.get("args") or {},
    )
    try:
        engine = Engine(resolve(str(minilm()) if address == "minilm" else address, options), how.store)
    except BackendError as error:
        raise InputError(f"--features {known.folder}: {address} cannot be reached ({error})") from error
    wanted = told.get("identity")
    if wanted and engine.model.identity != wanted:
        same = engine.model.fingerprint == told.get("fingerprint")
        what = "its number format or engine arguments differ" if same else "its weights are others"
        raise InputError(
            f"--features {known.folder}: {address} is not the embedding model of explain ({what}); give that one by "
            "--embedder, or explain again"
        )
    return engine


def _address(known: Explained, how: How) -> str:
    told = known.settings.get("embedding_model") or {}
    address = how.embedder or known.settings.get("embedder") or told.get("address")
    if not address:
        file = known.settings.get("embeddings") or "a file"
        raise InputError(
            f"--features {known.folder}: was explained on embeddings of {file}; name the model that made them by "
            "--embedder MODEL"
        )
    return str(address)


# --- measured features ---


def _measured(known: Explained, twice: Sequence[Twice], how: How) -> Any:
    import numpy as np

    columns = known.columns
    z = np.empty((len(twice), len(columns)))
    cache: dict[tuple[str, str], list[float]] = {}
    for i, pair in enumerate(twice):
        values = []
        for answer in pair:
            key = (answer.question, answer.text)
            if key not in cache:
                cache[key] = _numbers(known, answer, how.measure)
            values.append(cache[key])
        z[i] = np.asarray(values[0]) - np.asarray(values[1])
        if how.progress is not None and i % 500 == 0:
            how.progress(i, len(twice), "measuring answers")
    return z


def _numbers(known: Explained, answer: Answer, measure: Measure | None) -> list[float]:
    """The columns' values of one answer."""
    given = measure(answer.question, answer.text, answer.metadata) if measure is not None else {}
    found = []
    for column in known.columns:
        value = next((given[name] for name in _names(column) if name in given), None)
        if value is None and column in FORMATS:
            value = float(sum(1 for _ in FORMATS[column].finditer(answer.text)))
        if value is None:
            raise InputError(_unmeasured(known, column, given, measure is not None))
        if not math.isfinite(value):
            raise InputError(f"--measure: '{column}' is {value} of the answer '{answer.text[:40]}'; a number is wanted")
        found.append(float(value))
    return found


def _names(column: str) -> tuple[str, ...]:
    """How a measuring function may call a column: metadata.features.opener, features.opener, opener."""
    plain = column.removeprefix("metadata.")
    return (column, plain, plain.rsplit(".", 1)[-1])


def _unmeasured(known: Explained, column: str, given: Mapping[str, float], asked: bool) -> str:
    if asked:
        return f"--measure: gives no '{column}' (it gives {', '.join(sorted(given)[:12]) or 'nothing'})"
    return (
        f"--features {known.folder}: '{column}' is a column of the training pairs; say what measures it in an answer: "
        "--measure FILE.py:FUNCTION (question, answer, metadata → numbers by name), or microworld:SIZE@SEED"
    )
