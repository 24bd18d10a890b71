"""--log-to: trackers are told what the training log is told, step by step; without a network."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalsuite.cli import main
from evalsuite.training.log import read as read_log


def trained(tiny: Path, out: Path, tracker: str) -> list[dict[str, float]]:
    data = out.parent / "sft.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"Say {i}", "completion": f"It is {i}"}) + "\n" for i in range(4)))
    words = ["train", "sft", "--model", str(tiny), "--data", str(data), "--out", str(out), "dtype=float32"]
    assert main([*words, "max_steps=3", "logging_steps=1", "--log-to", tracker]) == 0
    return read_log(out)


def test_tensorboard_has_the_logs_figures(tiny, tmp_path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = trained(tiny, tmp_path / "out", "tensorboard")
    board = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == set(rows[0]) - {"step"}
    for name in ("loss", "learning_rate", "grad_norm"):
        told = [(event.step, event.value) for event in board.Scalars(name)]
        assert [step for step, _ in told] == [row["step"] for row in rows]
        assert [value for _, value in told] == pytest.approx([row[name] for row in rows], rel=1e-5)


def offline_records(path: Path) -> Iterator[bytes]:
    """What W&B wrote: a header of seven bytes, then LevelDB's log (blocks of 32 KiB; a record is whole, or first,
    middle and last parts; each has a checksum, a length and a kind in front)."""
    raw, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(raw):
        left = (1 << 15) - at % (1 << 15)
        if left < 7:  # no room for another front
            at += left
            continue
        length, kind = struct.unpack_from("<HB", raw, at + 4)
        parts += raw[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def history(path: Path) -> list[dict[str, float]]:
    """The rows of a run that has ended. W&B's service may write them when `finish` is over."""
    from wandb.proto.wandb_internal_pb2 import Record

    for _ in range(600):
        records = [Record.FromString(raw) for raw in offline_records(path)]
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            break
        time.sleep(0.1)
    rows = [record.history.item for record in records if record.WhichOneof("record_type") == "history"]
    return [{item.key or item.nested_key[0]: json.loads(item.value_json) for item in row} for row in rows]


def test_wandb_has_the_logs_figures_in_a_folder(tiny, tmp_path, monkeypatch) -> None:
    """Two trainings of one process are two runs."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("one", "two"):
        rows = trained(tiny, tmp_path / name, "wandb")
        (path,) = (tmp_path / name / "wandb").glob("offline-run-*/*.wandb")
        told = history(path)
        assert [row["_step"] for row in told] == [1, 2, 3]
        assert [row["loss"] for row in told] == pytest.approx([row["loss"] for row in rows], rel=1e-5)
