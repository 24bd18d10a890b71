"""Sides of a split, the gap's interval, overlap with a training file, and the reading of any dataset's rows."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.records import Completion, Sample, Score, missing, user
from evalsuite.scoring.splits import by_composition, by_length, by_topic, gap, gap_metrics, placed, prompt_text, side_of
from evalsuite.scoring.splits_rows import gold_of, grade, listed, near_miss_of, prompt_of, question, read_row
from evalsuite.scoring.training_overlap import by_overlap, lines_of, overlap
from evalsuite.statistics import Interval, mean_interval


def sample(name: str, text: str = "x", **metadata: object) -> Sample:
    return Sample(name, (user(text),), metadata=metadata)


def test_length() -> None:
    samples = [sample(str(n), " ".join(["w"] * n)) for n in (244, 245, 246)]
    assert by_length(samples, at=245) == {"244": "in", "245": "in", "246": "out"}
    assert by_length(samples) == {"244": "in", "245": "in", "246": "out"}
    assert by_length([]) == {}
    parts = Sample("p", (user("a"), {"role": "user", "content": [{"type": "text", "text": "b c"}]}))
    assert prompt_text(parts) == "a\nb c"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_the_median_puts_at_least_half_in(lengths: list[int]) -> None:
    sides = by_length([sample(str(i), " ".join(["w"] * n)) for i, n in enumerate(lengths)])
    inside = [n for i, n in enumerate(lengths) if sides[str(i)] == "in"]
    outside = [n for i, n in enumerate(lengths) if sides[str(i)] == "out"]
    assert len(inside) >= len(lengths) / 2
    assert not outside or max(inside) < min(outside)


def test_topic() -> None:
    samples = [sample("1", topic="b"), sample("2", topic="a"), sample("3", topic="b"), sample("4")]
    assert by_topic(samples) == {"1": "in", "2": "out", "3": "in"}
    assert by_topic(samples, inside={"a"}) == {"1": "out", "2": "in", "3": "out"}
    assert by_topic(samples[:2]) == {"1": "out", "2": "in"}  # of equals the first by name
    assert by_topic(samples[3:]) == {}


def test_composition() -> None:
    samples = [sample("1", parts=["a"]), sample("2", parts=["a", "b"]), sample("3"), sample("4", parts=["c"])]
    assert by_composition(samples) == {"1": "in", "2": "out", "4": "in"}
    assert by_composition(samples, seen=[["a"], ["b"]]) == {"1": "in", "2": "out"}  # c was never seen
    assert by_composition(samples, seen=[["b", "a"]]) == {"1": "out", "2": "in"}
    assert [side_of(s) for s in placed(samples, by_composition(samples))] == ["in", "out", "in"]


def test_gap_by_newcombes_published_example() -> None:
    """Newcombe (1998), table II: 56/70 against 48/80, method 10: 0.2 [0.0524, 0.3339]."""
    found = gap(mean_interval([1] * 56 + [0] * 14), mean_interval([1] * 48 + [0] * 32))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert (found.n, found.method) == (70, "newcombe")


def test_gap_stays_open_where_a_side_is_all_right() -> None:
    found = gap(mean_interval([1] * 20), mean_interval([1] * 20))
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.1


def test_gap_of_means_is_near_welchs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 60), rng.normal(0, 2, 90)
    found = gap(mean_interval(a), mean_interval(b))
    error = (a.var(ddof=1) / 60 + b.var(ddof=1) / 90) ** 0.5
    assert found.high - found.value == pytest.approx(2 * error, rel=0.02)


def test_a_gap_without_a_side_is_missing() -> None:
    nothing, some = Interval(None, None, None, 0, "none"), mean_interval([1, 0, 1])
    assert gap(nothing, some).value is None
    assert gap(some, nothing).value is None
    one = gap(mean_interval([0.5]), some)
    assert one.value == pytest.approx(0.5 - 2 / 3)
    assert one.low is None


def test_gap_metrics() -> None:
    rows = [(sample(f"i{i}", side="in"), {"acc": Score(1.0), "len": Score(3.0 + i)}) for i in range(4)]
    rows += [(sample(f"o{i}", side="out"), {"acc": Score(float(i < 1)), "len": Score(1.0 + i)}) for i in range(4)]
    rows += [(sample("gone", side="out"), {"acc": missing("empty"), "len": missing("empty")})]
    rows += [(sample("aside"), {"acc": Score(0.0), "len": Score(99.0)})]
    found = {m.name: m for m in gap_metrics(rows, Setup("t", Path()), {"len": "words"})}
    assert list(found) == ["acc_in", "acc_out", "acc_gap", "len_in", "len_out", "len_gap"]
    assert (found["acc_in"].value, found["acc_out"].value, found["acc_gap"].value) == (1.0, 0.25, 0.75)
    assert found["acc_gap"].low < 0.75 < found["acc_gap"].high <= 1
    assert (found["acc_out"].missing, found["acc_gap"].missing, found["acc_in"].missing) == (1, 1, 0)
    assert (found["len_gap"].value, found["len_gap"].unit) == (2.0, "words")


words = st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=30)


@given(words, words, st.integers(2, 6))
def test_overlap_by_its_definition(text: list[str], training: list[str], n: int) -> None:
    def grams(read: list[str], size: int) -> set[tuple[str, ...]]:
        return {tuple(read[i : i + size]) for i in range(len(read) - size + 1)}

    (found,) = overlap([" ".join(text)], [" ".join(training)], n=n, shortest=2)
    size = min(n, len(text))
    if len(text) < 2:
        assert found is None
    else:
        assert found == pytest.approx(len(grams(text, size) & grams(training, size)) / len(grams(text, size)))


def test_overlap_identities() -> None:
    rng = random.Random(0)
    text = " ".join(rng.choices([f"w{i}" for i in range(100)], k=40))
    assert overlap([text], [f"Before. {text.upper()}! After."]) == [1.0]
    assert overlap([text], [" ".join(reversed(text.split()))]) == [0.0]
    assert overlap([text, "too short"], []) == [0.0, None]
    halves = text.split()
    (part,) = overlap([text], [" ".join(halves[:20]), " ".join(halves[20:])])
    assert part == pytest.approx(16 / 28)  # 8 of each half's 13-grams; 12 cross the break
    assert by_overlap({"a": 0.0, "b": 0.1, "c": None}) == {"a": "out", "b": "in"}
    assert by_overlap({"b": 0.1, "d": 0.9}, above=0.5) == {"b": "out", "d": "in"}


def test_training_files(tmp_path: Path) -> None:
    text = " ".join(f"word{i}" for i in range(16))
    turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": text}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 1, "messages": turns}) + "\n")
    lines = text.replace("word5 ", "word5\n").replace("word9 ", "word9\n")
    with gzip.open(tmp_path / "b.txt.gz", "wb") as file:
        file.write(lines.encode())
    for name in ("a.jsonl", "b.txt.gz"):
        assert overlap([text], lines_of(tmp_path / name)) == [1.0], name


@pytest.mark.parametrize(
    ("row", "target"),
    [
        ({"question": "q", "answer": "Ada"}, {"answers": ["Ada"]}),
        ({"problem": "q", "answers": ["Ada", "Lovelace"]}, {"answers": ["Ada", "Lovelace"]}),
        ({"prompt": "q", "choices": ["a", "b"], "answer": 1}, {"choices": ["a", "b"], "right": 1}),
        ({"prompt": "q", "choices": "['a', 'b']", "answer": "A"}, {"choices": ["a", "b"], "right": 0}),
        ({"prompt": "q", "choices": ["one", "two"], "answer": "two"}, {"choices": ["one", "two"], "right": 1}),
        ({"prompt": "q", "choices": ["A", "B"], "answer": "1"}, {"choices": ["A", "B"], "right": 1}),
    ],
)
def test_rows(row: dict[str, object], target: dict[str, object]) -> None:
    made = read_row({**row, "category": "people", "tags": ["b", "a"]}, 3, Path("f.jsonl"))
    assert (made.id, made.target) == ("00003", target)
    assert made.metadata == {"topic": "people", "parts": ["a", "b"]}
    assert grade(made, Completion(text=gold_of(made))).value == 1
    assert grade(made, Completion(text=near_miss_of(made))).value == 0
    assert grade(made, Completion(text=" ")).reason == "empty"


def test_rows_of_constraints() -> None:
    kinds, kwargs = ["punctuation:no_comma", "keywords:existence"], [{}, {"keywords": ["fox"]}]
    made = read_row({"key": 7, "prompt": "q", "instruction_id_list": str(kinds), "kwargs": str(kwargs)}, 1, Path("f"))
    assert (made.id, made.metadata["parts"]) == ("7", sorted(kinds))
    assert grade(made, Completion(text="a fox, a hen")).value == 0.5
    assert grade(made, Completion(text=gold_of(made))).value == 1


def test_prompts() -> None:
    assert prompt_of({"instruction": "Do.", "input": "This."}, "f") == (user("Do.\n\nThis."),)
    assert prompt_of({"turns": ["first", "second"]}, "f") == (user("first"),)
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    assert prompt_of({"messages": chat}, "f") == (user("hi"),)
    shown = question(read_row({"question": "Which?", "choices": ["x", "y"], "answer": 0}, 1, Path("f")))
    assert shown[-1]["content"].startswith("Which?\n\nA) x\nB) y\n")
    assert listed("plain text") == ["plain text"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1}, "has no prompt"),
        ({"prompt": "q"}, "has no truth"),
        ({"prompt": "q", "choices": ["a", "b"], "answer": "Z"}, "none of its 2 choices"),
        ({"prompt": "q", "choices": ["a", "b"]}, "none of its 2 choices"),
        ({"prompt": "q", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}, {}]}, "one for each"),
    ],
)
def test_rows_that_cannot_be_read_are_named(row: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_row(row, 5, Path("f.jsonl"))
    assert "f.jsonl: row 5" in str(raised.value)
    assert "\n" not in str(raised.value)
