"""A weak judge must look weak: SmolLM2 judges 100 real pairs with human labels (LLMBar's MT-Bench subset), both orders.

    EVALSUITE_DATA=DATA python benchmarks/judging/smollm2_card.py [--pairs 100] [--limit 20] [--out FOLDER]

Runs the commands that a user would: `evalsuite judge pairwise` (verdicts from log-probabilities), then `evalsuite judge
audit` with people's labels, recorded verdicts of strong and weak judges on the same pairs, and attacks. Stopped, the
same command resumes where FOLDER is given. Writes the report card (HTML) to FOLDER and its figures to
benchmarks/results/judging_smollm2_card.json. Exit status 1 where the card fails to call SmolLM2 weak, or a recorded
GPT-4 judge does not stand clear of it.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalsuite import cli
from evalsuite.judging import Annotation, write_annotations

SUBSET = "MT-Bench"
STRONG = ("GPT-4/Vanilla_NoRules", "ChatGPT/Vanilla_NoRules", "LLaMA2/Vanilla_NoRules")
NAMES = ("response 1", "response 2")
RESULT = Path(__file__).resolve().parents[1] / "results" / "judging_smollm2_card.json"


def rows(name: str) -> list[dict[str, Any]]:
    path = Path(os.environ.get("EVALSUITE_DATA", "data")) / "llmbar" / name
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def vote(sample: str, judge: tuple[str, str], order: str, letter: str) -> Annotation:
    preference = {"1": 1.0, "2": 0.0}.get(letter)
    status = "parsed" if preference is not None else "judge_parse"
    return Annotation(sample, "", *NAMES, *judge, "pairwise", order, preference, status)


def prepare(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Answers, people's labels and recorded verdicts as files of this project's own shapes."""
    for number in (1, 2):
        found = [
            {"id": str(p["idx"]), "prompt": p["input"], "response": p[f"output_{number}"], "model": NAMES[number - 1]}
            for p in pairs
        ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
        (folder / f"answers{number}.jsonl").write_text(text, encoding="utf-8")
    people = [replace(vote(str(p["idx"]), ("person", "majority"), "", str(p["label"])), mode="person") for p in pairs]
    write_annotations(folder / "people.jsonl", people)
    recorded = [
        vote(str(p["idx"]), ("recorded", row["evaluator"]), order, row[key][p["idx"]])
        for row in rows("verdicts.jsonl.gz")
        if row["subset"] == SUBSET and row["evaluator"] in STRONG
        for p in pairs
        for key, order in (("w0", "ab"), ("w1", "ba"))
    ]
    write_annotations(folder / "recorded.jsonl", recorded)


def command(*words: str) -> dict[str, Any]:
    """What `evalsuite ... --json` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = cli.main([*words, "--json"])
    if status:
        sys.exit(status)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--limit", type=int, default=20, help="pairs that are attacked")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--out", type=Path, help="folder for the files and the card (default: a temporary one)")
    parser.add_argument("--result", type=Path, default=RESULT)
    args = parser.parse_args()
    folder = args.out or Path(tempfile.mkdtemp(prefix="judge-card-"))
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [row for row in rows("pairs.jsonl.gz") if row["subset"] == SUBSET][: args.pairs]
    prepare(folder, pairs)
    answers = [str(folder / f"answers{number}.jsonl") for number in (1, 2)]
    shared = ["--store", str(folder / "store"), "--judge-model", args.model]
    shared += ["--model-args", "group=16"]  # stopped and run again, it loses so many calls at most
    verdicts = str(folder / "verdicts.jsonl")
    command("judge", "pairwise", "--responses", *answers, "--out", verdicts, *shared)
    people, recorded = str(folder / "people.jsonl"), str(folder / "recorded.jsonl")
    files = ["--annotations", verdicts, "--human", people, "--beside", recorded, "--responses", *answers]
    attacks = ["--judge", "pairwise", "--limit", str(args.limit)]
    card = command("judge", "audit", *files, *attacks, *shared, "--out", str(folder / "card.html"))
    weak = card["words"]["grade"] == "bad"
    lines = {p["name"]: p for p in card["profiles"]}
    mine = card["profiles"][0]
    best = next(p for name, p in lines.items() if STRONG[0] in name)
    apart = best["each"]["low"] > mine["each"]["high"]
    card.pop("card")
    result = {
        "pairs": len(pairs),
        "subset": f"LLMBar {SUBSET}",
        "attacked": args.limit,
        "says weak": weak,
        "GPT-4 stands clear of it": apart,
        "audit": card,
    }
    args.result.write_text(json.dumps(result, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    print(card["words"]["standing"])
    for name, line in lines.items():
        print(
            f"{name:60}", *(f"{field} {_text(line[field])}" for field in ("each", "kappa", "flips", "first", "longer"))
        )
    for null in card["attacks"]["nulls"]:
        print(f"{null['name']}: wins {_text(null['win_rate'])}")
    injection = card["attacks"]["injection"]
    print(*(f"injection {name} {_text(injection[name])}" for name in ("success", "control", "excess")))
    print(f"card: {folder / 'card.html'}")
    return 0 if weak and apart else 1


def _text(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    bounds = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.3f}{bounds}"


if __name__ == "__main__":
    sys.exit(main())
