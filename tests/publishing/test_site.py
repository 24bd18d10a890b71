"""The site as files: same bytes for the same runs, downloads that agree, ranks, strengths, methods, cards."""

import csv
import json
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.publishing import build_site
from evalsuite.publishing.board import make_board
from evalsuite.publishing.entries import read_entries, slugs_of
from evalsuite.publishing.markdown import html_of, section
from evalsuite.publishing.methods import effects
from evalsuite.publishing.schema import faults
from evalsuite.publishing.shards import write_samples
from evalsuite.publishing.strengths import strengths
from evalsuite.publishing.submissions import schema
from evalsuite.reporting.escaping import neutral


def binary(share, n=100):
    return [1.0] * round(share * n) + [0.0] * (n - round(share * n))


@pytest.fixture
def runs(make_run):
    made = []
    for name, share, parent in (("base", 0.2, None), ("sft", 0.5, "base"), ("dpo", 0.8, "sft")):
        lineage = {"parent": f"f-{parent}" if parent else None, "method": name if parent else None, "parent_name": None}
        scores = {"facts": {"acc": binary(share)}, "sums": {"acc": binary(0.5)}}
        made.append(make_run(name, scores, model={"lineage": lineage}))
    return made


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_runs_give_the_same_bytes_in_any_order(runs, tmp_path):
    build_site(runs, tmp_path / "one")
    build_site(runs[::-1], tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert list(one) == list(two)
    assert [k for k in one if one[k] != two[k]] == []


def test_a_site_that_is_built_again_keeps_nothing_of_models_that_have_gone(runs, tmp_path):
    (tmp_path / "site" / "models").mkdir(parents=True)
    (tmp_path / "site" / "models" / "mine.txt").write_text("a folder that is no site of ours stays as it is")
    build_site(runs, tmp_path / "site")
    assert (tmp_path / "site" / "models" / "mine.txt").is_file()
    (tmp_path / "site" / "models" / "mine.txt").unlink()
    build_site(runs[:1], tmp_path / "site")
    build_site(runs[:1], tmp_path / "fresh")
    assert contents(tmp_path / "site") == contents(tmp_path / "fresh")


def test_downloads_hold_the_same_rows(runs, tmp_path):
    import pandas as pd

    build_site(runs, tmp_path)
    stem = tmp_path / "data" / "figures"
    rows = json.loads(stem.with_suffix(".json").read_text())
    assert len(rows) == 6
    frame = pd.read_parquet(stem.with_suffix(".parquet"))
    assert frame["value"].tolist() == [r["value"] for r in rows]
    with stem.with_suffix(".csv").open(encoding="utf-8") as file:
        assert [float(r["value"]) for r in csv.DictReader(file)] == [r["value"] for r in rows]
    assert {r["verdict"] for r in rows} == {"re-aggregated"}


def test_every_link_of_the_site_leads_somewhere(runs, tmp_path):
    import re

    build_site(runs, tmp_path)
    for page in tmp_path.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"#][^"#]*)', page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), (page, link)


def test_ranks_are_what_the_intervals_leave_open(runs):
    board = make_board(read_entries(runs))
    facts = next(i for i, c in enumerate(board.columns) if c.task == "facts")
    sums = next(i for i, c in enumerate(board.columns) if c.task == "sums")
    names = [e.run.name for e in board.entries]
    ranks = {n: (line[facts].best, line[facts].worst) for n, line in zip(names, board.cells, strict=True)}
    assert ranks == {"dpo": (1, 1), "sft": (2, 2), "base": (3, 3)}
    assert {(line[sums].best, line[sums].worst) for line in board.cells} == {(1, 3)}


def test_lineages_and_facets(runs):
    by_name = {e.run.name: e for e in read_entries(runs)}
    assert by_name["dpo"].chain == ("base", "sft", "dpo")
    assert by_name["dpo"].base == "base"
    assert by_name["base"].method == "base"
    assert {e.status for e in by_name.values()} == {"verified"}


def test_a_circle_of_parents_ends(make_run):
    runs = [
        make_run(n, {"t": {"acc": [1, 0]}}, model={"lineage": {"parent": f"f-{p}", "method": "dpo"}})
        for n, p in (("a", "b"), ("b", "a"))
    ]
    assert [e.chain for e in read_entries(runs)] == [("b", "a"), ("a", "b")]


def test_methods_are_paired_differences(runs):
    found = effects(make_board(read_entries(runs)))
    assert list(found) == ["dpo", "sft"]
    facts = next(e for e in found["sft"] if e.column.task == "facts")
    assert facts.value == pytest.approx(0.3)
    assert facts.changes[0].paired
    assert facts.changes[0].verdict == "better"
    sums = next(e for e in found["sft"] if e.column.task == "sums")
    assert sums.changes[0].verdict == "tied"


def test_strengths_are_found_and_false_ones_are_rare(make_run, tmp_path):
    rng = random.Random(5)
    runs = []
    for k in range(6):
        scores = {f"t{j}": {"acc": [float(rng.random() < 0.5) for _ in range(200)]} for j in range(10)}
        if k == 0:
            scores["t3"] = {"acc": [float(rng.random() < 0.8) for _ in range(200)]}
        runs.append(make_run(f"m{k}", scores))
    board = make_board(read_entries(runs))
    found = strengths(board, write_samples(board.entries, board.task_slugs, tmp_path))
    best = found[0][0]
    assert (best.label, best.kind, best.sure) == ("t3 acc", "task", True)
    assert best.value == pytest.approx(0.3, abs=0.1)
    false = [s for k in range(6) for s in found[k] if s.sure and s.task != "t3" and s.kind == "task"]
    assert len(false) <= 3  # of 54 true nulls; at a plain 5% one would expect nearly as many


def test_categories_of_the_samples_are_part_of_the_taxonomy(make_run, tmp_path):
    def text(task, i):
        return {"metadata": json.dumps({"topic": "law" if i % 2 else "art", "id": f"x{i}"})}

    a = make_run("a", {"t": {"acc": [1.0, 0.0] * 40}}, text=text)
    b = make_run("b", {"t": {"acc": [0.0, 1.0] * 40}}, text=text)
    board = make_board(read_entries([a, b]))
    found = strengths(board, write_samples(board.entries, board.task_slugs, tmp_path))[0]
    by_label = {s.label: s for s in found}
    assert by_label["t: topic=art"].value == 1.0
    assert by_label["t: topic=law"].value == -1.0
    assert by_label["t: topic=art"].sure
    assert not any("id=" in label for label in by_label)


def test_cards_are_text(runs):
    card = (
        "# T\n\n## Known flaws\n- <b onclick='x'>old</b>, [a](javascript:alert(1)), [b](https://example.org/?a&b)\n"
        "  more\n\n## Data\n| a | b |\n|---|---|\n| `1<2` | **3** |\n"
    )
    html = str(html_of(card))
    assert "&lt;b onclick" in html
    assert "javascript" not in html
    assert '<a href="https://example.org/?a&amp;b" rel="noreferrer noopener">b</a>' in html
    assert "<td><code>1&lt;2</code></td><td><strong>3</strong></td>" in html
    assert section(card, "known flaws").startswith("- <b")
    assert "Data" not in section(card, "Known flaws")


@example("|")
@given(st.text(max_size=200))
def test_a_card_is_never_markup(text):
    import re

    tags = set(re.findall(r"</?([a-z0-9]+)", str(html_of(text))))
    known = "p h2 h3 h4 h5 h6 ul li code strong a pre div table thead tbody tr th td"
    assert tags <= set(known.split())


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_file_names_are_safe_and_never_collide(names):
    import re

    made = slugs_of(names)
    assert len({m.lower() for m in made}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", m) for m in made)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "|cmd", "\r=1"])
def test_formulas_are_neutralised(text):
    assert neutral(text) == "'" + text
    assert neutral("plain = text") == "plain = text"
    assert neutral(-1.5) == -1.5


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_the_schemas_words_mean_what_the_standard_says(value):
    jsonschema = pytest.importorskip("jsonschema", reason="the reference implementation is not installed")
    rules = {
        "type": ["object", "array", "integer", "null"],
        "required": ["a"],
        "properties": {"a": {"type": ["integer", "string"], "minimum": 0, "minLength": 2}, "b": {"const": 1}},
        "additionalProperties": {"enum": [True, 0, "x"]},
        "items": {"type": "string", "pattern": "^a"},
        "minItems": 1,
    }
    assert bool(faults(rules, value)) != jsonschema.Draft202012Validator(rules).is_valid(value)


def test_our_schema_is_one():
    jsonschema = pytest.importorskip("jsonschema", reason="the reference implementation is not installed")
    jsonschema.Draft202012Validator.check_schema(schema())
    with pytest.raises(ValueError, match="'oneOf' is not known"):
        faults({"oneOf": []}, 1)


def test_nothing_to_show_is_an_error(runs, tmp_path):
    with pytest.raises(InputError, match="at least one"):
        build_site([], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        build_site(runs, tmp_path / "file")
    with pytest.raises(InputError, match="no HTML file"):
        build_site(runs, tmp_path / "site", cards=[tmp_path / "card.txt"])
