"""Loads a checkpoint with transformers and runs it: padding, positions, and the head only where it is wanted.

Every causal model of transformers sends its hidden states through one output layer, then perhaps scales or caps the
logits. `logits_at` narrows the hidden states in front of that layer to the positions that are read, so the whole
forward stays the checkpoint's own (caps and scales included) and a padded batch never becomes a tensor over the whole
vocabulary. A model without such a layer gives full logits, and `Net.full_logits` says so.

An adapter's layers stand inside the base's own module (`Net.module`), so all this holds for it too. With
`--model-args device_map=auto` (or a JSON object) accelerate spreads the layers over devices: inputs go to the first,
and what comes back is read where it lies. `switch` takes another checkpoint into a loaded network.
"""

import inspect
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.backends.hf.weights import Attached, adapter_tensors, attach, detach, overwrite
from evalsuite.errors import ModelError
from evalsuite.models import Model
from evalsuite.models.files import read_json
from evalsuite.models.folders import Head, head_of
from evalsuite.models.model import device_name, numeric_type
from evalsuite.models.vision import reads_images

AUTO: dict[Head, str] = {
    "causal": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "process": "AutoModelForTokenClassification",
    "encoder": "AutoModel",
}
UNREAD = {"encoder": ("pooler.",)}
"""Weights of a head that no answer reads; a checkpoint need not have them."""


@dataclass
class Net:
    """A loaded network: the module, the device that its inputs go to, and which inputs its forward takes."""

    model: Model
    head: Head
    module: Any
    device: str
    takes: frozenset[str]
    vocabulary: int  # rows of its embedding table
    full_logits: bool  # this architecture has no output layer that could be narrowed
    caches: bool = False  # it keeps keys and values between steps; others run their whole text at every step
    attached: Attached | None = None
    tokens: int = 0  # forwarded so far, padding included
    prefilled: int = 0  # of these, tokens of prompts and of scored text
    seconds: float = 0.0  # spent in forwards so far (on an accelerator: until they were queued)

    @property
    def computes(self) -> Any:
        """The type that it multiplies in: its weights', or autocast's where that is on (a model in training)."""
        import torch

        kind = torch.device(self.device).type
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.module.dtype

    def reset(self) -> None:
        """Counts from here on."""
        self.tokens, self.prefilled, self.seconds = 0, 0, 0.0


def load(model: Model) -> Net:
    """The checkpoint of a local model with its adapter, in evaluation mode; its head is what the folder says. Raises
    ModelError (one line) where weights do not fit."""
    head = head_of(_folder(model), model.options.trust_remote_code, model.adapter)
    supplied = adapter_tensors(model.adapter) if model.adapter is not None else {}
    module, report = _pretrained(model, head, _labels(model, head, supplied))
    lost = sorted(
        name for name in report["missing_keys"] if name not in supplied and not name.startswith(UNREAD.get(head, ()))
    )
    if lost:  # transformers would fill them with random numbers and go on
        raise ModelError(f"{model.path}: {len(lost)} weights are missing from its files ({lost[0]})")
    attached = attach(module, model.adapter) if model.adapter is not None else None
    return around(model, head, module, _first_device(module, device_name(model.options)), attached)


def around(model: Model, head: Head, module: Any, device: str, attached: Attached | None = None) -> Net:
    """A network out of a module that is there already. Raises ModelError for a "causal" one that sees later tokens."""
    net = Net(
        model=model,
        head=head,
        module=module,
        device=device,
        takes=frozenset(inspect.signature(module.forward).parameters),
        vocabulary=int(module.get_input_embeddings().weight.shape[0]),
        full_logits=head == "causal" and module.get_output_embeddings() is None,
        attached=attached,
    )
    if head == "causal" and not _causal(net):
        raise ModelError(
            f"{model.path}: {module.__class__.__name__} lets a position see later tokens, so it is no causal language "
            "model and its probabilities of a continuation mean nothing"
        )
    return net


def switch(net: Net, old: Model, new: Model) -> bool:
    """Makes a network that holds `old` one that holds `new`: another adapter (or none) on the same base, or weights of
    the same shape copied over. False where it must be loaded anew; `net` is then good for nothing.

    Raises ModelError (one line) where an adapter does not fit its base.
    """
    trusted = new.options.trust_remote_code
    if _setting(old) != _setting(new) or head_of(_folder(new), trusted, new.adapter) != net.head:
        return False
    if net.attached is not None and not detach(net.attached):
        return False
    net.attached = None
    same = (old.base or old.fingerprint) == (new.base or new.fingerprint)
    if not same and not overwrite(net.module, _folder(old), _folder(new)):
        return False
    if new.adapter is not None:
        net.attached = attach(net.module, new.adapter)
    net.model = new
    return True


def _setting(model: Model) -> tuple[object, ...]:
    """What a network is loaded with besides its weights."""
    options = model.options
    chosen = [options.args.get(key) for key in ("attn", "device_map", "offload_folder")]
    return numeric_type(options), device_name(options), options.trust_remote_code, *chosen


def _folder(model: Model) -> Path:
    if model.path is None:
        raise ModelError(f"{model.address}: is no folder of weights")
    return model.path


def _pretrained(model: Model, head: Head, labels: Mapping[str, int]) -> tuple[Any, Mapping[str, Any]]:
    """transformers' module and its report of what was and was not found in the files."""
    import torch
    from safetensors import SafetensorError
    from transformers.utils import logging

    logging.disable_progress_bar()
    options = model.options
    extra: dict[str, Any] = {"attn_implementation": options.args["attn"]} if "attn" in options.args else {}
    spread = _device_map(options.args.get("device_map"))
    if spread is not None:
        extra |= {"device_map": spread, "offload_folder": options.args.get("offload_folder")}
    device = device_name(options)
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        module, report = _auto(model, head).from_pretrained(
            str(model.path),
            dtype=getattr(torch, numeric_type(options)),
            use_safetensors=True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            **labels,
            **extra,
        )
        module = module.eval().requires_grad_(False)
        return (module if spread is not None else module.to(device)), report
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AssertionError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), error.__class__.__name__)
        raise ModelError(f"{model.path}: cannot be loaded on {spread or device} ({reason})") from error
    finally:
        logging.set_verbosity(before)


def _auto(model: Model, head: Head) -> Any:
    """The class of transformers that loads a folder."""
    import transformers

    config = read_json(_folder(model) / "config.json")
    architecture = str(next(iter(config.get("architectures") or [""])))
    own = config.get("auto_map") or {} if model.options.trust_remote_code else {}
    if head == "causal" and reads_images(_folder(model)):
        return transformers.AutoModelForImageTextToText
    if architecture.endswith("EncoderModel") and hasattr(transformers, architecture):  # the half of an encoder-decoder
        return getattr(transformers, architecture)
    return transformers.AutoModel if AUTO[head] not in own and "AutoModel" in own else getattr(transformers, AUTO[head])


def _labels(model: Model, head: Head, supplied: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """How many labels the head has that an adapter brings along (its base, a language model, knows of none)."""
    if head not in ("classifier", "process") or head_of(_folder(model), model.options.trust_remote_code) == head:
        return {}
    rows = [s[0] for name, s in supplied.items() if name.rsplit(".", 2)[-2] in ("score", "classifier", "out_proj")]
    return {"num_labels": rows[0]} if rows else {}


def _device_map(text: str | None) -> Any:
    """`auto`, `balanced`, ... as they are; a JSON object ({"": "cpu"}) as a dictionary."""
    if text is None or not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ModelError(f"--model-args device_map={text}: no JSON object ({error})") from error


def _first_device(module: Any, device: str) -> str:
    """Where inputs go: the first accelerator of a module that is spread over devices."""
    spread = getattr(module, "hf_device_map", None)
    if spread is None:
        return device
    first = next((d for d in spread.values() if d not in ("cpu", "disk")), "cpu")
    return f"cuda:{first}" if isinstance(first, int) else str(first)


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


def inputs(net: Net, ids: Any, mask: Any, positions: Any = None, types: Any = None) -> dict[str, Any]:
    """The forward's keyword arguments: only those that are given and that this architecture takes. Raises ModelError
    where the tokenizer knows tokens that the network does not (an accelerator would end the process)."""
    if int(ids.max()) >= net.vocabulary:
        raise ModelError(
            f"the tokenizer gives token id {int(ids.max())}, but the model's vocabulary has {net.vocabulary}: "
            "the folder's tokenizer is not this model's"
        )
    given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "token_type_ids": types}
    return {key: value.to(net.device) for key, value in given.items() if value is not None and key in net.takes}


def logits_at(net: Net, rows: Any, columns: Any, **arguments: Any) -> tuple[Any, Any]:
    """Logits (n, vocabulary) in float32 at n (row, column) positions of a batch, and the forward's whole output."""
    head = net.module.get_output_embeddings()
    if head is None:
        output = forward(net, **arguments)
        return at(output.logits, rows, columns).float(), output

    def narrow(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (at(given[0], rows, columns).unsqueeze(0), *given[1:])

    hook = head.register_forward_pre_hook(narrow)
    try:
        output = forward(net, **arguments)
    finally:
        hook.remove()
    return output.logits[0].float(), output


def at(states: Any, rows: Any, columns: Any) -> Any:
    """Rows of a (batch, length, width) tensor at n (row, column) positions, on whatever device it lies."""
    return states[rows.to(states.device), columns.to(states.device)]


def forward(net: Net, part: Any = None, **arguments: Any) -> Any:
    """One forward, of the whole network or of a part of it, without gradients; counts its tokens and its seconds."""
    import torch

    if not {"use_cache", "kwargs"} & net.takes:  # encoders know no such word
        arguments.pop("use_cache", None)

    started = time.perf_counter()
    with torch.inference_mode():
        output = (net.module if part is None else part)(**arguments)
    net.tokens += arguments["input_ids"].numel()
    net.seconds += time.perf_counter() - started
    return output
