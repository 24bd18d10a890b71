"""A benchmark's own prompt text, read from the user's copy of it (`--prompts official=PATH`).

PATH is a file, a folder (the benchmark's repository, a collection with a folder for each benchmark, an installed
harness) or the name of an installed package. Data formats only: Python files are parsed, never run.

    official_text(Path("data"), "truthfulqa", "qa")        # data/truthfulqa/presets.json → its "qa" preset
    official_text(Path("lm_eval"), "truthfulqa", "doc_to_text")
    official_text(Path("HaluEval"), "halueval", "qa_evaluation_instruction")      # a .txt file of that name
"""

import ast
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from evalsuite.data.files import read_text
from evalsuite.errors import InputError

LARGEST = 4_000_000  # bytes; prompts are short, and a repository's data files need not be parsed
_LITERAL = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)


@cache
def official_text(source: Path | None, benchmark: str, *keys: str) -> str:
    """The text that `benchmark`'s own files call `keys[0]` (else `keys[1]`, ...).

    A key is found as: the name of a `.txt` file (its whole text), a string of a JSON object (also below "text", and
    through a "preset_map" of short names), a string constant of a Python file (by its name, or by its key in a
    dictionary of such names), or a string of a YAML file, where a Jinja template gives its first quoted string.
    Below a folder, folders named like the benchmark are searched (all of it where there is none), nearest files first.

    Raises InputError where `source` is None, does not exist, or has none of the keys.
    """
    if source is None:
        raise InputError(
            f"the official prompts of {benchmark} are read from your copy: give --prompts official=PATH "
            f"(a file or folder that has {' or '.join(keys)})"
        )
    place = _existing(source, benchmark)
    files = [place] if place.is_file() else list(_candidates(place, benchmark))
    for key in keys:
        for path in files:
            text = _find(path, key)
            if text is not None:
                return text
    raise InputError(
        f"{source}: has no official prompt of {benchmark} (looked for {' or '.join(keys)} "
        f"in {len(files)} .txt, .json, .py and .yaml files)"
    )


def _existing(source: Path, benchmark: str) -> Path:
    place = source.expanduser()
    if place.exists():
        return place
    if str(source).isidentifier():
        spec = importlib.util.find_spec(str(source))  # a top-level name is located without being imported
        for location in (spec.submodule_search_locations or ()) if spec else ():
            return Path(location)
    raise InputError(f"{source}: no such file, folder or installed package (looked for {benchmark}'s official prompts)")


def _candidates(folder: Path, benchmark: str) -> Iterator[Path]:
    """Files that may hold prompts: below folders named like the benchmark if there are any, else below `folder`."""
    named = [] if folder.name.lower() == benchmark else [f for f in _folders(folder) if f.name.lower() == benchmark]
    seen = set()
    for root in named or [folder]:
        for place in _folders(root):
            for path in sorted(place.iterdir()):
                if path.suffix in _READERS and path not in seen and path.is_file() and path.stat().st_size <= LARGEST:
                    seen.add(path)
                    yield path


def _folders(root: Path) -> list[Path]:
    """`root` and the folders below it, nearest first, without hidden ones; links are not followed."""
    found = []
    for place, names, _ in os.walk(root):
        names[:] = [n for n in names if not n.startswith(".") and n != "__pycache__"]
        found.append(Path(place))
    return sorted(found, key=lambda f: (len(f.parts), f))


def _find(path: Path, key: str) -> str | None:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputError(f"{path}: official prompts are read from {', '.join(sorted(_READERS))} files")
    return reader(path, key)


def _from_txt(path: Path, key: str) -> str | None:
    # In a collection that flattens folders, "a/b/key.txt" is kept as "a__b__key.txt".
    return read_text(path) if path.stem == key or path.stem.endswith(f"__{key}") else None


def _from_json(path: Path, key: str) -> str | None:
    text = read_text(path)
    if json.dumps(key) not in text:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON ({error.msg}; looked for '{key}')") from error
    if not isinstance(value, dict):
        return None
    texts = value["text"] if isinstance(value.get("text"), dict) else value
    presets = value.get("preset_map")
    name = presets.get(key, key) if isinstance(presets, dict) else key
    return _string(texts.get(name))


def _from_python(path: Path, key: str) -> str | None:
    text = read_text(path)
    if key not in text:
        return None
    try:
        tree = ast.parse(text, str(path))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: not Python ({error.msg}; looked for '{key}')") from error
    strings: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if isinstance(node.value, ast.Dict):
            for entry, value in zip(node.value.keys, node.value.values, strict=True):
                found = strings.get(value.id) if isinstance(value, ast.Name) else _constant(value)
                if isinstance(entry, ast.Constant) and isinstance(entry.value, str) and found is not None:
                    strings.setdefault(entry.value, found)
        elif (constant := _constant(node.value)) is not None:
            strings.update(dict.fromkeys(names, constant))
    return strings.get(key)


def _constant(node: ast.expr) -> str | None:
    return _string(node.value) if isinstance(node, ast.Constant) else None


def _from_yaml(path: Path, key: str) -> str | None:
    text = read_text(path)
    if key not in text:
        return None
    import yaml

    class Loader(yaml.SafeLoader):
        """Harness configurations name Python functions by tags of their own; these are read as nothing."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML (looked for '{key}'): {' '.join(str(error).split())}") from error
    found = _string(value.get(key)) if isinstance(value, dict) else None
    if found is None or ("{{" not in found and "{%" not in found):
        return found
    literal = _LITERAL.search(found)
    return literal and (literal[1] if literal[1] is not None else literal[2])


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_READERS: dict[str, Callable[[Path, str], str | None]] = {
    ".txt": _from_txt,
    ".json": _from_json,
    ".py": _from_python,
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
}
