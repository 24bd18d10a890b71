"""An explanation as plain JSON values, and read back from the folder that `explain` wrote.

    found = read_explanation(Path("out"))           # manifest.json, features.parquet, examples.jsonl
    from_json(as_json(found)) == found

Numbers that are not finite become null; paths and numpy scalars in `settings` become plain JSON.
"""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect, Example, Explanation, Feature, Fidelity, Predicted
from evalsuite.preferences.explain_files import EXAMPLES, FEATURES, MANIFEST

T = TypeVar("T")
FORMAT = 1
REQUIRED: dict[type, dict[str, type]] = {
    Explanation: {"dataset": str, "n": int, "labelled": int, "ties": int, "source": str, "features": list},
    Feature: {"index": int, "name": str, "description": str, "how": str, "prevalence": float},
    Example: {"id": str, "prompt": str, "a": str, "b": str, "activation": float},
    Effect: {"n": int},
    Fidelity: {"n": int},
    Predicted: {"name": str, "n": int},
}
MAY_BE_NULL: dict[type, tuple[str, ...]] = {
    Effect: ("beta", "beta_low", "beta_high", "change", "low", "high", "p"),
    Fidelity: ("r", "p"),
    Predicted: ("auc", "low", "high"),
    Example: ("preference",),
}


def read_explanation(folder: Path) -> Explanation:
    """The explanation in a folder. Raises InputError, with file and field, where a file is absent or broken, lacks a
    field or holds one of another type."""
    found = _manifest(folder)
    rows = [_unflat(row) for row in _table(folder / FEATURES)]
    places = {row.get("index"): row["examples"] for row in rows}
    path = folder / EXAMPLES
    for number, line in enumerate(_lines(path), 1):
        example = _parsed(line, f"{path}:{number}")
        index = example.pop("feature", None) if isinstance(example, dict) else None
        if index not in places:
            raise InputError(f"{path}:{number}: feature: {index} is not in {FEATURES}")
        places[index].append(example)
    return from_json({**found, "features": rows}, str(folder))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{path}: no such file; `evalsuite preferences explain DATA --out {folder}` writes it")
    found = _parsed(path.read_bytes(), str(path))
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise InputError(f"{path}: format: {FORMAT} is wanted; run explain again with this version")
    return found


def _table(path: Path) -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_table(path).to_pylist())
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error


def _lines(path: Path) -> list[bytes]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; it lies beside {MANIFEST}, run explain again")
    return [line for line in path.read_bytes().split(b"\n") if line.strip()]


def _parsed(text: bytes | str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: is not JSON ({error})") from error


def _unflat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the table as the nested record: `alone_beta` becomes `effects.alone.beta`; columns of an effect that the
    feature does not have are null."""
    found = {name: row[name] for name in REQUIRED[Feature] if name in row} | {"component": row.get("component", -1)}
    for name in ("terms", "statistics"):
        if row.get(name):
            found[name] = _parsed(row[name], f"{FEATURES}: {name}")
    if row.get("fidelity_n") is not None:
        found["fidelity"] = {f.name: row.get(f"fidelity_{f.name}") for f in dataclasses.fields(Fidelity)}
    kinds = [name.removesuffix("_significant_bh") for name in row if name.endswith("_significant_bh")]
    found["effects"] = {
        kind: {f.name: row.get(f"{kind}_{f.name}") for f in dataclasses.fields(Effect)}
        for kind in kinds
        if row.get(f"{kind}_n") is not None
    }
    return {**found, "examples": []}


def as_json(value: Any) -> Any:
    """Dataclasses, mappings and sequences as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return as_json(value.tolist())
    return str(value)


def from_json(found: Any, where: str = "explanation") -> Explanation:
    """What `as_json` gave, typed again. Raises InputError that names the field."""
    read = _record(Explanation, found, where)
    features = [_feature(f, f"{where}: features[{i}]") for i, f in enumerate(read["features"])]
    indices = [f.index for f in features]
    twice = sorted(i for i, times in Counter(indices).items() if times > 1)
    if twice:
        raise InputError(f"{where}: features: index {twice[0]} is there twice; each feature needs its own")
    predicted = _each(read.get("predicted", []), f"{where}: predicted", _simple(Predicted))
    strings = {key: tuple(read.get(key, ())) for key in ("controls", "adjusted_for", "notes")}
    return Explanation(**{**read, **strings, "features": tuple(features), "predicted": predicted})


def _feature(found: Any, where: str) -> Feature:
    read = _record(Feature, found, where)
    if read["how"] not in ("model", "extractive", "given"):
        raise InputError(f'{where}.how: is "{read["how"]}"; model, extractive or given is wanted')
    fidelity = read.get("fidelity")
    effects = {name: _simple(Effect)(e, f"{where}.effects.{name}") for name, e in read.get("effects", {}).items()}
    terms = read.get("terms", [])
    if any(not isinstance(t, list) or len(t) != 2 for t in terms):
        raise InputError(f"{where}.terms: a list of [term, weight] is wanted")
    return Feature(
        **{
            **read,
            "fidelity": None if fidelity is None else _simple(Fidelity)(fidelity, f"{where}.fidelity"),
            "effects": effects,
            "examples": _each(read.get("examples", []), f"{where}.examples", _simple(Example)),
            "terms": tuple((str(term), weight) for term, weight in terms),
        }
    )


def _each(found: Any, where: str, read: Callable[[Any, str], T]) -> tuple[T, ...]:
    if not isinstance(found, list):
        raise InputError(f"{where}: a list is wanted")
    return tuple(read(item, f"{where}[{i}]") for i, item in enumerate(found))


def _simple(kind: type[T]) -> Callable[[Any, str], T]:
    """A reader of a record without records inside."""
    return lambda found, where: kind(**_record(kind, found, where))


def _record(kind: type, found: Any, where: str) -> dict[str, Any]:
    """The record's fields, checked: no missing one, none of another type, none that it does not have."""
    if not isinstance(found, dict):
        raise InputError(f"{where}: an object is wanted")
    names = [f.name for f in dataclasses.fields(kind)]
    for name in found:
        if name not in names:
            raise InputError(f"{where}.{name}: {kind.__name__} has no such field ({', '.join(names)})")
    for name, wanted in REQUIRED[kind].items():
        value = found.get(name)
        fits = isinstance(value, (int, float) if wanted is float else wanted) and not isinstance(value, bool)
        if not fits:
            raise InputError(f"{where}.{name}: {wanted.__name__} is wanted, found {json.dumps(value)[:40]}")
    return {**dict.fromkeys(MAY_BE_NULL.get(kind, ())), **found}
