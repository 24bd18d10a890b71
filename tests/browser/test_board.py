"""The index in a real browser, from file://: sort, filter, search, columns, ties, permalinks, phone width."""

import csv
import re

import pytest

from evalsuite.publishing import build_site


def names(page):
    return page.locator("#board tbody th a").all_inner_texts()


def settle(page, action):
    """Runs `action` and waits until the table was drawn again."""
    before = int(page.locator("body").get_attribute("data-drawn"))
    action()
    for _ in range(200):
        if int(page.locator("body").get_attribute("data-drawn")) > before:
            return
        page.wait_for_timeout(50)  # playwright's own waiting would need `eval`, which the page's policy forbids
    raise AssertionError("the table was not drawn again")


def open_at(open_page, path, fragment="", **options):
    page, faults = open_page(path, **options)
    page.wait_for_selector("body[data-drawn]")
    if fragment:
        settle(page, lambda: page.evaluate("(h) => { location.hash = h }", fragment))
    return page, faults


def test_it_opens_in_the_order_of_lineages(site, open_page):
    page, faults = open_at(open_page, site / "index.html")
    assert names(page) == ["stranger-13B", "tiny-1B/base", "tiny-1B/sft", "tiny-1B/dpo"]
    assert "tiny-1B/base → tiny-1B/sft → tiny-1B/dpo" in page.locator("#board tbody tr").last.inner_text()
    assert page.locator("#board thead th.family").all_inner_texts() == ["Hallucination", "Factuality", "Reasoning"]
    assert faults == []


def test_a_click_sorts_best_first_and_missing_figures_stay_below(site, open_page):
    page, faults = open_at(open_page, site / "index.html")
    settle(page, lambda: page.click("#board button:text-is('facts')"))
    assert names(page)[0] == "tiny-1B/dpo"
    assert names(page)[-1] == "tiny-1B/base"
    head = page.locator("th:has(button:text-is('facts'))")
    assert head.get_attribute("aria-sort") == "descending"
    settle(page, lambda: page.keyboard.press("Enter"))  # the focus stays on the head that was pressed
    assert names(page)[0] == "tiny-1B/base"
    settle(page, lambda: page.click("#board button:text-is('made/up')"))  # lower is better
    assert names(page) == ["tiny-1B/dpo", "tiny-1B/sft", "tiny-1B/base", "stranger-13B"]
    assert page.locator("th[aria-sort]").count() == 1
    assert faults == []


def test_intervals_ranks_and_ties(site, open_page):
    page, _ = open_at(open_page, site / "index.html", "sort=facts~acc~1")
    rows = page.locator("#board tbody tr")
    assert "70.0%" in rows.nth(0).inner_text()
    with (site / "data" / "figures.csv").open(encoding="utf-8") as file:
        table = {(r["run"], r["task"]): r for r in csv.DictReader(file)}
    for i, name in enumerate(names(page)):
        row = table[name, "facts"]
        best, worst = row["rank_best"], row["rank_worst"]
        shown = best if best == worst else f"{best}–{worst}"
        assert rows.nth(i).locator("td.place").inner_text().split()[0] == shown
        low, high = (f"{100 * float(row[k]):.1f}" for k in ("low", "high"))
        assert f"{low} – {high}" in rows.nth(i).inner_text()
    assert page.locator("tr.tied").count() >= 2
    assert "tied" in rows.nth(1).locator("td.place").inner_text()  # 50% of 40 overlaps 70% of 40


def test_facets_search_and_a_permalink_that_comes_back(site, open_page):
    page, faults = open_at(open_page, site / "index.html")
    settle(page, lambda: page.select_option("#method", "dpo"))
    assert names(page) == ["tiny-1B/dpo"]
    settle(page, lambda: page.select_option("#method", ""))
    settle(page, lambda: page.select_option("#base", "tiny-1B/base"))
    settle(page, lambda: page.fill("#q", "sft"))
    settle(page, lambda: page.click("#board button:text-is('sums')"))
    page.click("summary:text-is('Choose columns')")
    settle(page, lambda: page.uncheck("#columns input[data-column='0']"))
    shown = page.locator("#board").inner_text()
    again, other = open_at(open_page, site / "index.html")
    settle(again, lambda: again.evaluate("(h) => { location.hash = h }", page.evaluate("location.hash")))
    assert again.locator("#board").inner_text() == shown
    assert again.input_value("#q") == "sft"
    assert again.input_value("#base") == "tiny-1B/base"
    assert not again.is_checked("#columns input[data-column='0']")
    settle(again, lambda: again.click("#reset"))
    assert len(names(again)) == 4
    assert "#" not in again.url
    assert faults == other == []


def test_two_models_that_were_picked_are_part_of_the_address(site, open_page):
    page, faults = open_at(open_page, site / "index.html")
    for name in ("tiny-1B/sft", "tiny-1B/dpo"):
        page.check(f"#board input[aria-label='compare {name}']")
    again, other = open_at(open_page, site / "index.html", page.evaluate("location.hash"))
    assert again.inner_text("#compare") == "Compare tiny-1B/sft with tiny-1B/dpo"
    settle(again, lambda: again.click("#board button:text-is('facts')"))  # rows are moved, and keep their boxes
    assert again.locator("#board input[data-pick]:checked").count() == 2
    assert "a=tiny-1B%2Fsft&b=tiny-1B%2Fdpo" in again.get_attribute("#compare", "href")
    assert faults == other == []


def test_sizes_are_a_facet(site, open_page):
    page, _ = open_at(open_page, site / "index.html")
    settle(page, lambda: page.select_option("#size", "5B to 15B"))
    assert names(page) == ["stranger-13B"]


def test_what_is_shown_can_be_taken_away(site, open_page, tmp_path):
    page, _ = open_at(open_page, site / "index.html", "sort=facts~acc~1")
    with page.expect_download() as found:
        page.click("#view-csv")
    found.value.save_as(tmp_path / "view.csv")
    with (tmp_path / "view.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["run"] for r in rows] == names(page)
    assert float(rows[0]["facts acc"]) == 0.7


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize(
    "name", ["index.html", "compare.html", "methods.html", "judges.html", "models/*dpo*.html", "tasks/facts.html"]
)
def test_pages_fit_a_phone(site, open_page, name, width):
    path = next(site.glob(name))
    page, faults = open_page(path, viewport={"width": width, "height": 800})
    page.wait_for_timeout(250)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_reader_and_the_button(site, open_page, scheme):
    page, _ = open_page(site / "index.html", color_scheme=scheme)
    page.wait_for_selector("body[data-drawn]")
    colour = "getComputedStyle(document.body).backgroundColor"
    before = [int(x) for x in re.findall(r"\d+", page.evaluate(colour))]
    assert (sum(before) > 380) == (scheme == "light")
    page.click("#theme")
    after = [int(x) for x in re.findall(r"\d+", page.evaluate(colour))]
    assert (sum(after) > 380) == (scheme == "dark")


def test_raw_and_length_controlled_stand_side_by_side(make_run, open_page, tmp_path):
    values = {"win_rate[j]": [1.0, 0.0] * 10, "length": [1.0] * 20, "lc_win_rate[j]": [1.0, 0.0, 0.0, 0.0] * 5}
    build_site([make_run(n, {"open": values}) for n in ("a", "b")], tmp_path / "site")
    page, _ = open_at(open_page, tmp_path / "site" / "index.html")
    heads = page.locator("#board thead tr").last.locator("small:not(:has(a))").all_inner_texts()
    assert heads[:2] == ["win_rate[j], v1", "lc_win_rate[j], v1"]
    assert page.locator("#board thead th.controlled").count() == 1
