"""The response cache: exact round trips, whole groups, nothing failed is kept."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import StoreError
from evalsuite.records import Completion
from evalsuite.store import Responses
from evalsuite.store.responses import decode, encode

floats = st.floats(allow_nan=False, allow_infinity=False)


def rows_of_floats(width: int) -> st.SearchStrategy[tuple[tuple[float, ...], ...]]:
    """Rows of an embedding, of a network's precision or of Python's."""
    values = st.floats(width=32, allow_nan=False) | floats
    return st.lists(st.tuples(*[values] * width), max_size=3).map(tuple)


@given(
    st.builds(
        Completion,
        text=st.text(),
        tokens=st.integers(0, 10**6),
        logprobs=st.lists(floats).map(tuple),
        greedy=st.sampled_from([None, True, False]),
        rewards=st.dictionaries(st.text(max_size=5), floats, max_size=3),
        top_logprobs=st.lists(st.dictionaries(st.text(max_size=3), floats, max_size=3), max_size=2).map(tuple),
        reasoning=st.none() | st.text(),
        embedding=st.integers(1, 4).flatmap(rows_of_floats),
    )
)
def test_completions_survive_exactly(completion: Completion) -> None:
    assert decode(encode(completion)) == completion


def test_an_embedding_takes_little_room() -> None:
    import struct

    row = struct.unpack("<384f", struct.pack("<384f", *(1 / (i + 3) for i in range(384))))
    assert len(encode(Completion(embedding=(row,)))) < 384 * 4 * 4 / 3 + 60


def test_a_group_is_stored_and_failed_answers_are_not(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    store.put("m", {"a": Completion("yes"), "b": Completion(error="timeout", finish_reason="error")})
    assert store.get(["a", "b", "c"]) == {"a": Completion("yes")}
    assert store.size()["m"] == 1


def test_two_writers_share_a_store(tmp_path: Path) -> None:
    one, two = Responses(tmp_path), Responses(tmp_path)
    one.put("m", {"a": Completion("1")})
    two.put("m", {"b": Completion("2")})
    assert set(one.get(["a", "b"])) == {"a", "b"}


def test_prune_by_model(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    store.put("m", {"a": Completion("1")})
    store.put("n", {"b": Completion("2")})
    assert store.prune("m") == 1
    assert set(store.get(["a", "b"])) == {"b"}


def test_many_fingerprints_at_once(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    rows = {f"{i:05d}": Completion(str(i)) for i in range(2345)}
    store.put("m", rows)
    assert store.get(rows) == rows


def test_another_schema_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "responses.sqlite")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="schema 99"):
        Responses(tmp_path)


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "responses.sqlite").write_text("not a database, certainly not one of ours" * 10)
    with pytest.raises(StoreError, match="cannot be opened"):
        Responses(tmp_path)


def test_an_answer_that_is_stored_stays(tmp_path: Path) -> None:
    """Two processes answer the same unit: the first answer is everybody's, so repeated figures are the same."""
    store = Responses(tmp_path)
    store.put("m", {"a": Completion("first")})
    store.put("m", {"a": Completion("second")})
    assert store.get(["a"]) == {"a": Completion("first")}


def test_a_journal_that_breaks_later_is_one_clear_line(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    store.put("m", {f"{i:05d}": Completion("x" * 500) for i in range(500)})
    store.close()
    with (tmp_path / "responses.sqlite").open("r+b") as file:
        file.seek(8192)
        file.write(b"\x07" * 150_000)
    broken = Responses(tmp_path)
    with pytest.raises(StoreError, match="cannot be read"):
        broken.get([f"{i:05d}" for i in range(500)])
