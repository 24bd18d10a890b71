"""How much fits: token budgets from one calibration forward, and what counts as running out of memory.

Budgets are whole powers of two, found once for a model on a machine, kept by the store (`Backend.limits`) and halved
where memory runs out all the same, so that a resumed run batches exactly as an unbroken one.
"""

import logging
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf.net import Net, forward, inputs

log = logging.getLogger("evalsuite")

LEAST = 16
HEAD_BYTES = 1 << 29
"""Largest tensor of logits."""

CPU_CHUNK, GPU_CHUNK = 512, 4096
CPU_ROWS, GPU_ROWS = 128, 512
PROBE = 64
"""Tokens of the calibration forward."""


@dataclass(frozen=True)
class Calibration:
    """What one forward told: bytes of cache for a token, bytes of work for a token of a chunk, bytes that are free."""

    cache: int
    work: int
    free: int


def calibrate(net: Net) -> Calibration:
    """Runs one short forward and measures what a token costs. Free memory is the device's, or this process's share of
    the machine's (its own ceiling where it has one)."""
    import torch

    ids = torch.arange(PROBE)[None] % net.vocabulary
    given = inputs(net, ids, torch.ones_like(ids), torch.arange(PROBE)[None])
    cuda = net.device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    output = forward(net, **given, use_cache=net.caches)
    layers = getattr(getattr(output, "past_key_values", None), "layers", ())
    kept = [getattr(layer, name, None) for layer in layers for name in ("keys", "values")]
    held = sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor is not None)
    if cuda:
        work = torch.cuda.max_memory_allocated() - before - held
        free = int(torch.cuda.mem_get_info()[0])
    else:
        # A CPU's allocator keeps no peak: the widest tensors of a layer, counted from the config.
        text = net.module.config.get_text_config()
        width = max(getattr(text, "intermediate_size", None) or 0, 4 * text.hidden_size)
        work = PROBE * 8 * width * 4
        free = free_memory()
    return Calibration(max(1, held // PROBE), max(1, work // PROBE), free)


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has available, or less under a ceiling of its own."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        import resource
    except ImportError:  # Windows has no such ceilings
        return free
    ceiling = resource.getrlimit(resource.RLIMIT_AS)[0]
    if ceiling != resource.RLIM_INFINITY:
        free = min(free, ceiling - int(psutil.Process().memory_info().vms))
    return max(free, 1)


def budgets(net: Net, found: Calibration) -> dict[str, int]:
    """`chunk_tokens` of one packed forward, `slot_tokens` of all texts in the making: an eighth and a third of what is
    free, no more than keeps the device busy."""
    cuda = net.device.startswith("cuda")
    chunk = _power(found.free // 8 // found.work, GPU_CHUNK if cuda else CPU_CHUNK)
    slots = _power(found.free // 3 // found.cache, 1 << (22 if cuda else 16))
    return {"chunk_tokens": chunk, "slot_tokens": slots}


def halve(limits: dict[str, int], name: str) -> bool:
    """Halves a budget after memory ran out, and says so; False where there is nothing left to halve."""
    if limits[name] <= LEAST:
        return False
    limits[name] //= 2
    log.warning("out of memory: %s halved to %d; going on", name, limits[name])
    return True


def ran_out(error: BaseException) -> bool:
    """Whether an exception means that memory ran out: a GPU's, Python's, or torch's allocator on a CPU."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("can't allocate memory", "not enough memory", "bad_alloc", "out of memory")
    )


def _power(number: int, most: int) -> int:
    """The largest power of two of at most `number` and `most`, at least LEAST."""
    return max(LEAST, 1 << (min(max(1, number), most).bit_length() - 1))


def release() -> None:
    """Gives memory of the failed batch back."""
    import gc
    import sys

    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
