"""What the reference trainers make of the world: named checkpoints (`microworld:dpo`), and trainings with other labels.

    resolve("nano/dpo")                                    # sft's child by the recipe dpo/microworld, clean labels
    train(Wish("dpo", "nano", flip=0.25))                  # the same with a quarter of the labels flipped
    train(Wish("dpo", "nano", changes={"beta": 0.5}), out=Path("out"))

A wish is data (`supply`) and a recipe (`training/recipes/METHOD/microworld.yaml`, then the size's, then the wish's
changes) for `training.run.start`. Without `out` it is kept in the cache under a name that says what it was made with,
locked, and gone on with where it was stopped.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.microworld.places import locked, root_of
from evalsuite.microworld.recipes import GENERATOR, KIN, Kin
from evalsuite.microworld.supply import Supply, supply
from evalsuite.models.fingerprint import file_hash
from evalsuite.records import Progress

SAVE_STEPS = 50


@dataclass(frozen=True)
class Wish:
    """One training. `rows` None: what the method's recipe was measured with. `flip`, `length_bias`: of the labels.
    `model`: the checkpoint to start from; `data`: a file of rows instead of the world's supply;
    `reward`: what online methods are rewarded by (None: the world's reward model)."""

    method: str
    size: str = "mini"
    seed: int = 0
    rows: int | None = None
    flip: float = 0.0
    length_bias: float = 0.0
    model: str | None = None
    data: str | None = None
    reward: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of all that the weights follow from: another recipe, or another default, is another checkpoint."""
        from evalsuite.training import methods
        from evalsuite.training.run import configured

        content = {"content": file_hash(Path(self.data))} if self.data else {}
        chosen = [asdict(part) for part in configured(methods.find(self.method), settings(self), self.method)]
        return fingerprint({"generator": GENERATOR, **asdict(self), **content, "chosen": chosen})[:12]


def train(
    wish: Wish,
    out: Path | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Path:
    """The finished checkpoint's folder, trained where it is missing. `resume` is about `out`; in the cache a training
    that was stopped always goes on. Raises InputError for a method or knob that does not exist."""
    from evalsuite.training import methods

    methods.find(wish.method)
    if wish.method == "merge":
        raise InputError("microworld train merge: merge two checkpoints with: evalsuite train merge")
    if out is not None:
        _train(wish, out, resume, progress, threads)
        return out
    folder = root_of(wish.size, wish.seed)
    done, work = folder / f"{wish.method}-{wish.digest}", folder / f".{wish.method}-{wish.digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{done.name}.lock"):
        if not done.is_dir():
            if not (work / "training.json").is_file():
                _train(wish, work, True, progress, threads)
            os.rename(work, done)
    return done


def settings(wish: Wish) -> dict[str, Any]:
    """Every setting that is not a default: the recipe's, the size's, the wish's."""
    from evalsuite.training import recipes

    name = f"{wish.method}/microworld"
    found: dict[str, Any] = recipes.read(name, wish.method) if name in recipes.names(wish.method) else {}
    kin = KIN.get(wish.method, Kin())
    found |= {**kin.changes, **(kin.nano if wish.size == "nano" else {})}
    return {"save_steps": SAVE_STEPS, "seed": wish.seed, **found, **wish.changes}


def address(wish: Wish, name: str) -> str:
    return f"microworld:{wish.size}/{name}@{wish.seed}"


def _train(wish: Wish, out: Path, resume: bool, progress: Progress | None, threads: int | None) -> None:
    from evalsuite.training import methods, saving
    from evalsuite.training.machine import thread_count
    from evalsuite.training.run import Order, configured, start

    method, kin = methods.find(wish.method), KIN.get(wish.method, Kin())
    changes = settings(wish)
    configured(method, changes, wish.method)  # a knob that does not exist is told before any answer is drawn
    saving.check_free(out, resume)
    rows = wish.rows or (kin.nano_rows if wish.size == "nano" else kin.rows)
    wanted = Supply(method.DATA, wish.size, wish.seed, rows, wish.flip, wish.length_bias)
    model = wish.model or address(wish, "base" if wish.method == "sft" else "sft")
    data = wish.data or str(supply(wanted, progress))
    order = Order(wish.method, model, data, out, changes)
    if method.DATA == "prompts":
        reward = wish.reward or reward_model(wish, progress)
        order = replace(order, reward=reward, gold=f"gold:{wish.size}@{wish.seed}")
    with thread_count(threads):
        start(order, resume, progress)
    _tell(out, model, wish.data or str(wanted))


def reward_model(wish: Wish, progress: Progress | None = None) -> str:
    """The reward model that online methods are given: `microworld:reward`, but of nano, whose own shows only that the
    path runs, one with as many pairs as preference training has."""
    if wish.size != "nano":
        return address(wish, "reward")
    return str(train(Wish("reward", wish.size, wish.seed), progress=progress, threads=1))


def _tell(folder: Path, model: str, data: str) -> None:
    """Lineage in the world's words: by which name its parent is found, and what the rows are."""
    path = folder / "lineage.json"
    if not path.is_file():  # best-of-n writes answers, no checkpoint
        return
    told = json.loads(path.read_text(encoding="utf-8"))
    parent = model.removesuffix("@0").replace("microworld:mini/", "microworld:")
    path.write_text(json.dumps({**told, "parent_name": parent, "data": data}, indent=1, sort_keys=True) + "\n",
                    encoding="utf-8")  # fmt: skip
