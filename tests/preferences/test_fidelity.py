"""Descriptions of features: by counting, by a judge model, and how faithful they are."""

import numpy as np
import pytest
from openai_server import serving

from evalsuite.features.describe import Describing, describe, phrase_of, side_of
from evalsuite.features.examples import both_halves, cut, examples, strongest
from evalsuite.features.extractive import extract
from evalsuite.features.fidelity import fidelity, p_value
from evalsuite.models import ModelOptions, resolve
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.explain import measures
from evalsuite.preferences.table import prompt_of
from evalsuite.records import Completion, user
from evalsuite.running import Engine


def pairs(n: int = 200, seed: int = 0) -> tuple[list[Pair], np.ndarray]:
    """Pairs in which one text apologises "in all honesty" and the other has a list; z says which (0: neither)."""
    rng = np.random.default_rng(seed)
    made, z = [], np.zeros((n, 1))
    words = ["river", "lamp", "stone", "paper", "window", "garden", "music", "train"]
    for i in range(n):
        plain = [" ".join(rng.choice(words, 12)) for _ in range(2)]
        texts = [f"{plain[0]} in all honesty sorry", f"- {plain[1]}\n- and"]
        turned = bool(rng.random() < 0.5)
        z[i, 0] = -1 if turned else 1
        if i % 4 == 0:
            texts, z[i, 0] = plain, 0.0
        a, b = reversed(texts) if turned else texts
        made.append(Pair(str(i), (user(f"question {i}"),), a, b, 1.0))
    return made, z


def test_contrasting_terms_and_formats_point_to_the_text_that_has_the_feature():
    made, z = pairs()
    found = extract(made, z, measures)[0]
    terms = dict(found.terms)
    assert any("honesty" in term and score > 3 for term, score in terms.items())
    assert all("river" not in term for term in terms)
    assert found.statistics["list items"] == pytest.approx(-2)
    assert "fewer list items" in found.description
    negated = extract(made, -z, measures)[0]
    assert negated.statistics["list items"] == pytest.approx(2)
    assert {t: -s for t, s in negated.terms} == terms


def test_texts_turned_round_with_their_sign_are_described_alike():
    made, z = pairs()
    turned = [Pair(p.id, p.messages, p.b, p.a, 0.0) for p in made]
    assert extract(made, z, measures) == extract(turned, -z, measures)


def test_a_longer_text_does_not_seem_to_say_everything_more_often():
    rng = np.random.default_rng(1)
    words = [f"word{i}" for i in range(40)]
    made = [
        Pair(str(i), (), " ".join(rng.choice(words, 30)) + " the end", " ".join(rng.choice(words, 8)), 1.0)
        for i in range(200)
    ]
    found = extract(made, np.ones((200, 1)), measures)[0]
    assert "more words (+24)" in found.description
    assert not any(term.startswith("word") or term == "the" for term, _ in found.terms)


def test_where_nothing_stands_out_the_strongest_pair_stands_for_it():
    rng = np.random.default_rng(2)
    words = [f"word{i}" for i in range(40)]
    made = [Pair(str(i), (), *(" ".join(rng.choice(words, 9)) for _ in "ab"), 1.0) for i in range(60)]
    z = np.full((60, 1), -1.0)
    z[7] = -2.0
    made[7] = Pair("7", (), "short\none", "he said “this” " * 30, 1.0)
    found = extract(made, z, measures)[0].description
    assert found.startswith("like “he said “this” he said")
    assert found.endswith("…”, unlike “short one” (no word or format stands out)")


def test_a_feature_that_is_never_there_is_too_rare():
    made, z = pairs(20)
    found = extract(made, 0 * z, measures)[0]
    assert (found.n, found.terms) == (0, ())
    assert "too rare" in found.description


def test_fidelity_is_pearsons_r_with_its_p_and_interval():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(300)
    answers = [int(np.sign(v)) if rng.random() < 0.6 else int(rng.integers(-1, 2)) for v in z]
    found = fidelity([None, *answers], np.r_[5.0, z])
    from scipy.stats import pearsonr

    wanted = pearsonr(answers, z)
    assert found.r == pytest.approx(wanted.statistic)
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.n == 300
    assert found.low < found.r < found.high
    assert fidelity([1, 1, 1], [1.0, 2.0, 3.0]).r is None
    assert fidelity([None], [1.0]).n == 0


def test_p_values_are_the_published_ones(public_data):
    from preferences.wimhf_features import feature_table

    table = feature_table(public_data("wimhf/feature_data_for_demo.json"))
    # To one in a thousand, or to the ten decimals that the file has.
    same = sum(p_value(f.fidelity, 300) == pytest.approx(f.fidelity_p, rel=1e-3, abs=6e-11) for f in table)
    assert (len(table), same) == (224, 222)


def test_samples_are_of_both_halves_and_of_the_rows_given():
    z = np.arange(-50, 50, dtype=float)
    rows = both_halves(z, 20, 0, np.arange(0, 100, 2))
    assert len(rows) == 20
    assert set(rows) <= set(range(0, 100, 2))
    assert (np.abs(z[rows]) > 25).sum() == 10
    assert strongest(np.array([0.0, -3, 2, 0]), 5).tolist() == [1, 2]


def test_examples_keep_quotes_and_markup_and_cut_a_megabyte():
    odd = 'he said "hello"\n<script>alert(1)</script>'
    made = [Pair("x", (user("q"),), odd, "y" * 1_000_000, 0.5)]
    (shown,) = examples(made, np.array([-2.0]), [0], prompt_of)
    assert shown.a == odd
    assert len(shown.b) < 5000
    assert cut("short") == "short"


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("first", 1),
        ("Second.", -1),
        ("neither", 0),
        ("The first one", 1),
        ("first or second", None),
        ("1", None),
        ("", None),
    ],
)
def test_answers_are_read_or_they_are_none(text, side):
    assert side_of([Completion(text=text)]) == side


def test_phrases_lose_their_marks():
    assert phrase_of([Completion(text='- "gives numbered steps".\nmore')]) == "gives numbered steps"
    assert phrase_of([Completion(text="", error="server")]) == ""
    assert (
        phrase_of([Completion(text="Name the property in one short phrase that could be said of a single text")]) == ""
    )
    assert phrase_of([Completion(text="declines to answer")]) == "declines to answer"


def test_a_judge_model_names_a_feature_and_is_tested_on_fresh_pairs(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    made, z = pairs(400)
    named = iter(["- talks about rivers", "- apologises in all honesty", "- has a list"] * 2)

    def reply(body):
        text = body["messages"][-1]["content"].partition("\n\nWhich text")[0]
        if "Name the property" in text:
            return next(named)
        first, second = (text.partition(f"Text {k}: ")[2].partition("Text 2: ")[0] for k in (1, 2))
        word = "honesty" if "honesty" in text.partition("\n")[0] else "river"
        return "neither" if (word in first) == (word in second) else "first" if word in first else "second"

    settings = Describing(candidates=3, shown=4, choosing=20, testing=40)
    groups = np.arange(400) // 2
    with serving() as server:
        server.reply = reply
        for asked in (3 + 3 * 20 + 40, 0):  # the second time, all is known
            before = len(server.seen)
            engine = Engine(resolve(f"openai:m@{server.url}", ModelOptions()), tmp_path)
            (found,) = describe(engine, made, z, groups, prompt_of, settings)
            engine.close()
            assert len(server.seen) - before <= asked
    assert found.description == "apologises in all honesty"
    assert set(found.candidates) == {"talks about rivers", "apologises in all honesty", "has a list"}
    assert found.fidelity.n == 40
    assert found.fidelity.r == pytest.approx(1)
    shown = [body["messages"][-1]["content"] for _, _, body in server.seen if "Name the" in str(body)]
    for k in range(1, 5):  # aligned: text 1 has the feature
        assert "honesty" in shown[0].partition(f"### Comparison {k}")[2].partition("Text 1:")[2].partition("Text 2:")[0]
