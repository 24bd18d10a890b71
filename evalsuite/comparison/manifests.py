"""What differs in how two runs were made: the first question when two figures disagree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evalsuite.store import Run

# When and where, not how: these differ between any two runs.
PASSING = {"name", "started", "finished", "wall_s", "tokens", "command", "schema", "identity"}
Group = Literal["model", "prompt and data", "sampling", "engine", "environment"]
GROUPS: tuple[tuple[Group, tuple[str, ...]], ...] = (
    ("prompt and data", ("tasks", "data", "prompts", "limit", "model.template", "model.template_hash", "model.system")),
    ("sampling", ("seed", "sampling", "options", "model.sampling")),
    ("engine", ("model.backend", "model.args", "model.dtype", "hardware")),
    ("environment", ("packages", "python")),
    ("model", ("model",)),
)
ABSENT = None


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the manifests (dotted path) with both values; None where a run does not have it."""

    group: Group
    field: str
    first: Any
    second: Any


def manifest_changes(first: Run, second: Run) -> list[Change]:
    """Fields that differ, grouped: model, prompt and data, sampling, engine, environment."""
    a, b = dict(_flat(first.manifest)), dict(_flat(second.manifest))
    order = ["model", "prompt and data", "sampling", "engine", "environment"]
    changes = [
        Change(_group(key), key, a.get(key, ABSENT), b.get(key, ABSENT))
        for key in dict.fromkeys([*a, *b])
        if key.split(".")[0] not in PASSING and a.get(key, ABSENT) != b.get(key, ABSENT)
    ]
    return sorted(changes, key=lambda c: order.index(c.group))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in sorted(value.items()):
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _group(key: str) -> Group:
    for group, prefixes in GROUPS:
        if any(key == p or key.startswith(p + ".") for p in prefixes):
            return group
    return "environment"
