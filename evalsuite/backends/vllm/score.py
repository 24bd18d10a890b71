"""Log-likelihoods with vLLM: which requests answer them with the fewest computed tokens.

vLLM does not read its prefix cache for a request that asks for `prompt_logprobs`, unless it is told to; and it gives
the log-probability of any next token that is named (`logprob_token_ids`). So a continuation of k tokens after a
context of n tokens has three plans (its last token is never fed in: the position before it says it):

forced   k requests, context + continuation[:j] for each j, each asked for the one token that follows. They read the
         cache, and those with equal ids are one request: the one-token choices of a question cost one between them.
cached   one request with prompt_logprobs that is told to read the cache. The rows of cached positions are missing,
         which does no harm as long as the cache ends within the context. That is checked in the answer (the count
         of cached tokens, and that each row holds the token wanted); where it does not hold, the next plan is used.
prompt   one request with prompt_logprobs that computes context and continuation anew.

The estimate knows vLLM's cache: whole blocks of tokens that an earlier request computed. `auto` takes the cheapest.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from evalsuite.backends.vllm.settings import Scoring
from evalsuite.errors import BackendError
from evalsuite.models.tokens import common
from evalsuite.records import Completion

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]
Images = tuple[str, ...]
Key = tuple[Ids, int, bool, Images]
Plan = Literal["forced", "cached", "prompt"]
MOST_IDS = 128
"""Tokens that one request can ask for by name (vLLM's MAX_LOGPROB_TOKEN_IDS)."""


@dataclass
class Ask:
    """One request: `ids` go in; of the token that follows, the log-probability of each of `wanted` is read, and of the
    last `rows` tokens of the prompt their own. `fresh`: computed without the cache."""

    ids: Ids
    rows: int = 0
    fresh: bool = False
    wanted: list[int] = field(default_factory=list)
    items: list[tuple[int, int, int]] = field(default_factory=list)  # (place of a pair, which of its tokens, its id)


Row = tuple[float, bool]
"""A token's log-probability and whether it was the likeliest."""


def choose(pairs: Sequence[Pair], block: int | None, scoring: Scoring = "auto") -> list[Plan]:
    """A plan for each (context, continuation). `block`: tokens of a block of the prefix cache; None where there is
    none."""
    plans: list[Plan] = ["prompt"] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda i: pairs[i][0] + pairs[i][1])
    whole = [pairs[i][0] + pairs[i][1][:-1] for i in order]
    shared = [0, *(common(a, b) for a, b in pairwise(whole))]
    asked: set[Ids] = set()
    for place, known in zip(order, shared, strict=True):
        context, continuation = pairs[place]
        costs = estimate(context, continuation, known, block, asked)
        if scoring == "auto":
            plans[place] = min(costs, key=lambda plan: costs[plan])
        elif scoring in costs:
            plans[place] = scoring
        if plans[place] == "forced":
            asked.update(context + continuation[:j] for j in range(len(continuation)))
    return plans


def estimate(context: Ids, continuation: Ids, known: int, block: int | None, asked: set[Ids]) -> dict[Plan, int]:
    """Tokens that each plan computes, where the first `known` tokens are in the cache already, and the requests in
    `asked` are made anyway. The order breaks ties. `cached` is absent where the cache would reach too far."""
    n, k = len(context), len(continuation)

    def hit(tokens: int) -> int:
        return tokens - tokens % block if block else 0

    forced = 0
    for j in range(k):
        if context + continuation[:j] not in asked:
            # The last token of a request is computed in any case; what stands before the j-th was computed for j-1.
            forced += n + j - hit(n + j - 1 if j else min(known, n - 1))
    costs: dict[Plan, int] = {"forced": forced}
    if k > 1 and hit(known) < n and block:
        costs["cached"] = n + k - 1 - hit(known)
    if k > 1:
        costs["prompt"] = n + k - 1
    return costs


def asks(
    pairs: Sequence[Pair], plans: Sequence[Plan], places: Collection[int], images: Sequence[Images] = ()
) -> list[Ask]:
    """The requests that answer the pairs at `places`, neighbours in the cache next to each other. Pairs with other
    `images` (by place: their hashes) are other requests, however alike their ids."""
    found: dict[Key, list[Ask]] = {}
    for place in places:
        context, continuation = pairs[place]
        seen = images[place] if images else ()
        if plans[place] == "forced":
            for j, token in enumerate(continuation):
                _want(found, (context + continuation[:j], 0, False, seen), token, (place, j))
        else:
            rows = len(continuation) - 1
            key = (context + continuation[:-1], rows, plans[place] == "prompt", seen)
            _want(found, key, continuation[-1], (place, rows))
    return [ask for key in sorted(found) for ask in found[key]]


def _want(found: dict[Key, list[Ask]], key: Key, token: int, item: tuple[int, int]) -> None:
    made = found.setdefault(key, [])
    if not made or (len(made[-1].wanted) == MOST_IDS and token not in made[-1].wanted):
        made.append(Ask(*key[:3]))
    if token not in made[-1].wanted:
        made[-1].wanted.append(token)
    made[-1].items.append((*item, token))


def scoring_params(ask: Ask) -> Any:
    """vllm.SamplingParams of a request."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0,
        max_tokens=1,
        ignore_eos=True,
        logprob_token_ids=ask.wanted,
        prompt_logprobs=0 if ask.rows else None,
        skip_reading_prefix_cache=ask.fresh,
        detokenize=False,
        flat_logprobs=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def read(ask: Ask, output: Any) -> tuple[list[Row], dict[int, Row]] | None:
    """What a finished request (vllm.RequestOutput) says: the last rows of its prompt, and each wanted token's row. None
    where the cache reached into rows that are wanted."""
    start = len(output.prompt_token_ids) - ask.rows  # (images are written out in there)
    told = output.prompt_logprobs or ()
    rows: list[Row] = []
    if ask.rows and not ask.fresh and (output.num_cached_tokens or 0) >= start:
        return None
    for back in range(-ask.rows, 0):
        token = ask.ids[back]
        row = told[back] if len(told) >= -back else None
        if not row or token not in row:
            if ask.fresh:
                raise BackendError("vLLM gave no log-probability of a prompt's token; try --model-args scoring=forced")
            return None
        rows.append((float(row[token].logprob), row[token].rank == 1))
    found = output.outputs[0]
    likeliest, last = found.token_ids[0], found.logprobs[0]
    return rows, {token: (float(last[token].logprob), token == likeliest) for token in ask.wanted}


def completion(pair: Pair, rows: Sequence[Row]) -> Completion:
    """A pair's completion out of the rows of its continuation."""
    context, continuation = pair
    return Completion(
        prompt_tokens=len(context),
        tokens=len(continuation),
        logprobs=tuple(value for value, _ in rows),
        greedy=all(hit for _, hit in rows),
    )
