"""Lays out a text from what is wanted: sentences over blocks and bullets, a frame around them."""

import itertools
import json
import re
from collections.abc import Iterator

from evalsuite.scoring.ifeval.phrases import ENGLISH, LANGUAGES
from evalsuite.scoring.ifeval.wants import Wants


def compose(wants: Wants, sentences: int, words: int, variant: int = 0) -> str:
    """A text of about so many sentences and words; each variant starts at another place in the filler."""
    filler = _filler(wants, variant)
    units = _units(wants, max(1, sentences), words, filler)
    body = _body(wants, units)
    if wants.answer:
        body = f"My answer is yes.\n{body}"
    if wants.json:
        body = json.dumps({"answer": body}, ensure_ascii=False)
    parts = [wants.repeat, f"<<{next(filler)} {next(filler)}>>" if wants.title else "", body]
    if wants.postscript:
        parts.append(f"{wants.postscript} {next(filler)} {next(filler)}")
    parts.append(wants.ending)
    text = "\n".join(part for part in parts if part)
    if wants.case:
        text = wants.case(text)
    return f'"{text}"' if wants.quoted else text


def _filler(wants: Wants, variant: int) -> Iterator[str]:
    """Plain words without end, in the order of sentences; without those that an instruction rules out."""
    lines = ENGLISH if wants.language == "en" else (LANGUAGES.get(wants.language, ENGLISH[0]),)
    words = " ".join(lines).split(" ")
    fit = [word for word in words if _fits(word, wants)] or ["hm"]
    start = (variant * 31) % len(fit)
    return itertools.cycle(fit[start:] + fit[:start])


def _fits(word: str, wants: Wants) -> bool:
    if set(word.lower()) & set(wants.avoid_letters):
        return False
    return not any(re.search(pattern, word, re.IGNORECASE) for pattern in wants.avoid)


def _units(wants: Wants, sentences: int, words: int, filler: Iterator[str]) -> list[str]:
    """The texts of blocks and bullets, each of one sentence or more; where fewer sentences are wanted than there are
    units, the last ones have no full stop."""
    pieces = max(sentences, wants.units)
    length = max(1, -(-(words - len(wants.must)) // pieces))
    must = iter(wants.must)
    share = -(-len(wants.must) // pieces)
    made = []
    left = words - len(wants.must)
    for index in range(pieces):
        size = max(1, min(length, left))
        left -= size
        plain = [next(filler) for _ in range(size)]
        # Wanted words stand inside: a star at a line's start would be a bullet, a wanted word at the end an ending.
        tokens = [plain[0], *itertools.islice(must, share), *plain[1:]]
        text = " ".join(tokens)
        made.append(text[0].upper() + text[1:] + ("." if index < sentences else ""))
    each = -(-pieces // wants.units)
    full = pieces - (each - 1) * wants.units  # so many units hold one sentence more
    stream = iter(made)
    return [" ".join(itertools.islice(stream, each if i < full else each - 1)) for i in range(wants.units)]


def _body(wants: Wants, units: list[str]) -> str:
    blocks, bullets = units[: wants.blocks], [f"- {unit}" for unit in units[wants.blocks :]]
    joint = "\n"
    if wants.sections:
        mark, number = wants.sections
        blocks = [f"{mark} {i}\n{block}" if i <= number else block for i, block in enumerate(blocks, 1)]
    if wants.paragraphs:
        joint = "\n***\n"
    if wants.first_words:
        joint = "\n\n"
        nth, word = wants.first_words[1:]
        blocks[nth - 1] = f"{word[0].upper()}{word[1:]} {blocks[nth - 1]}"
    if wants.two:
        blocks.append(f"******\n{units[-1].rstrip('.')} instead")
    return "\n".join([joint.join(blocks), *bullets])
