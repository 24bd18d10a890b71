"""Pair scoring: one number for each text, a tie is half, a missing number is never a zero."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import BackendError, InputError
from evalsuite.records import Completion, Completions
from evalsuite.scoring.pairs import pair_values, prefers

KEYS = ("chosen", "rejected")
finite = st.floats(-1e6, 1e6)


def rewards(chosen: float, rejected: float) -> Completions:
    return Completions(
        {"chosen": [Completion(rewards={"reward": chosen})], "rejected": [Completion(rewards={"reward": rejected})]}
    )


def logprobs(chosen: tuple[float, ...], rejected: tuple[float, ...]) -> Completions:
    return Completions({"answer": [Completion(logprobs=chosen), Completion(logprobs=rejected)]})


def test_values_by_method() -> None:
    assert pair_values(rewards(1.5, -2.0), KEYS, "reward") == {"chosen": 1.5, "rejected": -2.0}
    scored = logprobs((-1.0, -1.0, -1.0), (-2.0,))
    assert pair_values(scored, KEYS, "logprob") == {"chosen": -3.0, "rejected": -2.0}
    assert pair_values(scored, KEYS, "logprob_mean") == {"chosen": -1.0, "rejected": -2.0}


def test_the_order_of_keys_is_the_order_of_continuations() -> None:
    scored = logprobs((-1.0,), (-2.0,))
    assert pair_values(scored, ("rejected", "chosen"), "logprob") == {"rejected": -1.0, "chosen": -2.0}


def test_what_a_backend_could_not_answer_is_none() -> None:
    failed = Completions(
        {"chosen": [Completion(error="timeout")], "rejected": [Completion(rewards={"reward": math.nan})]}
    )
    assert pair_values(failed, KEYS, "reward") == {"chosen": None, "rejected": None}
    assert pair_values(logprobs((), (-math.inf,)), KEYS, "logprob") == {"chosen": None, "rejected": None}
    assert prefers(None, 1.0).value is None
    assert prefers(1.0, None).reason == "backend_error"


def test_broken_contracts_are_errors() -> None:
    other = Completions({key: [Completion(rewards={"helpfulness": 1.0})] for key in KEYS})
    with pytest.raises(BackendError, match="helpfulness"):
        pair_values(other, KEYS, "reward")
    with pytest.raises(BackendError, match="1 continuations"):
        pair_values(Completions({"answer": [Completion(logprobs=(-1.0,))]}), KEYS, "logprob")
    with pytest.raises(InputError, match="logprob_mean"):
        pair_values(logprobs((-1.0,), (-2.0,)), KEYS, "logprob_meen")


@given(finite, finite)
def test_preference_is_antisymmetric(a: float, b: float) -> None:
    forth, back = prefers(a, b), prefers(b, a)
    assert forth.value is not None
    assert back.value is not None
    assert forth.value + back.value == 1
    assert prefers(a, a).value == 0.5
