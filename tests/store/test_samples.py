"""samples.parquet written window by window reads as if it had been written at once."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalsuite.store import SampleFile

Lines = list[dict[str, Any]]


def lines(start: int, stop: int, *scores: str) -> Lines:
    base: Lines = [{"task": "t", "sample": str(i), "repeat": 0, "answer": None} for i in range(start, stop)]
    for line in base:
        for name in scores:
            line |= {f"score.{name}": int(line["sample"]) / 10, f"reason.{name}": None, f"weight.{name}": 1.0}
    return base


def read(path: Path) -> Lines:
    frame = pd.read_parquet(path)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


@pytest.mark.parametrize("hold", [True, False])
def test_windows_make_one_file(tmp_path: Path, hold: bool) -> None:
    whole, parts = SampleFile(), SampleFile(hold)
    whole.add(lines(0, 9, "acc"))
    for start in range(0, 9, 3):
        parts.add(lines(start, start + 3, "acc"))
    whole.finish(tmp_path / "whole.parquet")
    parts.finish(tmp_path / "parts.parquet")
    one, two = pd.read_parquet(tmp_path / "whole.parquet"), pd.read_parquet(tmp_path / "parts.parquet")
    pd.testing.assert_frame_equal(one, two)


def test_scores_that_come_later_are_empty_before(tmp_path: Path) -> None:
    file = SampleFile()
    file.add(lines(0, 2, "acc"))
    file.add(lines(2, 4, "acc", "f1"))
    file.add(lines(4, 5, "acc"))
    file.finish(tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet")
    assert [r["score.f1"] for r in rows] == [None, None, 0.2, 0.3, None]
    assert [r["score.acc"] for r in rows] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert list(rows[0])[-3:] == ["score.f1", "reason.f1", "weight.f1"]


@pytest.mark.parametrize("windows", [1, 3])
def test_marked_rows_are_mended_at_the_end(tmp_path: Path, windows: int) -> None:
    file = SampleFile()
    given = lines(0, 6, "acc")
    step = 6 // windows
    for start in range(0, 6, step):
        places = {i - start: f"why {i}" for i in (1, 4) if start <= i < start + step}
        file.add(given[start : start + step], places)

    def mend(line: dict[str, Any], reason: str) -> None:
        line["reason.acc"] = reason

    file.finish(tmp_path / "a.parquet", mend)
    assert [r["reason.acc"] for r in read(tmp_path / "a.parquet")] == [None, "why 1", None, None, "why 4", None]
