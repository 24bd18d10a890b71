"""Our side of a job: requests → planner → groups → backend, as a run does it. Called as `ours.py JOB OUT` (common.py).

verb "score": `requests` [[context, [continuation, ...]], ...] as raw text; "generate": `prompts` (chat template) or
`ids` (token ids), `max_tokens` (one number, or one for each), `temperature`, `repeats`. Both: `model`, `backend`,
`args` (--model-args), `dtype`, `device`. Answers come in the order that was asked, doubles included.
"""

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import Row, gpu_busy, timed

from evalsuite.backends.base import backend_class
from evalsuite.models import ModelOptions, renderer, resolve
from evalsuite.planning import Options, Planner
from evalsuite.planning.groups import distinct_tokens, group, group_size
from evalsuite.records import Backend, Completion, Request, Sampling, Unit, user


def main(job: Row) -> Row:
    found: Row = {}
    options = ModelOptions(dtype=job.get("dtype", "float32"), device=job.get("device", "cpu"), args=job.get("args", {}))
    model = resolve(job["model"], options, backend=job.get("backend"))
    planner = Planner(model, renderer(model), Options())
    backend = loaded(model, planner.renderer)
    before = dict(backend.counts)
    with timed(found), gpu_busy(found, job):
        planned = plan(job, planner)
        units = {unit.fingerprint: unit for asked in planned for unit in asked}
        answers: dict[str, Completion] = {}
        groups = group(list(units.values()), group_size(model))
        for prints in groups:
            members = [units[p] for p in prints]
            answers.update(zip(prints, getattr(backend, members[0].kind)(members), strict=True))
    found["counts"] = {key: value - before.get(key, 0) for key, value in backend.counts.items()}
    found["limits"] = dict(backend.limits)
    backend.close()
    found["units"], found["groups"] = len(units), len(groups)
    found["distinct_tokens"] = distinct_tokens(list(units.values()))
    found["prompt_tokens"] = sum(len(ids) for ids in {u.prompt_ids for u in units.values() if u.prompt_ids})
    found["answers"] = [[row(answers[unit.fingerprint]) for unit in asked] for asked in planned]
    if job.get("with_ids"):
        found["ids"] = [[[list(u.prompt_ids or ()), list(u.continuation_ids)] for u in asked] for asked in planned]
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def loaded(model: Any, tokens: Any) -> Backend:
    """The model's backend with its weights in place, so that loading counts as start-up (as it does for the peers)."""
    made = backend_class(model.backend)
    backend: Any = made(model, tokens) if model.local else made(model)
    if model.backend == "hf":
        backend.net  # noqa: B018
    elif model.local:  # an engine that starts with its first call
        text = tokens.tokens.encode("Hello")
        first = Unit("start", "generate", (user("Hello"),), "Hello", text, sampling=Sampling(max_tokens=1))
        backend.generate([first])
    found: Backend = backend
    return found


def plan(job: Row, planner: Planner) -> Sequence[tuple[Unit, ...]]:
    if job["verb"] == "score":
        return [
            planner.plan(Request("loglikelihood", (user(context),), continuations=tuple(tails), raw=True)).units
            for context, tails in job["requests"]
        ]
    if "ids" in job:
        return [
            (Unit(f"{place}", "generate", (user(""),), "", tuple(ids), sampling=sampling(job, place)),)
            for place, ids in enumerate(job["ids"])
        ]
    return [
        planner.plan(Request("generate", (user(text),), sampling=sampling(job, place)), repeat).units
        for place, text in enumerate(job["prompts"])
        for repeat in range(job.get("repeats", 1))
    ]


def sampling(job: Row, place: int) -> Sampling:
    limit = job["max_tokens"]
    limit = limit[place] if isinstance(limit, list) else limit
    return Sampling(max_tokens=limit, temperature=job.get("temperature", 0.0), seed=job.get("seed", 0))


def row(answer: Completion) -> Row:
    full = asdict(answer)
    kept = ("text", "finish_reason", "prompt_tokens", "tokens", "logprobs", "greedy", "error")
    return {key: full[key] for key in kept if full[key] not in (None, "", ())}


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(main(job)), encoding="utf-8")
