"""Annotations files: JSON Lines, one row for each verdict, written whole or not at all."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from evalsuite.data.files import read_rows
from evalsuite.errors import InputError, StoreError
from evalsuite.judging.contract import Annotation

_FIELDS = {f.name for f in fields(Annotation)}


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """Replaces the file in one step: a reader never sees half of it. Rows are taken as they come and not held."""
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        with half.open("w", encoding="utf-8") as file:
            for row in annotations:
                file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        os.replace(half, path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        half.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Removes what commands that were killed have left of this file."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        number = left.name.removesuffix(".part").rpartition(".")[2]
        if number.isdecimal() and not _runs(int(number)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def read_annotations(path: Path) -> list[Annotation]:
    """The rows of an annotations file of ours. Raises InputError naming the row and the missing field."""
    found = []
    for number, row in enumerate(read_rows(path), start=1):
        try:
            found.append(Annotation(**{k: v for k, v in row.items() if k in _FIELDS}))
        except TypeError as error:
            missing = str(error).partition("missing")[2] or str(error)
            raise InputError(f"{path}: row {number}: is no annotation (missing{missing})") from error
    return found
