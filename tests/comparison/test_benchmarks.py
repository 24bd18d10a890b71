"""The benchmarks of this room in small: simulated coverage, and AlpacaFarm's SFT against RLHF as the files have it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "comparison"


def module(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


def test_intervals_hold_the_simulated_truth_and_holm_keeps_quiet():
    coverage = module("coverage")
    rows = coverage.cover((7, 80))
    assert [row[0] for row in rows[:4]] == list(coverage.DESIGNS)
    assert sum(held for _, held, *_ in rows) >= 68  # 95% of 80 are 76; below 68 by chance once in ten thousand times
    few = [width / unpaired for design, _, _, width, unpaired in rows if design == "shares, few flips"]
    assert max(few) < 1
    found, plain, _ = coverage.null((7, 12))
    assert found <= 4
    assert plain > found


def test_alpaca_farms_rlhf_model_writes_longer_answers(public_data, tmp_path, monkeypatch, capsys):
    data = public_data("alpaca_farm/outputs_rlhf.json").parent
    out = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["alpaca_farm.py", "--data", str(data), "--out", str(out)])
    assert module("alpaca_farm").main() == 0
    found = json.loads(out.read_text())
    assert found["mean_characters"] == {"sft": pytest.approx(258, abs=0.6), "rlhf": pytest.approx(728, abs=0.6)}
    assert any(
        s.startswith("rlhf writes longer answers than sft: 258.5 → 728.4 characters (2.8 times")
        for s in found["summary"]
    )
    assert not any("refuse" in s and s.startswith("rlhf") for s in found["summary"])  # neither file refuses
    length = next(d for d in found["texts"] if d["measure"] == "characters")
    assert length["n"] == 252
    assert 0 < length["low"] < length["value"] < length["high"]
