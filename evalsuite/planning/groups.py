"""Units → groups that are run and journaled whole, fixed by the plan alone, never by what the cache already holds.

Units of one group have one kind and one way of drawing (lengths and seeds may differ), so they may share batches.
Scoring groups are cut where the least is shared: sorted by token ids, units with one prefix are neighbours, and an
engine that computes each distinct prefix of a group once computes almost each distinct prefix of the plan once.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from evalsuite.models import Model
from evalsuite.models.tokens import common
from evalsuite.records import Sampling, Unit

GROUP = {"generate": 128, "loglikelihood": 1024, "reward": 64, "embed": 128}
"""Most units of a group. A killed process loses at most one group."""

GROUP_TOKENS = 16384
"""Most distinct tokens of a scoring group."""

Ids = tuple[int, ...]


def group_size(model: Model) -> int | None:
    """Units of a group as `--model-args group=N` has it (large on a large GPU); None: the default of each kind."""
    return model.options.number("group", 1) if "group" in model.options.args else None


def group(units: Sequence[Unit], size: int | None = None) -> list[list[str]]:
    """Fingerprints of units that run together, group by group; `size` overrides the most units of every kind."""
    kinds: dict[tuple[str, Sampling], list[Unit]] = defaultdict(list)
    for unit in units:
        kinds[unit.kind, drawing(unit.sampling)].append(unit)
    groups: list[list[str]] = []
    for (kind, _), members in kinds.items():
        step = size or GROUP[kind]
        if kind == "loglikelihood" and members[0].prompt_ids is not None:
            groups += _by_prefix(members, step)
            continue
        ordered = sorted(members, key=lambda u: (-_limit(u), -_size(u), u.prompt_ids or (), u.fingerprint))
        groups += [[u.fingerprint for u in ordered[i : i + step]] for i in range(0, len(ordered), step)]
    return groups


def drawing(sampling: Sampling) -> Sampling:
    """What rows of one batch must have in common: all of the sampling but length and seed."""
    return replace(sampling, max_tokens=0, reasoning_tokens=0, seed=0)


def distinct_tokens(units: Iterable[Unit]) -> int:
    """Tokens that must be computed at least once when every shared prefix is computed once (the size of the trie)."""
    sequences = sorted({_ids(unit) for unit in units})
    if not sequences:
        return 0
    return len(sequences[0]) + sum(len(b) - common(a, b) for a, b in pairwise(sequences))


def _by_prefix(units: Sequence[Unit], most: int) -> list[list[str]]:
    ordered = sorted(units, key=lambda u: (_ids(u), u.fingerprint))
    ids = [_ids(unit) for unit in ordered]
    # shared[i]: tokens that unit i has in common with the one before it.
    shared = [0, *(common(a, b) for a, b in pairwise(ids))]
    groups, start = [], 0
    while start < len(ordered):
        end, tokens = start + 1, len(ids[start])
        while end < len(ordered) and end - start < most and tokens + len(ids[end]) - shared[end] <= GROUP_TOKENS:
            tokens += len(ids[end]) - shared[end]
            end += 1
        cut = end if end == len(ordered) else _cut(shared, start, end)
        groups.append([unit.fingerprint for unit in ordered[start:cut]])
        start = cut
    return groups


def _cut(shared: Sequence[int], start: int, end: int) -> int:
    """Where to end a full group: in its second half, in front of the unit that shares the least with its left."""
    middle = start + max(1, (end - start + 1) // 2)
    return min(range(end, middle - 1, -1), key=lambda i: shared[i])


def _ids(unit: Unit) -> Ids:
    return (unit.prompt_ids or ()) + unit.continuation_ids


def _limit(unit: Unit) -> int:
    return unit.sampling.max_tokens + unit.sampling.reasoning_tokens


def _size(unit: Unit) -> int:
    return len(unit.prompt_ids) if unit.prompt_ids is not None else sum(len(str(m["content"])) for m in unit.messages)
