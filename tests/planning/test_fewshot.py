"""`--fewshot N` says something to tasks with demonstrations only: no silence where a task has none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.cli import main

SOURCE = '''"""Sums, with demonstrations or without."""
from evalsuite.records import Request, Sample, assistant, user
TASK = {"version": 1, "family": "reasoning", "primary": "acc", "fewshot": %s, "methods": ("direct", "cot")}

def load(setup):
    yield Sample("a", (user("1 + 1?"),), target="2")

def prompt(sample, setup):
    shots = (user("2 + 2?"), assistant("4")) * (setup.fewshot or 0)
    return [Request("generate", sample.messages, examples=shots if TASK["fewshot"] else ())]

def score(sample, completions):
    return {"acc": float(completions.text == sample.target)}
'''
SUITE = """[mine]
about = "Both"
tasks = ["shown@direct", "bare@direct"]
"""
Plan = Callable[..., int]


@pytest.fixture
def plan(tmp_path: Path, plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Plan:
    """`evalsuite plan` with --fewshot 2, on a file of answers and three tasks."""
    for name, where in (("shown", "True"), ("bare", "False"), ("partly", '("cot",)')):
        root = plugin(name, SOURCE % where)
    (root / "suites.toml").write_text(SUITE, encoding="utf-8")
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"id": "a", "response": "2"}\n', encoding="utf-8")
    monkeypatch.setenv("EVALSUITE_STORE", str(tmp_path / "runs"))
    return lambda *words: main(["plan", f"responses:{answers}", *words, "--fewshot", "2"])


@pytest.mark.parametrize("task", ["bare@direct", "partly@direct", "shown@direct,bare@cot"])
def test_a_named_task_without_demonstrations_is_an_error(
    task: str, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan("--tasks", task) == 2
    said = capsys.readouterr().err.strip()
    assert f"task {task.split(',')[-1]} has no demonstrations: leave --fewshot 2 out" in said
    assert "\n" not in said


@pytest.mark.parametrize("task", ["shown@direct", "partly@cot"])
def test_a_task_with_demonstrations_gets_them(task: str, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan("--tasks", task) == 0
    told = capsys.readouterr()
    assert "2 + 2?" in told.out
    assert "--fewshot" not in told.err


def test_a_suite_goes_on_without_them_and_says_so(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan("--suite", "mine") == 0
    told = capsys.readouterr()
    assert "bare@direct" in told.out
    assert "--fewshot 2: no demonstrations in bare@direct; asked without" in told.err


def test_a_broken_task_of_a_plug_in_stops_no_other(
    plan: Plan, plugin: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plugin("torn", "TASK = {")
    assert plan("--tasks", "shown@direct") == 0
    assert "left out: " in capsys.readouterr().err
    assert main(["list", "tasks"]) == 0
    told = capsys.readouterr()
    assert "shown@direct" in told.out
    assert told.err.count("torn") == 1
    assert "task.py:1: " in told.err
    assert plan("--tasks", "torn") == 2


@pytest.mark.usefixtures("plugin")  # it forgets plug-ins after the test
def test_a_broken_judge_of_a_plug_in_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder := tmp_path / "plug" / "judges" / "torn").mkdir(parents=True)
    (folder / "judge.py").write_text("JUDGE = {")
    assert main(["list", "judges", "--plugins", str(tmp_path / "plug")]) == 0
    told = capsys.readouterr()
    assert "pairwise" in told.out
    assert told.err.count("torn") == 1
    assert "judge.py:1: " in told.err
    assert main(["judge", "torn", "--plugins", str(tmp_path / "plug"), "--responses", "a", "--out", "b",
                 "--judge-model", "x"]) == 2  # fmt: skip
    assert "judge.py:1: " in capsys.readouterr().err
