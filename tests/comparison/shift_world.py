"""A small world whose answers are numbers, so that features can be measured, planted and rewarded as one likes.

An answer's text is its features' values ("0.31 -1.2 ..."); people prefer the answer whose weighted sum is larger; a run
adds a known shift to what its parent says. Everything goes through the real explain, the real runs, the real reading.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evalsuite.preferences.contract import Pair
from evalsuite.preferences.explain import Options, run_explain
from evalsuite.preferences.table import gather
from evalsuite.records import user
from evalsuite.store import write_run

NAMES = tuple(f"f{j}" for j in range(8))
WEIGHTS = np.array([1.2, 0.8, 0.5, 0.0, 0.0, -0.5, -0.8, -1.2])


def measure(question, answer, metadata):
    return dict(zip(NAMES, map(float, answer.split()), strict=True))


def text(row) -> str:
    return " ".join(f"{v:.6f}" for v in row)


def explained(folder: Path, pairs: int = 1500, seed: int = 0) -> Path:
    """The folder of pairs whose labels follow WEIGHTS."""
    rng = np.random.default_rng(seed)
    both = rng.standard_normal((pairs, 2, 8))
    wins = rng.random(pairs) < 1 / (1 + np.exp(-(both[:, 0] - both[:, 1]) @ WEIGHTS))
    rows = [
        Pair(str(i), (user(f"prompt {i}"),), text(a), text(b), float(win),
             metadata={n: {"a": float(f"{x:.6f}"), "b": float(f"{y:.6f}")}
                       for n, x, y in zip(NAMES, a, b, strict=True)})
        for i, ((a, b), win) in enumerate(zip(both, wins, strict=True))
    ]  # fmt: skip
    run_explain(gather(rows), folder, Options(columns=NAMES, controls=()))
    return folder


def numbers_run(store: Path, name: str, shift: Sequence[float], prompts: int, seed: int, repeats: int = 1, **model):
    """A run of answers that are its parent's in distribution, but for `shift`; each prompt has a part of its own."""
    of_prompt = np.random.default_rng(10_000).standard_normal((prompts, 8))
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(prompts):
        for repeat in range(repeats):
            values = of_prompt[i] + 0.7 * rng.standard_normal(8) + np.asarray(shift)
            rows.append(row_of(i, repeat, text(values)))
    return text_run(store, name, rows, **model)


def row_of(i: int, repeat: int, answer: str, question: str | None = None) -> dict:
    question = question or f"question {i}"
    plain = {"reasoning": None, "finish_reason": "stop", "tokens": 8, "prompt_tokens": 8, "family": "open"}
    return {"task": "open", "sample": f"s{i}", "repeat": repeat, "question": question, "prompt": f"User: {question}",
            "answer": answer, "target": "null", "metadata": json.dumps({"i": i}), "completions": "{}",
            **plain}  # fmt: skip


def text_run(store: Path, name: str, rows: Sequence[dict], parent: str | None = "f-sft", version: int = 1):
    lineage = {"parent": parent, "method": "dpo"} if parent else {}
    about = {"address": name, "name": name, "fingerprint": f"f-{name}", "backend": "hf", "template_hash": "t",
             "system": None, "lineage": lineage}  # fmt: skip
    spec = {"version": version, "family": "open", "data_hash": "d", "prompt_hash": "p", "n": len(rows)}
    return write_run(store, name, {"model": about, "tasks": {"open": spec}, "seed": 0}, [], {}, rows)
