"""Preference pairs from a file, a folder or the Hub, in any of the field's shapes → `Pairs` on the disk.

    pairs = load("train.jsonl")                                   # TRL, HH, UltraFeedback, Arena, PRISM, ...
    pairs = load("prism/", Loading(profiles=Path("survey.jsonl")))
    pairs = load("trl-lib/ultrafeedback_binarized")               # a Hub id; hf:ORG/NAME@COMMIT pins it

A file's shape is recognised by its first row. JSON Lines and Parquet stream (JSON and CSV are held once while they are
read); a million pairs cost memory for their row numbers only. Ties are kept. Where a file says chosen and rejected, and
so nothing of how they were shown, each pair gets an order that is drawn from its two texts: the same pair always stands
in the same order, which says nothing about its label. `swapped` records it (table.py).
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from evalsuite.data.files import iter_rows
from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair, Pairs
from evalsuite.preferences.shapes import names, recognise
from evalsuite.preferences.shapes_parts import Row, Shape
from evalsuite.preferences.shapes_several import DEMO, PRISM, PRISM_ANSWERS
from evalsuite.preferences.sources import File, find_files, read_profiles
from evalsuite.preferences.table import Table, Writer, sided

Equal = Literal["tie", "keep", "drop"]


@dataclass(frozen=True)
class Loading:
    """How pairs are read. `equal_scores`: what becomes of a chosen and a rejected answer with the same score: a tie,
    kept as labelled, or left out. `profiles`: a file with a row for each annotator. `where`: only pairs whose field (or
    `metadata.KEY`) has this text, such as {"aspect": "better"}. `limit`: the first so many pairs. `swap` False leaves
    the chosen answer as `a`. `unreadable`: rows without the first one's fields are counted there, by what they lack,
    instead of refused."""

    equal_scores: Equal = "tie"
    profiles: Path | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    swap: bool = True
    unreadable: Counter[str] | None = None


def load(source: str | Path, options: Loading | None = None) -> Table:
    """All pairs of a source. Raises InputError (one line: file, row, field) where it cannot be read, holds no pairs, or
    a row does not have the fields of the first one."""
    options = options or Loading()
    name, files, notes = find_files(source)
    profiles = read_profiles(options.profiles, files)
    writer, counts, kinds = Writer(), Counter[str](), Counter[str]()
    chosen = _readable(files, notes)
    for file, shape in chosen:
        kinds[shape.name] += 1
        prefix = f"{file.stem}:" if len(chosen) > 1 else ""
        for pair in _pairs(file, shape, prefix, counts, options.unreadable):
            ready = _ready(_with_profile(pair, profiles, counts), shape, options, counts)
            if ready is not None and all(_is(ready[0], *item) for item in options.where.items()):
                writer.add(*ready)
                if options.limit is not None and writer.rows >= options.limit:
                    break
        if options.limit is not None and writer.rows >= options.limit:
            notes.append(f"only the first {options.limit} pairs were read")
            break
    if options.profiles is not None and not counts["profiles"]:
        raise InputError(f"{options.profiles}: holds no profile of an annotator of {source}")
    if not writer.rows:
        wanted = ", ".join(f"{k}={v}" for k, v in options.where.items())
        raise InputError(f"{source}: holds no pairs" + (f" where {wanted}" if wanted else " with two answers"))
    return writer.finish(name, " + ".join(kinds), (*notes, *_notes(counts, kinds, options)))


def flipped(pair: Pair) -> Pair:
    """The same comparison with its answers in the other order."""
    metadata = {k: {"a": v["b"], "b": v["a"]} if sided(v) else v for k, v in pair.metadata.items()}
    return replace(
        pair,
        a=pair.b,
        b=pair.a,
        preference=None if pair.preference is None else 1 - pair.preference,
        model_a=pair.model_b,
        model_b=pair.model_a,
        ratings=None if pair.ratings is None else (pair.ratings[1], pair.ratings[0]),
        metadata=metadata,
    )


def ordered(pair: Pair) -> tuple[Pair, bool]:
    """The pair in the order that its texts draw, and whether that turned it. Two equal texts draw by the pair's id."""
    texts = [json.dumps(pair.messages, ensure_ascii=False), *sorted((pair.a, pair.b))]
    if pair.a == pair.b:
        texts.append(pair.id)
    coin = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] & 1
    turned = bool(coin) if pair.a == pair.b else (pair.a > pair.b) != bool(coin)
    return (flipped(pair), True) if turned else (pair, False)


def _readable(files: list[File], notes: list[str]) -> list[tuple[File, Shape]]:
    """The files that hold pairs, with their shapes; in a folder others are noted and passed over."""
    found: list[tuple[File, Shape]] = []
    passed: list[str] = []
    for file in files:
        first = next(iter_rows(file.path), None)
        shape = recognise(first) if first else None
        if shape is not None and shape.name != "verdicts" and "unpaired" not in shape.name:
            found.append((file, shape))
        elif len(files) == 1:
            raise _unread(file.path, first, shape)
        else:
            passed.append(file.path.name)
    if not found:
        raise InputError(f"{files[0].path.parent}: no file with pairs ({', '.join(passed[:6])}); known are {names()}")
    if any(s.name == PRISM for _, s in found):  # utterances hold the same pairs once more, without what stood before
        passed += [f.path.name for f, s in found if s.name == PRISM_ANSWERS]
        found = [(f, s) for f, s in found if s.name != PRISM_ANSWERS]
    if passed:
        notes.append(f"not read as pairs: {', '.join(passed)}")
    return found


def _unread(path: Path, first: Row | None, shape: Shape | None) -> InputError:
    if not first:
        return InputError(f"{path}: holds no rows")
    if shape is not None:
        try:
            next(iter(shape.read([first])), None)
        except InputError as error:
            return InputError(f"{path}: {error}")
    fields = ", ".join(map(str, list(first)[:12]))
    return InputError(f"{path}: not a shape of pairs that is known; its fields are {fields}; known are {names()}")


def _pairs(
    file: File, shape: Shape, prefix: str, counts: Counter[str], unreadable: Counter[str] | None
) -> Iterator[Pair]:
    for number, rows in _groups(iter_rows(file.path), shape.grouped, file.path):
        given = False
        try:
            for found in shape.read(rows):
                given = True
                yield _made(found, f"{prefix}{number - 1}", file.split)
        except KeyError as error:
            if unreadable is not None:
                unreadable[f"no field {error}"] += 1
                continue
            raise InputError(
                f"{file.path}: row {number}: no field {error} ({shape.name}); add it, or leave the row out"
            ) from error
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            if unreadable is not None:
                unreadable[f"cannot be read as {shape.name}"] += 1
                continue
            raise InputError(f"{file.path}: row {number}: cannot be read as {shape.name} ({error})") from error
        counts["without two answers"] += not given


def _groups(rows: Iterable[Row], by: str, path: Path) -> Iterator[tuple[int, list[Row]]]:
    """Rows one by one with their numbers, or neighbours that have a field in common."""
    numbered = enumerate(rows, start=1)
    if not by:
        yield from ((number, [row]) for number, row in numbered)
        return
    seen: set[str] = set()
    for key, group in itertools.groupby(numbered, key=lambda item: str(item[1].get(by))):
        together = list(group)
        if key in seen:
            raise InputError(f"{path}: row {together[0][0]}: rows of {by} {key} stand apart; sort the file by {by}")
        seen.add(key)
        yield together[0][0], [row for _, row in together]


def _made(found: Mapping[str, Any], number: str, split: str) -> Pair:
    fields = dict(found)
    suffix, own = fields.pop("id", ""), fields.pop("own_id", None)
    fields["id"] = own or (f"{number}:{suffix}" if suffix else number)
    if fields.get("conversation") == "row":
        fields["conversation"] = number
    fields["split"] = fields.get("split") or split
    return Pair(**fields)


def _with_profile(pair: Pair, profiles: Mapping[str, Mapping[str, Any]], counts: Counter[str]) -> Pair:
    profile = profiles.get(pair.annotator) if profiles else None
    counts["profiles"] += profile is not None
    return replace(pair, metadata={**pair.metadata, "profile": profile}) if profile else pair


def _ready(pair: Pair, shape: Shape, options: Loading, counts: Counter[str]) -> tuple[Pair, bool | None] | None:
    """The pair as it is stored, with whether it was turned; None where it is left out."""
    if pair.ratings is not None and pair.ratings[0] == pair.ratings[1] and pair.preference in (0.0, 1.0):
        counts["equal scores"] += 1
        if options.equal_scores == "drop":
            return None
        if options.equal_scores == "tie":
            pair = replace(pair, preference=0.5)
    if shape.placed:
        return pair, None
    counts["ordered"] += 1
    return ordered(pair) if options.swap else (pair, False)


def _is(pair: Pair, name: str, wanted: str) -> bool:
    key, _, path = name.partition(".")
    value: Any = getattr(pair, key, None)
    for part in filter(None, path.split(".")):
        value = value.get(part) if isinstance(value, Mapping) else None
    return str(value) == wanted


def _notes(counts: Counter[str], kinds: Counter[str], options: Loading) -> list[str]:
    found = []
    if counts["without two answers"]:
        found.append(f"{counts['without two answers']} rows without two answers were left out")
    if counts["equal scores"]:
        done = {"tie": "are ties here", "keep": "are kept as labelled", "drop": "were left out"}[options.equal_scores]
        found.append(f"{counts['equal scores']} pairs are labelled in spite of equal scores; they {done}")
    if counts["ordered"]:
        found.append("the file does not say which answer was shown first: pairs have an order drawn from their texts")
    if DEMO in kinds:
        found.append("the pairs are the strongest 2% of each feature, chosen by it: effects in them mean nothing")
    return found


def write_pairs(pairs: Pairs, path: Path) -> int:
    """Writes pairs in our own shape (JSON Lines), which `load` reads back as they are; returns how many."""
    with path.open("w", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps(asdict(pair), ensure_ascii=False) + "\n")
    return len(pairs)
