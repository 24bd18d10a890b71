"""A reward model as a judge: through the ordinary path, with what is planted in it."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from checkpoints import build_reward

from evalsuite.check import check_judge
from evalsuite.errors import JudgeError
from evalsuite.judging import Answer, Case, find, judge_cases, mean_over_orders, pair
from evalsuite.judging.asking import How
from evalsuite.judging.planted import Planted, planted_rows
from evalsuite.models import resolve
from evalsuite.records import Completion, Request, user
from evalsuite.running import Engine, answer

SCORES = {"good": 2.0, "fair and longer": 1.0, "bad": -1.0}


def by_text(requests: Sequence[Request]) -> list[Completion]:
    """A reward model that knows its texts."""
    assert {r.kind for r in requests} == {"reward"}
    return [Completion(prompt_tokens=7, rewards={"reward": SCORES[str(r.messages[-1]["content"])]}) for r in requests]


def case(a: str, b: str, name: str = "q") -> Case:
    return pair(name, (user("question"),), Answer(a, "x"), Answer(b, "y"))


def test_the_judge_passes_its_own_checks():
    findings = list(check_judge("reward"))
    assert len(findings) == 2
    assert {f.status for f in findings} == {"pass"}, findings


def test_preferences_are_the_sigmoid_of_the_difference_and_rows_are_the_ordinary_ones():
    rows = judge_cases([case("good", "bad")], find("reward"), by_text, "rm")
    assert [(r.order, r.status, r.mode, r.protocol) for r in rows] == [
        ("ab", "parsed", "reward", "reward"),
        ("ba", "parsed", "reward", "reward"),
    ]
    assert [r.preference for r in rows] == pytest.approx([1 / (1 + math.exp(-3))] * 2)
    assert [r.details["rewards"] for r in rows] == [[2.0, -1.0], [-1.0, 2.0]]


def test_the_rows_of_the_judge_are_those_of_the_planted_part_alone():
    args = {"position_bias": "0.5", "length_bias": "-0.4", "length_unit": "10", "noise": "1", "seed": "3"}
    pairs = [("good", "bad"), ("bad", "fair and longer"), ("fair and longer", "good")]
    cases = [case(a, b, f"q{i}") for i, (a, b) in enumerate(pairs)]
    rows = judge_cases(cases, find("reward", args), by_text, "rm")
    planted = Planted(position_bias=0.5, length_bias=-0.4, length_unit=10, noise=1, seed=3)
    wanted = planted_rows(planted, [(c, (SCORES[c.a], SCORES[c.b])) for c in cases])
    assert [(r.sample, r.order, r.preference) for r in rows] == [(r.sample, r.order, r.preference) for r in wanted]
    alone = judge_cases([cases[1]], find("reward", args), by_text, "rm")
    assert [r.preference for r in alone] == [r.preference for r in rows[2:4]]


def test_each_reward_is_asked_for_in_the_words_of_one_request_whichever_order_wants_it():
    asked = find("reward").requests(case("good", "bad"))
    assert [r.key for r in asked] == ["ab 0", "ab 1", "ba 1", "ba 0"]
    assert len({str(r.messages) for r in asked}) == 2


def test_one_order_alone_is_judged_where_one_is_wanted():
    rows = judge_cases([case("good", "bad")], find("reward"), by_text, "rm", How(orders="ba"))
    assert [r.order for r in rows] == ["ba"]


def test_what_is_planted_is_part_of_the_judge_s_name():
    assert find("reward").identity != find("reward", {"position_bias": "1"}).identity
    with pytest.raises(JudgeError, match="temperature"):
        find("reward", {"temperature": "0"}).requests(case("good", "bad"))


@pytest.mark.parametrize("broken", [{}, {"reward": math.nan}, {"score": 1.0}])
def test_a_text_without_a_reward_leaves_the_case_undecided(broken):
    def ask(requests: Sequence[Request]) -> list[Completion]:
        bad = [r.messages[-1]["content"] == "bad" for r in requests]
        return [Completion(rewards=broken) if b else c for b, c in zip(bad, by_text(requests), strict=True)]

    rows = judge_cases([case("good", "bad")], find("reward"), ask, "rm")
    assert {r.order for r in rows} == {"ab", "ba"}
    assert all(r.preference is None for r in rows)
    assert {r.status for r in rows} <= {"judge_parse", "skipped"}


def test_a_planted_place_is_averaged_out_between_equals_and_shows_in_each_row():
    args = {"position_bias": "2"}
    rows = judge_cases([case("good", "good "), case("good", "bad")], find("reward", args), lambda rs: [
        Completion(rewards={"reward": 0.0}) for _ in rs
    ], "rm")  # fmt: skip
    first = [r.preference if r.order == "ab" else 1 - r.preference for r in rows]
    assert first == pytest.approx([1 / (1 + math.exp(-2))] * 4)
    assert sum(r.preference for r in rows) == pytest.approx(2)
    assert mean_over_orders([]).preference is None


def test_a_real_classifier_judges_and_each_text_is_rewarded_once(tmp_path: Path) -> None:
    model = resolve(str(build_reward(tmp_path / "rm")))
    engine = Engine(model, tmp_path / "store")
    try:
        pairs = [case("The quick brown fox", "x", "q0"), case("Paris, or else", "The quick brown fox", "q1")]
        rows = judge_cases(pairs, find("reward"), lambda requests: answer(engine, requests), model.name)
        rewards = {
            text: r.details["rewards"] for r, text in zip(rows, ("q0 ab", "q0 ba", "q1 ab", "q1 ba"), strict=True)
        }
        assert engine.counts["units"] == 3
    finally:
        engine.close()
    assert rewards["q0 ab"] == rewards["q0 ba"][::-1]
    assert rewards["q0 ab"][0] == rewards["q1 ab"][1]
    assert len(set(rewards["q0 ab"])) == 2
    for row in rows:
        first, second = row.details["rewards"]
        gap = first - second if row.order == "ab" else second - first
        assert row.preference == pytest.approx(1 / (1 + math.exp(-gap)))
