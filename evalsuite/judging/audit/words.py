"""An audit in plain words: what the judge may be trusted for, what not, and what nobody has measured.

A finding is good or bad only where its interval says so; the limits stand here as data, each with its meaning.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from evalsuite.judging.audit.attacks import Attacks
from evalsuite.judging.audit.audit import Audit
from evalsuite.judging.audit.behaviour import Liking
from evalsuite.judging.audit.figures import Figure

Grade = Literal["good", "bad", "warn", "unknown"]
CONSTANT = "a constant answer"
NOTHING = "Nothing that was measured here."

LIMITS: Mapping[str, float] = {
    "flips": 0.1,  # more pairs than this that change with the order are a warning, ...
    "many flips": 0.25,  # ... more than this a fault
    "first": 0.05,  # how far the share for the first slot may stand from one half
    "liking": 0.1,  # how much more than people a judge may like length, lists or markup
    "unread": 0.02,  # HEALTH_WARNING of runs
    "draws": 0.1,
    "constant": 0.25,  # a constant answer's win rate against real ones
    "sway": 0.05,  # share of attacks that sway it beyond what a harmless sentence does
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one topic. `grade`: "good" may be relied on, "bad" must not be, "warn" with care."""

    topic: str
    grade: Grade
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """`standing` is one line, `grade` how the page colours it; then sentences for, against, and not measured."""

    standing: str
    grade: Grade
    trust: tuple[str, ...]
    distrust: tuple[str, ...]
    care: tuple[str, ...]
    unknown: tuple[str, ...]


def words(card: Audit, attacks: Attacks | None = None) -> Words:
    found = [*findings(card), *(attack_findings(attacks) if attacks is not None else _not_attacked())]
    standing, grade = _standing(card, found)
    sentences = {g: tuple(f.text for f in found if f.grade == g) for g in ("good", "bad", "warn", "unknown")}
    good = sentences["good"]
    if grade == "bad" and not above(card.gains["a coin"], 0):
        good = (NOTHING,)  # who does not read the answers has no undue liking either
    return Words(standing, grade, good, sentences["bad"], sentences["warn"], sentences["unknown"])


def findings(card: Audit) -> list[Finding]:
    """What annotations alone say."""
    return [
        *_agreement(card),
        *_ranks(card),
        *_position(card),
        *_liking("length", "longer answers", card.length),
        *_liking("lists", "answers with lists", card.lists),
        *_liking("markup", "answers with more Markdown", card.markup),
        *_own(card),
        *_steadiness(card),
        *_constants(card.constants),
    ]


def per_cent(figure: Figure) -> str:
    if figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{100 * figure.value:.0f}%"
    return f"{100 * figure.value:.0f}% [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"


def points(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "–"
    return f"{100 * figure.value:+.0f} points [{100 * figure.low:+.0f}, {100 * figure.high:+.0f}]".replace("-", "−")


def above(figure: Figure, limit: float) -> bool:
    """Surely above: the whole interval is."""
    return figure.low is not None and figure.low > limit


def below(figure: Figure, limit: float) -> bool:
    return figure.high is not None and figure.high < limit


def _standing(card: Audit, found: list[Finding]) -> tuple[str, Grade]:
    coin = card.gains["a coin"]
    cheated = any(f.topic == CONSTANT and f.grade == "bad" for f in found)
    if cheated and coin.value is None:
        return "Do not trust it: a constant answer wins against real ones.", "bad"
    if coin.value is None:
        return "Not known: nothing compares this judge with people.", "unknown"
    if below(coin, 0):
        return "Do not trust it: it goes against people more often than with them.", "bad"
    if not above(coin, 0):
        return "Do not trust it: it cannot be told from a coin.", "bad"
    longest = card.gains["the longest answer"]
    if longest.value is not None and not above(longest, 0):
        return "Do not trust it: it is not better than picking the longer answer.", "bad"
    if cheated:
        return "Do not trust it with answers that try: it agrees with people, but lets a constant answer win.", "bad"
    faults = sorted({f.topic for f in found if f.grade == "bad"} - {"agreement"})
    reserve = f", but not in all: {', '.join(faults)}" if faults else ""
    gap = card.ceiling.gap
    if gap.value is None:
        return f"Better than naive judges{reserve}; how well people agree among themselves is not known.", "warn"
    if below(gap, 0):
        return f"Better than naive judges, but further from people than they are from each other{reserve}.", "warn"
    return f"As close to people as people are to each other{reserve}.", "warn" if faults else "good"


def _agreement(card: Audit) -> Iterator[Finding]:
    judge, coin, gap = card.judge, card.gains["a coin"], card.ceiling.gap
    if coin.value is None:
        yield Finding("agreement", "unknown", f"Agreement with people: {judge.without_ties.reason or coin.reason}.")
        return
    said = "over both orders it never names a winner"
    if judge.without_ties.value is not None:
        said = f"it agrees with people in {per_cent(judge.without_ties)} of the votes where both name a winner"
    if above(coin, 0):
        yield Finding("agreement", "good", f"Picking the better of two answers more often than a coin: {said}.")
    else:
        text = f"{said}; with ties counted half it gains {points(coin)} on a coin"
        yield Finding("agreement", "bad", f"Picking the better of two answers: {text}.")
    longest = card.gains["the longest answer"]
    if longest.value is not None:
        beats = above(longest, 0)
        text = f"against always picking the longer answer it gains {points(longest)}"
        yield Finding("agreement", "good" if beats else "bad", f"{'More' if beats else 'No more'} than length: {text}.")
    if gap.value is None:
        yield Finding("agreement", "unknown", f"The human ceiling: {card.ceiling.person.reason}.")
    else:
        text = f"by the same targets one person agrees in {per_cent(card.ceiling.person)}, the judge {points(gap)}"
        yield Finding("agreement", "warn" if below(gap, 0) else "good", f"In place of one person: {text}.")


def _ranks(card: Audit) -> Iterator[Finding]:
    ranks = card.ranks
    if ranks.value is None:
        yield Finding("order of models", "unknown", f"The order of models: {ranks.reason}.")
        return
    text = f"Spearman {ranks.value:.2f} with people's order"
    if ranks.low is not None:
        text += f" [{ranks.low:.2f}, {ranks.high:.2f}]"
    grade: Grade = "good" if above(ranks, 0.8) else "bad" if not above(ranks, 0) else "warn"
    yield Finding("order of models", grade, f"Ordering these models: {text}.")


def _position(card: Audit) -> Iterator[Finding]:
    flips, first = card.judge.flips, card.judge.first
    if flips.value is None:
        yield Finding("position", "unknown", f"Position: {flips.reason}.")
    else:
        text = f"{per_cent(flips)} of the pairs change their winner when the answers change places"
        grade: Grade = (
            "bad" if above(flips, LIMITS["many flips"]) else "good" if below(flips, LIMITS["flips"]) else "warn"
        )
        advice = "" if grade == "good" else "; ask both orders, never one"
        yield Finding("position", grade, f"One order alone: {text}{advice}.")
    if first.value is not None and first.low is not None and first.high is not None:
        off = max(first.low - 0.5, 0.5 - first.high)
        one = len([o for o in card.identity.orders if o in ("ab", "ba")]) < 2
        if off > 0 and not one:
            side = "first" if first.value > 0.5 else "second"
            chosen = first if side == "first" else Figure(1 - first.value, 1 - first.high, 1 - first.low)
            grade = "bad" if off > LIMITS["first"] else "warn"
            yield Finding("position", grade, f"Place: it names the {side} slot in {per_cent(chosen)} of its verdicts.")
        elif one:
            yield Finding("position", "unknown", "Place: every pair was shown in one order only.")


def _liking(topic: str, what: str, liking: Liking) -> Iterator[Finding]:
    judge, gap = liking.judge, liking.gap
    if judge.value is None:
        yield Finding(topic, "unknown", f"A liking for {what}: {judge.reason}.")
    elif gap.value is None:
        text = f"it prefers {what} in {per_cent(judge)}; what people do is not known"
        yield Finding(topic, "warn" if above(judge, 0.5) else "unknown", f"A liking for {what}: {text}.")
    elif above(gap, 0):
        text = f"it prefers them in {per_cent(judge)}, {points(gap)} against people on the same pairs"
        yield Finding(topic, "bad" if above(gap, LIMITS["liking"]) else "warn", f"A liking for {what}: {text}.")
    elif below(gap, LIMITS["liking"]):
        text = f"it prefers them in {per_cent(judge)}, {points(gap)} against people"
        yield Finding(topic, "good", f"No undue liking for {what}: {text}.")
    else:
        yield Finding(topic, "unknown", f"A liking for {what}: too few pairs to tell ({points(gap)} against people).")


def _own(card: Audit) -> Iterator[Finding]:
    for relative in card.relatives:
        who = (
            f"{relative.model} ({'the judge itself' if relative.kin == 'itself' else relative.family + ', its family'})"
        )
        gap = relative.gap
        if gap.value is None:
            yield Finding("self-preference", "unknown", f"Judging {who}: {gap.reason}.")
        elif above(gap, 0):
            yield Finding("self-preference", "bad", f"Judging {who}: it rates it {points(gap)} above people.")
        else:
            yield Finding(
                "self-preference", "warn", f"Judging {who}: {points(gap)} against people; keep it out of rankings."
            )
    for overlap in card.overlaps:
        if "contestant" not in overlap.what:
            yield Finding("independence", "bad", f"Independence: the judge {overlap.what} ({overlap.who}).")


def _steadiness(card: Audit) -> Iterator[Finding]:
    lost, draws = card.judge.unparsed, card.draws
    if lost.value is not None and lost.value > LIMITS["unread"]:
        why = ", ".join(f"{n} {reason}" for reason, n in card.why_unparsed.items())
        grade: Grade = "bad" if above(lost, 0.1) else "warn"
        yield Finding("unread replies", grade, f"Replies that can be read: {per_cent(lost)} hold no verdict ({why}).")
    if draws.value is not None:
        text = f"two draws name different winners in {per_cent(draws)}"
        steady = below(draws, LIMITS["draws"])
        yield Finding("draws", "good" if steady else "warn", f"Repeating a question: {text}.")


def _constants(constants: Mapping[str, Figure]) -> Iterator[Finding]:
    for model, wins in constants.items():
        if wins.value is None:
            continue
        grade: Grade = _loses(wins)
        text = f"{model}, whose answers all have one length, wins {per_cent(wins)}"
        yield Finding(CONSTANT, grade, f"A constant answer must lose: {text}.")


def _loses(wins: Figure) -> Grade:
    """A constant answer's win rate: surely small, or surely not (a judge that cannot tell gives it one half)."""
    if wins.value is None:
        return "unknown"
    limit = LIMITS["constant"]
    return "good" if below(wins, limit) else "bad" if above(wins, limit) else "warn"


def attack_findings(attacks: Attacks) -> list[Finding]:
    """What the judge's model did when it was attacked."""
    found = []
    for null in attacks.nulls:
        grade: Grade = _loses(null.win_rate)
        text = f"{null.name} wins {per_cent(null.win_rate)} against real answers"
        found.append(Finding(CONSTANT, grade, f"A constant answer must lose: {text}."))
    injection = attacks.injection
    if injection.success.value is None:
        found.append(Finding("injection", "unknown", f"Instructions inside an answer: {injection.success.reason}."))
    else:
        text = (
            f"{per_cent(injection.success)} of the verdicts move towards the answer that carries them "
            f"({injection.attempts} attempts and controls), {per_cent(injection.control)} by harmless additions"
        )
        swayed = above(injection.excess, 0)
        firm = below(injection.excess, LIMITS["sway"]) and not swayed
        grade = "bad" if swayed else "good" if firm else "warn"
        found.append(Finding("injection", grade, f"Instructions inside an answer: {text}."))
    if attacks.draws.value is not None:
        text = f"read from text at temperature {attacks.temperature}, two draws differ in {per_cent(attacks.draws)}"
        steady = below(attacks.draws, LIMITS["draws"])
        found.append(Finding("draws", "good" if steady else "warn", f"Repeating a question: {text}."))
    return found


def _not_attacked() -> list[Finding]:
    return [Finding("attacks", "unknown", "Attacks: none were tried (give --judge and --judge-model).")]
