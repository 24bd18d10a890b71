"""Loads a checkpoint with transformers and runs it: padding, positions, and the head only where it is wanted.

Every causal model of transformers sends its hidden states through one output layer, then perhaps scales or caps the
logits. `logits_at` narrows the hidden states in front of that layer to the positions that are read, so the whole
forward stays the checkpoint's own (caps and scales included) and a padded batch never becomes a tensor over the whole
vocabulary. A model without such a layer gives full logits, and `Net.full_logits` says so.
"""

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.errors import ModelError
from evalsuite.models import Model
from evalsuite.models.model import device_name, numeric_type


@dataclass
class Net:
    """A loaded network: the module, its device, and which inputs its forward takes."""

    module: Any
    device: str
    takes: frozenset[str]
    vocabulary: int  # rows of its embedding table
    full_logits: bool  # this architecture has no output layer that could be narrowed
    caches: bool = False  # it keeps keys and values between steps; others run their whole text at every step
    tokens: int = 0  # forwarded so far, padding included
    seconds: float = 0.0  # spent in forwards so far (on an accelerator: until they were queued)


def load(model: Model, classifier: bool = False) -> Net:
    """The checkpoint of a local model, in evaluation mode. Raises ModelError (one line) where weights do not fit."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    options = model.options
    auto = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM
    extra = {"attn_implementation": options.args["attn"]} if "attn" in options.args else {}
    device = device_name(options)
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        module, report = auto.from_pretrained(
            str(model.path),
            dtype=getattr(torch, numeric_type(options)),
            use_safetensors=True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            **extra,
        )
        module = module.eval().requires_grad_(False).to(device)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AssertionError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), error.__class__.__name__)
        raise ModelError(f"{model.path}: cannot be loaded on {device} ({reason})") from error
    finally:
        logging.set_verbosity(before)
    lost = sorted(report["missing_keys"])
    if lost:  # transformers would fill them with random numbers and go on
        raise ModelError(f"{model.path}: {len(lost)} weights are missing from its files ({lost[0]})")
    net = Net(
        module=module,
        device=device,
        takes=frozenset(inspect.signature(module.forward).parameters),
        vocabulary=int(module.get_input_embeddings().weight.shape[0]),
        full_logits=not classifier and module.get_output_embeddings() is None,
    )
    if not classifier and not _causal(net):
        raise ModelError(
            f"{model.path}: {module.__class__.__name__} lets a position see later tokens, so it is no causal language "
            "model and its probabilities of a continuation mean nothing"
        )
    return net


def _causal(net: Net) -> bool:
    """Whether the logits of a token are the same without the tokens behind it; notes whether the forward gives a cache.
    Encoders with a language head (BERT, XLNet) load as causal models without a word, and would be scored with a view
    of the answer."""
    import torch

    ids = torch.arange(8)[None] % net.vocabulary
    found = []
    for length in (4, 8):
        part = ids[:, :length]
        given = inputs(net, part, torch.ones_like(part), torch.arange(length)[None])
        logits, output = logits_at(net, torch.tensor([0]), torch.tensor([3]), **given, use_cache=True)
        found.append(logits)
        net.caches = getattr(output, "past_key_values", None) is not None
    return bool(torch.allclose(found[0], found[1], rtol=0.05, atol=0.05))


def pad(rows: Sequence[Sequence[int]], left: bool, filler: int = 0) -> tuple[Any, Any]:
    """Rows of ids as two int64 tensors (rows, longest): ids and mask (1 where there is a token). The filler is masked,
    so any id will do (a tokenizer's own pad id may lie outside the model's vocabulary)."""
    import torch

    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), filler, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        span = slice(width - len(row), width) if left else slice(0, len(row))
        ids[number, span] = torch.tensor(row, dtype=torch.long)
        mask[number, span] = 1
    return ids, mask


def inputs(net: Net, ids: Any, mask: Any, positions: Any) -> dict[str, Any]:
    """The forward's keyword arguments: only those that this architecture takes. Raises ModelError where the tokenizer
    knows tokens that the network does not (an accelerator would end the process)."""
    if int(ids.max()) >= net.vocabulary:
        raise ModelError(
            f"the tokenizer gives token id {int(ids.max())}, but the model's vocabulary has {net.vocabulary}: "
            "the folder's tokenizer is not this model's"
        )
    given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    return {key: value.to(net.device) for key, value in given.items() if key in net.takes}


def logits_at(net: Net, rows: Any, columns: Any, **arguments: Any) -> tuple[Any, Any]:
    """Logits (n, vocabulary) in float32 at n (row, column) positions of a batch, and the forward's whole output."""
    head = net.module.get_output_embeddings()
    rows, columns = rows.to(net.device), columns.to(net.device)
    if head is None:
        output = forward(net, **arguments)
        return output.logits[rows, columns].float(), output

    def narrow(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (given[0][rows, columns].unsqueeze(0), *given[1:])

    hook = head.register_forward_pre_hook(narrow)
    try:
        output = forward(net, **arguments)
    finally:
        hook.remove()
    return output.logits[0].float(), output


def forward(net: Net, **arguments: Any) -> Any:
    """One forward without gradients; counts its tokens and its seconds."""
    import torch

    started = time.perf_counter()
    with torch.inference_mode():
        output = net.module(**arguments)
    net.tokens += arguments["input_ids"].numel()
    net.seconds += time.perf_counter() - started
    return output
