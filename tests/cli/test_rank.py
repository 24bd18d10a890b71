"""`evalsuite rank`: tables, JSON, files of options, and one line for what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalsuite.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def alpaca(tmp_path: Path) -> list[str]:
    """Two models' compact annotations."""
    rng = np.random.default_rng(0)
    paths = []
    for model, chance in (("good", 0.7), ("poor", 0.3)):
        rows = [
            {
                "index": i,
                "len_output_1": 200,
                "len_output_2": int(rng.integers(100, 400)),
                "preference": 1.0 + float(rng.random() < chance) if i else None,
            }
            for i in range(60)
        ]
        path = tmp_path / f"{model}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
        paths.append(str(path))
    return paths


def said(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main(["rank", *words, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def refused(capsys: Capture, *words: str) -> str:
    assert main(["rank", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_table_with_every_figures_n_and_interval(alpaca: list[str], capsys: Capture) -> None:
    assert main(["rank", *alpaca, "--baseline", "base"]) == 0
    out = capsys.readouterr().out
    assert "win_rate[alpaca_eval], against base" in out
    for words in ("rank", "group", "model", "good", "poor", "won/tied/lost", "missing: 2 judge_parse"):
        assert words in out
    line = next(line for line in out.splitlines() if "good" in line)
    assert "%" in line
    assert " 59 " in line


@pytest.mark.parametrize("method", ["win-rate", "length-controlled", "bradley-terry", "elo"])
def test_every_method_as_json(method: str, alpaca: list[str], capsys: Capture) -> None:
    found = said(capsys, *alpaca, "--baseline", "base", "--method", method, "--rounds", "50")
    assert found["schema"] == 1
    assert found["metric"] == f"{method.replace('-', '_')}[alpaca_eval]"
    models = [s["model"] for s in found["standings"]]
    assert models.index("good") < models.index("poor")
    for s in found["standings"]:
        assert s["n"] >= 59
        assert s["value"] is not None
        assert s["low"] <= s["high"]


def test_length_control_with_files(alpaca: list[str], tmp_path: Path, capsys: Capture) -> None:
    difficulty = tmp_path / "d.csv"
    difficulty.write_text("index,instruction_difficulty\n" + "".join(f"{i},{i % 5 - 2}\n" for i in range(60)))
    gamed = tmp_path / "g.csv"
    head = "variant,index,tanh_std_delta_len,instruction_difficulty,surrogate_preference\n"
    gamed.write_text(head + "".join(f"short,{i},0.5,{i % 5 - 2},0.3\n" for i in range(60)))
    given = tmp_path / "c.csv"
    given.write_text(
        ",np.tanh(std_delta_len),instruction_difficulty,not_gamed_baseline.astype(float)\ngood,-1,0.5,1\npoor,-1,0.5,-1\n"
    )
    words = (*alpaca, "--method", "length-controlled", "--difficulty", str(difficulty))
    fitted = said(capsys, *words, "--gamed", str(gamed))
    assert fitted["notes"] == []
    assert set(fitted["standings"][0]["more"]) >= {"win_rate", "length", "difficulty", "model"}
    known = said(capsys, *words, "--coefficients", str(given))
    hard = np.array([i % 5 - 2 for i in range(60)])
    expected = 1 / (1 + np.exp(-(1 + 0.5 * hard)))
    assert known["standings"][0]["value"] == pytest.approx(expected.mean())
    assert "--coefficients: need --difficulty" in refused(
        capsys, *alpaca, "--method", "length-controlled", "--coefficients", str(given)
    )
    given.write_text("model,a\ngood,1\n")
    assert "row 1: needs a model and its three terms" in refused(capsys, *words, "--coefficients", str(given))


def test_a_tree_and_tags(alpaca: list[str], tmp_path: Path, capsys: Capture) -> None:
    tree, tags = tmp_path / "tree.json", tmp_path / "tags.jsonl"
    tree.write_text(json.dumps({"math": {"sums": {}, "sets": {}}, "code": {}}))
    rows = [{"id": i, "domain": "math" if i % 2 else "code", "tags": ["sums"] if i % 4 == 1 else []} for i in range(60)]
    tags.write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = said(capsys, *alpaca, "--tree", str(tree), "--tags", str(tags), "--rounds", "50")
    assert [(n["path"], n["n"]) for n in found["tree"]] == [("", 59), ("code", 29), ("math", 30), ("math/sums", 15)]
    assert main(["rank", *alpaca, "--tree", str(tree), "--tags", str(tags), "--rounds", "50"]) == 0
    out = capsys.readouterr().out
    assert "1 deeper nodes with --depth N" in out
    tree.write_text("[]")
    assert "a tree is a JSON object" in refused(capsys, *alpaca, "--tree", str(tree))


def test_grades_by_turn_with_weights(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "grades.jsonl"
    rows = [
        {"question_id": q, "model": m, "judge": ["gpt-4", "single-v1"], "turn": t, "score": 5 + q % 3 + t}
        for m in ("x", "y")
        for q in range(6)
        for t in (1, 2)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    words = (str(path), "--method", "grade", "--by", "turn", "--weight", "1=3", "--weight", "2=1")
    found = said(capsys, *words)
    assert found["averages"][0]["macro"] == pytest.approx((3 * 7 + 8) / 4)
    assert main(["rank", *words]) == 0
    assert "by turn" in capsys.readouterr().out


def test_a_placed_model(alpaca: list[str], tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "new.jsonl"
    row = {"task": "", "model_a": "mine", "model_b": "base", "judge": "pairwise/2#aa", "judge_model": "small"}
    rows = [
        {**row, "sample": str(i), "protocol": "pairwise", "order": "ab", "preference": float(i % 2), "status": "parsed"}
        for i in range(40)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert main(["rank", *alpaca, "--baseline", "base", "--place", str(path)]) == 0
    out = capsys.readouterr().out
    assert "judged otherwise" in out
    assert "not comparable with the published figures" in " ".join(out.split())
    assert "of 2 judges" in refused(capsys, *alpaca, str(path), "--baseline", "base")


def test_what_is_wrong_is_said_in_one_line(alpaca: list[str], tmp_path: Path, capsys: Capture) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_text('{"prompt": 1}\n')
    assert "not a shape of annotations" in refused(capsys, str(odd))
    assert "no such" in refused(capsys, str(tmp_path / "none.jsonl")).lower()
    assert "must be at least 2" in refused(capsys, *alpaca, "--rounds", "1")
    assert "--slight 2.0" in refused(capsys, *alpaca, "--slight", "2")
    assert "--strong -1.0" in refused(capsys, *alpaca, "--strong", "-1")
    assert "--weight a=b: b is no number" in refused(capsys, *alpaca, "--weight", "a=b")
    assert "only --method length-controlled" in refused(capsys, *alpaca, "--difficulty", str(odd))
    assert "--style and --penalty" in refused(capsys, *alpaca, "--style", "length")
    assert "wants SWAP,REPEAT" in refused(capsys, *alpaca, "--judge-variance", "2,3")
