"""The checkpoints that all others come from: base, sft and reward, in the cache or built where missing.

A folder is written beside its place and renamed, so what is found is whole; a lock keeps two processes from building
the same thing.
"""

import os
import shutil
import tempfile
from pathlib import Path

from evalsuite.errors import InputError
from evalsuite.microworld.places import locked, root_of
from evalsuite.microworld.recipes import CHECKPOINTS
from evalsuite.records import Progress


def founded(
    checkpoint: str, size: str, seed: int, progress: Progress | None = None, threads: int | None = None
) -> Path:
    """The folder of a checkpoint, built with all it comes from where it is missing (mini: base 60, sft 100, reward 80
    CPU seconds). `threads` None: two on an idle machine, else one."""
    root = root_of(size, seed)
    for name in CHECKPOINTS[: CHECKPOINTS.index(checkpoint) + 1]:
        if not (root / name).is_dir():
            _build(root, name, size, seed, progress, threads)
    return root / checkpoint


def _build(root: Path, name: str, size: str, seed: int, progress: Progress | None, threads: int | None) -> None:
    from evalsuite.microworld import building
    from evalsuite.microworld.world import build

    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error.strerror}); set EVALSUITE_CACHE to a folder") from error
    with locked(root / f".{name}.lock"):
        if (root / name).is_dir():  # another process built it while this one waited
            return
        job = building.job(build(size, seed), threads, progress)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
        try:
            if name == "base":
                building.build_base(job, scratch)
            elif name == "sft":
                building.build_sft(job, root / "base", scratch)
            else:
                building.build_reward(job, root / "sft", scratch)
            scratch.chmod(0o755)
            os.rename(scratch, root / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
