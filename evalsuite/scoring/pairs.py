"""Which of two texts does the model put first? One reading for reward models and for log-probabilities.

A pair task asks either one `reward` request for each text (the request's key names the text) or one `loglikelihood`
request called `answer` whose continuations are the texts. `pair_values` brings both to one number for each text,
`prefers` brings two numbers to a score:

    values = pair_values(completions, ("chosen", "rejected"), setup.method)
    return {"acc": prefers(values["chosen"], values["rejected"])}
"""

import math
from collections.abc import Sequence

from evalsuite.errors import BackendError, unknown
from evalsuite.records import Completion, Completions, Score, missing

METHODS = ("reward", "logprob", "logprob_mean")


def pair_values(completions: Completions, keys: Sequence[str], method: str) -> dict[str, float | None]:
    """One number for each key, None where the backend has no finite one.

    `reward`: `completions[key].rewards["reward"]`. `logprob`: the summed log-probability (nats) of the continuation;
    `logprob_mean`: the same for each token, so that a longer text is not worse for its length. The continuations of
    the request `answer` stand in the order of `keys`.

    Raises BackendError where a reward model answers with other names than `reward`, InputError on an unknown method.
    """
    if method == "reward":
        return {key: _reward(completions[key], key) for key in keys}
    if method in METHODS:
        scored = completions.of("answer")
        if len(scored) != len(keys):
            raise BackendError(
                f"{len(scored)} continuations were scored where {len(keys)} were asked ({', '.join(keys)})"
            )
        return {key: _logprob(c, mean=method == "logprob_mean") for key, c in zip(keys, scored, strict=True)}
    raise unknown("method", method, METHODS)


def prefers(a: float | None, b: float | None) -> Score:
    """1 where `a` is above `b`, 0 where below, 0.5 on a tie; missing (`backend_error`) where either is None.
    The details hold the margin a - b (a reward's unit, or nats)."""
    if a is None or b is None:
        return missing("backend_error")
    value = 0.5 if a == b else float(a > b)
    return Score(value, details={"margin": a - b})


def _reward(completion: Completion, key: str) -> float | None:
    if completion.error is not None or not completion.rewards:
        return None
    if "reward" not in completion.rewards:
        found = ", ".join(sorted(completion.rewards))
        raise BackendError(f"the reward of '{key}' has no number called 'reward' (found: {found})")
    return _finite(completion.rewards["reward"])


def _logprob(completion: Completion, mean: bool) -> float | None:
    # A continuation without tokens has no probability; its empty sum of 0.0 would beat every text.
    if completion.error is not None or not completion.logprobs:
        return None
    return _finite(completion.logprob / len(completion.logprobs) if mean else completion.logprob)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
