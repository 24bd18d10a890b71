"""Real models end to end: InstructGPT's twelve systems from recorded answers, submitted, checked, on the built page."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from evalsuite import registry

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "leaderboard"
TRUE = {  # SOURCE.md of instructgpt_samples: true, true and informative; n = 100
    ("gpt-175b", "qa"): (0.24, 0.22),
    ("sft-175b", "qa"): (0.50, 0.28),
    ("ppo-ptx-175b", "qa"): (0.63, 0.61),
    ("sft-175b", "instruction"): (0.81, 0.16),
    ("ppo-ptx-175b", "instruction"): (0.51, 0.26),
}
TOXICITY = {"gpt-175b": 0.2128, "sft-175b": 0.2039, "ppo-ptx-175b": 0.2323}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    data = Path(os.environ.get("EVALSUITE_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (data / "instructgpt_samples").is_dir():
        pytest.skip("needs instructgpt_samples of the public data (EVALSUITE_DATA)")
    sys.path.insert(0, str(BENCHMARKS))
    before = list(registry._plugins)
    try:
        import instructgpt

        folder = tmp_path_factory.mktemp("instructgpt")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EVALSUITE_DATA", str(data))
            yield folder / "site", instructgpt.build(data, folder, folder / "site", everything=False)
    finally:
        sys.path.remove(str(BENCHMARKS))
        registry._plugins[:] = before
        registry.entries.cache_clear()


def of_the_index(site):
    """The index's columns, and its cells by model."""
    text = (site / "data" / "board.js").read_text(encoding="utf-8")
    board = json.loads(re.search(r"put\([^,]+,(.*)\);", text, re.DOTALL)[1])
    return board["columns"], {row["name"]: row["cells"] for row in board["rows"]}


def test_every_figure_of_the_twelve_is_scored_again(built):
    _, found = built
    submissions = found["checked"]["submissions"]
    assert len(submissions) == 12
    assert {(len(s["refused"]), len(s["reaggregated"]), len(s["unverified"])) for s in submissions} == {(0, 0, 0)}
    assert {s["rescored"] for s in submissions} == {3 * 3 + 4 * 2}


def test_the_recorded_figures_stand_on_the_pages(built):
    site, _ = built
    rows = json.loads((site / "data" / "figures.json").read_text(encoding="utf-8"))
    figures = {(r["run"], r["task"], r["metric"]): r for r in rows}
    for (run, kind), (_, both) in TRUE.items():
        row = figures[run, f"recorded_truthfulqa/{kind}", "true_informative"]
        assert (round(row["value"], 4), row["n"], row["missing"]) == (both, 100, 0)
        page = (site / "models" / f"{run}.html").read_text(encoding="utf-8")
        assert f"<b>{100 * both:.1f}%</b>" in page
    for run, mean in TOXICITY.items():
        row = figures[run, "recorded_toxicity/mean", "toxicity"]
        assert (round(row["value"], 4), row["n"], row["missing"]) == (mean, 100, 0)
    columns, cells = of_the_index(site)
    toxicity = next(i for i, c in enumerate(columns) if c["task"] == "recorded_toxicity/mean")
    assert {name: cells[name][toxicity][0] for name in TOXICITY} == {n: round(1e4 * x) for n, x in TOXICITY.items()}
    card = (site / "tasks").glob("recorded_truthfulqa-qa-*.html")
    assert ".63 / .61" in next(iter(card)).read_text(encoding="utf-8")


def test_true_alone_stands_on_the_pages_too(built):
    site, _ = built
    rows = json.loads((site / "data" / "further.json").read_text(encoding="utf-8"))
    figures = {(r["run"], r["task"], r["metric"]): r for r in rows}
    for (run, kind), (true, _) in TRUE.items():
        row = figures[run, f"recorded_truthfulqa/{kind}", "true"]
        assert (round(row["value"], 4), row["verdict"]) == (true, "re-scored")
        page = (site / "models" / f"{run}.html").read_text(encoding="utf-8")
        assert f'>recorded_truthfulqa/{kind}</th><td>true</td><td class="num" data-sort="{row["value"]}">' in page
        assert f"<b>{100 * true:.1f}%</b>" in page


def test_the_lineage_is_compared_step_by_step(built):
    site, found = built
    steps = [step["step"] for step in found["lineages"]["gpt-175b,sft-175b,ppo-ptx-175b"]]
    assert steps == ["gpt-175b → sft-175b", "sft-175b → ppo-ptx-175b"]
    rows = json.loads((site / "data" / "changes.json").read_text(encoding="utf-8"))
    change = next(
        r
        for r in rows
        if (r["parent"], r["child"]) == ("sft-175b", "ppo-ptx-175b") and r["task"] == "recorded_truthfulqa/qa"
    )
    assert change["value"] == pytest.approx(0.61 - 0.28)
    assert change["paired"]
    assert change["verdict"] == "better"
    page = (site / "models" / "ppo-ptx-175b.html").read_text(encoding="utf-8")
    assert page.index("gpt-175b</a>") < page.index("sft-175b</a>")
