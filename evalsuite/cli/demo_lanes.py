"""Commands of ours run beside each other, in processes of one thread; what a command prints last is its result.

    results = play([Step("sft", ("microworld", "build", "nano/sft")), Step("eval", ("run", "{sft}", ...))], lanes=2)

A step begins when every step that it names, as `{name}` in its words or in `after`, has its result, which then stands
in the place of `{name}`. `{out}` is a folder of the step's own, named by its other words: where a finished training
stands in it, the step is done. Steps that wait for nothing begin in the order given, so what others need comes first.

A lane is one process for many steps: torch and transformers are imported once in each. Two threads in each of two
processes on two cores would crawl (libgomp spins at its barriers), hence one.
"""

import contextlib
import io
import os
import shlex
import signal
import string
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.errors import BackendError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

DONE = "training.json"


@dataclass(frozen=True)
class Step:
    """`words`: the command's, without `evalsuite`. `make` instead of words: a function of the results so far, called
    in this process, for what takes no time."""

    name: str
    words: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    make: Callable[[Mapping[str, str]], str] | None = None

    @property
    def needs(self) -> set[str]:
        named = {field for word in self.words for _, field, _, _ in string.Formatter().parse(word) if field}
        return (named | set(self.after)) - {"out"}


def play(steps: Sequence[Step], lanes: int, folder: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Runs every step and returns what each printed last, or its `{out}`, a folder under `folder`.

    Raises BackendError naming the step that failed; what was finished or journaled stays, so the same call goes on.
    """
    started, waiting, results = time.monotonic(), list(steps), dict[str, str]()
    crew: list[_Lane] = []
    try:
        while waiting or any(lane.step for lane in crew):
            for step in [s for s in waiting if s.needs <= set(results)]:
                words = words_of(step, results, folder)
                if words is None:
                    results[step.name] = step.make(results) if step.make else str(out_of(step, results, folder))
                elif (lane := _free(crew, lanes)) is not None:
                    say(f"[{time.monotonic() - started:4.0f} s] evalsuite {shlex.join(words)}")
                    lane.begin(step, words)
                else:
                    continue
                waiting.remove(step)
            for step, printed in _collected(crew):
                own = "{out}" in step.words
                results[step.name] = str(out_of(step, results, folder)) if own else printed
    finally:
        for lane in crew:
            lane.end()
    return results


def words_of(step: Step, results: Mapping[str, str], folder: Path) -> list[str] | None:
    """The command as it is run; None where there is none, or a finished training stands in the step's folder."""
    if not step.words:
        return None
    out = out_of(step, results, folder)
    if "{out}" in step.words and (out / DONE).is_file():
        return None
    return [word.format(**results, out=out) for word in step.words]


def out_of(step: Step, results: Mapping[str, str], folder: Path) -> Path:
    """A folder for what this step writes with exactly these words: another model or setting has another one."""
    from evalsuite.data import fingerprint

    return folder / f"{step.name}-{fingerprint([w.format(**results, out='') for w in step.words])[:12]}"


def _free(crew: "list[_Lane]", lanes: int) -> "_Lane | None":
    """An idle lane; a new one where there may be more."""
    idle = next((lane for lane in crew if lane.step is None), None)
    if idle is None and len(crew) < lanes:
        crew.append(idle := _Lane())
    return idle


def _collected(crew: "list[_Lane]") -> "Iterator[tuple[Step, str]]":
    """Waits until a busy lane has something to say: (step, what it printed last)."""
    from multiprocessing.connection import wait

    busy: dict[Any, _Lane] = {lane.pipe: lane for lane in crew if lane.step}
    for pipe in wait(list(busy)) if busy else []:
        lane = busy[pipe]
        assert lane.step is not None
        try:
            status, printed = lane.pipe.recv()
        except EOFError:
            status, printed = "its process ended", ""
        if status != 0:
            raise BackendError(
                f"step {lane.step.name} failed ({status}; see its lines above); the same command resumes"
            )
        yield lane.step, printed
        lane.step = None


class _Lane:
    """A process that runs one command after the other."""

    def __init__(self) -> None:
        from multiprocessing import get_context

        context = get_context("spawn")
        self.step: Step | None = None
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(other,), daemon=True)
        with _one_thread():
            self._process.start()
        other.close()

    def begin(self, step: Step, words: Sequence[str]) -> None:
        self.step = step
        self.pipe.send((step.name, list(words)))

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


@contextlib.contextmanager
def _one_thread() -> Any:
    """Environment that a process is born with: libgomp reads it when torch is loaded."""
    wanted = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def work(pipe: "Connection") -> None:
    """A lane's life: (name, words) in, (exit status, last line of stdout) out, until the other side has gone."""
    from evalsuite.cli import main

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches us too; the parent ends us
    messages = sys.stderr
    while True:
        try:
            name, words = pipe.recv()
        except EOFError:
            return
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(_Named(messages, name)):
            try:
                status: int | str = main(words)
            except SystemExit as stopped:  # argparse's
                status = str(stopped.code)
            except Exception as error:  # a fault of ours: told in full, then the demo ends
                import traceback

                traceback.print_exc()
                status = type(error).__name__
        lines = printed.getvalue().splitlines()
        pipe.send((status, lines[-1] if lines else ""))


class _Named(io.TextIOBase):
    """Lines on another stream, each behind the name of the step that says it."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream, self._name, self._rest = stream, name, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._stream.write(f"  [{self._name}] {line}\n")
        self._stream.flush()
        return len(text)
