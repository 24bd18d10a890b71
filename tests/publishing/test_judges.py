"""Win rates on the board: recomputed from annotations, beside their length-controlled fellows, and the judges' page."""

import json
import random
from dataclasses import replace

import pytest

from evalsuite.errors import InputError
from evalsuite.judging import Annotation, summarise, write_annotations
from evalsuite.judging.audit.audit import audit
from evalsuite.publishing import build_site
from evalsuite.publishing.entries import read_entries
from evalsuite.publishing.judge_calibration import calibration
from evalsuite.publishing.judges import judges, with_length_control
from evalsuite.publishing.recompute import verdicts_of
from evalsuite.records import Metric
from evalsuite.reporting.judge_card import as_json
from evalsuite.store.runs import read_run, write_json

NAME = "win_rate[pairwise/2#1f0c77ab:judge-1 by tokens against base]"


def annotations(n=60):
    """A judge who likes long answers, in both orders."""
    rng = random.Random(4)
    for i in range(n):
        length = rng.randrange(50, 400)
        won = float(rng.random() < (0.8 if length > 200 else 0.3))
        for order in ("ab", "ba"):
            yield Annotation(
                f"s{i}", "open", "sft", "base", "pairwise/2#1f0c77ab", "judge-1", "pairwise", order, won, "parsed",
                mode="tokens", length_a=length, length_b=200,
            )  # fmt: skip


@pytest.fixture
def judged(make_run):
    run = make_run("sft", {"open": {"acc": [1.0] * 60}})
    rows = list(annotations())
    write_annotations(run.path / "annotations-1.jsonl", rows)
    rate = summarise(rows).win_rate
    metric = Metric("open", NAME, rate.value, rate.low, rate.high, rate.n, 0, rate.method, baselines={"tie": 0.5})
    figures = {"schema": 1, "metrics": [], "health": {}}
    from dataclasses import asdict

    figures["metrics"] = [asdict(m) for m in (*run.metrics, metric)]
    write_json(run.path / "metrics.json", figures)
    return read_run(run.path)


def test_a_win_rate_is_recomputed_from_the_annotations(judged):
    assert verdicts_of(judged)["open", NAME].kind == "same"
    rate = next(m for m in judged.metrics if m.name == NAME)
    altered = replace(judged, metrics=[replace(rate, value=rate.value + 0.001)])
    assert verdicts_of(altered)["open", NAME].kind == "differs"
    (judged.path / "annotations-1.jsonl").unlink()
    assert verdicts_of(judged)["open", NAME].reason == "no annotations of its judge"


def test_a_length_controlled_fellow_stands_beside_it(judged, tmp_path):
    entry = with_length_control(read_entries([judged])[0])
    rate, controlled = (next(m for m in entry.run.metrics if m.name == n) for n in (NAME, f"lc_{NAME}"))
    assert controlled.value is not None
    assert controlled.low is not None
    assert controlled.value != pytest.approx(rate.value, abs=1e-4)
    build_site([judged], tmp_path / "site")
    assert f"lc_{NAME}" in (tmp_path / "site" / "data" / "figures.csv").read_text(encoding="utf-8")


def verdict(sample, order, preference, judge="pairwise/2#1f0c77ab", model="judge-1"):
    who = (sample, "open", "sft", "base", judge, model, "pairwise")
    return Annotation(*who, order, preference, "parsed")


def test_a_judge_that_means_what_it_says_is_calibrated_against_people():
    """80% for sft, and people choose it in four of five; another judge says 100% of the same pairs."""
    people = [verdict(f"s{i}", "ab", float(i % 5 != 0), "person", "p1") for i in range(50)]
    honest = calibration([*people, *(verdict(f"s{i}", "ab", 0.8) for i in range(50))], "sft", "base")
    assert honest.against == "people"
    assert honest.ece == pytest.approx(0.0)
    assert honest.brier == pytest.approx(0.16)
    (found,) = honest.bins
    assert (found.n, found.said, found.found.value) == (50, pytest.approx(0.8), 0.8)
    loud = calibration([*people, *(verdict(f"s{i}", "ab", 1.0) for i in range(50))], "sft", "base")
    assert loud.ece == pytest.approx(0.2)


def test_without_people_a_judge_is_held_against_its_second_look():
    rows = [verdict(f"s{i}", "ab", 0.9) for i in range(40)]
    rows += [verdict(f"s{i}", "ba", 0.7 if i % 2 else 0.3) for i in range(40)]
    found = calibration(rows, "sft", "base")
    assert found.against == "its own verdict in the other order"
    sure = next(b for b in found.bins if b.low == 0.8)
    assert (sure.said, sure.found.value) == (pytest.approx(0.9), 0.5)  # it says 90% and chooses so in half
    assert calibration(rows[:10], "sft", "base") is None
    assert calibration(rows, "base", "sft") is None


def test_a_models_page_shows_its_judge(judged, tmp_path):
    card = audit([a for a in annotations() if a.order == "ab"], [])
    path = tmp_path / "card.json"
    text = json.dumps(as_json(card))
    path.write_text(text, encoding="utf-8")
    build_site([judged], tmp_path / "site", cards=[path])
    page = (tmp_path / "site" / "models" / "sft.html").read_text(encoding="utf-8")
    assert "Its judges" in page
    assert "both orders agree" in page
    assert "decided for the longer answer" in page
    assert "calibration</dt><dd>off by" in page
    rows = json.loads((tmp_path / "site" / "data" / "judges.json").read_text(encoding="utf-8"))
    assert [(r["model"], r["against"], r["n"]) for r in rows] == [("sft", "base", 60)]
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is no report card"):
        build_site([judged], tmp_path / "site", cards=[path])


def test_the_judges_page_says_how_steady_it_was(judged, tmp_path):
    (told,) = judges([judged])
    assert (told.model, told.verdicts) == ("judge-1", 120)
    assert told.pairings[0].consistency.value == 1.0
    assert told.pairings[0].first.value == 0.5  # both orders agree, so each place wins half
    card = tmp_path / "card of it.html"
    card.write_text("<p>card</p>")
    build_site([judged], tmp_path / "site", cards=[card])
    html = (tmp_path / "site" / "judges.html").read_text(encoding="utf-8")
    assert "120 verdicts" in html
    assert len(list((tmp_path / "site" / "judges").glob("*.html"))) == 1
