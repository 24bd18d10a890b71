"""Log-probabilities of continuations: over a tree of shared prefixes, or row by row where a network cannot share.

Both ways give, for each pair (context, continuation) of token ids, one log-probability (nats) for each token of the
continuation and whether every one was the argmax. The output layer runs on the positions that are read only.
"""

from collections.abc import Sequence
from typing import Any

from evalsuite.backends.hf.draw import likeliest
from evalsuite.backends.hf.net import Net, inputs, logits_at, pad
from evalsuite.backends.hf.tree import Tree, walk
from evalsuite.records import Completion, Done

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]


def score_tree(net: Net, pairs: Sequence[Pair], chunk: int, read: int, tell: Done) -> None:
    """Scores pairs with every distinct prefix computed once: `chunk` nodes and `read` rows of logits at a time."""
    tree = Tree()
    # node → (pair, place in its continuation, wanted token): what is read off the logits behind the node.
    readers: dict[int, list[tuple[int, int, int]]] = {}
    for i in sorted(range(len(pairs)), key=lambda i: (pairs[i][0] + pairs[i][1], len(pairs[i][0]))):
        context, wanted = pairs[i]
        # The last token predicts nothing that is asked for; the token before each one predicts it.
        path = tree.add((*context, *wanted)[:-1])
        for k, token in enumerate(wanted):
            readers.setdefault(path[len(context) - 1 + k], []).append((i, k, token))
    logprobs = [[0.0] * len(wanted) for _, wanted in pairs]
    hits = [True] * len(pairs)
    missing = [len(wanted) for _, wanted in pairs]
    for part in walk(net, tree, readers.keys(), chunk, read):
        served = [(row, *reader) for row, node in enumerate(part.read) for reader in readers[node]]
        values, best = _read(part.logits, [row for row, *_ in served], [token for *_, token in served])
        for (_, i, k, _), value, hit in zip(served, values, best, strict=True):
            logprobs[i][k] = value
            hits[i] &= hit
            missing[i] -= 1
            if not missing[i]:
                tell(i, _completion(pairs[i], logprobs[i], hits[i]))


def score_rows(net: Net, pairs: Sequence[Pair], places: Sequence[int], tell: Done) -> None:
    """Scores some pairs as one padded batch: the plain computation, right for every causal architecture."""
    import torch

    chosen = [pairs[i] for i in places]
    ids, mask = pad([(*context, *wanted)[:-1] for context, wanted in chosen], left=False)
    positions = torch.arange(ids.shape[1]).expand_as(ids)
    rows = torch.tensor([i for i, (_, wanted) in enumerate(chosen) for _ in wanted])
    columns = torch.tensor([len(context) - 1 + k for context, wanted in chosen for k in range(len(wanted))])
    logits, _ = logits_at(net, rows, columns, **inputs(net, ids, mask, positions), use_cache=False)
    net.prefilled += ids.numel()
    targets = [token for _, wanted in chosen for token in wanted]
    values, best = _read(logits, range(len(targets)), targets)
    start = 0
    for place, (context, wanted) in zip(places, chosen, strict=True):
        end = start + len(wanted)
        tell(place, _completion((context, wanted), values[start:end], all(best[start:end])))
        start = end


def _read(logits: Any, rows: Sequence[int], tokens: Sequence[int]) -> tuple[list[float], list[bool]]:
    """Log-probability of a token in a row of logits (rows, vocabulary), and whether it is the row's argmax."""
    import torch

    at = torch.tensor([list(rows), list(tokens)], dtype=torch.long, device=logits.device)
    best, values = likeliest(logits), logits.log_softmax(-1)[at[0], at[1]]
    return values.tolist(), (best[at[0]] == at[1]).tolist()


def _completion(pair: Pair, logprobs: Sequence[float], greedy: bool) -> Completion:
    context, wanted = pair
    return Completion(prompt_tokens=len(context), tokens=len(wanted), logprobs=tuple(logprobs), greedy=greedy)
