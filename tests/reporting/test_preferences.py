"""The page of an explained dataset as a reader gets it: cautions first, plain words that go no further than intervals,
a view of each feature, and other people's text that stays text."""

import json
import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect, Example, Explanation, Feature, Fidelity, Predicted
from evalsuite.reporting.preferences import read_explanation, write_explanation, write_page
from evalsuite.reporting.preferences_examples import folded
from evalsuite.reporting.preferences_files import as_json, from_json
from evalsuite.reporting.preferences_readings import read_features
from evalsuite.reporting.preferences_words import opening, summary

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)></pre>\"'><b onclick='x'>{{ 7*7 }} &lt;\u2028"
WORDS = ("gives a numbered list", "refuses to answer", "uses polite phrases", "asks a question back", "quotes sources",
         "writes code", "is short", "names a place")  # fmt: skip


def effect(change, half=0.06, n=900, sure=None, mild=None):
    low, high, strong = change - half, change + half, abs(change) > 1.6 * half
    significant = strong if sure is None else sure
    return Effect(2 * change, 2 * low, 2 * high, change, low, high, 0.0004 if strong else 0.3, n,
                  significant, significant if mild is None else mild)  # fmt: skip


def feature(index, change, half=0.06, how="model", r=0.6, component=-1, **more):
    words = f"{WORDS[index % len(WORDS)]} ({index})"
    effects = {"raw": effect(change + 0.05, half), "alone": effect(change, half), "joint": effect(0.6 * change, half)}
    examples = tuple(
        Example(f"p{index}.{i}", f"Question {i} of feature {index}?", f"Longer answer {i}. " * 30, f"Short {i}.",
                (-1) ** i * (2.0 - 0.1 * i), (1.0, 0.0, 0.5, None, 0.3)[i % 5], 99.0)
        for i in range(5)
    )  # fmt: skip
    fidelity = None if r is None else Fidelity(r, 1e-9 if r > 0.2 else 0.4, 300, r - 0.08, r + 0.08)
    terms = (("1.", 2.5), ("sorry", -1.2))
    given = {"prevalence": 0.3 / (index + 1), "fidelity": fidelity, "effects": effects, "examples": examples}
    return Feature(index, f"f{index}", words, how, **{**given, "component": component, "terms": terms, **more})


def explanation(features, **more):
    predicted = (
        Predicted("features", 0.68, 0.65, 0.71, 400),
        Predicted("embedding", 0.71, 0.68, 0.74, 400),
        Predicted("length", 0.55, 0.5, 0.6, 400),
        Predicted("reward model", None, None, None, 0, "no reward model was named"),
    )
    notes = ("The pairs are the strongest 2% of each feature: their effects mean nothing for other pairs.",)
    given = {"controls": ("length", "format"), "predicted": predicted, "tests": len(features), "notes": notes}
    counts = {"n": 1000, "labelled": 900, "ties": 40}
    return Explanation(
        dataset="Feedback, spring",
        source="our SAE over MiniLM",
        features=tuple(features),
        **{**counts, **given, **more},
    )


@pytest.fixture
def explained():
    rng = random.Random(1)
    features = [feature(i, round(rng.uniform(-0.3, 0.3), 3)) for i in range(8)]
    features[1] = feature(1, -0.31, component=2)
    features[2] = feature(2, 0.002, half=0.03, component=2)
    features[3] = feature(3, 0.02, half=0.25, how="extractive", r=None)
    features[4] = feature(4, 0.22, r=0.05)
    features[5] = feature(
        5, 0.3, effects={"alone": Effect(None, None, None, None, None, None, None, 9, reason="too few")}
    )
    return explanation(features, adjusted_for=("model",))


@pytest.fixture
def page(explained, tmp_path):
    return write_page(explained, tmp_path / "out" / "report.html")


def body(path):
    return path.read_text(encoding="utf-8").split("<body>")[1].split("<script")[0]


def section(html, index):
    return html.split(f'id="feature-{index}"')[1].split("</section>")[0]


def test_it_is_one_file_that_asks_for_nothing(page):
    html = page.read_text(encoding="utf-8")
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert html.count("plotly.js v") == 1
    assert not re.search(r'(?:src|href|action|data)\s*=\s*"(?!#)', html.split('<script type="application/json"')[0])
    assert "default-src &#39;none&#39;" in html
    assert "connect-src" not in html.split("<style>")[0]


def test_cautions_stand_before_words_and_words_before_figures(page):
    html = body(page)
    assert html.index("strongest 2% of each feature") < html.index(">In plain words</h2>") < html.index('id="effects"')
    assert "<details" not in html[: html.index(">In plain words</h2>")]


def test_plain_words_go_no_further_than_the_intervals(explained):
    readings = read_features(explained)
    said = summary(explained, readings)
    kinds = {r.feature.index: r.kind for r in readings}
    assert kinds[1] == "punished"
    assert kinds[2] == "little"
    assert kinds[3] == "open"
    assert kinds[5] == "none"
    assert [s.index for s in said.little] == [2]
    assert said.punishes[0].index == 1
    assert {3, 4, 5} <= {s.index for s in said.unknown}  # feature 4 is rewarded, but nobody can say what it is
    assert "anything from" in next(s.text for s in said.unknown if s.index == 3)
    assert "do not hold" in next(s.text for s in said.unknown if s.index == 4)
    assert "too few" in next(s.text for s in said.unknown if s.index == 5)
    assert (
        "60 to 40"
        in summary(explanation([feature(0, 0.2)]), read_features(explanation([feature(0, 0.2)]))).rewards[0].text
    )


@given(
    st.lists(
        st.tuples(
            st.floats(-0.9, 0.9), st.floats(0.001, 0.5), st.booleans(), st.booleans(), st.sampled_from([0.9, 0.0, None])
        ),
        max_size=12,
    )
)
def test_every_feature_is_said_once_and_a_reward_only_where_a_correction_passes(drawn):
    features = [
        feature(i, 0.1, r=r, effects={"alone": effect(c, half, sure=sure, mild=sure or mild)})
        for i, (c, half, sure, mild, r) in enumerate(drawn)
    ]
    given = explanation(features)
    readings = read_features(given)
    said = summary(given, readings)
    lists = (said.rewards, said.punishes, said.little, said.unknown)
    assert sorted(s.index for part in lists for s in part) == list(range(len(drawn)))
    changes = [r.change for r in readings]
    assert changes == sorted(changes, reverse=True)
    for s in said.rewards:
        change, _, sure, mild, r = drawn[s.index]
        assert change > 0
        assert sure or mild
        assert r != 0.0
        assert ("probably" in s.text) == (not sure)
    for s in said.little:
        change, half, *_ = drawn[s.index]
        assert abs(change) + half < 0.1


def test_one_kind_of_effect_judges_all_and_missing_controls_are_said():
    none = Effect(None, None, None, None, None, None, None, 900, reason="too few")
    mixed = explanation([feature(0, 0.2, effects={"raw": effect(0.3), "alone": none}), feature(1, 0.2)])
    assert {r.feature.index: (r.by, r.kind) for r in read_features(mixed)} == {
        0: ("alone", "none"),
        1: ("alone", "rewarded"),
    }
    assert summary(mixed, read_features(mixed)).standing.startswith("Of 2 features")
    raw = explanation([feature(0, 0.2, effects={"raw": effect(0.3), "alone": none})])
    said = summary(raw, read_features(raw)).standing
    assert said.startswith(
        'With length and format held fixed no effect could be estimated (too few); what follows rests on "raw"'
    )
    adjusted = explanation([feature(0, 0.2, effects={"alone": effect(0.3), "adjusted": effect(0.1, 0.2)})])
    assert [(r.by, r.kind) for r in read_features(adjusted)] == [("adjusted", "open")]


def test_pairs_chosen_by_their_features_are_no_data_to_speak_of():
    note = "the pairs are the strongest 2% of each feature, chosen by it: effects in them mean nothing"
    chosen = explanation([feature(0, 0.2)], notes=(note,))
    said = summary(chosen, read_features(chosen)).standing
    assert said.startswith("These pairs were chosen by their features, so no effect below says anything of the data")


def test_what_a_judge_could_not_name_was_not_tested():
    unnamed = explanation([feature(0, 0.3, how="extractive", r=None, effects={"alone": effect(0.3, sure=False)}),
                           feature(1, 0.2, r=0.05), feature(2, 0.2)])  # fmt: skip
    said = {s.index: s.text for s in summary(unnamed, read_features(unnamed)).unknown}
    assert said[0].endswith("No words were found for it, so it was not tested: read its examples instead.")
    assert said[1].endswith("Its words do not hold, so it was not tested: read its examples instead.")


@pytest.mark.parametrize(
    ("n", "labelled", "ties", "said"),
    [
        (1000, 1000, 0, "1,000 pairs of answers, all labelled, none as a tie."),
        (1000, 900, 40, "1,000 pairs of answers, 900 of them labelled, 40 as a tie."),
        (3, 0, 0, "3 pairs of answers, none of them labelled."),
    ],
)
def test_what_was_looked_at_in_one_line(n, labelled, ties, said):
    assert opening(explanation([feature(0, 0.1)], n=n, labelled=labelled, ties=ties)) == said


def test_a_features_words_are_marked_where_they_stand(tmp_path):
    shown = Example("e", "q", "I’m SORRY, not sorryful; <b>i'm", "I'm glad, of  course", 2.0, None)
    terms = (("i'm", 4.0), ("sorry", 3.5), ("of course", -3.2))
    html = section(body(write_page(explanation([feature(0, 0.1, examples=(shown,), terms=terms)]), tmp_path / "p")), 0)
    marked = re.findall(r"<mark>(.*?)</mark>", html)
    assert marked == ["I’m", "SORRY", "i&#39;m", "of  course"]  # what speaks for the other side is marked there only
    assert "&lt;b&gt;<mark>" in html


def test_counts_say_how_many_pairs_and_leave_out_what_hardly_differs(tmp_path):
    counted = {"words": -8.29, "lines": 0.01, "digits": 12.4, "pairs looked at": 132.0, "scale": 0.14}
    html = section(body(write_page(explanation([feature(0, 0.1, statistics=counted)]), tmp_path / "p.html")), 0)
    part = html.split("<h3>Counted</h3>")[1].split("</ul>")[0]
    assert "In the 132 pairs" in part
    assert re.findall(r"</bdi> (\S+)</li>", part) == ["−8.3", "+12"]


def test_what_nobody_checked_is_said_once_and_a_measured_column_needs_no_words(tmp_path):
    counted = [feature(i, 0.2 - 0.2 * i, how="extractive", r=None) for i in range(3)]
    said = summary(explanation(counted), read_features(explanation(counted)))
    assert not any(s.worry for part in (said.rewards, said.punishes, said.little, said.unknown) for s in part)
    assert any("All descriptions are extractive" in r for r in said.remarks)
    column = explanation([feature(0, 0.2, how="given", r=None)])
    part = section(body(write_page(column, tmp_path / "p.html")), 0)
    assert "a measured column" in part
    assert "not checked" not in part


def test_a_feature_shows_its_figures_with_n_interval_and_corrections(page):
    part = section(body(page), 1)
    for wanted in ("refuses to answer (1)", "named by a model", "r = 0.60 [0.52, 0.68]", "n = 300 pairs", "−31.0 pt",
                   "[−37.0, −25.0]", "raw", "alone", "joint", "with length, format held fixed", "Bonferroni", "0.003",
                   "sorry", "It measures much the same as #2", "in 2 of 3 with a winner"):  # fmt: skip
        assert wanted in part, wanted
    assert "its effect is −18.6 pt" in part  # the joint effect tells another story
    extractive = section(body(page), 3)
    assert "extractive" in extractive
    assert "counting words and formats; nobody read the pairs" in extractive
    assert "How well the description fits was not measured" in extractive
    assert "too few" in section(body(page), 5)
    assert "The description does not hold" in section(body(page), 4)


def test_the_answer_with_more_of_it_stands_left_with_its_own_label(tmp_path):
    turned = Example("e", "q", "first text", "second text", -2.0, 0.0)
    html = section(body(write_page(explanation([feature(0, 0.1, examples=(turned,))]), tmp_path / "p.html")), 0)
    assert (
        html.index("has more of it")
        < html.index("second text")
        < html.index("has less of it")
        < html.index("first text")
    )
    assert html.index("✓ preferred") < html.index("second text")
    assert html.count("✓ preferred") == 1


def test_long_texts_are_folded_and_a_megabyte_is_cut(tmp_path):
    big = "x" * 1_000_000 + "THE END"
    html = write_page(
        explanation([feature(0, 0.1, examples=(Example("e", "q" * 3000, big, "b", 1.0, None),))]), tmp_path / "p.html"
    ).read_text(encoding="utf-8")
    assert "994,007 more characters are not on this page" in html
    assert "2,300 more characters</summary>" in html
    assert "THE END" not in html
    assert folded("a" * 800).rest == ""
    found = folded("a" * 5000, limit=2000, fold=700)
    assert (len(found.head), len(found.rest), found.cut) == (700, 1300, 3000)


def test_many_features_leave_a_page_that_opens(tmp_path):
    long = tuple(Example(f"e{i}", "p " * 5000, "a " * 5000, "b " * 5000, 1.0, 1.0) for i in range(12))
    path = write_page(explanation([feature(i, 0.001 * i, examples=long) for i in range(200)]), tmp_path / "p.html")
    assert path.stat().st_size < 16_000_000
    assert "2 further examples are not on this page" in path.read_text(encoding="utf-8")


def test_nothing_labelled_and_nothing_found_are_said(tmp_path):
    none = Effect(None, None, None, None, None, None, None, 0, reason="no pair has a label")
    without = explanation([feature(0, 0.1, effects={"alone": none})], labelled=0, ties=0, predicted=())
    html = body(write_page(without, tmp_path / "a.html"))
    assert "no pair says which answer was preferred" in html
    assert "No effect was estimated" in html
    empty = body(write_page(explanation([], predicted=(), notes=()), tmp_path / "b.html"))
    assert "No feature was found" in empty


def test_an_explanation_survives_its_file(explained, tmp_path):
    path = write_explanation(explained, tmp_path / "folder")
    assert path == tmp_path / "folder" / "explanation.json"
    assert read_explanation(tmp_path / "folder") == explained


def test_numbers_that_are_not_finite_are_missing(tmp_path):
    bad = Effect(math.nan, None, None, math.inf, None, None, math.nan, 5)
    given = explanation([feature(0, 0.1, effects={"alone": bad})], settings={"path": tmp_path, "x": math.nan})
    found = read_explanation(write_explanation(given, tmp_path).parent)
    assert found.features[0].effects["alone"] == Effect(None, None, None, None, None, None, None, 5)
    assert found.settings == {"path": str(tmp_path), "x": None}
    html = body(write_page(given, tmp_path / "p.html")).lower()
    assert ">nan" not in html
    assert "inf pt" not in html


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("labelled"), "labelled: int is wanted"),
        (lambda d: d["features"][1].update(index="x"), r"features\[1\].index: int is wanted, found \"x\""),
        (lambda d: d["features"][0].update(how="guess"), r"features\[0\].how: is \"guess\""),
        (lambda d: d["features"][0]["examples"][2].update(colour=1), r"examples\[2\].colour: Example has no such"),
        (lambda d: d["features"][1].update(index=0), "index 0 is there twice"),
        (lambda d: d["features"][0]["fidelity"].pop("n"), r"features\[0\].fidelity.n: int is wanted"),
        (lambda d: d["features"][0].update(terms=[1]), r"features\[0\].terms: a list of"),
    ],
)
def test_bad_values_get_one_line_with_their_field(explained, change, said):
    found = json.loads(json.dumps(as_json(explained)))
    change(found)
    with pytest.raises(InputError, match=said) as error:
        from_json(found)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file; `evalsuite preferences explain DATA"),
        ("{", "is not JSON"),
        ("[]", "an object is wanted"),
        ('{"dataset": 3}', "dataset: str is wanted, found 3"),
    ],
)
def test_an_absent_or_broken_file_is_named(tmp_path, text, said):
    if text is not None:
        (tmp_path / "explanation.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as error:
        read_explanation(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "explanation.json"))
    assert "\n" not in str(error.value)


def evil():
    example = Example(EVIL, EVIL, "\n".join([EVIL] * 40) + "\x00\ud800", EVIL + '"', 1.0, 1.0)
    effects = {
        EVIL: effect(0.1),
        "alone": effect(0.2),
        "raw": Effect(None, None, None, None, None, None, None, 1, reason=EVIL),
    }
    first = feature(0, 0.2, examples=(example,), effects=effects, terms=((EVIL, 1.0),), statistics={EVIL: 1.0})
    named = Feature(**{**{k: getattr(first, k) for k in first.__slots__}, "description": EVIL, "name": EVIL})
    predicted = (Predicted(EVIL, 0.6, 0.5, 0.7, 10, EVIL), Predicted("none" + EVIL, None, None, None, 0, EVIL))
    more = {"controls": (EVIL,), "predicted": predicted, "notes": (EVIL,), "settings": {EVIL: EVIL}}
    return Explanation(EVIL, 10, 10, 0, EVIL, (named, feature(1, 0.1)), **more)


def test_what_files_wrote_stays_text(tmp_path, open_page):
    path = write_page(evil(), tmp_path / "evil.html")
    html = path.read_text(encoding="utf-8")
    assert "<img" not in html.split("<script>")[0]
    assert len(re.findall(r"<script", html.split("plotly.js v")[0])) == 2  # the figures' JSON, and plotly
    view, faults = open_page(path)
    view.wait_for_selector("body[data-drawn]")
    assert view.locator("script").count() == 4
    assert "</script><script>alert(1)" in view.locator("h1").inner_text()
    view.locator("tr[data-feature='0'] a").click()
    text = view.locator("#feature-0 .answer.less pre").first.inner_text()
    assert "<script>alert(1)</script>" in text
    assert "\"'><b onclick='x'>{{ 7*7 }} &lt;" in text
    assert view.locator("b[onclick], img").count() == 0
    assert faults == []


def test_a_reader_clicks_a_feature_and_reads_its_examples(page, open_page, tmp_path):
    view, faults = open_page(page, viewport={"width": 1300, "height": 1000})
    view.wait_for_selector("body[data-drawn]")
    assert not view.locator("#feature-1").is_visible()
    view.screenshot(path=tmp_path / "overview.png", full_page=True)
    point = view.locator("#effects .scatterlayer .trace .point").last
    point.hover(force=True)
    view.wait_for_selector("#peek:not([hidden]) .answer")
    tiles = [" ".join(tile.split()) for tile in view.locator(".tiles li").all_inner_texts()]
    heads = [" ".join(head.split()) for head in view.locator(".said:not(.notes) > h3").all_inner_texts()]
    assert [tile.split()[0] for tile in tiles] == [head.split()[-1] for head in heads[:4]]
    assert sum(int(tile.split()[0]) for tile in tiles) == 8
    view.locator("tr[data-feature='1'] a").click()
    view.wait_for_selector("#feature-1 .example")
    assert view.evaluate("location.hash") == "#feature-1"
    assert not view.locator("#ranked").is_visible()
    assert view.locator("#notes").is_visible()
    assert "Question 0 of feature 1?" in view.locator("#feature-1 .asked pre").first.inner_text()
    beside = """() => {
        const [a, b] = [...document.querySelectorAll("#feature-1 .answer")].map((x) => x.getBoundingClientRect());
        return a.top === b.top && a.right <= b.left;
    }"""
    assert view.evaluate(beside)
    view.screenshot(path=tmp_path / "feature.png", full_page=True)
    assert (tmp_path / "feature.png").stat().st_size > 10_000
    view.go_back()
    assert view.locator("#ranked").is_visible()
    assert faults == []


def test_quotation_marks_stay_quotation_marks_in_figures(tmp_path, open_page):
    quoted = feature(0, 0.2)
    named = Feature(**{**{k: getattr(quoted, k) for k in quoted.__slots__}, "description": 'says "I\'m" <b>'})
    view, faults = open_page(write_page(explanation([named]), tmp_path / "p.html"))
    view.wait_for_selector("body[data-drawn]")
    assert view.locator("#effects .annotation-text").first.text_content() == '#0 says "I\'m" <b>'
    assert faults == []


def test_names_filters_and_keys_lead_to_features(page, open_page):
    view, faults = open_page(page, viewport={"width": 1300, "height": 1000})
    view.wait_for_selector("body[data-drawn]")
    order = [row.get_attribute("data-feature") for row in view.locator("tr[data-feature]").all()]
    view.locator("#effects .annotation-text-g").first.click()
    assert view.evaluate("location.hash") == f"#feature-{order[0]}"
    assert view.evaluate("document.activeElement.id") == f"title-{order[0]}"
    view.keyboard.press("ArrowRight")
    view.wait_for_selector(f"#feature-{order[1]} h2")
    assert view.evaluate("location.hash") == f"#feature-{order[1]}"
    view.keyboard.press("Escape")
    view.wait_for_selector("#all", state="visible")
    box = view.locator("#prediction").bounding_box()
    assert box["width"] > 600
    view.locator("button[data-kind='little']").click()
    assert [r.get_attribute("data-feature") for r in view.locator("tr.item:visible").all()] == ["2"]
    view.locator("button[data-kind='all']").click()
    view.locator("#words").fill("polite")
    assert [r.get_attribute("data-feature") for r in view.locator("tr.item:visible").all()] == ["2"]
    view.locator("tr[data-feature='2'] a").focus()
    view.keyboard.press("Enter")
    assert view.locator("#feature-2 h2").is_visible()
    view.goto(page.as_uri() + "#feature-3")
    assert view.locator("#feature-3 h2").is_visible()
    assert faults == []


def test_it_fits_a_phone_and_both_schemes(page, open_page):
    view, faults = open_page(page, color_scheme="dark", viewport={"width": 380, "height": 900})
    view.wait_for_selector("body[data-drawn]")
    assert view.locator("body").get_attribute("data-drawn") == "4"
    for link in view.locator(".contents a").all():
        assert view.locator(link.get_attribute("href")).count() == 1
    for place in ("", "#feature-1"):
        view.evaluate("place => { location.hash = place }", place)
        for scheme, width in (("dark", 380), ("light", 380), ("light", 1300)):
            view.emulate_media(color_scheme=scheme)
            view.set_viewport_size({"width": width, "height": 900})
            assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.locator("#feature-1 h2").is_visible()
    assert faults == []
