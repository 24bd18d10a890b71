"""Tied embeddings, trained in one process: their gradient without autograd's spare copies."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def spare_tied(model: Any) -> bool:
    """Whether the input embedding is tied to the output's, and from now on adds its gradient into the output's where
    that stands: two tensors less of the vocabulary's size at the highest point of the backward pass, where autograd
    makes one for each use of a weight and one for their sum."""
    import torch

    from evalsuite.training.objectives.scores import unwrapped

    inner = unwrapped(model)
    head = inner.get_output_embeddings() if hasattr(inner, "get_output_embeddings") else None
    if head is None:
        return False
    into = inner.get_input_embeddings()
    # One that does more than look up (scale, say) is left to autograd.
    tied = into.weight is head.weight and into.weight.requires_grad and type(into).forward is torch.nn.Embedding.forward
    if tied:
        into.register_forward_hook(_added_in_place)
    return bool(tied)


def _added_in_place(into: Any, given: tuple[Any, ...], found: "Tensor") -> "Tensor | None":
    """A hook behind an embedding: cuts its weight off the graph, and adds the weight's gradient itself."""
    if not found.requires_grad:
        return None
    import torch

    weight, ids = into.weight, given[0]
    found = found.detach().requires_grad_()

    def add(gradient: "Tensor") -> None:
        if into.padding_idx is not None:
            gradient = gradient.masked_fill((ids == into.padding_idx)[..., None], 0.0)
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_put_((ids,), gradient, accumulate=True)

    found.register_hook(add)
    return found
