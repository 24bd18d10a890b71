"""Our knobs and settings as the arguments of TRL's trainers, one to one; what TRL has not is refused by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evalsuite.errors import InputError
from evalsuite.training.contract import Settings
from evalsuite.training.loading import arithmetic, dtype


@dataclass(frozen=True)
class Bridged:
    """A method at TRL: its trainer's name, our knobs by TRL's names, values of ours by TRL's, knobs of one value that
    need no word, and what TRL calls our figures."""

    trainer: str
    knobs: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[Any, Mapping[str, Any]]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)


PAIR_FIGURES = {"rewards/margins": "margin", "rewards/accuracies": "accuracy", "rewards/chosen": "reward_chosen",
                "rewards/rejected": "reward_rejected"}  # fmt: skip
ROUNDS = {"num_generations": "num_generations", "num_iterations": "num_iterations", "temperature": "temperature",
          "max_completion_length": "max_completion_length", "epsilon": "epsilon", "beta": "beta"}  # fmt: skip
ENGINE: Mapping[str, Mapping[Any, Mapping[str, Any]]] = {"rollout_engine": {"hf": {}, "vllm": {"use_vllm": True}}}
DIVERGENCES = {
    "reverse_kl": "reverse_kl",
    "forward_kl": "forward_kl",
    "js": "js_divergence",
    "alpha": "alpha_divergence",
}
BRIDGED: Mapping[str, Bridged] = {
    "sft": Bridged("SFT", fixed={"loss_type": "nll", "completion_only_loss": True}),
    "reward": Bridged("Reward", {"center": "center_rewards_coefficient"}, figures={}),
    "dpo": Bridged(
        "DPO",
        {"beta": "beta", "label_smoothing": "label_smoothing", "alpha": "f_alpha_divergence_coef"},
        {
            "loss_type": {kind: {"loss_type": [kind]} for kind in ("sigmoid", "sigmoid_norm", "robust", "ipo", "hinge")}
            | {"f": {"loss_type": ["sigmoid"]}},
            "divergence": {ours: {"f_divergence_type": theirs} for ours, theirs in DIVERGENCES.items()},
        },
        figures=PAIR_FIGURES,
    ),
    "kto": Bridged(
        "KTO",
        {name: name for name in ("beta", "desirable_weight", "undesirable_weight")},
        figures={"rewards/chosen": "reward_desirable", "rewards/rejected": "reward_undesirable"},
    ),
    "grpo": Bridged(
        "GRPO",
        {**ROUNDS, "epsilon_high": "epsilon_high", "scale_rewards": "scale_rewards"},
        {
            "loss_type": {kind: {"loss_type": kind} for kind in ("grpo", "dapo", "dr_grpo")},
            "kl": {"k3_ratio": {"use_bias_correction_kl": True}, "k3": {"use_bias_correction_kl": False}},
            **ENGINE,
        },
        figures={"completions/mean_length": "length"},
    ),
    "rloo": Bridged(
        "RLOO",
        {**ROUNDS, "normalize": "normalize_advantages"},
        {"advantage": {"rloo": {}}, **ENGINE},
        figures={"completions/mean_length": "length"},
    ),
}
OWN = ("missing_eos_penalty", "turns")
"""Knobs that our side of the bridge sees to."""


def arguments(bridged: Bridged, config: Any, defaults: Any) -> dict[str, Any]:
    """A method's knobs as arguments of TRL's. Raises InputError for a knob or a value that TRL has not."""
    found = dict(bridged.fixed)
    for name, value in asdict(config).items():
        if name in bridged.knobs:
            found[bridged.knobs[name]] = value
        elif name in bridged.values and value in bridged.values[name]:
            found |= bridged.values[name][value]
        elif name == "reference" and value in ("start", "none"):
            found |= {"beta": 0.0} if value == "none" else {}
        elif name not in OWN and (name in bridged.values or value != getattr(defaults, name)):
            raise InputError(f"{name}={value}: TRL's {bridged.trainer}Trainer has it not; leave --engine trl out")
    return found


def shared(s: Settings, trainer: str) -> dict[str, Any]:
    """The settings of every method as TRL's arguments. Arithmetic is bfloat16 where the weights or the launcher are."""
    import torch

    half = dtype(s) == torch.bfloat16 or arithmetic(s) == "bf16"
    same = ("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "seed", "weight_decay",
            "gradient_accumulation_steps", "adam_beta1", "adam_beta2", "max_grad_norm", "gradient_checkpointing",
            "logging_steps")  # fmt: skip
    return {
        **{name: getattr(s, name) for name in same},
        # TRL's "constant" knows no warm-up.
        "lr_scheduler_type": "constant_with_warmup" if s.lr_scheduler_type == "constant" else s.lr_scheduler_type,
        "warmup_steps": s.warmup_ratio,
        "save_strategy": "steps" if s.save_steps else "no",
        "save_steps": s.save_steps or 500,
        "save_total_limit": 1,
        "bf16": half,
        "use_cpu": not torch.cuda.is_available(),
        "report_to": "none",
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
        **({"max_length": s.max_length} if trainer not in ("GRPO", "RLOO") else {}),
    }
