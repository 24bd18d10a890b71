"""Scoring against lm-eval's `hf` backend: shared prefixes, measured. Both sides float32, same threads, same text pairs.

    benchmarks/engine/peers.sh                                # once: the peers' environments
    python benchmarks/engine/scoring.py [--quick] [--fresh]   # fresh: measure the peer again

1. TruthfulQA, all choices of MC1 and MC2, behind the official few-shot text; 2. five-shot MMLU, answers A to D; each on
SmolLM2 and on a Llama of 5M parameters made here (random weights, a tokenizer of its own). Prompt texts are read from
the installed lm-eval. The peer runs at its best batch size of 8, 16 and 32, chosen on 20 questions (quick: 2). Ours
runs before and after the peer; the mean counts.
A quick run asks 8 and 16 questions: less is shared, and start-up weighs more.

Printed and written to benchmarks/results/engine_scoring.json: seconds, ratio, start-up, the largest difference per
token (from lm-eval: of a continuation's sum, over its tokens; from the plain forward: of each token), and tokens
forwarded / tokens of the trie of all requests. Exit status 1 where a goal is missed.
"""

import csv
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
from common import Row, Side, goal, lm_eval, side, spaced

QUESTIONS = {"truthfulqa": 60, "mmlu": 100}
SPEED = {"truthfulqa": 8.0, "mmlu": 4.0}
WITH_STARTUP, DIFFERENCE, FORWARDED = 1.5, 1e-4, 1.05
CHOSEN_ON, CHECKED = 20, 40
QUICK = {"truthfulqa": 8, "mmlu": 16}
LETTERS = [" A", " B", " C", " D"]


# -- requests ---------------------------------------------------------------------------------------------------------


def shipped(python: Path, file: str) -> Row:
    """A YAML file of the installed lm-eval's tasks."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Functions that a file names (`!function utils.x`) are left as their names."""

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    code = "import importlib.util as u; print(u.find_spec('lm_eval').submodule_search_locations[0])"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{python}: lm-eval is not there; run benchmarks/engine/peers.sh") from error
    text = (Path(done.stdout.strip()) / "tasks" / file).read_text(encoding="utf-8")
    found: Row = yaml.load(text, Loader)
    return found


def rendered(template: str, **values: object) -> str:
    from jinja2 import Environment, StrictUndefined

    return Environment(undefined=StrictUndefined).from_string(template).render(**values)


def truthfulqa(data: Path, python: Path, count: int) -> list[tuple[str, list[str]]]:
    """Two requests for each question (MC1's choices, MC2's), as lm-eval's own tasks make them."""
    from evalsuite.data import read_rows

    template = shipped(python, "truthfulqa/truthfulqa_mc1.yaml")["doc_to_text"]
    requests = []
    for row in spaced(read_rows(data / "truthfulqa" / "mc_task_v1.json"), count):
        context = rendered(template, question=row["question"])
        requests += [(context, [f" {choice}" for choice in row[f"{name}_targets"]]) for name in ("mc1", "mc2")]
    return requests


def mmlu(data: Path, python: Path, count: int) -> list[tuple[str, list[str]]]:
    """One request for each question: five solved examples of its subject in front, then the letters. Few questions are
    of one subject, so that as many share its examples as in the whole."""
    template = shipped(python, "mmlu/default/_default_template_yaml")["doc_to_text"]
    asked = []
    files = sorted((data / "mmlu").glob("*_test.csv"))
    for file in files[-1:] if count <= QUICK["mmlu"] else files:
        subject = file.name.removesuffix("_test.csv")
        head = shipped(python, f"mmlu/default/mmlu_{subject}.yaml")["description"]
        with file.with_name(f"{subject}_dev.csv").open(newline="", encoding="utf-8") as lines:
            examples = [f"{question(template, row)} {row[5]}\n\n" for row in list(csv.reader(lines))[:5]]
        with file.open(newline="", encoding="utf-8") as lines:
            asked += [(head + "".join(examples) + question(template, row), LETTERS) for row in csv.reader(lines)]
    return spaced(asked, count)


def question(template: str, row: Sequence[str]) -> str:
    return rendered(template, question=row[0], choices=row[1:5])


MAKERS = {"truthfulqa": truthfulqa, "mmlu": mmlu}


# -- one task on one model --------------------------------------------------------------------------------------------


def measure(task: str, model: tuple[str, str], args: Namespace) -> Row:
    """Ours, the peer, ours again; what differs between their answers."""
    name, address = model
    count = QUICK[task] if args.quick else QUESTIONS[task]
    per = 2 if task == "truthfulqa" else 1  # requests of a question
    requests = MAKERS[task](args.data, args.lm_eval_python, count)
    print(f"{task} on {name}: {count} questions, {sum(len(t) for _, t in requests)} continuations", flush=True)
    peer, folder = lm_eval(args), str(common.model_path(address))
    job: Row = {"verb": "score", "model": folder, "requests": requests}
    few = {**job, "requests": requests[: per * min(2 if args.quick else CHOSEN_ON, count)]}
    batch = common.best_batch(peer, few, args)
    mine = [side(common.OURS, {**job, "model": address, "with_ids": True}, args)]
    theirs = side(peer, {**job, "batch": batch}, args)
    mine.append(side(common.OURS, {**job, "model": address, "with_ids": True}, args))
    calls = sum(m["calls_s"] for m in mine) / len(mine)
    wall = sum(m["wall_s"] for m in mine) / len(mine)
    ours = mine[-1]
    forwarded = ours["counts"].get("forwarded_tokens")
    row: Row = {
        "task": task,
        "model": name,
        "questions": count,
        "continuations": sum(len(t) for _, t in requests),
        "ours_s": calls,
        "ours_each_s": [m["calls_s"] for m in mine],
        "ours_wall_s": wall,
        "lm_eval_s": theirs["calls_s"],
        "lm_eval_wall_s": theirs["wall_s"],
        "lm_eval_batch": batch,
        "ratio": theirs["calls_s"] / calls,
        "ratio_with_startup": theirs["wall_s"] / wall,
        "distinct_tokens": ours["distinct_tokens"],
        "forwarded_tokens": forwarded,
        "forwarded_over_distinct": forwarded / ours["distinct_tokens"] if forwarded else None,
        "same_greedy": same_greedy(ours, theirs),
        "difference_lm_eval": against_peer(ours, theirs),
        "difference_plain": against_plain(ours, folder, args),
        "ours_peak_mib": ours["peak_mib"],
        "lm_eval_peak_mib": theirs["peak_mib"],
    }
    print(f"  ours {calls:.2f} s (wall {wall:.1f}), lm-eval {theirs['calls_s']:.2f} s (wall {theirs['wall_s']:.1f})")
    row["goals"] = [
        goal(f"{task}, {name}: times faster", row["ratio"], least=SPEED[task]),
        goal(f"{task}, {name}: times faster with start-up", row["ratio_with_startup"], least=WITH_STARTUP),
        goal(f"{task}, {name}: forwarded / distinct", row["forwarded_over_distinct"], most=FORWARDED),
        goal(f"{task}, {name}: difference per token, lm-eval", row["difference_lm_eval"], most=DIFFERENCE),
        goal(f"{task}, {name}: difference per token, plain forward", row["difference_plain"], most=DIFFERENCE),
    ]
    return row


def against_peer(ours: Row, theirs: Row) -> float:
    """Largest |difference of a continuation's sums| / its tokens, in nats."""
    pairs = zip(flat(ours["answers"]), flat(theirs["answers"]), strict=True)
    return max(abs(sum(mine["logprobs"]) - other[0]) / len(mine["logprobs"]) for mine, other in pairs)


def same_greedy(ours: Row, theirs: Row) -> float:
    """Share of continuations for which both say the same about being the argmax."""
    pairs = list(zip(flat(ours["answers"]), flat(theirs["answers"]), strict=True))
    return sum(bool(mine.get("greedy")) == other[1] for mine, other in pairs) / len(pairs)


def against_plain(ours: Row, folder: str, args: Namespace) -> float:
    """Largest difference of a single token's log-probability from a forward of that row alone, on some rows."""
    rows = spaced(list(zip(flat(ours["ids"]), flat(ours["answers"]), strict=True)), CHECKED)
    job = {"verb": "score", "model": folder, "ids": [ids for ids, _ in rows]}
    plain = side(common.PLAIN, job, args)["answers"]
    both = zip((answer["logprobs"] for _, answer in rows), plain, strict=True)
    return max(abs(a - b) for mine, other in both for a, b in zip(mine, other, strict=True))


def flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [one for row in rows for one in row]


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=tuple(MAKERS), help="one of the two tasks")
    parser.add_argument("--models", default="smollm2,5m", help="of smollm2 and 5m")
    args = parser.parse_args()
    peer: Side = lm_eval(args)
    rows = []
    for name in args.models.split(","):
        address = name if name == "smollm2" else str(common.random_llama(name, args))
        rows += [measure(task, (name, address), args) for task in MAKERS if args.only in (None, task)]
    result = {"dtype": "float32", "llama_5m": "random weights, tokenizer of 8192 pieces trained here", "rows": rows}
    common.record("scoring", result, args, [peer])
    return common.status([g for row in rows for g in row["goals"]])


if __name__ == "__main__":
    sys.exit(main())
