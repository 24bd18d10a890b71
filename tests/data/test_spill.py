"""A list that moves to a file reads as a list."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data import ListHash, Spill, canonical, fingerprint

values = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda v: st.lists(v, max_size=3), max_leaves=5)


@given(st.lists(values, max_size=12), st.integers(0, 12))
def test_a_spill_is_a_list(items: list[object], keep: int) -> None:
    made: Spill[object] = Spill(keep=keep)
    for number, item in enumerate(items):
        made.append(item)
        assert made[number] == item  # also while the newest still wait to be written
    assert (len(made), list(made), made[1:-1], made[::-2]) == (len(items), items, items[1:-1], items[::-2])
    with pytest.raises(IndexError):
        made[len(items)]
    if items:
        assert made[-1] == items[-1]


def test_a_long_one_is_not_held() -> None:
    made: Spill[str] = Spill(keep=10)
    tracemalloc.start()
    for number in range(5000):
        made.append(f"{number:01000d}")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 2_000_000  # five megabytes of text; a buffer of one is written at a time
    assert made[4321] == f"{4321:01000d}"


@given(st.lists(values, max_size=6))
def test_a_list_is_hashed_item_by_item(items: list[object]) -> None:
    made = ListHash()
    for item in items:
        made.add(canonical(item))
    assert made.digest() == fingerprint(items)
