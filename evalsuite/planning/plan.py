"""The plan: every request of a command, window by window, deduplicated into units and cut into groups.

A window holds so many samples, in the plan's order, that its requests, units and answers fit into memory whatever the
size of the plan; small plans are one window. Windows, and the groups inside them (`planning.groups`), are fixed by the
plan alone, so a resumed run computes exactly the groups that an unbroken one would.

>>> plan = compile_plan(model, renderer(model), tasks, options)      # every request is made and checked once
>>> for window in plan.windows():                                    # units and groups exist for one window at a time
...     answers = engine.run(window.stage)
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property
from itertools import accumulate
from typing import Any

from evalsuite.data import ListHash, canonical
from evalsuite.data.images import keyed
from evalsuite.errors import InputError, TaskError
from evalsuite.models import Model, Renderer
from evalsuite.planning.groups import group, group_size
from evalsuite.planning.options import Options
from evalsuite.planning.samples import Told, asked_text
from evalsuite.planning.task import Task
from evalsuite.planning.units import Planner
from evalsuite.records import Completion, Completions, Request, Role, Sample, Sampling, Unit

MAX_STAGES = 16

WINDOW = 20_000
"""Slots of a window."""

Slot = tuple[int, int, int]  # (task, sample, repeat), as indices into the plan
Progress = Callable[[int, int, str], None]
Asked = dict[str, tuple[str, ...] | None]


@dataclass
class Stage:
    """Units that can run now: `units` by fingerprint, `groups` of fingerprints, and how many requests they answer, all
    of one model."""

    units: dict[str, Unit] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)
    requests: int = 0
    helpers: "dict[Role, Stage]" = field(default_factory=dict)  # what models in other roles are asked


@dataclass
class Window:
    """Some samples of a plan with what they ask. `asked[slot][key]` are the fingerprints of a request, None where it
    cannot fit; `helped[slot]` are the keys that a model in another role answers; `shortened` are (task, sample) whose
    prompts lost few-shot examples. Slots stand in the plan's order."""

    plan: "Plan"
    samples: dict[tuple[int, int], Sample]
    asked: dict[Slot, Asked] = field(default_factory=dict)
    stage: Stage = field(default_factory=Stage)
    shortened: set[tuple[int, int]] = field(default_factory=set)
    helped: dict[Slot, frozenset[str]] = field(default_factory=dict)

    def slots(self) -> Iterator[tuple[Slot, Task, Sample]]:
        for slot in self.asked:
            yield slot, self.plan.tasks[slot[0]], self.samples[slot[:2]]

    def completions(self, slot: Slot, answers: Mapping[str, Completion]) -> Completions:
        return Completions({k: [answers[f] for f in prints] for k, prints in self.asked[slot].items() if prints})


@dataclass
class Plan:
    """One model through some tasks. `prompt_hashes` are the content hashes of every task's first requests, by id."""

    model: Model
    tasks: list[Task]
    options: Options
    planner: Planner
    helpers: Mapping[Role, Planner] = field(default_factory=dict)
    prompt_hashes: dict[str, str] = field(default_factory=dict)
    doubtful: frozenset[int] = frozenset()  # hashes of sample ids that mean different prompts in two tasks
    first: Window | None = None

    def planner_of(self, role: Role) -> Planner:
        """Whose requests these are: the subject's, or another model's. Raises InputError where the role has none."""
        if role == "subject":
            return self.planner
        if role not in self.helpers:
            raise InputError(f"a task asks a model in the role '{role}', and there is none: give --role {role}=MODEL")
        return self.helpers[role]

    @property
    def stage(self) -> Stage:
        """The first window's stage: all that a small plan asks first."""
        return self.window(0).stage

    @cached_property
    def starts(self) -> list[int]:
        """Where each task's samples begin when all are numbered through; at the end, how many there are."""
        return [0, *accumulate(len(task.samples) for task in self.tasks)]

    @property
    def step(self) -> int:
        """Samples of a window."""
        return max(1, WINDOW // self.options.repeats)

    def __len__(self) -> int:
        """How many windows."""
        return -(-self.starts[-1] // self.step)

    def windows(self, progress: Progress | None = None) -> Iterator[Window]:
        for number in range(len(self)):
            yield self.window(number, progress)

    def window(self, number: int, progress: Progress | None = None) -> Window:
        """A window, compiled: its requests are made again, except for the first one's."""
        if number == 0 and self.first is not None:
            return self.first
        asked = ((place, sample, self.tasks[place[0]].prompt(sample)) for place, sample in self.places(number))
        return self.compile(list(asked), progress)

    def places(self, number: int) -> Iterator[tuple[tuple[int, int], Sample]]:
        """(task, sample) and the sample itself, for a window's samples."""
        for at in range(number * self.step, min((number + 1) * self.step, self.starts[-1])):
            t = bisect_right(self.starts, at) - 1
            yield (t, at - self.starts[t]), self.tasks[t].samples[at - self.starts[t]]

    def compile(self, wanted: "Sequence[Wanted]", progress: Progress | None = None) -> Window:
        """The window of these samples and their first requests, for every repeat."""
        window = Window(self, {})
        asked: list[tuple[Slot, Request]] = []
        for (t, s), sample, requests in wanted:
            window.samples[t, s] = sample
            for r in range(self.options.repeats):
                window.asked[t, s, r] = {}
                asked += [((t, s, r), request) for request in requests]
        _add(window, asked, progress)
        return window


Wanted = tuple[tuple[int, int], Sample, list[Request]]


def compile_plan(
    model: Model,
    renderer: Renderer | None,
    tasks: Sequence[Task],
    options: Options,
    progress: Progress | None = None,
    helpers: Mapping[Role, Planner] | None = None,
) -> Plan:
    """Asks every task for the first requests of every sample, and compiles the first window. Computes only tokens.

    `helpers` plan what models in other roles are asked.

    Raises InputError where a task asks for something that the model cannot answer.
    """
    plan = Plan(model, list(tasks), options, Planner(model, renderer, options), helpers or {})
    first: list[Wanted] = []
    told = Told() if model.backend == "responses" and len(tasks) > 1 else None
    for t, task in enumerate(plan.tasks):
        hashes = ListHash()
        for s, sample in enumerate(task.samples):
            requests = task.prompt(sample)
            for request in requests:
                _check(plan, task, request)
            hashes.add(canonical([_plain(request) for request in requests]))
            if told is not None:
                told.add(sample.id, asked_text(sample, requests))
            if plan.starts[t] + s < plan.step:
                first.append(((t, s), sample, requests))
            if progress is not None and s % 200 == 0:
                progress(plan.starts[t] + s, plan.starts[-1], "planning")
        plan.prompt_hashes[task.id] = hashes.digest()
    plan.doubtful = told.doubtful() if told is not None else frozenset()
    plan.first = plan.compile(first, progress)
    return plan


def next_stage(window: Window, answers: Mapping[str, Completion]) -> Stage | None:
    """What the tasks ask after the answers so far; None where nobody asks. The window's `stage` is replaced."""
    wanted = []
    for slot, task, sample in window.slots():
        if not task.follows_up:
            continue
        prints = window.asked[slot].values()
        # A sample that was too long to ask, or whose call failed, has no answer to follow up.
        if None in prints or any(answers[p].error is not None for ps in prints for p in ps or ()):
            continue
        for request in task.follow_up(sample, window.completions(slot, answers)):
            if request.key in window.asked[slot]:
                raise TaskError(f"task {task.id}, sample {sample.id}: follow_up repeats the key '{request.key}'")
            _check(window.plan, task, request)
            wanted.append((slot, request))
    window.stage = Stage()
    if not wanted:
        return None
    _add(window, wanted)
    return window.stage


def _check(plan: Plan, task: Task, request: Request) -> None:
    model = plan.planner_of(request.role).model
    if request.kind not in model.kinds:
        can = ", ".join(sorted(model.kinds)) or "nothing"
        if request.role != "subject":
            asks = f"task {task.id} asks the {request.role} for {request.kind}"
            raise InputError(f"{asks}, and {model.address} answers only {can}; give another model for this role")
        raise InputError(
            f"task {task.id} asks for {request.kind}, and {model.address} answers only {can}; "
            f"see the task's other methods: evalsuite list tasks"
        )


def _add(window: Window, wanted: Sequence[tuple[Slot, Request]], progress: Progress | None = None) -> None:
    plan, by_model = window.plan, _by_model(window.plan, wanted)
    for slot, request in wanted:  # keys stand in the order in which they are asked, whoever answers
        if request.key in window.asked[slot]:
            raise TaskError(f"task {plan.tasks[slot[0]].id}: two requests of one sample have the key '{request.key}'")
        window.asked[slot][request.key] = None
        if request.role != "subject":
            window.helped[slot] = window.helped.get(slot, frozenset()) | {request.key}
    for role, asked in by_model.items():
        stage = window.stage if role == "subject" else window.stage.helpers.setdefault(role, Stage())
        planner = plan.planner_of(role)
        made = planner.plan_all([(request, slot[2]) for slot, request in asked], progress)
        for (slot, request), planned in zip(asked, made, strict=True):
            if planned.shortened:
                window.shortened.add(slot[:2])
            window.asked[slot][request.key] = tuple(u.fingerprint for u in planned.units) or None
            for unit in planned.units:
                stage.units.setdefault(unit.fingerprint, unit)
        stage.requests += len(asked)
        stage.groups = group(list(stage.units.values()), group_size(planner.model))


def _by_model(plan: Plan, wanted: Sequence[tuple[Slot, Request]]) -> dict[Role, list[tuple[Slot, Request]]]:
    """What each model is asked; a model that answers in several roles goes by the first of them."""
    names: dict[int, Role] = {}
    found: dict[Role, list[tuple[Slot, Request]]] = {}
    for slot, request in wanted:
        role = names.setdefault(id(plan.planner_of(request.role)), request.role)
        found.setdefault(role, []).append((slot, request))
    return found


def _plain(request: Request) -> dict[str, Any]:
    """The request's fields as JSON values, as `Request.plain` gives them but without copying; images by hashes."""
    plain = {name: getattr(request, name) for name in _REQUEST}
    messages = {"messages": keyed(request.messages), "examples": keyed(request.examples)}
    return {**plain, **messages, "sampling": _sampling(request.sampling)}


_REQUEST = tuple(f.name for f in fields(Request) if f.name != "quotes")  # as `Request.plain`


@cache
def _sampling(sampling: Sampling) -> dict[str, Any]:
    return asdict(sampling)
