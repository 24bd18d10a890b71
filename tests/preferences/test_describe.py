"""The audit against data whose faults were planted, and against figures that are known of real files."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from evalsuite.data.files import read_rows
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.describe import Audit, as_json, describe, position_section
from evalsuite.preferences.describe_figures import effective
from evalsuite.preferences.describe_near import NEAR, jaccard, near_copies, shingles
from evalsuite.preferences.describe_noise import flip_rate, repeated
from evalsuite.preferences.describe_people import agreement, dealt
from evalsuite.preferences.describe_text import counts_of
from evalsuite.preferences.duplicates import keys
from evalsuite.preferences.loading import Loading, load, ordered
from evalsuite.preferences.table import gather
from evalsuite.records import user
from evalsuite.statistics import krippendorff_alpha, wilson

WORDS = [f"word{i}" for i in range(300)]


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def drawn(n: int, prefer_longer: float, seed: int = 0, **more) -> list[Pair]:
    """Pairs with a planted chance that the longer answer is preferred; no position bias."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        a, b = text(rng, rng.randrange(5, 40)), text(rng, rng.randrange(45, 90))
        label = float(rng.random() >= prefer_longer)
        rows.append(ordered(Pair(str(i), (user(f"q{i} {text(rng, 6)}"),), a, b, label, **more))[0])
    return rows


def test_planted_biases_are_found_with_their_size() -> None:
    found = describe(gather(drawn(1000, 0.7)), Audit(sample=500))
    longer = found.figure("the longer is preferred, by words")
    assert longer.n == 1000
    assert longer.low < 0.7 < longer.high
    assert longer.low > 0.5
    place = found.figure("the first answer is preferred")
    assert place.low < 0.5 < place.high
    accuracy = found.figure("a simple model is right, held out: at least")
    assert 0.64 < accuracy.value < 0.76  # length alone tells 70% of the labels
    assert found.figure("labels wrong: at most").value == pytest.approx(1 - accuracy.value)
    assert any(s.startswith(f"The longer is preferred, by words: {100 * longer.value:.1f}%") for s in found.tells)
    json.dumps(as_json(found), allow_nan=False)


def test_what_n_can_find_is_the_textbook_figure() -> None:
    found = describe(gather(drawn(1000, 0.5)), Audit(sample=60))
    sentence = next(s for s in found.tells if s.startswith("With 1000 decided pairs"))
    # (1.960 + 0.842) sqrt(0.25 / n); with 32 tests 3.164 instead of 1.960
    assert "by 4.4 points" in sentence
    assert "by 14.0 points where it concerns one pair in ten" in sentence
    assert "by 6.3 points when 32 features" in sentence


@pytest.mark.parametrize(("rate", "disagree"), [(0.25, 0.375), (0.0, 0.0), (0.1, 0.18), (0.5, 0.5)])
def test_flip_rate_inverts_two_independent_flips(rate: float, disagree: float) -> None:
    assert flip_rate(disagree) == pytest.approx(rate)


def test_planted_label_noise_is_recovered_from_repeats() -> None:
    rng = random.Random(3)
    covered = 0
    for world in range(20):
        rows = []
        for i in range(400):
            for who in range(3):
                label = 1.0 if rng.random() > 0.25 else 0.0
                rows.append(Pair(f"{i}-{who}", (), f"good {i}", f"bad {i}", label, annotator=str(who)))
        apart, flips = repeated(keys(rows))
        assert apart.n == 400
        covered += flips.low <= 0.25 <= flips.high
        assert abs(flips.value - 0.25) < 0.06, world
    assert covered >= 16  # 95% intervals; below 16 of 20 has a chance of 0.3%


def test_agreement_is_krippendorffs_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(0)
    units = [
        [float(v) for v in rng.choice([0.0, 0.5, 1.0], size=rng.integers(1, 5), p=[0.2, 0.2, 0.6])] for _ in range(150)
    ]
    rows = [
        Pair(f"{i}-{j}", (), f"x {i}", f"y {i}", v, annotator=f"p{j}")
        for i, unit in enumerate(units)
        for j, v in enumerate(unit)
    ]
    found = keys(rows)
    same, alpha = agreement(found, np.ones(len(rows), dtype=bool))
    assert alpha.value == pytest.approx(krippendorff_alpha(units))
    assert alpha.low < alpha.value < alpha.high
    assert alpha.n == same.n == sum(len(u) > 1 for u in units)
    all_same = agreement(
        keys(gather([Pair("0", (), "x", "y", 1.0, annotator=a) for a in "ab"])), np.ones(2, dtype=bool)
    )
    assert all_same[0].value == 1.0
    assert all_same[1].value is None


def people(planted: float, seed: int = 0) -> list[Pair]:
    """Twenty people, half of them old; the old prefer the longer answer more often by `planted`."""
    rows = []
    for person in range(20):
        old = person % 2 == 0
        profile = {"age": "old" if old else "young", "hand": "left" if person % 4 < 2 else "right"}
        mine = drawn(60, 0.5 + (planted if old else 0), 1000 * seed + person, annotator=f"p{person}")
        rows += [replace(r, id=f"{person}-{r.id}", metadata={"profile": profile}) for r in mine]
    return rows


def test_groups_that_differ_are_told_from_groups_that_do_not() -> None:
    found = describe(gather(people(0.3)), Audit(sample=60))
    by_age = next(s for s in found.sections if s.name == "groups by age")
    by_hand = next(s for s in found.sections if s.name == "groups by hand")
    age, hand = ({f.name: f for f in s.figures} for s in (by_age, by_hand))
    assert age["old: prefers the longer"].low > age["young: prefers the longer"].high
    assert age["groups differ in that (p)"].value < 0.01
    assert hand["groups differ in that (p)"].value > 0.01
    assert 0.8 < age["everybody: distance of two prompts"].value <= 1
    assert found.figure("annotators").value == 20


def test_dealing_people_is_calibrated_under_the_null() -> None:
    """Rows of one person are alike: a test by rows would reject far too often."""
    rng = np.random.default_rng(5)
    small = 0
    for world in range(40):
        taste = rng.uniform(0.2, 0.8, size=16)
        who = np.repeat(np.arange(16), 40)
        values = (rng.random(640) < taste[who]).astype(float)
        small += dealt(values, who, np.array(["x", "y"])[who % 2], seed=world) < 0.05
    assert small <= 6  # of 40 at 5%: more than 6 has a chance of 1.4%


def test_one_class_and_three_rows_and_no_labels_are_said() -> None:
    one = describe(gather([Pair(str(i), (user(f"q{i}"),), f"good {i}", f"bad {i}", 1.0) for i in range(60)]))
    assert any(s.startswith("All labels are one class, the first answer") for s in one.tells)
    three = describe(gather(drawn(3, 0.5)))
    assert three.figure("a simple model is right, held out: at least").reason == "needs 50 decided pairs"
    assert any("too few" in s for s in three.tells)
    none = describe(gather([Pair("0", (), "x", "y", None)]))
    assert "0 decided pairs tell nothing about preferences." in none.tells
    assert none.figure("labels that are ties").value is None
    json.dumps(as_json(none), allow_nan=False)


def test_markup_is_counted() -> None:
    said = "# Head\n\n- one\n* two\n1. three\n\n**bold** and `code`\n```py\nx\n```"
    assert counts_of(said)[2:] == (1, 3, 1, 3)
    assert counts_of("2 * 3 - 1 #tag and a-b")[2:] == (0, 0, 0, 0)
    assert counts_of("") == (0,) * 6


def test_near_copies_are_found_and_others_are_not() -> None:
    rng = random.Random(1)
    texts = [text(rng, 60) for _ in range(200)]
    planted = []
    for i in range(40):
        words = texts[i].split()
        words[30] = "changed"
        planted.append(" ".join(words))
    found = near_copies(texts + planted)
    assert found == [(i, 200 + i) for i in range(40)]
    assert jaccard(shingles(texts[0]), shingles(planted[0])) >= NEAR
    assert near_copies(["Short one", "short  ONE", "", ""]) == [(0, 1)]


def test_effective_size_of_clustered_rows() -> None:
    assert effective([1, 2, 3]) == 3
    assert effective([1] * 6 + [2] * 6) == 2
    assert effective([]) == 0


def test_hh_as_known(public_data) -> None:
    found = describe(load(public_data("preferences/hh_rlhf/harmless_base_test_first1000.jsonl.gz")), Audit(sample=60))
    longer = found.figure("the longer is preferred, by characters")
    assert round(longer.value * longer.n) == 444
    assert (found.n, found.ties) == (1000, 0)
    assert found.figure("the first answer is preferred").value is None
    assert found.figure("rows with two identical answers").value == 0


def test_ultrafeedback_as_known(public_data) -> None:
    folder = public_data("preferences/ultrafeedback_binarized")
    kept = describe(load(folder, Loading(equal_scores="keep")), Audit(sample=60))
    longer = kept.figure("the longer is preferred, by characters")
    assert (round(longer.value * longer.n), kept.ties) == (428, 0)
    tied = describe(load(folder), Audit(sample=60))
    assert tied.ties == 88
    assert tied.figure("held-out rows whose prompt or conversation is in train").n == 200


def test_position_bias_of_a_judge_that_saw_both_orders(public_data) -> None:
    """GPT-4 on every pair of eight systems in both orders: the first answer wins 2512, the second 1355."""
    rows = read_rows(public_data("preferences/qlora_vicuna_gpt4/verdicts.jsonl.gz"))
    meaning = {1: 1.0, 2: 0.0, 3: 0.5}
    preference = np.array([meaning.get(r["score"], np.nan) for r in rows])
    assert [int((preference == v).sum()) for v in (1, 0, 0.5)] == [2512, 1355, 600]
    assert np.isnan(preference).sum() == 13
    clusters = np.array([r["question_id"] for r in rows])
    place = position_section(preference, np.full(len(rows), np.nan), clusters).figures[0]
    assert place.value == pytest.approx(2512 / 3867)
    assert (place.n, place.groups) == (3867, 80)
    assert place.low < 2512 / 3867 < place.high
    assert place.high - place.low > np.diff(wilson(2512, 3867))[0]  # questions repeat


def test_aspects_are_read_apart(public_data) -> None:
    found = describe(load(public_data("preferences/pku_saferlhf/align_anything_sample32.jsonl")))
    assert found.n == 64
    for aspect in ("better", "safer"):
        assert found.figure("pairs with a label", aspect).n == 32
    assert any("32 decided pairs (better)" in s for s in found.tells)


def test_a_figure_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        describe(gather(drawn(3, 0.5))).figure("nothing")
