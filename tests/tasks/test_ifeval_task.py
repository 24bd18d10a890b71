"""The IFEval task: loading, requests, scores, and data that cannot be used."""

import json
from pathlib import Path

import pytest

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.records import Completion, Completions
from evalsuite.registry import load_module

FOLDER = Path(__file__).resolve().parents[2] / "tasks" / "instruction_following" / "ifeval"
ROW = {
    "key": 7,
    "prompt": "Write two lines without commas.",
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{}, {"num_words": 3, "relation": "at least"}],
}


@pytest.fixture(scope="module")
def task():
    return load_module(FOLDER / "task.py", "task")


def setup_of(tmp_path, **changes):
    path = tmp_path / "input_data.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **changes}) + "\n")
    return Setup("ifeval", FOLDER, data=str(tmp_path))


def scores(task, sample, text):
    return task.score(sample, Completions({"answer": [Completion(text=text)]}))


def test_scores(task, tmp_path):
    sample = next(iter(task.load(setup_of(tmp_path))))
    request = task.prompt(sample)[0]
    assert (sample.id, request.sampling.max_tokens, request.sampling.temperature) == ("7", 1280, 0.0)
    found = scores(task, sample, "Sure, here:\none two three")
    assert {name: (score.value, score.weight) for name, score in found.items()} == {
        "prompt_strict": (0.0, 1.0), "prompt_loose": (1.0, 1.0), "inst_strict": (0.5, 2), "inst_loose": (1.0, 2),
    }  # fmt: skip
    assert found["prompt_strict"].details == {
        "kinds": ROW["instruction_id_list"], "strict": [False, True], "loose": [True, True]
    }  # fmt: skip
    assert [score.value for score in scores(task, sample, "  ").values()] == [0.0] * 4
    json.dumps(sample.target)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kwargs": [{}, {"num_words": 3}]}, r"item 2 \(key 7\): instruction length\S* needs 'relation'"),
        ({"kwargs": [{}]}, "'kwargs' has 1 entries for 2"),
        ({"kwargs": None}, "needs 'kwargs'"),
        ({"kwargs": ["a", "b"]}, "'kwargs' must be a list of objects"),
        ({"instruction_id_list": ["punctuation:no_coma", "startend:quotation"]}, "nearest: punctuation:no_comma"),
        ({"instruction_id_list": "startend:quotation"}, "'instruction_id_list' must be a list"),
    ],
)
def test_bad_rows(task, tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        list(task.load(setup_of(tmp_path, **changes)))
    assert "input_data.jsonl" in str(caught.value)


def test_public_file(task, public_data):
    samples = list(task.load(Setup("ifeval", FOLDER, data=str(public_data("ifeval/input_data.jsonl")))))
    assert len(samples) == len({sample.id for sample in samples}) == 541
    assert sum(len(sample.target) for sample in samples) == 834
    assert set(task.TASK["unsatisfiable"]) == {
        sample.id for sample in samples if scores(task, sample, task.gold(sample))["prompt_strict"].value < 1
    }


def test_repaired_file(task, public_data):
    """The hand-repaired prompts of IFEval++ are read as they are."""
    assert (
        len(list(task.load(Setup("ifeval", FOLDER, data=str(public_data("ifeval/ifeval_fixed_prompts.jsonl")))))) == 541
    )
