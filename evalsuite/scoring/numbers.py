"""English number words to digits, token by token: ["twenty", "one"] → ["21"], ["8", "million"] → ["8000000"].

spell_out(["nineteen", "eighty", "nine"])   # ["1989"]: a year read in pairs
spell_out(["two", "three"])                 # ["2", "3"]: two numbers
"""

from collections.abc import Iterator, Sequence

_UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    w: 10 * i
    for i, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def spell_out(tokens: Sequence[str]) -> list[str]:
    """Tokens with every run of number words replaced by its digits; all other tokens as they are."""
    out: list[str] = []
    start = 0
    while start < len(tokens):
        value, end = _number(tokens, start)
        if value is None:
            out.append(tokens[start])
            start += 1
        else:
            out.append(str(value))
            start = end
    return out


def _number(tokens: Sequence[str], start: int) -> tuple[int | None, int]:
    """The number that begins at `start` and the index after it; (None, start) where none does."""
    total, current, at = 0, *_below_hundred(tokens, start)
    if current is None and tokens[start].isdecimal() and tokens[start].isascii():
        if start + 1 == len(tokens) or tokens[start + 1] not in _SCALES:
            return None, start
        current, at = int(tokens[start]), start + 1
    if current is None:
        return None, start
    if 10 < current < 100 and at < len(tokens) and (pair := _below_hundred(tokens, at))[0] is not None:
        second, after = pair
        if second is not None and 10 <= second < 100:
            return current * 100 + second, after
    while at < len(tokens):
        word = tokens[at]
        if word == "hundred" and current < 100:
            current, at = current * 100, at + 1
        elif word in _SCALES and current:
            total, current, at = total + current * _SCALES[word], 0, at + 1
        elif current == 0 or current % 100 == 0:
            added, after = _below_hundred(tokens, at + (word == "and"))
            if added is None or (current == 0 and not total):
                break
            current, at = current + added, after
        else:
            break
    return total + current, at


def _below_hundred(tokens: Sequence[str], at: int) -> tuple[int | None, int]:
    words = list(_first(tokens, at, 2))
    if words and words[0] in _UNITS:
        return _UNITS[words[0]], at + 1
    if words and words[0] in _TENS:
        if len(words) > 1 and 0 < _UNITS.get(words[1], 0) < 10:
            return _TENS[words[0]] + _UNITS[words[1]], at + 2
        return _TENS[words[0]], at + 1
    return None, at


def _first(tokens: Sequence[str], at: int, count: int) -> Iterator[str]:
    yield from tokens[at : at + count]
