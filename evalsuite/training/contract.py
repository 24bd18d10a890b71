"""What a training method is, and the records that its data pass through.

A method is a module of `training/methods/` with

* `CARD`: a literal: objective, data, source, knobs, reduces_to (what it becomes at which setting)
* `Config`: a frozen dataclass of its own knobs, each with a default
* `DATA`: the kind of rows it reads (`data.KINDS`); `MODEL`: "policy" or "reward"
* `items(row, encode, config)`: the items that one row gives (usually one)
* `loss(out, batch, config)`: what `MODEL` gives for a batch ((N, T) log-probabilities of tokens, or (N, H) rewards) →
  (loss, figures): a mean over what `weight(batch)` counts
* optional: `weight(batch)` (default: items), `needs_reference(config)`, `arrange(items)` (looks at all items at once),
  `forward(model, batch, config)` instead of the usual call of the model
* online methods (`DATA = "prompts"`) have `rollout(policy, prompts, config, context)` instead of `items`: what the
  policy says now, judged, as items (see `training.online`); `PER` tells whether one item is a "prompt" or an "answer";
  optional: `needs_reward(config)`, whether there must be a --reward (default: yes)

>>> method = find("dpo")
>>> method.loss(logps, batch, method.Config(beta=0.1))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from evalsuite.errors import InputError
from evalsuite.records import Message

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["completions", "pairs", "lists", "unpaired", "prompts"]


class Unusable(InputError):
    """A row that no training can use: an empty answer, say, or a prompt longer than the window. `reason` (what stands
    before a bracket) is what `--skip-bad` counts it under."""

    def __init__(self, where: str, reason: str, mend: str = "mend the row") -> None:
        super().__init__(f"{where}: {reason}; {mend}, or leave such rows out with --skip-bad")
        self.reason = reason.split(" (")[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of training data. `answers` are one (completions, unpaired), two (pairs: the chosen one first) or several
    (lists); `labels` grade them; `columns` are numbers of the row (a margin, a reward gap, the probability that the
    label is right), `metadata` the rest as it came. For messages: `where` is the row's file and number, `fields` what
    the file calls each answer."""

    id: str
    messages: tuple[Message, ...]
    answers: tuple[str, ...] = ()
    labels: tuple[float, ...] = ()
    columns: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    fields: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where the row stands, for messages."""
        return self.where or f"row {self.id}"


@dataclass(frozen=True, slots=True)
class Tokenised:
    """One text as tokens. `mask[i]`: token i is learned from (the answer's tokens with the end mark). `weight` of each
    token (None: 1), `ref`: the reference policy's log-probability of each token (0 outside the mask), once known.
    `given`: what a rollout says of each token ("behaviour", "advantage", ...), 0 outside the mask. Data sets are kept
    as arrays (`array`): a seventh of what tuples of Python's numbers take."""

    ids: Sequence[int]
    mask: Sequence[int]
    weight: Sequence[float] | None = None
    ref: Sequence[float] | None = None
    given: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """What one term of the loss looks at: one answer, a pair (the chosen one first), or a list."""

    sequences: tuple[Tokenised, ...]
    labels: tuple[float, ...] = ()
    columns: Mapping[str, float] = field(default_factory=dict)
    row: str = ""


@dataclass(frozen=True)
class Batch:
    """B items of up to K sequences as N = K·B rows, rank by rank (all chosen answers, then all rejected ones), padded
    on the right: `ids`, `mask` (N, T); `weight`, `ref` (N, T) or None; `labels`, `valid` (B, K); `columns` (B,);
    `given` (N, T); `rows`: of which rows of the data the items are."""

    ids: "Tensor"
    mask: "Tensor"
    weight: "Tensor | None"
    ref: "Tensor | None"
    labels: "Tensor"
    valid: "Tensor"
    columns: "Mapping[str, Tensor]"
    given: "Mapping[str, Tensor]" = field(default_factory=dict)
    rows: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def tokens(self) -> int:
        """Tokens that are learned from."""
        return int(self.mask.sum())

    def ranks(self, x: "Tensor") -> "tuple[Tensor, ...]":
        """(N, ...) → K parts of (B, ...): the chosen ones and the rejected ones of pairs."""
        return tuple(x.split(self.size))

    def listed(self, x: "Tensor") -> "Tensor":
        """(N,) → (B, K)."""
        return x.reshape(-1, self.size).T

    def to(self, device: Any) -> "Batch":
        moved: dict[str, Any] = {k: v.to(device) if hasattr(v, "to") else v for k, v in vars(self).items()}
        for name in ("columns", "given"):
            moved[name] = {k: v.to(device) for k, v in moved[name].items()}
        return Batch(**moved)


@dataclass(frozen=True)
class Settings:
    """How anything is optimised; names are TRL's where it has them. AdamW; weight decay falls on matrices, neither on
    embeddings nor on norms. `max_steps` -1: as many as `num_train_epochs` give. `save_steps` 0: only at the end.
    `dtype` is the weights' (`loading.dtype`). `lora_r` 0 trains all weights. `skip_bad`: rows that cannot be used are
    counted instead of refused, and so is a step whose loss is no number."""

    learning_rate: float = 1e-5
    num_train_epochs: float = 1.0
    max_steps: int = -1
    per_device_train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    warmup_ratio: float = 0.05
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    max_length: int = 1024
    seed: int = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    lora_r: int = 0
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    lora_target_modules: str = "all-linear"
    logging_steps: int = 10
    save_steps: int = 0
    eval_steps: int = 0
    skip_bad: bool = False


class Encode(Protocol):
    """A conversation and the answer to it → tokens (`encoding.Encoder`)."""

    def __call__(self, messages: Sequence[Message], answer: str) -> Tokenised: ...


Figures = Mapping[str, float]
