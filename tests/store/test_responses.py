"""The response cache: exact round trips, whole groups, nothing failed is kept."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import StoreError
from evalsuite.records import Completion
from evalsuite.store import Place, Responses
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


def schema_1(store: Path) -> None:
    """A store as the first schema wrote it."""
    store.mkdir(exist_ok=True)
    db = sqlite3.connect(store / "responses.sqlite", isolation_level=None)
    db.execute(
        "CREATE TABLE responses(fingerprint TEXT PRIMARY KEY, model TEXT NOT NULL, completion TEXT NOT NULL, "
        "created REAL NOT NULL) WITHOUT ROWID"
    )
    db.execute("INSERT INTO responses VALUES ('a', 'm', '{\"text\":\"kept\",\"tokens\":3}', 1.0)")
    db.execute("PRAGMA user_version=1")
    db.close()


def test_a_store_of_the_first_schema_keeps_its_answers(tmp_path: Path) -> None:
    schema_1(tmp_path)
    store = Responses(tmp_path)
    assert store.get(["a"]) == {"a": Completion("kept", tokens=3)}
    store.put("m", {"b": Completion("new")}, PLACE, {"batch_tokens": 64})
    store.close()
    again = Responses(tmp_path)
    assert set(again.get(["a", "b"])) == {"a", "b"}
    assert again.limits(PLACE) == {"batch_tokens": 64}


PLACE = Place("model", "hf", "here")


def test_limits_belong_to_a_model_on_a_machine_and_the_last_one_counts(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    store.put("m", {"a": Completion("1")}, PLACE, {"batch_tokens": 1024})
    store.put("m", {"b": Completion("2")}, PLACE, {"batch_tokens": 512, "rows": 8})
    assert store.limits(PLACE) == {"batch_tokens": 512, "rows": 8}
    assert store.limits(replace(PLACE, machine="there")) == {}
    assert store.limits(replace(PLACE, model="other")) == {}


def test_a_group_that_cannot_be_written_teaches_nothing(tmp_path: Path) -> None:
    """Limits and answers are one transaction: a resumed run batches as the one that was broken off."""
    store = Responses(tmp_path)
    with pytest.raises(StoreError, match="cannot be written"):
        store.put("m", {"a": Completion("1")}, PLACE, {"batch_tokens": object()})  # type: ignore[dict-item]
    assert store.get(["a"]) == {}
    assert store.limits(PLACE) == {}


def test_what_another_process_stored_first_is_what_put_returns(tmp_path: Path) -> None:
    one, two = Responses(tmp_path), Responses(tmp_path)
    one.put("m", {"a": Completion("first")})
    failed = Completion(error="no", finish_reason="error")
    kept = two.put("m", {"a": Completion("second"), "b": Completion("mine"), "c": failed})
    assert kept == {"a": Completion("first"), "b": Completion("mine"), "c": failed}


def test_embeddings_survive_exactly() -> None:
    completion = Completion(embedding=((0.1, 2.0), (3.0, 4.5)))
    assert decode(encode(completion)) == completion


def test_prune_by_age_and_by_size_takes_the_oldest(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    for age in range(5):
        store.put("m", {f"{age}": Completion("x" * 1000)})
        store._db.execute("UPDATE responses SET created = created - ? WHERE fingerprint = ?", (86400 * age, f"{age}"))
    assert store.prune(older_than_days=3.5) == 1
    assert set(store.get("01234")) == set("0123")
    assert store.prune(max_bytes=2500) == 2
    assert set(store.get("01234")) == set("01")
    assert store.prune() == 2


def test_speeds_are_kept_the_newest_first(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    for run in range(25):
        store.add_speed(PLACE, 100, run, 1.0)
    assert store.speeds(PLACE, last=2) == [(100.0, 24.0, 1.0), (100.0, 23.0, 1.0)]
    assert store.speeds(replace(PLACE, backend="vllm")) == []


def test_threads_share_a_store(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = Responses(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.put("m", {f"{i:04d}": Completion(str(i))}), range(200)))
    assert store.size()["m"] == 200
