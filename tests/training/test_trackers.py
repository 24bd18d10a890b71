"""--log-to: trackers are told what the training log is told, step by step; without a network."""

import json
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


def test_wandb_has_the_logs_figures_in_a_folder(tiny, tmp_path, monkeypatch) -> None:
    """Two trainings of one process are two runs."""
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("one", "two"):
        rows = trained(tiny, tmp_path / name, "wandb")
        (path,) = (tmp_path / name / "wandb").glob("offline-run-*/*.wandb")
        store = DataStore()
        store.open_for_scan(str(path))
        told = []
        while (raw := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(raw)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                told.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
        assert [row["_step"] for row in told] == [1, 2, 3]
        assert [row["loss"] for row in told] == pytest.approx([row["loss"] for row in rows], rel=1e-5)
