"""Submissions: what is right passes, and what says more than its samples is refused by the name of its figure."""

import argparse
import json
import shutil

import pytest

from evalsuite.cli import leaderboard as cli
from evalsuite.errors import InputError
from evalsuite.publishing import build_site
from evalsuite.publishing.recompute import verdicts_of
from evalsuite.publishing.submissions import add_submission, all_runs, check_submission

SPECS = {"gsm8k": {"family": "reasoning", "unit": {"acc_strict": "points"}}, "ours": {"family": "reasoning"}}


@pytest.fixture
def run(make_run):
    scores = {"gsm8k": {"acc": [1.0, 0.0, 1.0, None] * 25, "acc_strict": [0.25, 0.5] * 50}, "ours": {"acc": [1.0] * 30}}
    return make_run("tiny", scores, tasks=SPECS)


@pytest.fixture
def folder(run, tmp_path):
    return add_submission(run, tmp_path / "results", about={"submitter": "us", "size": "1B"})


def edit(path, change):
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def figure(value, task, name):
    return next(m for m in value["metrics"] if (m["task"], m["name"]) == (task, name))


def test_what_is_right_passes(folder):
    checked = check_submission(folder)
    assert checked.refused == []
    assert checked.same == 3
    assert checked.unverified == []


def test_no_path_or_command_of_the_machine_goes_along(folder):
    assert not {"command", "hardware", "data"} & set(json.loads((folder / "manifest.json").read_text()))


@pytest.mark.parametrize("field", ["value", "low", "high"])
@pytest.mark.parametrize("name", ["acc", "acc_strict"])
def test_a_figure_altered_by_a_tenth_of_a_point_is_refused_by_name(folder, field, name):
    def change(value):
        figure(value, "gsm8k", name)[field] += 0.001

    edit(folder / "metrics.json", change)
    refused = check_submission(folder).refused
    assert len(refused) == 1
    assert refused[0].startswith(f"gsm8k {name}: ")
    assert {"value": "value", "low": "lower bound", "high": "upper bound"}[field] in refused[0]


@pytest.mark.parametrize("field", ["n", "missing"])
def test_altered_counts_are_refused(folder, field):
    edit(folder / "metrics.json", lambda v: figure(v, "gsm8k", "acc").__setitem__(field, 26))
    assert any(r.startswith("gsm8k acc: ") and field in r for r in check_submission(folder).refused)


@pytest.mark.parametrize("hashed", [False, True])
def test_truncated_samples_are_refused_by_the_figures_they_miss(folder, hashed):
    import pandas as pd

    from evalsuite.publishing.submissions import _sha256

    path = folder / "samples.parquet"
    frame = pd.read_parquet(path)
    frame[~((frame["task"] == "gsm8k") & frame["sample"].isin(["s98", "s99"]))].to_parquet(path)
    if hashed:  # and the hash was made to fit: the figures still tell
        edit(folder / "submission.json", lambda v: v["samples"].update(sha256=_sha256(path), rows=len(frame) - 2))
    refused = check_submission(folder).refused
    assert any(r.startswith("gsm8k acc") and "98 where the manifest counts 100" in r for r in refused)
    assert any(r.startswith("gsm8k acc_strict: ") for r in refused)
    assert any(r.startswith("samples.parquet: is not the file") for r in refused) != hashed
    assert not any(r.startswith("ours") for r in refused)


def test_another_task_version_is_refused_by_its_figures(folder):
    edit(folder / "manifest.json", lambda v: v["tasks"]["gsm8k"].update(version=2))
    refused = check_submission(folder).refused
    assert refused == ["gsm8k acc, acc_strict: made with version 2 of the task; this evalsuite has 1"]


def test_figures_of_a_task_that_the_samples_lack_are_refused(folder):
    def change(value):
        value["metrics"].append({**figure(value, "ours", "acc"), "name": "acc", "task": "gsm8k:5shot"})

    edit(folder / "metrics.json", change)
    refused = check_submission(folder).refused
    assert any(r.startswith("gsm8k:5shot acc: the manifest does not name") for r in refused)
    assert any("no row of this task" in r for r in refused)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("metrics.json", lambda v: v["metrics"][0].update(value="0.5"), "metrics.metrics[0].value: is string"),
        ("metrics.json", lambda v: v["metrics"][0].pop("n"), "metrics.metrics[0].n: is missing"),
        ("manifest.json", lambda v: v.pop("tasks"), "manifest.tasks: is missing"),
        ("submission.json", lambda v: v["about"].update(url="javascript:alert(1)"), "submission.about.url: does not"),
        ("submission.json", lambda v: v["about"].update(rank="first"), "submission.about.rank: is not part"),
    ],
)
def test_the_form_is_checked(folder, name, change, said):
    edit(folder / name, change)
    assert any(said in r for r in check_submission(folder).refused)


def test_without_samples_figures_stand_as_unverified(run, tmp_path):
    folder = add_submission(run, tmp_path / "results", samples=False)
    assert not (folder / "samples.parquet").exists()
    checked = check_submission(folder)
    assert checked.refused == []
    assert checked.same == 0
    assert {reason for _, reason in checked.unverified} == {"no samples were handed in"}
    build_site(all_runs(tmp_path / "results"), tmp_path / "site")
    assert '"unverified"' in (tmp_path / "site" / "data" / "board.js").read_text()
    page = (tmp_path / "site" / "models" / "tiny.html").read_text()
    assert "came without its samples" in page
    assert 'class="unverified"' in page


def test_samples_said_to_be_there_must_be(folder):
    (folder / "samples.parquet").unlink()
    assert any("said to be included and is missing" in r for r in check_submission(folder).refused)


def test_a_local_run_whose_figures_do_not_match_is_marked(run, tmp_path):
    edit(run.path / "metrics.json", lambda v: figure(v, "ours", "acc").update(value=0.9))
    from evalsuite.store.runs import read_run

    again = read_run(run.path)
    assert verdicts_of(again)["ours", "acc"].kind == "differs"
    with pytest.raises(InputError, match=r"would be refused: ours acc: value 0\.9 is 1 by the samples"):
        add_submission(again, tmp_path / "results")
    build_site([again], tmp_path / "site")
    assert "Does not match its samples" in (tmp_path / "site" / "models" / "tiny.html").read_text()


def test_null_models_contamination_and_constants_are_warned_of(make_run, tmp_path):
    same = "Sure! Here is the best answer that any judge has ever read."
    run = make_run(
        "null",
        {"open": {"acc": [1.0, 0.0] * 20}, "facts": {"acc": [1.0, 0.0] * 20}},
        model={"lineage": {"parent": None, "method": "sft", "data": "facts-train + chat"}},
        tasks={"open": {"baselines": {"always yes": 0.5}}},
        text=lambda task, i: {"answer": same} if task == "open" else {},
    )
    warnings = check_submission(add_submission(run, tmp_path)).warnings
    assert any(w.startswith("open: null model: 100% of 40 answers") for w in warnings)
    assert any(w.startswith("open: acc 50.0%") and "always yes" in w for w in warnings)
    assert any(w.startswith("facts: contamination") for w in warnings)
    assert not any(w.startswith("facts: null model") for w in warnings)


LONG = "the old lighthouse keeper of house {0} on the northern island counted {0} of the ships that passed at dawn"


@pytest.fixture
def trained(make_run, tmp_path):
    """Half of the questions stand in the training data, which the checkpoint's lineage names."""
    file = tmp_path / "secret place" / "train.jsonl"
    file.parent.mkdir()
    rows = [{"prompt": "Say: " + LONG.format(i), "chosen": "a", "rejected": "b"} for i in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    scores = {"tales": {"acc": [1.0] * 20 + [0.0] * 20}}
    asked = {"lineage": {"parent": None, "method": "sft", "data": f"{file} (20 rows)"}}
    run = make_run("sft", scores, model=asked, text=lambda task, i: {"question": LONG.format(i).title() + "!"})
    return run, file


def test_training_data_are_searched_for_the_samples(trained, tmp_path):
    run, file = trained
    folder = add_submission(run, tmp_path / "results")
    said = json.loads((folder / "submission.json").read_text())["training"]
    assert said["overlap"] == {"tales": {"n": 40, "hits": 20, "untold": 0}}
    assert "secret place" not in "".join(p.read_text() for p in folder.glob("*.json"))
    assert "contamination: tales: 20 of 40 samples" in " ".join(check_submission(folder).warnings)
    (warning,) = [w for w in check_submission(folder, [file]).warnings if "contamination" in w]
    assert "acc 50.0% [" in warning
    assert "0.0% [0.0, 16.1] without" in warning  # of the twenty that were not trained on none is right
    build_site([run], tmp_path / "site")
    assert "20 of 40 samples share 13 words" in (tmp_path / "site" / "models" / "sft.html").read_text()


def test_a_search_that_is_said_to_have_found_less_is_refused(trained, tmp_path):
    run, file = trained
    folder = add_submission(run, tmp_path / "results", training=[file])
    edit(folder / "submission.json", lambda v: v["training"]["overlap"]["tales"].update(hits=1))
    assert check_submission(folder).refused == []  # without the file nobody can tell
    assert check_submission(folder, [file]).refused == [
        "tales acc: 1 samples are said to stand in the training data, which has 20"
    ]


def test_a_strangers_lineage_makes_no_file_be_read(trained, tmp_path):
    run, file = trained
    folder = add_submission(run, tmp_path / "results")
    edit(folder / "manifest.json", lambda v: v["model"]["lineage"].update(data=str(file)))
    edit(folder / "submission.json", lambda v: v.pop("training"))
    assert not any("samples share" in w for w in check_submission(folder).warnings)


def command(*words):
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    args = parser.parse_args(["leaderboard", *map(str, words)])
    return args.func(args)


def test_the_commands(run, tmp_path, capsys):
    store, results = run.path.parent.parent, tmp_path / "results"
    assert command("add", "tiny", "--store", store, "--results", results, "--about", "method=sft") == 0
    with pytest.raises(InputError, match="is there already"):
        command("add", "tiny", "--store", store, "--results", results)
    with pytest.raises(InputError, match="says nothing of 'rank'"):
        command("add", "tiny", "--store", store, "--results", results, "--about", "rank=1")
    capsys.readouterr()
    assert command("check", "--results", results) == 0
    assert "ok tiny: figures: 0 re-scored, 3 re-aggregated, 0 unverified" in capsys.readouterr().out
    assert command("build", "--results", results, "--out", tmp_path / "site", "--store", store) == 0
    assert '"method":"sft"' in (tmp_path / "site" / "data" / "board.js").read_text()
    shutil.copytree(results / "tiny", results / "other")
    edit(results / "other" / "metrics.json", lambda v: figure(v, "ours", "acc").update(value=0.999))
    capsys.readouterr()
    assert command("check", "--results", results, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [bool(s["refused"]) for s in found["submissions"]] == [True, False]
    with pytest.raises(InputError, match="two runs are named 'tiny'"):
        command("build", "tiny", "--results", results, "--out", tmp_path / "x", "--store", store)
