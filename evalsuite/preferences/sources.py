"""Where pairs lie: a file, a folder of files, what `datasets` saved, or a dataset of the Hub; and people's profiles.

A file's split is read from its name (train, test, dev, ...) where its rows do not say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.data import hub
from evalsuite.data.files import is_saved, iter_rows
from evalsuite.errors import InputError
from evalsuite.preferences.shapes_parts import ANNOTATORS

ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".ndjson")
PATTERNS = [f"*{ending}{zipped}" for ending in ENDINGS for zipped in ("", ".gz")]
SPLITS = {"train": "train", "test": "test", "eval": "test", "heldout": "test"}
SPLITS |= {"dev": "validation", "valid": "validation", "validation": "validation"}
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?![a-z])")
_ADDRESS = re.compile(r"(?:hf:)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?")
MANY = 12
"""A profile's field with more values than this is an identifier or free text, and is left out."""


@dataclass(frozen=True, slots=True)
class File:
    """A file (or a folder that `datasets` saved), its name without endings, and the split that its name says."""

    path: Path
    stem: str
    split: str


def find_files(source: str | Path) -> tuple[str, list[File], list[str]]:
    """The name of a source, its files in a fixed order, and notes on how they were found."""
    path = Path(source).expanduser()
    if path.is_file() or is_saved(path):
        file = _file(path, path.parent)
        return file.stem, [file], []
    if path.is_dir():
        return path.name or str(path.resolve().name), _inside(path), []
    text = str(source)
    if text.startswith("hf:") and _ADDRESS.fullmatch(text) is None:
        file = _file(hub.fetch(text), Path())
        return file.stem, [file], [f"from the Hub: {text.removeprefix('hf:')}"]
    match = _ADDRESS.fullmatch(text)
    if match is None or (path.suffix and not text.startswith("hf:")):
        raise InputError(f"{source}: no such file or folder")
    folder = _downloaded(match["repo"], match["revision"])
    return match["repo"], _inside(folder), [f"from the Hub: {match['repo']} at commit {folder.name}"]


def split_of(name: str) -> str:
    """The split that a file's name or path says, "" where it says none.

    >>> split_of("train_first600.jsonl.gz"), split_of("data/eval-00000-of-00001.parquet"), split_of("testdata.json")
    ('train', 'test', '')
    """
    found = _SPLIT.findall(name.lower())
    return SPLITS[found[-1]] if found else ""


def _file(path: Path, root: Path) -> File:
    name = path.name
    while (ending := next((e for e in (".gz", *ENDINGS) if name.endswith(e)), "")) and name != ending:
        name = name.removesuffix(ending)
    below = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return File(path, name, split_of(str(below)))


def _inside(folder: Path) -> list[File]:
    saved = sorted(p.parent for p in folder.rglob("state.json") if is_saved(p.parent))
    found = [
        p
        for p in sorted(folder.rglob("*"))
        if p.is_file()
        and p.name.removesuffix(".gz").endswith(ENDINGS)
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
        and not any(p.is_relative_to(s) for s in saved)
        and p.name not in ("dataset_dict.json", "dataset_info.json", "dataset_infos.json")
    ]
    if not saved and not found:
        raise InputError(f"{folder}: holds no file with rows ({', '.join(ENDINGS)}, plain or .gz)")
    return [_file(p, folder) for p in (*saved, *found)]


def _downloaded(repo: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=PATTERNS))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{repo}: no such file or folder here, and the Hub did not give it ({reason})") from error


def read_profiles(path: Path | None, files: list[File]) -> dict[str, dict[str, Any]]:
    """People's profiles by their id: of the given file, else of a file called survey or profiles in the folder."""
    if path is None:
        path = next((f.path for f in files if len(files) > 1 and f.stem in ("survey", "profiles")), None)
    if path is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(iter_rows(path), start=1):
        key = next((k for k in ANNOTATORS if row.get(k) not in (None, "")), None)
        if key is None:
            raise InputError(f"{path}: row {number}: a profile needs one of {', '.join(ANNOTATORS[:4])}")
        found[str(row[key])] = {k: v for k, v in _flat(row).items() if k != key}
    return _grouping(found)


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Simple values of a row, those of inner objects as `outer.inner`."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (str, bool, int)) and value != "":
            found[f"{prefix}{key}"] = value
    return found


def _grouping(profiles: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Only fields that make groups: at least two values, and few."""
    values: dict[str, set[str]] = {}
    for profile in profiles.values():
        for key, value in profile.items():
            values.setdefault(key, set()).add(str(value))
    kept = {key for key, seen in values.items() if 1 < len(seen) <= MANY}
    return {who: {k: v for k, v in p.items() if k in kept} for who, p in profiles.items()}
