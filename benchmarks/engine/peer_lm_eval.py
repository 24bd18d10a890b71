"""lm-eval's `hf` backend, driven directly: the same job as ours.py, in lm-eval's own environment (common.py).

verb "score": `requests` [[context, [continuation, ...]], ...]; "generate": `prompts` through the chat template, greedy,
`max_tokens`. `batch` is its batch size, `model` a folder. Tasks, metrics and caches of lm-eval are not in the way: what
is timed is `HFLM.loglikelihood` or `HFLM.generate_until` on requests as its evaluator makes them.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from common import Row, gpu_busy, threads, timed


def main(job: Row) -> Row:
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(threads())
    found: Row = {}
    lm = HFLM(
        pretrained=job["model"],
        dtype=job.get("dtype", "float32"),
        device=job.get("device", "cpu"),
        batch_size=job["batch"],
    )
    with timed(found), gpu_busy(found, job):
        if job["verb"] == "score":
            flat = [(context, tail) for context, tails in job["requests"] for tail in tails]
            asked = [Instance("loglikelihood", {}, pair, i, ("job", i, 1)) for i, pair in enumerate(flat)]
            answers = iter([[float(value), bool(greedy)] for value, greedy in lm.loglikelihood(asked)])
            found["answers"] = [[next(answers) for _ in tails] for _, tails in job["requests"]]
        else:
            how: dict[str, Any] = {"until": [], "do_sample": False, "temperature": 0.0}
            how["max_gen_toks"] = job["max_tokens"]
            texts = [lm.apply_chat_template([{"role": "user", "content": text}]) for text in job["prompts"]]
            asked = [
                Instance("generate_until", {}, (text, dict(how)), i, ("job", i, 1)) for i, text in enumerate(texts)
            ]
            found["answers"] = lm.generate_until(asked)
    if job["verb"] == "generate":
        found["tokens"] = [len(lm.tok_encode(text, add_special_tokens=False)) for text in found["answers"]]
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(main(job)), encoding="utf-8")
