"""A task bound to its data: the module's functions with their setup, and the samples they gave."""

import inspect
import itertools
import json
import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from evalsuite.data import ListHash, Setup
from evalsuite.data.images import has_images, settled
from evalsuite.errors import EvalsuiteError, InputError, TaskError, Unavailable, unknown
from evalsuite.planning.options import Options
from evalsuite.planning.samples import SampleList, sample_text
from evalsuite.records import Completions, Kind, Metric, Request, Sample, Score
from evalsuite.registry import TaskRef, load_module


@dataclass(frozen=True)
class Task:
    """A task with its samples. Its functions are pure; errors of a task's own code name the task and the sample."""

    ref: TaskRef
    setup: Setup
    module: ModuleType
    samples: Sequence[Sample]

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
        if isinstance(self.samples, SampleList):
            return self.samples.hash.digest()
        made = ListHash()
        for sample in self.samples:
            made.add(sample_text(sample))
        return made.digest()

    def prompt(self, sample: Sample) -> list[Request]:
        if not hasattr(self.module, "prompt"):
            return [Request("generate", sample.messages)]
        return self._requests("prompt", sample)

    @property
    def follows_up(self) -> bool:
        """Whether answers may lead to further requests."""
        return hasattr(self.module, "follow_up")

    def follow_up(self, sample: Sample, completions: Completions) -> list[Request]:
        if not self.follows_up:
            return []
        return self._requests("follow_up", sample, completions)

    def _requests(self, name: str, sample: Sample, *more: Any) -> list[Request]:
        # Made a list inside the guarded call: a generator runs its body only here.
        made: list[Request] = self._call(name, sample, *more, then=list)
        for request in made:
            if not isinstance(request, Request) or not request.messages:
                found = "a request without messages" if isinstance(request, Request) else type(request).__name__
                raise TaskError(f"task {self.id}, sample {sample.id}: {name} returned {found}, not a Request")
        return [self._with_images(sample, request) for request in made]

    def _with_images(self, sample: Sample, request: Request) -> Request:
        """The request with its images read and checked (`data.images`)."""
        if not has_images(request.messages) and not has_images(request.examples):
            return request
        where = f"task {self.id}, sample {sample.id}, {request.key}"
        home = self.setup.home
        messages = settled(request.messages, where, folder=home)
        return replace(
            request, messages=messages, examples=settled(request.examples, f"{where}, examples", folder=home)
        )

    def score(self, sample: Sample, completions: Completions) -> dict[str, Score]:
        """Scores by metric name; plain numbers and booleans become scores of weight 1.

        Raises TaskError for a value that is no finite number: nan or infinity would spoil the whole figure.
        """
        raw = self._call("score", sample, completions)
        if not isinstance(raw, Mapping):
            raise TaskError(f"task {self.id}, sample {sample.id}: score returned {type(raw).__name__}, not a dict")
        return {str(k): self._checked(sample, str(k), v) for k, v in raw.items()}

    def _checked(self, sample: Sample, name: str, given: Any) -> Score:
        score = given if isinstance(given, Score) else Score(0.0 if given is None else given)
        where = f"task {self.id}, sample {sample.id}: score '{name}'"
        if given is None or isinstance(score.value, str | bytes):
            shown = None if given is None else score.value
            raise TaskError(f"{where} is {shown!r}, not a number (a verdict that is not there: missing(reason))")
        try:
            value = None if score.value is None else float(score.value)
            weight = float(score.weight)
        except (TypeError, ValueError) as error:
            raise TaskError(f"{where} is {score.value!r} of weight {score.weight!r}, not a number") from error
        if not math.isfinite(value or 0.0) or not math.isfinite(weight) or weight < 0:
            raise TaskError(f"{where} is {value} of weight {weight}: both must be finite, no weight below 0")
        fault = not_json(score.details) if score.details else ""
        if fault:
            raise TaskError(f"{where}: its details are no JSON ({fault})")
        return Score(value, score.reason, weight, score.answer, score.details)

    def metrics(self, rows: Sequence[tuple[Sample, Mapping[str, Score]]]) -> list[Metric]:
        """Corpus figures of the task's own, beside the weighted means that every score gets."""
        if not hasattr(self.module, "metrics"):
            return []
        made: list[Metric] = self._guarded("metrics", (rows, self.setup), "", list)
        for metric in made:
            fault = not_json(asdict(metric)) if isinstance(metric, Metric) else type(metric).__name__
            if fault:
                raise TaskError(f"task {self.id}: metrics returned no Metric of finite numbers ({fault})")
        return made

    @cached_property
    def baselines(self) -> Mapping[str, Mapping[str, float]]:
        """Constant baselines by metric and name: TASK["baselines"] (a number is chance), and above them what the task's
        `baselines(samples, setup)` computes from the data as loaded."""
        found: dict[str, dict[str, float]] = {}
        for name, given in self.spec.get("baselines", {}).items():
            table = given if isinstance(given, dict) else {"chance": given}
            found[name] = {str(k): float(v) for k, v in table.items()}
        if hasattr(self.module, "baselines"):
            made: Mapping[str, Any] = self._guarded("baselines", (self.samples, self.setup), "", dict)
            for name, table in made.items():
                found.setdefault(name, {}).update({str(k): float(v) for k, v in table.items()})
        return found

    def law(self) -> list[str]:
        """Violations of the law that a task without gold states about its metric; empty where it holds."""
        made: list[str] = self._guarded("law", (self.setup,), "", list)
        return made

    def gold(self, sample: Sample) -> Any:
        return self._call("gold", sample)

    def near_miss(self, sample: Sample) -> Any:
        return self._call("near_miss", sample)

    def _call(self, name: str, sample: Sample, *more: Any, then: Callable[[Any], Any] | None = None) -> Any:
        return self._guarded(name, (sample, *more, self.setup), f", sample {sample.id}", then)

    def _guarded(self, name: str, arguments: Sequence[Any], where: str, then: Callable[[Any], Any] | None) -> Any:
        try:
            made = _call(getattr(self.module, name), *arguments)
            return then(made) if then is not None else made
        except EvalsuiteError:
            raise
        except Exception as error:
            line = _where(error, Path(self.module.__file__ or ""))
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise TaskError(f"task {self.id}{where}: {name} failed{line} ({what})") from error


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a task's function with as many arguments as it takes: the setup comes last and may be left out."""
    return function(*arguments[: _arity(function)])


@cache
def _arity(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


def not_json(value: Any) -> str:
    """Why a value is no plain JSON (a set, a numpy number, nan, half a surrogate pair); empty where it is."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return ""


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
        hub=entry.hub(ref.subset),
        roles=frozenset(options.helpers),
        run_code=options.run_code,
    )
    _check_roles(ref, options)
    module = load_module(entry.folder / "task.py", "task")
    for name in ("load", "score"):
        if not hasattr(module, name):
            raise TaskError(f"{entry.folder / 'task.py'}: a task needs a function {name}(...)")
    try:
        samples = _select(setup, _call(module.load, setup), options, options.limit_of(stem))
    except EvalsuiteError:
        raise
    except Exception as error:
        where = _where(error, entry.folder / "task.py")
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise TaskError(f"task {ref.id}: load failed{where} ({what})") from error
    return Task(ref, setup, module, samples)


def _check_roles(ref: TaskRef, options: Options) -> None:
    """Raises InputError where a role that the task cannot do without has no model, or code would have to be run."""
    for role, needed in ref.entry.roles_of(ref.subset, ref.method).items():
        if needed and role not in options.helpers:
            option = "--judge-model M" if role in ("judge", "auxiliary") else f"--role {role}=MODEL"
            raise Unavailable(f"task {ref.id} asks a model in the role '{role}': give {option}")
    if ref.entry.spec.get("executes") and not options.run_code:
        raise Unavailable(f"task {ref.id} executes code that the model wrote (in a sandbox): allow it with --run-code")


def without_examples(tasks: Sequence[Task], named: Collection[TaskRef], fewshot: int | None) -> list[str]:
    """The ids of tasks that `--fewshot N` says nothing to, because they have no demonstrations. Raises InputError where
    one of them is among the tasks that the command `named`, alone and not as part of a family or a suite."""
    asked = {(ref.entry.name, ref.subset) for ref in named}
    bare = [t for t in tasks if fewshot and not t.ref.entry.demonstrates(t.ref.method, t.ref.variant)]
    for task in bare:
        if (task.ref.entry.name, task.ref.subset) in asked:
            raise InputError(f"task {task.id} has no demonstrations: leave --fewshot {fewshot} out")
    return [task.id for task in bare]


def _select(setup: Setup, loaded: Iterable[Any], options: Options, limit: int | None) -> SampleList:
    """The samples that are wanted, each checked; they move to a temporary file where they are many."""
    wanted, passed = frozenset(options.samples), []
    task, samples = setup.task, SampleList()
    stop = None if limit is None or wanted else min(limit, sys.maxsize)
    for number, sample in enumerate(itertools.islice(loaded, stop), start=1):
        if not isinstance(sample, Sample) or not isinstance(sample.id, str):
            found = f"the id {sample.id!r}, no text" if isinstance(sample, Sample) else type(sample).__name__
            raise TaskError(f"task {task}: sample {number} of load is {found} (wanted: Sample with a text as its id)")
        if wanted and sample.id not in wanted:
            passed.append(sample.id)
            continue
        if has_images(sample.messages):
            where = f"task {setup.task}, sample {sample.id}"
            sample = replace(sample, messages=settled(sample.messages, where, folder=setup.home))
        try:
            samples.append(sample)
        except (TypeError, ValueError, RecursionError) as error:
            fault = f"task {task}, sample {sample.id!a}: messages, target and metadata must be JSON ({error})"
            raise TaskError(fault) from error
    if wanted and not samples:
        raise unknown("sample", options.samples[0], passed)
    if not samples:
        raise InputError(f"task {task}: its data has no samples")
    twice = samples.doubled()
    if twice is not None:
        raise TaskError(f"task {task}: two samples have the id '{twice}'")
    return samples


def bind_all(
    refs: Sequence[TaskRef], kinds: frozenset[Kind], options: Options, spare: Collection[str] = ()
) -> tuple[list[Task], list[str]]:
    """Binds every task; returns them with the reasons why some of the `spare` ids (of a family, of a suite) are left
    out: they lack data or a model. `--data` names that fit no task of the command are an error."""
    names = {r.entry.name for r in refs} | {f"{r.entry.name}/{r.subset}" for r in refs}
    for key in options.data:
        if key not in names:
            raise unknown("task", key, names)
    # Two names may come to one task once the model has chosen the method: it runs once.
    tasks: dict[str, Task] = {}
    left: list[str] = []
    for ref in refs:
        try:
            task = bind(ref, kinds, options)
        except Unavailable as error:
            if ref.id not in spare:
                raise
            left.append(str(error))
        else:
            tasks[task.id] = task
    if left and not tasks:
        raise InputError(f"none of these tasks can run; the first: {left[0]}")
    if options.samples:
        found = {s.id for task in tasks.values() for s in task.samples}
        absent = [sample for sample in options.samples if sample not in found]
        if absent:
            raise unknown("sample", absent[0], found)
    return list(tasks.values()), left
