"""The page as a reader gets it: complete, figures with n and interval, and untrusted text that stays text."""

import argparse
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.cli import report as cli
from evalsuite.errors import InputError
from evalsuite.reporting import write_report
from evalsuite.reporting.pages import render, script_json

EVIL = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    "</pre></details><!--<script> \u2028 &lt; {{ 7*7 }} {% raw %} javascript:alert(3)"
)


@pytest.fixture
def page(make_run, tmp_path):
    spec = {"facts": {"baselines": {"chance": 0.25}}, "length": {"unit": {"words": "words"}, "family": "diversity"}}
    base = make_run("base", {"facts": {"acc": [0] * 30 + [1] * 10}, "length": {"words": [3.0, 4.5, 7.0]}}, tasks=spec)
    child = make_run(
        "sft",
        {"facts": {"acc": [1] * 30 + [0] * 10}, "length": {"words": [5.0, 6.5, 7.5]}},
        tasks=spec,
        model={"lineage": {"parent": "f-base", "method": "sft"}},
    )
    return write_report([base, child], tmp_path / "out" / "report.html", title="Base and SFT")


def test_everything_is_in_one_file(page):
    html = page.read_text(encoding="utf-8")
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert html.count("plotly.js v") == 1
    outside = html.split("<script>")[0]
    assert not re.search(r'(?:src|href)="(?!#)', outside)
    for said in (
        "Base and SFT",
        "sft against base (trained from it by sft)",
        "75.0%",
        "[59.8, 85.8]",
        "1 cannot be told",
    ):
        assert said in outside, said


def test_every_score_stands_with_its_n_and_interval(page):
    html = page.read_text(encoding="utf-8").split("<script>")[0]
    for row in re.findall(r'<tr class="inner.*?</tr>', html, re.DOTALL):
        cells = [re.sub(r"<[^>]+>", "", c).strip() for c in re.findall(r"<td.*?</td>", row, re.DOTALL)]
        assert re.fullmatch(r"[\d.]+(%| words)", cells[0])
        assert re.fullmatch(r"\[[\d.−]+, [\d.]+\]", cells[1])
        assert int(cells[3]) > 0


def test_every_drawn_metric_stands_in_a_table(make_run, tmp_path):
    win = "win_rate[pairwise:j against a]"
    runs = [
        make_run("a", {"open": {"ead": [0.2, 0.4], "words": [1, 0]}}),
        make_run("b", {"open": {"ead": [0.3, 0.4], "words": [1, 1], win: [0.5, 1]}}),
    ]
    html = write_report(runs, tmp_path / "r.html").read_text(encoding="utf-8").split("<script>")[0]
    first, rest = (
        re.findall(r'<span class="metric">(\S+?)[ <]', t)
        for t in html.split('id="factuality"')[1].split("1 further metric")
    )
    assert (first, rest[:1]) == (["ead", "win_rate[pairwise:j"], ["words"])
    for row in re.findall(r'<tr class="inner.*?</tr>', html, re.DOTALL):
        assert int(re.sub(r"<[^>]+>", "", re.findall(r"<td.*?</td>", row, re.DOTALL)[3])) == 2


def _evil_runs(make_run):
    text = {"prompt": EVIL, "answer": EVIL, "reasoning": EVIL, "target": json.dumps(EVIL), "finish_reason": "length"}
    text["details.acc"] = json.dumps({"answer": EVIL + "!"})
    text["completions"] = json.dumps({EVIL: [json.dumps({"text": EVIL + "?"})]})
    task = "bad</script><script>alert(4)</script><b>x"
    options = {
        "text": lambda t, i: {**text, "sample": f"{EVIL}{i}"},
        "tasks": {task: {"family": 'x"><script>alert(5)'}},
    }
    model = {"system": EVIL, "address": EVIL, "template": EVIL}
    first = make_run("evil1", {task: {"acc": [0, 1, 0, 1]}}, model=model, **options)
    second = make_run("evil2", {task: {"acc": [1, 1, 0, 0]}}, model={**model, "system": "</style>"}, **options)
    return [first, second]


def test_what_a_model_wrote_never_becomes_markup(make_run, tmp_path):
    html = write_report(_evil_runs(make_run), tmp_path / "r.html", title=EVIL).read_text(encoding="utf-8")
    assert len(re.findall(r"<script", html.split("plotly.js v")[0])) == 2  # the figures' JSON, and plotly
    assert "<img" not in html.split("<script>")[0]
    assert "49" not in re.findall(r"<h1>.*?</h1>", html)[0]


def test_what_a_model_wrote_never_runs(make_run, tmp_path, open_page):
    page, faults = open_page(write_report(_evil_runs(make_run), tmp_path / "r.html", title=EVIL))
    page.wait_for_selector("body[data-drawn]")
    assert (
        page.locator("h1").inner_text() == EVIL.replace("\u2028", " ") or EVIL[:30] in page.locator("h1").inner_text()
    )
    assert page.locator(".answer pre").first.text_content().startswith("</script><script>alert(1)")
    assert page.locator("script").count() == 3
    assert faults == []


def test_a_reader_sees_figures_filters_samples_and_follows_links(page, open_page):
    view, faults = open_page(page)
    view.wait_for_selector("body[data-drawn]")
    assert int(view.locator("body").get_attribute("data-drawn")) == view.locator(".figure .plot-container").count()
    assert view.locator(".figure .errorbar").count() > 0
    total = view.locator(".item:not([hidden])").count()
    view.click("button[data-kind=changed]")
    assert 0 < view.locator(".item:not([hidden])").count() < total
    assert view.locator("button[data-kind=changed]").get_attribute("aria-pressed") == "true"
    view.click("button[data-kind=all]")
    view.fill("#words", "answer 7 of sft")
    assert view.locator(".item:not([hidden])").count() == 1
    view.fill("#words", "")
    view.locator(".flips summary").first.click()
    link = view.locator(".flips a").first
    name = link.inner_text()
    link.click()
    assert view.locator(f"[id='sample:facts:{name}']").is_visible()
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_the_page_fits_and_keeps_its_contrast(page, open_page, scheme, width):
    view, faults = open_page(page, color_scheme=scheme, viewport={"width": width, "height": 900})
    view.wait_for_selector("body[data-drawn]")
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    ratios = view.evaluate(CONTRAST)
    assert min(ratios.values()) >= 4.5, ratios
    assert faults == []


# Contrast of text against the page and the card by WCAG's formula, from the colours that the browser computed.
CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const [r, g, b] = style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((h) => {
      const c = parseInt(h, 16) / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const pairs = [["--ink", "--paper"], ["--soft", "--paper"], ["--soft", "--card"], ["--faint", "--card"],
    ["--faint", "--paper"], ["--accent", "--paper"], ["--good", "--good-tint"], ["--bad", "--bad-tint"],
    ["--warn", "--warn-tint"], ["--soft", "--plain-tint"]];
  return Object.fromEntries(pairs.map(([a, b]) => [a + " on " + b, ratio(a, b)]));
}"""


def test_the_page_reads_without_scripts(page, browser):
    context = browser.new_context(java_script_enabled=False)
    view = context.new_page()
    view.goto(page.as_uri())
    assert "75.0%" in view.locator("main").inner_text()
    assert view.locator(".item").count() > 0
    context.close()


def test_one_run_needs_no_comparison(make_run, tmp_path):
    html = write_report([make_run("only", {"facts": {"acc": [1, 0]}})], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "What changed" not in html
    assert "no run got it right" not in html


def test_runs_of_other_tasks_or_other_samples_stand_side_by_side(make_run, tmp_path):
    first = make_run("a", {"facts": {"acc": [1, 0]}})
    other = make_run("b", {"else": {"acc": [1, 0]}})
    apart = make_run("c", {"facts": {"acc": [1, 0]}}, text=lambda t, i: {"sample": f"x{i}"})
    html = write_report([first, other, apart], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "c against a: runs c and a: no shared samples" in html
    assert "b against a" not in html


def test_a_report_needs_runs_of_different_names(make_run, tmp_path):
    run = make_run("a", {"facts": {"acc": [1, 0]}})
    with pytest.raises(InputError, match="at least one"):
        write_report([], tmp_path / "r.html")
    with pytest.raises(InputError, match="twice"):
        write_report([run, run], tmp_path / "r.html")


def test_the_command_prints_the_path(make_run, tmp_path, capsys):
    run = make_run("a", {"facts": {"acc": [1, 0]}})
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    out = tmp_path / "r.html"
    args = parser.parse_args(["report", "a", "--out", str(out), "--store", str(run.path.parent.parent)])
    assert args.func(args) == 0
    assert capsys.readouterr().out.strip() == str(out)
    args = parser.parse_args(["report", "a", "--out", str(tmp_path), "--store", str(run.path.parent.parent)])
    with pytest.raises(InputError, match="is a folder"):
        args.func(args)


@given(st.recursive(st.text() | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_in_a_script_survives_and_cannot_end_it(value):
    text = str(script_json(value))
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


def test_a_template_that_lacks_a_value_fails_loudly():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render("report.html", {})
