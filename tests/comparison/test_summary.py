"""Sentences of a comparison: what is clear of 0 is said with its figure, interval and n; what is not is said to be."""

from dataclasses import replace

import pytest

from evalsuite.comparison.calibration import CalibrationDifference
from evalsuite.comparison.differences import Difference
from evalsuite.comparison.divergence import Divergence
from evalsuite.comparison.families import FamilyDifference
from evalsuite.comparison.gaps import GapChange
from evalsuite.comparison.mismatch import Mismatch
from evalsuite.comparison.overlap import Overlap
from evalsuite.comparison.records import PairComparison
from evalsuite.comparison.summary import overall, summarise
from evalsuite.comparison.summary_words import NAMED, Sentence
from evalsuite.comparison.texts import TextDifference
from evalsuite.comparison.training_curve import overoptimisation
from evalsuite.statistics import Interval

EMPTY = PairComparison("ppo", "sft", "ppo", [], [], {}, [], [], [], [], [], [], [], [])
BLANK = Difference(
    *("facts", "acc", "factuality", True, "share", False, 100, 0, None, None),
    *(0.2, 0.1, 0.3, 0.001, 0.001, "mcnemar", "tango", "better"),
    mde=0.14,
)


def interval(value, half=0.02, n=100):
    return Interval(value, value - half, value + half, n, "t")


def told(pair, curve=None):
    return {(s.kind, s.text) for s in summarise(pair, curve)}


def calibrated(task, figure, before, after, half=0.02):
    change = after - before
    sides = (interval(after), interval(before))
    return CalibrationDifference(task, figure, figure != "acc_at_80", 100, *sides, change, change - half, change + half)


def test_calibration_is_told_by_its_direction_and_only_where_clear_of_0():
    pair = replace(
        EMPTY,
        calibration=[
            calibrated("quiz", "ece", 0.05, 0.15),
            calibrated("trivia", "ece", 0.15, 0.05),
            calibrated("dull", "ece", 0.10, 0.11),
            calibrated("quiz", "overconfidence", -0.10, 0.02),
            calibrated("trivia", "overconfidence", 0.02, -0.10),
            calibrated("quiz", "acc_at_80", 0.60, 0.50),
            calibrated("quiz", "brier", 0.10, 0.40),
        ],
    )
    assert told(pair) == {
        (
            "better",
            "ppo is better calibrated than sft (expected calibration error) on "
            "trivia (−10.0 [−12.0, −8.0] pt, 15.0% → 5.0%, n=100).",
        ),
        (
            "worse",
            "ppo is worse calibrated than sft (expected calibration error) on "
            "quiz (+10.0 [+8.0, +12.0] pt, 5.0% → 15.0%, n=100).",
        ),
        (
            "better",
            "ppo's confidence lies nearer to its accuracy than sft's on "
            "quiz (confidence − accuracy, +12.0 [+10.0, +14.0] pt, −10.0 pt → 2.0 pt, n=100).",
        ),
        (
            "worse",
            "ppo's confidence lies farther from its accuracy than sft's on "
            "trivia (confidence − accuracy, −12.0 [−14.0, −10.0] pt, 2.0 pt → −10.0 pt, n=100).",
        ),
        (
            "worse",
            "Answering only the surest four fifths, ppo is right less often than sft on "
            "quiz (−10.0 [−12.0, −8.0] pt, 60.0% → 50.0%, n=100).",
        ),
        (
            "unclear",
            "No change of calibration (expected calibration error) was found on dull (+1.0 [−1.0, +3.0] pt, n=100).",
        ),
    }


def test_many_tasks_claim_no_more_than_one():
    """An interval that only just leaves 0 is said of one task, and no longer among forty."""
    barely = calibrated("quiz", "ece", 0.10, 0.0751, half=0.0248)
    assert any(kind == "better" for kind, _ in told(replace(EMPTY, calibration=[barely])))
    dull = [calibrated(f"t{i}", "ece", 0.10, 0.10) for i in range(39)]
    among = told(replace(EMPTY, calibration=[barely, *dull]))
    assert not any(kind == "better" for kind, _ in among)
    assert any(
        kind == "unclear" and "quiz (−2.5 [−5.0, −0.0] pt, n=100, not clear after" in text for kind, text in among
    )


@pytest.mark.parametrize(("lower", "word"), [(False, "worse"), (True, "better")])
def test_a_gap_that_grew_says_what_happened_on_both_sides(lower, word):
    gap = GapChange("far", "acc", "share", None, None, interval(0.2), interval(0.05), interval(0.15, 0.05))
    pair = replace(EMPTY, differences=[replace(BLANK, task="far", lower_is_better=lower)], gaps=[gap])
    said = [text for kind, text in told(pair) if kind == "otherwise"]
    assert said == [
        f"ppo, beside sft, did {word} out of distribution than in it on far acc (gap +15.0 [+10.0, +20.0] pt: "
        "in +20.0 [+18.0, +22.0] pt, n=100; out +5.0 [+3.0, +7.0] pt, n=100)."
    ]
    still = replace(gap, change=interval(0.01, 0.05))
    assert any(kind == "unclear" and "No change of the gap" in text for kind, text in told(replace(pair, gaps=[still])))


def test_overoptimisation_is_told_where_gold_fell_while_the_reward_rose():
    rows = [{"step": s, "reward": 0.01 * s, "gold": 1 - 0.0001 * s * s, "kl": 0.1 * s} for s in range(60)]
    ((kind, text),) = told(EMPTY, overoptimisation("ppo", rows))
    assert kind == "worse"
    assert text.startswith(
        "ppo was over-optimised: late in training its reward rose while the gold reward fell (proxy +"
    )
    assert "last third of 60 steps" in text
    stalled = [{**row, "gold": 1.0 + 0.1 * (row["step"] % 3)} for row in rows]
    ((kind, text),) = told(EMPTY, overoptimisation("ppo", stalled))
    assert (kind, "no longer did" in text) == ("otherwise", True)
    assert told(EMPTY, overoptimisation("ppo", [{**row, "gold": row["reward"]} for row in rows])) == set()


def test_reward_drift_overlap_and_families_have_their_sentences():
    clean = replace(BLANK, value=0.01, low=-0.05, high=0.07, n=60)
    pair = replace(
        EMPTY,
        differences=[replace(BLANK, value=-0.2, low=-0.3, high=-0.1, verdict="worse")],
        families=[FamilyDifference("factuality", ("a", "b"), {}, 80, 0.1, 0.05, 0.15, 0.001, 0.001, "better")],
        mismatches=[Mismatch("facts", "acc", 100, interval(0.5), interval(-0.2), interval(0.1), "mismatch")],
        divergence=[
            Divergence("facts", "ppo", "sft", 50, 0, None, interval(12.0, 1.0, 50), interval(0.3, 0.1, 50)),
            Divergence("greedy", "ppo", "sft", 50, 0, False, interval(12.0, 1.0, 50), interval(0.3, 0.1, 50)),
        ],
        overlap=[Overlap("facts", 100, tuple("abc"), 0, BLANK, clean, None)],
    )
    assert told(pair) == {
        ("worse", "ppo is worse than sft on facts acc (−20.0 [−30.0, −10.0] pt, n=100)."),
        (
            "better",
            "Tasks taken together, ppo is better than sft in factuality "
            "(+10.0 [+5.0, +15.0] pt, mean of 2 tasks, n=80).",
        ),
        (
            "worse",
            "The reward model pays ppo more than sft and the score got worse on facts acc "
            "(reward +0.5 [+0.48, +0.52], gain in score −20.0 [−22.0, −18.0] pt, n=100).",
        ),
        (
            "otherwise",
            "ppo has moved away from sft (KL on its own answers) on facts (12 [11, 13] nats an answer, n=50).",
        ),
        (
            "care",
            "Questions of the evaluation stand in the training file: facts (3 of 100; all +20.0 [+10.0, +30.0] pt; "
            "on the clean part +1.0 [−5.0, +7.0] pt, n=60).",
        ),
    }


def test_length_drift_is_told_with_the_unit_once():
    length = TextDifference(
        *("characters", "length of an answer", "characters", 252, interval(728.0, 40), interval(258.0, 30)),
        *(470.0, 433.0, 507.0, 1e-9, 1e-9),
    )
    assert told(replace(EMPTY, texts=[length])) == {
        (
            "otherwise",
            "ppo writes longer answers than sft: 258 → 728 characters "
            "(2.8 times, +470 [+433, +507] characters, n=252).",
        )
    }


def test_the_count_of_it_all_says_what_could_have_gone_unseen():
    tied = replace(BLANK, verdict="tied", mde=0.08)
    pair = replace(EMPTY, differences=[BLANK, tied, replace(tied, mde=0.2), replace(BLANK, verdict="worse")])
    assert overall(pair) == (
        "Of 4 headline scores 1 got better, 1 got worse and 2 cannot be told apart. "
        "A true change below 8.0 to 20.0 points could have gone unseen there."
    )
    assert overall(EMPTY) == "No headline score could be paired by sample."
    other = replace(EMPTY, differences=[replace(BLANK, primary=False, verdict="changed")])
    assert overall(other) == "No headline score could be paired by sample. Of 1 other score 1 changed."


def test_a_long_list_is_counted_behind_eight():
    pair = replace(EMPTY, differences=[replace(BLANK, task=f"t{i}") for i in range(NAMED + 3)])
    (found,) = summarise(pair)
    assert (len(found.items), found.more) == (NAMED, 3)
    assert found.text.endswith("; and 3 more.")
    assert Sentence("care", "Mind", ()).text == "Mind."
