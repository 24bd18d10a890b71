"""The machine while something is trained or loaded: how many threads torch takes, and what is kept off the terminal."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path


def default_threads() -> int:
    """Two threads only on an idle machine: beside another busy process two are many times slower than one, because
    OpenMP's threads spin at each barrier; and where spinning is switched off two never pay."""
    spinning = os.environ.get("GOMP_SPINCOUNT") != "0"
    return 2 if spinning and (os.cpu_count() or 1) >= 2 and _idle() else 1


def _idle(seconds: float = 0.3) -> bool:
    """Whether nearly all processor time goes unused now. The load average is a minute old, and holds our own last
    step; it serves only where the system keeps no counters."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return hasattr(os, "getloadavg") and os.getloadavg()[0] < 0.5
    counts = []
    for pause in (seconds, 0.0):
        fields = [int(n) for n in stat.read_text().split("\n", 1)[0].split()[1:9]]
        counts.append((fields[3] + fields[4], sum(fields)))
        time.sleep(pause)
    (idle0, all0), (idle1, all1) = counts
    # One of two cores half busy is already too much.
    return all1 > all0 and (idle1 - idle0) / (all1 - all0) > 0.85


@contextlib.contextmanager
def thread_count(threads: int | None) -> Iterator[None]:
    """Runs a block on that many threads of torch's (None: `default_threads()`)."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or default_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' bars and notes off the terminal for a block: our own progress is shown there."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
