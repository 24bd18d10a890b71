"""Names, prompts, answers and judges' words of strangers: nothing runs, and the pages stay readable."""

import csv
import json

import pytest

from evalsuite.judging import Annotation, write_annotations
from evalsuite.publishing import build_site
from evalsuite.publishing.entries import slugs_of

KINDS = {
    "script": "</script><script>alert(1)</script>",
    "handler": "<img src=x onerror=alert(2)><svg onload=alert(3)>",
    "link": "javascript:alert(4)//[words](javascript:alert(5))",
    "bidi": "\u202egnp.exe\u2066 \u200f",
    "formula": "=cmd|' /C calc'!A0",
    "template": "{{ 7*7 }} ${alert(6)} \u2028",
}


PLACES = ("prompt", "question", "answer", "reasoning", "target")


def build(make_run, tmp_path, evil, long=""):
    """Two models whose every text is `evil`, and in the place `long` a megabyte of it."""

    # A run’s name is a path in the store, where no slash may stand: the words come by the model and the task.
    def text(name, i):
        said = evil * (1_000_000 // len(evil)) if long == "judge" else evil
        found = dict.fromkeys(PLACES, evil) | {"target": json.dumps(evil)}
        found |= {"details.acc": json.dumps({"answer": evil, "why": said}), "metadata": json.dumps({"kind": evil})}
        if long in PLACES:
            much = evil * (1_000_000 // len(evil))
            found[long] = json.dumps(much) if long == "target" else much
        return found

    model = {"name": evil, "lineage": {"parent": None, "method": evil, "parent_name": evil}}
    runs = [
        make_run(n, {evil: {"acc": [1.0, 0.0] * 6}}, model=model, tasks={evil: {"family": evil}}, text=text)
        for n in ("a", "b")
    ]
    for run, other in (runs, runs[::-1]):
        who = (evil, run.name, other.name, f"{evil}/1", evil, "pairwise")
        said = evil * (1_000_000 // len(evil)) if long == "judge" else evil
        rows = [
            Annotation(f"s{i}", *who, order, 0.7, "parsed", raw=said, aspect=evil, category=evil)
            for i in range(12)
            for order in ("ab", "ba")
        ]
        write_annotations(run.path / "annotations-1.jsonl", rows[:2] if long == "judge" else rows)
    build_site(runs, tmp_path / "site", title=evil)
    return tmp_path / "site", slugs_of([evil])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_and_pages_stay_readable(make_run, tmp_path, open_page, kind):
    site, slug = build(make_run, tmp_path, KINDS[kind])
    for name, ready in (
        ("index.html", "#board tbody tr"),
        ("models/a.html", "#samples article"),
        (f"tasks/{slug}.html", "#hardest tbody tr"),
        ("compare.html", "#a option:nth-child(2)"),
        ("compare.html#a=a&b=b", "#rows tr"),
        ("methods.html", "h1"),
        ("judges.html", "main table"),
    ):
        name, _, fragment = name.partition("#")
        page, faults = open_page(site / name)
        if fragment:
            page.evaluate("(h) => { location.hash = h }", fragment)
        page.wait_for_selector(ready, state="attached")
        assert page.locator("img, main script, iframe, object").count() == 0
        assert page.locator("a[href^='javascript']").count() == 0
        assert (
            page.evaluate(
                "document.querySelectorAll('[onclick],[onerror],[onload],main [style]:not(.axis, .board)').length"
            )
            == 0
        )
        assert faults == []
        page.close()


def test_a_policy_stops_what_would_slip_through(site, open_page):
    """Were a text ever taken for markup, the policy would still run none of it."""
    page, faults = open_page(site / "index.html")
    page.wait_for_selector("body[data-drawn]")
    page.evaluate("document.getElementById('main').insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')")
    page.wait_for_timeout(200)
    assert not any(f.startswith("dialog") for f in faults)
    assert any("Content Security Policy" in f for f in faults)


@pytest.mark.parametrize("place", ["prompt", "answer", "target", "judge"])
def test_a_line_of_a_megabyte_is_cut_with_its_length(make_run, tmp_path, open_page, place):
    """One line without a blank, at that."""
    site, _ = build(make_run, tmp_path, "0123456789abcdefghij" * 2, long=place)
    page, faults = open_page(site / "models" / "a.html", viewport={"width": 360, "height": 800})
    page.wait_for_selector("#samples article")
    assert "more characters in the file" in page.locator("#samples article").first.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert all(p.stat().st_size < 1_000_000 for p in (site / "samples").rglob("*.js"))
    assert all(p.stat().st_size < 300_000 for p in site.rglob("*.html"))
    assert faults == []


def test_bidi_controls_turn_no_line_round(make_run, tmp_path, open_page):
    site, _ = build(make_run, tmp_path, KINDS["bidi"])
    page, _ = open_page(site / "index.html")
    page.wait_for_selector("#board tbody tr")
    assert not set("\u202e\u2066\u200f") & set(page.inner_text("body"))


def test_spreadsheets_run_no_formula(make_run, tmp_path, open_page):
    site, _ = build(make_run, tmp_path, KINDS["formula"])
    for path in [*(site / "data").rglob("*.csv")]:
        with path.open(encoding="utf-8", newline="") as file:
            fields = [f for row in csv.reader(file) for f in row]
        assert not [f for f in fields if f.startswith(("=", "+", "@"))], path
    page, _ = open_page(site / "models" / "a.html")
    page.wait_for_selector("#samples article")
    with page.expect_download() as found:
        page.click("#rows-csv")
    found.value.save_as(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["answer"] == "'" + KINDS["formula"]
