"""The report in a real browser: a stranger's text never runs, whatever its kind; readable by keyboard, phone, print."""

import json

import pytest

from evalsuite.reporting import write_report

KINDS = {
    "script": "</script><script>alert(1)</script></style><script>alert(2)</script>",
    "handler": "<img src=x onerror=alert(3)><svg onload=alert(4)><b onmouseover=alert(5)>",
    "link": "javascript:alert(6)//<a href='javascript:alert(7)'>x</a>[words](javascript:alert(8))",
    "bidi": "\u202egnp.exe\u2066 \u200f",
    "template": "{{ 7*7 }} ${alert(9)} %{x} \u2028 $\\alpha$",
}
LONG = "0123456789 and so on until the end " * 30_000


def runs_of(make_run, evil):
    """Two runs whose every text, name and task is a stranger's."""
    task = f"bad {evil[:200]}"
    text = {"prompt": evil, "answer": evil, "reasoning": evil, "target": json.dumps(evil), "finish_reason": "length"}
    text |= {"details.acc": json.dumps({"answer": evil + "!"}), "completions": json.dumps({evil: [evil]})}
    about = {"address": evil, "system": evil, "template": evil}
    options = {
        "text": lambda t, i: {**text, "sample": f"{evil[:300]}{i}"},
        "tasks": {task: {"family": evil[:200], "baselines": {evil[:100]: 0.5}}},
    }
    lineage = {"lineage": {"parent": "f-first", "method": evil}}
    first = make_run("first", {task: {"acc": [0, 1] * 10}}, model=about, **options)
    return [first, make_run("second", {task: {"acc": [1] * 20}}, model={**about, **lineage}, **options)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_strangers_text_never_runs(make_run, tmp_path, open_page, kind):
    evil = KINDS[kind]
    page, faults = open_page(write_report(runs_of(make_run, evil), tmp_path / "r.html", title=evil))
    page.wait_for_selector("body[data-drawn]")
    assert page.locator("img, main script, main svg[onload], iframe, object, main style").count() == 0
    assert page.locator("a:not([href^='#'])").count() == 0
    assert page.evaluate("document.querySelectorAll('[onclick],[onerror],[onload],[onmouseover]').length") == 0
    assert page.locator("script").count() == 3
    assert "49" not in page.locator("h1").inner_text()
    if kind == "bidi":
        assert not set("\u202e\u2066\u200f") & set(page.locator("body").inner_text())
    page.locator(".paired + .flips summary").first.click()
    page.locator(".flips a").first.click()
    assert page.locator(".item").first.is_visible()
    assert faults == []


def test_a_line_of_a_megabyte_leaves_the_page_readable(make_run, tmp_path, open_page):
    def text(task, i):
        return {"prompt": LONG, "answer": LONG} if i == 0 else {}

    run = make_run("a", {"facts": {"acc": [0, 1]}}, model={"system": LONG}, text=text)
    path = write_report([run], tmp_path / "r.html")
    page, faults = open_page(path, viewport={"width": 390, "height": 844})
    page.wait_for_selector("body[data-drawn]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "more characters" in page.locator(".answer .rest").first.inner_text()
    assert path.stat().st_size < 20_000_000
    assert faults == []


@pytest.fixture
def report(make_run, tmp_path):
    scores = {"facts": {"acc": [0] * 30 + [1] * 10}, "sums/long_division_of_large_numbers": {"acc": [1, 0] * 20}}
    base = make_run("base", scores, text=lambda t, i: {"answer": f"Short {i}."})
    child = make_run(
        "sft",
        {**scores, "facts": {"acc": [1] * 30 + [0] * 10}},
        text=lambda t, i: {"answer": f"A longer answer, of several words, number {i}."},
        model={"lineage": {"parent": "f-base", "method": "sft"}},
    )
    return write_report([base, child], tmp_path / "report.html", title="What SFT changed")


def test_the_words_come_first_and_the_policy_is_strict(report, open_page):
    page, faults = open_page(report)
    page.wait_for_selector("body[data-drawn]")
    assert page.locator("h2").first.inner_text() == "In plain words"
    assert "sft is better than base on facts acc (+50.0 [" in page.locator(".words .better").inner_text()
    assert page.locator(".words").bounding_box()["y"] < page.locator(".figure").first.bounding_box()["y"]
    policy = page.locator("meta[http-equiv]").get_attribute("content")
    parts = {p.split()[0]: p.split()[1:] for p in policy.split("; ")}
    assert parts["default-src"] == ["'none'"]
    assert all(x.startswith("'sha256-") for x in [*parts["script-src"], *parts["style-src-elem"]])
    assert (parts["base-uri"], parts["form-action"]) == (["'none'"], ["'none'"])
    assert faults == []
    slipped = "<style>h1 { display: none }</style><img src=x onerror=alert(1)>"
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", slipped)
    page.wait_for_timeout(200)
    assert page.locator("h1").is_visible()
    assert not any(f.startswith("dialog") for f in faults)
    assert sum("Content Security Policy" in f for f in faults) >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(report, open_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page, _ = open_page(report, color_scheme=scheme)
    page.wait_for_selector("body[data-drawn]")
    found = axe.Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_keyboard_reaches_everything(report, open_page):
    page, faults = open_page(report)
    page.wait_for_selector("body[data-drawn]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.locator("button[data-kind=changed]").focus()
    page.keyboard.press("Enter")
    assert page.locator("button[data-kind=changed]").get_attribute("aria-pressed") == "true"
    page.locator(".paired").first.focus()  # a table that may scroll sideways can be focused, so arrow keys scroll it
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region"
    assert faults == []


def test_on_a_phone_labels_stand_above_their_rows(report, open_page):
    page, faults = open_page(report, viewport={"width": 390, "height": 844})
    page.wait_for_selector("body[data-drawn]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first = page.locator("#difference-0")
    assert first.locator(".annotation").count() == 2
    width, plot = first.bounding_box()["width"], first.locator(".bglayer .bg, .plotbg").first
    assert plot.evaluate("e => e.getBoundingClientRect().width") > 0.8 * width
    labels = [t.bounding_box() for t in first.locator(".annotation-text").all()]
    assert all(b["x"] + b["width"] <= 390 for b in labels)
    page.set_viewport_size({"width": 1300, "height": 900})
    page.wait_for_timeout(200)
    assert first.locator(".annotation").count() == 0
    assert faults == []


def test_on_paper_the_words_and_figures_remain(report, open_page):
    page, _ = open_page(report)
    page.wait_for_selector("body[data-drawn]")
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator(".contents").is_visible()
    assert page.locator(".words .better").is_visible()
    assert page.locator("#difference-0 .errorbar").count() == 2
