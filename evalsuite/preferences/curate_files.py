"""A curated dataset on the disk: what it holds, complete or not at all.

curated.jsonl    TRL's preference format, conversational: `prompt`, `chosen`, `rejected` as messages, and `id`; with
                 form "standard" as texts, where every prompt is one text
changed.jsonl    one line a changed pair: id, activation, the label before and after, the texts
record.json      what was asked and done, and every feature's effect before and after, with intervals

All are written into a folder beside the wanted one, which then takes its name: an interrupted command leaves nothing
there. Ties and unlabelled pairs cannot be said in TRL's format: they are left out, and counted in the record.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import evalsuite
from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair, Pairs
from evalsuite.preferences.curate import Curated, Shift
from evalsuite.preferences.measured import Measured
from evalsuite.preferences.table import prompt_of
from evalsuite.records import assistant

Form = Literal["conversational", "standard"]
CURATED, CHANGED, RECORD = "curated.jsonl", "changed.jsonl", "record.json"


def write_curated(
    pairs: Pairs, measured: Measured, found: Curated, folder: Path, form: Form = "conversational"
) -> dict[str, Any]:
    """Writes the three files into a new (or empty) folder, and returns the record. Raises InputError where the folder
    holds something, or a conversation is to be written as text."""
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        counts = _write_rows(beside / CURATED, pairs, found, form)
        with (beside / CHANGED).open("w", encoding="utf-8", errors="replace") as file:
            for line in changes(pairs, measured, found):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        record = {**record_of(pairs, measured, found), **counts, "form": form}
        text = json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False)
        (beside / RECORD).write_text(text + "\n", encoding="utf-8", errors="replace")
        beside.chmod(0o755)
        if folder.is_dir():
            folder.rmdir()
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return record


def check_folder(folder: Path) -> None:
    """Raises InputError where results cannot be written there without losing something."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; give a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"--out {folder}: holds files; give a new folder")


def changes(pairs: Pairs, measured: Measured, found: Curated) -> Iterator[dict[str, Any]]:
    """The diff: one JSON object a changed pair, strongest first. `preference` is for answer `a`; None after a drop."""
    z = measured.z[:, found.column]
    for row in found.chosen:
        pair = pairs[int(row)]
        after = None if found.wanted.action == "drop" else 1 - float(pair.preference or 0.0)
        yield {
            "id": pair.id,
            "row": int(row),
            "action": found.wanted.action,
            "feature": found.wanted.feature,
            "activation": float(z[row]),
            "preference": {"before": pair.preference, "after": after},
            "prompt": prompt_of(pair.messages),
            "a": pair.a,
            "b": pair.b,
            "annotator": pair.annotator,
        }


def record_of(pairs: Pairs, measured: Measured, found: Curated) -> dict[str, Any]:
    """The written record as plain JSON. Effects' `n` are labelled pairs."""
    weakest = float(abs(measured.z[found.chosen[-1], found.column]))
    return {
        "evalsuite": evalsuite.__version__,
        "dataset": pairs.name,
        "shape": pairs.format,
        "pairs": len(pairs),
        "labelled": found.labelled,
        "features_from": measured.source,
        **asdict(found.wanted),
        "contradicting": found.contradicting,
        "changed": len(found.chosen),
        "weakest_activation": weakest,
        "effects": [_shift(shift, j == found.column) for j, shift in enumerate(found.shifts)],
        "notes": [*pairs.notes, *found.notes],
        "coding": "change: of the win rate when the feature moves from the second text to the first; beta: log-odds "
        "for one root mean square; alone (beside length, where that is a feature) and jointly",
    }


def _shift(shift: Shift, target: bool) -> dict[str, Any]:
    return {**asdict(shift), "target": target, "inside": shift.inside, "joint_inside": shift.joint_inside}


def _write_rows(path: Path, pairs: Pairs, found: Curated, form: Form) -> dict[str, Any]:
    counts = {"written": 0, "ties_left_out": 0, "unlabelled_left_out": 0, "dropped": 0}
    dropped = {int(r) for r in found.chosen} if found.wanted.action == "drop" else set()
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for row, (pair, label) in enumerate(zip(pairs, found.labels, strict=True)):
            if row in dropped:
                counts["dropped"] += 1
            elif label != label:
                counts["unlabelled_left_out"] += 1
            elif label == 0.5:
                counts["ties_left_out"] += 1
            else:
                file.write(json.dumps(trl_row(pair, label > 0.5, form), ensure_ascii=False) + "\n")
                counts["written"] += 1
    if not counts["written"]:
        raise InputError(f"{pairs.name}: no decided pair would be left")
    return counts


def trl_row(pair: Pair, first: bool, form: Form = "conversational") -> dict[str, Any]:
    """A pair as TRL's trainers read it; `first` where `a` is chosen. A pair without a prompt has none in either form.
    Raises InputError where "standard" is asked for and the prompt is more than one turn of text."""
    chosen, rejected = (pair.a, pair.b) if first else (pair.b, pair.a)
    if form == "conversational":
        row: Mapping[str, Any] = {"chosen": [assistant(chosen)], "rejected": [assistant(rejected)]}
        return {**({"prompt": list(pair.messages)} if pair.messages else {}), **row, "id": pair.id}
    if len(pair.messages) > 1 or any(not isinstance(m["content"], str) for m in pair.messages):
        raise InputError(f"pair {pair.id}: is a conversation of several turns; --form conversational is wanted")
    prompt = {"prompt": prompt_of(pair.messages)} if pair.messages else {}
    return {**prompt, "chosen": chosen, "rejected": rejected, "id": pair.id}
