"""The leaderboard's index: one row for each run, figures with n and interval, sorting in a real browser."""

import argparse
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.cli import leaderboard as cli
from evalsuite.errors import InputError
from evalsuite.publishing import build_index
from evalsuite.publishing.index import file_name


@pytest.fixture
def runs(make_run):
    spec = {"made/up": {"lower_is_better": ["fabricated"], "family": "hallucination"}}
    scores = {"a": (9, 2), "b": (3, 8), "c/d": (6, 5)}
    made = [
        make_run(
            name, {"facts": {"acc": [1] * k + [0] * (10 - k)}, "made/up": {"fabricated": [1] * j + [0] * 7}}, tasks=spec
        )
        for name, (k, j) in scores.items()
    ]
    other = {"facts": {"version": 2}}
    return [*made, make_run("e", {"facts": {"acc": [1] * 10}}, tasks=other)]


def test_rows_columns_and_reports(runs, tmp_path):
    index = build_index(runs, tmp_path / "site", title="Ours")
    html = index.read_text(encoding="utf-8")
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    rows = [re.findall(r"<t[hd].*?</t[hd]>", r, re.DOTALL) for r in body.split("</tr>") if "<tr>" in r]
    assert [len(r) for r in rows] == [5, 5, 5, 5]  # run, finished, made/up, facts v1, facts v2
    for link in re.findall(r'href="(runs/[^"]+)"', html):
        assert (tmp_path / "site" / link).is_file()
    assert "90.0%" in rows[0][3]
    assert "[59.6, 98.2] n=10" in rows[0][3]
    assert "–" in rows[0][4]  # version 2 is another column
    assert "10% cut" in rows[0][3]
    assert html.count("v2</small>") == 1


def test_a_run_with_other_samples_says_so(make_run, tmp_path):
    runs = [make_run(n, {"facts": {"acc": [1, 0]}}) for n in ("a", "b")]
    runs.append(make_run("c", {"facts": {"acc": [1, 0, 1]}}, tasks={"facts": {"data_hash": "d9"}}))
    html = build_index(runs, tmp_path).read_text(encoding="utf-8")
    assert html.count(">other samples</small>") == 1


def test_a_figure_without_a_value_says_why(make_run, tmp_path):
    html = build_index([make_run("a", {"facts": {"acc": [None, None]}})], tmp_path).read_text(encoding="utf-8")
    cell = re.findall(r'<td class="num".*?</td>', html, re.DOTALL)[0]
    assert re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip() == "no value n=0 2 without a score 10% cut"


def test_a_childs_report_stands_beside_its_parent(make_run, tmp_path):
    base = make_run("base", {"facts": {"acc": [0, 1] * 10}})
    child = make_run("sft", {"facts": {"acc": [1, 1] * 10}}, model={"lineage": {"parent": "f-base"}})
    build_index([child, base], tmp_path)
    html = (tmp_path / "runs" / "sft.html").read_text(encoding="utf-8")
    assert "sft</b> against <b>base" in html
    assert "What changed" not in (tmp_path / "runs" / "base.html").read_text(encoding="utf-8")


def test_a_click_sorts_and_missing_figures_stay_below(runs, tmp_path, open_page):
    page, faults = open_page(build_index(runs, tmp_path))

    def names():
        return page.locator("table.board tbody th a").all_inner_texts()

    facts = page.locator("th:has(button:text-is('facts'))").first
    facts.locator("button").click()
    assert names() == ["a", "c/d", "b", "e"]
    assert facts.get_attribute("aria-sort") == "descending"
    facts.locator("button").click()
    assert names() == ["b", "c/d", "a", "e"]
    page.click("button:text-is('made/up')")  # lower is better: the best first
    assert names() == ["a", "c/d", "b", "e"]
    assert page.locator("th[aria-sort]").count() == 1
    page.click("button:text-is('run')")
    assert names() == ["a", "b", "c/d", "e"]
    page.fill("#words", "c/d")
    assert page.locator("table.board tbody tr:visible").count() == 1
    page.click("table.board tbody tr:visible a")
    page.wait_for_selector("body[data-drawn]")
    assert page.locator("h1").inner_text() == "c/d"
    assert faults == []


@pytest.mark.parametrize("width", [380, 1400])
def test_the_table_scrolls_inside_the_page(runs, tmp_path, open_page, width):
    page, faults = open_page(build_index(runs, tmp_path), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults == []


def test_names_are_text(make_run, tmp_path, open_page):
    evil = "<img src=x onerror=alert(1)>"
    run = make_run("plain", {evil: {"acc</script>": [1, 0]}}, model={"name": evil}, tasks={evil: {"family": evil}})
    page, faults = open_page(build_index([run], tmp_path, title=evil))
    assert page.locator("h1").inner_text() == evil
    assert page.locator("img").count() == 0
    assert faults == []


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_file_names_are_safe_and_never_collide(names):
    made = [file_name(n) for n in names]
    assert len({m.lower() for m in made}) >= len({n.lower() for n in names}) or len(set(made)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", m) for m in made)


def test_the_command_builds_all_runs_or_those_named(runs, tmp_path, capsys):
    store = str(runs[0].path.parent.parent)
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    args = parser.parse_args(["leaderboard", "build", "--out", str(tmp_path / "all"), "--store", store])
    assert args.func(args) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "all" / "index.html")
    assert len(list((tmp_path / "all" / "runs").iterdir())) == 4
    args = parser.parse_args(["leaderboard", "build", "a", "c/d", "--out", str(tmp_path / "two"), "--store", store])
    args.func(args)
    assert len(list((tmp_path / "two" / "runs").iterdir())) == 2
    args = parser.parse_args(["leaderboard", "build", "--out", str(tmp_path / "x"), "--store", str(tmp_path / "none")])
    with pytest.raises(InputError, match="no runs yet"):
        args.func(args)


def test_nothing_to_show_is_an_error(runs, tmp_path):
    with pytest.raises(InputError, match="at least one"):
        build_index([], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        build_index(runs, tmp_path / "file")
