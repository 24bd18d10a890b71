"""`evalsuite judge`: files in, annotations and win rate out, through a real server on loopback."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from openai_server import Server, serving

from evalsuite.cli import judge as cli
from evalsuite.errors import InputError, JudgeError, ModelError
from evalsuite.judging import read_annotations
from evalsuite.judging.pairing import cases_of_files


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def files(folder: Path, n: int = 6) -> tuple[Path, Path]:
    a = [{"instruction": f"Question {i}", "output": f"good {i}", "generator": "better"} for i in range(n)]
    b = [{"instruction": f"Question {i}", "output": f"bad {i}", "generator": "worse"} for i in reversed(range(n))]
    return write(folder / "a.jsonl", a), write(folder / "b.jsonl", b)


def run(folder: Path, a: Path, b: Path, model: str, *more: str) -> int:
    top = argparse.ArgumentParser()
    cli.add_parser(top.add_subparsers(dest="verb"))
    words = ["judge", "pairwise", "--responses", str(a), str(b), "--judge-model", model]
    words += ["--out", str(folder / "out.jsonl"), "--store", str(folder / "store"), *more]
    return int(top.parse_args(words).func(top.parse_args(words)))


def honest(body: dict[str, Any]) -> str:
    first = body["messages"][-1]["content"].split("<answer_a>\n")[1]
    return "A" if first.startswith("good") else "B"


def test_win_rate_of_two_files(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Guards regression item 20 end to end: files in any order, both placements, the better answers win."""
    server.reply = honest
    a, b = files(tmp_path)
    model = f"openai:wise@{server.url}"
    assert run(tmp_path, a, b, model, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["win_rate"]["value"] == 1.0
    assert found["win_rate"]["n"] == found["cases"] == 6
    assert found["consistency"]["value"] == 1.0
    assert found["unparsed"] == 0
    assert (found["model_a"], found["model_b"], found["judge_model"]) == ("better", "worse", "wise")
    assert found["modes"] == {"text": 12}
    rows = read_annotations(tmp_path / "out.jsonl")
    assert len(rows) == 12
    assert {r.order for r in rows} == {"ab", "ba"}
    asked = len(server.seen)
    assert asked == 12
    assert run(tmp_path, b, a, model, "--json") == 0
    assert json.loads(capsys.readouterr().out)["win_rate"]["value"] == 0.0
    assert len(server.seen) == asked  # the swapped files ask the same questions: all answered from the cache


def test_the_table_says_what_qualifies_the_figure(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = lambda body: "Both" if "Question 0" in body["messages"][-1]["content"] else "A"
    assert run(tmp_path, *files(tmp_path), f"openai:lazy@{server.url}", "--limit", "4") == 0
    shown = capsys.readouterr().out
    assert "better against worse, judged by lazy with pairwise/1#" in shown
    assert "0.500" in shown
    assert "1 of 4 cases (1 judge_parse)" in shown


def test_a_missing_key_stops_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards regression item 14: no key is an error with status 2, and no annotations file appears."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set"):
        run(tmp_path, *files(tmp_path), "openai:m@https://api.example.com/v1")
    assert not (tmp_path / "out.jsonl").exists()


def test_wrong_uses(server: Server, tmp_path: Path) -> None:
    a, b = files(tmp_path)
    other = write(tmp_path / "c.jsonl", [{"instruction": "Another", "output": "x"}])
    with pytest.raises(InputError, match="share no prompt"):
        run(tmp_path, a, other, f"openai:m@{server.url}")
    with pytest.raises(JudgeError, match="two files"):
        run(tmp_path, a, b, f"openai:m@{server.url}", "--responses", str(a))
    with pytest.raises(InputError, match="--limit 0"):
        run(tmp_path, a, b, f"openai:m@{server.url}", "--limit", "0")
    assert not server.seen


def test_pairing_by_id_needs_prompts(tmp_path: Path) -> None:
    rows = [{"question_id": 81, "turns": ["one", "two"]}, {"question_id": 82, "turns": ["three", "four"]}]
    a, b = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", list(reversed(rows)))
    with pytest.raises(InputError, match="--questions"):
        cases_of_files(a, b)
    questions = write(tmp_path / "q.jsonl", [{"question_id": i, "turns": [f"Q{i}", f"And {i}?"]} for i in (81, 82)])
    cases = cases_of_files(a, b, questions)
    assert [c.id for c in cases] == ["81", "81#2", "82", "82#2"]
    assert [m["content"] for m in cases[1].messages] == ["Q81", "And 81?"]
    assert tuple(answer.model for answer in cases[0].answers) == ("a", "b")


def test_public_files_pair_up(public_data: Callable[[str], Path]) -> None:
    names = [f"alpaca_eval/model_outputs/{m}.json.gz" for m in ("alpaca-7b", "vicuna-13b-v1.5")]
    cases = cases_of_files(public_data(names[0]), public_data(names[1]))
    assert len(cases) == 805
    assert tuple(answer.model for answer in cases[0].answers) == ("alpaca-7b", "vicuna-13b-v1.5")
    turns = [f"mt_bench/answers_{m}.jsonl.gz" for m in ("Llama-3.1-8B-Instruct", "Phi-3.5-mini-Instruct")]
    questions = public_data("mt_bench/questions.jsonl.gz")
    assert len(cases_of_files(public_data(turns[0]), public_data(turns[1]), questions)) == 160
