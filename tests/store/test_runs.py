"""Run folders: atomic, deterministic, found by name, folder or `latest`."""

import json
from pathlib import Path

import pytest

from evalsuite.errors import InputError
from evalsuite.records import Health, Metric
from evalsuite.store import list_runs, open_run, write_run

METRIC = Metric("t", "acc", 0.1 + 0.2, 0.1, 0.5, 10, primary=True)
HEALTH = {"t": Health(10, truncated=0.1)}
ROWS = [{"task": "t", "sample": "1", "repeat": 0, "score.acc": 1.0}]


def write(store: Path, name: str, finished: str = "2026-01-01T00:00:00+00:00"):
    manifest = {"identity": "i", "finished": finished, "tasks": {}, "model": {"address": "m", "name": "m"}}
    return write_run(store, name, manifest, [METRIC], HEALTH, ROWS)


def test_round_trip(tmp_path: Path) -> None:
    run = open_run(tmp_path, write(tmp_path, "a/b").name)
    assert run.metrics == [METRIC]
    assert run.health == HEALTH
    assert run.samples()["score.acc"].tolist() == [1.0]


def test_metrics_are_byte_identical(tmp_path: Path) -> None:
    first = (write(tmp_path, "a").path / "metrics.json").read_bytes()
    assert (write(tmp_path, "b", "2027-01-01T00:00:00+00:00").path / "metrics.json").read_bytes() == first


def test_rewriting_keeps_other_files_and_leaves_no_temporary(tmp_path: Path) -> None:
    run = write(tmp_path, "a")
    (run.path / "annotations.jsonl").write_text("{}\n")
    write(tmp_path, "a")
    assert (run.path / "annotations.jsonl").exists()
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["a"]


def test_latest_and_list(tmp_path: Path) -> None:
    write(tmp_path, "new", "2026-02-01T00:00:00+00:00")
    write(tmp_path, "old", "2026-01-01T00:00:00+00:00")
    assert [r.name for r in list_runs(tmp_path)] == ["old", "new"]
    assert open_run(tmp_path, "latest").name == "new"
    assert open_run(tmp_path, str(tmp_path / "runs" / "old")).manifest["name"] == "old"


@pytest.mark.parametrize("name", ["../x", "", "a//b", ".hidden", "a/../b"])
def test_names_cannot_leave_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        write(tmp_path, name)


def test_unknown_and_damaged_runs(tmp_path: Path) -> None:
    run = write(tmp_path, "smollm2-abc")
    with pytest.raises(InputError, match="smollm2-abc"):
        open_run(tmp_path, "smolm2-abc")
    (run.path / "metrics.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(InputError, match="schema 99"):
        open_run(tmp_path, "smollm2-abc")
    (run.path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        open_run(tmp_path, "smollm2-abc")
