"""Who is compared with whom: a checkpoint with its parent, else with the first run named."""

from collections.abc import Sequence

from evalsuite.errors import InputError, unknown
from evalsuite.store import Run


def choose_pairs(runs: Sequence[Run], baseline: Run | None = None) -> list[tuple[Run, Run]]:
    """(run, its baseline) for each comparison, in the order given.

    With `baseline`, every other run against it. Without, each run against the run of its parent (the one whose model
    fingerprint its lineage names; under the same system prompt where several fit). A run without a parent here is the
    root of those trained from it, and is compared with the first run only where it has none of them either.
    Raises InputError where fewer than two different runs are given.
    """
    unique = list({r.name: r for r in runs}.values())
    if baseline is not None:
        pairs = [(run, baseline) for run in unique if run.name != baseline.name]
    else:
        parents = {run.name: parent_of(run, unique) for run in unique}
        roots = {parent.name for parent in parents.values() if parent}
        others = [(run, parents[run.name] or unique[0]) for run in unique if parents[run.name] or run.name not in roots]
        pairs = [(run, other) for run, other in others if run.name != other.name]
    if not pairs:
        raise InputError("a comparison needs two different runs (evalsuite list runs)")
    return pairs


def parent_of(run: Run, runs: Sequence[Run]) -> Run | None:
    """The run among `runs` of the checkpoint that `run`'s checkpoint was trained from."""
    model = run.manifest.get("model", {})
    parent = (model.get("lineage") or {}).get("parent")
    if not parent:
        return None
    found = [r for r in runs if r.manifest.get("model", {}).get("fingerprint") == parent and r.name != run.name]
    same = [r for r in found if r.manifest["model"].get("system") == model.get("system")]
    return next(iter(same or found), None)


def by_name(runs: Sequence[Run], name: str) -> Run:
    for run in runs:
        if name in (run.name, str(run.path)):
            return run
    raise unknown("run", name, [r.name for r in runs])
