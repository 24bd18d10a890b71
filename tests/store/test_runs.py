"""Run folders: atomic, deterministic, found by name, folder or `latest`."""

import json
from pathlib import Path

import pytest

from evalsuite.errors import InputError, StoreError
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


@pytest.mark.parametrize("place", [".hidden/store", "a/../store"])
def test_a_store_may_lie_below_a_hidden_or_relative_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / place, "one")
    assert [r.name for r in list_runs(tmp_path / place)] == ["one"]


def test_a_run_is_never_written_over_a_group_of_runs_or_inside_one(tmp_path: Path) -> None:
    write(tmp_path, "pair/a")
    with pytest.raises(InputError, match="is a group of runs"):
        write(tmp_path, "pair")
    write(tmp_path, "one")
    with pytest.raises(InputError, match="lies inside the run 'one'"):
        write(tmp_path, "one/b")


@pytest.mark.parametrize("name", ["latest", "a\nb", "x" * 300])
def test_names_that_cannot_be_found_again(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="run name"):
        write(tmp_path, name)


def test_a_very_long_or_empty_name_is_unknown_and_no_crash(tmp_path: Path) -> None:
    for name in ("x" * 5000, "", "y" * 300):
        with pytest.raises(InputError):
            open_run(tmp_path, name)


def test_several_processes_write_one_run_at_once(tmp_path: Path) -> None:
    """Renames of two writers interleave: one found the folder gone, or full, and died."""
    import threading

    faults: list[BaseException] = []

    def often() -> None:
        try:
            for _ in range(15):
                write(tmp_path, "same")
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert open_run(tmp_path, "same").metrics == [METRIC]


@pytest.mark.parametrize(
    ("file", "text"),
    [("manifest.json", "[]"), ("metrics.json", '{"schema": 1}'), ("metrics.json", '{"schema": 1, "metrics": [{}]}')],
)
def test_damaged_files_are_one_clear_line(tmp_path: Path, file: str, text: str) -> None:
    run = write(tmp_path, "a")
    (run.path / file).write_text(text)
    with pytest.raises(InputError, match="damaged run"):
        open_run(tmp_path, "a")
    (write(tmp_path, "b").path / "samples.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        open_run(tmp_path, "b").samples()


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        write(tmp_path, "a")
