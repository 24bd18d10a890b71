"""The microworld's checkpoints by name: found in the cache, built where missing.

    resolve("sft")            # size mini, seed 0: a Hugging Face folder (base is built first)
    resolve("nano/sft@1")     # size nano, seed 1
    resolve("nano/dpo")       # what a reference trainer makes of sft with the world's data (`kin`)

Where they lie: `places`. How base, sft and reward are built: `founding`.
"""

import re
from pathlib import Path

from evalsuite.errors import InputError
from evalsuite.microworld.founding import founded
from evalsuite.microworld.recipes import CHECKPOINTS, KIN, RECIPES, not_one_of
from evalsuite.records import Progress

NAME = re.compile(r"(?:(?P<size>[^/@]+)/)?(?P<checkpoint>[^/@]+)(?:@(?P<seed>\d+))?")


def parse(rest: str) -> tuple[str, str, int]:
    """(size, checkpoint, seed) of what follows "microworld:". Raises InputError with the nearest names."""
    match = NAME.fullmatch(rest.strip())
    if match is None:
        raise InputError(f"microworld:{rest}: write microworld:[SIZE/]CHECKPOINT[@SEED], such as microworld:nano/sft@1")
    size, checkpoint, seed = match["size"] or "mini", match["checkpoint"], int(match["seed"] or 0)
    if size not in RECIPES:
        raise not_one_of("microworld size", size, RECIPES)
    if checkpoint not in (*CHECKPOINTS, *KIN):
        raise not_one_of("microworld checkpoint", checkpoint, (*CHECKPOINTS, *KIN))
    return size, checkpoint, seed


def resolve(rest: str, progress: Progress | None = None, *, threads: int | None = None) -> Path:
    """The folder of a checkpoint, built with all it comes from where it is missing."""
    size, checkpoint, seed = parse(rest)
    if checkpoint in KIN:
        from evalsuite.microworld import kin

        return kin.train(kin.Wish(checkpoint, size, seed), progress=progress, threads=threads)
    return founded(checkpoint, size, seed, progress, threads)
