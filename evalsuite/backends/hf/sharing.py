"""Whether a network may share prefixes: tried on a few tokens at load, because no config tells.

Sharing stands on two things that most attention models have and some lack: a mask of our own that is obeyed, and
positions of our own that are believed. ALiBi, recurrent states, or code of its own may break either. So the tree and
the slots are compared with the plain computation; where they differ, the plain computation is used and the reason is
shown. What a few tokens cannot show (a window that slides, positions that stretch with length) is read from the config.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf.generate import step
from evalsuite.backends.hf.net import Net
from evalsuite.backends.hf.score import score_rows, score_tree
from evalsuite.backends.hf.slots import Slots
from evalsuite.backends.hf.tree import Tree, walk
from evalsuite.records import Completion

log = logging.getLogger("evalsuite")

STRETCHED = ("dynamic", "longrope")
"""Kinds of rotary positions that depend on how long the whole input is."""


@dataclass(frozen=True)
class Sharing:
    """`reason` says why prefixes are not shared (empty: they are); `longest` is the length up to which they are."""

    reason: str = ""
    longest: int = 1 << 62

    def holds(self, length: int) -> bool:
        return not self.reason and length <= self.longest


def sharing_of(net: Net) -> Sharing:
    """Tries a tree and a step of slots against the plain computation."""
    if not net.caches:
        return Sharing("it keeps no key-value cache")
    try:
        apart = max(_tree_apart(net), _slots_apart(net))
    except Exception as error:  # foreign code may fail in any way; whichever, the plain computation stands
        return Sharing(f"its attention does not take a mask of ours ({type(error).__name__}: {str(error)[:200]})")
    import torch

    allowed = 2e-3 if net.computes == torch.float32 else 0.2
    if not apart <= allowed:
        return Sharing(f"its log-probabilities would move by {apart:.2g}")
    return Sharing(longest=min(_limits(net.module.config.get_text_config()), default=1 << 62))


def _limits(config: Any) -> Iterator[int]:
    """Lengths beyond which a prefix looks different to the network in a longer text."""
    kinds = getattr(config, "layer_types", None) or ()
    window = getattr(config, "sliding_window", None)
    slides = any("sliding" in kind for kind in kinds) if kinds else getattr(config, "use_sliding_window", True)
    if isinstance(window, int) and slides:
        yield window
    chunk = getattr(config, "attention_chunk_size", None)
    if isinstance(chunk, int):
        yield chunk
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    for part in (rope, *(rope.values() if isinstance(rope, Mapping) else ())):
        if isinstance(part, Mapping) and part.get("rope_type") in STRETCHED:
            yield int(part.get("original_max_position_embeddings") or config.max_position_embeddings)


def _ids(net: Net, *numbers: int) -> tuple[int, ...]:
    return tuple((7 * number + 3) % net.vocabulary for number in numbers)


def _tree_apart(net: Net) -> float:
    """Largest difference (nats) of a small tree, in chunks of five nodes, from padded rows."""
    stem = _ids(net, 1, 2, 3, 4, 5, 6)
    pairs = [
        (stem, _ids(net, 7, 8, 9)),
        (stem, _ids(net, 7, 10)),
        (stem[:4], _ids(net, 11, 12, 13, 14)),
        (_ids(net, 15, 16), _ids(net, 17, 18)),
    ]
    shared: dict[int, Completion] = {}
    plain: dict[int, Completion] = {}
    score_tree(net, pairs, 5, 1 << 20, shared.__setitem__)
    score_rows(net, pairs, range(len(pairs)), plain.__setitem__)
    return max(abs(a - b) for i in plain for a, b in zip(shared[i].logprobs, plain[i].logprobs, strict=True))


def _slots_apart(net: Net) -> float:
    """Largest difference of two steps of two slots, of unequal length, from padded rows."""
    import torch

    texts = [_ids(net, 1, 2, 3, 4, 5), _ids(net, 6, 7)]
    more = [_ids(net, 8, 9), _ids(net, 10, 11)]
    slots, tree = Slots(2, 8), Tree()
    ends = [tree.add(text)[-1] for text in texts]
    for chunk in walk(net, tree, ends, 16, 1 << 20):
        paths = [tree.path_to(node) for node in chunk.read]
        slots.add(chunk.gathered(paths), range(len(paths)), [len(path) for path in paths])
    apart = 0.0
    plain: dict[int, Completion] = {}
    score_rows(net, [(t, (*m, m[0])) for t, m in zip(texts, more, strict=True)], (0, 1), plain.__setitem__)
    for k in range(2):
        logits = step(net, [m[k] for m in more], slots)
        logprobs = logits.log_softmax(-1)
        wanted = torch.tensor([m[k + 1] if k == 0 else m[0] for m in more], device=logits.device)
        found = logprobs.gather(1, wanted[:, None])[:, 0].tolist()
        apart = max(apart, *(abs(value - plain[i].logprobs[k + 1]) for i, value in enumerate(found)))
    return apart
