"""The page of `compare --features` as a reader gets it: words that go no further than tests, figures, other people's
text that stays text."""

import io
from pathlib import Path

import pytest

from evalsuite.comparison.shift_folder import Feature, Reward
from evalsuite.comparison.shift_records import Contrast, RunShift, Seen, Shift, Shifts
from evalsuite.features.contract import Example
from evalsuite.reporting.shift import write_page
from evalsuite.reporting.shift_figures import shift_figures
from evalsuite.reporting.shift_tables import shift_parts
from evalsuite.reporting.shift_words import contrasts, label, standing, told
from evalsuite.statistics import Interval
from evalsuite.statistics.errors_in_both import Correlated

EVIL = "[bold]x[/bold]</script><script>document.title='x'</script><img src=x onerror=alert(1)>\u202eevil {{ 7*7 }}"
PAID = {"rewarded": 0.6, "punished": -0.6, "little": 0.02, "open": 0.1, "none": None}


def feature(index: int, paid: str, description: str = "", how: str = "model") -> Feature:
    beta = PAID[paid]
    known = beta is not None
    ends = (beta - 0.1, beta + 0.1) if known else (None, None)
    change = beta and beta / 2
    reward = Reward("alone", paid, beta, *ends, change, *(e and e / 2 for e in ends), 0.001 if known else None,
                    900, "" if known else "is there in 3 of 900 labelled pairs: too few")  # fmt: skip
    pairs = (Example("p", f"prompt {EVIL}", f"a {EVIL}", "b", 1.0, 1.0),)
    return Feature(index, f"sae/{index}", description or f"does thing {index}", how, 0.2, 0.5, 1.0, reward, pairs)


def shift(index: int, value: float, relation: str, verdict: str) -> Shift:
    seen = (Seen("task", f"s{EVIL}", f"asked {EVIL}", f"said {EVIL}", "was said before", value),)
    return Shift(index, value, value - 0.05, value + 0.05, value, 0.3, 0.1, 0.001, 0.004, verdict, relation, seen)


def shifts(names=("dpo", "ppo", "control")) -> Shifts:
    features = (
        feature(0, "rewarded"), feature(1, "punished"), feature(2, "little", EVIL), feature(3, "rewarded"),
        feature(4, "none"), feature(5, "open", "features.opener", "given"),
    )  # fmt: skip
    moved = (
        shift(0, 0.5, "followed", "up"), shift(1, 0.3, "against", "up"), shift(2, -0.4, "unrewarded", "down"),
        shift(3, 0.01, "unmoved", "still"), shift(4, 0.6, "unrewarded", "up"),
        Shift(5, 0.0, None, None, 0.0, 0.0, 0.0, None, None, "absent", "open"),
    )  # fmt: skip
    known = Correlated(0.81, 0.6, 0.93, 5, -0.2, 0.98)
    runs = tuple(RunShift(n, "sft", "dpo", 300, 300, ("task",), moved, known, ("a note",)) for n in names)
    apart = (Contrast("dpo", "ppo", Interval(0.1, -0.1, 0.3, 5, "bootstrap")),
             Contrast("control", "dpo", Interval(-0.9, -1.2, -0.5, 5, "bootstrap")))  # fmt: skip
    return Shifts("pairs", 1000, 900, "SAE over minilm", "alone", ("length",), features, runs, apart, ("first",))


def test_words_go_no_further_than_tests():
    found = shifts(("dpo",))
    said = standing(found, found.runs[0])
    assert "over 5 features, reward and shift correlate 0.81 [0.60, 0.93]" in said
    assert "Of 3 features that the data reward or punish, 1 moved that way, 1 the other way and 1 was not seen" in said
    assert "2 features moved although nothing shows that they were rewarded" in said
    lists = told(found, found.runs[0])
    assert [s.index for s in lists["unrewarded"]] == [4, 2]  # the furthest first
    assert "could not be estimated" in lists["unrewarded"][0].text
    assert "pay little or nothing" in lists["unrewarded"][1].text
    assert contrasts(found) == [
        "dpo and ppo: no difference was found in what they follow (+0.10 [−0.10, +0.30]).",
        "dpo follows the data's reward more closely than control: correlations differ by +0.90 [+0.50, +1.20].",
    ]
    assert label(found.features[5]) == "opener"


def test_no_correlation_is_claimed_where_the_interval_holds_0():
    found = shifts(("dpo",))
    run = found.runs[0]
    unsure = RunShift(run.run, "sft", None, 300, 300, ("t",), run.features, Correlated(0.4, -0.1, 0.8, 5))
    assert "shows no movement along what the data reward" in standing(found, unsure)
    none = RunShift(run.run, "sft", None, 300, 300, ("t",), run.features, Correlated(None, None, None, 2))
    assert "too few for a correlation" in standing(found, none)


def test_panels_share_their_axes_and_draw_what_is_known_on_both_sides():
    figures = shift_figures(shifts())
    assert list(figures) == ["shift-0", "shift-1", "shift-2"]
    assert len({tuple(f["layout"]["yaxis"]["range"]) for f in figures.values()}) == 1
    drawn = [i for trace in figures["shift-0"]["data"] for i in trace["customdata"]]
    assert sorted(drawn) == [0, 1, 2, 3]  # 4 has no reward, 5 is in no answer
    for trace in figures["shift-0"]["data"]:
        assert not any("<script" in text for text in (*trace["hovertext"], *trace["text"]))


def test_the_terminal_shows_text_as_text():
    from rich.console import Console

    console = Console(record=True, width=220, file=io.StringIO())
    for part in shift_parts(shifts()):
        console.print(part)
    said = console.export_text()
    assert "[bold]x[/bold]" in said
    assert "in no answer" in said
    assert "note: a note" in said


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_page(shifts(), tmp_path / "shift.html")


def test_the_page_works_and_lets_nothing_run(page, open_page):
    opened, faults = open_page(page, viewport={"width": 1400, "height": 1000})
    opened.wait_for_function("document.body.dataset.drawn === '3'")
    assert opened.title().startswith("dpo · ppo · control")
    assert opened.locator("#shift-0 .points path").count() >= 4
    # Its own scale and back again.
    wide = opened.evaluate("document.getElementById('shift-0').layout.yaxis.range[1]")
    opened.click("button[data-axes]")
    assert opened.evaluate("document.getElementById('shift-0').layout.yaxis.range[1]") <= wide
    # A row's link opens the feature, Escape leads back.
    opened.click("table.features tbody tr:first-child a")
    assert opened.locator("section.feature:visible").count() == 1
    assert opened.locator("section.feature:visible .example").count() >= 2
    opened.keyboard.press("Escape")
    assert opened.locator("section.feature:visible").count() == 0
    # Search hides rows.
    opened.fill("#words", "opener")
    assert opened.locator("table.features tbody tr:visible").count() == 1
    assert not faults


def test_the_figure_can_be_saved(page, open_page):
    opened, faults = open_page(page, viewport={"width": 1400, "height": 1000})
    opened.wait_for_function("document.body.dataset.drawn === '3'")
    with opened.expect_download() as saved:
        opened.click("button[data-save='shift-0']")
    assert saved.value.suggested_filename == "features-dpo.png"
    assert not faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(page, open_page, scheme):
    opened, faults = open_page(page, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    opened.wait_for_function("document.body.dataset.drawn === '3'")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.evaluate("location.hash = 'feature-2'")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not faults


def test_the_same_comparison_gives_the_same_page(page, tmp_path):
    again = write_page(shifts(), tmp_path / "again.html")
    assert again.read_bytes() == page.read_bytes()
