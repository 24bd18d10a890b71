"""The same training by TRL's own trainer (`--engine trl`): same recipe, same rows, same folder as our loop's.

Knobs and settings keep their names and are mapped one to one; what TRL has not is refused by name, never dropped. What
differs: TRL's optimiser groups (embeddings decay too), its warm-up from 0, its order of rows, and that it learns what
the template writes behind an answer's end mark. TRL sends usage data to the Hub from every trainer; here that is off
unless HF_HUB_DISABLE_TELEMETRY=0.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any

from evalsuite.errors import InputError
from evalsuite.models import Model, Renderer, renderer, resolve
from evalsuite.records import Lineage, Progress, user
from evalsuite.training import data, methods, preparing, run, saving
from evalsuite.training.contract import Item, Row, Settings
from evalsuite.training.encoding import Encoder
from evalsuite.training.loading import load, lora_config
from evalsuite.training.log import Log
from evalsuite.training.online_rewards import Reward
from evalsuite.training.trainer import TrainingError
from evalsuite.training.trl_arguments import BRIDGED, Bridged, arguments, shared

QUIET = "TRL's usage data stays here (HF_HUB_DISABLE_TELEMETRY=0 lets it go)"
STATES = ".trl"
"""Where TRL's own checkpoints lie in --out while it trains."""


def start(order: run.Order, resume: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Trains and returns what `training.json` says. Raises InputError and its kin before anything is computed."""
    bridged = BRIDGED.get(order.method)
    if bridged is None:
        raise InputError(f"--engine trl: has no {order.method}; it has {', '.join(BRIDGED)}")
    method = methods.find(order.method)
    config, settings = run.configured(method, order.changes, order.method)
    knobs = arguments(bridged, config, type(config)())
    _check_free(order.out, resume)
    trl = _trl()
    model = resolve(order.model, order.options)
    made = renderer(model)
    if made is None or made.template is None:
        raise InputError(f"--model {order.model}: --engine trl needs a tokenizer with a chat template")
    rows, prepared, more = _read(order, method, (config, settings), model, made)
    begun = _last(order.out) if resume else None
    log = Log(order.out, order.trackers, _step(begun)) if run.main_process() else None
    given = {"output_dir": str(order.out / STATES), **shared(settings, bridged.trainer), **knobs}
    lineage = Lineage(model.fingerprint, model.name, order.method, f"{order.data} ({len(rows)} rows)")
    tokenizer = run.tokenizer_of(model, made)
    watch = [order.watch.set(lineage, settings.eval_steps).callback(tokenizer)] if order.watch is not None else []
    trainer = _made(
        getattr(trl, f"{bridged.trainer}Trainer"),
        model=load(model, method.MODEL, replace(settings, lora_r=0, gradient_checkpointing=False)),
        args=getattr(trl, f"{bridged.trainer}Config")(**given),
        processing_class=spoken(run.tokenizer_of(model), made),
        train_dataset=table(rows, prepared.items, order.method),
        peft_config=lora_config(method.MODEL, settings) if settings.lora_r else None,
        callbacks=[_teller(bridged, log, progress), *watch],
        **more,
    )
    engine = {"name": "trl", "version": metadata.version("trl"), "arguments": knobs}
    card = {**run.card_of(order, method, (config, settings), model, (rows, prepared)), "engine": engine}
    told = {"lineage": asdict(lineage), "training": {**card, "template": made.template_name}}
    try:
        return _trained(trainer, order.out, tokenizer, told, begun)
    finally:
        if log is not None:
            log.close()


def _read(
    order: run.Order, method: Any, chosen: tuple[Any, Settings], model: Model, made: Renderer
) -> tuple[list[Row], preparing.Prepared, dict[str, Any]]:
    """Rows and items as our loop has them, and for online methods the reward."""
    config, settings = chosen
    encoder = Encoder(made, min(settings.max_length, model.context_window or settings.max_length))
    skipped = Counter[str]() if settings.skip_bad else None
    rows = data.read(order.data, method.DATA, order.limit, skipped)
    if method.DATA != "prompts":
        return rows, preparing.prepare(method, config, rows, encoder, skipped), {}
    rows, prepared = preparing.askable(rows, encoder, config, skipped)
    reward, _ = run.rewards_of(order, method, config)
    return rows, prepared, {"reward_funcs": rewarded(reward, rows, config.missing_eos_penalty, made.tokens.eos_ids)}


def table(rows: Sequence[Row], items: Sequence[Item], method: str) -> Any:
    """The data set that TRL's trainer takes: our own tokens where it takes tokens, else turns, without the columns that
    it would misread."""
    import datasets

    made: list[dict[str, Any]]
    if method == "sft":
        made = [{"input_ids": list(s.ids), "completion_mask": list(s.mask)} for s in (i.sequences[0] for i in items)]
    elif method == "reward":
        if any(i.labels and i.labels[0] == i.labels[1] for i in items):
            raise InputError("ties: TRL's RewardTrainer has them not; leave --engine trl out, or the ties")
        made = [
            dict(zip(("chosen_ids", "rejected_ids"), (list(s.ids) for s in i.sequences), strict=True))
            | {"margin": i.columns["margin"]}
            for i in items
        ]
    elif methods.find(method).DATA == "prompts":
        made = [{"prompt": line["prompt"], "row": n} for n, line in enumerate(data.to_rows(rows))]
    else:
        kept, names = {item.row for item in items}, ("prompt", "chosen", "rejected", "completion", "label")
        made = [{k: v for k, v in line.items() if k in names} for line in data.to_rows(rows) if line["id"] in kept]
    return datasets.Dataset.from_list(made)


def rewarded(reward: Reward, rows: Sequence[Row], penalty: float, ends: Sequence[int]) -> Any:
    """Our reward as TRL calls them: column `row` tells which one it is; answers that did not end pay the penalty."""

    def rewards(completions: Any, completion_ids: Any, row: Any, **rest: Any) -> list[float | None]:
        found = reward([rows[n] for n in row], [turns[-1]["content"] for turns in completions])
        cut = [not ids or ids[-1] not in ends for ids in completion_ids]
        return [None if r is None else r - penalty * c for r, c in zip(found, cut, strict=True)]

    return rewards


def spoken(tokenizer: Any, made: Renderer) -> Any:
    """The tokenizer with a template by which TRL gives a prompt the very tokens that we give it. Raises InputError
    where there is none."""
    turns = (user("a"),)
    tokenizer.chat_template = made.template
    theirs = tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, return_dict=False)
    if made.prompt_ids(turns) == (tokenizer.bos_token_id, *theirs):  # TRL leaves out what only the tokenizer adds
        tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    elif made.prompt_ids(turns) != tuple(theirs):
        raise InputError("--engine trl: TRL would write the prompt otherwise than `run` does; leave --engine trl out")
    return tokenizer


def _trl() -> Any:
    """The package, silent towards the Hub. Raises InputError where it is absent or of another time."""
    if os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1") != "0":
        import huggingface_hub.constants

        huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    try:
        import datasets
        import trl
    except ImportError as error:
        raise InputError(f"--engine trl: not installed ({error}); pip install 'evalsuite[train]'") from error
    if not (1, 16) <= tuple(map(int, trl.__version__.split(".")[:2])) < (2, 0):
        raise InputError(f"--engine trl: needs trl>=1.16,<2, and {trl.__version__} is installed")
    datasets.disable_progress_bars()
    return trl


def _check_free(out: Path, resume: bool) -> None:
    saving.check_free(out, resume)
    if _last(out) is not None and not resume:
        raise InputError(f"--out {out}: holds an unfinished training; go on with --resume, or choose another folder")


def _last(out: Path) -> Path | None:
    """The last state that TRL wrote."""
    return max((out / STATES).glob("checkpoint-*"), key=_step, default=None)


def _step(state: Path | None) -> int:
    return int(state.name.rpartition("-")[2]) if state else 0


def _made(trainer: Any, **given: Any) -> Any:
    """TRL's trainer, its refusals in one line."""
    from transformers import PrinterCallback

    from evalsuite.training.machine import quiet

    try:
        with quiet():
            made = trainer(**given)
    except (ValueError, TypeError) as error:
        raise InputError(f"--engine trl: {' '.join(str(error).split())}") from error
    made.remove_callback(PrinterCallback)  # stdout is for results
    return made


def _trained(trainer: Any, out: Path, tokenizer: Any, card: dict[str, Any], begun: Path | None) -> dict[str, Any]:
    """Trains, and writes the folder as our loop does."""
    trainer.train(resume_from_checkpoint=str(begun) if begun else None)
    accelerator, steps = trainer.accelerator, trainer.state.global_step
    how = {"processes": accelerator.num_processes, "distributed": accelerator.distributed_type.value, "steps": steps}
    told = {**card["training"], **how}
    saving.finish(accelerator, trainer.model_wrapped, tokenizer, out, {**card, "training": told})
    if accelerator.is_main_process:
        shutil.rmtree(out / STATES, ignore_errors=True)
    return {**told, "out": str(out)}


def _teller(bridged: Bridged, log: Log | None, progress: Progress | None) -> Any:
    """A callback that writes our log, and stops a training whose loss is no number."""
    from transformers import TrainerCallback

    started = monotonic()

    class Teller(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            control.should_log = control.should_log or state.global_step == state.max_steps
            if progress is not None and state.is_world_process_zero:
                progress(state.global_step, state.max_steps, "trl")
            return control

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if "loss" not in logs:  # the summary at the end
                return
            if logs["loss"] != logs["loss"] or abs(logs["loss"]) == float("inf"):
                raise TrainingError(f"step {state.global_step}: the loss is {logs['loss']}; lower learning_rate")
            if log is not None:
                log.write(state.global_step, {**_renamed(logs, bridged.figures), "seconds": monotonic() - started})

    return Teller()


def _renamed(logs: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, float]:
    found = {figures.get(k, k).replace("/", "_"): float(v) for k, v in logs.items() if isinstance(v, int | float)}
    return {k: v for k, v in found.items() if k not in ("step", "total_flos")}
