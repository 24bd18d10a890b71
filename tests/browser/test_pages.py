"""The pages behind the index in a real browser: explorer, compare, tasks; statistics against ours; accessibility."""

import pytest

from evalsuite.comparison import paired
from evalsuite.publishing.entries import file_name
from evalsuite.statistics import paired_difference


def model(site, name):
    return site / "models" / f"{file_name(name)}.html"


def set_hash(page, text):
    page.evaluate("(h) => { location.hash = h }", text)


def test_the_explorer_searches_filters_and_shows_prompt_and_reasons(site, open_page):
    page, faults = open_page(model(site, "tiny-1B/sft"))
    page.wait_for_selector("#explorer[data-drawn='facts:40']")
    first = page.locator("#samples article").first.inner_text()
    assert "Question 0?" in first
    assert "the judge found number 0" in first
    page.check("#wrong")
    page.wait_for_selector("#explorer[data-drawn='facts:20']")
    page.fill("#find", "number 3")
    page.wait_for_selector("#explorer[data-drawn='facts:10']")  # 30 to 39 are wrong
    link = page.evaluate("location.hash")
    page.select_option("#task", "made/up")
    page.wait_for_selector("#explorer[data-drawn^='made/up']")
    again, other = open_page(model(site, "tiny-1B/sft"))
    again.wait_for_selector("#explorer[data-drawn]")
    set_hash(again, link)
    again.wait_for_selector("#explorer[data-drawn='facts:10']")
    assert again.input_value("#find") == "number 3"
    assert faults == other == []


def test_pages_of_the_explorer_turn(site, open_page, wait_until):
    page, _ = open_page(model(site, "tiny-1B/sft"))
    page.wait_for_selector("#explorer[data-drawn]")
    page.click("#after")
    wait_until(page, "document.querySelector('#samples article').dataset.sample === 's20'")
    assert page.is_disabled("#after")


def test_a_task_page_leads_to_its_hardest_sample(site, open_page):
    page, faults = open_page(site / "tasks" / "facts.html")
    assert page.locator("#models-1 tbody tr").count() == 4
    page.click("#hardest tbody a >> nth=0")
    page.wait_for_selector("#explorer[data-drawn='facts:1']")
    page.click("#one")
    page.wait_for_selector("#explorer[data-drawn='facts:40']")
    assert faults == []


def test_a_link_to_a_view_opens_what_is_folded(site, open_page, wait_until):
    page, _ = open_page(model(site, "tiny-1B/dpo"))
    page.wait_for_selector("body[data-tables]")
    assert not page.locator("details:has(#nodes)").evaluate("d => d.open")
    set_hash(page, "sort-nodes=2.ascending")
    wait_until(page, "document.querySelector('details:has(#nodes)').open")


def test_tables_sort_and_filter_with_an_address(site, open_page, wait_until):
    page, _ = open_page(site / "tasks" / "facts.html")
    page.wait_for_selector("body[data-tables]")
    page.click("#models-1 thead button:text-is('value')")
    page.click("#models-1 thead button:text-is('value')")
    rows = page.locator("#models-1 tbody tr:visible th")
    assert rows.first.inner_text() == "tiny-1B/base"
    page.fill("[data-filter='models-1']", "tiny")
    assert rows.count() == 3
    link = page.evaluate("location.hash")
    again, _ = open_page(site / "tasks" / "facts.html")
    again.wait_for_selector("body[data-tables]")
    set_hash(again, link)
    wait_until(again, "document.querySelectorAll('#models-1 tbody tr:not([hidden])').length === 3")
    assert again.locator("#models-1 tbody tr:visible th").first.inner_text() == "tiny-1B/base"


def test_two_models_are_compared_as_compare_does(site, runs, open_page):
    page, faults = open_page(site / "compare.html")
    page.select_option("#a", "tiny-1B/dpo")
    page.select_option("#b", "tiny-1B/base")
    page.wait_for_selector("#flips[data-drawn]")
    by_task = {d.task: d for d in paired(runs[2], runs[0])}
    for row in page.locator("#rows tr").all():
        d = by_task[row.locator("th a").inner_text()]
        text = row.inner_text().replace("−", "-")
        assert f"{100 * d.value:+.1f} pt" in text
        assert f"{100 * d.low:+.1f} to {100 * d.high:+.1f}" in text
        assert ("<0.001" if d.q < 0.001 else f"{d.q:.3f}") in text
        assert {"tied": "statistically tied"}.get(d.verdict, d.verdict) in text
    page.select_option("#task", "facts")
    page.wait_for_selector("#flips[data-drawn='facts:20']")
    item = page.locator("#flips article").first
    assert item.locator("del").first.inner_text() == "tiny-1B/base"
    assert item.locator("ins").first.inner_text() == "tiny-1B/dpo"
    page.select_option("#kind", "worse")
    page.wait_for_selector("#flips[data-drawn='facts:0']", state="attached")
    assert faults == []


@pytest.mark.parametrize(
    "case", [([1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0]), ([0.2, 0.9, 0.5, 0.7], [0.1, 0.4, 0.6, 0.2])]
)
def test_the_pages_statistics_are_ours(site, open_page, wait_until, case):
    page, _ = open_page(site / "compare.html")
    wait_until(page, "window.evalsuite && window.evalsuite.statistics")
    a, b = ([float(x) for x in side] * 12 for side in case)
    theirs = page.evaluate("([a, b]) => window.evalsuite.statistics.paired(a, b)", [a, b])
    ours = paired_difference(a, b)
    assert theirs["value"] == pytest.approx(ours.value)
    assert [theirs["low"], theirs["high"]] == pytest.approx([ours.low, ours.high], abs=1e-6)
    if ours.test in ("mcnemar", "t"):
        assert theirs["p"] == pytest.approx(ours.p, abs=1e-6)


PAGES = [
    "index.html",
    "compare.html#a=tiny-1B%2Fdpo&b=tiny-1B%2Fbase",
    "methods.html",
    "judges.html",
    "tasks/facts.html",
    "model",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(site, open_page, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    path, _, fragment = name.partition("#")
    page, faults = open_page(model(site, "tiny-1B/dpo") if path == "model" else site / path, color_scheme=scheme)
    if fragment:
        set_hash(page, fragment)
    page.wait_for_timeout(300)
    found = axe.Axe().run(page).response["violations"]
    serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []
    assert faults == []
