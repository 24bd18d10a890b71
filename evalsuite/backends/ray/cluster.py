"""Connects to a Ray cluster, or starts one on this machine, and says how many workers of what size fit on it.

`--model-args address=local` starts Ray here (the default), `auto` joins the cluster that this machine belongs to (the
default where RAY_ADDRESS is set, as inside a Ray job), `ray://HOST:10001` and `HOST:6379` name one.
"""

import importlib.util
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalsuite.errors import BackendError, MissingExtra, ModelError
from evalsuite.models import ModelOptions

log = logging.getLogger("evalsuite")

STORE_BYTES = 128 << 20
"""Shared memory of a Ray that we start: requests and answers are small, and weights do not travel."""

MOST_CPUS = 4
"""Cores of a worker without an accelerator, where nothing else is said: more add little to one small model."""

PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
"""Arguments of vLLM that make one engine span several accelerators of a machine."""

FORWARDED = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM")
"""Variables of the driver that workers get too, beside all that begin with VLLM_."""


@dataclass(frozen=True)
class Layout:
    """How many workers, and what each one reserves."""

    workers: int
    cpus: float
    gpus: float


def check_installed() -> None:
    """Raises MissingExtra where the package ray is not there."""
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("--backend ray needs the package ray: pip install evalsuite[ray]")


def connect(options: ModelOptions) -> bool:
    """Joins or starts Ray; True where it was started or joined here and is to be left at the end (a program that has
    called ray.init itself keeps its own). Raises BackendError (one line) where there is no cluster at the address."""
    check_installed()
    import ray

    if ray.is_initialized():
        return False
    address = options.args.get("address") or ("auto" if os.environ.get("RAY_ADDRESS") else "local")
    given: dict[str, Any] = {}
    if "://" not in address:  # a client's server has its own settings
        given = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a coming change
        given |= {"include_dashboard": False, "object_store_memory": STORE_BYTES, "num_cpus": _local_cpus(options)}
    try:
        ray.init(address=address, **given)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BackendError(
            f"--model-args address={address}: no Ray cluster answers ({reason}); start one with: ray start --head"
        ) from error
    _quieten()
    return True


def _quieten() -> None:
    """Ray writes what its machines report (a process died, memory is short) on stdout, where `--json` has its one
    object, and has no switch for it; here it goes to the log."""
    from ray._private import worker

    def tell(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
        log.info("ray: %s", " ".join(str(line) for line in data.get("lines", ())))

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = tell


def layout(options: ModelOptions) -> Layout:
    """Workers for the cluster as it is now; `--model-args workers=N cpus=K gpus=K` have their way.

    Without them: one worker for each accelerator (for as many as the product of `PARALLEL`); on a cluster without, one
    for every four cores. Raises BackendError where not even one fits.
    """
    import ray

    nodes: list[Mapping[str, float]] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [node.get("CPU", 0.0) for node in nodes]
    accelerated = any(node.get("GPU") for node in nodes) and options.device != "cpu"
    parts = math.prod(options.number(key, 1) for key in PARALLEL)
    gpus = _amount(options, "gpus", parts if accelerated else 0)
    cpus = _amount(options, "cpus", 1 if gpus else max(1, min(MOST_CPUS, *cores, MOST_CPUS)))
    if "workers" in options.args:
        return Layout(options.number("workers", 1), cpus, gpus)
    fit = sum(_fitting(node, cpus, gpus) for node in nodes)
    if fit < 1:
        has = f"{sum(cores):g} CPUs, {sum(node.get('GPU', 0) for node in nodes):g} GPUs"
        raise BackendError(
            f"no machine of the Ray cluster ({has}) has the {cpus:g} CPUs and {gpus:g} GPUs that a worker wants; give "
            "fewer by --model-args cpus=K gpus=K, or say workers=N where the cluster grows on demand"
        )
    return Layout(fit, cpus, gpus)


def environment(cpus: float) -> dict[str, str]:
    """Variables that a worker computes with: as many threads as it has cores, which do not spin while they wait."""
    threads = str(max(1, int(cpus)))
    forwarded = {k: v for k, v in os.environ.items() if k in FORWARDED or k.startswith("VLLM_")}
    return {**forwarded, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "GOMP_SPINCOUNT": "0"}


def _fitting(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    rooms = [node.get(name, 0.0) // amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount]
    return int(min(rooms, default=0))


def _local_cpus(options: ModelOptions) -> int:
    """Cores that a local Ray counts with: this machine's, or what was asked for."""
    asked = options.number("workers", 1) * _amount(options, "cpus", 1)
    return max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, int(asked))


def _amount(options: ModelOptions, key: str, default: float) -> float:
    text = options.args.get(key)
    if text is None:
        return float(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise ModelError(f"--model-args {key}={text}: a number of at least 0 is wanted")
    return value
