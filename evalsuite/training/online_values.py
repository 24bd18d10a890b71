"""A policy with a critic beside it, as one module: PPO's state values (V of the text before each token)."""

import copy
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import InputError

Kind = Literal["head", "own"]
CRITIC = Path("critic", "critic.safetensors")
"""Where a checkpoint keeps its critic: in a folder of its own, for engines load all safetensors beside config.json."""


def with_values(policy: Any, kind: Kind = "head", keep: bool = False, start: str = "") -> Any:
    """The policy with values. "head": a linear layer on the policy's own last hidden states, zeros at first, so that
    training begins with V = 0. "own": on a copy of the policy's trunk, which the policy's gradient never touches.

    The module's forward takes (ids, mask, temperature) → log-probabilities and values, both (B, T), 0 outside the mask.
    `save_pretrained` writes the policy, which is what the training makes, and the critic where it is to `keep` it;
    `start` is a checkpoint that kept one. Raises InputError where it has none of this kind and size.
    """
    from torch import nn

    from evalsuite.training.objectives.scores import token_logps

    class WithValues(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.policy = policy
            trunk = _trunk(policy)
            self.trunk = copy.deepcopy(trunk) if kind == "own" else None
            weight = policy.get_input_embeddings().weight
            self.critic = nn.Linear(weight.shape[-1], 1, dtype=weight.dtype, device=weight.device)
            nn.init.zeros_(self.critic.weight)
            nn.init.zeros_(self.critic.bias)

        def forward(self, ids: Any, mask: Any, temperature: float = 1.0) -> tuple[Any, Any]:
            seen: list[Any] = []
            hook = _trunk(self.policy).register_forward_hook(lambda _, __, out: seen.append(out.last_hidden_state))
            try:
                logps = token_logps(self.policy, ids, mask, temperature=temperature)
            finally:
                hook.remove()
            hidden = seen[0] if self.trunk is None else self.trunk(input_ids=ids, use_cache=False).last_hidden_state
            values = self.critic(hidden[:, :-1]).float()[..., 0]
            return logps, nn.functional.pad(values, (1, 0)) * mask

        @property
        def config(self) -> Any:
            return self.policy.config

        def save_pretrained(self, folder: Path, state_dict: Any = None) -> None:
            own = {n.removeprefix("policy."): w for n, w in (state_dict or {}).items() if n.startswith("policy.")}
            self.policy.save_pretrained(folder, **({"state_dict": own} if own else {}))
            if keep:
                from safetensors.torch import save_file

                (folder / CRITIC).parent.mkdir(exist_ok=True)
                save_file(_critics(state_dict or self.state_dict()), folder / CRITIC)

    made = WithValues()
    if start:
        _begin(made, Path(start))
    return made


def _critics(state: Any) -> dict[str, Any]:
    """The weights that are not the policy's."""
    return {n: w.detach().cpu().contiguous() for n, w in state.items() if not n.startswith("policy.")}


def _begin(module: Any, folder: Path) -> None:
    """Loads the critic that a checkpoint kept."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(folder / CRITIC)
    except (OSError, SafetensorError) as error:
        raise InputError(f"critic_from={folder}: has no {CRITIC} (save_critic=true keeps one)") from error
    shapes = {n: w.shape for n, w in _critics(module.state_dict()).items()}
    if {n: w.shape for n, w in found.items()} != shapes:
        raise InputError(f"critic_from={folder}: is the critic of another model, or of another kind (critic=head|own)")
    module.load_state_dict(found, strict=False)


def _trunk(policy: Any) -> Any:
    """The network under the output layer, adapters or not."""
    return (policy.get_base_model() if hasattr(policy, "get_base_model") else policy).base_model
