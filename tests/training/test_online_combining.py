"""Several rewards through the command: weights, LSC against the starting policy, what the log and the folder say."""

import json
from pathlib import Path

import pytest

from evalsuite.cli import main
from evalsuite.errors import InputError
from evalsuite.models import ModelOptions
from evalsuite.records import user
from evalsuite.training.contract import Row
from evalsuite.training.log import read as read_log
from evalsuite.training.online_combining import Combined, combined, weighted

REWARD = """
def vowels(prompts, completions, **columns):
    return [sum(c in "aeiou" for c in turns[0]["content"]) for turns in completions]

def short(prompts, completions, **columns):
    return [-len(turns[0]["content"]) for turns in completions]

def some(prompts, completions, **columns):
    return [None if i == 1 else 1.0 for i, _ in enumerate(completions)]
"""
QUICK = ("max_completion_length=8", "per_device_train_batch_size=8", "num_generations=4", "logging_steps=1",
         "dtype=float32", "learning_rate=1e-3", "reference_samples=3")  # fmt: skip


@pytest.fixture
def rewards(tmp_path: Path) -> Path:
    (tmp_path / "rewards.py").write_text(REWARD)
    (tmp_path / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Say the number {i}"}) + "\n" for i in range(4))
    )
    return tmp_path / "rewards.py"


def words(method: str, tiny: Path, rewards: Path, out: Path, *more: str) -> list[str]:
    data = rewards.parent / "prompts.jsonl"
    return ["train", method, "--model", str(tiny), "--data", str(data), "--out", str(out), *more]


ROWS = [Row("1", (user("a"),)), Row("1", (user("a"),)), Row("2", (user("b"),))]


def test_a_weighted_sum_and_its_parts(rewards) -> None:
    found = combined([f"{rewards}:vowels=0.7", f"{rewards}:short=0.3"], "sum", 0.5, ModelOptions())
    assert isinstance(found, Combined)
    assert found.named(ROWS, ["aa", "b", ""]) == {"vowels": [2, 0, 0], "short": [-2, -1, 0]}
    assert found(ROWS, ["aa", "b", ""]) == pytest.approx([0.8, -0.3, 0.0])
    missing = combined([f"{rewards}:vowels", f"{rewards}:some"], "sum", 0.5, ModelOptions())
    assert missing(ROWS, ["aa", "b", ""]) == [3.0, None, 1.0]
    twice = combined([f"{rewards}:vowels", f"{rewards}:vowels"], "sum", 0.5, ModelOptions())
    assert isinstance(twice, Combined)
    assert list(twice.parts) == ["vowels", "vowels_2"]


def test_one_reward_is_itself_and_lsc_of_one_is_log_sigmoid(rewards) -> None:
    plain = combined([f"{rewards}:vowels"], "sum", 0.5, ModelOptions())
    assert plain(ROWS, ["aa", "b", ""]) == [2.0, 0.0, 0.0]
    shaped = combined([f"{rewards}:vowels"], "lsc", 0.5, ModelOptions())
    assert isinstance(shaped, Combined)
    shaped.references = shaped.quantiles(ROWS, shaped.named(ROWS, ["aa", "b", "e"]))
    assert shaped.references == {"row 1": (1.0,), "row 2": (1.0,)}, "the median of each prompt's own"
    assert shaped(ROWS, ["aa", "b", "e"]) == pytest.approx([-0.31326, -1.31326, -0.69315], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("gold", ("gold", 1.0)),
        ("gold:nano@1=0.5", ("gold:nano@1", 0.5)),
        ("runs/lr=1e-5/", ("runs/lr=1e-5/", 1.0)),
        ("rm=-2", ("rm", -2.0)),
    ],
)
def test_a_weight_is_read(text, wanted) -> None:
    assert weighted(text) == wanted


def test_weights_that_are_none_are_refused(rewards) -> None:
    with pytest.raises(InputError, match="finite weight"):
        weighted("rm=inf")
    with pytest.raises(InputError, match="above 0 is wanted with combine=lsc"):
        combined([f"{rewards}:vowels=-1", f"{rewards}:short"], "lsc", 0.5, ModelOptions())


@pytest.mark.parametrize("how", ["sum", "lsc"])
def test_a_policy_is_trained_by_several_and_each_is_in_the_log(tiny, rewards, tmp_path, how) -> None:
    both = ("--reward", f"{rewards}:vowels=0.7", "--reward", f"{rewards}:short=0.3")
    out = tmp_path / how
    assert main(words("rloo", tiny, rewards, out, *both, *QUICK, "max_steps=3", f"combine={how}")) == 0
    for row in read_log(out):
        assert {"reward", "reward_vowels", "reward_short", "kl", "entropy", "length"} <= set(row)
        if how == "sum":
            wanted = 0.7 * row["reward_vowels"] + 0.3 * row["reward_short"]
            assert row["reward"] == pytest.approx(wanted, abs=1e-4)
        else:
            assert row["reward"] < 0, "log-probabilities that all are good"
    card = json.loads((out / "training.json").read_text())
    assert card["reward"] == [f"{rewards}:vowels=0.7", f"{rewards}:short=0.3"]
    assert card["config"]["combine"] == how


def test_a_resumed_lsc_training_has_the_starting_policys_references(tiny, rewards, tmp_path) -> None:
    """Bitwise the unbroken one's end: what is compared with is drawn from the start, not from the resumed policy."""
    import shutil

    from safetensors.torch import load_file

    more = (*QUICK, "--reward", f"{rewards}:vowels", "--reward", f"{rewards}:short", "combine=lsc", "max_steps=4")
    assert main(words("rloo", tiny, rewards, tmp_path / "whole", *more)) == 0
    halves = words("rloo", tiny, rewards, tmp_path / "half", *more, "save_steps=2")
    with pytest.MonkeyPatch.context() as patch:
        from evalsuite.training import saving

        patch.setattr(saving, "finish", lambda *_: None)
        assert main(halves) == 0
    shutil.rmtree(tmp_path / "half" / "state-4", ignore_errors=True)
    assert saving.states(tmp_path / "half") == [2]
    assert main([*halves, "--resume"]) == 0
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
    assert all((one[k] == other[k]).all() for k in one)


@pytest.mark.parametrize("how", ["sum", "lsc"])
def test_the_best_of_n_by_several(tiny, rewards, tmp_path, capsys, how) -> None:
    both = ("--reward", f"{rewards}:vowels=0.7", "--reward", f"{rewards}:short=0.3", "n=6", "max_completion_length=8")
    assert main([*words("best-of-n", tiny, rewards, tmp_path / "out", *both, f"combine={how}"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["reward_best"] > figures["reward"]
    assert {"reward_vowels", "reward_short", "reward_vowels_best"} <= set(figures)
    kept = [json.loads(line) for line in (tmp_path / "out" / "responses.jsonl").read_text().splitlines()]
    if how == "sum":
        wanted = [0.7 * line["reward_vowels"] + 0.3 * line["reward_short"] for line in kept]
        assert [line["reward"] for line in kept] == pytest.approx(wanted)
    else:
        assert all(line["reward"] < 0 for line in kept)


def test_what_cannot_be_combined_is_one_line(tiny, rewards, tmp_path, capsys) -> None:
    both = ("--reward", f"{rewards}:vowels", "--reward", f"{rewards}:short")
    for more, said in (
        (("combine=and",), "combine"),
        (("reference_quantile=2",), "0 to 1 is wanted"),
        (("combine=lsc", "--engine", "trl"), "combine=lsc: TRL's RLOOTrainer has it not"),
    ):
        assert main(words("rloo", tiny, rewards, tmp_path / "out", *both, *more)) == 2
        assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()
