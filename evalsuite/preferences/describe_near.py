"""Near copies by shingles: three words in a row, compared by Jaccard's coefficient; candidates found by MinHash.

`near_copies(texts)` finds pairs of texts whose shingle sets overlap by at least `NEAR`: 16 bands of 4 hashes (Broder
1997; Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, 3.4) propose, the exact coefficient decides. A pair at
0.8 is missed with probability (1 - 0.8^4)^16 = 0.02%.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.describe_figures import Section, count, share
from evalsuite.preferences.duplicates import Keys, key_of, plain
from evalsuite.preferences.table import prompt_of

NEAR = 0.8
BANDS, WIDTH = 16, 4
WORDS = 3
TOGETHER = 50
"""Members of a bucket that are compared with their neighbours only: a template with thousands of copies."""


def shingles(text: str) -> frozenset[str]:
    """Runs of three words; a shorter text is one shingle."""
    words = plain(text).split()
    if len(words) <= WORDS:
        return frozenset([" ".join(words)]) if words else frozenset()
    return frozenset(" ".join(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared among all shingles; 1 for two empty texts."""
    return len(a & b) / len(a | b) if a or b else 1.0


def near_copies(texts: Sequence[str], least: float = NEAR) -> list[tuple[int, int]]:
    """Places (i < j) of texts that are near copies of each other, equal texts among them."""
    import numpy as np

    rng = np.random.default_rng(20)
    mix = rng.integers(1, 1 << 32, size=(2, BANDS * WIDTH), dtype=np.uint64)
    sets = [shingles(text) for text in texts]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for place, known in enumerate(sets):
        if not known:
            continue
        codes = np.array([_hash(s) for s in known], dtype=np.uint64)
        lowest = (codes[:, None] * (2 * mix[0] + 1) + mix[1]) >> np.uint64(16)
        signature = lowest.min(axis=0).reshape(BANDS, WIDTH)
        for band in range(BANDS):
            buckets[band, signature[band].tobytes()].append(place)
    found: set[tuple[int, int]] = set()
    for members in buckets.values():
        if len(members) > TOGETHER:
            candidates = list(pairwise(members))
        else:
            candidates = [(i, j) for at, i in enumerate(members) for j in members[at + 1 :]]
        found |= {(i, j) for i, j in candidates if (i, j) not in found and jaccard(sets[i], sets[j]) >= least}
    return sorted(found)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def near_section(sample: Pairs) -> Section:
    """Near copies in a sample: two answers that hardly differ, and prompts that differ in a few words."""
    answers = [jaccard(shingles(p.a), shingles(p.b)) >= NEAR for p in sample]
    prompts: dict[int, str] = {}
    for pair in sample:
        if pair.messages:
            prompts.setdefault(key_of(pair)[0], prompt_of(pair.messages))
    texts = list(prompts.values())
    copied = {place for both in near_copies(texts) for place in both}
    figures = (
        share("pairs whose answers are near copies", answers),
        count("distinct prompts with a near copy", len(copied), len(texts), "no prompts"),
    )
    return Section("near copies", figures, "three-word shingles that overlap by 80% or more, in a sample")


def exact_section(found: Keys, extra: int, contradicting: int, identical: int) -> Section:
    """Rows that stand twice, as counted by duplicates.py."""
    n = len(found)
    figures = (
        count("rows that repeat an earlier pair", extra, n),
        count("rows with two identical answers", identical, n),
        count("pairs labelled both ways by one annotator", contradicting, n - extra),
    )
    return Section("duplicates", figures, "prompt and both answers equal, in either order, by the same annotator")
