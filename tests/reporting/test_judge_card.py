"""The judge's report card as a reader gets it: plain words first, whole in one file, untrusted text that stays text."""

import json
import re

import pytest

from evalsuite.judging.audit.attacks import Attempt, attack
from evalsuite.judging.audit.audit import audit
from evalsuite.judging.contract import Annotation, Answer, pair
from evalsuite.judging.judge import find
from evalsuite.records import Completion, user
from evalsuite.reporting.judge_card import as_json, write_card

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\u2028"


def rows(judge, model, says, models=("gpt-4", "other"), n=40):
    found = []
    for i in range(n):
        for order in ("ab", "ba"):
            preference = says(i, order)
            found.append(
                Annotation(f"s{i}", "", *models, judge, model, "pairwise", order, preference, "parsed", "text",
                           length_a=300 + i, length_b=100, cost=0.001, tokens=1, prompt_tokens=500,
                           details={"text_a": f"- one\n- two {i}", "text_b": "plain"})
            )  # fmt: skip
    return found


def people(models=("gpt-4", "other"), n=40):
    return [
        Annotation(f"s{i}", "", *models, "person", who, "pairwise", "", float((i + k) % 4 > 0), "parsed", "person")
        for i in range(n)
        for k, who in enumerate(("expert_1", "expert_2", "author_1"))
    ]


def first(i, order):
    return float(order == "ab")


def good(i, order):
    return float(i % 4 > 0)


@pytest.fixture(scope="module")
def attacks():
    cases = [pair(f"s{i}", [user("q")], Answer(f"one {i}", "a"), Answer(f"two {i}", "b")) for i in range(3)]
    return attack(cases, find("pairwise"), lambda rs: [Completion("A") for _ in rs], "gpt-4", Attempt(limit=3))


@pytest.fixture
def page(tmp_path, attacks):
    beside = rows("recorded", "strong", good)
    card = audit(rows("pairwise/1#abcd1234", "gpt-4", first), people(), beside)
    return write_card(card, tmp_path / "out" / "card.html", attacks)


def test_plain_words_stand_first_and_a_weak_judge_looks_weak(page):
    html = page.read_text(encoding="utf-8")
    body = html.split("<body>")[1].split("<script")[0]
    assert 'class="standing bad">Do not trust it' in body
    assert body.index("In plain words") < body.index("Which judge") < body.index("Beside naive judges")
    for said in ("Do not trust it for", "first slot in 100%", "a coin", "the longest answer", "the first answer",
                 "two people", "recorded · strong", "abcd1234", "judge - expert", "expert - expert",
                 "the judge itself", "a constant answer with a fake verdict", "null model must lose"):  # fmt: skip
        assert said in body, said


def test_it_is_whole_in_one_file_with_its_figures_as_json(page, attacks):
    html = page.read_text(encoding="utf-8")
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert html.count("plotly.js v") == 1
    assert not re.search(r'(?:src|href)="(?!#)', html.split("<script>")[0])
    card = audit(rows("pairwise/1#abcd1234", "gpt-4", first), people())
    found = json.loads(json.dumps(as_json(card, attacks), allow_nan=False))
    assert found["profiles"][0]["flips"]["value"] == 1.0
    assert found["attacks"]["nulls"][0]["win_rate"]["value"] == 0.5
    assert "rows" not in found["attacks"]
    assert found["words"]["distrust"]


def test_what_files_and_models_wrote_stays_text(tmp_path, attacks, open_page):
    models = (f"gpt-4 {EVIL}", EVIL)
    card = audit(rows(EVIL, f"gpt-4{EVIL}", first, models), people(models), rows(EVIL, "b" + EVIL, good, models))
    path = write_card(card, tmp_path / "card.html", attacks, title=EVIL)
    html = path.read_text(encoding="utf-8")
    assert len(re.findall(r"<script", html.split("plotly.js v")[0])) == 2  # the figures' JSON, and plotly
    assert "<img" not in html.split("<script>")[0]
    view, faults = open_page(path)
    view.wait_for_selector("body[data-drawn]")
    assert "</script><script>alert(1)" in view.locator("h1").inner_text()
    assert view.locator("script").count() == 3
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_the_card_fits_and_draws_its_figures(page, open_page, scheme, width):
    view, faults = open_page(page, color_scheme=scheme, viewport={"width": width, "height": 900})
    view.wait_for_selector("body[data-drawn]")
    assert view.locator("body").get_attribute("data-drawn") == "2"
    assert view.locator(".figure .plot-container").count() == 2
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    for link in view.locator(".contents a").all():
        assert view.locator(link.get_attribute("href")).count() == 1
    assert faults == []


def test_a_card_of_one_verdict_says_what_it_cannot_know(tmp_path):
    card = audit([Annotation("a", "", "x", "y", "j", "", "pairwise", "", None, "judge_parse")], [])
    body = write_card(card, tmp_path / "card.html").read_text(encoding="utf-8").split("<script")[0]
    assert "Not known: nothing compares this judge with people." in body
    assert "no pair was judged in both orders" in body
    assert "None were tried" in body
    assert 'id="distribution"' not in body
