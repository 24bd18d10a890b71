"""`evalsuite judge`: files in, annotations and figures out, through a real server on loopback."""

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
from evalsuite.judging.material import Sources
from evalsuite.judging.pairing import cases_of, cases_of_files


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


def judge(folder: Path, name: str, responses: tuple[Path, ...], model: str, *more: str) -> int:
    top = argparse.ArgumentParser()
    cli.add_parser(top.add_subparsers(dest="verb"))
    words = ["judge", name, "--responses", *map(str, responses), "--judge-model", model]
    words += ["--out", str(folder / "out.jsonl"), "--store", str(folder / "store"), *more]
    args = top.parse_args(words)
    return int(args.func(args))


def run(folder: Path, a: Path, b: Path, model: str, *more: str) -> int:
    return judge(folder, "pairwise", (a, b), model, *more)


def honest(body: dict[str, Any]) -> str:
    first = body["messages"][-1]["content"].split("<answer_a>\n")[1]
    return "A" if first.startswith("good") else "B"


def grader(body: dict[str, Any]) -> str:
    text = body["messages"][-1]["content"]
    return "8" if "\ngood" in text.split("<answer>")[1] else "3"


def summary(shown: str) -> dict[str, Any]:
    found = json.loads(shown)
    assert len(found["summaries"]) == 1
    return {**found, **found["summaries"][0]}


def test_win_rate_of_two_files(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Guards regression item 20 end to end: files in any order, both placements, the better answers win."""
    server.reply = honest
    a, b = files(tmp_path)
    model = f"openai:wise@{server.url}"
    assert run(tmp_path, a, b, model, "--json") == 0
    found = summary(capsys.readouterr().out)
    assert found["win_rate"]["value"] == 1.0
    assert found["win_rate"]["n"] == found["cases"] == 6
    assert found["consistency"]["value"] == 1.0
    assert found["work"]["unparsed"] == 0
    assert (found["model_a"], found["model_b"], found["judge_model"]) == ("better", "worse", "wise")
    assert found["work"]["modes"] == {"text": 12}
    rows = read_annotations(tmp_path / "out.jsonl")
    assert len(rows) == found["rows"] == 12
    assert {r.order for r in rows} == {"ab", "ba"}
    asked = len(server.seen)
    assert asked == 12
    assert run(tmp_path, b, a, model, "--json") == 0
    assert summary(capsys.readouterr().out)["win_rate"]["value"] == 0.0
    assert len(server.seen) == asked  # the swapped files ask the same questions: all answered from the cache


def test_the_table_says_what_qualifies_the_figure(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = lambda body: "Both" if "Question 0" in body["messages"][-1]["content"] else "A"
    prices = ("--model-args", "price_in=1", "--model-args", "price_out=2")
    assert run(tmp_path, *files(tmp_path), f"openai:lazy@{server.url}", "--limit", "4", *prices) == 0
    shown = capsys.readouterr().out
    assert "better against worse, judged by lazy with pairwise/2#" in shown
    assert "0.500" in shown
    assert "(3 flips)" in shown
    assert "1 of 4 cases (1 judge_parse)" in shown
    assert "asked again        2 of 8 rows" in shown
    assert len(server.seen) == 6 + 2 * 3
    rows = read_annotations(tmp_path / "out.jsonl")
    assert [r.attempts for r in rows] == [3, 3, 1, 1, 1, 1, 1, 1]
    assert rows[0].cost == pytest.approx((3 * 3 + 2 * 3 * 1) / 1e6)  # three calls of 3 tokens in and 1 out


def test_grades_of_two_models_and_their_difference(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = grader
    a, b = files(tmp_path)
    assert judge(tmp_path, "pointwise", (a, b), f"openai:wise@{server.url}", "--json") == 0
    found = summary(capsys.readouterr().out)
    assert [(m["model"], m["grade"]["value"], m["grade"]["n"]) for m in found["models"]] == [
        ("better", 8.0, 6),
        ("worse", 3.0, 6),
    ]
    assert found["differences"]["worse"]["value"] == -5.0
    assert judge(tmp_path, "pointwise", (a,), f"openai:wise@{server.url}") == 0
    shown = capsys.readouterr().out
    assert "graded by wise with pointwise/1#" in shown
    assert "8.000" in shown
    assert len(server.seen) == 12


def test_a_judge_is_given_what_it_needs(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = files(tmp_path)
    server.reply = lambda body: "5"
    model = f"openai:wise@{server.url}"
    for name, wanted in (("reference", "--references"), ("pointwise_baseline", "--baseline"), ("rubric", "--criteria")):
        with pytest.raises(JudgeError, match=f"sample prompt-0 has no .*; give {wanted} FILE"):
            judge(tmp_path, name, (a,), model)
    assert not server.seen
    references = write(
        tmp_path / "r.jsonl", [{"prompt": f"Question  {i}", "reference": f"right {i}"} for i in range(6)]
    )
    assert judge(tmp_path, "reference", (a,), model, "--references", str(references)) == 0
    assert "<reference>\nright 3\n</reference>" in "".join(b["messages"][-1]["content"] for _, _, b in server.seen)
    server.seen.clear()
    assert judge(tmp_path, "pointwise_baseline", (a, a), model, "--baseline", str(b)) == 0
    assert len(server.seen) == 6 + 6  # the baseline once a question, equal answers once
    criteria = [{"text": "is short", "kind": "hard"}, {"text": "is kind", "weight": 3}]
    given = write(tmp_path / "c.jsonl", criteria)
    server.seen.clear()
    server.reply = lambda body: "Yes" if "Yes or No" in body["messages"][-1]["content"] else "5"
    assert judge(tmp_path, "rubric", (a,), model, "--criteria", str(given), "--judge-args", "gate=true") == 0
    assert {r.score for r in read_annotations(tmp_path / "out.jsonl")} == {1.0}
    assert len(server.seen) == 12
    capsys.readouterr()


def test_a_dry_run_tells_calls_tokens_and_cost_and_asks_nothing(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = files(tmp_path)
    server.reply = honest
    model = f"openai:wise@{server.url}"
    prices = ("--model-args", "price_in=1", "--model-args", "price_out=2")
    assert run(tmp_path, a, b, model, "--dry-run", "--json", *prices) == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert (plan["cases"], plan["calls"], plan["requests"], plan["cached"], plan["unasked"]) == (6, 12, 12, 0, 0)
    assert plan["costs"]["max_new_tokens"] == 12 * 32
    assert plan["cost"] == pytest.approx((plan["costs"]["prompt_tokens"] + 2 * 12 * 32) / 1e6)
    assert not server.seen
    assert not (tmp_path / "out.jsonl").exists()
    assert not (tmp_path / "store").exists()
    assert run(tmp_path, a, b, model, "--limit", "4") == 0
    capsys.readouterr()
    assert run(tmp_path, a, b, model, "--dry-run", *prices) == 0
    shown = capsys.readouterr().out
    assert "calls    4 distinct of 12 (8 answered before)" in shown
    assert "at most" in shown
    assert judge(tmp_path, "pointwise_baseline", (a,), model, "--baseline", str(b), "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "later    about 6 more calls in later stages: an estimate" in shown
    assert "no price known" in shown
    assert len(server.seen) == 8


def test_several_judge_models_have_rows_of_their_own(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = lambda body: "A" if body["model"] == "one" else "B"
    a, b = files(tmp_path, 2)
    more = ("--judge-model", f"openai:two@{server.url}", "--orders", "ab", "--json")
    assert run(tmp_path, a, b, f"openai:one@{server.url}", *more) == 0
    found = json.loads(capsys.readouterr().out)["summaries"]
    assert [(s["judge_model"], s["win_rate"]["value"]) for s in found] == [("one", 1.0), ("two", 0.0)]
    assert [r.judge_model for r in read_annotations(tmp_path / "out.jsonl")] == ["one", "one", "two", "two"]


def test_repeats_and_seeded_orders(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.reply = honest
    a, b = files(tmp_path)
    assert run(tmp_path, a, b, f"openai:w@{server.url}", "--repeats", "2", "--orders", "seeded") == 0
    rows = read_annotations(tmp_path / "out.jsonl")
    assert len(rows) == len(server.seen) == 12
    assert {b["temperature"] for _, _, b in server.seen} == {0.7}
    assert len({b["seed"] for _, _, b in server.seen}) > 1
    capsys.readouterr()


def test_a_missing_key_stops_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards regression item 14: no key is an error with status 2, and no annotations file appears."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set"):
        run(tmp_path, *files(tmp_path), "openai:m@https://api.example.com/v1")
    assert not (tmp_path / "out.jsonl").exists()


def test_wrong_uses(server: Server, tmp_path: Path) -> None:
    a, b = files(tmp_path)
    other = write(tmp_path / "c.jsonl", [{"instruction": "Another", "output": "x"}])
    model = f"openai:m@{server.url}"
    with pytest.raises(InputError, match="share no prompt"):
        run(tmp_path, a, other, model)
    with pytest.raises(JudgeError, match="2 files, not 1"):
        judge(tmp_path, "pairwise", (a,), model)
    for option, message in (
        (("--limit", "0"), "--limit 0"),
        (("--repeats", "0"), "--repeats 0"),
        (("--attempts", "0"), "--attempts 0"),
        (("--gen", "heat=1"), "--gen heat=1"),
        (("--judge-args", "x=1"), "no such option"),
        (("--categories", "topic"), "no row of .* has this field"),
        (("--out", ""), "--out FILE is wanted"),
    ):
        with pytest.raises((InputError, JudgeError), match=message):
            run(tmp_path, a, b, model, *option)
    assert not server.seen
    made = write(tmp_path / "made.jsonl", [{"prompt": "x", "response": "A"}])
    with pytest.raises(JudgeError, match=r"scores no given texts"):
        run(tmp_path, a, b, f"responses:{made}", "--verdicts", "likelihood")
    assert not (tmp_path / "out.jsonl").exists()


# -- files into cases -------------------------------------------------------------------------------------------------


def test_pairing_by_id_needs_prompts(tmp_path: Path) -> None:
    rows = [{"question_id": 81, "turns": ["one", "two"]}, {"question_id": 82, "turns": ["three", "four"]}]
    a, b = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", list(reversed(rows)))
    with pytest.raises(InputError, match="--questions"):
        cases_of_files(a, b)
    questions = write(tmp_path / "q.jsonl", [{"question_id": i, "turns": [f"Q{i}", f"And {i}?"]} for i in (81, 82)])
    cases = cases_of_files(a, b, questions)
    assert [c.id for c in cases] == ["81", "81#2", "82", "82#2"]
    assert [m["content"] for m in cases[1].messages] == ["Q81", "And 81?"]
    assert [m["content"] for m in cases[1].conversation(0)] == ["Q81", "one", "And 81?"]
    assert cases[0].conversation(1) == cases[0].messages
    assert [answer.model for answer in cases[0].answers] == ["a", "b"]


def test_what_stands_beside_the_answers(tmp_path: Path) -> None:
    """By id where there is one, else by prompt; turns of a dialogue have references of their own."""
    a = write(tmp_path / "a.jsonl", [{"question_id": 81, "turns": ["one", "two"]}])
    questions = [{"question_id": 81, "turns": ["Q", "And?"], "category": "maths", "reference": ["r1", "r2"]}]
    q = write(tmp_path / "q.jsonl", questions)
    base = write(tmp_path / "base.jsonl", [{"question_id": 81, "turns": ["b1", "b2"], "model": "base"}])
    helper = write(tmp_path / "h.jsonl", [{"prompt": " Q ", "response": "h1"}])
    criteria = write(tmp_path / "c.jsonl", [{"id": 81, "criteria": ["clear", {"text": "short", "kind": "hard"}]}])
    sources = Sources((a,), q, base, q, (helper, helper), criteria)
    first, second = cases_of(sources, (1, 1))
    assert first.category == second.category == "maths"
    assert (first.reference, second.reference) == ("r1", "r2")
    assert second.metadata == {"references": ["r1"]}
    assert first.baseline is not None
    assert second.baseline is not None
    assert (first.baseline.text, second.baseline.text, first.baseline.model) == ("b1", "b2", "base")
    assert [x.text for x in first.auxiliary] == ["h1", "h1"]
    assert [(c.text, c.kind) for c in first.criteria] == [("clear", "principle"), ("short", "hard")]
    pairs = cases_of(Sources((a,), q, base), (2, 2))
    assert [(c.a, c.b) for c in pairs] == [("one", "b1"), ("two", "b2")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"criteria": ["x"]}, "row 1: needs an id or a prompt"),
        ({"id": 1, "criteria": []}, "row 1: needs an id or a prompt, and a list"),
        ({"id": 1, "criteria": [{"text": "x", "weight": 0}]}, "row 1, criterion 1: 'weight' is 0"),
        ({"text": "x", "kind": "soft"}, "'kind' is 'soft'"),
        ({"weight": 2}, "a criterion needs a 'text'"),
    ],
)
def test_faulty_criteria_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    a, _ = files(tmp_path)
    with pytest.raises(InputError, match=message):
        cases_of(Sources((a,), criteria=write(tmp_path / "c.jsonl", [row])), (1, 1))


def test_public_files_pair_up(public_data: Callable[[str], Path]) -> None:
    names = [f"alpaca_eval/model_outputs/{m}.json.gz" for m in ("alpaca-7b", "vicuna-13b-v1.5")]
    cases = cases_of_files(public_data(names[0]), public_data(names[1]))
    assert len(cases) == 805
    assert [answer.model for answer in cases[0].answers] == ["alpaca-7b", "vicuna-13b-v1.5"]
    turns = [f"mt_bench/answers_{m}.jsonl.gz" for m in ("Llama-3.1-8B-Instruct", "Phi-3.5-mini-Instruct")]
    questions = public_data("mt_bench/questions.jsonl.gz")
    paired = cases_of_files(public_data(turns[0]), public_data(turns[1]), questions)
    assert len(paired) == 160
    assert {c.category for c in paired} >= {"writing", "math", "coding"}
    assert [len(c.conversation(0)) for c in paired[:2]] == [1, 3]
