"""Paired differences between runs on disk: pairing by key, flips, adjustment, and when they may not be compared."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.comparison import choose_pairs, manifest_changes, paired
from evalsuite.errors import InputError
from evalsuite.statistics import holm, mcnemar, mean_interval, tango

BASE = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
CHILD = [1, 1, 1, 1, 1, 0, 1, 1, 1, 0]


def test_a_share_is_paired_with_mcnemar_and_flips_are_listed(make_run):
    base, child = make_run("base", {"facts": {"acc": BASE}}), make_run("sft", {"facts": {"acc": CHILD}})
    (d,) = paired(child, base)
    assert d.value == pytest.approx(0.4)
    assert (d.low, d.high) == tango(5, 1, 10)
    assert d.p == d.q == mcnemar(5, 1)
    assert d.verdict == "tied"
    assert d.tied
    assert d.fixed == ("s0", "s1", "s2", "s3", "s4")
    assert d.broken == ("s9",)
    assert (d.run, d.baseline, d.n) == (mean_interval(CHILD), mean_interval(BASE), 10)


def test_swapping_the_runs_turns_everything_round(make_run):
    base, child = make_run("base", {"facts": {"acc": BASE}}), make_run("sft", {"facts": {"acc": CHILD}})
    (there,), (back,) = paired(child, base), paired(base, child)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert (there.fixed, there.broken) == (back.broken, back.fixed)


def test_samples_are_matched_by_id_never_by_place(make_run):
    """Rows out of order and a longer run: only shared (sample, repeat) keys count."""
    base = make_run("base", {"facts": {"acc": [1, 0, 1, 0]}}, text=lambda task, i: {"sample": f"s{3 - i}"})
    child = make_run("sft", {"facts": {"acc": [0, 1, 0, 1, 1, 1]}}, tasks={"facts": {"data_hash": "longer"}})
    (d,) = paired(child, base)
    # The fixture's targets follow the place, so that ids turned round look like other data.
    assert d.verdict == "not comparable"
    base = make_run(
        "base",
        {"facts": {"acc": [1, 0, 1, 0]}},
        text=lambda task, i: {"sample": f"s{3 - i}", "target": f'"target {3 - i}"', "prompt": f"Question {3 - i}?"},
    )
    (d,) = paired(child, base)
    assert (d.value, d.n) == (0.0, 4)
    assert "other selections of samples: compared on the 4 that both have" in d.notes


def test_missing_scores_are_left_out_and_counted(make_run):
    base = make_run("base", {"facts": {"acc": [1, None, 0, 0]}})
    child = make_run("sft", {"facts": {"acc": [1, 1, None, 1]}})
    (d,) = paired(child, base)
    assert (d.n, d.missing, d.value) == (2, 2, 0.5)
    assert d.notes == ("2 of 4 shared rows have no score on one side and are left out",)


def test_samples_that_a_metric_does_not_concern_are_not_missing(make_run):
    """A control item has no value and no reason in the metric of the others."""
    text = {"text": lambda task, i: {"score.acc": None, "reason.acc": None} if i > 1 else {}}
    base, child = (make_run(n, {"facts": {"acc": [0, 1, 0, 0]}}, **text) for n in ("base", "sft"))
    (d,) = paired(child, base)
    assert (d.n, d.missing, d.notes) == (2, 0, ())


def test_without_any_shared_score_nothing_is_said(make_run):
    base, child = make_run("base", {"facts": {"acc": [None, 1]}}), make_run("sft", {"facts": {"acc": [1, None]}})
    (d,) = paired(child, base)
    assert (d.value, d.q, d.verdict) == (None, None, "unknown")


def test_repeats_belong_to_their_sample_and_flip_by_majority(make_run):
    base = make_run("base", {"facts": {"acc": [0, 0, 0, 1, 1, 1, 1, 0, 0]}}, repeats=3)
    child = make_run("sft", {"facts": {"acc": [1, 1, 0, 1, 1, 1, 0, 0, 1]}}, repeats=3)
    (d,) = paired(child, base)
    assert d.n == 3
    assert (d.fixed, d.broken) == (("s0",), ())


def test_q_is_holm_over_headline_metrics_only(make_run):
    tasks = {f"t{k}": {"acc": [1] * (5 + k) + [0] * (15 - k), "other": [1] * 20} for k in range(4)}
    base = make_run("base", {t: {"acc": [0] * 20, "other": [0] * 20} for t in tasks})
    found = paired(make_run("sft", tasks), base)
    headline = [d for d in found if d.primary]
    assert [d.q for d in headline] == holm([d.p for d in headline])
    others = [d for d in found if not d.primary]
    assert [d.q for d in others] == holm([d.p for d in others])
    assert headline[0].p == mcnemar(5, 0)
    assert headline[3].verdict == "better"


def test_where_lower_is_better_less_is_better(make_run):
    spec = {"facts": {"lower_is_better": ["fabricated"]}}
    base = make_run("base", {"facts": {"fabricated": [1] * 12}}, tasks=spec)
    child = make_run("sft", {"facts": {"fabricated": [0] * 11 + [1]}}, tasks=spec)
    (d,) = paired(child, base)
    assert d.value < 0
    assert d.verdict == "better"
    assert len(d.fixed) == 11
    assert d.broken == ()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("version", 2, "task version 2 against 1"),
        ("prompt_hash", "p1", "the task's prompts differ"),
    ],
)
def test_another_version_or_prompt_is_not_comparable(make_run, field, value, reason):
    base = make_run("base", {"facts": {"acc": BASE}, "other": {"acc": BASE}})
    child = make_run("sft", {"facts": {"acc": CHILD}, "other": {"acc": CHILD}}, tasks={"facts": {field: value}})
    facts, other = paired(child, base)
    assert (facts.verdict, facts.value, facts.run, facts.p) == ("not comparable", None, None, None)
    assert reason in facts.notes
    assert other.q == other.p  # what cannot be compared costs the others nothing


def test_other_data_under_one_id_is_not_comparable(make_run):
    base = make_run("base", {"facts": {"acc": BASE}})
    other = {"facts": {"data_hash": "d1"}}
    child = make_run("sft", {"facts": {"acc": CHILD}}, tasks=other, text=lambda task, i: {"target": '"changed"'})
    (d,) = paired(child, base)
    assert d.verdict == "not comparable"
    assert "the task's data differ on shared sample ids" in d.notes


def test_another_system_prompt_or_template_is_compared_and_said(make_run):
    base = make_run("plain", {"facts": {"acc": BASE}})
    asked = make_run("asked", {"facts": {"acc": CHILD}}, model={"system": "Admit ignorance.", "template_hash": "t1"})
    (d,) = paired(asked, base)
    assert d.value == pytest.approx(0.4)
    assert set(d.notes) == {"other template", "other system prompt"}


def test_runs_without_shared_samples_are_an_error(make_run):
    base, child = make_run("base", {"facts": {"acc": BASE}}), make_run("sft", {"other": {"acc": CHILD}})
    with pytest.raises(InputError, match=r"no shared samples \(tasks other against facts\)"):
        paired(child, base)
    with pytest.raises(InputError, match="with itself"):
        paired(base, base)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])), min_size=2, max_size=30))
def test_the_difference_is_that_of_the_two_figures(make_run, rows):
    base = make_run("base", {"facts": {"acc": [b for b, _ in rows]}})
    child = make_run("sft", {"facts": {"acc": [a for _, a in rows]}})
    (d,) = paired(child, base)
    assert d.value == pytest.approx(d.run.value - d.baseline.value)
    assert d.value * len(rows) == pytest.approx(len(d.fixed) - len(d.broken))


def test_a_child_is_compared_with_its_parent(make_run):
    scores = {"facts": {"acc": BASE}}
    base = make_run("base", scores)
    sft = make_run("sft", scores, model={"lineage": {"parent": "f-base", "method": "sft"}})
    dpo = make_run("dpo", scores, model={"lineage": {"parent": "f-sft", "method": "dpo"}})
    stranger = make_run("stranger", scores)
    names = [(a.name, b.name) for a, b in choose_pairs([dpo, base, sft, stranger])]
    assert names == [("dpo", "sft"), ("sft", "base"), ("stranger", "dpo")]
    assert [(a.name, b.name) for a, b in choose_pairs([sft, base])] == [("sft", "base")]
    assert [(a.name, b.name) for a, b in choose_pairs([base, sft, dpo], base)] == [("sft", "base"), ("dpo", "base")]
    assert [(a.name, b.name) for a, b in choose_pairs([base, stranger])] == [("stranger", "base")]
    with pytest.raises(InputError, match="two different runs"):
        choose_pairs([base, base])


def test_diff_names_what_was_made_otherwise_and_nothing_else(make_run):
    scores = {"facts": {"acc": BASE}}
    first = make_run("a", scores, model={"name": "m", "address": "m", "fingerprint": "f"})
    model = {"name": "m", "address": "m", "fingerprint": "f", "system": "Be brief.", "sampling": {"temperature": 0.7}}
    second = make_run("b", scores, model=model, finished="2026-02-02", tasks={"facts": {"prompt_hash": "p9"}})
    changes = {c.field: (c.group, c.first, c.second) for c in manifest_changes(first, second)}
    assert changes == {
        "tasks.facts.prompt_hash": ("prompt", "p0", "p9"),
        "model.system": ("prompt", None, "Be brief."),
        "model.sampling.temperature": ("sampling", 0.0, 0.7),
    }
    assert manifest_changes(first, first) == []
