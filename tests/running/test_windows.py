"""Plans of several windows: the same figures and rows as in one, exact when resumed, and no more in memory."""

import json
from pathlib import Path

import pandas as pd
import pytest

from evalsuite import api
from evalsuite.errors import TaskError
from evalsuite.planning import plan as planning

TASK = '''"""Some answers, a score that comes late, and a corpus figure."""
from evalsuite.records import Metric, Request, Sample, Sampling, missing, user
TASK = {"version": 1, "primary": "acc", "unit": {"length": "characters"}}
def load(setup):
    for i in range(23):
        yield Sample(f"s{i}", (user(f"The quick brown fox number {i}"),), target=i)
def prompt(sample):
    temperature = float(sample.target % 2)
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=6, temperature=temperature))]
def score(sample, completions):
    late = {"late": len(completions.text) % 3 == 0} if sample.target > 15 else {}
    return {"acc": len(completions.text) % 2, "length": float(len(completions.text)), **late}
def metrics(rows):
    held = [scores for _, scores in rows]
    assert len(rows) == len(held) and rows[-1][1].keys() == held[-1].keys()
    reasons = [s["acc"].reason for s in held]
    return [Metric("fox", "missed", float(sum(r is not None for r in reasons)), None, None, len(held), unit="rows")]
'''
STAGES = '''"""Asks again about its own answer."""
from evalsuite.records import Request, Sample, Sampling, user
TASK = {"version": 1}
def load(setup):
    return [Sample(str(i), (user(f"Number {i}"),)) for i in range(9)]
def prompt(sample):
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=4))]
def follow_up(sample, completions):
    if "again" in completions or int(sample.id) % 2:
        return []
    again = (user("You said: " + completions.text),)
    return [Request("generate", again, key="again", sampling=Sampling(max_tokens=4))]
def score(sample, completions):
    return {"acc": ("again" in completions) == (int(sample.id) % 2 == 0)}
'''


def same(one: api.Run, two: api.Run) -> None:
    assert (one.path / "metrics.json").read_bytes() == (two.path / "metrics.json").read_bytes()
    pd.testing.assert_frame_equal(one.samples, two.samples)
    assert one.manifest["identity"] == two.manifest["identity"]


@pytest.mark.parametrize("window", [1, 7, 16])
@pytest.mark.parametrize("repeats", [1, 3])
def test_windows_change_nothing(tiny: Path, tmp_path: Path, plugin, monkeypatch, window: int, repeats: int) -> None:
    plugin("fox", TASK)
    plugin("stages", STAGES)
    args = {"args": {"group": "1"}}  # one row at a time: batches are no part of this question
    whole = api.run(str(tiny), "fox,stages", store_dir=tmp_path / "1", repeats=repeats, **args)
    monkeypatch.setattr(planning, "WINDOW", window)
    parts = api.run(str(tiny), "fox,stages", store_dir=tmp_path / "2", repeats=repeats, **args)
    same(whole, parts)


def test_rows_without_scores_are_missing_in_scores_that_come_later(tmp_path: Path, plugin, monkeypatch) -> None:
    plugin("fox", TASK)
    answers = tmp_path / "a.jsonl"
    answered = [i for i in range(23) if i % 5]
    rows = [{"prompt": f"The quick brown fox number {i}", "response": "x" * i} for i in answered]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = api.run(f"responses:{answers}", "fox", store_dir=tmp_path / "1")
    monkeypatch.setattr(planning, "WINDOW", 4)
    parts = api.run(f"responses:{answers}", "fox", store_dir=tmp_path / "2")
    same(whole, parts)
    by_sample = parts.samples.set_index("sample")
    assert by_sample.loc["s0", "reason.late"] == "no_answer"
    metrics = parts.metrics.set_index("name")
    assert (metrics.loc["late", "missing"], metrics.loc["late", "n"]) == (5, 6)
    assert metrics.loc["missed", "value"] == 5


def test_answers_by_id_are_found_in_every_window(tmp_path: Path, plugin, monkeypatch) -> None:
    plugin("fox", TASK)
    answers = tmp_path / "a.jsonl"
    answers.write_text("".join(json.dumps({"id": f"s{i}", "response": "x" * i}) + "\n" for i in range(23)))
    monkeypatch.setattr(planning, "WINDOW", 5)
    run = api.run(f"responses:{answers}", "fox", store_dir=tmp_path / "st")
    assert run.samples["answer"].tolist() == ["x" * i for i in range(23)]


def test_a_broken_run_of_windows_resumes_to_the_same(tiny: Path, tmp_path: Path, plugin, monkeypatch) -> None:
    monkeypatch.setattr(planning, "WINDOW", 6)
    fails = '    import os\n    assert sample.target != 14 or "BREAKS" not in os.environ\n'
    plugin("fox", TASK.replace('    late = {"late"', fails + '    late = {"late"'))
    unbroken = api.run(str(tiny), "fox", store_dir=tmp_path / "1")
    monkeypatch.setenv("BREAKS", "1")
    with pytest.raises(TaskError, match="sample s14"):
        api.run(str(tiny), "fox", store_dir=tmp_path / "2")
    monkeypatch.delenv("BREAKS")
    resumed = api.run(str(tiny), "fox", store_dir=tmp_path / "2")
    assert 12 <= resumed.manifest["tokens"]["cached"] < 23
    same(unbroken, resumed)


def test_a_model_that_cannot_answer_a_late_sample_is_told_before_any_work(tmp_path: Path, plugin, monkeypatch) -> None:
    from evalsuite.errors import InputError

    kind = '"loglikelihood" if sample.target == 20 else "generate"'
    plugin("fox", TASK.replace('Request("generate"', f"Request({kind}"))
    answers = tmp_path / "a.jsonl"
    answers.write_text('{"prompt": "p", "response": "r"}\n')
    monkeypatch.setattr(planning, "WINDOW", 5)
    with pytest.raises(InputError, match="asks for loglikelihood"):
        api.run(f"responses:{answers}", "fox", store_dir=tmp_path / "st")
    assert not (tmp_path / "st").exists()


def test_a_file_of_answers_is_not_copied_into_the_cache(tmp_path: Path, plugin) -> None:
    plugin("fox", TASK)
    answers = tmp_path / "a.jsonl"
    answers.write_text('{"prompt": "p", "response": "r"}\n')
    run = api.run(f"responses:{answers}", "fox", store_dir=tmp_path / "st", repeats=2)
    assert not (tmp_path / "st" / "responses.sqlite").exists()
    assert set(run.samples["reason.acc"]) == {"no_answer"}
