"""The responses backend: every recognised shape, matching by prompt or id, repeats, and what is missing."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalsuite.backends.responses import SHAPES, ResponsesBackend, read_responses
from evalsuite.errors import BackendError, InputError
from evalsuite.models import resolve
from evalsuite.records import Message, Unit, assistant, system, user

PROMPT = "Name a city."


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def ask(*messages: Message, draw: int = 0) -> Unit:
    return Unit("f", "generate", messages, seed=draw)


ROWS: list[dict[str, Any]] = [
    {"instruction": PROMPT, "output": "Oslo", "generator": "m"},
    {"instruction": PROMPT, "input": "", "output": "Oslo"},
    {"prompt": PROMPT, "response": "Oslo"},
    {"question": "  Name a\ncity. ", "answer": "Oslo"},
    {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}], "completion": "Oslo"},
    {"messages": [user(PROMPT), assistant("Oslo")]},
    {"messages": [user(PROMPT)], "response": "Oslo"},
    {"prompt": PROMPT, "completion": [{"role": "assistant", "content": "Oslo"}]},
    {"id": "s1", "text": "Oslo"},
    {"sample": "s1", "response": "Oslo"},
    {"question_id": "s1", "model_id": "m", "choices": [{"index": 0, "turns": ["Oslo", "Bergen"]}]},
    {"question_id": "s1", "choices": [{"index": 0, "turns": [{"content": "Oslo", "token_len": 1}]}]},
    {"uid": "s1", "answer": "Oslo"},
    {"question_id": "s1", "turns": ["Oslo"]},
]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: ",".join(r))
def test_shapes(tmp_path: Path, row: dict[str, Any]) -> None:
    backend = ResponsesBackend.from_file(write(tmp_path / "answers.jsonl", [row]), {"s1": PROMPT})
    (found,) = backend.generate([ask(system("Anything."), user(PROMPT))])
    assert (found.text, found.error, found.finish_reason) == ("Oslo", None, "stop")
    assert backend.unmatched == 0


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.jsonl.gz", "a.json.gz", "a.parquet"])
def test_files(tmp_path: Path, name: str) -> None:
    import pandas as pd

    rows = [{"prompt": PROMPT, "response": "Oslo,\u2028\nor Bergen"}]
    path = tmp_path / name
    lines = json.dumps(rows) if ".json" in name and "jsonl" not in name else json.dumps(rows[0]) + "\n"
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    elif name.endswith(".parquet"):
        pd.DataFrame(rows).to_parquet(path)
    elif name.endswith(".csv"):
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        path.write_text(lines, encoding="utf-8")
    backend = ResponsesBackend(resolve(f"responses:{path}"))
    backend.check_ready()
    assert backend.generate([ask(user(PROMPT))])[0].text == "Oslo,\u2028\nor Bergen"


def test_alpaca_inputs_belong_to_the_instruction(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"instruction": "Shorten.", "input": "A long text.", "output": "Text."}])
    backend = ResponsesBackend.from_file(path)
    assert backend.generate([ask(user("Shorten.\n\nA long text."))])[0].text == "Text."
    assert backend.generate([ask(user("Shorten."))])[0].error == "no_answer"


def test_what_is_not_there_is_counted(tmp_path: Path) -> None:
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", [{"prompt": "one", "response": "1"}]))
    answers = backend.generate([ask(user("two")), ask(user("one")), ask(user("three"))])
    assert [a.error for a in answers] == ["no_answer", None, "no_answer"]
    assert [a.finish_reason for a in answers] == ["error", "stop", "error"]
    assert backend.unmatched == 2


def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", [{"prompt": "one", "response": ""}]))
    assert backend.generate([ask(user("one"))])[0].error is None


def test_several_answers_are_repeats_in_order(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response": str(i)} for i in range(3)] + [{"prompt": "q", "output": ["x", "y"]}]
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", rows))
    units = [ask(user("p"), draw=i) for i in range(3)]
    assert [a.text for a in backend.generate(units)] == ["0", "1", "2"]
    assert [a.text for a in backend.generate(units)] == ["0", "1", "2"]  # the same unit, the same answer
    assert [a.text for a in backend.generate([ask(user("q"), draw=i) for i in range(2)])] == ["x", "y"]


def test_a_draw_beyond_the_answers_has_none(tmp_path: Path) -> None:
    """They were dealt out again: two of three "independent" repeats were one answer."""
    rows = [{"prompt": "p", "response": "0"}, {"prompt": "p", "response": "1"}]
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", rows))
    found = backend.generate([ask(user("p"), draw=i) for i in range(3)])
    assert [(a.text, a.error) for a in found] == [("0", None), ("1", None), ("", "no_answer")]


def test_a_large_file_answers_as_a_small_one(tmp_path: Path) -> None:
    """Past some thousands of rows they lie in a temporary file."""
    rows = [{"prompt": f"p{i % 15_000}", "response": f"{i}"} for i in range(30_000)]
    rows += [{"id": f"s{i}", "response": f"by id {i}"} for i in range(10)]
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", rows), {"s3": "p3", "s4": "other"})
    asked = [ask(user("p7")), ask(user("p14999"), draw=1), ask(user("p3"), draw=2), ask(user("other")), ask(user("x"))]
    found = backend.generate(asked)
    assert [a.text for a in found] == ["7", "29999", "by id 3", "by id 4", ""]
    assert backend.unmatched == 1


def test_hashes_that_collide_are_told_apart(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response": "of p"}, {"prompt": "q", "response": "of q"}]
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", rows))
    backend.check_ready()
    backend._by_turns.find = lambda key: [0, 1]  # type: ignore[method-assign]
    assert [a.text for a in backend.generate([ask(user("p")), ask(user("q"))])] == ["of p", "of q"]


def test_turns_of_a_dialogue_are_told_apart(tmp_path: Path) -> None:
    """Two dialogues with the same second question keep their own answers."""
    rows = [{"messages": [user(t), assistant("ok"), user("And why?"), assistant(f"{t}, why")]} for t in ("one", "two")]
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", rows))
    units = [ask(user(t), assistant("ok"), user("And why?")) for t in ("two", "one")]
    assert [a.text for a in backend.generate(units)] == ["two, why", "one, why"]


def test_few_shot_turns_do_not_matter(tmp_path: Path) -> None:
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", [{"prompt": "p", "response": "found"}]))
    assert backend.generate([ask(user("example"), assistant("shown"), user("p"))])[0].text == "found"


def test_ids_may_become_known_later(tmp_path: Path) -> None:
    known: dict[str, str] = {}
    path = write(tmp_path / "a.jsonl", [{"id": 7, "response": "seven", "reasoning": "6+1", "finish_reason": "length"}])
    backend = ResponsesBackend(resolve(f"responses:{path}"), known)
    backend.check_ready()
    assert backend.generate([ask(user("p"))])[0].error == "no_answer"
    known["7"] = "p"
    (found,) = backend.generate([ask(user("p"))])
    assert (found.text, found.reasoning, found.finish_reason) == ("seven", "6+1", "length")


def test_an_unknown_shape_shows_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"prompt": "p", "response": "r"}, {"prompt": "p", "score": 3}])
    with pytest.raises(InputError, match="row 2") as caught:
        ResponsesBackend.from_file(path).check_ready()
    assert all(shape in str(caught.value) for shape in SHAPES)
    assert "prompt, score" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no rows"):
        read_responses(write(tmp_path / "empty.jsonl", []))


def test_a_file_scores_nothing(tmp_path: Path) -> None:
    backend = ResponsesBackend.from_file(write(tmp_path / "a.jsonl", [{"prompt": "p", "response": "r"}]))
    with pytest.raises(BackendError, match="no loglikelihood answers"):
        backend.loglikelihood([])
    with pytest.raises(BackendError, match="no reward answers"):
        backend.reward([])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ifeval/responses.jsonl", 270),
        ("ifeval/gpt4_responses.jsonl.gz", 541),
        ("alpaca_eval/model_outputs/alpaca-7b.json.gz", 805),
        ("alpaca_farm/outputs_sft.json", 252),
        ("mt_bench/answers_Llama-3.1-8B-Instruct.jsonl.gz", 160),
        ("arena_hard/v0.1_answers_gpt-3.5-turbo-0125.jsonl.gz", 500),
    ],
)
def test_public_files(public_data: Callable[[str], Path], name: str, count: int) -> None:
    rows = read_responses(public_data(name))
    assert len(rows) == count
    assert all(row.id or row.turns for row in rows)
    assert sum(bool(row.text) for row in rows) >= 0.98 * count


def test_public_prompts_are_found(public_data: Callable[[str], Path]) -> None:
    """Every IFEval prompt with a recorded reply of GPT-4 gets it."""
    from evalsuite.data import read_rows

    backend = ResponsesBackend.from_file(public_data("ifeval/gpt4_responses.jsonl.gz"))
    prompts = [row["prompt"] for row in read_rows(public_data("ifeval/input_data.jsonl"))]
    answers = backend.generate([ask(user(p)) for p in prompts])
    assert sum(a.error is None for a in answers) >= 540
