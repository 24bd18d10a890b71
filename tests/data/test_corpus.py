"""The corpus: passages by BM25, of one page or of all; queries as bags of words; recorded searches; honest errors."""

import itertools
import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.data import Setup
from evalsuite.data.corpus import (
    PASSAGE_WORDS,
    SEPARATOR,
    Corpus,
    Passage,
    _fill,
    build,
    knowledge_of,
    open_knowledge,
    split_passages,
)
from evalsuite.errors import InputError

ROWS = [
    {"title": "Ivy Hale", "text": "Ivy Hale kept bees in Ashford.\nShe wrote four books."},
    {"title": "Otto Brandt", "text": "Otto Brandt built bridges. One bridge fell in 1931."},
    {"title": "Ávila", "text": "A town with walls."},
]


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(params=["rows", "database"])
def corpus(request, tmp_path: Path) -> Corpus:
    if request.param == "rows":
        return open_knowledge(lines(tmp_path / "corpus.jsonl", ROWS))
    build(ROWS, tmp_path / "corpus.db")
    return open_knowledge(tmp_path / "corpus.db")


def test_search_in_all_documents(corpus: Corpus) -> None:
    assert [p.title for p in corpus.search("who kept bees?", 3)] == ["Ivy Hale"]
    assert [p.title for p in corpus.search("AVILA walls", 1)] == ["Ávila"]  # accents and case do not matter
    assert corpus.search("xyzzy", 3) == corpus.search("", 3) == corpus.search("?!", 3) == ()
    assert corpus.search("bees", 0) == ()


def test_search_in_one_page_is_filled_up_from_it(corpus: Corpus) -> None:
    assert [p.title for p in corpus.search("bees", 5, title="Otto Brandt")] == ["Otto Brandt"]
    assert corpus.search("bees", 5, title="Nobody") == ()
    assert corpus.has("Ivy Hale")
    assert not corpus.has("ivy hale")


@pytest.mark.parametrize("query", ['"', "a OR", "NEAR(bees", "title:Ivy", "bees*", "-bees", "'; DROP TABLE documents"])
def test_nothing_in_a_query_is_an_operator(corpus: Corpus, query: str) -> None:
    corpus.search(query, 3)
    assert corpus.has("Ivy Hale")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_knowledge(lines(tmp_path_factory.mktemp("corpus") / "corpus.jsonl", ROWS))


@settings(max_examples=40)
@given(query=st.text(max_size=60))
def test_any_query_is_answered(shared: Corpus, query: str) -> None:
    for title in (None, "Ivy Hale"):
        assert len(shared.search(query, 2, title=title)) <= 2


WORDS = st.lists(st.sampled_from(["rain", "wind", "snow", "hail", "fog", "sun"]), min_size=1, max_size=12)


@settings(max_examples=60)
@given(st.lists(WORDS, min_size=2, max_size=8), st.lists(st.sampled_from(["rain", "wind"]), min_size=1, max_size=2))
def test_ranks_are_bm25(documents: list[list[str]], query: list[str]) -> None:
    """Against the formula: Σ idf · f (k1 + 1) / (f + k1 (1 - b + b · length / mean length)), idf at least 1e-6."""
    texts = [f"{' '.join(words)} x{i}" for i, words in enumerate(documents)]
    connection = sqlite3.connect(":memory:")
    _fill(connection, [{"title": "", "text": text} for text in texts], Path("x"))
    mean = sum(len(text.split()) for text in texts) / len(texts)

    def relevance(text: str) -> float:
        total, words = 0.0, text.split()
        for word in set(query):
            holding = sum(word in other.split() for other in texts)
            idf = max(1e-6, math.log((len(texts) - holding + 0.5) / (holding + 0.5)))
            often = words.count(word)
            total += idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * len(words) / mean))
        return total

    found = [p.text for p in Corpus(connection, {}).search(" ".join(query), len(texts))]
    assert set(found) == {text for text in texts if set(query) & set(text.split())}
    values = [relevance(text) for text in found]
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(values))


def test_the_best_passage_of_a_page_comes_first(tmp_path: Path) -> None:
    pieces = [f"Chapter {i} speaks of {word}. " + "filler " * 150 for i, word in enumerate(("rain", "wind", "snow"))]
    page = [{"title": "Weather", "text": "\n".join(pieces)}]
    found = open_knowledge(lines(tmp_path / "corpus.jsonl", page)).search("wind", 2, title="Weather")
    assert found is not None
    assert "wind" in found[0].text
    assert len(found) == 2


@given(st.lists(st.text("ab .\n", max_size=400), max_size=4))
def test_passages_keep_every_word_in_order(parts: list[str]) -> None:
    text = SEPARATOR.join(parts)
    pieces = split_passages(text)
    assert [w for piece in pieces for w in piece.split()] == [w for part in parts for w in part.split()]
    assert all(0 < len(piece.split()) <= PASSAGE_WORDS for piece in pieces)


def test_a_sentence_longer_than_a_passage_is_cut() -> None:
    assert [len(p.split()) for p in split_passages("word " * (2 * PASSAGE_WORDS + 5))] == [PASSAGE_WORDS] * 2 + [5]


def test_factscores_own_database(tmp_path: Path) -> None:
    """A table of titles and texts without an index: pages are found, the whole cannot be searched."""
    path = tmp_path / "enwiki-20230401.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE documents (title PRIMARY KEY, text)")
    text = f"<s>Ivy Hale kept bees.</s><s>In Ashford.</s>{SEPARATOR}<s>She died in 1990.</s>"
    connection.execute("INSERT INTO documents VALUES ('Ivy Hale', ?)", (text,))
    connection.commit()
    connection.close()
    corpus = open_knowledge(path)
    found = corpus.search("When did she die, in 1990?", 5, title="Ivy Hale")
    assert found == (Passage("Ivy Hale", "She died in 1990."), Passage("Ivy Hale", "Ivy Hale kept bees. In Ashford."))
    with pytest.raises(InputError, match="without a title"):
        corpus.search("bees", 1)


def test_recorded_searches(tmp_path: Path) -> None:
    rows = [{"query": "Ivy  Hale bees", "results": [{"title": "A", "snippet": "one"}, "two", {"text": "three"}]}]
    recorded = open_knowledge(lines(tmp_path / "searches.jsonl", rows))
    assert recorded.search("ivy hale BEES", 2) == (Passage("A", "one"), Passage("", "two"))
    assert recorded.search("another", 2) is None  # nobody knows what would have been found
    with pytest.raises(InputError, match=r"row 2.*'query' and a list 'results'"):
        open_knowledge(lines(tmp_path / "bad.jsonl", [rows[0], {"query": "x"}]))


def test_where_the_knowledge_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lines(tmp_path / "rows.jsonl", [{"topic": "Ivy Hale"}])
    setup = Setup("some_task", tmp_path, data=str(data))
    monkeypatch.delenv("EVALSUITE_CORPUS", raising=False)
    with pytest.raises(InputError, match="EVALSUITE_CORPUS"):
        knowledge_of(setup, "rows.jsonl")
    lines(tmp_path / "corpus.jsonl", ROWS)
    beside = knowledge_of(setup, "rows.jsonl")
    assert beside.about["knowledge"] == "corpus.jsonl"
    other = lines(tmp_path / "other.jsonl", ROWS[:1])
    monkeypatch.setenv("EVALSUITE_CORPUS", str(other))
    given_ = knowledge_of(setup, "rows.jsonl")
    assert given_.about["knowledge"] == "other.jsonl"
    assert given_.about["sha256"] != beside.about["sha256"]
    monkeypatch.setenv("EVALSUITE_CORPUS", str(tmp_path / "absent.db"))
    with pytest.raises(InputError, match=r"absent\.db: no such file"):
        knowledge_of(setup, "rows.jsonl")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: lines(p / "corpus.jsonl", [*ROWS, {"title": "x"}]), "row 4.*'title' and 'text'"),
        (
            lambda p: _write(p / "corpus.db", b"no database, only text that is long enough to look like a page"),
            "SQLite",
        ),
        (lambda p: _empty_database(p / "corpus.db"), "has no table 'documents'"),
        (lambda p: p / "absent.db", "no such file"),
    ],
    ids=["row", "not sqlite", "other tables", "absent"],
)
def test_honest_errors(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_knowledge(make(tmp_path))


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _empty_database(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    return path


def test_a_corpus_is_never_written_over(tmp_path: Path) -> None:
    build(ROWS, tmp_path / "corpus.db")
    with pytest.raises(InputError, match="is there already"):
        build(ROWS, tmp_path / "corpus.db")
    with pytest.raises(InputError, match="row 1"):
        build([{"title": "x"}], tmp_path / "other.db")
    assert not (tmp_path / "other.db").exists()
