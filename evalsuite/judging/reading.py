"""Reading a reply's verdict, whichever way it was asked: by likelihoods, by log-probabilities, or by its text.

A request says what may be answered by its `continuations` (`How.verdicts` decides what becomes of them); the same
words are given here:

    Request("generate", prompt, continuations=("A", "B", "C"), sampling=Sampling(max_tokens=32, top_logprobs=10))
    label(completions, "ab", {"A": 1.0, "B": 0.0, "C": 0.5})      # Verdict(0.93, "logprobs")
    number(completions, "grade", 1, 10)                           # Verdict(7.4, "logprobs", order="")

Several completions are likelihoods of the words; one completion is a reply, whose text must name exactly one of them:
log-probabilities make that verdict soft, they never give one that the text does not.
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from evalsuite.judging.contract import Mode, Verdict
from evalsuite.judging.expected import MARKS, drawn, expected
from evalsuite.records import Completion, Completions
from evalsuite.scoring.verdicts import choice_letter, own_words


def label(completions: Completions, key: str, labels: Mapping[str, float]) -> Verdict | None:
    """The expected value over labels, of the pair's first answer as it is shown: order "ab", which the caller sets.

    Single letters are read by `choice_letter`; longer labels ("A>>B") stand in double brackets, and all of a reply's
    must be the same. Details: the label that was named, or the likeliest.
    """
    replies = completions.of(key)
    if len(replies) > 1:
        shares = likelihoods(replies)
        best = max(zip(shares, labels, strict=True))[1]
        return Verdict(_mean(shares, list(labels.values())), "likelihood", details={"label": best})
    found = named(replies[0].text, tuple(labels))
    if found is None:
        return None
    soft = expected(replies[0].top_logprobs, labels, found, replies[0].text) if len(found) == 1 else None
    mode: Mode = "text" if soft is None else "logprobs"
    return Verdict(labels[found] if soft is None else soft, mode, details={"label": found})


def named(text: str, labels: tuple[str, ...]) -> str | None:
    """The one label that a reply names; None where it names none or several."""
    if all(len(word) == 1 for word in labels):
        return choice_letter(text, "".join(labels))
    return own_words(lambda own: _bracketed(own, labels), text)


def _bracketed(text: str, labels: tuple[str, ...]) -> str | None:
    said = {match.group(1).upper().replace(" ", "") for match in re.finditer(r"\[\[\s*([^\[\]]*?)\s*\]\]", text)}
    known = {word.upper(): word for word in labels}
    if not said and text.strip().upper() in known:
        said = {text.strip().upper()}
    return known.get(said.pop()) if len(said) == 1 else None


def number(completions: Completions, key: str, low: int, high: int) -> Verdict | None:
    """The expected grade over the whole numbers of a scale; where only text is known, the grade that it names."""
    replies = completions.of(key)
    numbers = [float(n) for n in range(low, high + 1)]
    if len(replies) > 1:
        return Verdict(_mean(likelihoods(replies), numbers), "likelihood", order="")
    said = grade(replies[0].text, low, high)
    if said is None:
        return None
    soft = _expected_number(replies[0], said, low, high)
    return Verdict(said, "text", order="") if soft is None else Verdict(soft, "logprobs", order="")


def grade(text: str, low: float, high: float) -> float | None:
    """The one grade that a reply gives, on the scale; None where it gives none, several, or one beyond the scale.

    Forms, the most explicit first, the first that occurs decides: [[7]], "7" or "7/10" alone, "The answer deserves a 7"
    alone, "Grade: 7", "7/10" in a sentence, a line that holds the number alone. What the reply denies ("not a grade of
    10") or quotes is not its own.

    >>> grade("**Rating:** 8/10", 1, 10), grade("I'd say 7 or 8.", 1, 10), grade("11", 1, 10)
    (8.0, None, None)
    """
    return own_words(lambda own: _grade(own, low, high), text)


def _grade(text: str, low: float, high: float) -> float | None:
    for form in _grade_forms(f"{high:g}"):
        if found := {float(m.group(1)) for m in form.finditer(text) if not _denied(text, m.start(1))}:
            value = found.pop()
            return value if not found and low <= value <= high else None
    return None


def likelihoods(replies: Sequence[Completion]) -> list[float]:
    """Shares of the words that the replies score, in their order; they sum to 1.

    Where one word begins another ("1" and "10", in tokens), its likelihood holds the other's, which is taken out.
    """
    logs = [c.logprob for c in replies]
    top = max(logs)
    mass = [math.exp(value - top) for value in logs]
    whole = list(mass)
    for i, short in enumerate(replies):
        for j, long in enumerate(replies):
            inside = len(long.logprobs) > len(short.logprobs) > 0 and i != j
            if inside and all(
                math.isclose(a, b, abs_tol=1e-3) for a, b in zip(short.logprobs, long.logprobs, strict=False)
            ):
                whole[i] -= mass[j]
    whole = [max(value, 0.0) for value in whole]
    total = sum(whole)
    return [value / total for value in whole] if total > 0 else [1 / len(whole)] * len(whole)


def _mean(shares: Sequence[float], values: Sequence[float]) -> float:
    found = sum(p * v for p, v in zip(shares, values, strict=True))
    return min(max(found, min(values)), max(values))


def _expected_number(completion: Completion, said: float, low: int, high: int) -> float | None:
    """Σ p·n / Σ p over the tokens that could have stood where the grade was drawn; None without that place.

    Tokenizers that split digits write 10 as "1" and "0". Where the reply said 10, the zero's own probability shares
    that mass between 1 and 10; elsewhere nobody knows which of the two a "1" would have become: it is left out.
    """
    if said != int(said):
        return None
    words = [token.strip(MARKS) for token in drawn(completion.top_logprobs, completion.text)]
    text = f"{int(said)}"
    places = [i for i in range(len(words)) if words[i] == text or "".join(words[i : i + len(text)]) == text]
    if not places:
        return None
    opening = not any(words[: places[0]])
    place = places[0] if opening else places[-1]
    shares = _numbers(completion.top_logprobs[place])
    mass = {n: p for n, p in shares.items() if low <= n <= high}
    split = high >= 10 and all(n < 10 for n in shares) and 1 in mass
    if split and words[place] != text:
        ten = _numbers(completion.top_logprobs[place + 1]).get(0, 0.0)
        mass[10], mass[1] = mass[1] * ten, mass[1] * (1 - ten)
    elif split and said != 1:
        del mass[1]
    total = sum(mass.values())
    return sum(n * p for n, p in mass.items()) / total if total > 0 else None


def _numbers(table: Mapping[str, float]) -> dict[int, float]:
    """Probabilities of the whole numbers among tokens; with and without a blank they are one."""
    found: dict[int, float] = {}
    for token, value in table.items():
        if (text := token.strip(MARKS)).isdecimal():
            found[int(text)] = found.get(int(text), 0.0) + math.exp(value)
    return found


def _denied(text: str, start: int) -> bool:
    """Whether a negation stands before `start` in the same clause."""
    clause = re.split(r"[.;:!?,\n]", text[max(0, start - 80) : start])[-1]
    return bool(re.search(r"\b(?:not|never|no|without|cannot|hardly)\b|n['’]t\b", clause, re.IGNORECASE))


@lru_cache(maxsize=32)
def _grade_forms(high: str) -> tuple[re.Pattern[str], ...]:
    of = rf"(?:\s*(?:/|out\s+of)\s*{re.escape(high)}(?![\d.]*\d))"
    value = r"(?<![\d.,/-])(\d{1,3}(?:\.\d+)?)(?![\d%]|[.,]\d)"
    more = r"\s*(?:/|out\s+of|[-–,;]|to\b|or\b|and\b)\s*\d"
    word = r"(?:grade|rating|score|mark|points?|verdict)"
    who = rf"(?:(?:the|this|my|its)\s+)?(?:\w+\s+)?(?:answer|response|it|i|{word})(?:\s+(?:would|should))?"
    gets = r"(?:is|gets?|gives?(?:\s+(?:it|this))?|deserves?|earns?|rates?(?:\s+(?:it|this))?)"
    flags = re.IGNORECASE | re.MULTILINE
    return (
        re.compile(rf"\[\[\s*{value}{of}?\s*\]\]", flags),
        re.compile(rf"\A[^\w-]*{value}{of}?[^\w/]*\Z"),
        re.compile(rf"\A\W*{who}\W+{gets}\W+(?:(?:an?|the)\W+)?(?:{word}\W+(?:of\W+)?)?{value}{of}?[^\w/]*\Z", flags),
        re.compile(
            rf"\b{word}\W{{0,4}}(?:\s*(?:is|was|of|would be|:|=|-|–)\s*)\W{{0,4}}{value}(?:{of}|(?!{more}))", flags
        ),
        re.compile(rf"{value}{of}", flags),
        re.compile(rf"^\W{{0,4}}{value}[^\w/.]{{0,3}}$", flags),
    )
