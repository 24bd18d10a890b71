"""Embeddings: hidden states of an encoder or of a causal language model, pooled to one row, or one row a token.

A folder of sentence-transformers is answered by its own recipe (pooling, dense layers, normalisation; equal to that
library's figures), any other network by the mean of its last hidden states. `--model-args` say otherwise:
`pooling=mean|cls|max|lasttoken|weightedmean|mean_sqrt_len_tokens|tokens` (tokens: every token's state as it is),
`layer=N` (hidden states after N layers, 0 being the embedding table; -1 the last ones, as the head would see them),
`normalize=true|false`.

A text beyond the context window is cut at its end, and its completion says so (`finish_reason="length"`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf.net import Net, forward, inputs, pad
from evalsuite.backends.hf.reward import batches
from evalsuite.errors import ModelError
from evalsuite.models import Renderer
from evalsuite.models.embedders import POOLINGS, Recipe, Step, read_recipe
from evalsuite.records import Completion, Done, Unit

SHORT = {"last": "lasttoken", "first": "cls"}
SWITCH = {"true": True, "false": False}


@dataclass(frozen=True)
class Method:
    """How hidden states become rows: the layer, the poolings (joined end to end), what is done to the vector."""

    layer: int
    pooling: tuple[str, ...]
    steps: tuple[Step, ...]


def embeddings_of(net: Net, renderer: Renderer, units: Sequence[Unit], budget: int, tell: Done) -> None:
    """Tells each unit's embedding: one row of floats, or one for each token. Batches hold at most `budget` padded
    tokens (one row always fits). Raises ModelError (one line) where an option does not fit the network."""
    method = read_method(net)
    layers = [_layer(net, step) for step in method.steps]
    whole = [unit.prompt_ids or renderer.conversation_ids(unit.messages) for unit in units]
    rows = [fitted(ids, net.model.context_window, renderer) for ids in whole]
    for batch in batches(net, rows, budget):
        ids, mask = pad([rows[i] for i in batch], left=False)
        states = hidden(net, ids, mask, method.layer)
        for place, row in zip(batch, _rows(states, mask.to(states.device), method, layers), strict=True):
            cut = len(rows[place]) < len(whole[place])
            tell(
                place,
                Completion(
                    prompt_tokens=len(rows[place]),
                    embedding=tuple(tuple(values) for values in row),
                    finish_reason="length" if cut else "stop",
                ),
            )


def read_method(net: Net) -> Method:
    """The folder's own recipe, changed by `--model-args`."""
    args = net.model.options.args
    recipe = (read_recipe(net.model.path) if net.model.path is not None else None) or Recipe()
    pooling, steps = recipe.pooling, recipe.steps
    if "pooling" in args:
        name = SHORT.get(args["pooling"], args["pooling"])
        if name not in (*POOLINGS, "tokens"):
            raise ModelError(f"--model-args pooling={name}: known are {', '.join((*POOLINGS, 'tokens'))}")
        pooling, steps = (name,), () if name == "tokens" else steps
    if "normalize" in args:
        if args["normalize"] not in SWITCH:
            raise ModelError(f"--model-args normalize={args['normalize']}: true or false is wanted")
        steps = tuple(step for step in steps if step.kind != "normalize")
        if SWITCH[args["normalize"]] and net.model.path is not None:
            steps = (*steps, Step("normalize", net.model.path))
    layer = args.get("layer", "-1")
    depth = int(net.module.config.get_text_config().num_hidden_layers)
    if not layer.removeprefix("-").isdecimal() or not -depth - 1 <= int(layer) <= depth:
        raise ModelError(f"--model-args layer={layer}: {net.model.address} has layers 0 to {depth} (or -1 and down)")
    return Method(int(layer), pooling, steps)


def fitted(ids: Sequence[int], window: int | None, renderer: Renderer) -> tuple[int, ...]:
    """Ids that fit the window: the text is cut at its end, its closing mark ([SEP]) stays."""
    if window is None or len(ids) <= window:
        return tuple(ids)
    suffix = renderer.tokens.suffix
    closed = bool(suffix) and tuple(ids[-len(suffix) :]) == suffix
    return (*ids[: window - len(suffix)], *suffix) if closed else tuple(ids[:window])


def hidden(net: Net, ids: Any, mask: Any, layer: int) -> Any:
    """Hidden states (rows, length, width) after a layer, without the head."""
    backbone = net.module.base_model
    depth = int(net.module.config.get_text_config().num_hidden_layers)
    given = inputs(net, ids, mask)
    net.prefilled += ids.numel()
    if layer in (-1, depth):
        return forward(net, backbone, **given, use_cache=False).last_hidden_state
    return forward(net, backbone, **given, use_cache=False, output_hidden_states=True).hidden_states[layer]


def _rows(states: Any, mask: Any, method: Method, layers: Sequence[Any]) -> list[list[list[float]]]:
    """One row, or one for each token, of every text in a batch."""
    import torch

    with torch.inference_mode():
        if method.pooling == ("tokens",):
            tokens = states.float()
            for layer in layers:
                tokens = layer(tokens)
            lengths = mask.sum(-1).tolist()
            return [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
        pooled = torch.cat([pool(states.float(), mask, name) for name in method.pooling], dim=-1)
        for layer in layers:
            pooled = layer(pooled)
        return [[row] for row in pooled.float().tolist()]


def pool(states: Any, mask: Any, name: str) -> Any:
    """One vector (rows, width) of each row's states; `mask` is 1 where there is a token, rows are padded on the right.
    The names and formulas are those of sentence-transformers."""
    import torch

    lengths = mask.sum(-1, keepdim=True)
    if name == "cls":
        return states[:, 0]
    if name == "lasttoken":
        return states[torch.arange(len(states), device=states.device), lengths[:, 0] - 1]
    held = mask.unsqueeze(-1)
    if name == "max":
        return states.masked_fill(held == 0, float("-inf")).max(dim=1).values
    if name == "weightedmean":  # later tokens of a causal model have seen more
        weights = held * torch.arange(1, states.shape[1] + 1, device=states.device)[None, :, None]
        return (states * weights).sum(1) / weights.sum(1)
    total = (states * held).sum(1)
    return total / (lengths if name == "mean" else lengths.float().sqrt())


def _layer(net: Net, step: Step) -> Any:
    """A step of the recipe as a function of vectors. Raises ModelError where its file does not hold a linear layer."""
    import torch
    from safetensors.torch import load_file

    if step.kind == "normalize":
        return lambda vectors: torch.nn.functional.normalize(vectors, p=2, dim=-1)
    tensors = {
        name.removeprefix("linear."): t.float() for name, t in load_file(step.folder / "model.safetensors").items()
    }
    activation = getattr(torch.nn, step.activation, None)
    if "weight" not in tensors or activation is None:
        raise ModelError(f"{step.folder}: is no dense layer with an activation of torch.nn")
    weight, bias = (tensors[name].to(net.device) if name in tensors else None for name in ("weight", "bias"))
    act = activation()
    return lambda vectors: act(torch.nn.functional.linear(vectors.to(net.device), weight, bias))
