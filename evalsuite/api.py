"""The verbs as functions, for notebooks and for the command line.

>>> import evalsuite
>>> run = evalsuite.run("smollm2", "plain_facts", limit=10)        # doctest: +SKIP
>>> run.metrics[["task", "name", "value", "low", "high", "n"]]     # doctest: +SKIP
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evalsuite import judging, registry, store
from evalsuite.errors import InputError
from evalsuite.judging.judge import probed
from evalsuite.models import ModelOptions, resolve
from evalsuite.planning import Options, Plan, Planner, bind_all, compile_plan, without_examples
from evalsuite.records import Progress, Role
from evalsuite.running import Engine, ReadyJudge, judge_run, rescore_run, run_plan
from evalsuite.running.early import EarlyJudge
from evalsuite.running.figures import Row
from evalsuite.running.judged_files import able

if TYPE_CHECKING:
    import pandas as pd

Meter = Callable[[str], Progress]
"""Makes a progress callback for a named piece of work."""


@dataclass(frozen=True)
class Run:
    """A finished run for reading: `metrics` and `samples` are DataFrames."""

    stored: store.Run

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def path(self) -> Path:
        return self.stored.path

    @property
    def manifest(self) -> dict[str, Any]:
        return self.stored.manifest

    @property
    def metrics(self) -> "pd.DataFrame":
        """One row per (task, metric): value, low, high, n, missing, interval, unit, primary, baselines."""
        import pandas as pd

        return pd.DataFrame([asdict(m) for m in self.stored.metrics])

    @property
    def health(self) -> "pd.DataFrame":
        """One row per task: shares truncated, empty, refused, repeated, unparsable; mean tokens."""
        import pandas as pd

        return pd.DataFrame([{"task": t, **asdict(h)} for t, h in self.stored.health.items()])

    @property
    def samples(self) -> "pd.DataFrame":
        """One row per (task, sample, repeat); columns as in `evalsuite.store.Run.samples`."""
        return self.stored.samples()

    def _repr_html_(self) -> str:
        return f"<b>{self.name}</b>" + self.metrics.to_html(index=False)


@dataclass
class Job:
    """One model of a command, compiled: its engine and its plan."""

    engine: Engine
    plan: Plan
    name: str | None
    helpers: Mapping[Role, Engine] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    bare: Sequence[str] = ()  # ids of tasks that have no demonstrations, where some are wanted


def prepare(
    addresses: Sequence[str],
    tasks: Sequence[str],
    model_options: ModelOptions,
    options: Options,
    folder: Path,
    name: str | None = None,
    meter: Meter | None = None,
    backend: str | None = None,
    spare: Collection[str] = (),
) -> list[Job]:
    """Resolves models, binds tasks and compiles the plans. Nothing is computed, so bad input is found before work.
    Families, and the names in `spare`, leave out tasks that lack data or a model, and say so (`Job.left_out`).

    Raises InputError and its kin.
    """
    if not addresses:
        raise InputError(
            "no model given (a folder, a hub id, smollm2, microworld:sft, openai:NAME@URL, responses:FILE)"
        )
    if len(set(addresses)) < len(addresses):
        raise InputError("a model is named twice")
    refs = registry.find_tasks(tasks)
    if not refs:
        raise InputError("no tasks given (--tasks A,B or --suite S; see: evalsuite list tasks)")
    options = _with_roles(options, refs)
    helpers = _helpers(options, model_options, folder, meter)
    planners = _planners(helpers, options)
    families = {ref.id for ref in registry.find_tasks([n for n in tasks if n in registry.FAMILIES or n in spare])}
    named = registry.find_tasks([n for n in tasks if n not in registry.FAMILIES and n not in spare])
    jobs = []
    for address in addresses:
        model = resolve(address, model_options, meter(f"model {address}") if meter else None, backend)
        engine = Engine(model, folder, options.max_errors)
        engine.check_ready()
        bound, left_out = bind_all(refs, model.kinds, options, families - {ref.id for ref in named})
        bare = without_examples(bound, named, options.fewshot)
        plan = compile_plan(model, engine.renderer, bound, options, helpers=planners)
        own = f"{name}/{model.name}" if name and len(addresses) > 1 else name
        jobs.append(Job(engine, plan, own, helpers, left_out, bare))
    doubled = [job.name for job in jobs if job.name and sum(job.name == other.name for other in jobs) > 1]
    if doubled:
        raise InputError(f"two models would both be the run '{doubled[0]}': run them apart, each with its own --name")
    return jobs


def _with_roles(options: Options, refs: Sequence[registry.TaskRef]) -> Options:
    """The options with the roles that these tasks ask; a judge may also be there to compare whole runs. Raises
    InputError for another role that nobody asks."""
    asked = {role for ref in refs for role in ref.entry.roles}
    idle = [role for role in options.roles if role not in asked and role != "judge"]
    if idle:
        raise InputError(f"--role {idle[0]}=...: none of these tasks asks a model in this role")
    used = {r: a for r, a in options.roles.items() if r in asked or (r == "judge" and "auxiliary" in asked)}
    return replace(options, roles=used)


def _helpers(options: Options, chosen: ModelOptions, folder: Path, meter: Meter | None) -> dict[Role, Engine]:
    """The models in other roles than the subject's, checked before anything is generated; one address, one engine.

    The subject's system prompt is not theirs.
    """
    engines: dict[str, Engine] = {}
    for address in options.helpers.values():
        if address not in engines:
            model = resolve(address, replace(chosen, system=None), meter(f"model {address}") if meter else None)
            engines[address] = Engine(model, folder, options.max_errors)
            engines[address].check_ready()
    return {cast(Role, role): engines[address] for role, address in options.helpers.items()}


def _planners(helpers: Mapping[Role, Engine], options: Options) -> dict[Role, Planner]:
    """One planner for each helping model. Length limits and sampling of the command are the subject's alone."""
    made: dict[int, Planner] = {}
    for engine in helpers.values():
        made.setdefault(id(engine), Planner(engine.model, engine.renderer, Options(seed=options.seed)))
    return {role: made[id(engine)] for role, engine in helpers.items()}


def execute(
    jobs: Sequence[Job],
    folder: Path,
    meter: Meter | None = None,
    overwrite: bool = False,
    told: Callable[[Row], None] | None = None,
) -> list[store.Run]:
    """Runs compiled jobs one after the other. Each inherits what the one before has loaded where its backend can switch
    (adapters of one base, weights of one shape); otherwise weights are released before the next are loaded. `told`
    hears of each sample as it is finished."""
    runs: list[store.Run] = []
    before: Engine | None = None
    try:
        for job in jobs:
            if before is not None:
                job.engine.inherit(before)
                before.close()
            before = job.engine
            progress = meter(job.plan.model.name) if meter else None
            runs.append(run_plan(job.engine, job.plan, folder, job.name, progress, overwrite, told, job.helpers))
    finally:
        if before is not None:
            before.close()
        for helper in {id(h): h for job in jobs for h in job.helpers.values()}.values():
            helper.close()
    return runs


def run(
    model: str,
    tasks: str | Sequence[str],
    *,
    store_dir: str | Path | None = None,
    name: str | None = None,
    model_options: ModelOptions | None = None,
    progress: Meter | None = None,
    backend: str | None = None,
    **options: Any,
) -> Run:
    """Evaluates one model. `tasks` is a list or a comma-separated text; `options` are the fields of
    `evalsuite.planning.Options` (limit, max_tokens, seed, repeats, data, ...) and of `evalsuite.models.ModelOptions`
    (template, system, dtype, ...).

    Raises the errors of `evalsuite.errors`.
    """
    chosen = model_options or ModelOptions()
    of_model = {k: options.pop(k) for k in list(options) if k in ModelOptions.__dataclass_fields__}
    bad = [k for k in options if k not in Options.__dataclass_fields__]
    if bad:
        raise InputError(f"unknown option '{bad[0]}' (one of {', '.join(Options.__dataclass_fields__)})")
    names = tasks.split(",") if isinstance(tasks, str) else list(tasks)
    folder = Path(store_dir) if store_dir else store.default_store()
    jobs = prepare([model], names, replace(chosen, **of_model), Options(**options), folder, name, progress, backend)
    return Run(execute(jobs, folder, progress)[0])


def prepare_judge(name: str, address: str, model_options: ModelOptions, folder: Path) -> ReadyJudge:
    """A judge with the model that answers for it, checked before anything is generated (a missing key ends here).

    The subject's system prompt is not the judge's: it is left out.
    """
    found = judging.find(name)
    if not found.pairs or found.needs:
        raise InputError(
            f"--judge {name}: a run's judge compares two answers and nothing else; use: evalsuite judge {name}"
        )
    model = resolve(address, replace(model_options, system=None))
    able(model, probed(found))
    engine = Engine(model, folder)
    engine.check_ready()
    return ReadyJudge(found, engine)


def execute_judged(
    jobs: Sequence[Job],
    folder: Path,
    judge: ReadyJudge,
    against: str,
    meter: Meter | None = None,
    overwrite: bool = False,
) -> list[store.Run]:
    """`execute` while a judge on a server already reads what is finished, against a stored run. Its verdicts wait in
    the cache for `judge_runs`."""
    with EarlyJudge(judge, store.open_run(folder, against)) as early:
        return execute(jobs, folder, meter, overwrite, early.tell)


def judge_runs(
    judge: ReadyJudge,
    runs: Sequence[store.Run],
    folder: Path,
    against: str | None = None,
    meter: Meter | None = None,
    limit: int | None = None,
) -> list[store.Run]:
    """Judges each run against a stored one, or against the first where none is named; returns the runs with figures."""
    baseline = store.open_run(folder, against) if against else runs[0]
    progress = meter(f"judge {judge.label}") if meter else None
    try:
        return [r if r.name == baseline.name else judge_run(judge, r, baseline, progress, limit) for r in runs]
    finally:
        judge.engine.close()


def open_run(name: str = "latest", store_dir: str | Path | None = None) -> Run:
    """A stored run by its name, its folder, or `latest`."""
    return Run(store.open_run(Path(store_dir) if store_dir else store.default_store(), name))


def rescore(stored: store.Run, folder: Path) -> store.Run:
    """Scores a run's stored completions again with the tasks as they are now."""
    known = Options.__dataclass_fields__
    saved = {k: v for k, v in stored.manifest["options"].items() if k in known}
    saved["samples"] = tuple(saved.get("samples", ()))
    options = Options(**{**saved, "data": stored.manifest["data"], "prompts": stored.manifest["prompts"]})
    plugins = [p for p in stored.manifest.get("plugins", []) if p not in registry.plugin_folders()]
    try:
        refs = registry.find_tasks(list(stored.manifest["tasks"]))
    except InputError as error:
        # Its folder is named and not loaded: code runs where the user says so.
        hint = f"; run {stored.name} was made with --plugins {' '.join(plugins)}: give it again" if plugins else ""
        raise InputError(f"{error}{hint}") from error
    tasks, _ = bind_all(refs, frozenset(), options)
    return rescore_run(stored, tasks, folder)


def compare(run_: Run, baseline: Run) -> "pd.DataFrame":
    """Paired differences of a run from a baseline on the samples they share, one row per (task, metric)."""
    import pandas as pd

    from evalsuite.comparison import paired

    return pd.DataFrame([asdict(d) for d in paired(run_.stored, baseline.stored)])
