"""Splits that leak nothing, and leaks, duplicates and contradictions that are found where they were planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.duplicates import components, duplicates, keys, leaks, unique
from evalsuite.preferences.loading import flipped
from evalsuite.preferences.splits import folds, split
from evalsuite.preferences.table import gather
from evalsuite.records import assistant, user


def pair(number: int, prompt: str, conversation: str = "", label: float = 1.0, **more) -> Pair:
    return Pair(str(number), (user(prompt),), f"yes {number}", f"no {number}", label, conversation=conversation, **more)


DRAWN = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=12, max_size=80)


@given(DRAWN, st.integers(0, 5))
@settings(max_examples=60)
def test_no_prompt_and_no_conversation_stands_on_both_sides(drawn: list[tuple[int, int]], seed: int) -> None:
    pairs = gather([pair(i, f"p{p}", f"c{c}" if c % 3 == 0 else "") for i, (p, c) in enumerate(drawn)])
    try:
        train, held = split(pairs, 0.3, seed)
    except InputError:
        assert np.bincount(components(keys(pairs))).max() > 0.3 * len(pairs)
        return
    assert sorted([*train, *held]) == list(range(len(pairs)))
    assert len(held) <= 0.3 * len(pairs)
    for name in ("prompt", "conversation"):
        sides = [set(pairs.take(rows).column(name)) - {""} for rows in (train, held)]
        assert not sides[0] & sides[1]


@given(DRAWN, st.randoms())
@settings(max_examples=30)
def test_neither_order_nor_label_moves_a_row(drawn: list[tuple[int, int]], random) -> None:
    rows = [pair(i, f"p{p}") for i, (p, _) in enumerate(drawn)]
    if len({p for p, _ in drawn}) < 4:
        return
    mixed = [flipped(r) for r in rows]
    random.shuffle(mixed)
    sides = [
        {p.id: int(f) for p, f in zip(some, folds(gather(some), 3, seed=1), strict=True)} for some in (rows, mixed)
    ]
    assert sides[0] == sides[1]


def test_splits_have_the_share_that_was_asked_and_hang_on_the_seed() -> None:
    pairs = gather([pair(i, f"p{i}") for i in range(1000)])
    first, again, other = split(pairs, 0.2, 0), split(pairs, 0.2, 0), split(pairs, 0.2, 1)
    assert len(first.held_out) == 200
    assert first.held_out.tolist() == again.held_out.tolist() != other.held_out.tolist()
    assert np.bincount(folds(pairs, 5)).tolist() == [200] * 5


def test_what_cannot_be_split_is_said() -> None:
    one = gather([pair(i, "the same") for i in range(10)])
    with pytest.raises(InputError, match="10 pairs in 1 groups"):
        split(one)
    with pytest.raises(InputError, match="cannot make 5 folds"):
        folds(one, 5)
    with pytest.raises(InputError, match="between 0 and 1"):
        split(one, 1.5)


def test_leaks_run_through_prompts_conversations_and_openings() -> None:
    later = (user("hello you"), assistant("hi"), user("and now?"))
    first = (user("Hello  you"), assistant("hi"), user("something else"))
    rows = [
        pair(0, "one", "c1", split="train"),
        pair(1, "two", "c1", split="test"),  # its conversation is in train
        pair(2, "ONE ", "c2", split="test"),  # its prompt is
        pair(3, "three", "c2", split="test"),  # connected by c2
        pair(4, "four", split="test"),
        Pair("5", first, "x", "y", 1.0, split="train"),
        Pair("6", later, "x", "y", 1.0, split="validation"),  # the same opening exchange
        Pair("7", (), "same", "pair", 1.0, split="train"),
        Pair("8", (), "pair", "same", 0.0, split="test"),  # no prompt, but the same pair
    ]
    found = leaks(keys(gather(rows)))
    assert (found.n, found.rows, found.prompts, found.shared) == (6, 5, 1, 3)
    assert leaks(keys(gather(rows[:1]))).n == 0


def test_duplicates_in_either_order_but_not_other_peoples_labels() -> None:
    base = Pair("0", (user("Q"),), "x", "y", 1.0, annotator="ann")
    rows = [
        base,
        flipped(Pair("1", (user(" q"),), "x", "y", 1.0, annotator="ann")),  # the same, turned
        Pair("2", (user("Q"),), "x", "y", 0.0, annotator="ann"),  # contradicts itself
        Pair("3", (user("Q"),), "x", "y", 0.0, annotator="bob"),  # somebody else: no duplicate
        Pair("4", (user("Q"),), "x", "y", 1.0, annotator="ann", aspect="safe"),  # something else
        Pair("5", (user("Q"),), "z", "z", 1.0),
    ]
    pairs = gather(rows)
    found = duplicates(keys(pairs))
    assert (found.n, found.extra, found.contradicting, found.identical) == (6, 2, 1, 1)
    assert found.examples == ((0, 1, 2),)
    assert unique(pairs).tolist() == [0, 3, 4, 5]
