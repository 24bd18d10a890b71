"""Do our backend and scoring answer as lm-eval does? On one local model folder, float32, CPU; needs no network.

    benchmarks/lm_eval_env.sh
    python benchmarks/agreement_lm_eval.py --model FOLDER --data FOLDER_OF_PUBLIC_DATA

1. lm-eval runs its own TruthfulQA MC1 and MC2 (raw text) and IFEval (chat template, greedy) on local copies of the
   data and logs every context and continuation. Logs are kept under --work and used again.
2. The same contexts and continuations go through `evalsuite.backends.hf` and the tasks' own scoring.
3. Compared: summed log-likelihoods, MC1, MC2; IFEval completions and verdicts. Where two completions part, both next
   tokens are scored after what they share: a small gap is rounding between two batch compositions, a large one a fault.

The result is written to --out; exit status 1 where a figure is out of bounds.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from divergence import Next  # noqa: E402

from evalsuite.data import Setup, read_rows  # noqa: E402
from evalsuite.records import Completion, Completions, Sample, Sampling, Unit, user  # noqa: E402

QUESTIONS, PROMPTS, TOKENS = 40, 50, 256
LOGLIKELIHOOD, MASS, GAP = 1e-3, 1e-3, 1e-3
Row = dict[str, Any]

INCLUDE = """include: {source}
task: {name}
tag: null
dataset_path: json
dataset_name: null
dataset_kwargs: {{data_files: {{{split}: {file}}}}}
"""
GENERATION = "generation_kwargs: {{until: [], do_sample: false, temperature: 0.0, max_gen_toks: {tokens}}}\n"
RUN = """
import sys, langdetect
langdetect.DetectorFactory.seed = 0
from lm_eval.__main__ import cli_evaluate
sys.argv[0] = "lm_eval"
cli_evaluate()
"""


# -- lm-eval's half ---------------------------------------------------------------------------------------------------


def spaced(rows: Sequence[Row], count: int) -> list[Row]:
    """`count` rows, evenly spaced."""
    return [rows[i * len(rows) // count] for i in range(count)]


def write_tasks(work: Path, data: Path, python: Path) -> None:
    """lm-eval's own task files, pointed at local data."""
    shipped = run([python, "-c", "import lm_eval.tasks as t; print(t.__path__[0])"], capture_output=True)
    folder, tasks = Path(shipped.stdout.strip()), work / "tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    questions = [
        {key: lists(value) if key.startswith("mc") else value for key, value in row.items()}
        for row in spaced(read_rows(data / "truthfulqa" / "mc_task_v1.json"), QUESTIONS)
    ]
    prompts = spaced(read_rows(data / "ifeval" / "input_data.jsonl"), PROMPTS)
    for file, rows in (("questions.jsonl", questions), ("prompts.jsonl", prompts)):
        (work / file).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for name in ("mc1", "mc2"):
        source = folder / "truthfulqa" / f"truthfulqa_{name}.yaml"
        text = INCLUDE.format(source=source, name=f"local_{name}", split="validation", file=work / "questions.jsonl")
        (tasks / f"local_{name}.yaml").write_text(text)
    text = INCLUDE.format(
        source=folder / "ifeval" / "ifeval.yaml", name="local_ifeval", split="train", file=work / "prompts.jsonl"
    )
    (tasks / "local_ifeval.yaml").write_text(text + GENERATION.format(tokens=TOKENS))


def lists(targets: dict[str, int]) -> dict[str, list[Any]]:
    return {"choices": list(targets), "labels": list(targets.values())}


def run_lm_eval(work: Path, model: Path, python: Path) -> None:
    golden = load_module(ROOT / "benchmarks" / "ifeval_golden.py")
    if not (work / "nltk").exists():
        golden.provide_punkt(work / "nltk")
    environment = {
        **os.environ,
        **{"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        **{"HF_DATASETS_CACHE": str(work / "datasets"), "NLTK_DATA": str(work / "nltk")},
    }
    common = ["--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu", "--log_samples"]
    for name, tasks, more in (
        ("truthfulqa", "local_mc1,local_mc2", ["--batch_size", "4"]),
        ("ifeval", "local_ifeval", ["--batch_size", "10", "--apply_chat_template"]),
    ):
        if not logs(work, tasks.split(",")[-1]):
            print(f"lm-eval: {tasks}", flush=True)
            where = ["--tasks", tasks, "--include_path", work / "tasks", "--output_path", work / "out" / name]
            run([python, "-c", RUN, *common, *where, *more], env=environment)


def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def logs(work: Path, task: str) -> list[Row]:
    """One row for each document, in the documents' order: its arguments, lm-eval's answers and metrics."""
    files = sorted((work / "out").rglob(f"samples_{task}_*.jsonl"))
    return sorted(read_rows(files[-1]), key=lambda row: int(row["doc_id"])) if files else []


def arguments(row: Row) -> Iterator[tuple[str, Any]]:
    for index in range(len(row["arguments"])):
        pair = row["arguments"][f"gen_args_{index}"]
        yield pair["arg_0"], pair["arg_1"]


# -- our half ---------------------------------------------------------------------------------------------------------


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem + "_of_" + path.parent.name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ours:
    """Our backend on a model folder, and one task's samples and scores."""

    def __init__(self, model: Path) -> None:
        self.next = Next(str(model))
        assert self.next.renderer is not None
        self.renderer = self.next.renderer
        self.backend = self.next.backend

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Completion]:
        units = []
        for context, continuation in (distinct := list(dict.fromkeys(pairs))):
            ids, tail = self.renderer.pair_ids([user(context)], continuation, raw=True)
            units.append(Unit("", "loglikelihood", (user(context),), prompt_ids=ids, continuation_ids=tail))
        return dict(zip(distinct, self.backend.loglikelihood(units), strict=True))

    def gap(self, unit: Unit, completion: Completion, theirs: str) -> Row:
        """Where two completions part, and how near the two next tokens were there (divergence.py)."""
        return self.next.gap(unit.prompt_ids or (), completion.text, theirs)


def samples(family: str, name: str, file: Path, subset: str = "") -> tuple[ModuleType, Setup, list[Sample]]:
    folder = ROOT / "tasks" / family / name
    module = load_module(folder / "task.py")
    setup = Setup(name, folder, subset=subset, method="logprob" if subset else "", data=str(file))
    return module, setup, list(module.load(setup))


def compare_choice(work: Path, ours: Ours) -> Row:
    """Log-likelihoods of every logged pair, and both subsets' scores of every question."""
    logged = {name: logs(work, f"local_{name}") for name in ("mc1", "mc2")}
    answers = ours.score_pairs([pair for rows in logged.values() for row in rows for pair in arguments(row)])
    result: Row = {"questions": QUESTIONS, "pairs": len(answers), "mean": {}}
    worst = [0.0]
    for name, rows in logged.items():
        module, setup, ourselves = samples("factuality", "truthfulqa", work / "questions.jsonl", name)
        mine, theirs = [], [float(row["acc"]) for row in rows]
        for row, sample in zip(rows, ourselves, strict=True):
            found = [answers[pair] for pair in arguments(row)]
            logged_sums = [float(answer[0][0]) for answer in row["resps"]]
            worst += [abs(one.logprob - other) for one, other in zip(found, logged_sums, strict=True)]
            mine.append(next(iter(module.score(sample, Completions({"answer": found}), setup).values())).value)
        result[f"largest_difference_{name}"] = max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
        result["mean"][name] = {"ours": round(fmean(mine), 6), "lm_eval": round(fmean(theirs), 6)}
    result["largest_difference_loglikelihood"] = max(worst)
    result["agrees"] = (
        result["largest_difference_loglikelihood"] <= LOGLIKELIHOOD
        and result["largest_difference_mc1"] == 0
        and result["largest_difference_mc2"] <= MASS
    )
    return result


def compare_ifeval(work: Path, ours: Ours) -> Row:
    """Contexts, greedy completions and verdicts of every prompt; each difference with the gap where it began."""
    rows = logs(work, "local_ifeval")
    module, _, ourselves = samples("instruction_following", "ifeval", work / "prompts.jsonl")
    sampling = Sampling(max_tokens=TOKENS)
    units = [
        Unit("", "generate", s.messages, prompt_ids=ours.renderer.prompt_ids(s.messages), sampling=sampling)
        for s in ourselves
    ]
    same_context = sum(
        ours.renderer.render(s.messages) == next(arguments(row))[0] for s, row in zip(ourselves, rows, strict=True)
    )
    started = time.monotonic()
    completions = ours.backend.generate(units)
    spoken = time.monotonic() - started
    divergences, verdicts, verdicts_elsewhere = [], 0, []
    for sample, row, unit, completion in zip(ourselves, rows, units, completions, strict=True):
        theirs = row["filtered_resps"][0]
        mine = module.score(sample, Completions({"answer": [completion]}))
        same = [mine["prompt_strict"].details[level] == row[f"inst_level_{level}_acc"] for level in ("strict", "loose")]
        verdicts += all(same)
        if completion.text != theirs:
            divergences.append({"sample": sample.id, "same_verdicts": all(same), **ours.gap(unit, completion, theirs)})
        elif not all(same):
            verdicts_elsewhere.append(sample.id)
    return {
        "prompts": len(rows),
        "max_tokens": TOKENS,
        "same_context": same_context,
        "same_completions": len(rows) - len(divergences),
        "same_verdicts": verdicts,
        "divergences": divergences,
        "same_text_other_verdicts": verdicts_elsewhere,
        "tokens": sum(c.tokens for c in completions),
        "truncated": sum(c.finish_reason == "length" for c in completions),
        "generation_seconds": round(spoken, 1),
        "agrees": same_context == len(rows)
        and not verdicts_elsewhere
        and all(d["gap"] is not None and d["gap"] <= GAP for d in divergences),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder with safetensors weights and a chat template")
    parser.add_argument("--data", type=Path, default=os.environ.get("EVALSUITE_DATA"), help="default: $EVALSUITE_DATA")
    parser.add_argument("--work", type=Path, default=ROOT / ".evalsuite" / "agreement_lm_eval", help="kept logs")
    parser.add_argument("--lm-eval-python", type=Path, default=ROOT / ".venv-lmeval" / "bin" / "python")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "agreement_lm_eval.json")
    parser.add_argument("--only", choices=("lm-eval",), help="stop after lm-eval's half")
    options = parser.parse_args()
    work = options.work.resolve()
    write_tasks(work, options.data, options.lm_eval_python)
    run_lm_eval(work, options.model.resolve(), options.lm_eval_python)
    if options.only:
        return 0
    ours = Ours(options.model)
    versions = "from importlib.metadata import version as v; print(*map(v, ('lm_eval', 'torch', 'transformers')))"
    theirs = run([options.lm_eval_python, "-c", versions], capture_output=True).stdout.split()
    result = {
        "model": options.model.name,
        "lm_eval": dict(zip(("lm_eval", "torch", "transformers"), theirs, strict=True)),
        "ours": {name: version(name) for name in ("torch", "transformers")},
        "dtype": "float32",
        "truthfulqa": compare_choice(work, ours),
        "ifeval": compare_ifeval(work, ours),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0 if result["truthfulqa"]["agrees"] and result["ifeval"]["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main())
