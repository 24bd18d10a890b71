"""A task bound to its data: the module's functions with their setup, and the samples they gave."""

import inspect
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from evalsuite.data import Setup, fingerprint
from evalsuite.errors import EvalsuiteError, InputError, TaskError, unknown
from evalsuite.planning.options import Options
from evalsuite.records import Completions, Kind, Metric, Request, Sample, Score
from evalsuite.registry import TaskRef, load_module


@dataclass(frozen=True)
class Task:
    """A task with its samples. Its functions are pure; errors of a task's own code name the task and the sample."""

    ref: TaskRef
    setup: Setup
    module: ModuleType
    samples: tuple[Sample, ...]

    @property
    def id(self) -> str:
        return self.ref.id

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.ref.entry.spec

    @property
    def primary(self) -> str:
        """The headline metric's name."""
        primary = self.spec.get("primary", "acc")
        return str(primary[self.ref.subset] if isinstance(primary, dict) else primary)

    @cached_property
    def data_hash(self) -> str:
        return fingerprint([asdict(s) for s in self.samples])

    def prompt(self, sample: Sample) -> list[Request]:
        if not hasattr(self.module, "prompt"):
            return [Request("generate", sample.messages)]
        return list(self._call("prompt", sample))

    def follow_up(self, sample: Sample, completions: Completions) -> list[Request]:
        if not hasattr(self.module, "follow_up"):
            return []
        return list(self._call("follow_up", sample, completions))

    def score(self, sample: Sample, completions: Completions) -> dict[str, Score]:
        """Scores by metric name; plain numbers and booleans become scores of weight 1."""
        raw = self._call("score", sample, completions)
        if not isinstance(raw, Mapping):
            raise TaskError(f"task {self.id}, sample {sample.id}: score returned {type(raw).__name__}, not a dict")
        return {str(k): v if isinstance(v, Score) else Score(float(v)) for k, v in raw.items()}

    def metrics(self, rows: Sequence[tuple[Sample, Mapping[str, Score]]]) -> list[Metric]:
        """Corpus figures of the task's own, beside the weighted means that every score gets."""
        return list(_call(self.module.metrics, rows, self.setup)) if hasattr(self.module, "metrics") else []

    def gold(self, sample: Sample) -> Any:
        return self._call("gold", sample)

    def near_miss(self, sample: Sample) -> Any:
        return self._call("near_miss", sample)

    def _call(self, name: str, sample: Sample, *more: Any) -> Any:
        try:
            return _call(getattr(self.module, name), sample, *more, self.setup)
        except EvalsuiteError:
            raise
        except Exception as error:
            where = _where(error, Path(self.module.__file__ or ""))
            kind = type(error).__name__
            raise TaskError(f"task {self.id}, sample {sample.id}: {name} failed{where} ({kind}: {error})") from error


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a task's function with as many arguments as it takes: the setup comes last and may be left out."""
    wanted = len(inspect.signature(function).parameters)
    return function(*arguments[:wanted])


def _where(error: Exception, path: Path) -> str:
    lines = [frame.lineno for frame in _frames(error) if Path(frame.filename) == path]
    return f" at {path.name}:{lines[-1]}" if lines else ""


def _frames(error: Exception) -> list[Any]:
    import traceback

    return list(traceback.extract_tb(error.__traceback__))


def bind(ref: TaskRef, kinds: frozenset[Kind], options: Options) -> Task:
    """Imports a task and loads its samples as the command asks.

    `kinds` is what the model can answer: it decides the method where the task has several.
    """
    ref = ref.choose(kinds)
    entry = ref.entry
    shots = re.fullmatch(r"(\d+)shot", ref.variant)
    official = options.prompts.get("official")
    if ref.variant == "official" and official is None:
        raise InputError(
            f"task {ref.id}: the benchmark's own prompt is read from your copy; give --prompts official=PATH"
        )
    if official is not None and "official" in entry.spec.get("variants", ()) and not ref.variant:
        ref = TaskRef(entry, ref.subset, ref.method, "official")
    stem = entry.name + (f"/{ref.subset}" if ref.subset else "")
    setup = Setup(
        task=ref.id,
        folder=entry.folder,
        subset=ref.subset,
        method=ref.method,
        variant=ref.variant,
        data=options.data.get(stem) or options.data.get(entry.name),
        official=Path(official).expanduser() if official and ref.variant == "official" else None,
        fewshot=int(shots[1]) if shots else options.fewshot,
        seed=options.seed,
        public=entry.spec.get("public"),
    )
    module = load_module(entry.folder / "task.py", "task")
    for name in ("load", "score"):
        if not hasattr(module, name):
            raise TaskError(f"{entry.folder / 'task.py'}: a task needs a function {name}(...)")
    try:
        samples = _select(ref.id, _call(module.load, setup), options, options.limit_of(stem))
    except EvalsuiteError:
        raise
    except Exception as error:
        where = _where(error, entry.folder / "task.py")
        raise TaskError(f"task {ref.id}: load failed{where} ({type(error).__name__}: {error})") from error
    return Task(ref, setup, module, samples)


def _select(task: str, loaded: Any, options: Options, limit: int | None) -> tuple[Sample, ...]:
    if options.samples:
        every = list(loaded)
        wanted = [s for s in every if s.id in options.samples]
        if not wanted:
            raise unknown("sample", options.samples[0], [s.id for s in every])
        samples = tuple(wanted)
    else:
        samples = tuple(itertools.islice(loaded, limit))
    if not samples:
        raise InputError(f"task {task}: its data has no samples")
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise TaskError(f"task {task}: two samples have the id '{sample.id}'")
        seen.add(sample.id)
    return samples


def bind_all(refs: Sequence[TaskRef], kinds: frozenset[Kind], options: Options) -> list[Task]:
    """Binds every task; `--data` names that fit no task of the command are an error."""
    names = {r.entry.name for r in refs} | {f"{r.entry.name}/{r.subset}" for r in refs}
    for key in options.data:
        if key not in names:
            raise unknown("task", key, names)
    return [bind(ref, kinds, options) for ref in refs]
