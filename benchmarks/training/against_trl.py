"""DPO and SFT: seconds of a step and peak memory beside TRL's own trainers, on the same model, rows and batch shapes.

    python benchmarks/training/against_trl.py                  # a random 10M Llama, and SmolLM2-135M
    python benchmarks/training/against_trl.py --quick          # the random one alone, one round
    python benchmarks/training/against_trl.py --device cuda    # a random Llama of 1.2B and SmolLM2, in bfloat16

Every side is a process of its own; sides alternate, and what is compared is paired within a round. Rows are real pairs
(UltraFeedback) that fill the window, so all batches of both sides have one shape and padding plays no part. A step's
seconds are from the end of one step to the end of the next (data, forward, backward, optimiser), median over steps;
the reference policy's share is counted: ours reads it once before the first step, TRL at every step (`dpo`) or before
as well (`dpo, kept reference`: `precompute_ref_log_probs`). Memory is what the process held at its highest less what it
held with the model loaded, so that imports count for neither side. TRL runs as its defaults say, but for bfloat16 on a
CPU (float32, as ours), gradient checkpointing (off, as ours) and metrics that nobody asked for, which it always makes.
Both sides' weights are float32; a GPU multiplies them in bfloat16. A step of N weights and T tokens is 6 N T operations
(Kaplan et al. 2020), and 2 N T more for a reference that is read in it; their share of the GPU's peak is `utilisation`.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "engine"))
import common

Row = dict[str, Any]
JOBS = ("sft", "dpo", "dpo, kept reference")
SHAPES = {
    "cpu": {"random 10M": (4, 256), "smollm2": (2, 128)},
    "cuda": {"random 1.2B": (8, 512), "smollm2": (16, 512)},
}
"""Rows of a batch (pairs count twice) and tokens of each."""
RANDOM = {"random 10M": "10m", "random 1.2B": "1b"}
PEAK = {"H100": 989e12, "H200": 989e12}
"""Dense bfloat16 operations a second, from the maker's data sheets."""


def main() -> int:
    made = common.parser(__doc__)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--steps", type=int, default=6, help="measured steps of each run, after one to warm up")
    made.add_argument("--models", nargs="*", choices=sorted({*SHAPES["cpu"], *SHAPES["cuda"]}), help="default: both")
    made.add_argument("--jobs", nargs="*", default=list(JOBS), choices=list(JOBS))
    made.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    made.add_argument("--job", help=argparse.SUPPRESS)
    args = made.parse_args()
    if args.job:
        print(json.dumps(alone(json.loads(args.job), args)))
        return 0
    args.models = args.models or list(SHAPES[args.device])
    if args.quick:
        args.rounds, args.models = 1, args.models[:1]
    args.work.mkdir(parents=True, exist_ok=True)
    results, goals = [], []
    for model in args.models:
        folder = str(common.random_llama(RANDOM[model], args) if model in RANDOM else common.model_path(model))
        for name in args.jobs:
            found = compared(name, model, folder, args)
            results.append(found)
            goals += [
                common.goal(f"{model}, {name}: seconds of a step, ours / TRL's", found["time_ratio"], most=1.0),
                common.goal(f"{model}, {name}: peak memory, ours / TRL's", found["memory_ratio"], most=1.0),
            ]
    stem = "training_against_trl" + ("_cuda" if args.device == "cuda" else "")
    args.out = args.out or (None if args.quick else common.RESULTS / f"{stem}.json")
    common.record("against_trl", {"benchmark": "training/against_trl", "results": results, "goals": goals}, args)
    return common.status(goals)


def compared(name: str, model: str, folder: str, args: argparse.Namespace) -> Row:
    """Rounds of both sides in turn; ratios are medians over rounds of ratios within a round."""
    rows: dict[str, list[Row]] = {"ours": [], "trl": []}
    for number in range(args.rounds):
        for side in ("ours", "trl") if number % 2 == 0 else ("trl", "ours"):
            job = {"side": side, "name": name, "model": folder, "shape": shape_of(model), "steps": args.steps,
                   "data": str(args.data), "work": str(args.work), "device": args.device}  # fmt: skip
            rows[side].append(child(job))
            print(f"  {model}, {name}, {side}: {rows[side][-1]}", file=sys.stderr, flush=True)
    pairs = list(zip(rows["ours"], rows["trl"], strict=True))
    return {
        "model": model,
        "job": name,
        "shape": shape_of(model),
        "time_ratio": statistics.median(a["step_s"] / b["step_s"] for a, b in pairs),
        "memory_ratio": statistics.median(a["grown_mib"] / b["grown_mib"] for a, b in pairs),
        **rows,
    }


def shape_of(model: str) -> tuple[int, int]:
    return next(shapes[model] for shapes in SHAPES.values() if model in shapes)


def child(job: Row) -> Row:
    fixed = {"HF_HUB_DISABLE_TELEMETRY": "1", "ACCELERATE_USE_CPU": str(job["device"] == "cpu")}
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, env={**common.environment(), **fixed})
    if done.returncode:
        raise SystemExit(f"{job['side']}, {job['name']}: ended with {done.returncode}\n{done.stderr[-3000:]}")
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


# -- inside a process of its own --------------------------------------------------------------------------------------


def alone(job: Row, args: argparse.Namespace) -> Row:
    """One side's training: {"step_s", "reference_s", "grown_mib", "peak_mib", "loss" of the first step}."""
    import torch
    import torch._dynamo  # optimisers load it at their first step, TRL before that; no part of a step

    if job["device"] == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    made = ours if job["side"] == "ours" else theirs
    ends, losses, meter = [], [], Meter(job["device"])
    begun, reference = made(job, ends, losses, meter)
    gaps = [b - a for a, b in pairwise(ends)]
    step = statistics.median(gaps) + reference / (len(ends) or 1)
    return {
        "step_s": step,
        **throughput(job, step),
        "reference_s": reference,
        "first_step_s": ends[0] - begun,
        "loss": losses[0],
        **meter.read(),
    }


def now(job: Row) -> float:
    """Seconds, once the device has done what it was given."""
    import torch

    if job["device"] == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def throughput(job: Row, step_s: float) -> Row:
    """Tokens learned from in a second; on a GPU whose peak is known also how much of it that took."""
    import torch
    from safetensors import safe_open

    paired = job["name"].startswith("dpo")
    tokens = job["shape"][0] * job["shape"][1] * (2 if paired else 1)
    found: Row = {"tokens_per_s": tokens / step_s}
    if job["device"] == "cuda":
        gpu = torch.cuda.get_device_name()
        with safe_open(Path(job["model"]) / "model.safetensors", "pt") as file:
            names = file.keys()
            weights = sum(math.prod(file.get_slice(name).get_shape()) for name in names)
        found["gpu"] = gpu
        for known, peak in PEAK.items():
            if known in gpu:
                found["utilisation"] = (8 if paired else 6) * weights * tokens / step_s / peak
    return found


class Meter:
    """Memory above what is held when `start` is called."""

    def __init__(self, device: str) -> None:
        self.device = device

    def start(self) -> None:
        import torch

        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.base = torch.cuda.memory_allocated() / 2**20
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts from here
            self.base = held("VmRSS")

    def read(self) -> Row:
        import torch

        peak = torch.cuda.max_memory_allocated() / 2**20 if self.device == "cuda" else held("VmHWM")
        return {"grown_mib": peak - self.base, "peak_mib": peak}


def held(name: str) -> float:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024


def texts(job: Row, tokens: Any) -> list[Row]:
    """Rows whose prompt leaves room and whose both answers fill the window: as many as one epoch takes."""
    from evalsuite.training.data import read

    batch, longest = job["shape"]
    wanted = batch * (job["steps"] + 1)
    found: list[Row] = []
    for row in read(Path(job["data"]) / "preferences/ultrafeedback_binarized/train_first600.jsonl.gz", "pairs"):
        prompt = f"Question: {row.messages[-1]['content']}\nAnswer:"
        if len(tokens(prompt)["input_ids"]) > longest // 2:
            continue
        if all(len(tokens(f"{prompt} {a}")["input_ids"]) > longest + 1 for a in row.answers):
            found.append({"prompt": prompt, "chosen": f" {row.answers[0]}", "rejected": f" {row.answers[1]}"})
        if len(found) == wanted:
            return found
    return (found * wanted)[:wanted]


def ours(job: Row, ends: list[float], losses: list[float], meter: Meter) -> tuple[float, float]:
    """The loop on items cut as TRL cuts them."""
    import accelerate
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from evalsuite.training import methods, trainer
    from evalsuite.training.contract import Item, Settings, Tokenised

    tokens = AutoTokenizer.from_pretrained(job["model"])
    batch, longest = job["shape"]

    def sequence(prompt: str, answer: str) -> Tokenised:
        start, ids = len(tokens(prompt)["input_ids"]), tokens(prompt + answer)["input_ids"][:longest]
        return Tokenised(tuple(ids), tuple(i >= start for i in range(len(ids))))

    name = job["name"].partition(",")[0]
    answers = ("chosen",) if name == "sft" else ("chosen", "rejected")
    items = [Item(tuple(sequence(r["prompt"], r[a]) for a in answers)) for r in texts(job, tokens)]
    net = AutoModelForCausalLM.from_pretrained(job["model"], dtype="float32").to(job["device"])
    method = methods.find(name)
    read, spent = trainer.with_reference, [0.0]

    def timed(*given: Any) -> Any:
        begun = time.perf_counter()
        found = read(*given)
        spent[0] = time.perf_counter() - begun
        return found

    trainer.with_reference = timed
    step = trainer._step

    def seen(*given: Any) -> Any:
        figures = step(*given)
        losses.append(figures["loss"])
        return figures

    trainer._step = seen
    trainer.saving.finish = lambda *_: None  # writing a checkpoint is no part of a step
    accelerate.Accelerator(cpu=job["device"] == "cpu")  # its imports come late, and are no part of a step
    settings = Settings(
        per_device_train_batch_size=batch, learning_rate=1e-5, lr_scheduler_type="constant", warmup_ratio=0.0
    )
    made = trainer.Job(
        method, method.Config(), settings, net, items, tokens.pad_token_id or 0, Path(job["work"]) / "out"
    )
    made.called = lambda *_: bool(ends.append(now(job)))
    meter.start()
    begun = time.perf_counter()
    trainer.train(made)
    return begun, spent[0]


def theirs(job: Row, ends: list[float], losses: list[float], meter: Meter) -> tuple[float, float]:
    """TRL's trainer as its defaults say, without saving or logging."""
    import datasets
    import trl
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    class Ends(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(now(job))

    datasets.disable_progress_bars()
    tokens = AutoTokenizer.from_pretrained(job["model"])
    tokens.chat_template = None
    batch, longest = job["shape"]
    name, _, kept = job["name"].partition(",")
    rows = texts(job, tokens)
    if name == "sft":
        rows = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in rows]
    common_args = {
        "output_dir": str(Path(job["work"]) / "trl"), "per_device_train_batch_size": batch, "num_train_epochs": 1,
        "learning_rate": 1e-5, "lr_scheduler_type": "constant", "report_to": "none", "save_strategy": "no",
        "bf16": job["device"] == "cuda", "use_cpu": job["device"] == "cpu", "gradient_checkpointing": False,
        "max_length": longest, "logging_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False,
    }  # fmt: skip
    net = AutoModelForCausalLM.from_pretrained(job["model"], dtype="float32").to(job["device"])
    kind = "SFT" if name == "sft" else "DPO"
    config, maker = getattr(trl, f"{kind}Config"), getattr(trl, f"{kind}Trainer")  # imported here, late
    meter.start()
    data = datasets.Dataset.from_list(rows)
    more = {"model": net, "train_dataset": data, "processing_class": tokens, "callbacks": [Ends()]}
    reference = 0.0
    if name == "sft":
        trainer = maker(args=config(**common_args), **more)
    else:
        begun = time.perf_counter()
        args = config(**common_args, beta=0.1, precompute_ref_log_probs=bool(kept))
        trainer = maker(args=args, **more)
        trainer.get_train_dataloader()
        reference = time.perf_counter() - begun if kept else 0.0
    compute = trainer.compute_loss

    def seen(*given: Any, **named: Any) -> Any:
        loss = compute(*given, **named)
        losses.append(float(loss.detach()))
        return loss

    trainer.compute_loss = seen
    begun = time.perf_counter()
    trainer.train()
    return begun, reference


if __name__ == "__main__":
    sys.exit(main())
