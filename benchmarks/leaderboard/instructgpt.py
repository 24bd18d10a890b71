"""A leaderboard of real models end to end: InstructGPT's twelve systems and AlpacaFarm's three, from recorded answers.

    python benchmarks/leaderboard/instructgpt.py --data FOLDER --out SITE       # instructgpt_samples/ and alpaca_farm/

gpt → sft → ppo (with and without the pretraining mix) at three sizes, on the same inputs: recorded verdicts of truth,
information and toxicity (tasks in `recorded/`), summaries scored against their references. AlpacaFarm's SFT and RLHF
answers to 252 instructions: how different they are from each other. Every step is a command: `run`, `leaderboard add`,
`leaderboard check`, `leaderboard build`, `compare --lineage`. Results: benchmarks/results/leaderboard_instructgpt.json.
"""

import argparse
import contextlib
import csv
import gzip
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evalsuite.cli import main as evalsuite

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "results" / "leaderboard_instructgpt.json"
PLUGINS = HERE / "recorded"
SIZES = {"xl": "1.3B", "6b": "6B", "175b": "175B"}
PARENTS = {"sft": "gpt", "ppo-ptx": "sft", "ppo-noptx": "sft"}
RECORDED = ("recorded_truthfulqa", "recorded_toxicity")
SCORED = "summary_transfer/length"
FARM = "open_prompts/alpaca_farm:across"
FARM_RUNS = {"sft": None, "rlhf": "alpaca-sft", "baseline": None}
TITLE = "What RLHF changed: InstructGPT and AlpacaFarm"


def systems() -> Iterator[tuple[str, str, str]]:
    """(name, method, size) of the twelve, parents first."""
    for size in SIZES:
        for method in ("gpt", *PARENTS):
            yield f"{method}-{size}", method, size


def answers(data: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of a responses file for each system: the prompt as the tasks ask it, and the recorded answer."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in table(data / "truthful_qa_samples.csv.gz"):
        asked = f"[{row['prompt_type']}] {row['question']}"
        found.setdefault(row["model_type"], []).append({"prompt": asked, "response": row["answer"]})
    for row in table(data / "real_toxicity_samples.csv.gz"):
        basic = row["prompt_type"].startswith("basic")
        asked = row["context"] if basic else f"[{row['prompt_type']}] {row['context']}"
        found.setdefault(row["model_type"], []).append({"prompt": asked, "response": row["sample"]})
    for row in table(data / "tldr_samples.csv.gz"):
        found.setdefault(row["model_type"], []).append({"prompt": row["context"], "response": row["sample"]})
    return found


def table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def told(words: Sequence[object], status: int = 0) -> str:
    """What a command prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        found = evalsuite([str(word) for word in words])
    if found != status:
        raise SystemExit(f"evalsuite {' '.join(map(str, words))}: exit status {found}")
    return out.getvalue()


def submit(name: str, file: Path, tasks: str, about: Mapping[str, str], folder: Path) -> None:
    """A responses file as a run, and the run as a submission."""
    own = ["--store", folder / "store", "--plugins", PLUGINS]
    told(["run", f"responses:{file}", "--tasks", tasks, "--name", name, *own])
    facets = [word for key, value in about.items() for word in ("--about", f"{key}={value}")]
    told(["leaderboard", "add", name, "--results", folder / "results", *facets, *own])


def build(data: Path, folder: Path, site: Path, everything: bool = True) -> dict[str, Any]:
    """Runs, submissions, check and site below `folder`; what `check` and `compare` say. Without `everything`, the
    recorded verdicts alone. The tasks find their data in EVALSUITE_DATA, which is to be `data`."""
    recorded = answers(data / "instructgpt_samples")
    tasks = ",".join((*RECORDED, SCORED) if everything else RECORDED)
    for name, method, size in systems():
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in recorded[name]), encoding="utf-8")
        about = {"method": "base" if method == "gpt" else method, "size": SIZES[size], "base": f"gpt-{size}"}
        if method in PARENTS:
            about["parent"] = f"{PARENTS[method]}-{size}"
        submit(name, file, tasks, about | {"submitter": "recorded by OpenAI, 2022"}, folder)
    if everything:
        for name, parent in FARM_RUNS.items():
            about = {"base": "alpaca_farm", "method": "ppo" if name == "rlhf" else name}
            about |= {"parent": parent} if parent else {}
            submit(f"alpaca-{name}", data / "alpaca_farm" / f"outputs_{name}.json", FARM, about, folder)
    own = ["--results", folder / "results", "--store", folder / "store", "--plugins", PLUGINS]
    checked = json.loads(told(["leaderboard", "check", "--json", *own]))
    told(["leaderboard", "build", "--out", site, "--title", TITLE, *own])
    return {"checked": checked, "lineages": lineages(folder / "store", everything)}


def lineages(store: Path, everything: bool) -> dict[str, list[dict[str, Any]]]:
    """Each step of each lineage: the paired differences of the headline figures."""
    chains = [f"gpt-{s},sft-{s},ppo-{mix}-{s}" for s in SIZES for mix in ("ptx", "noptx")]
    found = {}
    for chain in [*chains, *(["alpaca-sft,alpaca-rlhf"] if everything else [])]:
        words = ["compare", "--lineage", chain, "--store", store, "--plugins", PLUGINS, "--json"]
        said = json.loads(told(words))
        found[chain] = [{"step": f"{c['baseline']} → {c['run']}", "summary": c["summary"]} for c in said["comparisons"]]
    return found


def summary(found: Mapping[str, Any], site: Path) -> dict[str, Any]:
    """How the figures were checked, the headline figures on the site, and what each step of a lineage changed."""
    submissions = found["checked"]["submissions"]
    with (site / "data" / "figures.json").open(encoding="utf-8") as file:
        figures = [{k: f[k] for k in ("run", "task", "metric", "value", "low", "high", "n")} for f in json.load(file)]
    return {
        "models": len(submissions),
        "figures": {
            "re-scored": sum(s["rescored"] for s in submissions),
            "re-aggregated": sum(len(s["reaggregated"]) for s in submissions),
            "unverified": sum(len(s["unverified"]) for s in submissions),
            "refused": sum(len(s["refused"]) for s in submissions),
        },
        "headline": figures,
        "lineages": found["lineages"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the collection of public data")
    parser.add_argument("--out", type=Path, required=True, metavar="SITE")
    parser.add_argument("--json", type=Path, default=OUT)
    args = parser.parse_args()
    os.environ["EVALSUITE_DATA"] = str(args.data)
    with TemporaryDirectory() as folder:
        found = build(args.data, Path(folder), args.out)
    result = summary(found, args.out)
    args.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result["figures"]), args.out / "index.html")
    for chain in found["lineages"].values():
        for step in chain:
            print(step["step"], *step["summary"], sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
