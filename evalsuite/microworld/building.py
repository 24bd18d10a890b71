"""Trains the checkpoints: base on documents, sft on conversations from base, reward on preference pairs from sft.

Each function writes one ordinary Hugging Face folder and nothing else; `checkpoints` decides when and where. Beside the
weights lie `lineage.json`, `measured.json` (what the builder measured, with n), and for base `exposures.json` (how
often each fact was stated in training: the truth for calibration).
"""

import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite.microworld import annotators, tokenizer
from evalsuite.microworld.batches import Example, pad, pair_batches, token_batches
from evalsuite.microworld.dialogue import row
from evalsuite.microworld.encoding import conversations, documents, render
from evalsuite.microworld.folders import device, load, load_tokenizer, new_model
from evalsuite.microworld.gates import echo_rate
from evalsuite.microworld.pretraining import (
    Settings,
    fit,
    language_model_step,
    reward_step,
    save,
    weights_fingerprint,
)
from evalsuite.microworld.recipes import Recipe, recipe
from evalsuite.microworld.text import base_document
from evalsuite.microworld.world import World
from evalsuite.records import Lineage, Progress
from evalsuite.training.machine import quiet, thread_count

ECHO_GATE = 0.9


@dataclass(frozen=True)
class Job:
    """What to build and how to report it. `threads` None: decided by whether the machine is idle."""

    world: World
    recipe: Recipe
    threads: int | None = None
    progress: Progress | None = None

    def what(self, checkpoint: str) -> str:
        return f"microworld {self.world.name}: {checkpoint}"


def job(world: World, threads: int | None = None, progress: Progress | None = None) -> Job:
    return Job(world, recipe(world.size), threads, progress)


def build_base(job: Job, folder: Path) -> None:
    """A model of the world's text. Where the copy circuit has not formed by the planned steps (it is a phase
    transition, and fine-tuning does not grow it), training goes on for `extra_steps`."""
    world, made = job.world, job.recipe
    rng = random.Random(f"base:{world.name}")
    exposures: Counter[tuple[str, str]] = Counter()
    tok = tokenizer.train(world, made.vocabulary)
    model = new_model(made, tok, world.seed)

    def draw(n: int) -> list[Example]:
        return documents(tok, [base_document(world, rng, exposures) for _ in range(n)])

    batches = token_batches(draw, rng, batch_tokens=made.batch_tokens, pool=made.pool, pad_id=tok.pad_token_id)
    settings = Settings(made.base_steps, made.base_rate, threads=job.threads)
    losses = fit(model, batches, language_model_step, settings, job.progress, job.what("base"))
    echoed = _echo(model, tok, job)
    if made.extra_steps and echoed < ECHO_GATE:
        more = replace(settings, steps=made.extra_steps, rate=made.base_rate)
        losses += fit(
            model, batches, language_model_step, more, job.progress, job.what("base, growing the copy circuit")
        )
        echoed = _echo(model, tok, job)
    counted = [[name, relation, n] for (name, relation), n in sorted(exposures.items())]
    measured = {"steps": len(losses), "loss": _tail(losses), "echo": echoed}
    save(model, tok, folder, Lineage(method="pretraining", data=f"microworld {world.name} documents"),
         {"exposures": counted, "measured": measured})  # fmt: skip


def build_sft(job: Job, base: Path, folder: Path) -> None:
    """Answers, abstentions and instructions, learned on the assistant's tokens only."""
    world, made = job.world, job.recipe
    rng = random.Random(f"sft:{world.name}")
    model, tok = load(base)

    def draw(n: int) -> list[Example]:
        plain = sum(rng.random() < made.base_share for _ in range(n))
        texts = documents(tok, [base_document(world, rng) for _ in range(plain)])
        return texts + conversations(tok, [row(world, rng) for _ in range(n - plain)])

    batches = token_batches(draw, rng, batch_tokens=made.batch_tokens, pool=made.pool, pad_id=tok.pad_token_id)
    settings = Settings(made.sft_steps, made.sft_rate, threads=job.threads)
    losses = fit(model, batches, language_model_step, settings, job.progress, job.what("sft"))
    save(model, tok, folder, lineage(job, base, "base", "sft", f"microworld {world.name} conversations"),
         {"measured": {"steps": len(losses), "loss": _tail(losses)}})  # fmt: skip


def build_reward(job: Job, sft: Path, folder: Path) -> None:
    """A scalar head on the hidden state of the final <|end|>, trained on pairs of sft's answers with clean labels."""
    world, made = job.world, job.recipe
    policy, tok = load(sft)
    if job.progress:
        job.progress(0, 1, job.what("pairs for reward"))
    with thread_count(1):
        crowd = annotators.crowd(world.seed)
        drawn = annotators.sample_pairs(policy, tok, world, made.pairs + made.heldout_pairs, seed=world.seed)
        rows = annotators.annotate(drawn, crowd, world, seed=world.seed)
    model, accuracy = train_reward(job, sft, rows[: made.pairs], rows[made.pairs :])
    lineage_row = lineage(job, sft, "sft", "reward", f"{made.pairs} pairs of microworld {world.name}, clean labels")
    save(model, tok, folder, lineage_row, {"measured": {"pairs": made.pairs, **accuracy}})


def train_reward(
    job: Job, sft: Path, train: list[annotators.Row], heldout: list[annotators.Row]
) -> tuple[Any, dict[str, float]]:
    """A reward model from sft's weights, and its accuracy on held-out pairs with n."""
    import torch
    from transformers import LlamaForSequenceClassification

    made = job.recipe
    tok = load_tokenizer(sft)
    # The head has no weights in sft's folder, so they are drawn here: from the seed, leaving the caller's draws alone.
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(job.world.seed)
        model = LlamaForSequenceClassification.from_pretrained(sft, num_labels=1, dtype=torch.float32).to(device())
    rng = random.Random(f"reward:{job.world.name}")
    pairs = [_pair(tok, r) for r in train]
    batches = [
        batch
        for _ in range(made.reward_epochs)
        for batch in pair_batches(pairs, rng, size=made.reward_batch, pad_id=tok.pad_token_id)
    ]
    settings = Settings(
        len(batches), made.reward_rate, warmup=10, schedule="linear", weight_decay=0.0, threads=job.threads
    )
    fit(model, batches, reward_step, settings, job.progress, job.what("reward"))
    with thread_count(1):
        chosen, rejected = (rewards(model, tok, [_pair(tok, r)[side] for r in heldout]) for side in (0, 1))
    right = sum(c > r for c, r in zip(chosen, rejected, strict=True))
    return model, {"heldout_accuracy": right / max(1, len(heldout)), "heldout_n": len(heldout)}


def rewards(model: Any, tok: Any, sequences: list[list[int]], size: int = 128) -> list[float]:
    """The scalar of each token sequence (prompt, answer, end), in order."""
    import torch

    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    out = [0.0] * len(sequences)
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            ids = pad([sequences[i] for i in chunk], tok.pad_token_id).to(model.device)
            scores = model(input_ids=ids, use_cache=False).logits
            for i, value in zip(chunk, scores[:, 0].tolist(), strict=True):
                out[i] = value
    return out


def _pair(tok: Any, row: annotators.Row) -> tuple[list[int], list[int]]:
    chosen, rejected = (render(row["prompt"] + row[side]) for side in ("chosen", "rejected"))
    ids = tok([chosen, rejected], add_special_tokens=False)["input_ids"]
    return ids[0], ids[1]


def lineage(job: Job, parent: Path, name: str, method: str, data: str) -> Lineage:
    size = "" if job.world.size == "mini" else f"{job.world.size}/"
    seed = f"@{job.world.seed}" if job.world.seed else ""
    return Lineage(weights_fingerprint(parent), f"microworld:{size}{name}{seed}", method, data)


def _echo(model: Any, tok: Any, job: Job) -> float:
    with thread_count(1):
        return echo_rate(model, tok)


def _tail(losses: list[float]) -> float:
    return sum(losses[-20:]) / len(losses[-20:])
