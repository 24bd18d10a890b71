"""Where a task's data is found, and what is said where it is not."""

from pathlib import Path

import pytest

from evalsuite.data import Setup
from evalsuite.data.hub import fetch
from evalsuite.errors import InputError


def setup(tmp_path: Path, data: str | None = None) -> Setup:
    return Setup("bench/a", tmp_path, data=data, public="bench")


def test_a_file_a_folder_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench").mkdir()
    file = tmp_path / "bench" / "rows.jsonl"
    file.write_text('{"a": 1}\n')
    assert setup(tmp_path, str(file)).file("other.jsonl") == file
    assert setup(tmp_path, str(file.parent)).rows("x.jsonl", "rows.jsonl") == [{"a": 1}]
    monkeypatch.setenv("EVALSUITE_DATA", str(tmp_path))
    assert setup(tmp_path).file("rows.jsonl") == file


def test_absent_data_says_how_to_give_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALSUITE_DATA", raising=False)
    with pytest.raises(InputError, match=r"--data bench=PATH .*rows.jsonl.*EVALSUITE_DATA"):
        setup(tmp_path).file("rows.jsonl")
    with pytest.raises(InputError, match="none of"):
        setup(tmp_path, str(tmp_path)).file("rows.jsonl")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf:org/name", "write hf:ORG/NAME@REVISION/PATH"),
        ("hf:org/name@main/data.jsonl", "40 hex digits"),
        ("hf:org/name@" + "0" * 40 + "/data.jsonl", "not in the local cache"),
    ],
)
def test_hub_data_is_pinned(address: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression 16 (lm-eval#3171) by its other half: what cannot be had offline is one clear line."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=message) as caught:
        fetch(address)
    assert "\n" not in str(caught.value)


def test_a_run_from_pinned_parquet_works_offline(tmp_path: Path, tiny: Path, plugin, public_data) -> None:
    """Regression 16 (lm-eval#3171): an offline run from a parquet file gives what the JSON file gives."""
    import pandas as pd

    from evalsuite import api
    from evalsuite.data import read_rows

    source = public_data("halueval/qa_data_part.jsonl.gz")
    parquet = tmp_path / "qa.parquet"
    pd.DataFrame(read_rows(source)[:4]).to_parquet(parquet)
    runs = [
        api.run(str(tiny), "halueval/qa", limit=4, store_dir=tmp_path / "st", data={"halueval": str(p)}, max_tokens=4)
        for p in (source, parquet)
    ]
    assert (runs[0].path / "metrics.json").read_bytes() == (runs[1].path / "metrics.json").read_bytes()


def test_shuffles_depend_on_the_sample_not_on_the_order(tmp_path: Path) -> None:
    one, two = setup(tmp_path), setup(tmp_path)
    two.rng("other").random()
    assert one.rng("x").random() == two.rng("x").random()
    assert one.rng("x").random() != one.rng("y").random()
