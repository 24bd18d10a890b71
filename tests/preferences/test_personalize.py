"""Personal weights: people with known tastes (the microworld's crowd), what shrinkage and asking bring, bad data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.microworld.annotators import TEMPERATURE, crowd
from evalsuite.microworld.features import GOLD
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.measured import Measured, read_measured
from evalsuite.preferences.personalize import People, people_of, personalize, weights_of
from evalsuite.preferences.personalize_ask import ask, interview
from evalsuite.preferences.personalize_fit import Posterior, Prior, firth, own_weights, towards
from evalsuite.preferences.personalize_gain import gains
from evalsuite.preferences.personalize_gibbs import polya_gamma
from evalsuite.preferences.table import gather
from evalsuite.records import user

STYLE = tuple(name for name in GOLD if GOLD[name] and name not in ("constraint", "facts"))
SPREAD = 0.3


def sigma(z):
    return 1 / (1 + np.exp(-z))


def answers(rng, weights, n):
    """Differences of style features in -1, 0, 1 (about 0.4 of pairs differ) and labels by a person's weights."""
    x = rng.choice([-1.0, 0.0, 1.0], size=(n, len(STYLE)), p=[0.2, 0.6, 0.2])
    return x, (rng.random(n) < sigma(x @ weights / TEMPERATURE)).astype(float)


def world(seed=0, people=30, labels=150, spread=SPREAD):
    """People with the microworld's weights of style features and the given spread, as arrays."""
    rng = np.random.default_rng(seed)
    weights = np.array([[p.weights[f] for f in STYLE] for p in crowd(seed, people=people, spread=spread)])
    drawn = [answers(rng, w, labels) for w in weights]
    x = np.concatenate([d[0] for d in drawn])
    scales = np.sqrt((x**2).mean(axis=0))
    person = np.repeat(np.arange(people), labels)
    names = tuple(f"person-{i:02}" for i in range(people))
    found = People(STYLE, x / scales, np.concatenate([d[1] for d in drawn]), person, names, np.arange(len(x)),
                   np.arange(len(x)), scales)  # fmt: skip
    return found, weights * scales / TEMPERATURE


def test_the_spread_of_known_people_is_covered():
    covered, means, ratios = [], [], []
    for seed in range(6):
        people, _ = world(seed)
        truth = SPREAD / TEMPERATURE * people.scales
        mean = np.array([GOLD[f] for f in STYLE]) * people.scales / TEMPERATURE
        found = personalize(people)
        assert found.counted == 30
        assert found.spread == "REML"
        covered += [m.tau_low <= t <= (m.tau_high or np.inf) for m, t in zip(found.metas, truth, strict=True)]
        means += [m.low <= t <= m.high for m, t in zip(found.metas, mean, strict=True)]
        ratios += [m.tau / t for m, t in zip(found.metas, truth, strict=True)]
    assert np.mean(covered) >= 0.9, np.mean(covered)
    assert np.mean(means) >= 0.9, np.mean(means)
    assert np.mean(ratios) == pytest.approx(1, abs=0.2)


def test_a_crowd_of_one_mind_is_not_called_divided():
    found = [personalize(world(seed, spread=0.0)[0]) for seed in range(4)]
    lows = [m.tau_low for f in found for m in f.metas]
    assert np.mean([low == 0 for low in lows]) >= 0.85


def test_shrunk_weights_are_nearer_the_truth_and_their_intervals_hold():
    inside, errors = [], {"own": [], "global": [], "shrunk": []}
    for seed in range(3):
        people, truth = world(seed, labels=150)
        found = personalize(people)
        shared = np.array([e.beta for e in found.together])
        for i in range(len(people.who)):
            few = weights_of(people, found, i, first=40)
            half = 1.96 * np.sqrt(np.diag(few.covariance))
            inside += list(np.abs(few.mean - truth[i]) <= half)
            rows = people.of(i)[:40]
            errors["own"].append(np.square(firth(people.x[rows], people.y[rows])[0] - truth[i]).mean())
            errors["global"].append(np.square(shared - truth[i]).mean())
            errors["shrunk"].append(np.square(few.mean - truth[i]).mean())
    assert 0.88 <= np.mean(inside) <= 0.99, np.mean(inside)
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    assert mean["shrunk"] < 0.9 * mean["global"], mean
    assert mean["shrunk"] < 0.5 * mean["own"], mean


def test_what_labels_bring_to_people_who_were_not_seen():
    """Divided people (spread 1.2): shrinkage beats own labels alone and one model for all, asking is no worse."""
    people, _ = world(3, people=40, labels=120, spread=1.2)
    found = {(g.method, g.k): g for g in gains(people, personalize(people), ks=(4, 16), repeats=1)}
    assert found["one for all", 0].better.value == 0
    assert found["shrunk", 16].better.low > 0
    assert found["shrunk", 16].better.value > found["shrunk", 4].better.value
    assert found["shrunk", 16].better.value > found["own labels", 16].better.value
    asked = found["shrunk, asked", 16].than_random
    assert asked.low > -0.01
    assert asked.value > 0
    assert {g.better.n for g in found.values()} == {40}


def test_asking_finds_out_more_than_chance():
    """The entropy of what is known after ten asked pairs, against ten random ones, and the first question's value."""
    people, _ = world(5, spread=1.0)
    prior = personalize(people).prior
    start = towards(people.x[:0], people.y[:0], prior)
    rows = people.of(0)
    x, y = people.x[rows], people.y[rows]
    asked = interview(x, y, prior, 10)
    assert len(set(asked)) == 10
    rng = np.random.default_rng(0)
    left = [np.linalg.slogdet(towards(x[r], y[r], prior).covariance)[1] for r in
            (rng.permutation(len(y))[:10] for _ in range(30))]  # fmt: skip
    assert np.linalg.slogdet(towards(x[asked], y[asked], prior).covariance)[1] < np.quantile(left, 0.1)
    questions = ask(x, start, 5)
    single = [ask(x[[i]], start, 1) for i in range(len(x))]
    assert questions[0].information == pytest.approx(max(q[0].information for q in single if q))
    gained = [q.information for q in questions]
    assert gained == sorted(gained, reverse=True)
    assert all(q.low <= q.chance <= q.high for q in questions)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_turning_pairs_round_changes_no_weights_and_no_questions(seed):
    rng = np.random.default_rng(seed)
    x, y = answers(rng, rng.standard_normal(len(STYLE)), 60)
    turned = rng.choice([-1.0, 1.0], 60)
    other_x, other_y = x * turned[:, None], 0.5 + (y - 0.5) * turned
    prior = Prior(np.zeros(len(STYLE)), np.ones(len(STYLE)))
    one, other = towards(x, y, prior), towards(other_x, other_y, prior)
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-6)
    np.testing.assert_allclose(own_weights(x, y).beta, own_weights(other_x, other_y).beta, atol=1e-6)
    same = [[q.information for q in ask(z, one, 4)] for z in (x, other_x)]
    np.testing.assert_allclose(*same, atol=1e-9)


def test_firth_is_finite_where_labels_are_told_apart_and_has_less_bias():
    x = np.array([[1.0], [1.0], [-1.0], [2.0]])
    beta, covariance = firth(x, np.array([1.0, 1.0, 0.0, 1.0]))
    assert 0 < beta[0] < 10
    assert np.isfinite(covariance).all()
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        x = rng.standard_normal((40, 2))
        found.append(firth(x, (rng.random(40) < sigma(x @ [1.0, -1.0])).astype(float))[0])
    np.testing.assert_allclose(np.mean(found, axis=0), [1, -1], atol=0.08)  # the plain maximum is off by 0.15


def test_without_labels_a_person_is_the_crowd_and_with_many_themselves():
    prior = Prior(np.array([1.0, -1.0]), np.array([0.2, 0.3]))
    new = towards(np.empty((0, 2)), np.empty(0), prior)
    np.testing.assert_allclose(new.mean, prior.mean)
    np.testing.assert_allclose(np.diag(new.covariance), prior.variance)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20000, 2))
    y = (rng.random(20000) < sigma(x @ [-1.0, 2.0])).astype(float)
    np.testing.assert_allclose(towards(x, y, prior).mean, [-1, 2], atol=0.1)


def test_people_with_few_labels_are_weighed_together():
    """200 people with 25 labels each: their spread comes from all labels at once, with intervals that cover it."""
    covered, ratios, means = [], [], []
    for seed in (2,):
        people, _ = world(seed, people=200, labels=25, spread=0.8)
        found = personalize(people)
        assert found.spread == "hierarchical"
        assert found.counted == 0
        assert any("all labels at once" in note for note in found.notes)
        truth = 0.8 / TEMPERATURE * people.scales
        mean = np.array([GOLD[f] for f in STYLE]) * people.scales / TEMPERATURE
        covered += [m.tau_low <= t <= m.tau_high for m, t in zip(found.metas, truth, strict=True)]
        means += [m.low <= t <= m.high for m, t in zip(found.metas, mean, strict=True)]
        ratios += [m.tau / t for m, t in zip(found.metas, truth, strict=True)]
    assert np.mean(covered) >= 0.85, covered
    assert np.mean(means) >= 0.85, means
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)


def test_polya_gamma_has_its_moments():
    """Mean tanh(c/2)/(2c); variance (sinh(c) - c) / (4 c³ cosh²(c/2)) (Polson, Scott & Windle 2013)."""
    rng = np.random.default_rng(0)
    for c in (0.1, 1.5, 6.0):
        drawn = polya_gamma(np.full(200_000, c), rng)
        assert drawn.mean() == pytest.approx(np.tanh(c / 2) / (2 * c), rel=0.01)
        assert drawn.var() == pytest.approx((np.sinh(c) - c) / (4 * c**3 * np.cosh(c / 2) ** 2), rel=0.03)


def table(n=240, annotators=("ann", "bob", "cy")):
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(n):
        value = {"a": int(rng.integers(0, 5)), "b": int(rng.integers(0, 5))}
        who = annotators[i % len(annotators)]
        wins = rng.random() < sigma(0.6 * (value["a"] - value["b"]) * (1 if who != "bob" else -1))
        pairs.append(Pair(f"p{i}", (user(f"question {i}"),), "yes " * (i % 7), "no", float(wins), annotator=who,
                          conversation=f"c{i // 2}", metadata={"style": value}))  # fmt: skip
    return gather(pairs)


def test_from_pairs_with_conversations():
    pairs = table()
    people = people_of(pairs, read_measured(pairs, None, "style,length"))
    found = personalize(people, least=20)
    assert found.names == ("style", "length")
    assert found.people == 3
    assert found.metas[0].k == 3
    style = found.own.beta[:, 0]
    assert style[1] < 0 < min(style[0], style[2])
    assert any("conversation" in note for note in found.notes)


def test_bad_data_is_one_clear_line():
    pairs = table(annotators=("",))
    measured = read_measured(pairs, None, "style")
    with pytest.raises(InputError, match="needs the annotators"):
        people_of(pairs, measured)
    two = table(annotators=("ann", "bob"))
    with pytest.raises(InputError, match="2 people labelled"):
        people_of(two, read_measured(two, None, "style"))
    three = table()
    with pytest.raises(InputError, match="no feature differs"):
        people_of(three, Measured(("nothing",), np.zeros((len(three), 1)), "test"))
    with pytest.raises(InputError, match="twice"):
        read_measured(three, None, "style,style")
    with pytest.raises(InputError, match="no row has"):
        read_measured(three, None, "stile")
    with pytest.raises(InputError, match="no feature 'stile' among the 1 here"):
        measured.place("stile")


def test_predictions_average_over_what_is_not_known():
    sure = Posterior(np.array([2.0]), np.array([[1e-9]]))
    vague = Posterior(np.array([2.0]), np.array([[4.0]]))
    assert sure.predict(np.array([[1.0]]))[0] == pytest.approx(sigma(2.0))
    assert 0.5 < vague.predict(np.array([[1.0]]))[0] < sigma(2.0)
