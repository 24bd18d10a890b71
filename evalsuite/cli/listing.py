"""list, cache: what is there. Imports no task and no torch."""

import argparse
import re
from typing import Any

from evalsuite.cli import common
from evalsuite.errors import InputError

WHAT = ("tasks", "judges", "methods", "recipes", "backends", "suites", "runs")
BACKENDS = {
    "hf": "transformers in this process: generation, log-likelihood, rewards, embeddings",
    "vllm": "vLLM in this process (extra vllm)",
    "ray": "either of them on the machines of a cluster (extra ray)",
    "openai": "any OpenAI-compatible server: openai:NAME@URL",
    "responses": "answers read from a file: responses:FILE",
}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    listing = verbs.add_parser("list", help=", ".join(WHAT), allow_abbrev=False)
    listing.add_argument("what", choices=WHAT)
    common.add_store(listing)
    common.add_json(listing)
    listing.set_defaults(func=list_verb)

    cache = verbs.add_parser("cache", help="the response cache: size, prune", allow_abbrev=False)
    cache.add_argument("what", choices=("size", "prune"))
    cache.add_argument("--model", metavar="NAME", help="only this model's answers")
    cache.add_argument("--older-than", type=float, metavar="DAYS")
    cache.add_argument("--max-bytes", metavar="N", help="the oldest answers, until the rest takes N (500M, 2G)")
    common.add_store(cache)
    common.add_json(cache)
    cache.set_defaults(func=cache_verb)


def list_verb(args: argparse.Namespace) -> int:
    from evalsuite import registry

    folder = common.store_of(args)
    rows = {
        "tasks": _tasks,
        "judges": _judges,
        "methods": _methods,
        "recipes": _recipes,
        "backends": lambda: [{"name": k, "summary": v} for k, v in BACKENDS.items()],
        "suites": _suites,
        "runs": lambda: _runs(folder),
    }[args.what]()
    broken = list(registry.broken(args.what).values()) if args.what in ("tasks", "judges") else []
    for fault in broken:
        common.say(f"cannot be read: {fault}")
    if args.json:
        common.print_json({args.what: rows, **({"broken": broken} if broken else {})})
        return 0
    if not rows:
        common.say(f"no {args.what} yet")
    keys = [k for k in (rows[0] if rows else {}) if k not in ("folder", "variants", "version", "file")]
    widths = [max(len(str(r[k])) for r in rows) for k in keys]
    for row in rows:
        print("  ".join(str(row[k]).ljust(w) for k, w in zip(keys, widths, strict=True)).rstrip())
    return 0


def _tasks() -> list[dict[str, Any]]:
    from evalsuite import registry

    return [
        {
            "id": i,
            "family": entry.family,
            "summary": _summary(entry, i),
            "notes": "; ".join(_notes(entry, i)),
            "version": entry.spec["version"],
            "variants": list(entry.spec.get("variants", ())),
            "folder": str(entry.folder),
        }
        for entry in registry.entries().values()
        for i in entry.ids()
    ]


def _summary(entry: Any, task: str) -> str:
    """What the subset measures, or the task."""
    named = entry.spec.get("subsets", {})
    return (named.get(_subset(task)) if isinstance(named, dict) else None) or entry.summary


def _notes(entry: Any, task: str) -> list[str]:
    """What a user must know first: that figures were never checked on the real data, which other models are asked."""
    asked = entry.roles_of(_subset(task), task.partition("@")[2])
    notes = ["schema only"] if entry.schema_only(_subset(task)) else []
    notes += [f"asks {'a' if needed else 'perhaps a'} model as {role}" for role, needed in asked.items()]
    return notes + (["executes code"] if entry.spec.get("executes") else [])


def _subset(task: str) -> str:
    return task.partition("@")[0].partition("/")[2]


def _judges() -> list[dict[str, Any]]:
    from evalsuite import registry

    return [
        {"name": name, "protocol": literal.get("protocol", ""), "summary": summary}
        for name, (_, literal, summary) in registry.judges().items()
    ]


def _methods() -> list[dict[str, Any]]:
    from evalsuite.training import methods

    return [
        {"name": name, "summary": card["summary"], "data": card["data"], "source": card["source"]}
        for name, card in methods.cards().items()
    ]


def _recipes() -> list[dict[str, str]]:
    from evalsuite.training import recipes

    return recipes.listed()


def _suites() -> list[dict[str, Any]]:
    from evalsuite import registry

    return [
        {"name": name, "about": suite.about, "tasks": ", ".join(suite.tasks)}
        for name, suite in registry.suites().items()
    ]


def _runs(folder: Any) -> list[dict[str, Any]]:
    from evalsuite.store import list_runs

    return [
        {
            "name": run.name,
            "model": run.manifest["model"]["address"],
            "tasks": len(run.manifest["tasks"]),
            "finished": run.manifest["finished"],
        }
        for run in list_runs(folder)
    ]


def cache_verb(args: argparse.Namespace) -> int:
    from evalsuite.store import Responses

    most = _bytes(args.max_bytes) if args.max_bytes else None
    responses = Responses(common.store_of(args))
    if args.what == "prune":
        figures = {"deleted": responses.prune(args.model, args.older_than, most)}
    else:
        figures = responses.size()
    responses.close()
    if args.json:
        common.print_json(figures)
    else:
        for name, value in figures.items():
            print(f"{name}: {value:,}")
    return 0


def _bytes(text: str) -> int:
    """`2G`, `500M`, `1000`. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d+)([kMG]?)B?", text)
    if match is None:
        raise InputError(f"--max-bytes {text}: a number of bytes is wanted, such as 500M or 2G")
    return int(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]]
