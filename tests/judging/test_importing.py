"""Every shape of the field becomes one coding; wrong shapes and rows are told in one line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.judging import Annotation, write_annotations
from evalsuite.judging.importing import SHAPES, read_any, recognise, stem
from evalsuite.judging.importing.codings import (
    LABELS,
    of_alpaca,
    of_grade,
    of_label,
    of_number,
    of_top_logprobs,
    of_winner,
)


def written(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    text = json.dumps(list(rows)) if name.endswith(".json") else "".join(json.dumps(r) + "\n" for r in rows)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("stored", "preference"),
    [
        (1, 0.0),
        (2, 1.0),
        (0, 0.5),
        (1.5, 0.5),
        ("1.25", 0.25),
        (None, None),
        (3, None),
        (-1, None),
        (0.5, None),
        (float("nan"), None),
        ("no", None),
    ],
)
def test_alpaca_codings(stored: Any, preference: float | None) -> None:
    assert of_alpaca(stored) == preference


@pytest.mark.parametrize(
    ("stored", "preference"),
    [
        ("model_a", 1.0),
        ("model_2", 0.0),
        ("tie", 0.5),
        ("tie (bothbad)", 0.5),
        ("tie (inconsistent)", 0.5),
        ("Tie", 0.5),
        (1, 1.0),
        ("2", 0.0),
        (0, 0.5),
        ("error", None),
        ("garbage", None),
        (None, None),
        ("N", None),
    ],
)
def test_named_winners(stored: Any, preference: float | None) -> None:
    assert of_winner(stored) == preference


def test_labels_and_their_mirrors() -> None:
    assert of_label("A>>B") == (1.0, 2)
    assert of_label(" b>a ") == (0.0, 1)
    assert of_label("A<<B") == of_label("B>>A")
    assert of_label("A++") == (1.0, 2)
    for odd in ("[[A]]", "A", "", None, "A>B>A"):
        assert of_label(odd) == (None, 0)
    for label, (preference, strength) in LABELS.items():
        turned = label.translate(str.maketrans("AB", "BA"))
        assert LABELS.get(turned, (1 - preference, strength)) == (1 - preference, strength)


def test_grades_and_numbers() -> None:
    assert of_grade(-1) is None
    assert of_grade("7") == 7.0
    assert of_number(True) is None
    assert of_number(float("inf")) is None


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_two_tokens_share_their_probability(a: float, b: float) -> None:
    first = of_top_logprobs([("m", a), ("M", b), ("The", -1.0)], "m", "M")
    second = of_top_logprobs({"m": a, "M": b}, "M", "m")
    assert first is not None
    assert second is not None
    assert first + second == pytest.approx(1)


def test_a_token_that_is_missing_counts_nothing() -> None:
    assert of_top_logprobs([("m", -3.0)], "m", "M") == 1.0
    assert of_top_logprobs([("The", -0.1)], "m", "M") is None


FULL = {
    "instruction": "Say hi",
    "output_1": "hello there",
    "output_2": "hi",
    "generator_1": "base",
    "generator_2": "mine",
    "dataset": "greetings",
    "annotator": "gpt",
    "preference": 1.75,
}


def test_alpaca_full(tmp_path: Path) -> None:
    logprobs = [{"token": "M", "logprob": -1.3862943611}, {"token": "m", "logprob": -0.2876820724}]
    raw = {"logprobs": {"content": [{"token": "m", "top_logprobs": logprobs}]}}
    rows = read_any(
        written(
            tmp_path,
            FULL | {"raw_completion": raw},
            FULL | {"raw_completion": raw, "preference": 1.25},
            FULL | {"preference": None},
            FULL | {"output_2": "hello there", "preference": 1.5},
            name="a.json",
        )
    )
    assert {(r.model_a, r.model_b, r.judge, r.category) for r in rows} == {("mine", "base", "gpt", "greetings")}
    assert [r.preference for r in rows] == [0.75, 0.25, None, 0.5]
    assert [r.order for r in rows] == ["ab", "ba", "", ""]  # as the reply's own probabilities tell
    assert [r.status for r in rows] == ["parsed", "parsed", "judge_parse", "identical"]
    assert [r.mode for r in rows] == ["logprobs", "logprobs", "none", "none"]
    assert (rows[0].length_a, rows[0].length_b, rows[0].details["text_b"]) == (2, 11, "hello there")
    assert len({r.sample for r in rows}) == 1


def test_alpaca_compact_is_named_by_its_file(tmp_path: Path) -> None:
    row = {"index": 3, "len_output_1": 20, "len_output_2": 10, "preference": 0}
    path = tmp_path / "mine-v1.5.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    (found,) = read_any(path, baseline="base")
    assert (found.model_a, found.model_b, found.sample) == ("mine-v1.5", "base", "3")
    assert (found.preference, found.length_a, found.length_b) == (0.5, 10, 20)
    assert stem(path) == "mine-v1.5"


def test_mt_bench_games_are_mapped_back_already(tmp_path: Path) -> None:
    game = {"question_id": 81, "model_1": "x", "model_2": "y", "judge": ["gpt-4", "pair-v2"], "turn": 2}
    rows = read_any(written(tmp_path, game | {"g1_winner": "model_1", "g2_winner": "error"}))
    assert [(r.sample, r.order, r.preference, r.status) for r in rows] == [
        ("81#2", "ab", 1.0, "parsed"),
        ("81#2", "ba", None, "judge_parse"),
    ]
    assert {(r.judge, r.judge_model) for r in rows} == {("mt_bench", "gpt-4")}


def test_votes_of_people_and_of_a_judge(tmp_path: Path) -> None:
    vote = {"question_id": 81, "model_a": "x", "model_b": "y", "turn": 1}
    rows = read_any(
        written(
            tmp_path,
            vote | {"judge": "expert_17", "winner": "tie (bothbad)"},
            vote | {"judge": "gpt4_pair", "winner": "tie (inconsistent)"},
        )
    )
    assert [(r.judge, r.judge_model, r.mode) for r in rows] == [
        ("person", "expert_17", "person"),
        ("judge", "gpt4_pair", "text"),
    ]
    assert rows[1].details == {"consistent": False}
    battles = read_any(written(tmp_path, vote | {"winner": "model_b"}, name="battles.jsonl"))
    assert (battles[0].judge, battles[0].preference) == ("person", 0.0)


def test_grades_count_repeated_keys(tmp_path: Path) -> None:
    grade = {"question_id": 81, "model": "x", "judge": ["gpt-4", "single-v1"], "turn": 1}
    rows = read_any(
        written(
            tmp_path,
            grade | {"score": 8, "judgment": "fine"},
            grade | {"score": -1, "judgment": "$ERROR$"},
            grade | {"score": -1, "judgment": "so so"},
        )
    )
    assert [r.score for r in rows] == [8.0, None, None]
    assert [r.status for r in rows] == ["parsed", "backend_error", "judge_parse"]
    assert [r.repeat for r in rows] == [0, 1, 2]
    assert {r.model_b for r in rows} == {""}


def test_arena_hard_games(tmp_path: Path) -> None:
    """Game 1 shows the baseline as A, game 2 the model."""
    row = {"question_id": "q", "model": "m", "judge": "gpt", "games": [{"score": "A>>B"}, {"score": "A<B"}]}
    rows = read_any(written(tmp_path, row, row | {"games": [{"score": None}, {"score": "[[A]]"}]}), baseline="base")
    assert [(r.order, r.preference, r.details["strength"]) for r in rows[:2]] == [("ba", 0.0, 2), ("ab", 0.0, 1)]
    assert [r.preference for r in rows[2:]] == [None, None]
    second = read_any(written(tmp_path, row | {"uid": "u", "baseline": "o3-mini"}, name="v2.jsonl"))
    assert {r.model_b for r in second} == {"o3-mini"}


def test_pandalm(tmp_path: Path) -> None:
    pair = {"idx": 0, "cmp_key": "x_y", "response1": "aa", "response2": "b", "annotator1": 1, "annotator2": 0}
    people = read_any(written(tmp_path, pair))
    assert [(r.judge_model, r.model_a, r.preference) for r in people] == [
        ("annotator1", "x", 1.0),
        ("annotator2", "x", 0.5),
    ]
    judge = read_any(
        written(tmp_path, {"idx": 0, "result": "garbage"}, {"idx": 1, "result": "Tie"}, name="judge_g.jsonl")
    )
    assert [(r.judge_model, r.model_a, r.preference, r.status) for r in judge] == [
        ("g", "", None, "judge_parse"),
        ("g", "", 0.5, "parsed"),
    ]


def test_llmbar_and_judge_bench(tmp_path: Path) -> None:
    games = {"swap = False": {"winner": "1", "completion": ["so", "stop"]}, "swap = True": {"winner": None}}
    rows = read_any(written(tmp_path, {"input": "q", **games}, {"input": "q", "evaluations": [games, games]}))
    assert [(r.order, r.preference, r.raw) for r in rows[:2]] == [("ab", 1.0, "so"), ("ba", None, "")]
    bench = {"pair_id": "p", "source": "math", "decision_ab": "A>B", "decision_ba": "A>B"}
    rows = read_any(written(tmp_path, bench, name="b.jsonl"))
    assert [r.preference for r in rows] == [1.0, 0.0]  # the second is in the swapped frame
    full = {"pair_id": "p", "judgments": [{"decision": "A=B"}, None], "judge_name": "j"}
    assert [r.preference for r in read_any(written(tmp_path, full, name="f.jsonl"))] == [0.5, None]


def test_wildbench_and_prism(tmp_path: Path) -> None:
    pair = {"session_id": "s", "model_A": "x", "model_B": "y"}
    new, old = pair | {"parsed_result": {"choice": "B++"}}, pair | {"winner": "x", "extent": 1}
    rows = [*read_any(written(tmp_path, new)), *read_any(written(tmp_path, old, name="old.jsonl"))]
    assert [(r.preference, r.details["strength"]) for r in rows] == [(0.0, 2), (1.0, 1)]
    score = {"session_id": "s", "model_test": "x", "score": "7", "model_output": "abc"}
    (found,) = read_any(written(tmp_path, score, name="s.jsonl"))
    assert (found.score, found.length_a, found.model_b) == (7.0, 3, "")
    slider = {"interaction_id": "i", "user_id": "u1", "model_name": "x", "score": 88, "turn": 1}
    (found,) = read_any(written(tmp_path, slider, name="p.jsonl"))
    assert (found.judge, found.judge_model, found.score) == ("person", "u1", 88.0)


def test_our_own_file_comes_back(tmp_path: Path) -> None:
    row = Annotation("s", "t", "x", "y", "pairwise/1#ab", "m", "pairwise", "ab", 0.75, "parsed", raw="a\u2028b\x85c")
    write_annotations(tmp_path / "own.jsonl", [row])
    assert read_any(tmp_path / "own.jsonl") == [row]


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    """Answers hold U+2028, U+0085 and form feeds."""
    path = tmp_path / "a.jsonl"
    text = "one\u2028two\x85three\x0cfour"
    path.write_bytes((json.dumps(FULL | {"output_2": text}, ensure_ascii=False) + "\n").encode() * 2)
    assert [r.details["text_a"] for r in read_any(path)] == [text, text]


def test_a_wrong_shape_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_any(written(tmp_path, {"prompt": "a", "chosen": "b"}))
    message = str(error.value)
    assert "\n" not in message
    assert "prompt, chosen" in message
    assert all(shape.name in message for shape in SHAPES)
    with pytest.raises(InputError, match="holds no annotations"):
        read_any(written(tmp_path, name="empty.jsonl"))


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    vote = {"question_id": 81, "model_a": "x", "model_b": "y", "judge": "expert_1", "winner": "tie"}
    missing = {k: v for k, v in vote.items() if k != "winner"}
    with pytest.raises(InputError, match=r"rows.jsonl: row 2: no field 'winner' \(MT-Bench or Arena votes\)"):
        read_any(written(tmp_path, vote, missing))
    with pytest.raises(InputError, match=r"row 2: cannot be read as MT-Bench or Arena votes \(winner 'x' is none of"):
        read_any(written(tmp_path, vote, vote | {"winner": "x"}))


def test_each_shape_is_told_from_the_others() -> None:
    for shape in SHAPES:
        found = recognise(dict.fromkeys(shape.fields))
        assert found is not None
        assert found.name.split(",")[0].split()[0] == shape.name.split()[0]
