"""vLLM's offline engine, driven directly: the same job as ours.py (common.py).

verb "generate": `ids`, `max_tokens` (one for each), greedy, end marks ignored; start-up (engine, warm-up) is outside
the calls. The CPU build needs little memory for its cache: VLLM_CPU_KVCACHE_SPACE (GiB), here 2 unless set.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from common import Row, gpu_busy, timed


def main(job: Row) -> Row:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    from vllm import LLM, SamplingParams

    found: Row = {}
    engine = LLM(
        model=job["model"],
        dtype=job.get("dtype", "float32"),
        max_model_len=job.get("max_model_len", 1024),
        enforce_eager=job.get("enforce_eager", True),
        max_num_seqs=job.get("max_num_seqs", 64),
        enable_prefix_caching=True,
        disable_log_stats=True,
    )
    first: Any = {"prompt_token_ids": [5, 6, 7]}
    prompts: list[Any] = [{"prompt_token_ids": ids} for ids in job["ids"]]
    how = [SamplingParams(temperature=0.0, max_tokens=n, ignore_eos=True, detokenize=False) for n in job["max_tokens"]]
    warm = SamplingParams(temperature=0.0, max_tokens=2, ignore_eos=True, detokenize=False)
    engine.generate([first], warm, use_tqdm=False)
    with timed(found), gpu_busy(found, job):
        said = engine.generate(prompts, how, use_tqdm=False)
    found["answers"] = [list(output.outputs[0].token_ids) for output in said]
    return found


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(main(job)), encoding="utf-8")
