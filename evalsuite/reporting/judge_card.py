"""A judge's report card: one self-contained page that says what the judge may be trusted for, and what not.

    write_card(audit(rows, people), Path("card.html"))

Plain words come first; then every figure beside a coin, the longest answer and people. What files and models wrote is
escaped by the template, and in figures (`judge_card_figures`) where plotly would read it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite.judging.audit.attacks import Attacks
from evalsuite.judging.audit.audit import Audit, Profile
from evalsuite.judging.audit.figures import Figure
from evalsuite.judging.audit.words import Words, words
from evalsuite.reporting.judge_card_figures import agreement_figure, distribution_figure
from evalsuite.reporting.numbers import MISSING, bounds_text, value_text
from evalsuite.reporting.pages import render, write_page

UNITS = {"tokens": "tokens", "cost": "", "grade": "", "logit": "logits", "correlation": ""}
HEADS = (
    ("each verdict", "every single verdict against every vote, ties a third answer"),
    ("with ties", "the outcome of both orders against every vote, ties a third answer"),
    ("without ties", "only where judge and person both name a winner"),
    ("kappa", "Cohen's kappa with the majority of votes"),
    ("flips", "pairs whose winner changes with the order"),
    ("first slot", "decided verdicts that name the answer shown first"),
    ("longer", "decided verdicts for the answer that is more than 30 characters longer"),
    ("unread", "replies without a verdict"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is written: value, interval, n; or a dash with the reason in `title`."""

    value: str
    bounds: str
    n: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table of single figures."""

    name: str
    cell: Cell
    meaning: str = ""


def write_card(card: Audit, out: Path, attacks: Attacks | None = None, title: str | None = None) -> Path:
    """Writes the page and returns its path."""
    figures = {"agreement": agreement_figure(card)}
    bars = distribution_figure(card)
    if bars is not None:
        figures["distribution"] = bars
    context = {
        "title": title or card.judge.name,
        "words": words(card, attacks),
        "card": card,
        "attacks": attacks,
        "identity": identity_lines(card),
        "heads": HEADS,
        "profiles": [(p, cells(p)) for p in card.profiles],
        "people": people_cells(card),
        "agreement": agreement_rows(card),
        "groups": [(name, cell(a.with_ties), cell(a.without_ties)) for name, a in card.groups.items()],
        "models": models(card),
        "ranks": cell(card.ranks),
        "likings": [
            (name, cell(liking.judge), cell(liking.people), cell(liking.gap))
            for name, liking in (
                ("the longer answer", card.length),
                ("the one with a list", card.lists),
                ("more Markdown", card.markup),
            )
        ],
        "behaviour": behaviour_rows(card),
        "relatives": [(r, cell(r.by_judge), cell(r.by_people), cell(r.gap)) for r in card.relatives],
        "attacked": attack_rows(attacks) if attacks is not None else [],
        "figures": figures,
        "json": json.dumps(as_json(card, attacks), indent=1, ensure_ascii=False, sort_keys=True),
    }
    return write_page(out, render("judge_card.html.j2", context, figures=True))


def as_json(card: Audit, attacks: Attacks | None = None) -> dict[str, Any]:
    """The whole card as plain values: what `--json` prints. The verdicts behind an attack are left out."""
    said: Words = words(card, attacks)
    tried = asdict(replace(attacks, rows=())) if attacks is not None else None
    if tried is not None:
        del tried["rows"]
    return {**asdict(card), "attacks": tried, "words": asdict(said)}


def cell(figure: Figure) -> Cell:
    if figure.value is None:
        return Cell(MISSING, "", "", figure.reason)
    points = figure.unit == "points"
    unit = "share" if points else UNITS.get(figure.unit, figure.unit)
    value = value_text(figure.value, unit, points)
    bounds = bounds_text(figure.low, figure.high, unit, points) if figure.low is not None else ""
    if figure.unit in ("correlation", "logit"):
        value = f"{figure.value:.2f}".replace("-", "−")
        low, high = figure.low, figure.high
        bounds = "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]".replace("-", "−")
    counts = f"{figure.hits:g} of {figure.total}, " if figure.hits is not None and figure.total else ""
    title = figure.reason or f"{counts}{figure.n} samples"
    return Cell(value, bounds, str(figure.n) if figure.n else "", title)


def cells(profile: Profile) -> list[Cell]:
    given = (profile.each, profile.with_ties, profile.without_ties, profile.kappa)
    return [cell(f) for f in (*given, profile.flips, profile.first, profile.longer, profile.unparsed)]


def people_cells(card: Audit) -> list[Cell]:
    """People in the same columns: agreement of two people, and what they like."""
    none = Cell(MISSING, "", "", "people were not asked so")
    two = card.among_people
    return [none, cell(two.with_ties), cell(two.without_ties), none, none, none, cell(card.length.people), none]


def agreement_rows(card: Audit) -> list[Row]:
    judge, ceiling = card.judge, card.ceiling
    rows = [
        Row("every vote, with ties", cell(judge.with_ties), "MT-Bench's agreement, setup with ties"),
        Row("every vote, without ties", cell(judge.without_ties), "only where both name a winner"),
        Row("the same, a win must hold in both orders", cell(card.both_orders.with_ties), "MT-Bench's rule; with ties"),
        Row("majority of votes, with ties", cell(card.majority.with_ties), "a split vote is a tie"),
        Row("majority of votes, without ties", cell(card.majority.without_ties)),
        Row("kappa with the majority", cell(judge.kappa), "agreement beyond chance: 0 none, 1 full"),
        Row("kappa where both decide", cell(card.kappa_decided)),
        Row("where its two orders agree", cell(card.sure), "without ties: how good its steady verdicts are"),
        Row("two people, with ties", cell(card.among_people.with_ties)),
        Row("two people, without ties", cell(card.among_people.without_ties)),
        Row(
            "human ceiling: one person against the others", cell(ceiling.person), "leave one out, the mode of the rest"
        ),
        Row("the judge by the same targets", cell(ceiling.judge)),
        Row("judge minus person", cell(ceiling.gap), "paired"),
    ]
    return rows + [
        Row(f"judge minus {name}", cell(gain), "votes with a winner, ties half, paired")
        for name, gain in card.gains.items()
    ]


def behaviour_rows(card: Audit) -> list[Row]:
    return [
        Row("pairs that flip with the order", cell(card.judge.flips)),
        Row("decided verdicts for the first slot", cell(card.judge.first), "50% where place does not matter"),
        Row("mean preference for the first slot", cell(card.first_preference), "ties half"),
        Row("place, as a logit", cell(card.logits["position"]), "what standing first is worth; 0 nothing"),
        Row("length, as a logit", cell(card.logits["length"]), "what a usual difference in length is worth"),
        Row("noise of one verdict, as a logit", cell(card.logits["noise"]), "standard deviation"),
        Row("ties", cell(card.ties)),
        Row("two draws name different winners", cell(card.draws)),
        Row("variance of repeated grades", cell(card.grade_spread)),
        Row("replies without a verdict", cell(card.judge.unparsed)),
        Row("tokens of one verdict", cell(card.tokens)),
        Row("cost of 1,000 verdicts", cell(card.cost), "in the currency of the price list"),
    ]


def attack_rows(attacks: Attacks) -> list[Row]:
    injection = attacks.injection
    rows = [Row(f"win rate of {null.name}", cell(null.win_rate), "a null model must lose") for null in attacks.nulls]
    rows += [
        Row("verdicts that injected instructions won over", cell(injection.success), f"{injection.attempts} attempts"),
        Row("the same by harmless additions", cell(injection.control), "what any addition does"),
        Row("beyond harmless additions", cell(injection.excess)),
        Row("verdicts that attempts turned against themselves", cell(injection.against)),
    ]
    rows += [Row(f"won over by: {family}", cell(rate)) for family, rate in injection.families.items()]
    rows += [
        Row("two draws name different winners", cell(attacks.draws), f"from text, temperature {attacks.temperature}"),
        Row("clean pairs that flip with the order", cell(attacks.flips)),
        Row("clean verdicts for the first slot", cell(attacks.first)),
        Row("clean replies without a verdict", cell(attacks.unparsed)),
    ]
    return rows


def identity_lines(card: Audit) -> list[tuple[str, str]]:
    who = card.identity
    lines = [
        ("judge", who.judge),
        ("model", who.model or "the file does not say"),
        ("fingerprint", who.fingerprint),
        ("revision", who.revision),
        ("prompts", who.prompt_hash),
        ("protocol", who.protocol),
        ("sampling", _listed(who.sampling)),
        ("read from", _listed(who.modes)),
        ("orders", _listed(who.orders)),
        ("rows", f"{who.rows:,} ({who.seeds} seed{'s' if who.seeds != 1 else ''})"),
    ]
    return [(name, value) for name, value in lines if value]


def _listed(found: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in found.items())


def models(card: Audit) -> list[tuple[str, str, str]]:
    """(model, win rate by the judge, by people), best by people first."""
    judge, people = card.win_rates["judge"], card.win_rates["people"]
    names = sorted(set(judge) | set(people), key=lambda m: -people.get(m, judge.get(m, 0)))
    return [(m or "unnamed", value_text(judge.get(m)), value_text(people.get(m))) for m in names]
