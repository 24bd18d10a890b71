"""An explanation as one JSON file, `explanation.json`, beside the tables of its folder.

    write_explanation(explanation, Path("out"))
    read_explanation(Path("out")) == explanation

Numbers that are not finite are written as null; paths and numpy scalars in `settings` become plain JSON.
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

T = TypeVar("T")
NAME = "explanation.json"
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


def write_explanation(explanation: Explanation, folder: Path) -> Path:
    """Writes `explanation.json` into the folder (made where it is absent) and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    text = json.dumps(as_json(explanation), ensure_ascii=False, allow_nan=False, indent=1)
    path.write_bytes((text + "\n").encode("utf-8", "replace"))
    return path


def read_explanation(folder: Path) -> Explanation:
    """The explanation in a folder. Raises InputError, with file and field, where the file is absent, is not JSON, lacks
    a field or holds one of another type."""
    path = folder / NAME
    if not path.is_file():
        raise InputError(f"{path}: no such file; `evalsuite preferences explain DATA --out {folder}` writes it")
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
    return from_json(found, str(path))


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
