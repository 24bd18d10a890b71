"""May two runs be compared on a task? Reasons why not, and what a reader should know where they may.

Refused, never averaged: other task versions, other data under one sample id, other prompts, scores that another judge
or helping model gave. Said beside the figure: another template or system prompt (an effect of format), other sampling,
another engine or number format, another selection of samples.
"""

from typing import TYPE_CHECKING, Any

from evalsuite.store import Run

if TYPE_CHECKING:
    import pandas as pd

NO_HELP = "[]"


def comparability(run: Run, baseline: Run, task: str, rows: "pd.DataFrame") -> tuple[list[str], list[str]]:
    """(reasons against, notes) for one task. `rows`: both runs' samples joined, the baseline's columns end in `|b`."""
    ours, theirs = (side.manifest.get("tasks", {}).get(task, {}) for side in (run, baseline))
    reasons, notes = [], []
    if ours.get("version") != theirs.get("version"):
        reasons.append(f"task version {ours.get('version')} against {theirs.get('version')}")
    same_data = ours.get("data_hash") == theirs.get("data_hash")
    if not same_data:
        if any((rows[c] != rows[f"{c}|b"]).any() for c in ("target", "metadata") if f"{c}|b" in rows):
            reasons.append("the task's data differ on shared sample ids")
        else:
            notes.append(f"other selections of samples: compared on the {rows['sample'].nunique()} that both have")
    # A prompt hash covers all selected samples, so another selection changes it too: then the texts decide. They do as
    # well where a log was imported, whose prompts nobody here has made.
    model, other = run.manifest.get("model", {}), baseline.manifest.get("model", {})
    changed = [key for key in ("template_hash", "system") if model.get(key) != other.get(key)]
    hashes = ours.get("prompt_hash") != theirs.get("prompt_hash")
    if hashes or run.manifest.get("origin"):
        texts = not changed and bool((rows["prompt"] != rows["prompt|b"]).any())
        if (hashes and same_data) or texts:
            reasons.append("the task's prompts differ")
    reasons += _helpers(run, baseline, rows)
    notes += [f"other {'template' if key == 'template_hash' else 'system prompt'}" for key in changed]
    drawn = any(run.manifest.get(k) != baseline.manifest.get(k) for k in ("sampling", "seed"))
    if drawn or ours.get("sampling") != theirs.get("sampling"):
        notes.append("other sampling settings or seed")
    if any(model.get(k) != other.get(k) for k in ("backend", "dtype")):
        notes.append("another engine or number format")
    return reasons, notes


def _helpers(run: Run, baseline: Run, rows: "pd.DataFrame") -> list[str]:
    """Where another model took part in a task's scores, it must be the same one on both sides."""
    if not any((rows[c].fillna(NO_HELP) != NO_HELP).any() for c in ("helped", "helped|b") if c in rows):
        return []
    ours, theirs = (side.manifest.get("roles") or {} for side in (run, baseline))
    return [
        f"another {role} took part: {_name(ours.get(role))} against {_name(theirs.get(role))}"
        for role in dict.fromkeys([*ours, *theirs])
        if _mark(ours.get(role)) != _mark(theirs.get(role))
    ]


def _mark(model: dict[str, Any] | None) -> tuple[Any, ...]:
    return tuple((model or {}).get(k) for k in ("fingerprint", "template_hash", "system"))


def _name(model: dict[str, Any] | None) -> str:
    return str(model.get("name") or model.get("address")) if model else "none"
