"""Juries: rows of several models become one, and their disagreement has the published figures."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import serving

from evalsuite.check import check_judge
from evalsuite.cli import judge as cli
from evalsuite.errors import JudgeError
from evalsuite.judging import Annotation, Answer, find, judge_cases, pair, read_annotations
from evalsuite.judging.jury import Jury, alpha_interval, convene, disagreement
from evalsuite.records import Completion, user
from evalsuite.statistics import krippendorff_alpha

nan = float("nan")
# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve units.
OBSERVED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
    [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
]


def row(model: str, value: float | None, sample: str = "q", order: str = "ab") -> Annotation:
    status = "judge_parse" if value is None else "parsed"
    return Annotation(sample, "", "x", "y", "jury/1", model, "jury", order, value, status, tokens=3, cost=0.5)


def votes(*values: float | None, sample: str = "q") -> list[Annotation]:
    return [row(f"m{i}", value, sample) for i, value in enumerate(values)]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("interval", 0.849)])
def test_alpha_of_the_published_example(level, published):
    found = alpha_interval(np.array(OBSERVED, dtype=float).T, level)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.low < found.value < found.high
    assert found.n == 11


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=3, max_size=3), min_size=2, max_size=12))
def test_alpha_is_the_one_of_the_coincidence_table(units):
    table = np.array([[nan if v is None else v for v in unit] for unit in units], dtype=float)
    for level in ("nominal", "interval"):
        wanted = krippendorff_alpha(units, level)
        found = alpha_interval(table, level, resamples=10)
        assert found.value == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


def test_the_judge_passes_its_own_checks():
    findings = list(check_judge("jury"))
    assert len(findings) == 2
    assert {f.status for f in findings} == {"pass"}, findings


def test_mean_and_majority():
    assert convene(votes(0.9, 0.6, 0.0))[0].preference == pytest.approx(0.5)
    assert convene(votes(0.9, 0.6, 0.0), Jury("majority"))[0].preference == 1
    assert convene(votes(0.9, 0.1), Jury("majority"))[0].preference == 0.5
    assert convene(votes(0.5, 0.5, 0.0), Jury("majority"))[0].preference == 0.5


@given(st.lists(st.floats(0, 1), min_size=2, max_size=7), st.sampled_from(["mean", "majority"]))
def test_turning_every_vote_round_turns_the_verdict_round_and_its_order_does_not_matter(values, rule):
    there = convene(votes(*values), Jury(rule))[0].preference
    assert convene(votes(*(1 - v for v in values)), Jury(rule))[0].preference == pytest.approx(1 - there)
    assert convene(votes(*values[::-1]), Jury(rule))[0].preference == pytest.approx(there)
    assert min(values) - 1e-12 <= there <= max(values) + 1e-12 or rule == "majority"


def test_rows_say_who_voted_how_and_what_it_cost():
    found = convene(votes(1.0, 0.0, None))
    assert [(r.judge_model, r.judge, r.tokens, r.cost) for r in found] == [("jury(m0,m1,m2)", "jury/1", 9, 1.5)]
    assert found[0].details == {"rule": "mean", "jurors": {"m0": 1.0, "m1": 0.0, "m2": None}}
    assert convene([*votes(1.0, 1.0), replace(row("m2", 1.0), cost=None)])[0].cost is None


def test_below_the_quorum_there_is_no_verdict_but_a_reason():
    refused = [*votes(1.0), *(replace(row(f"m{i}", None), status="judge_refusal") for i in (1, 2))]
    assert [(r.preference, r.status) for r in convene(refused)] == [(None, "judge_refusal")]
    assert convene(refused, Jury(quorum=1))[0].preference == 1
    with pytest.raises(JudgeError, match="quorum of 4"):
        convene(refused, Jury(quorum=4))


def test_grades_are_averaged_or_their_median_taken():
    grades = [
        replace(r, preference=None, score=s, order="") for r, s in zip(votes(0, 0, 0), (2.0, 3.0, 10.0), strict=True)
    ]
    assert convene(grades)[0].score == 5
    found = convene(grades, Jury("majority"))[0]
    assert (found.score, found.preference) == (3, None)


def test_a_jury_of_one_or_of_two_questions_is_none():
    with pytest.raises(JudgeError, match="two judge models"):
        convene(votes(1.0))
    with pytest.raises(JudgeError, match="several judges"):
        convene([row("m0", 1.0), replace(row("m1", 1.0), judge="other/1")])
    with pytest.raises(JudgeError, match="not known"):
        Jury("loudest")


def test_disagreement_names_the_juror_who_stands_apart():
    patterns = [(1.0, 0.9, 0.0), (0.0, 0.1, 1.0), (1.0, 0.8, 1.0), (0.0, 0.2, 1.0), (1.0, 1.0, None)]
    rows = [r for i, values in enumerate(patterns) for r in votes(*values, sample=f"q{i}")]
    found = disagreement(rows)
    assert found.unanimous.value == pytest.approx(2 / 5)
    assert found.missing == {"m0": 0, "m1": 0, "m2": 1}
    assert found.juror["m2"].value == pytest.approx(1 / 4)
    assert found.alpha.value < 0.2
    same = disagreement([r for i in range(6) for r in votes(float(i % 2), float(i % 2), sample=f"q{i}")])
    assert (same.alpha.value, same.alpha_winner.value, same.unanimous.value) == (1, 1, 1)


def test_pairs_nobody_was_asked_about_are_decided_and_say_nothing_about_agreement():
    identical = [replace(r, status="identical", sample="same") for r in votes(0.5, 0.5)]
    rows = [*votes(1.0, 0.0), *identical]
    assert [r.status for r in convene(rows)] == ["parsed", "identical"]
    assert disagreement(rows).unanimous.n == 1


def test_three_models_through_the_ordinary_path():
    judge = find("jury", {"rule": "majority"})
    cases = [pair(f"q{i}", (user("?"),), Answer("one", "x"), Answer("two", "y")) for i in range(2)]
    rows = []
    for model, letters in (("m1", "AB"), ("m2", "AB"), ("m3", "AA")):  # m3 names the first place both times
        said = dict(zip(("ab", "ba"), letters, strict=True))
        rows += judge_cases(cases, judge, lambda rs, said=said: [Completion(text=said[r.key]) for r in rs], model)
    decided = judge.functions.convened(rows, judge.options)
    assert [(r.sample, r.order, r.preference) for r in decided] == [
        ("q0", "ab", 1.0),
        ("q0", "ba", 1.0),
        ("q1", "ab", 1.0),
        ("q1", "ba", 1.0),
    ]


def test_the_command_asks_every_model_and_writes_what_they_say_together(tmp_path, capsys):
    for name, word in (("a", "good"), ("b", "bad")):
        rows = [{"instruction": f"Question {i}", "output": f"{word} {i}", "generator": word} for i in range(5)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def run(url: str, *models: str) -> int:
        top = argparse.ArgumentParser()
        cli.add_parser(top.add_subparsers(dest="verb"))
        words = ["judge", "jury", "--responses", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"), "--json"]
        words += ["--out", str(tmp_path / "out.jsonl"), "--store", str(tmp_path / "store")]
        words += [word for model in models for word in ("--judge-model", f"openai:{model}@{url}")]
        args = top.parse_args([*words, "--judge-args", "rule=majority"])
        return int(args.func(args))

    def reply(body: dict) -> str:
        good = body["messages"][-1]["content"].split("<answer_a>\n")[1].startswith("good")
        return "A" if good or body["model"] == "m3" else "B"  # m3 always names the first

    with serving() as server:
        server.reply = reply
        assert run(server.url, "m1", "m2", "m3") == 0
        found = json.loads(capsys.readouterr().out)
        with pytest.raises(JudgeError, match="needs 2 judge models"):
            run(server.url, "m1")
    rows = read_annotations(tmp_path / "out.jsonl")
    together = [r for r in rows if r.judge_model.startswith("jury(")]
    assert len(rows) == 4 * 10
    assert [r.preference for r in together] == [1.0] * 10
    assert [s["win_rate"]["value"] for s in found["summaries"]] == [1.0, 1.0, 0.5, 1.0]
    assert found["disagreement"]["unanimous"]["value"] == 0.5
    assert found["disagreement"]["juror"].keys() == {"m1", "m2", "m3"}
