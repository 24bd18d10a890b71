"""The training log: one JSON object a line in `training_log.jsonl`, and the trackers that the user asked for."""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import MissingExtra

NAME = "training_log.jsonl"
Tracker = Literal["tensorboard", "wandb"]
Tell = Callable[[int, Mapping[str, float]], None]


class Log:
    """Appends rows {"step", figures...}. A resumed training drops rows behind its start: each step is told once."""

    def __init__(self, folder: Path, trackers: Sequence[Tracker] = (), start: int = 0) -> None:
        check(trackers)
        self.path = folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read(folder) if row["step"] <= start] if start else []
        self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        self._trackers = [(_board if tracker == "tensorboard" else _run)(folder) for tracker in trackers]

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        row = {"step": step, **{name: float(f"{value:.6g}") for name, value in figures.items()}}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for tell, _ in self._trackers:
            tell(step, figures)

    def close(self) -> None:
        """Ends what trackers have open, so that the next training of this process has its own."""
        for _, end in self._trackers:
            end()


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows of a checkpoint's log; none where it has no log."""
    path = folder / NAME
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def check(trackers: Sequence[Tracker]) -> None:
    """Raises MissingExtra for a tracker that is not installed."""
    for tracker in trackers:
        if find_spec(tracker) is None:
            raise MissingExtra(f"--log-to {tracker}: not installed; pip install {tracker}")


def _board(folder: Path) -> tuple[Tell, Callable[[], Any]]:
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(folder / "tensorboard"))

    def tell(step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            board.add_scalar(name, value, step)
        board.flush()

    return tell, board.close


def _run(folder: Path) -> tuple[Tell, Callable[[], Any]]:
    import wandb

    quiet = wandb.Settings(console="off")  # what the terminal shows is no part of a run
    run = wandb.init(project="evalsuite", name=folder.name, dir=str(folder), settings=quiet)
    return lambda step, figures: run.log(dict(figures), step=step), run.finish
