"""Trains the signed SAE of `features.sae` without labels: differences in, features out; deterministic by its seed.

The loss is the mean over Matryoshka prefixes m of Σ|x - D_m z_m|² / Σ|x|², z the BatchTopK of p = W x by |p| (the
batch·K largest of a batch keep their value and sign). WIMHF divides by the error of the batch's mean over differences
and their mirror images; that mean is 0, so Σ|x|² is the same. Mirror images themselves are not trained on: an exactly
odd network has the same gradient on x and -x, so they would only double the work.

Features that have not fired for `dead_after` steps rebuild the residual with their largest |p| (the auxiliary loss;
by magnitude, as features are signed, and nothing is added where no feature is dead). One that stays dead is aimed at
the residual of a row drawn in proportion to its size (Bricken et al. 2023, *Towards Monosemanticity*).

Gradients are written out. All losses are quadratic in x, so everything but two products with the batch happens between
(rows × width) and (width × width) matrices: no reconstruction is ever formed, which is most of the speed:

    [p | q] = X [W | D]ᵀ        ∂|x - D_m z_m|²/∂z_m = 2 (z_m D_m D_mᵀ - q_m)        ∂/∂D_m = 2 (z_mᵀ z_m D_m - z_mᵀ X)

Gradients lose their part along each decoder direction, are clipped by their norm, and Adam takes the step; directions
get length 1 again. After an epoch, features in which two directions are merged are taken apart where that lowers the
loss (`features.splitting`; ours). theta is a moving average of the smallest kept |p|, corrected for its start at 0. The
best state on the held-out rows is kept. With `checkpoint`, state is written after every epoch and an interrupted
training goes on from there to the very same weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError
from evalsuite.features import training_state
from evalsuite.features.sae import Quality, Rows, Sae, Settings, finite, quality, tensor
from evalsuite.features.splitting import held_by, smallest_kept, splits
from evalsuite.records import Progress

BETAS = (0.9, 0.999)
EPSILON = 1e-8
IN_MEMORY = 1 << 30
"""Bytes (as float32) up to which rows are held in memory while training; more are read part by part."""
SAMPLE = 1024
"""Rows in which merged directions are looked for after an epoch."""
PART = 64
"""Batches that are read from the disk in one go."""


@dataclass(frozen=True)
class Trained:
    """What a training gives. `held_out` is the quality on rows that took no part in it (on all rows, where
    `settings.held_out` is 0); `losses` its loss after each epoch; `best` the epoch (from 1) whose weights these are.
    `ended`: "patience" or "epochs". `revived`: features that were aimed anew; `splits`: pairs that were taken apart."""

    sae: Sae
    held_out: Quality
    losses: tuple[float, ...]
    best: int
    steps: int
    ended: str
    revived: int = 0
    splits: int = 0


@dataclass
class State:
    """All that a training changes. `weights` (2·width, dimensions) are encoder over decoder; `moments` are Adam's."""

    weights: Any
    moments: tuple[Any, Any]
    since: Any  # steps since each feature fired
    best: Any
    best_theta: float = 0.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    average: float = 0.0  # of the smallest kept |p|, not yet corrected
    steps: int = 0
    revived: int = 0
    splits: int = 0
    losses: tuple[float, ...] = ()


def train(
    differences: Rows,
    settings: Settings = Settings(),  # noqa: B008
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    held_out: Sequence[int] | None = None,
) -> Trained:
    """The SAE of these differences (n, dimensions). `held_out` names the rows that decide when to stop (default: a
    share, drawn by the seed). Raises InputError where there are fewer training rows than features, where all rows are
    0, or where a row holds NaN or infinity."""
    import torch

    rows, kept = _split(differences, settings, held_out)
    data = _in_memory(differences)
    held = _Chosen(data, kept) if len(kept) else data
    if held.shape[0] * held.shape[1] * 4 <= IN_MEMORY // 4:  # they are read after every epoch
        held = tensor(held[0 : held.shape[0]])
    identity = {"settings": asdict(settings), "shape": list(differences.shape), "rows": training_state.digest(rows)}
    state = training_state.load(checkpoint, identity, State) if checkpoint is not None else None
    with torch.no_grad():
        state = state or _start(differences.shape[1], settings)
        while (ended := _ended(state, settings)) is None:
            epoch = len(state.losses)
            generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch + 1)
            for x, energy in _batches(data, rows, settings.batch, generator):
                _step(state, x, energy, settings, generator)
            _judge(state, held, settings)
            if settings.split:
                _untangle(state, data, rows, settings, generator)
            if checkpoint is not None:
                training_state.save(checkpoint, identity, state)
            if progress is not None:
                progress(epoch + 1, settings.epochs, "training the SAE")
    if state.steps == 0:
        raise InputError("every difference of the embeddings is 0: both texts of every pair are the same")
    sae = _sae(state.best, state.best_theta, settings)
    return Trained(
        sae, quality(sae, held), state.losses, state.best_epoch, state.steps, ended, state.revived, state.splits
    )


# -- one step ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Batch:
    """A batch as a step sees it: rows x (rows, dimensions), and with features first, so that every part is contiguous,
    p = W xᵀ, q = D xᵀ and the kept activations z (width, rows); D Dᵀ and Σ|x|²."""

    x: Any
    p: Any
    q: Any
    z: Any
    gram: Any
    energy: float


def _step(state: State, x: Any, energy: float, settings: Settings, generator: Any) -> None:
    """One step on a batch (rows, dimensions) with Σ|x|² = `energy`; a batch of zeros is passed over."""
    import torch

    if energy == 0:
        return
    width = settings.width
    decoder = state.weights[width:]
    both = state.weights @ x.T
    p, q = both[:width], both[width:]
    size = p.abs()
    cut = smallest_kept(size, len(x) * settings.active)
    kept = size >= cut
    batch = Batch(x, p, q, p * kept, decoder @ decoder.T, energy)
    left, square = _gradients(batch, settings.widths)
    left[:width] *= kept
    state.since += 1
    state.since[kept.any(1)] = 0
    stale = float(state.since.max())
    if settings.aux_weight and stale > settings.dead_after:
        _add_auxiliary(left, square, batch, state.since > settings.dead_after, settings)
    gradient = left @ x
    down = gradient[width:]
    down.addmm_(square, decoder)
    down.addcmul_((down * decoder).sum(1, keepdim=True), decoder, value=-1)
    _adam(state, gradient, settings)
    decoder /= torch.linalg.vector_norm(decoder, dim=1, keepdim=True)
    state.average += settings.theta_rate * (cut - state.average)
    if settings.revive_after and stale > settings.revive_after:
        _aim(state, batch, settings, generator)


def _gradients(batch: Batch, widths: Sequence[int]) -> tuple[Any, Any]:
    """The loss's gradients as (left, square): that of the encoder is left[:width] X once masked, that of the decoder
    left[width:] X + square D. A pair of features counts as often as there are prefixes that hold both."""
    import torch

    z, width = batch.z, len(batch.z)
    scale = 2 / (len(widths) * batch.energy)
    holds, hold_both = held_by(tuple(widths))
    left = torch.empty((2 * width, z.shape[1]))
    own = holds[:, None] * scale
    torch.addmm(own * batch.q, batch.gram * hold_both, z, beta=-1, alpha=scale, out=left[:width])
    torch.mul(z, -own, out=left[width:])
    return left, (z @ z.T).mul_(hold_both).mul_(scale)


def _add_auxiliary(left: Any, square: Any, batch: Batch, dead: Any, settings: Settings) -> None:
    """Adds the auxiliary loss's gradients: in each row the dead features of the largest |p| rebuild e = x - D z, in
    units of Σ|e|²."""
    import torch

    width, p, z = settings.width, batch.p, batch.z
    rebuilt = batch.gram @ z
    energy = batch.energy + float((z * (rebuilt - 2 * batch.q)).sum())
    if energy <= 1e-6 * batch.energy:  # nothing is left to rebuild
        return
    scale = 2 * settings.aux_weight / energy
    count = min(settings.auxiliary, int(dead.sum()))
    chosen = torch.where(dead[:, None], p.abs(), -torch.ones(())).topk(count, dim=0).indices
    a = torch.zeros_like(z).scatter_(0, chosen, p.gather(0, chosen))
    left[:width] += scale * (batch.gram @ a - (batch.q - rebuilt)) * (a != 0)
    left[width:] -= scale * a
    square += scale * (a @ a.T + a @ z.T)


def _adam(state: State, gradient: Any, settings: Settings) -> None:
    """Clips the gradient's norm and takes Adam's step, in place."""
    import torch

    norm = float(torch.linalg.vector_norm(gradient))
    if settings.clip and norm > settings.clip:
        gradient *= settings.clip / norm
    state.steps += 1
    first, second = state.moments
    first.lerp_(gradient, 1 - BETAS[0])
    second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    scale = (1 - BETAS[1] ** state.steps) ** 0.5
    rate = settings.rate(state.weights.shape[1]) * scale / (1 - BETAS[0] ** state.steps)
    state.weights.addcdiv_(first, torch.sqrt(second, out=gradient).add_(EPSILON * scale), value=-rate)


def _aim(state: State, batch: Batch, settings: Settings, generator: Any) -> None:
    """Aims features that the auxiliary loss did not revive at residuals of rows, drawn in proportion to |e|²."""
    import torch

    residual = batch.x - batch.z.T @ state.weights[settings.width :]
    sizes = (residual * residual).sum(1)
    lost = torch.nonzero(state.since > settings.revive_after)[:, 0][: int((sizes > 0).sum())]
    state.since[state.since > settings.revive_after] = 0
    if not len(lost):
        return
    drawn = residual[torch.multinomial(sizes, len(lost), generator=generator)]
    drawn /= torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
    _set(state, lost, drawn, settings)
    state.revived += len(lost)


def _set(state: State, features: Any, directions: Any, settings: Settings) -> None:
    """Gives features new directions, in both matrices, and forgets what Adam knew of the old ones."""
    for rows in (features, features + settings.width):
        state.weights[rows] = directions
        for moment in state.moments:
            moment[rows] = 0
    state.since[features] = 0


# -- epochs -----------------------------------------------------------------------------------------------------------


def _start(dimensions: int, settings: Settings) -> State:
    """Random directions of length 1 (Xavier, normalised); the encoder begins as the decoder."""
    import torch

    generator = torch.Generator().manual_seed(settings.seed)
    decoder = torch.nn.init.xavier_uniform_(torch.empty(settings.width, dimensions), generator=generator)
    decoder /= torch.linalg.vector_norm(decoder, dim=1, keepdim=True)
    weights = torch.cat([decoder, decoder])
    moments = (torch.zeros_like(weights), torch.zeros_like(weights))
    return State(weights, moments, torch.zeros(settings.width), weights.clone())


def _judge(state: State, held: Rows, settings: Settings) -> None:
    """Notes the epoch's loss on held-out rows, as inference would read them, and keeps the best state."""
    if state.steps == 0:
        state.losses = (*state.losses, 1.0)
        return
    theta = state.average / (1 - (1 - settings.theta_rate) ** state.steps)
    loss = quality(_sae(state.weights, theta, settings), held).loss
    state.losses = (*state.losses, loss)
    if loss < state.best_loss or not state.best_epoch:
        state.best, state.best_theta, state.best_loss = state.weights.clone(), theta, loss
        state.best_epoch = len(state.losses)


def _untangle(state: State, data: Rows, rows: Any, settings: Settings, generator: Any) -> None:
    """Splits features in which two directions are merged (`features.splitting`), looking at a sample of rows."""
    import torch

    drawn = torch.randperm(len(rows), generator=generator)[:SAMPLE].numpy()
    for features, directions in splits(state.weights, tensor(data[rows[drawn]]), settings):
        _set(state, features, directions, settings)
        state.splits += 1


def _ended(state: State, settings: Settings) -> str | None:
    done = len(state.losses)
    if done >= settings.epochs:
        return "epochs"
    waited = done - state.best_epoch
    return "patience" if settings.patience and done >= settings.least_epochs and waited >= settings.patience else None


def _sae(weights: Any, theta: float, settings: Settings) -> Sae:
    encoder, decoder = weights[: settings.width].clone(), weights[settings.width :].clone()
    return Sae(encoder, decoder, theta, replace(settings, prefixes=settings.widths))


# -- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chosen:
    """Some rows of others, read when they are asked for."""

    rows: Rows
    which: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.which), *self.rows.shape[1:])

    def __getitem__(self, part: Any) -> Any:
        return self.rows[self.which[part]]


def _split(differences: Rows, settings: Settings, held_out: Sequence[int] | None) -> tuple[Any, Any]:
    """(training rows, held-out rows), both rising."""
    import numpy

    n = differences.shape[0]
    if held_out is None:
        shuffled = numpy.random.default_rng(settings.seed).permutation(n)
        kept = numpy.sort(shuffled[: int(n * settings.held_out)])
    else:
        kept = numpy.unique(numpy.asarray(held_out, dtype=numpy.int64))
        if len(kept) and not 0 <= kept[0] <= kept[-1] < n:
            raise InputError(f"held_out names row {kept[-1] if kept[0] >= 0 else kept[0]}, and there are {n} rows")
    rows = numpy.setdiff1d(numpy.arange(n), kept, assume_unique=True)
    if len(rows) < settings.width:
        raise InputError(
            f"{len(rows)} training rows are too few for {settings.width} features: give more pairs, or fewer features"
        )
    return rows, kept


def _in_memory(differences: Rows) -> Any:
    """The rows as one float32 tensor where that is small, else as they are."""
    import numpy
    import torch

    n, dimensions = differences.shape
    if n * dimensions * 4 > IN_MEMORY:
        return differences
    plain = type(differences) is numpy.ndarray and differences.dtype == numpy.float32 and differences.flags.writeable
    whole = torch.from_numpy(differences) if plain else torch.empty((n, dimensions), dtype=torch.float32)
    for start in range(0, n, PART * PART):
        part = numpy.asarray(differences[start : start + PART * PART])
        finite(part, start)
        if not plain:
            whole[start : start + len(part)] = tensor(part)
    return whole


def _batches(data: Any, rows: Any, size: int, generator: Any) -> Iterator[tuple[Any, float]]:
    """Float32 batches of the training rows, with Σ|x|² of each, in an order drawn by the generator; what does not fill
    a batch is left to another epoch (all rows are one batch, where they are fewer). A batch is gone with the next."""
    import numpy
    import torch

    size = min(size, len(rows))
    order = rows[torch.randperm(len(rows), generator=generator).numpy()]
    batch = torch.empty((size, data.shape[1]), dtype=torch.float32)
    whole = isinstance(data, torch.Tensor)
    for start in range(0, len(rows) - size + 1, size * PART):
        wanted = order[start : start + size * PART]
        if whole:
            read, places = data, torch.from_numpy(wanted)
        else:
            rising = numpy.argsort(wanted)  # a disk is read forwards
            part = numpy.asarray(data[wanted[rising]])
            finite(part, 0, wanted[rising])
            read, places = tensor(part), torch.from_numpy(numpy.argsort(rising))
        for first in range(0, len(wanted) - size + 1, size):
            torch.index_select(read, 0, places[first : first + size], out=batch)
            yield batch, float(torch.linalg.vector_norm(batch)) ** 2
