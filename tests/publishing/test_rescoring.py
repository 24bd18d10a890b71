"""Scores are given again by the task's own scorer, where it stands here; what it does not give is refused by name."""

import json
from pathlib import Path

import pandas as pd
import pytest

import evalsuite
from evalsuite.publishing.recompute import verdicts_of
from evalsuite.publishing.submissions import _sha256, add_submission, check_submission
from evalsuite.registry import content_root
from evalsuite.statistics import mean_interval

FACTS = content_root() / "tasks" / "factuality" / "plain_facts" / "sample.jsonl"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """`plain_facts` answered from a file, every second one right: a real task of ours, through the real path."""
    folder = tmp_path_factory.mktemp("rescoring")
    rows = [json.loads(line) for line in FACTS.read_text(encoding="utf-8").splitlines()]
    answers = [{"id": r["id"], "response": r["answers"][0] if i % 2 else r["wrong"]} for i, r in enumerate(rows)]
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(a) + "\n" for a in answers), encoding="utf-8")
    return evalsuite.run(f"responses:{path}", "plain_facts", store_dir=folder, name="tiny").stored


@pytest.fixture
def folder(stored, tmp_path):
    return add_submission(stored, tmp_path / "results")


def edit(path: Path, change):
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def forge(folder, change):
    """Alters the samples and makes hash, row count and every figure of `acc` fit: only the scorer can tell."""
    path = folder / "samples.parquet"
    frame = change(pd.read_parquet(path))
    frame.to_parquet(path)
    edit(folder / "submission.json", lambda v: v["samples"].update(sha256=_sha256(path), rows=len(frame)))
    found = mean_interval(frame["score.acc"].to_numpy(dtype=float), bounded=True)

    def fit(value):
        figure = next(m for m in value["metrics"] if m["name"] == "acc")
        figure.update(value=found.value, low=found.low, high=found.high, n=found.n)

    edit(folder / "metrics.json", fit)


def right(frame, sample):
    frame.loc[frame["sample"] == sample, "score.acc"] = 1.0
    return frame


def test_scores_are_given_again(folder):
    checked = check_submission(folder)
    assert checked.refused == []
    assert checked.rescored == 3
    assert (checked.reaggregated, checked.unverified) == ([], [])


def test_a_score_that_was_made_right_is_refused_though_the_figures_fit_it(folder):
    forge(folder, lambda frame: right(frame, "fact-01"))
    (refused,) = [r for r in check_submission(folder).refused if r.startswith("plain_facts acc: ")]
    assert "by the scorer" in refused
    assert "1 of " in refused
    assert "'fact-01': 1, by the scorer 0" in refused


def test_two_scores_that_changed_places_leave_the_figure_and_are_refused(folder):
    def swap(frame):
        frame.loc[frame["sample"] == "fact-02", "score.acc"] = 0.0
        return right(frame, "fact-01")

    forge(folder, swap)
    (refused,) = check_submission(folder).refused
    assert refused.startswith("plain_facts acc: 2 of ")


def test_an_answer_that_was_mended_needs_a_completion_that_was(folder):
    """The stored answer is for readers; the scorer reads the completions."""

    def mend(frame):
        frame.loc[frame["sample"] == "fact-01", "answer"] = "Venus"
        return right(frame, "fact-01")

    forge(folder, mend)
    assert any("'fact-01': 1, by the scorer 0" in r for r in check_submission(folder).refused)


def test_a_weight_is_part_of_a_score(folder):
    def lighter(frame):
        frame.loc[frame["sample"] == "fact-01", "weight.acc"] = 0.5
        return frame

    forge(folder, lighter)
    assert any(r.startswith("plain_facts acc: ") for r in check_submission(folder).refused)


def test_samples_that_are_not_the_tasks_prove_nothing_and_are_said(folder):
    """Other targets fit other scores: whoever changes both can be recognised by the data's hash alone."""

    def easier(frame):
        frame.loc[frame["sample"] == "fact-01", "target"] = '["Mars"]'
        return right(frame, "fact-01")

    forge(folder, easier)
    edit(folder / "manifest.json", lambda v: v["tasks"]["plain_facts"].update(data_hash="0123456789abcdef"))
    checked = check_submission(folder)
    assert any("other samples than this installation's data" in w for w in checked.warnings)


def test_what_has_no_completions_is_only_summed_and_says_why(folder):
    forge(folder, lambda frame: frame.assign(completions="{}"))
    checked = check_submission(folder)
    assert checked.refused == []
    assert checked.rescored == 0
    assert {why for _, why in checked.reaggregated} == {"the samples hold no completions"}


@pytest.mark.parametrize("broken", ["[1]", "{", '{"answer": ["{}x"]}', '{"answer": 3}'])
def test_completions_that_cannot_be_read_end_in_words(folder, broken):
    forge(folder, lambda frame: frame.assign(completions=broken))
    checked = check_submission(folder)
    assert checked.rescored == 0
    assert all(why.startswith("the scorer could not be asked") for _, why in checked.reaggregated)


def test_code_of_a_model_is_never_run(make_run):
    rows = {"humaneval": {"acc": [1.0, 0.0] * 5}}
    stored = {"completions": json.dumps({"answer": ['{"text": "import os"}']})}
    run = make_run("coder", rows, text=lambda task, i: stored)
    verdict = verdicts_of(run)["humaneval", "acc"]
    assert (verdict.kind, verdict.how) == ("same", "re-aggregated")
    assert "runs a model's code" in verdict.reason
