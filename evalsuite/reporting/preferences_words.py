"""What an explanation says in plain words: how it stands, four lists, and what each feature must be read with care for.

summary(explanation, read_features(explanation)).standing
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from evalsuite.features.contract import Effect, Explanation
from evalsuite.reporting.numbers import bounds_text, p_text, value_text
from evalsuite.reporting.preferences_readings import FITS, Reading, basis

RARE = 0.02
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence about one feature."""

    index: int
    name: str
    text: str
    worry: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    standing: str
    rewards: list[Said]
    punishes: list[Said]
    little: list[Said]
    unknown: list[Said]
    remarks: list[str]


def change_text(effect: Effect) -> str:
    """'+12.3 pt [+8.1, +16.5]'."""
    change = value_text(effect.change, "share", sign=True)
    return f"{change} {bounds_text(effect.low, effect.high, 'share', sign=True)}" if effect.change is not None else "–"


def odds_text(change: float, between: str = " to ") -> str:
    """What a change means for two answers that differ in nothing else: '+20 points' is '60 to 40'."""
    share = round(50 + 50 * change)
    return f"{share}{between}{100 - share}"


def opening(explanation: Explanation) -> str:
    """What was looked at: '1,000 pairs of answers, all labelled, 40 of them a tie.'"""
    n, labelled, ties = explanation.n, explanation.labelled, explanation.ties
    said = f"{_count(n, 'pair')} of answers, "
    if not labelled:
        return f"{said}none of them labelled."
    said += "all labelled" if labelled == n else f"{labelled:,} of them labelled"
    return f"{said}, {ties:,} as a tie." if ties else f"{said}, none as a tie."


def sentence(note: str) -> str:
    """A note with a capital at its beginning and a full stop at its end."""
    text = note.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def summary(explanation: Explanation, readings: Sequence[Reading]) -> Summary:
    checked = any(r.fit in ("holds", "weak") for r in readings)
    listed: dict[str, list[Said]] = {"rewarded": [], "punished": [], "little": [], "unknown": []}
    for reading in readings:
        told = reading.kind in listed and reading.fit != "weak"
        listed[reading.kind if told else "unknown"].append(_said(reading, checked))
    listed["punished"].reverse()  # strongest first
    return Summary(
        _standing(explanation, listed),
        listed["rewarded"],
        listed["punished"],
        listed["little"],
        listed["unknown"],
        _remarks(explanation, readings),
    )


def _said(reading: Reading, checked: bool) -> Said:
    """`checked`: some descriptions were, so that it is worth saying of one that was not."""
    feature, effect = reading.feature, reading.effect
    name = feature.description or feature.name or f"feature {feature.index}"
    worry = FITS[reading.fit] if reading.fit == "weak" or (checked and reading.fit == "unchecked") else ""
    if effect is None or effect.change is None:
        reason = (effect.reason if effect else "") or "no effect was estimated"
        return Said(feature.index, name, f"no estimate: {reason}.", worry)
    figures = f"{change_text(effect)}, n = {effect.n:,}"
    if reading.kind in ("rewarded", "punished"):
        text = f"{figures}: about {odds_text(effect.change)} between two answers alike in all else"
        text += "." if reading.sure else "; probably: it holds under the milder correction only."
    elif reading.kind == "little":
        most = max(abs(effect.low or 0), abs(effect.high or 0))
        text = f"{figures}: at most {100 * most:.1f} points either way."
    elif effect.low is None or effect.high is None:
        text = f"{figures}: without an interval nothing can be said."
    else:
        low, high = (odds_text(end, ":") for end in (effect.low, effect.high))
        text = f"{figures}: anything from {low} to {high} is possible."
    if reading.fit == "weak":
        text += " Its words do not hold, so it was not tested: read its examples instead."
    elif reading.fit == "unchecked" and checked:
        text += " No words were found for it, so it was not tested: read its examples instead."
    return Said(feature.index, name, text, worry)


def _standing(explanation: Explanation, listed: dict[str, list[Said]]) -> str:
    total = len(explanation.features)
    if not total:
        return "No feature was found, so nothing can be said."
    if not explanation.labelled:
        return (
            f"{_count(total, 'feature')} can be measured in these pairs, but no pair says which answer was preferred: "
            "nothing can be said about reward."
        )
    rewarded, punished, little, unknown = (len(listed[k]) for k in ("rewarded", "punished", "little", "unknown"))
    words = any(s.worry == FITS["weak"] for s in listed["unknown"])
    text = (
        f"Of {_count(total, 'feature')} that tell the answers apart, {_none(rewarded)} {_are(rewarded)} rewarded, "
        f"{_none(punished)} {_are(punished)} punished, and {_none(little)} {_are(little)} shown to make little or no "
        "difference."
    )
    if unknown:
        rest = "one" if unknown == 1 else f"the other {unknown}" if unknown < total else f"all {unknown}"
        text += f" These pairs cannot tell about {rest}"
        text += ", or not in these words." if words else "."
    return _selected(explanation) + _without_controls(explanation) + text


def _selected(explanation: Explanation) -> str:
    """A warning where the pairs were chosen by what is measured in them: no effect in them speaks of a dataset."""
    if any("effects in them mean nothing" in note for note in explanation.notes):
        return (
            "These pairs were chosen by their features, so no effect below says anything of the data they come from. "
        )
    return ""


def _without_controls(explanation: Explanation) -> str:
    """A warning where controls were asked for and the page has to judge without them."""
    wanted = [n for n in ("adjusted", "alone") if any(n in f.effects for f in explanation.features)]
    by = basis(explanation)
    held = _list((*explanation.controls, *explanation.adjusted_for))
    if not wanted or by == wanted[0] or not held:
        return ""
    reasons = Counter(e.reason for f in explanation.features if (e := f.effects.get(wanted[0])) and e.reason)
    why = f" ({reasons.most_common(1)[0][0]})" if reasons else ""
    return f'With {held} held fixed no effect could be estimated{why}; what follows rests on "{by}" effects. '


def _remarks(explanation: Explanation, readings: Sequence[Reading]) -> list[str]:
    remarks = [_needed(explanation, readings), _guessing(explanation), _ties(explanation)]
    extractive = sum(r.feature.how == "extractive" for r in readings)
    if extractive:
        which = "All descriptions" if extractive == len(readings) else f"{extractive} of {len(readings)} descriptions"
        remarks.append(
            f"{which} are extractive: words and formats that were counted, not named by a model or a person."
        )
    weak = sum(r.fit == "weak" for r in readings)
    if weak:
        remarks.append(
            f"The words of {_count(weak, 'feature')} do not hold: on fresh pairs they predict the feature no better "
            "than chance would, or too few pairs were asked to tell."
        )
    return [r for r in remarks if r]


def _needed(explanation: Explanation, readings: Sequence[Reading]) -> str:
    """The change that half of the features need to be found four times out of five, after Bonferroni."""
    widths = [e.high - e.low for r in readings if (e := r.effect) and e.low is not None and e.high is not None]
    if not widths:
        return ""
    normal = NormalDist()
    tests = explanation.tests or len(widths)
    factor = normal.inv_cdf(1 - explanation.alpha / (2 * tests)) + normal.inv_cdf(POWER)
    least = 100 * factor * median(widths) / (2 * normal.inv_cdf(0.975))
    return (
        f"With {explanation.labelled:,} labelled pairs, a usual feature is found four times out of five only "
        f"if its effect is {least:.1f} points or more. That it was not found does not make a smaller one zero."
    )


def _guessing(explanation: Explanation) -> str:
    known = [p for p in explanation.predicted if p.auc is not None]
    ours = next((p for p in known if p.name == "features"), None)
    if ours is None:
        return ""
    others = ", ".join(f"{p.name} {p.auc:.2f} {_bounds(p.low, p.high)}" for p in known if p is not ours)
    text = f"On pairs held out, the features tell preferred answers apart with AUC {ours.auc:.2f} "
    text += f"{_bounds(ours.low, ours.high)}, n = {ours.n:,}; 0.5 is a coin, 1 never errs."
    text = f"{text} Beside it: {others}." if others else text
    better = [p.name for p in known if p.name == "length" and (p.auc or 0) > (ours.auc or 0) and (p.low or 0) > 0.5]
    if better:
        text += (
            " Length alone predicts as well: part of what is preferred is length, which these features need not show."
        )
    if any(p.name == "embedding" and (p.auc or 0) < (ours.auc or 0) for p in known):
        text += " The embedding is no ceiling here: it has more numbers than so few pairs can teach."
    return text


def _ties(explanation: Explanation) -> str:
    none = explanation.n - explanation.labelled
    ties = (
        f"{_count(explanation.ties, 'labelled pair')} {'is a tie' if explanation.ties == 1 else 'are ties'}."
        if explanation.ties
        else ""
    )
    said = f"{none:,} of {explanation.n:,} pairs have no label: they show features, not reward." if none > 0 else ""
    return " ".join(part for part in (said, ties) if part)


def cautions(explanation: Explanation, reading: Reading, alike: Sequence[int]) -> list[str]:
    """What one feature must be read with care for. `alike`: indices of the other features of its component."""
    feature, found = reading.feature, []
    if feature.how == "extractive":
        found.append(
            "Its description was put together by counting words and formats; nobody read the pairs to name it. Take it "
            "as a hint, and read the examples."
        )
    found += _fit_cautions(explanation, reading)
    if alike:
        others = ", ".join(f"#{i}" for i in alike)
        found.append(f"It measures much the same as {others}: their effects are not findings of their own.")
    if feature.prevalence < RARE:
        pairs = round(feature.prevalence * explanation.n)
        found.append(f"It is rare: {value_text(feature.prevalence)} of the pairs, about {pairs:,}.")
    return found + _effect_cautions(explanation, reading)


def _fit_cautions(explanation: Explanation, reading: Reading) -> list[str]:
    fidelity = reading.feature.fidelity
    if reading.fit == "given":
        return []
    if fidelity is None or fidelity.r is None:
        why = f" ({fidelity.n} pairs)" if fidelity else ""
        return [f"How well the description fits was not measured{why}."]
    if reading.fit == "weak":
        return [
            f"The description does not hold: r = {fidelity.r:.2f} {_bounds(fidelity.low, fidelity.high)}, p "
            f"{p_text(fidelity.p)} on {fidelity.n} fresh pairs, where r above 0 with p below "
            f"{explanation.alpha / max(len(explanation.features), 1):.2g} is wanted. The effect belongs to the "
            "feature, not to these words."
        ]
    return []


def _effect_cautions(explanation: Explanation, reading: Reading) -> list[str]:
    effects, main, found = reading.feature.effects, reading.effect, []
    if main is None or main.change is None:
        return [f"No effect: {(main.reason if main else '') or 'none was estimated'}."]
    if reading.kind in ("rewarded", "punished") and not reading.sure:
        found.append(
            f"Its effect is significant under Benjamini–Hochberg only: of such findings up to "
            f"{100 * explanation.alpha:g}% are expected to be false."
        )
    straddles = main.low is not None and main.high is not None and main.low <= 0 <= main.high
    if reading.kind in ("rewarded", "punished") and straddles:
        found.append("Its strength matters (beta), but whether it is there at all may not: that interval includes 0.")
    if main.beta is not None and main.beta * main.change < 0:
        found.append("Its two measures of effect have different signs, so no direction is claimed.")
    for name, why in (
        ("raw", f"Without {_list(explanation.controls) or 'controls'} held fixed"),
        ("adjusted", f"With {_list(explanation.adjusted_for) or 'the confounders'} held fixed too"),
        ("joint", "Beside all other features"),
    ):
        other = effects.get(name)
        if other is not None and name != reading.by and other.change is not None and _moved(main.change, other):
            found.append(f"{why}, its effect is {change_text(other)}, against {change_text(main)} here.")
    return found


def _moved(change: float, other: Effect) -> bool:
    """Whether the other estimate tells another story: this change lies outside its interval."""
    return other.low is not None and other.high is not None and not other.low <= change <= other.high


def _bounds(low: float | None, high: float | None) -> str:
    return "[–]" if low is None or high is None else f"[{low:.2f}, {high:.2f}]".replace("-", "−")


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _are(n: int) -> str:
    return "is" if n <= 1 else "are"


def _none(n: int) -> str:
    return f"{n:,}" if n else "none"
