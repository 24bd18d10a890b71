"""A plan in figures: what it costs and what it could find, before anything is computed."""

from collections.abc import Sequence
from typing import Any

from evalsuite.planning.groups import distinct_tokens
from evalsuite.planning.plan import Plan
from evalsuite.records import Unit
from evalsuite.statistics import minimum_detectable_effect


def summarise(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values: totals, one row for each task, and the first sample of each task as the model sees it.

    `distinct_tokens` counts tokens with every shared prefix once. Follow-up stages depend on answers and are not in
    it; tasks that have them say so. `minimum_detectable_effect` is that of a paired comparison of two runs of this
    plan (power 80%, alpha 5%, assumed correlation 0.5).
    """
    units = list(plan.stage.units.values())
    return {
        "model": plan.model.address,
        "name": plan.model.name,
        "fingerprint": plan.model.fingerprint,
        "backend": plan.model.backend,
        "template": plan.planner.renderer.template_name if plan.planner.renderer else "server",
        "bos": plan.planner.renderer.bos if plan.planner.renderer else "server",
        "requests": plan.stage.requests,
        "units": len(units),
        "groups": len(plan.stage.groups),
        "prompt_tokens": sum(_tokens(u) for u in units),
        "distinct_tokens": distinct_tokens(units),
        "max_new_tokens": sum(_new_tokens(u) for u in units),
        "tasks": [_task(plan, t) for t in range(len(plan.tasks))],
    }


def _task(plan: Plan, t: int) -> dict[str, Any]:
    task = plan.tasks[t]
    asked = [keys for slot, keys in plan.asked.items() if slot[0] == t]
    prints = list(dict.fromkeys(p for keys in asked for prints in keys.values() for p in prints or ()))
    units = [plan.stage.units[p] for p in prints if p in plan.stage.units]
    return {
        "task": task.id,
        "version": task.spec["version"],
        "data_hash": task.data_hash,
        "samples": len(task.samples),
        "requests": sum(len(keys) for keys in asked),
        "units": len(units),
        "prompt_tokens": sum(_tokens(u) for u in units),
        "max_new_tokens": sum(_new_tokens(u) for u in units),
        "follows_up": hasattr(task.module, "follow_up"),
        "shortened": len(plan.shortened.get(t, ())),
        "too_long": sum(any(v is None for v in keys.values()) for keys in asked),
        "minimum_detectable_effect": minimum_detectable_effect(len(task.samples)),
        "first": _first(units),
    }


def _first(units: Sequence[Unit]) -> dict[str, Any] | None:
    if not units:
        return None
    unit = units[0]
    return {
        "kind": unit.kind,
        "prompt": unit.prompt or [dict(m) for m in unit.messages],
        "prompt_ids": list(unit.prompt_ids) if unit.prompt_ids is not None else None,
        "continuation": unit.continuation or None,
        "continuation_ids": list(unit.continuation_ids) or None,
        "max_tokens": unit.sampling.max_tokens if unit.kind == "generate" else None,
        "temperature": unit.sampling.temperature if unit.kind == "generate" else None,
    }


def _tokens(unit: Unit) -> int:
    if unit.prompt_ids is not None:
        return len(unit.prompt_ids) + len(unit.continuation_ids)
    # A server's tokenizer is not here: about four characters a token.
    return sum(len(str(m["content"])) for m in unit.messages) // 4


def _new_tokens(unit: Unit) -> int:
    return unit.sampling.max_tokens + unit.sampling.reasoning_tokens if unit.kind == "generate" else 0
