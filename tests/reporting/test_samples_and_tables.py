"""What a page says, before it is drawn: order and choice of samples, numbers as text, health with n."""

import json

import pytest

from evalsuite.judging import Annotation, write_annotations
from evalsuite.reporting import write_report
from evalsuite.reporting.numbers import bounds_text, interval_text, p_text, share_text, value_text
from evalsuite.reporting.samples import SHOWN, TEXT, task_samples
from evalsuite.reporting.tables import families, headline


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0.625, 0.5, 0.75), "62.5% [50.0, 75.0]"),
        ((None, None, None), "– [–]"),
        ((0.5, None, None), "50.0% [–]"),
        ((-0.031, -0.1, 0.04, "share", True), "−3.1 pt [−10.0, +4.0]"),
        ((12.345, 10.0, 15.0, "words"), "12.35 words [10, 15]"),
    ],
)
def test_figures_are_written_with_their_interval(given, text):
    assert interval_text(*given) == text


def test_small_figures():
    assert [p_text(p) for p in (None, 0.0001, 0.0312, 1.0)] == ["–", "<0.001", "0.031", "1.000"]
    assert [share_text(s) for s in (None, 0.0, 0.004, 0.104)] == ["–", "0%", "0.4%", "10%"]
    assert value_text(-3.0, "points") == "−3 points"
    assert bounds_text(-0.01, 0.01) == "[−1.0, 1.0]"


def _samples(runs, task="facts", **options):
    return task_samples(runs, [r.samples() for r in runs], task, **options)


def test_samples_come_without_a_score_first_then_wrong_then_changed_then_right(make_run):
    first = make_run("a", {"facts": {"acc": [1, 0, 1, None]}})
    second = make_run("b", {"facts": {"acc": [1, 0, 0, 1]}})
    found = _samples([first, second])
    assert [(i.id, i.kind) for i in found.items] == [
        ("s3", "unscored"),
        ("s1", "wrong"),
        ("s2", "changed"),
        ("s0", "right"),
    ]
    assert found.counts == {"right": 1, "wrong": 1, "changed": 1, "unscored": 1}
    assert [c.name for c in found.items[0].cells] == ["a", "b"]
    assert found.items[0].cells[0].attempts[0].score == "no score: unparsable"


def test_places_are_kept_for_changed_and_right_ones(make_run):
    runs = [make_run(n, {"facts": {"acc": [0] * 100 + [k] * 30 + [1] * 30}}) for k, n in enumerate("ab")]
    found = _samples(runs)
    kinds = [i.kind for i in found.items]
    assert (len(kinds), found.total) == (SHOWN, 160)
    assert (kinds.count("wrong"), kinds.count("changed"), kinds.count("right")) == (25, 20, 5)
    assert found.counts == {"wrong": 100, "changed": 30, "right": 30}


def test_samples_that_the_headline_does_not_concern_come_last_with_their_own_scores(make_run):
    text = {"text": lambda t, i: {"score.acc": None, "reason.acc": None} if i == 0 else {"score.extra": None}}
    found = _samples([make_run("a", {"facts": {"acc": [1, 0, 1], "extra": [0.25, 1, 1]}}, **text)])
    assert [(i.id, i.kind) for i in found.items] == [("s1", "wrong"), ("s2", "right"), ("s0", "scored")]
    attempt = found.items[-1].cells[0].attempts[0]
    assert (attempt.mark, attempt.further) == ("other", "extra 0.25")


def test_lower_is_better_turns_right_and_wrong(make_run):
    run = make_run("a", {"facts": {"fabricated": [1, 0]}}, tasks={"facts": {"lower_is_better": ["fabricated"]}})
    found = _samples([run])
    assert [(i.id, i.kind, i.cells[0].attempts[0].mark) for i in found.items] == [
        ("s0", "wrong", "wrong"),
        ("s1", "right", "right"),
    ]


def test_graded_scores_are_neither_right_nor_wrong_and_the_worst_comes_first(make_run):
    found = _samples([make_run("a", {"facts": {"mc2": [0.9, 0.1, 0.5]}})])
    assert [(i.id, i.kind) for i in found.items] == [("s1", "scored"), ("s2", "scored"), ("s0", "scored")]


def test_long_texts_are_cut_and_the_rest_is_counted(make_run):
    found = _samples([make_run("a", {"facts": {"acc": [1]}}, text=lambda task, i: {"answer": "x" * (TEXT + 11)})])
    answer = found.items[0].cells[0].attempts[0].answer
    assert (len(answer.shown), answer.rest) == (TEXT, 11)


def test_repeats_and_other_prompts_are_shown_side_by_side(make_run):
    first = make_run("a", {"facts": {"acc": [1, 0, 1, 0]}}, repeats=4)
    second = make_run("b", {"facts": {"acc": [1]}}, text=lambda task, i: {"prompt": "User: Question 0?"})
    (item,) = _samples([first, second]).items
    assert (item.cells[0].repeats, len(item.cells[0].attempts)) == (4, 3)
    assert item.cells[1].prompt.shown == "User: Question 0?"


def test_log_probabilities_stand_where_there_is_no_answer(make_run):
    completions = json.dumps({"answer": [json.dumps({"logprobs": [-1.5, -2.0], "greedy": False})]})
    text = {"answer": None, "completions": completions}
    (item,) = _samples([make_run("a", {"facts": {"acc": [1]}}, text=lambda task, i: text)]).items
    attempt = item.cells[0].attempts[0]
    assert attempt.answer is None
    assert [(k, t.shown) for k, t in attempt.other] == [("answer", "log p -3.500")]


def test_health_is_said_with_n_and_marked_when_it_worries(make_run):
    run = make_run("a", {"facts": {"acc": [1] * 10}}, tasks={"facts": {"baselines": {"chance": 0.25}}})
    (block,) = headline([run], ["facts"])
    row = block.rows[0]
    cut, empty = row.health[0], row.health[1]
    assert (cut.text, cut.worry, empty.worry) == ("10%", True, False)
    assert cut.title == "answers that ran into the token limit: 10.0% [1.8, 40.4] of n=10"
    assert row.marks == [(25.0, "chance")]
    assert (row.from_, row.at, row.to) == (72.25, 100.0, 100.0)


def test_what_was_not_generated_and_what_a_log_does_not_tell_are_two_things():
    from evalsuite.records import Health
    from evalsuite.reporting.tables import _health

    for health, why in (
        (None, "nothing was generated"),
        (Health(9), "nothing was generated"),
        (Health(9, empty=0.0), "not known"),
    ):
        cut = _health(health)[0]
        assert (cut.text, why in cut.title) == ("–", True)


def test_families_keep_their_order(make_run):
    spec = {"own": {"family": "mine"}, "open": {"family": "diversity"}, "made": {"family": "hallucination"}}
    run = make_run("a", {t: {"acc": [1]} for t in spec}, tasks=spec)
    assert families([run]) == {"hallucination": ["made"], "diversity": ["open"], "mine": ["own"]}


def test_a_judges_verdicts_stand_under_the_answer(make_run, tmp_path):
    runs = [make_run(name, {"open": {"ead": [0.2, 0.4]}}) for name in ("a", "b")]
    said = [("s0", "ab", 1.0, "<b>A</b>"), ("s0", "ba", 0.5, "C"), ("s1", "ab", 1.0, "A"), ("s1", "ba", None, "")]
    rows = [
        Annotation(sample, "open", "b", "a", "pairwise/1#x", "j", "pairwise", order, value, status, "text", raw=raw)
        for sample, order, value, raw in said
        for status in ["judge_parse" if value is None else "parsed"]
    ]
    write_annotations(runs[1].path / "annotations-1.jsonl", rows)
    found = {i.id: i for i in task_samples(runs, [r.samples() for r in runs], "open").items}
    assert [c.judged for c in found["s0"].cells] == [
        [],
        ["pairwise by j, against a: preference 0.75 (ab '<b>A</b>', ba 'C')"],
    ]
    assert found["s1"].cells[1].judged == ["pairwise by j, against a: no verdict: judge_parse (ab 'A')"]
    html = write_report(runs, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "preference 0.75 (ab &#39;&lt;b&gt;A&lt;/b&gt;&#39;" in html
