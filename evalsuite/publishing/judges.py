"""The judges behind the board's win rates: how steady and how calibrated each was, its card, and win rates at equal
length.

Steadiness and calibration are read from the annotations beside the samples; how far a judge agrees with people is in
its report card (`evalsuite judge audit`): the page is copied to the site and linked, and the figures of one that is
given as JSON (`judge audit --json`) stand beside every model that this judge judged.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite import registry
from evalsuite.errors import InputError
from evalsuite.judging import Annotation, find, read_annotations, summarise
from evalsuite.judging.ranking.ranking import rank
from evalsuite.judging.ranking.records import Choices
from evalsuite.publishing.entries import Entry, file_name
from evalsuite.publishing.judge_calibration import PERSON, Calibration, calibration
from evalsuite.publishing.markdown import html_of
from evalsuite.publishing.recompute import Verdict
from evalsuite.records import Metric
from evalsuite.reporting.numbers import interval_text
from evalsuite.statistics import Interval
from evalsuite.store import Run

CONTROLLED = "lc_"


@dataclass(frozen=True, slots=True)
class Pairing:
    """One judge on one pair of models: the win rate of the first, how often both orders agree, the share for the first
    place shown (50% where place does not matter), and whether a verdict's size means what it says."""

    model: str
    against: str
    rate: Interval
    consistency: Interval
    first: Interval
    missing: int
    calibration: Calibration | None


Agreement = Sequence[tuple[str, str, str]]
"""Lines of a report card: what, the figure with its interval, and n."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One judge with one model. `card` is its README as HTML, None where it is not known here; `agreement` is what its
    report card says of it beside people, empty where none was given."""

    judge: str
    model: str
    verdicts: int
    pairings: tuple[Pairing, ...]
    card: Any
    agreement: Agreement


def annotations_of(run: Run) -> list[Annotation]:
    return [a for path in sorted(run.path.glob("annotations-*.jsonl")) for a in read_annotations(path)]


def judges(runs: Sequence[Run], cards: Sequence[Path] = ()) -> list[Judged]:
    """Every judge whose annotations lie beside the runs; people's are what they are compared with."""
    groups: dict[tuple[str, str], dict[tuple[str, str], list[Annotation]]] = {}
    people: list[Annotation] = []
    told = _agreements(cards)
    for run in runs:
        for a in annotations_of(run):
            if a.judge == PERSON:
                people.append(a)
                continue
            groups.setdefault((a.judge, a.judge_model), {}).setdefault((a.model_a, a.model_b), []).append(a)
    return [
        Judged(
            judge=judge,
            model=model,
            verdicts=sum(len(rows) for rows in pairs.values()),
            pairings=tuple(_pairing(judge, names, rows, people) for names, rows in sorted(pairs.items())),
            card=_card(judge),
            agreement=told.get((_name(judge), model), told.get((_name(judge), ""), ())),
        )
        for (judge, model), pairs in sorted(groups.items())
    ]


def _name(judge: str) -> str:
    return judge.partition("#")[0].partition("/")[0]


def of_model(found: Sequence[Judged], name: str) -> list[tuple[Judged, Pairing]]:
    """The judges that a model's win rates rest on, with their figures on its own pairs."""
    return [(judged, p) for judged in found for p in judged.pairings if p.model == name]


def judge_rows(found: Sequence[Judged]) -> Iterator[dict[str, Any]]:
    """One row of a file for each judge and pair of models."""
    for judged in found:
        for p in judged.pairings:
            rates = {"win_rate": p.rate, "both_orders_agree": p.consistency, "first_place": p.first}
            row: dict[str, Any] = {"judge": judged.judge, "judge_model": judged.model, "model": p.model}
            row |= {"against": p.against, "n": p.rate.n, "missing": p.missing}
            for name, rate in rates.items():
                row |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
            c = p.calibration
            yield row | {
                "calibrated_against": c.against if c else None,
                "ece": c.ece if c else None,
                "brier": c.brier if c else None,
            }


def _agreements(cards: Sequence[Path]) -> dict[tuple[str, str], Agreement]:
    """(judge, judge model) → what its report card's JSON says of it beside people."""
    found: dict[tuple[str, str], Agreement] = {}
    for path in cards:
        if path.suffix.lower() != ".json":
            continue
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            who, own = card["identity"], card["profiles"][0]
            lines = [
                ("each verdict agrees with a person's vote", own["each"]),
                ("without ties", own["without_ties"]),
                ("one person with the others, for comparison", card["ceiling"]["person"]),
                ("Cohen's kappa with the majority", own["kappa"]),
                ("decided for the longer answer", own["longer"]),
            ]
            made = [(what, _figure(f), f"{f['n']:,}") for what, f in lines if f["value"] is not None]
            found[_name(str(who["judge"])), str(who["model"])] = made
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"--card {path}: is no report card (evalsuite judge audit ... --json)") from error
    return found


def _figure(figure: Mapping[str, Any]) -> str:
    if figure["unit"] == "correlation":
        return f"{figure['value']:.2f}"
    return interval_text(figure["value"], figure["low"], figure["high"])


def _pairing(judge: str, names: tuple[str, str], rows: Sequence[Annotation], people: Sequence[Annotation]) -> Pairing:
    try:
        summary = summarise(rows, find(_name(judge)).aggregate)
    except InputError:  # a judge that is not known here: the usual mean over both orders
        summary = summarise(rows)
    missing, found = sum(summary.missing.values()), calibration([*rows, *people], *names)
    return Pairing(*names, summary.win_rate, summary.consistency, summary.first, missing, found)


def _card(judge: str) -> Any:
    path = registry.judges().get(_name(judge), (None, {}, ""))[0]
    card = path.parent / "README.md" if path else None
    return html_of(card.read_text(encoding="utf-8"), 3) if card and card.is_file() else None


def copy_cards(cards: Sequence[Path], out: Path) -> list[tuple[str, str]]:
    """(name, link) of each report card that is a page, copied below `judges/`. Raises InputError for another file."""
    found = []
    for path in cards:
        if path.suffix.lower() == ".json":
            continue
        if path.suffix.lower() not in (".html", ".htm") or not path.is_file():
            raise InputError(f"--card {path}: is no HTML file (evalsuite judge audit ... --out CARD.html)")
        name = f"judges/{file_name(path.stem)}.html"
        (out / "judges").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / name)
        found.append((path.stem, name))
    return found


def with_length_control(entry: Entry) -> Entry:
    """The entry with a length-controlled fellow beside each win rate whose annotations allow the fit."""
    rates = [m for m in entry.run.metrics if m.name.startswith("win_rate[")]
    if not rates:
        return entry
    rows = annotations_of(entry.run)
    made = [c for m in rates for c in _controlled(m, rows, entry.run.name)]
    verdicts = {
        **entry.verdicts,
        **{(m.task, m.name): Verdict("same", "made here from the annotations", m, "re-aggregated") for m in made},
    }
    return replace(entry, run=replace(entry.run, metrics=[*entry.run.metrics, *made]), verdicts=verdicts)


def _controlled(rate: Metric, rows: Sequence[Annotation], name: str) -> Iterator[Metric]:
    against = rate.name.rpartition(" against ")[2].removesuffix("]")
    own = [a for a in rows if a.task == rate.task and a.model_b == against and f":{a.judge_model}" in rate.name]
    try:
        standings = rank(own, Choices(method="length-controlled", baseline=against, rounds=0)).standings if own else ()
    except (InputError, ValueError):  # no lengths, or all verdicts alike: there is no such figure
        return
    for s in standings:
        if s.model == name and s.value is not None:
            yield Metric(
                rate.task,
                CONTROLLED + rate.name,
                s.value,
                s.low,
                s.high,
                s.n,
                rate.missing,
                "length-controlled",
                "share",
            )
