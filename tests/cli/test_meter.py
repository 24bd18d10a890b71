"""Progress on stderr: each stage of a work has its own speed, and short ones say nothing twice."""

import pytest

from evalsuite.cli import common


def test_a_stage_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [100.0]
    monkeypatch.setattr(common.time, "monotonic", lambda: clock[0])
    show = common.meter("train")
    for done in (1000, 2000, 3000):
        clock[0] += 50
        show(done, 4000, "rows")
    for done in range(1, 5):
        clock[0] += 20
        show(done, 4, "loss 1.0")
    show(4, 4, "again")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "train: 1000/4000 rows",
        "train: 2000/4000 rows, 100 s left",
        "train: 3000/4000 rows, 50 s left",
    ]
    assert lines[3:] == [
        "train: 1/4 loss 1.0",
        "train: 2/4 loss 1.0, 40 s left",
        "train: 3/4 loss 1.0, 20 s left",
        "train: 4/4 loss 1.0",
    ]
