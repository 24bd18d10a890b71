"""Pretrained SAEs over a language model's residual stream as a source of features, with the interface of our own.

The conversation (prompt and answer) is read by the language model, each token of the *answer* by the SAE, and the
activations are averaged over the answer's tokens. These averages stand where embeddings stand elsewhere: their
difference (first minus second answer) is the features' activations, so `read` hands it through, and swapping the
answers negates it exactly. The folder is one that sae-lens saved; which layer it reads is in its `cfg.json`
(`hook_name`).

SAEs of this kind are wide. `keep` features are kept: those whose average differs most between the two answers of a
sample of pairs (mean absolute difference, in units of the residual stream); labels take no part in the choice.

>>> source, embedded = residual_features(engine, Path("gemma-scope/layer_12"), pairs, Path("out"))
>>> z = source.read(embedded.differences)        # float32 (n, 64)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError, ModelError
from evalsuite.features.embed import Differences, Embedded, Texts
from evalsuite.features.sae import Rows, finite
from evalsuite.features.sae_lens import Foreign
from evalsuite.features.sae_lens import read as read_folder
from evalsuite.models import Renderer
from evalsuite.records import Message, Progress, assistant
from evalsuite.running.engine import Engine

KEEP = 64
SAMPLE = 512
"""Pairs on which it is decided which features are kept."""
AT_ONCE = 32
"""Pairs whose answers are read together."""
TOKENS = 512
"""Tokens that the SAE reads in one go: activations of a wide one take 256 KiB each."""
HOOKS = (
    (re.compile(r"blocks\.(\d+)\.hook_resid_pre"), 0),
    (re.compile(r"blocks\.(\d+)\.(?:hook_resid_post|hook_out)"), 1),
    (re.compile(r"(?:model\.|transformer\.|gpt_neox\.)(?:layers|h)\.(\d+)"), 1),
)


@dataclass(frozen=True)
class Columns:
    """A source whose activations are given: each column of the differences is a feature."""

    names: Sequence[str]

    @property
    def width(self) -> int:
        return len(self.names)

    def read(self, differences: Rows) -> Any:
        """float32 (n, width), as they are. Raises InputError for another width, NaN or infinity."""
        import numpy

        if len(differences.shape) != 2 or differences.shape[1] != self.width:
            raise InputError(f"differences of shape {tuple(differences.shape)}: (n, {self.width}) is wanted")
        found = numpy.asarray(differences[0 : differences.shape[0]], dtype=numpy.float32)
        finite(found, 0)
        return found


def residual_features(
    engine: Engine,
    sae: Path,
    pairs: Sequence[Texts],
    folder: Path,
    keep: int = KEEP,
    progress: Progress | None = None,
) -> tuple[Columns, Embedded]:
    """Reads both answers of every pair; writes a.npy and b.npy (n, kept features). Memory is bounded by `AT_ONCE`
    conversations and `TOKENS` activations. Needs a local causal model. Raises InputError or ModelError (one line) where
    the SAE is not one of this model's residual stream."""
    import numpy

    reader = _Reader(engine, read_folder(sae))
    total = len(pairs)
    if total == 0:
        raise InputError("there are no pairs to read")
    sample = sorted({i * total // min(SAMPLE, total) for i in range(min(SAMPLE, total))})
    kept = _chosen(reader, pairs, sample, keep) if keep < reader.sae.width else numpy.arange(reader.sae.width)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (total, len(kept))
    sides = [numpy.lib.format.open_memmap(folder / f"{side}.npy", "w+", numpy.float32, shape) for side in ("a", "b")]
    for places, a, b in reader.read(pairs, range(total)):
        sides[0][places], sides[1][places] = a[:, kept], b[:, kept]
        if progress is not None:
            progress(int(places[-1]) + 1, total, "reading the residual stream")
    for side in sides:
        side.flush()
    a, b = (numpy.load(folder / f"{side}.npy", mmap_mode="r") for side in ("a", "b"))
    names = [f"{reader.hook}/{j}" for j in kept]
    return Columns(names), Embedded(Differences(a, b), a, b, f"{engine.model.name} {reader.hook}", reader.notes())


def _chosen(reader: "_Reader", pairs: Sequence[Texts], sample: Sequence[int], keep: int) -> Any:
    """The features (rising) that differ most between the answers of the sample."""
    import numpy

    moved = numpy.zeros(reader.sae.width)
    for _, a, b in reader.read(pairs, sample):
        moved += numpy.abs(a - b).sum(axis=0, dtype=numpy.float64)
    moved *= reader.sae.tensors["W_dec"].norm(dim=-1).numpy()
    reader.forget()
    return numpy.sort(numpy.argsort(-moved, kind="stable")[:keep])


class _Reader:
    """A language model and an SAE of one of its layers: conversations in, averages over the answer's tokens out."""

    def __init__(self, engine: Engine, sae: Foreign) -> None:
        model = engine.model
        if model.backend != "hf" or "generate" not in model.kinds or engine.renderer is None:
            raise ModelError(f"{model.address}: a residual stream is read from a local causal model (--backend hf)")
        self.sae, self.hook = sae, str(sae.metadata.get("hook_name") or "")
        self.renderer: Renderer = engine.renderer
        backend: Any = engine.backend()
        self.net, self._budget = backend.net, backend.limits
        layers = _layers(self.net)
        self.layer, self.after = _place(self.hook, len(layers))
        self.module = layers[self.layer]
        width = int(self.net.module.config.get_text_config().hidden_size)
        if sae.dimensions != width:
            raise InputError(f"the SAE reads {sae.dimensions} dimensions, and {model.address} has {width}")
        self.window = model.context_window
        self.told_model = str(sae.metadata.get("model_name") or "")
        self.forget()

    def forget(self) -> None:
        self.cut = self.empty = 0

    def notes(self) -> tuple[str, ...]:
        found = [f"the SAE was trained on {self.told_model}"] if self.told_model else []
        found += [f"{self.cut:,} answers were cut where the window ends"] if self.cut else []
        found += [f"{self.empty:,} answers have no token: nothing is active in them"] if self.empty else []
        return tuple(found)

    def read(self, pairs: Sequence[Texts], places: Sequence[int]) -> Iterator[tuple[Any, Any, Any]]:
        """(places, averages of a, averages of b) of some pairs at a time, float32 (pairs, SAE width)."""
        import numpy

        for start in range(0, len(places), AT_ONCE):
            some = list(places[start : start + AT_ONCE])
            spans = [self._span(pairs[i].messages, text) for i in some for text in (pairs[i].a, pairs[i].b)]
            # In one order whoever stands first, so that swapped pairs give the very same numbers.
            unique = sorted(set(spans), key=lambda span: (len(span[0]), span))
            averages = dict(zip(unique, self._averages(unique), strict=True))
            both = numpy.stack([averages[span] for span in spans])
            yield numpy.array(some), both[0::2], both[1::2]

    def _span(self, messages: tuple[Message, ...], text: str) -> tuple[tuple[int, ...], int, int]:
        """(ids of the conversation, first and one past the last token of the answer)."""
        ids = self.renderer.conversation_ids((*messages, assistant(text)))
        before = _alike(ids, self.renderer.prompt_ids(messages))
        bare = self.renderer.conversation_ids((*messages, assistant("")))
        # What the template writes behind an answer is no part of it.
        behind = _alike(ids[before:][::-1], bare[before:][::-1])
        end = len(ids) - behind
        if self.window is not None and end > self.window:
            self.cut += 1
            ids, end = ids[: self.window], self.window
        self.empty += before >= end
        return tuple(ids), min(before, end), end

    def _averages(self, spans: Sequence[tuple[tuple[int, ...], int, int]]) -> list[Any]:
        import torch

        from evalsuite.backends.hf.reward import batches

        found: list[Any] = [None] * len(spans)
        with torch.inference_mode():
            for batch in batches(self.net, [span[0] for span in spans], self._budget["chunk_tokens"]):
                states = self._states([spans[i][0] for i in batch])
                for row, place in enumerate(batch):
                    _, first, last = spans[place]
                    found[place] = self._average(states[row, first:last]).numpy()
        return found

    def _average(self, states: Any) -> Any:
        """Mean activations (width) of an answer's tokens."""
        import torch

        total = torch.zeros(self.sae.width, dtype=torch.float64)
        for start in range(0, len(states), TOKENS):
            total += self.sae.encode(states[start : start + TOKENS]).sum(0, dtype=torch.float64)
        return (total / max(len(states), 1)).float()

    def _states(self, rows: Sequence[Sequence[int]]) -> Any:
        """Residual stream (rows, length, width), float32 on the CPU, where the SAE reads it: before or after a layer,
        without the final norm that the last hidden states carry."""
        from evalsuite.backends.hf.net import forward, inputs, pad

        held: list[Any] = []

        def before(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            held.append(given[0] if given else named["hidden_states"])

        def behind(_: Any, given: Any, out: Any) -> None:
            held.append(out[0] if isinstance(out, tuple) else out)

        hook = (
            self.module.register_forward_hook(behind)
            if self.after
            else self.module.register_forward_pre_hook(before, with_kwargs=True)
        )
        try:
            ids, mask = pad(rows, left=False)
            forward(self.net, self.net.module.base_model, **inputs(self.net, ids, mask), use_cache=False)
        finally:
            hook.remove()
        states = held[0].float().cpu()
        kwargs = self.sae.metadata.get("model_from_pretrained_kwargs") or {}
        # TransformerLens can take the mean out of all that writes into the stream.
        return states - states.mean(-1, keepdim=True) if kwargs.get("center_writing_weights") else states


def _layers(net: Any) -> Any:
    """The network's list of layers."""
    import torch

    depth = int(net.module.config.get_text_config().num_hidden_layers)
    for module in net.module.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == depth:
            return module
    raise ModelError(f"{net.model.address}: its layers are not found")


def _place(hook: str, depth: int) -> tuple[int, int]:
    """(layer, 0 before it or 1 after it) of a hook's name in TransformerLens' or the network's own words."""
    for pattern, after in HOOKS:
        found = pattern.fullmatch(hook)
        if found is not None:
            if int(found[1]) >= depth:
                raise InputError(f"the SAE reads {hook}, and the model has layers 0 to {depth - 1}")
            return int(found[1]), after
    raise InputError(f"the SAE reads '{hook}'; blocks.N.hook_resid_pre or hook_resid_post is wanted")


def _alike(left: Sequence[int], right: Sequence[int]) -> int:
    """How many ids two sequences begin with alike."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
