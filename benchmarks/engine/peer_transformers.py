"""transformers alone: the same job as ours.py by `model(...)` and `model.generate` (common.py).

verb "score": `ids` [[prompt, continuation], ...], each row in a forward of its own, no padding: the plain computation
that log-probabilities are held against. verb "generate": `ids`, `max_tokens` (one for each), `batch`: static batches
sorted by length, each run to its longest; what a row says beyond its own limit is thrown away.
"""

import json
import sys
from pathlib import Path
from typing import Any

from common import Row, gpu_busy, threads, timed


def main(job: Row) -> Row:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads())
    found: Row = {}
    dtype, device = getattr(torch, job.get("dtype", "float32")), job.get("device", "cpu")
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval().to(device)
    with timed(found), gpu_busy(found, job), torch.inference_mode():
        found["answers"] = score(model, job) if job["verb"] == "score" else generate(model, job)
    return found


def score(model: Any, job: Row) -> list[list[float]]:
    import torch

    answers = []
    for prompt, tail in job["ids"]:
        ids = torch.tensor([[*prompt, *tail]], device=model.device)
        logits = model(ids).logits[0, len(prompt) - 1 : -1].float()
        answers.append(logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None])[:, 0].tolist())
    return answers


def generate(model: Any, job: Row) -> list[list[int]]:
    import torch

    limits, rows = job["max_tokens"], job["ids"]
    order = sorted(range(len(rows)), key=lambda i: -limits[i])
    answers: list[list[int]] = [[] for _ in rows]
    for start in range(0, len(order), job["batch"]):
        batch = order[start : start + job["batch"]]
        width, longest = max(len(rows[i]) for i in batch), max(limits[i] for i in batch)
        ids = torch.tensor([[0] * (width - len(rows[i])) + rows[i] for i in batch])
        mask = torch.tensor([[0] * (width - len(rows[i])) + [1] * len(rows[i]) for i in batch])
        said = model.generate(
            ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=longest,
            min_new_tokens=longest,
            do_sample=False,
            pad_token_id=0,
        )
        for place, line in zip(batch, said[:, width:].tolist(), strict=True):
            answers[place] = line[: limits[place]]
    return answers


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(main(job)), encoding="utf-8")
