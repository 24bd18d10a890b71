"""The folder of an explained dataset: manifest, features as a table, activations, examples.

>>> write_folder(explanation, z, Path("out"))
>>> read_activations(Path("out")).shape                 # memory-mapped float32; row i is pair i
(20738, 32)
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError
from evalsuite.features.contract import Explanation, Feature

MANIFEST, FEATURES, ACTIVATIONS, EXAMPLES = "manifest.json", "features.parquet", "activations.npy", "examples.jsonl"


def write_folder(found: Explanation, z: Any, folder: Path) -> None:
    """Writes the four files; the manifest last, so that where it is the others are."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    numpy.save(folder / ACTIVATIONS, numpy.asarray(z, dtype=numpy.float32))
    table = pyarrow.Table.from_pylist([feature_row(feature) for feature in found.features])
    pyarrow.parquet.write_table(table, folder / FEATURES)
    with (folder / EXAMPLES).open("w", encoding="utf-8", errors="replace") as file:
        for feature in found.features:
            for example in feature.examples:
                file.write(json.dumps({"feature": feature.index, **asdict(example)}, ensure_ascii=False) + "\n")
    about = {k: v for k, v in asdict(found).items() if k != "features"}
    text = json.dumps({"format": 1, **about}, ensure_ascii=False, indent=1, default=str, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def feature_row(feature: Feature) -> dict[str, Any]:
    """A feature as one flat row: `fidelity_r`, `alone_beta`, `joint_change`, ...; terms and statistics as JSON."""
    row: dict[str, Any] = {
        "index": feature.index,
        "name": feature.name,
        "description": feature.description,
        "how": feature.how,
        "prevalence": feature.prevalence,
        "component": feature.component,
    }
    for name in ("r", "p", "n", "low", "high"):
        row[f"fidelity_{name}"] = getattr(feature.fidelity, name) if feature.fidelity else None
    for kind, effect in feature.effects.items():
        row |= {f"{kind}_{name}": value for name, value in asdict(effect).items()}
    row["terms"] = json.dumps(feature.terms, ensure_ascii=False)
    row["statistics"] = json.dumps(dict(feature.statistics), ensure_ascii=False)
    return row


def read_activations(folder: Path, pairs: int | None = None) -> Any:
    """Activations (n, m) of an explained folder, memory-mapped. Raises InputError where there are none, or not of so
    many pairs."""
    import numpy

    path = folder / ACTIVATIONS
    if not (folder / MANIFEST).is_file() or not path.is_file():
        raise InputError(
            f"{folder}: is no explained dataset; `evalsuite preferences explain DATA --out {folder}` first"
        )
    z = numpy.load(path, mmap_mode="r")
    if pairs is not None and len(z) != pairs:
        raise InputError(f"{folder}: explains {len(z):,} pairs, and these are {pairs:,}; explain the same pairs")
    return z
