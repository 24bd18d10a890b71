"""One training from a command: method, model, data → a checkpoint that `run` evaluates without a flag."""

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from evalsuite.data import fingerprint
from evalsuite.errors import InputError, unknown
from evalsuite.models import Model, ModelOptions, Renderer, renderer, resolve
from evalsuite.records import Lineage, Progress
from evalsuite.training import data, methods, preparing, saving
from evalsuite.training.callbacks import Watch
from evalsuite.training.contract import Row, Settings
from evalsuite.training.encoding import Encoder
from evalsuite.training.loading import folder_of, load
from evalsuite.training.log import Log, Tracker
from evalsuite.training.log import check as check_trackers
from evalsuite.training.online_combining import combined
from evalsuite.training.online_rewards import Reward, source, unrewarded
from evalsuite.training.online_rounds import Rounds
from evalsuite.training.rollouts import policy_of
from evalsuite.training.trainer import Job, train


@dataclass(frozen=True)
class Order:
    """What is to be trained. `changes` are knobs and settings by name (a recipe's, then the command line's)."""

    method: str
    model: str
    data: str
    out: Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    trackers: Sequence[Tracker] = ()
    options: ModelOptions = field(default_factory=ModelOptions)
    reward: str | Sequence[str] | None = None  # what online methods are rewarded by (`online_combining.combined`)
    gold: str | None = None  # a second one, for the log alone
    watch: Watch | None = None  # evaluates as training goes
    say: Callable[[str], None] = lambda _: None  # what a person should know before the first step


def start(order: Order, resume: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Trains and returns what `training.json` says. Raises InputError and its kin before anything is computed."""
    method = methods.find(order.method)
    if method.DATA == "checkpoint":
        return _merge(order, method)
    config, settings = configured(method, order.changes, order.method)
    saving.check_free(order.out, resume)
    check_trackers(order.trackers)
    if method.MODEL == "none":
        return _answered(order, method, config, settings, progress)
    model = resolve(order.model, order.options)
    folder_of(model)
    made = renderer(model)
    if made is None:
        raise InputError(f"--model {order.model}: has no tokenizer to train with")
    skipped = Counter[str]() if settings.skip_bad else None
    rows = data.read(order.data, method.DATA, order.limit, skipped)
    if made.template is None and main_process():
        order.say(f"--model {order.model}: has no chat template; turns are learned as plain text, as `run` asks them "
                  "(--template FILE gives it one)")  # fmt: skip
    longest = min(settings.max_length, model.context_window or settings.max_length)
    encoder = Encoder(made, longest, whole=method.MODEL == "reward")
    online = hasattr(method, "rollout")
    if online:
        rows, prepared = preparing.askable(rows, encoder, config, skipped)
        rewards = rewards_of(order, method, config)
    else:
        prepared = preparing.prepare(method, config, rows, encoder, skipped, progress if main_process() else None)
    net = load(model, method.MODEL, settings, heads=getattr(config, "heads", 1))
    pad_id = made.tokens.pad_id
    net.config.pad_token_id = pad_id
    if hasattr(method, "build"):
        net = method.build(net, config)
    items = prepared.items
    lineage = Lineage(model.fingerprint, model.name, order.method, f"{order.data} ({len(rows)} rows)")
    card = card_of(order, method, (config, settings), model, (rows, prepared))
    card["template"] = made.template_name
    begun = saving.states(order.out)[-1] if resume and saving.states(order.out) else 0
    job = Job(
        method, config, settings, net, items, pad_id, order.out,
        card={"lineage": asdict(lineage), "training": card}, tokenizer=tokenizer_of(model, made),
        progress=progress, log=Log(order.out, order.trackers, begun) if main_process() else None,
    )  # fmt: skip
    policy = policy_of(config.rollout_engine, net, model, made, order.out / ".weights") if online else None
    if policy is not None:
        job.rounds = Rounds(rows, policy, *rewards)
    if order.watch is not None:
        job.called = order.watch.set(lineage, settings.eval_steps).called(job.tokenizer)
    try:
        steps = train(job, resume)
    finally:
        if policy is not None:
            policy.close()
        if job.log is not None:
            job.log.close()
    return {**card, "steps": steps, "out": str(order.out)}


def card_of(
    order: Order, method: Any, chosen: tuple[Any, Settings], model: Model,
    used: tuple[Sequence[Row], preparing.Prepared],
) -> dict[str, Any]:  # fmt: skip
    """What `training.json` says of a training before it begins."""
    (config, settings), (rows, prepared) = chosen, used
    words = _words(order)
    told = {"reward": words[0] if len(words) == 1 else words, "gold": order.gold} if method.DATA == "prompts" else {}
    return {
        "method": order.method,
        "config": asdict(config),
        "settings": asdict(settings),
        "model": {"address": model.address, "fingerprint": model.fingerprint},
        "data": {
            "source": order.data,
            "rows": len(rows),
            "items": len(prepared.items) or len(rows),
            "skipped": dict(prepared.skipped),
            "fingerprint": fingerprint([[r.id, r.messages, r.answers, r.labels] for r in rows]),
        },
        **told,
        "packages": {name: metadata.version(name) for name in ("torch", "transformers", "accelerate")},
        "machine": platform.machine(),
    }


def _merge(order: Order, method: Any) -> dict[str, Any]:
    """Two checkpoints of one shape as a third one."""
    from evalsuite.training.machine import quiet

    config, settings = configured(method, order.changes, order.method)
    saving.check_free(order.out, resume=False)
    first, second = resolve(order.model, order.options), resolve(order.data, order.options)
    parts = [method.read(folder_of(m)) for m in (first, second)]
    try:
        weights = method.merged(*parts, config)
    except ValueError as error:
        raise InputError(f"--data {order.data}: cannot be merged with {order.model} ({error})") from error
    net = load(first, "policy", replace(settings, dtype="float32"))
    with quiet():
        net = net.to(next(iter(weights.values())).dtype)
        missing = net.load_state_dict(weights, strict=False).unexpected_keys
    if missing:
        raise InputError(f"--model {order.model}: its weights are not those of a causal model ({missing[0]})")
    card = {"method": order.method, "config": asdict(config), "model": {"address": order.model},
            "data": {"source": order.data, "fingerprint": second.fingerprint, "items": 2, "skipped": {}}}  # fmt: skip
    lineage = Lineage(first.fingerprint, first.name, order.method, order.data)
    saving.write(net, tokenizer_of(first), order.out, {"lineage": asdict(lineage), "training": card})
    return {**card, "steps": 0, "out": str(order.out)}


def rewards_of(order: Order, method: Any, config: Any) -> tuple[Reward, Reward | None]:
    """The reward and, where it is asked for, the gold reward. Raises InputError where there is none and one is
    needed."""
    words = _words(order)
    gold = source(order.gold, order.options) if order.gold is not None else None
    if not words and hasattr(method, "needs_reward") and not method.needs_reward(config):
        return unrewarded, gold
    if not words:
        raise InputError(f"train {order.method}: needs --reward (a reward model, gold, task:NAME or FILE.py:FUNCTION)")
    return combined(words, config.combine, config.reference_quantile, order.options), gold


def _words(order: Order) -> list[str]:
    return [order.reward] if isinstance(order.reward, str) else list(order.reward or ())


def _answered(order: Order, method: Any, config: Any, settings: Settings, progress: Progress | None) -> dict[str, Any]:
    """A method that trains nothing and writes answers: of any model that speaks, a server's too."""
    model = resolve(order.model, order.options)
    skipped = Counter[str]() if settings.skip_bad else None
    rows, rewards = data.read(order.data, method.DATA, order.limit, skipped), rewards_of(order, method, config)
    figures = method.answer(model, rows, config, rewards, order.out, settings.seed, progress, skipped)
    prepared = preparing.Prepared([], dict(skipped or {}))
    card = {**card_of(order, method, (config, settings), model, (rows, prepared)), "figures": figures}
    (order.out / "training.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return {**card, "steps": 0, "out": str(order.out)}


def configured(method: Any, changes: Mapping[str, Any], name: str) -> tuple[Any, Settings]:
    """The method's Config and the Settings with the changes, each checked by the type of its default."""
    config, settings = method.Config(), replace(Settings(), **getattr(method, "DEFAULTS", {}))
    own = {f.name: getattr(config, f.name) for f in fields(config)}
    common = {f.name: getattr(settings, f.name) for f in fields(settings)}
    mine: dict[str, Any] = {}
    shared: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in own and key not in common:
            raise unknown(f"knob of {name}", key, [*own, *common])
        kind = next((f.type for f in (*fields(config), *fields(settings)) if f.name == key), None)
        (mine if key in own else shared)[key] = _typed(key, (own | common)[key], value, get_args(kind))
    return replace(config, **mine), replace(settings, **shared)


def main_process() -> bool:
    """Whether this process is the one that writes and tells."""
    return os.environ.get("RANK", "0") == "0"


def _typed(key: str, default: Any, value: Any, known: Sequence[Any] = ()) -> Any:
    """A value out of YAML or of the command line's text; one of `known` where these are all that there are."""
    if known and isinstance(default, str):
        if str(value) not in known:
            raise unknown(f"value of {key}", str(value), known)
        return str(value)
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        if isinstance(value, bool) or (isinstance(default, int) and float(value) != int(float(value))):
            raise ValueError(value)
        return type(default)(float(value)) if isinstance(default, int | float) else str(value)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{key}={value}: a value like {default!r} is wanted") from error


def tokenizer_of(model: Model, made: Renderer | None = None) -> Any:
    """The checkpoint's tokenizer, with the template that was trained with: `run` then asks as training did."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder_of(model))
    if made is not None and model.options.template != "auto":
        tokenizer.chat_template = made.template
    return tokenizer
