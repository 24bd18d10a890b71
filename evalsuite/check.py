"""One suite of properties that every task, judge and model passes, with no test written for it.

Task: through the real path (load → requests → completions → scores → metric), gold answers get full marks, and empty
answers, another sample's gold and a near miss get less; a task without gold states a law of its metric instead; every
parser passes its table of ugly replies. Judge: its parser's table and its own recorded replies. Model: one BOS, and
log-probabilities, rewards and embeddings that do not depend on the batch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal

from evalsuite import registry
from evalsuite.data.setup import SCHEMA
from evalsuite.errors import EvalsuiteError, InputError, TaskError
from evalsuite.planning import Options, Task, bind
from evalsuite.planning.plan import MAX_STAGES
from evalsuite.records import Completion, Completions, Kind, Request, Sample, Score
from evalsuite.running.figures import Row, metrics_of

KINDS: frozenset[Kind] = frozenset({"generate", "loglikelihood", "reward", "embed"})
Status = Literal["pass", "fail", "skip"]
Answers = Callable[[Sample], Any]


@dataclass(frozen=True)
class Finding:
    """One property of one thing: whether it holds, and the figures that show it."""

    subject: str
    property: str
    status: Status
    detail: str


def check_task(ref: registry.TaskRef, options: Options) -> Iterator[Finding]:
    """All properties of one task, on the samples that its data gives."""
    # Answers are played, so that every role is there; code of our own gold answers is run.
    everybody = {**dict.fromkeys(ref.entry.roles, "played"), **options.roles}
    options = replace(options, roles=everybody, run_code=True)
    try:
        task = _bound(ref, options)
    except InputError as error:
        yield Finding(ref.id, "data", "skip", str(error))
        return
    except EvalsuiteError as error:
        yield Finding(ref.id, "contract", "fail", str(error))
        return
    try:
        yield from _properties(task)
    except EvalsuiteError as error:
        # One broken task is a finding; the others are still looked at.
        yield Finding(task.id, "contract", "fail", str(error))


def _bound(ref: registry.TaskRef, options: Options) -> Task:
    """The task on its data; where that is not here, on our own rows in its schema, if it ships such rows."""
    try:
        return bind(ref, KINDS, options)
    except InputError:
        if not ref.entry.schema_only(ref.subset):
            raise
        return bind(ref, KINDS, replace(options, data={**options.data, ref.entry.name: SCHEMA}))


def _properties(task: Task) -> Iterator[Finding]:
    yield from _parsers(task.id, task.module)
    if hasattr(task.module, "law"):
        faults = task.law()
        sentence = str(getattr(task.module, "LAW", "law"))
        yield Finding(task.id, "law", "fail" if faults else "pass", "; ".join(faults) or sentence)
    if hasattr(task.module, "gold"):
        yield from _oracles(task)
    elif not hasattr(task.module, "law"):
        yield Finding(task.id, "gold", "fail", "has neither gold(sample) nor law(setup): nothing shows that it scores")


def _oracles(task: Task) -> Iterator[Finding]:
    # Items that no answer can satisfy are named in TASK (and in the card), not found out by a failing check.
    barred = set(task.spec.get("unsatisfiable", ()))
    kept = tuple(s for s in task.samples if s.id not in barred)
    left_out = f", {len(task.samples) - len(kept)} unsatisfiable left out" if len(kept) < len(task.samples) else ""
    task = replace(task, samples=kept)
    lower = task.primary in task.spec.get("lower_is_better", ())
    full = 0.0 if lower else 1.0
    gold = _value(task, task.gold)
    ok = gold is not None and abs(gold - full) < 1e-9
    detail = f"{task.primary} {_show(gold)} of {full:g} on {len(task.samples)} samples{left_out}"
    yield Finding(task.id, "gold", "pass" if ok else "fail", detail if ok else f"{detail}{_worst(task, full)}")
    others = dict(zip((s.id for s in task.samples), [*task.samples[1:], task.samples[0]], strict=True))
    corruptions: dict[str, Answers] = {
        "empty": lambda s: _empty(task.gold(s)),
        "another sample's gold": lambda s: _exchanged(task.gold(s), task.gold(others[s.id])),
    }
    if hasattr(task.module, "near_miss"):
        corruptions["near miss"] = task.near_miss
    else:
        yield Finding(task.id, "near miss", "fail", "has gold but no near_miss(sample)")
    for name, answers in corruptions.items():
        if all(answers(s) == task.gold(s) for s in task.samples):
            status: Status = "fail" if name == "near miss" else "skip"
            yield Finding(task.id, name, status, "equal to the gold for every sample")
            continue
        value = _value(task, answers)
        worse = value is None or (value > gold if lower else value < gold) if gold is not None else False
        if not worse and name == "another sample's gold" and task.ref.entry.roles_of(task.ref.subset, task.ref.method):
            # The words of a judge are played too, and belong to the sample that they were said about.
            yield Finding(task.id, name, "skip", "graded by another model, whose reply is played")
            continue
        yield Finding(
            task.id, name, "pass" if worse else "fail", f"{task.primary} {_show(value)} against {_show(gold)}"
        )


def _value(task: Task, answers: Answers) -> float | None:
    """The primary metric when every sample is answered so. None where no sample could be scored."""
    rows = [Row(task, s, 0, "", {}, _scores(task, s, answers(s))) for s in task.samples]
    metric = next((m for m in metrics_of(task, rows) if m.name == task.primary), None)
    if metric is None:
        raise EvalsuiteError(f"task {task.id}: score gives no '{task.primary}', its primary metric")
    return metric.value


def _scores(task: Task, sample: Sample, answers: Any) -> dict[str, Score]:
    """Plays the answers through every stage of the task, then scores."""
    requests = task.prompt(sample)
    given: dict[str, list[Completion]] = {}
    for _ in range(MAX_STAGES):
        for request in requests:
            given[request.key] = played(request, answers)
        requests = task.follow_up(sample, Completions(given))
        if not requests:
            break
    return task.score(sample, Completions(given))


def played(request: Request, answers: Any) -> list[Completion]:
    """A request's completions out of a gold value: a text (of `answer`), or by key a text, summed log-probabilities of
    the continuations, or rewards."""
    value: Any = answers.get(request.key) if isinstance(answers, dict) else answers
    if request.kind == "generate":
        return [Completion(text=str(value if value is not None else ""), tokens=len(str(value or "").split()))]
    if request.kind == "loglikelihood":
        if not isinstance(value, list) or len(value) != len(request.continuations):
            wanted = f"{len(request.continuations)} log-probabilities"
            raise TaskError(f"gold or near_miss gives {value!r} for request '{request.key}', not a list of {wanted}")
        return [
            Completion(text=c, logprobs=(float(v),), greedy=False)
            for c, v in zip(request.continuations, value, strict=True)
        ]
    rewards = value[0] if isinstance(value, list) and value else value
    if not isinstance(rewards, dict | int | float):
        raise TaskError(f"gold or near_miss gives {value!r} for request '{request.key}', not a reward")
    return [Completion(rewards=rewards if isinstance(rewards, dict) else {"reward": float(rewards)})]


def _exchanged(own: Any, other: Any) -> Any:
    """Another sample's gold. Numbers belong to this sample's own choices, so they are handed to the next choice."""
    if isinstance(own, dict) and isinstance(other, dict):
        if len(own) > 1 and not any(isinstance(v, str) for v in own.values()):
            keys = list(own)
            return dict(zip(keys, [own[k] for k in keys[1:] + keys[:1]], strict=True))
        return {k: _exchanged(v, other.get(k, v)) for k, v in own.items()}
    return own[-1:] + own[:-1] if isinstance(own, list) else other


def _empty(gold: Any) -> Any:
    """An answer that says nothing: no text, equal log-probabilities, equal rewards."""
    if isinstance(gold, str):
        return ""
    if isinstance(gold, dict):
        return {k: _empty(v) for k, v in gold.items()}
    if isinstance(gold, list):
        return [_empty(v) for v in gold]
    return 0.0


def _worst(task: Task, full: float) -> str:
    """The first sample whose gold answer does not get full marks, for the message."""
    for sample in task.samples:
        score = _scores(task, sample, task.gold(sample)).get(task.primary)
        if score is not None and score.weight > 0 and (score.value is None or abs(score.value - full) > 1e-9):
            return (
                f"; first: sample {sample.id} gets {_show(score.value)}{f' ({score.reason})' if score.reason else ''}"
            )
    return ""


def _show(value: float | None) -> str:
    return "no value" if value is None else f"{value:.3f}"


def _parsers(subject: str, module: ModuleType) -> Iterator[Finding]:
    """Every parser table of a module: `PARSER` is one {"function", "table"} or a list of them."""
    parsers = getattr(module, "PARSER", [])
    for parser in parsers if isinstance(parsers, list) else [parsers]:
        function = parser["function"]
        read = [(reply, want, _read(function, reply)) for reply, want in parser["table"]]
        wrong = [(reply, want, got) for reply, want, got in read if got != want]
        detail = f"{len(parser['table'])} replies"
        if wrong:
            reply, want, got = wrong[0]
            detail = f"{len(wrong)} of {detail} misread; first: {reply!r} gives {got!r}, not {want!r}"
        yield Finding(subject, f"parser {function.__name__}", "fail" if wrong else "pass", detail)


def _read(function: Callable[[Any], Any], reply: Any) -> Any:
    """What a parser makes of a reply. One that raises has failed its table like one that misreads."""
    try:
        return function(reply)
    except Exception as error:
        return error


def check_judge(name: str) -> Iterator[Finding]:
    """A judge's parser tables, and the law that its module states over recorded replies."""
    from evalsuite.judging import find

    module = find(name).functions
    yield from _parsers(f"judge {name}", module)
    if hasattr(module, "replay"):
        faults = list(module.replay())
        yield Finding(
            f"judge {name}", "recorded replies", "fail" if faults else "pass", "; ".join(faults) or "as recorded"
        )


def check_model(address: str, store: Any) -> Iterator[Finding]:
    """One BOS under the template and without it; what the model answers is the same alone and in a batch, to 1e-4."""
    from evalsuite.models import resolve
    from evalsuite.records import assistant, user
    from evalsuite.running import Engine

    model = resolve(address)
    engine = Engine(model, store)
    try:
        made = engine.renderer
        if made is None:
            engine.check_ready()
            yield Finding(address, "reachable", "pass", model.url or str(model.path))
            return
        conversation = (user("What is the capital of France?"),)
        for raw in (False, True) if "generate" in model.kinds else ():
            ids = made.prompt_ids(conversation, raw=raw)
            shown = f"{len(ids)} ids, begins {list(ids[:4])}, BOS {made.bos}"
            yield Finding(address, f"one BOS, {'raw' if raw else made.template_name}", "pass", shown)
        if "generate" not in model.kinds:
            answered = (*conversation, assistant("Paris.")) if "reward" in model.kinds else conversation
            ids = made.conversation_ids(answered)
            shown = " ".join(made.tokens.name(i) for i in (*ids[:3], *ids[-2:]))
            yield Finding(address, f"text as read, {made.template_name}", "pass", f"{len(ids)} ids: {shown}")
        for kind in ("loglikelihood", "reward", "embed"):
            if kind in model.kinds:
                yield _invariant(address, engine, kind)
    finally:
        engine.close()


def _invariant(address: str, engine: Any, kind: Kind) -> Finding:
    """Figures of one kind, alone and in one padded batch."""
    together, alone = (_figures(engine, kind, whole) for whole in (True, False))
    pairs = zip(together, alone, strict=True)
    gap = max((abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True)), default=math.inf)
    # Log-probabilities have a unit of their own; rewards and hidden states are as large as a network makes them.
    scale = 1.0 if kind == "loglikelihood" else max([1.0, *(abs(value) for row in alone for value in row)])
    name = "batch invariance" + ("" if kind == "loglikelihood" else f", {kind}")
    unit = "nats" if kind == "loglikelihood" else f"of figures up to {scale:.3g}, {len(alone[0])} for a text"
    return Finding(address, name, "pass" if gap < 1e-4 * scale else "fail", f"largest gap {gap:.1e} {unit}")


def _figures(engine: Any, kind: Kind, whole: bool) -> list[list[float]]:
    """What a model answers to four texts of unequal length, asked together (`whole`) or one by one."""
    from evalsuite.planning import Options, Planner
    from evalsuite.records import assistant, user

    question = user("The capital of France is")
    texts = (" Paris", " London is the capital of England.", " a", " the city that lies on the Seine, and has for long")
    if kind == "loglikelihood":
        requests = [Request(kind, (question,), continuations=texts, raw=True)]
    elif kind == "reward":
        requests = [Request(kind, (question, assistant(text.strip()))) for text in texts]
    else:
        requests = [Request(kind, (user(text.strip()),)) for text in texts]
    planner = Planner(engine.model, engine.renderer, Options())
    units = [unit for request in requests for unit in planner.plan(request).units]
    ask = getattr(engine.backend(), kind)
    found: list[Completion] = ask(units) if whole else [ask([unit])[0] for unit in units]
    return [[*c.logprobs, *c.rewards.values(), *(v for row in c.embedding for v in row)] for c in found]


def check_all(names: Sequence[str], options: Options, store: Any, limit: int = 200) -> Iterator[Finding]:
    """Findings for the named tasks, judges or models; for every task and judge where no name is given."""
    judges = registry.judges()
    known = registry.entries()
    if not names:
        yield from (Finding(name, "task.py", "fail", fault) for name, fault in registry.broken("tasks").items())
        yield from (Finding(name, "judge", "fail", fault) for name, fault in registry.broken("judges").items())
        names = [*known, *(f"judge:{j}" for j in judges)]
    for name in names:
        stem = name.removeprefix("judge:")
        base = name.partition("/")[0].partition("@")[0].partition(":")[0]
        if name.startswith("judge:") or (stem in judges and name not in known):
            yield from check_judge(stem)
        elif base in known or name in registry.FAMILIES or not _is_model(name):
            for ref in _every_method(registry.find_tasks([name])):
                yield from check_task(ref, _limited(options, limit))
        else:
            yield from check_model(name, store)


def _is_model(name: str) -> bool:
    from evalsuite.models import resolve

    try:
        resolve(name)
    except EvalsuiteError:
        return False
    return True


def _every_method(refs: Sequence[registry.TaskRef]) -> Iterator[registry.TaskRef]:
    for ref in refs:
        methods = [ref.method] if ref.method or not ref.entry.methods else ref.entry.methods
        for method in methods:
            yield registry.TaskRef(ref.entry, ref.subset, method, ref.variant)


def _limited(options: Options, limit: int) -> Options:
    return options if options.limit is not None else replace(options, limit=limit)
