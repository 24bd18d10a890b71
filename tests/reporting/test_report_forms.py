"""The same report as Markdown, JSON and CSV: one story, the same figures, and nothing of a stranger's text runs."""

import argparse
import csv
import io
import json
import math
import re

import pytest

from evalsuite.cli import report as cli
from evalsuite.comparison import Asked, compare
from evalsuite.errors import InputError
from evalsuite.reporting import write_report
from evalsuite.reporting.escaping import clean, file_name, markdown, neutral
from evalsuite.reporting.report_data import gather
from evalsuite.reporting.report_files import COLUMNS, as_csv, as_json
from evalsuite.reporting.report_markdown import as_markdown

BASE = {"facts": {"acc": [0] * 30 + [1] * 10}, "sums": {"acc": [1] * 20 + [0] * 20}, "open": {"words": [3.0, 4.5] * 20}}
CHILD = {
    "facts": {"acc": [1] * 30 + [0] * 10},
    "sums": {"acc": [1] * 20 + [0] * 20},
    "open": {"words": [6.0, 9.5] * 20},
}
SPECS = {"facts": {"baselines": {"chance": 0.25}}, "open": {"unit": {"words": "words"}, "family": "diversity"}}


@pytest.fixture
def runs(make_run):
    def text(task, i):
        return {"answer": f"Short {i}."}

    def longer(task, i):
        return {"answer": f"This is a rather longer answer, number {i}."}

    lineage = {"lineage": {"parent": "f-base", "method": "dpo"}}
    return [
        make_run("base", BASE, tasks=SPECS, text=text),
        make_run("dpo", CHILD, tasks=SPECS, text=longer, model=lineage),
    ]


def test_the_summary_says_better_different_and_what_cannot_be_told(runs):
    block, _ = gather(runs).summary
    assert (block.run, block.baseline) == ("dpo", "base")
    assert block.heading == "dpo against base (trained from it by dpo)"
    assert block.overall.startswith("Of 3 headline scores 1 got better, 1 changed and 1 cannot be told apart. A true")
    by_kind = {g.kind: " ".join(s.text for s in g.sentences) for g in block.groups}
    assert "dpo is better than base on facts acc (+50.0 [+" in by_kind["better"]
    assert "25.0% → 75.0%, n=40" in by_kind["better"]
    assert "dpo writes longer answers than base" in by_kind["otherwise"]
    assert "No difference was found on sums (+0.0 [" in by_kind["unclear"]
    assert "worse" not in by_kind


def test_a_run_alone_says_what_it_is_good_at_and_what_n_can_tell(make_run):
    values = {
        "easy": {"acc": [1] * 36 + [0] * 4},
        "even": {"acc": [1, 0] * 20},
        "below": {"acc": [0] * 39 + [1]},
        "lies": {"made_up": [1] * 4 + [0] * 36},
        "gone": {"acc": [1, 0, 1, None] * 10},
    }
    specs = {
        "even": {"baselines": {"always yes": 0.5}},
        "below": {"baselines": {"chance": 0.25}},
        "lies": {"lower_is_better": ["made_up"]},
    }
    run = make_run("only", values, tasks=specs)
    alone, care = gather([run]).summary
    by_kind = {g.label: " ".join(s.text for s in g.sentences) for g in alone.groups}
    strongest = by_kind["Strongest"]
    assert strongest.index("easy acc (90.0% [") < strongest.index("lies made_up (10.0% [")
    assert "below acc (2.5% [" in by_kind["Weakest"]
    assert "A constant answer does better on below acc" in by_kind["Weakest"]
    unclear = by_kind["Cannot be told from this many samples"]
    assert "Not shown to be better than a constant answer on even acc (50.0% [" in unclear
    assert "always yes 50.0%" in unclear
    assert "from about 22.1 points (n=40) to 25.6 points (n=30)" in unclear
    told = " ".join(s.text for g in care.groups for s in g.sentences)
    assert "gone (10 of 40: unparsable 10)" in told
    assert "only gave answers that ran into the token limit on " in told
    assert "easy (10.0% [4.0, 23.1], n=40)" in told


def test_pairs_without_a_shared_sample_are_named_and_the_rest_stands(make_run):
    first = make_run("a", {"facts": {"acc": [1, 0]}})
    apart = make_run("c", {"facts": {"acc": [1, 0]}}, text=lambda t, i: {"sample": f"x{i}"})
    report = gather([first, apart])
    assert report.comparison is not None
    assert [(s.run, s.baseline) for s in report.comparison.skipped] == [("c", "a")]
    refused = [s.text for b in report.summary for g in b.groups for s in g.sentences if g.kind == "refused"]
    assert len(refused) == 1
    assert refused[0].startswith("c against a: runs c and a: no shared samples")
    with pytest.raises(InputError, match="no shared samples"):
        compare([first, apart])


def test_json_has_every_figure_with_n_and_interval(runs):
    found = json.loads(as_json(gather(runs)))
    assert (found["schema"], sorted(found)) == (
        1,
        ["comparisons", "figures", "lineage", "runs", "schema", "scores", "summary", "title"],
    )
    assert len(found["scores"]) == 6
    for score in found["scores"]:
        assert {"run", "task", "metric", "unit", "n", "value", "low", "high", "interval", "baselines"} <= set(score)
        assert score["low"] <= score["value"] <= score["high"]
        assert score["n"] == 40
    (pair,) = found["comparisons"]
    facts = next(d for d in pair["differences"] if d["task"] == "facts")
    assert (facts["value"], facts["n"], facts["verdict"]) == (0.5, 40, "better")
    assert facts["low"] < 0.5 < facts["high"]
    assert any(s["kind"] == "better" and "facts acc" in s["text"] for s in found["summary"][0]["sentences"])


def test_csv_has_one_row_for_each_score_and_difference(runs):
    report = gather(runs)
    rows = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert tuple(rows[0]) == COLUMNS
    keys = [(r["kind"], r["run"], r["family"], r["task"], r["metric"]) for r in rows]
    assert len(set(keys)) == len(keys)
    assert sum(r["kind"] == "score" for r in rows) == sum(len(r.metrics) for r in runs)
    assert sum(r["kind"] == "difference" for r in rows) == len(report.pairs[0].differences)
    facts = next(r for r in rows if (r["kind"], r["task"]) == ("difference", "facts"))
    assert (float(facts["value"]), facts["n"], facts["verdict"], facts["fixed"]) == (0.5, "40", "better", "30")
    assert float(facts["run_value"]) - float(facts["baseline_value"]) == pytest.approx(0.5)
    length = next(r for r in rows if r["metric"] == "characters")
    assert (length["kind"], float(length["value"]) > 0) == ("text", True)


def test_markdown_tells_the_same_story(runs):
    told = as_markdown(gather(runs, title="What DPO did"))
    assert told.startswith("# What DPO did\n\n## dpo against base (trained from it by dpo)\n")
    order = [told.index(w) for w in ("**Better**", "**Different", "**Cannot be told", "## Figures", "## Scores")]
    assert order == sorted(order)
    for line in (x for x in told.splitlines() if x.startswith("| facts")):
        assert "40" in line
    table = [x for x in told.splitlines() if x.startswith("|")]
    assert all(x.endswith("|") for x in table)


def test_same_runs_same_bytes(runs, tmp_path):
    for name in ("a.html", "a.md", "a.json", "a.csv"):
        first = write_report(runs, tmp_path / "one" / name, title="T").read_bytes()
        assert write_report(runs, tmp_path / "two" / name, title="T").read_bytes() == first


def test_a_long_training_whose_gold_fell_is_told_and_drawn(runs):
    rows = [{"step": s, "reward": 0.01 * s, "gold": 1 - 0.0001 * s * s, "kl": 0.1 * s} for s in range(60)]
    report = gather(runs, asked=Asked(logs={"dpo": rows}))
    worse = [s.text for g in report.summary[0].groups if g.kind == "worse" for s in g.sentences]
    assert len(worse) == 1
    assert "was over-optimised" in worse[0]
    assert any(f["title"] == "Reward of dpo as it was trained" for f in json.loads(as_json(report))["figures"])


EVIL = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "link": "[x](javascript:alert(1)) [x]: https://evil.example",
    "table": "a | b\n| c | ``` d",
    "mention": "@everyone # heading * list _em_ ~~s~~",
    "formula": "=cmd|' /C calc'!A0",
    "bidi": "\u202egnp.exe\u2066",
    "long": "x" * 1_000_000,
}


@pytest.mark.parametrize("kind", EVIL)
def test_what_a_stranger_wrote_stays_text_in_every_form(make_run, kind):
    evil = EVIL[kind]
    tasks = {"facts": {"acc": [0, 1] * 10}}
    about = {"address": evil, "system": evil, "name": evil}
    text = {"answer": evil, "prompt": evil, "question": evil}
    made = [
        make_run(n, tasks, tasks={"facts": {"family": evil[:60]}}, model=about, text=lambda t, i: {} if i else text)
        for n in "ab"
    ]
    report = gather(made, title=evil)
    told = as_markdown(report)
    assert not any(x in told for x in ("<script", "<img", "://", "\u202e", "\u2066"))
    assert not re.search(r"(?<!\\)\][(\[:]|^\s*(?:[-*] )?\[", told, re.MULTILINE)
    assert not re.search(r"(?<!\w)@(?!<!-- -->)", told)
    assert [x for x in told.splitlines() if x.startswith("# ")] == [f"# {markdown(evil)}"]
    assert "\n| c |" not in told
    cells = [c for row in csv.reader(io.StringIO(as_csv(report))) for c in row]
    starts = [c for c in cells if c.startswith(("=", "+", "-", "@", "\t"))]
    assert all(_number(c) for c in starts)
    assert json.loads(as_json(report))["title"] == evil


def _number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", " =x", "\ufeff=x"])
def test_a_cell_never_begins_a_formula(text):
    assert neutral(text) == "'" + text
    assert (neutral(-1.5), neutral("a=b"), neutral(None)) == (-1.5, "a=b", None)


def test_names_become_harmless():
    assert clean("a\u202eb\u200fc\ufeff") == "a\ufffdb\ufffdc\ufffd"
    assert file_name("../../Évil Name/§.svg\x00") == "vil-name-.svg"
    assert file_name("../..") == "figure"
    assert markdown("a_b [1, 2] x@y") == "a_b [1, 2] x@y"


def test_the_form_follows_the_file_or_the_flag(runs, tmp_path):
    assert write_report(runs, tmp_path / "r").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert write_report(runs, tmp_path / "r.txt", form="md").read_text(encoding="utf-8").startswith("# ")
    with pytest.raises(InputError, match=r"r\.pdf: no report is written in that form; end it in \.html"):
        write_report(runs, tmp_path / "r.pdf")
    assert not (tmp_path / "r.pdf").exists()


def command(*arguments):
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    args = parser.parse_args(["report", *map(str, arguments)])
    return args.func(args)


def test_the_command_takes_baseline_lineage_and_training(runs, tmp_path, capsys):
    store = runs[0].path.parent.parent
    out = tmp_path / "r.json"
    assert command("--lineage", "dpo,base", "--out", out, "--store", store) == 0
    (pair,) = json.loads(out.read_text(encoding="utf-8"))["comparisons"]
    assert (pair["run"], pair["baseline"]) == ("base", "dpo")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Nothing of the evaluation stands here.\n")
    assert command("base", "--baseline", "dpo", "--training", prompts, "--out", out, "--store", store) == 0
    (pair,) = json.loads(out.read_text(encoding="utf-8"))["comparisons"]
    assert (pair["run"], [o["samples"] for o in pair["overlap"]]) == ("base", [[], [], []])
    assert capsys.readouterr().out.splitlines() == [str(out)] * 2
    for wrong, message in (
        (["base", "--lineage", "base,dpo"], "give no other RUN"),
        (["base", "--training", tmp_path / "none.txt"], r"none\.txt: no such file"),
        ([], "at least one run"),
    ):
        with pytest.raises(InputError, match=message):
            command(*wrong, "--out", tmp_path / "x.html", "--store", store)
    assert not (tmp_path / "x.html").exists()
