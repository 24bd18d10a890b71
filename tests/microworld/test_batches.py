"""Batches lose nothing, fit their budget, and stay the same for the same seed."""

import random

from hypothesis import given
from hypothesis import strategies as st

from evalsuite.microworld.batches import Example, cut, pad, pair_batches, token_batches

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 5))
def test_cut_keeps_every_example_within_the_budget(lengths: list[int], budget: int, seed: int) -> None:
    examples = [Example([i] * n, [True] * n) for i, n in enumerate(lengths)]
    batches = cut(examples, random.Random(seed), budget)
    assert sorted(e.ids[0] for b in batches for e in b) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(e.ids) for e in batch) <= budget
    assert batches == cut(examples, random.Random(seed), budget)


def test_padding_is_on_the_right() -> None:
    assert pad([[1, 2, 3], [4]], 0).tolist() == [[1, 2, 3], [4, 0, 0]]


def test_token_batches_mask_padding() -> None:
    rows = [Example([1, 2, 3], [False, True, True]), Example([1, 5], [False, True])]
    batch = next(token_batches(lambda n: rows, random.Random(0), batch_tokens=100, pool=2, pad_id=9))
    assert batch.ids.tolist() == [[1, 5, 9], [1, 2, 3]]
    assert batch.mask.tolist() == [[False, True, False], [False, True, True]]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=30), st.integers(1, 8))
def test_pair_batches_keep_pairs_together(lengths: list[tuple[int, int]], size: int) -> None:
    pairs = [([100 + i] * a, [200 + i] * b) for i, (a, b) in enumerate(lengths)]
    seen = []
    for batch in pair_batches(pairs, random.Random(0), size=size, pad_id=0):
        half = len(batch.ids) // 2
        assert half <= size
        for chosen, rejected in zip(batch.ids[:half].tolist(), batch.ids[half:].tolist(), strict=True):
            assert rejected[0] - chosen[0] == 100
            seen.append(chosen[0] - 100)
        assert batch.mask.sum().item() == (batch.ids != 0).sum().item()
    assert sorted(seen) == list(range(len(pairs)))
