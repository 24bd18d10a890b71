"""Every distinct prefix computed once: token sequences as a tree, run through a network in packed chunks.

Sequences that share a prefix share its nodes. The tree is flattened in the order of arrival and cut into chunks of a
few hundred nodes. One forward runs one chunk as a single row: each node sees its ancestors and itself (a tree mask),
at its own position; ancestors from earlier chunks are in the cache, which holds the path to the chunk's first node
and nothing else. So each node is forwarded exactly once, and nothing is padded.

Related: tree attention of speculative decoding (Miao et al. 2023, SpecInfer, section 4) and prefix sharing across
requests (Zheng et al. 2023, RadixAttention); here the tree is known in advance.

>>> tree = Tree()
>>> path = tree.add((5, 6, 7))          # node of each token
>>> for chunk in walk(net, tree, wanted={path[-1]}, budget=512): chunk.logits
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.backends.hf.net import Net, inputs, logits_at
from evalsuite.models.tokens import common


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of nodes in a chain: the first node's number, its parent (-1: none), its depth, the tokens."""

    first: int
    parent: int
    depth: int
    tokens: tuple[int, ...]


class Tree:
    """Token sequences with shared prefixes, numbered in the order of arrival. A sequence shares with the one before
    it, so sorted sequences share all that they can."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.size = 0
        self._ids: tuple[int, ...] = ()
        self._path: list[int] = []
        self._firsts: list[int] = []

    def add(self, ids: tuple[int, ...]) -> Sequence[int]:
        """The node of each token of a sequence. The list is the tree's own and changes with the next call."""
        shared = common(self._ids, ids)
        if shared < len(ids):
            parent = self._path[shared - 1] if shared else -1
            self.segments.append(Segment(self.size, parent, shared, ids[shared:]))
            self._firsts.append(self.size)
            self._path[shared:] = range(self.size, self.size + len(ids) - shared)
            self.size += len(ids) - shared
        else:
            del self._path[shared:]
        self._ids = ids
        return self._path

    def path_to(self, node: int) -> list[int]:
        """The nodes from a root to this one, by depth; empty for -1."""
        parts: list[range] = []
        while node >= 0:
            segment = self.segments[bisect_right(self._firsts, node) - 1]
            parts.append(range(segment.first, node + 1))
            node = segment.parent
        return [n for part in reversed(parts) for n in part]


@dataclass
class Chunk:
    """Nodes `first` up to `end` after their forward. `logits` (wanted nodes, vocabulary), float32, belong to the nodes
    in `read`; keys and values of the nodes and of their ancestors are in `cache` until the walk goes on."""

    first: int
    end: int
    read: list[int]
    logits: Any
    cache: Any
    past: int

    def gathered(self, paths: Sequence[Sequence[int]]) -> list[tuple[Any, Any]]:
        """Keys and values (paths, heads, nodes, width) of paths that end in this chunk, layer by layer; what follows a
        path shorter than the longest is no one's."""
        import torch

        longest = max(len(path) for path in paths)
        # Ancestors from earlier chunks stand first, in the order of their depth.
        columns = [
            [depth if node < self.first else self.past + node - self.first for depth, node in enumerate(path)]
            + [0] * (longest - len(path))
            for path in paths
        ]
        index, found = torch.tensor(columns, dtype=torch.long), []
        for layer in self.cache.layers:
            at = index.to(layer.keys.device)
            found.append((layer.keys[0][:, at].transpose(0, 1), layer.values[0][:, at].transpose(0, 1)))
        return found


def walk(net: Net, tree: Tree, wanted: Collection[int], budget: int, most_read: int) -> Iterator[Chunk]:
    """Runs a tree chunk by chunk (at most `budget` nodes and `most_read` rows of logits in each)."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache()
    held: list[int] = []  # the nodes in the cache: the path to the next chunk's first parent
    wanted = wanted if isinstance(wanted, set | frozenset) else set(wanted)
    for pieces in _pieces(tree, wanted, budget, most_read):
        first, end = pieces[0].first, pieces[-1].first + len(pieces[-1].tokens)
        kept = tree.path_to(pieces[0].parent)
        if kept != held:
            # What was held is the last chunk's path and nodes; of these the new path is picked out.
            place = {node: column for column, node in enumerate(held)}
            keep_columns(cache, [place[node] for node in kept])
        given = _packed(net, pieces, len(kept))
        read = [node for node in range(first, end) if node in wanted]
        columns = torch.tensor([node - first for node in read], dtype=torch.long)
        logits, output = logits_at(
            net, torch.zeros_like(columns), columns, **given, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        net.prefilled += end - first
        yield Chunk(first, end, read, logits, cache, len(kept))
        held = [*kept, *range(first, end)]


def keep_columns(cache: Any, columns: Sequence[int]) -> None:
    """Drops all but some columns of a cache, in every layer."""
    import torch

    plain = list(columns) == list(range(len(columns)))
    for layer in cache.layers:
        if plain:
            layer.keys, layer.values = layer.keys[:, :, : len(columns)], layer.values[:, :, : len(columns)]
        else:
            index = torch.tensor(columns, dtype=torch.long, device=layer.keys.device)
            layer.keys, layer.values = layer.keys.index_select(2, index), layer.values.index_select(2, index)


def _pieces(tree: Tree, wanted: Collection[int], budget: int, most_read: int) -> Iterator[list[Segment]]:
    """Segments cut into chunks, in order."""
    chunk: list[Segment] = []
    room, reads = budget, most_read
    for segment in tree.segments:
        rest = segment
        while rest.tokens:
            length = min(len(rest.tokens), room)
            marks = [i for i in range(length) if rest.first + i in wanted]
            if len(marks) > reads:
                length = marks[reads]  # up to the node whose logits would be one row too many
                marks = marks[:reads]
            if length:
                chunk.append(Segment(rest.first, rest.parent, rest.depth, rest.tokens[:length]))
                rest = Segment(rest.first + length, rest.first + length - 1, rest.depth + length, rest.tokens[length:])
                room, reads = room - length, reads - len(marks)
            if room == 0 or rest.tokens:
                yield chunk
                chunk, room, reads = [], budget, most_read
    if chunk:
        yield chunk


def _packed(net: Net, pieces: Sequence[Segment], past: int) -> dict[str, Any]:
    """One row of tokens with their positions, and the mask over what each may see: (1, 1, nodes, past + nodes)."""
    import numpy as np
    import torch

    first = pieces[0].first
    nodes = sum(len(piece.tokens) for piece in pieces)
    sees = np.zeros((nodes, past + nodes), dtype=bool)
    for piece in pieces:
        start, length = piece.first - first, len(piece.tokens)
        rows = slice(start, start + length)
        if piece.parent >= first:
            sees[rows] = sees[piece.parent - first]
        else:
            sees[rows, : piece.depth] = True  # ancestors in the cache stand in the order of their depth
        sees[rows, past + start : past + start + length] = np.tri(length, dtype=bool)
    ids = torch.tensor([[token for piece in pieces for token in piece.tokens]])
    positions = torch.tensor([[piece.depth + i for piece in pieces for i in range(len(piece.tokens))]])
    given = inputs(net, ids, torch.ones_like(ids), positions)
    return {**given, "attention_mask": additive(torch.from_numpy(sees)[None, None], net)}


def additive(sees: Any, net: Net) -> Any:
    """A mask that is added to attention scores: 0 where a query may look, the type's lowest number elsewhere."""
    import torch

    dtype = net.module.dtype
    lowest = torch.finfo(dtype).min
    return torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, lowest).to(net.device)
