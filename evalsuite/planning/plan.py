"""The plan: every request of a command, deduplicated into units and cut into groups that are run and journaled whole.

Groups (`planning.groups`) are fixed by the plan: a resumed run computes exactly those that an unbroken one would.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evalsuite.errors import InputError, TaskError
from evalsuite.models import Model, Renderer
from evalsuite.planning.groups import group, group_size
from evalsuite.planning.options import Options
from evalsuite.planning.task import Task
from evalsuite.planning.units import Planner
from evalsuite.records import Completion, Completions, Request, Sample, Unit

MAX_STAGES = 16

Slot = tuple[int, int, int]  # (task, sample, repeat), as indices into the plan


@dataclass
class Stage:
    """Units that can run now: `units` by fingerprint, `groups` of fingerprints, and who asked for what."""

    units: dict[str, Unit] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)
    requests: int = 0


@dataclass
class Plan:
    """One model through some tasks. `asked[slot][key]` are the fingerprints of a request, None where it cannot fit."""

    model: Model
    tasks: list[Task]
    options: Options
    planner: Planner
    stage: Stage
    asked: dict[Slot, dict[str, tuple[str, ...] | None]]
    shortened: dict[int, set[int]]

    def slots(self) -> Iterable[tuple[Slot, Task, Sample]]:
        for t, task in enumerate(self.tasks):
            for s, sample in enumerate(task.samples):
                for r in range(self.options.repeats):
                    yield (t, s, r), task, sample

    def completions(self, slot: Slot, answers: Mapping[str, Completion]) -> Completions:
        keys = {k: v for k, v in self.asked[slot].items() if v is not None}
        return Completions({key: [answers[f] for f in prints] for key, prints in keys.items()})


def compile_plan(
    model: Model,
    renderer: Renderer | None,
    tasks: Sequence[Task],
    options: Options,
    progress: Callable[[int, int, str], None] | None = None,
) -> Plan:
    """The first stage of every task for one model. Computes nothing but tokens.

    Raises InputError where a task asks for something that the model cannot answer.
    """
    plan = Plan(model, list(tasks), options, Planner(model, renderer, options), Stage(), {}, defaultdict(set))
    total = sum(len(t.samples) for t in tasks) * options.repeats
    wanted = []
    for done, (slot, task, sample) in enumerate(plan.slots()):
        plan.asked[slot] = {}
        wanted += [(slot, request) for request in task.prompt(sample)]
        if progress is not None and done % 50 == 0:
            progress(done, total, "planning")
    _add(plan, wanted)
    return plan


def next_stage(plan: Plan, answers: Mapping[str, Completion]) -> Stage | None:
    """What the tasks ask after the answers so far; None where nobody asks. The plan's `stage` is replaced."""
    wanted = []
    for slot, task, sample in plan.slots():
        prints = list(plan.asked[slot].values())
        # A sample that was too long to ask, or whose call failed, has no answer to follow up.
        if None in prints or any(answers[p].error is not None for ps in prints for p in ps or ()):
            continue
        for request in task.follow_up(sample, plan.completions(slot, answers)):
            if request.key in plan.asked[slot]:
                raise TaskError(f"task {task.id}, sample {sample.id}: follow_up repeats the key '{request.key}'")
            wanted.append((slot, request))
    plan.stage = Stage()
    if not wanted:
        return None
    _add(plan, wanted)
    return plan.stage


def _add(plan: Plan, wanted: Sequence[tuple[Slot, Request]]) -> None:
    stage = plan.stage
    for slot, request in wanted:
        task = plan.tasks[slot[0]]
        if request.kind not in plan.model.kinds:
            can = ", ".join(sorted(plan.model.kinds)) or "nothing"
            raise InputError(
                f"task {task.id} asks for {request.kind}, and {plan.model.address} answers only {can}; "
                f"see the task's other methods: evalsuite list tasks"
            )
        if request.key in plan.asked[slot]:
            raise TaskError(f"task {task.id}: two requests of one sample have the key '{request.key}'")
        planned = plan.planner.plan(request, slot[2])
        stage.requests += 1
        if planned.shortened:
            plan.shortened[slot[0]].add(slot[1])
        plan.asked[slot][request.key] = tuple(u.fingerprint for u in planned.units) or None
        for unit in planned.units:
            stage.units.setdefault(unit.fingerprint, unit)
    stage.groups = group(list(stage.units.values()), group_size(plan.model))
