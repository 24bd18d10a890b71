"""What weights are kept in and what is computed in: small steps are not lost, draws and losses agree."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evalsuite.cli import main
from evalsuite.training import loading
from evalsuite.training.contract import Settings
from evalsuite.training.log import read as read_log

REWARD = "def length(prompts, completions, **columns):\n    return [len(c[0]['content']) for c in completions]\n"
SMALL = ("learning_rate=1e-6", "max_steps=2", "logging_steps=1", "warmup_ratio=0", "lr_scheduler_type=constant")


@pytest.mark.parametrize(
    ("gpu", "settings", "asked", "weights", "computed"),
    [
        (True, Settings(), None, torch.float32, "bf16"),
        (True, Settings(), "no", torch.float32, "no"),
        (True, Settings(lora_r=8), None, torch.bfloat16, "no"),
        (True, Settings(dtype="float32"), None, torch.float32, "no"),
        (True, Settings(dtype="float32"), "bf16", torch.float32, "bf16"),
        (True, Settings(dtype="bfloat16"), None, torch.bfloat16, "no"),
        (False, Settings(), None, torch.float32, "no"),
        (False, Settings(lora_r=8), None, torch.float32, "no"),
    ],
)
def test_trained_weights_are_float32(monkeypatch, gpu, settings, asked, weights, computed) -> None:
    """Half precision is for what is multiplied and for what an adapter leaves as it is."""
    monkeypatch.setattr(loading, "has_bfloat16", lambda: gpu)
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if asked is not None:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", asked)
    assert (loading.dtype(settings), loading.arithmetic(settings)) == (weights, computed)


def trained(method: str, model: Path, out: Path, rows: list[dict], *more: str) -> Path:
    data = out.with_suffix(".jsonl")
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["train", method, "--model", str(model), "--data", str(data), "--out", str(out), *SMALL, *more]) == 0
    return out


def moved(out: Path, start: Path) -> float:
    """Share of the weights that training changed."""
    before, after = load_file(start / "model.safetensors"), load_file(out / "model.safetensors")
    changed = [(after[k] != before[k].to(after[k].dtype)).flatten() for k in before]
    return torch.cat(changed).float().mean().item()


def test_small_steps_reach_weights_that_are_multiplied_in_bfloat16(tiny, tmp_path, monkeypatch) -> None:
    pairs = [{"prompt": f"Say {i}", "chosen": "yes indeed", "rejected": "no"} for i in range(16)]
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    mixed = trained("dpo", tiny, tmp_path / "mixed", pairs)
    half = trained("dpo", tiny, tmp_path / "half", pairs, "dtype=bfloat16")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    whole = trained("dpo", tiny, tmp_path / "whole", pairs)
    told = [json.loads((out / "training.json").read_text())["mixed_precision"] for out in (mixed, whole)]
    assert told == ["bf16", "no"], "one process may train in both, one after the other"
    assert moved(mixed, tiny) == pytest.approx(moved(whole, tiny), abs=0.02)
    assert moved(half, tiny) < 0.5 * moved(mixed, tiny)
    losses = [[row["loss"] for row in read_log(out)] for out in (mixed, whole)]
    assert losses[0] == pytest.approx(losses[1], abs=5e-3)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_draws_references_and_losses_are_of_one_arithmetic(tiny, tmp_path, monkeypatch, method) -> None:
    """Otherwise ratios and KL at the first step would be those of two roundings, not 1 and 0."""
    (tmp_path / "reward.py").write_text(REWARD)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    prompts = [{"prompt": f"Say the number {i}"} for i in range(16)]
    more = (
        "--reward",
        f"{tmp_path / 'reward.py'}:length",
        "max_completion_length=16",
        "per_device_train_batch_size=64",
    )
    row = read_log(trained(method, tiny, tmp_path / method, prompts, *more))[0]
    assert row["kl"] == pytest.approx(0, abs=6e-3)
    assert row["ratio"] == pytest.approx(1, abs=2e-4)
