"""The loop, for every method: batches → the method's loss → one optimiser step, logged, saved, resumable.

    model = load_policy("checkpoint", settings)
    items = prepare(method, rows, encoder, config, settings)
    train(Job(method, config, settings, model, items, pad_id, Path("out")))

It runs alone, or under `accelerate launch` (several processes or nodes, FSDP, DeepSpeed) without another line. Losses
of the parts of an accumulated batch are divided by what the **whole** batch counts, over all processes: tokens for
likelihoods, items for preferences. So 1 x 8 = 8 x 1 = 2 processes x 4, whatever the lengths.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from evalsuite.errors import EvalsuiteError
from evalsuite.records import Progress
from evalsuite.training import batching, saving
from evalsuite.training.contract import Batch, Item, Settings
from evalsuite.training.launching import launched, one_part, prepared, steps_itself
from evalsuite.training.log import Log
from evalsuite.training.objectives.scores import token_logps
from evalsuite.training.preparing import with_reference
from evalsuite.training.schedule import groups, rate
from evalsuite.training.tied import spare_tied

if TYPE_CHECKING:
    from torch import Tensor


IN_A_ROW = 5
"""Steps without a number that are not left out any more."""


class TrainingError(EvalsuiteError):
    """Training cannot go on: the loss is no number, say. What was saved before is whole."""


@dataclass
class Job:
    """One training. `called` after every optimiser step with (step, model); it stops the training where it returns
    True. `card` is what the checkpoint says about how it was made. An online method's items come from `rounds`
    (`online_rounds.Rounds`). `left_out`: the steps that were not taken, because their loss is no number (skip_bad)."""

    method: Any
    config: Any
    settings: Settings
    model: Any
    items: Sequence[Item]
    pad_id: int
    out: Path
    card: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Any = None
    called: Callable[[int, Any], bool] | None = None
    progress: Progress | None = None
    log: Log | None = None
    rounds: Any = None
    left_out: list[int] = field(default_factory=list)


def train(job: Job, resume: bool = False) -> int:
    """Trains in place and writes checkpoints under `job.out`; returns how many steps were made in all. Raises
    TrainingError where the loss is no number."""
    import torch

    s = job.settings
    accelerator = launched(s)
    torch.manual_seed(s.seed)
    if accelerator.distributed_type.value == "NO":  # the others wait for autograd to bring each weight's gradient
        spare_tied(job.model)
    if job.rounds is not None:
        job.rounds.begin(job, accelerator)
    optimizer = torch.optim.AdamW(
        groups(job.model, s.weight_decay), lr=s.learning_rate, betas=(s.adam_beta1, s.adam_beta2), fused=True
    )
    model, optimizer = prepared(accelerator, job.model, optimizer, s)
    total = _total(job, accelerator.num_processes)
    progress = job.progress if accelerator.is_main_process else None
    if hasattr(job.method, "needs_reference") and job.method.needs_reference(job.config):
        size = s.per_device_train_batch_size * max((len(i.sequences) for i in job.items), default=1)
        job.items = with_reference(job.items, model, job.pad_id, size, accelerator, progress)
    done = saving.resume(accelerator, job.out, _beside(job)) if resume else 0
    started = monotonic()
    model.train()
    for step, parts in zip(range(done, total), _steps(job, accelerator, model, done), strict=False):
        figures = _step(
            job, accelerator, model, optimizer, [part.to(accelerator.device) for part in parts], step, total
        )
        done = step + 1
        last = done == total
        stop = job.called is not None and job.called(done, model)
        if job.log is not None and figures and (last or stop or done % s.logging_steps == 0):
            told = job.rounds.figures if job.rounds is not None else {}
            job.log.write(done, {**figures, **told, "seconds": monotonic() - started})
        if progress is not None:
            progress(done, total, f"loss {figures['loss']:.4f}" if figures else "left out")
        if s.save_steps and done % s.save_steps == 0 and not last:
            saving.keep(accelerator, job.out, done, *([job.rounds.state()] if job.rounds is not None else []))
        if stop:
            break
    how = {"processes": accelerator.num_processes, "distributed": accelerator.distributed_type.value, "steps": done,
           "mixed_precision": accelerator.mixed_precision}  # fmt: skip
    how |= {"steps_left_out": job.left_out} if job.left_out else {}
    card = {**job.card, "training": {**job.card.get("training", {}), **how}}
    saving.finish(accelerator, model, job.tokenizer, job.out, card)
    return done


def _step(
    job: Job, accelerator: Any, model: Any, optimizer: Any, parts: list[Batch], step: int, total: int
) -> dict[str, float]:
    """One optimiser step over the parts of an accumulated batch; its figures, means over what the loss counts. None of
    them where the step was left out."""
    import torch

    s = job.settings
    lr = rate(step, total, s)
    for group in optimizer.param_groups:
        group["lr"] = lr
    weights = [weight(job.method, part) for part in parts]
    whole = accelerator.reduce(torch.tensor(sum(weights), device=accelerator.device), "sum").item() or 1.0
    sums: dict[str, Tensor] = {}
    for i, (batch, own) in enumerate(zip(parts, weights, strict=True)):
        with one_part(accelerator, model, last=i == len(parts) - 1):
            loss, figures = job.method.loss(forward(job.method, model, batch, job.config), batch, job.config)
            # Gradients of processes are averaged, hence the number of processes.
            accelerator.backward(loss * (own / whole * accelerator.num_processes))
        for name, value in {"loss": loss.detach(), **figures}.items():
            sums[name] = sums.get(name, 0.0) + value.float() * own
    norm = accelerator.clip_grad_norm_(model.parameters(), s.max_grad_norm)
    means = {k: accelerator.reduce(v.detach(), "sum").item() / whole for k, v in sums.items()}
    if not all(map(_finite, (means["loss"], float(norm)))):
        why = f"the loss is {means['loss']:g}, its gradient's norm {float(norm):g}"
        _leave_out(job, step, parts, why, taken=steps_itself(accelerator))
        optimizer.zero_grad(set_to_none=True)
        return {}
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {**means, "grad_norm": float(norm), "learning_rate": lr, "tokens": float(sum(part.tokens for part in parts))}


def _leave_out(job: Job, step: int, parts: Sequence[Batch], why: str, taken: bool) -> None:
    """Counts a step that cannot be taken. Raises TrainingError where that is not asked for, where it was `taken`
    already, and where it is the `IN_A_ROW`th of such steps together: then it is the weights that have gone wrong, and
    no row's fault."""
    rows = [row for part in parts for row in part.rows if row]
    among = f", on the rows of id {', '.join(rows[:8])}{', ...' if len(rows) > 8 else ''}" if rows else ""
    before = [step + 1 - k for k in range(IN_A_ROW - 1, 0, -1)]
    if taken or not job.settings.skip_bad:
        mend = "or mend the rows" if taken else "mend the rows, or leave such steps out with --skip-bad"
        raise TrainingError(f"step {step + 1}: {why}{among}; lower learning_rate, {mend}")
    if job.left_out[-len(before) :] == before:
        raise TrainingError(f"step {step + 1}: {why}{among}, {IN_A_ROW} times in a row; lower learning_rate")
    job.left_out.append(step + 1)


def forward(method: Any, model: Any, batch: Batch, config: Any) -> "Tensor":
    """What a method's loss takes: log-probabilities of tokens (N, T), or rewards (N, H)."""
    if hasattr(method, "forward"):
        made: Tensor = method.forward(model, batch, config)
        return made
    if method.MODEL == "reward":
        return _read_last(model, batch)
    return token_logps(model, batch.ids, batch.mask)


def weight(method: Any, batch: Batch) -> float:
    """What a method's mean is over: items, unless it says otherwise."""
    return float(method.weight(batch)) if hasattr(method, "weight") else float(batch.size)


def steps_of(items: int, s: Settings, processes: int) -> int:
    """Optimiser steps of a training."""
    if s.max_steps > 0:
        return s.max_steps
    together = s.per_device_train_batch_size * s.gradient_accumulation_steps * processes
    return max(1, round(s.num_train_epochs * -(-items // together)))


def _total(job: Job, processes: int) -> int:
    if job.rounds is not None:
        return int(job.rounds.total(job, processes))
    return steps_of(len(job.items), job.settings, processes)


def _beside(job: Job) -> Callable[[Mapping[str, Any]], None] | None:
    return job.rounds.restore if job.rounds is not None else None


def _steps(job: Job, accelerator: Any, model: Any, done: int) -> Iterator[list[Batch]]:
    """The parts of each step from `done` on that this process computes. The whole step's items are fixed by the seed
    alone, so that the number of processes and of parts does not matter."""
    size, processes = job.settings.per_device_train_batch_size, accelerator.num_processes
    fixed = job.rounds is None
    for chosen in _fixed(job, processes, done) if fixed else job.rounds.steps(job, accelerator, model, done):
        # A last batch may be smaller than the number of processes: everybody computes something.
        own = chosen[accelerator.process_index :: processes] or chosen[:1]
        yield [batching.collate(own[at : at + size], job.pad_id) for at in range(0, len(own), size)]


def _fixed(job: Job, processes: int, done: int) -> Iterator[list[Item]]:
    """The items of each step of a method that has all its items from the start."""
    s = job.settings
    together = s.per_device_train_batch_size * s.gradient_accumulation_steps * processes
    planned = batching.epochs([batching.length(item) for item in job.items], together, s.seed)
    for chosen in islice(planned, done, None):
        yield [job.items[i] for i in chosen]


def _read_last(model: Any, batch: Batch) -> "Tensor":
    """Rewards (N, H) at each row's last token. Classifiers of transformers read the last token that is not the pad
    token, which may be the end mark: rows are padded with an id that stands in none of them."""
    import torch

    config = getattr(model, "module", model).config.get_text_config()
    real = torch.arange(batch.ids.shape[1], device=batch.ids.device) < _lengths(batch)[:, None]
    absent = torch.ones(config.vocab_size, dtype=torch.bool, device=real.device)
    absent[batch.ids[real]] = False
    former, config.pad_token_id = config.pad_token_id, int(absent.nonzero()[-1])
    try:
        ids = batch.ids.masked_fill(~real, config.pad_token_id)
        scores: Tensor = model(input_ids=ids, attention_mask=real, use_cache=False).logits
    finally:
        config.pad_token_id = former
    return scores


def _lengths(batch: Batch) -> "Tensor":
    """Tokens of each row, padding left out: everything up to the last that is learned from."""
    import torch

    place = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    return (batch.mask * (place + 1)).max(-1).values.clamp(min=1)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
