"""A comparison in plain words: what got better, what got worse, what reads otherwise, what cannot be told.

    for sentence in summarise(pair, curve):
        print(sentence.kind, sentence.text)
    overall(pair)                                     # the count of it all, in one sentence

Every sentence that claims a difference carries the figure, its 95% interval and n, and rests on an adjusted p. What was
found too small to tell is said with the effect that this many samples could have shown, so that silence is no proof of
sameness.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalsuite.comparison.differences import ALPHA, Difference
from evalsuite.comparison.summary_effects import effects
from evalsuite.comparison.summary_words import NAMED, Said, Sentence, adjusted, change, number, sentence
from evalsuite.comparison.texts import TextDifference
from evalsuite.statistics import Interval

if TYPE_CHECKING:
    from evalsuite.comparison.records import PairComparison
    from evalsuite.comparison.training_curve import Curve

VERBS = {
    "characters": ("writes longer answers", "writes shorter answers"),
    "sentences": ("writes more sentences an answer", "writes fewer sentences an answer"),
    "paragraphs": ("writes more paragraphs an answer", "writes fewer paragraphs an answer"),
    "lists": ("writes lists more often", "writes lists less often"),
    "markdown": ("uses headings, bold, code or tables more often", "uses headings, bold, code or tables less often"),
    "openers": ("opens with a courtesy more often", "opens with a courtesy less often"),
    "first_person": ("speaks of itself more often", "speaks of itself less often"),
    "asks_back": ("ends in a question more often", "ends in a question less often"),
    "exclamations": ("uses exclamation marks more often", "uses exclamation marks less often"),
    "unfinished": ("stops inside a sentence more often", "stops inside a sentence less often"),
    "refusals": ("refuses more often", "refuses less often"),
    "loops": ("ends in a loop more often", "ends in a loop less often"),
    "empty": ("says nothing more often", "says nothing less often"),
    "repetition": ("repeats itself more at equal length", "repeats itself less at equal length"),
    "diversity_across": (
        "uses more different words across prompts at equal length",
        "uses fewer different words across prompts at equal length",
    ),
}  # fmt: skip


def summarise(pair: "PairComparison", curve: "Curve | None" = None) -> list[Sentence]:
    """Sentences, the most telling first: better, worse, what moved beside the scores, how answers read, tied and too
    few, refused, and what reads alike. `curve`: the run's own training."""
    found = pair.differences
    first = [d for d in found if d.primary] or list(found)
    made: list[Sentence] = []
    verdicts: tuple[tuple[str, Said, str], ...] = (
        ("better", "better", "is better than"),
        ("worse", "worse", "is worse than"),
        ("changed", "otherwise", "differs from"),
    )
    for verdict, kind, words in verdicts:
        moved = sorted((d for d in first if d.verdict == verdict), key=lambda d: d.p if d.p is not None else 1.0)
        made += sentence(kind, f"{pair.run} {words} {pair.baseline} on", [_moved(d) for d in moved])
    made += _families(pair)
    moved_beside, still_beside = effects(pair, curve)
    reads, alike = _read(pair.run, pair.baseline, pair.texts)
    made += [*moved_beside, *reads]
    made += sentence("unclear", "No difference was found on", [_tied(d) for d in first if d.verdict == "tied"])
    few = [d.task for d in first if d.verdict == "unknown"]
    if few:
        rest = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        made.append(Sentence("unclear", f"Too few samples to tell on {', '.join(few[:NAMED])}{rest}"))
    refused = [d for d in first if d.verdict == "not comparable"]
    made += [Sentence("refused", f"Not compared on {d.task}: {'; '.join(d.notes)}") for d in refused]
    return [*made, *still_beside, *alike]


def overall(pair: "PairComparison") -> str:
    """How many scores went which way, how small a true change could have gone unseen, and how many ways of writing."""
    first = [d for d in pair.differences if d.primary]
    shown = first or pair.differences
    said = (
        ("better", "got better"),
        ("worse", "got worse"),
        ("changed", "changed"),
        ("tied", "cannot be told apart"),
        ("unknown", "had too few samples"),
        ("not comparable", "may not be compared"),
    )
    counts = [(sum(d.verdict == verdict for d in shown), words) for verdict, words in said]
    parts = [f"{count} {words}" for count, words in counts if count]
    made = []
    if not first:
        made.append("No headline score could be paired by sample.")
    if parts:
        listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        of = f"{len(shown)} {'headline' if first else 'other'} score{'s' * (len(shown) != 1)}"
        made.append(f"Of {of} {listed}.")
    unseen = sorted(100 * d.mde for d in shown if d.verdict == "tied" and d.unit == "share" and d.mde is not None)
    if unseen:
        ends = [f"{unseen[0]:.1f}", f"{unseen[-1]:.1f}"]
        span = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
        made.append(f"A true change below {span} points could have gone unseen there.")
    told = [d for d in pair.texts if d.measure in VERBS and d.q is not None]
    if told:
        moved = sum(d.q is not None and d.q <= ALPHA and bool(d.value) for d in told)
        made.append(f"Answers read differently in {moved} of {len(told)} measures.")
    return " ".join(made)


def _moved(d: Difference) -> str:
    sides = ""
    if d.baseline is not None and d.run is not None:
        sides = f", {_before_after(d.baseline, d.run, d.unit)}"
    return f"{d.task} {d.metric} ({change(d, d.unit)}{sides}, n={d.n})"


def _tied(d: Difference) -> str:
    least = "" if d.mde is None else f", {number(d.mde, d.unit, True)} would have been found"
    return f"{d.task} ({change(d, d.unit)}, n={d.n}{least}{adjusted(d)})"


def _families(pair: "PairComparison") -> list[Sentence]:
    """Families of several tasks: together they may tell what none tells alone."""
    made: list[Sentence] = []
    kinds: tuple[tuple[Said, str], ...] = (("better", "better"), ("worse", "worse"))
    for kind, word in kinds:
        moved = [f for f in pair.families if f.verdict == word and len(f.tasks) > 1]
        items = [
            f"{f.family.replace('_', ' ')} ({change(f, 'share')}, mean of {len(f.tasks)} tasks, n={f.n})" for f in moved
        ]
        made += sentence(kind, f"Tasks taken together, {pair.run} is {word} than {pair.baseline} in", items)
    return made


def _read(run: str, baseline: str, texts: Sequence[TextDifference]) -> tuple[list[Sentence], list[Sentence]]:
    """What the answers themselves look like, without any scorer: what moved, and what did not."""
    moved = [d for d in texts if d.measure in VERBS and d.q is not None and d.q <= ALPHA and d.value]
    still = [d for d in texts if d.measure in VERBS and d.q is not None and d.q > ALPHA]
    made = []
    for d in moved:
        verb = VERBS[d.measure][0 if (d.value or 0) > 0 else 1]
        made.append(Sentence("otherwise", f"{run} {verb} than {baseline}: {_sides(d)}"))
    alike = [f"{d.about} ({change(d, d.unit)}, n={d.n}{adjusted(d)})" for d in still]
    return made, [Sentence("unclear", "No difference was found in", tuple(alike))] if alike else []


def _sides(d: TextDifference) -> str:
    times = ""
    if d.unit != "share" and d.baseline.value and d.run.value and d.baseline.value > 0:
        times = f"{d.run.value / d.baseline.value:.2g} times, "
    return f"{_before_after(d.baseline, d.run, d.unit)} ({times}{change(d, d.unit)}, n={d.n})"


def _before_after(before: Interval, after: Interval, unit: str) -> str:
    """The unit once: '258.5 → 728.4 characters', '10.3% → 18.7%'."""
    return f"{number(before.value, unit if unit == 'share' else '')} → {number(after.value, unit)}"
