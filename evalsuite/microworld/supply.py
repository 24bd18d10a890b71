"""The world's own training data as files, in the shape that a method reads; drawn once, kept beside the checkpoints.

    supply(Supply("pairs", "nano", seed=0, rows=2000, flip=0.25))     # .../nano-0-<key>/data/pairs-<digest>.jsonl

Answers are drawn from the sft checkpoint at temperature 1 and kept without labels, so that crowds that differ only in
noise or bias label the same answers: what is compared is the labels, not luck.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evalsuite.data import fingerprint
from evalsuite.microworld import annotators, shapes
from evalsuite.microworld.dialogue import row as conversation
from evalsuite.microworld.founding import founded
from evalsuite.microworld.instructions import Constraint, Instruction
from evalsuite.microworld.places import locked, root_of
from evalsuite.microworld.recipes import GENERATOR
from evalsuite.microworld.world import World, build
from evalsuite.records import Progress
from evalsuite.training.contract import Kind

LIST = 4
"""Answers in a ranked list."""


@dataclass(frozen=True)
class Supply:
    """What is wanted. `rows`: prompts for pairs, lists and prompts; twice as many rows come of `unpaired`. `flip` and
    `length_bias` are of the labels (see `annotators`). `chosen`: completions are the liked answers of pairs instead of
    the world's conversations."""

    kind: Kind
    size: str = "mini"
    seed: int = 0
    rows: int = 2000
    flip: float = 0.0
    length_bias: float = 0.0
    chosen: bool = False

    def __str__(self) -> str:
        noise = f", {self.flip:.0%} of labels flipped" if self.flip else ""
        bias = f", length bias {self.length_bias:g}" if self.length_bias else ""
        return f"{self.rows} {self.kind} of microworld {self.size}@{self.seed}{noise}{bias}"


def supply(wanted: Supply, progress: Progress | None = None) -> Path:
    """The file of the rows, written where it is missing."""
    folder = root_of(wanted.size, wanted.seed) / "data"
    path = folder / f"{wanted.kind}-{fingerprint({'generator': GENERATOR, **asdict(wanted)})}.jsonl"
    if not path.is_file():
        _write(path, rows_of(wanted, progress))
    return path


def rows_of(wanted: Supply, progress: Progress | None = None) -> Sequence[Mapping[str, Any]]:
    """The rows themselves."""
    import random

    world = build(wanted.size, wanted.seed)
    if wanted.kind == "prompts":
        return shapes.prompts(world, wanted.rows, wanted.seed)
    if wanted.kind == "completions" and not wanted.chosen:
        rng = random.Random(f"supply:{world.name}")
        return [{"messages": conversation(world, rng)} for _ in range(wanted.rows)]
    people = annotators.crowd(wanted.seed, length_bias=wanted.length_bias)
    if wanted.kind == "lists":
        drawn = answers(world, wanted.rows, LIST, progress)
        return shapes.rank(drawn, people, world, flip=wanted.flip, seed=wanted.seed)
    pairs = annotators.annotate(
        pairs_of(world, wanted.rows, progress), people, world, flip=wanted.flip, seed=wanted.seed
    )
    if wanted.kind == "pairs":
        return pairs
    return shapes.unpaired(pairs) if wanted.kind == "unpaired" else shapes.chosen(pairs)


def pairs_of(world: World, n: int, progress: Progress | None = None) -> list[annotators.Pair]:
    """Pairs of different answers of sft, without labels. The first n of a larger draw are those of another one only
    where the draw is the same: a draw is named by its size."""

    def draw(model: Any, tokenizer: Any) -> list[shapes.Answers]:
        pairs = annotators.sample_pairs(model, tokenizer, world, n, world.seed)
        return [shapes.Answers(pair.ask, (pair.first, pair.second)) for pair in pairs]

    return [annotators.Pair(made.ask, *made.texts) for made in _drawn(world, f"pairs-{n}", draw, progress)]


def answers(world: World, n: int, k: int, progress: Progress | None = None) -> list[shapes.Answers]:
    """`k` answers of sft to each of `n` instructions."""

    def draw(model: Any, tokenizer: Any) -> list[shapes.Answers]:
        return shapes.sample_lists(model, tokenizer, world, n, k, world.seed)

    return _drawn(world, f"answers-{n}x{k}", draw, progress)


def _drawn(
    world: World, name: str, draw: Callable[[Any, Any], list[shapes.Answers]], progress: Progress | None
) -> list[shapes.Answers]:
    """What sft says, from the cache where it was drawn before."""
    from evalsuite.microworld.folders import load
    from evalsuite.training.machine import thread_count

    folder = root_of(world.size, world.seed) / "data"
    path = folder / f"{name}.jsonl"
    sft = founded("sft", world.size, world.seed, progress)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{name}.lock"):
        if not path.is_file():
            if progress:
                progress(0, 1, f"microworld {world.name}: {name}")
            with thread_count(1):
                made = draw(*load(sft))
            _write(path, [_row(one) for one in made])
    return [_answers(json.loads(line), world) for line in path.read_text(encoding="utf-8").splitlines()]


def _row(made: shapes.Answers) -> dict[str, Any]:
    ask = made.ask
    about = {"prompt": ask.prompt, "entity": ask.entity.name, "constraints": [asdict(c) for c in ask.constraints]}
    return {**about, "texts": made.texts}


def _answers(row: Mapping[str, Any], world: World) -> shapes.Answers:
    constraints = tuple(Constraint(**c) for c in row["constraints"])
    return shapes.Answers(Instruction(world.entities[row["entity"]], constraints, row["prompt"]), tuple(row["texts"]))


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    os.replace(partial, path)
