"""Log-likelihoods and rewards of the `hf` backend against a plain one-by-one transformers computation."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from checkpoints import KINDS, build, build_reward, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.hf.net import Net
from evalsuite.errors import InputError, ModelError
from evalsuite.models import ModelOptions, Renderer, renderer, resolve
from evalsuite.records import Completion, Message, Sampling, Unit, assistant, user

TOLERANCE = 1e-4
QUESTIONS = ["The quick brown fox", "Q: capital of France?\nA:", "", "東京 🙂 ", "A: ", "left." * 9, "naïve\n"]
ANSWERS = [" Paris", " eight legs and more", "x", "🙂🙂", " Москва and\nmore"]


def engine(folder: Path, **args: str) -> tuple[HFBackend, Renderer]:
    model = resolve(str(folder), ModelOptions(args=args))
    made = renderer(model)
    assert made is not None
    return HFBackend(model, made), made


def units(made: Renderer, raw: bool = False, questions: list[str] = QUESTIONS) -> list[Unit]:
    found = []
    for question in questions:
        for answer in ANSWERS:
            messages = (user(question),)
            context, wanted = made.pair_ids(messages, answer, raw=raw)
            name = f"{question}|{answer}"
            found.append(Unit(name, "loglikelihood", messages, prompt_ids=context, continuation_ids=wanted))
    return found


def plainly(folder: Path, given_units: list[Unit]) -> list[list[float]]:
    """One row at a time, no padding, no mask, full logits, log_softmax: nothing of ours."""
    import torch
    from transformers import AutoModelForCausalLM

    net: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
    found = []
    with torch.no_grad():
        for unit in given_units:
            context, wanted = unit.prompt_ids or (), unit.continuation_ids
            logits = net(torch.tensor([[*context, *wanted]])).logits[0].log_softmax(-1)
            found.append([float(logits[len(context) - 1 + k, token]) for k, token in enumerate(wanted)])
    return found


def deviation(answers: list[Completion], expected: list[list[float]]) -> float:
    gaps = [
        abs(a - b)
        for answer, row in zip(answers, expected, strict=True)
        for a, b in zip(answer.logprobs, row, strict=True)
    ]
    return max(gaps)


@pytest.mark.parametrize("raw", [False, True], ids=["chat", "raw"])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_a_plain_computation(kind: str, raw: bool, tmp_path: Path) -> None:
    """Llama, Qwen2 (tied), GPT-2 (learned positions), Gemma 2 (capped logits, sliding window), Gemma 3."""
    folder = build(tmp_path / kind, kind)
    backend, made = engine(folder)
    asked = units(made, raw)
    answers = backend.loglikelihood(asked)
    worst = deviation(answers, plainly(folder, asked))
    print(f"{kind}: largest deviation {worst:.1e} over {sum(len(a.logprobs) for a in answers)} tokens")
    assert worst < TOLERANCE
    spread = [a.logprob for a in answers]
    assert max(spread) - min(spread) > 1  # the comparison is about something
    assert all(answer.tokens == len(unit.continuation_ids) for answer, unit in zip(answers, asked, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_batch_size_changes_nothing(kind: str, tmp_path: Path) -> None:
    """Regression 8: log-probabilities are equal for batches of 1, 8 and 64, and the tolerance is printed."""
    folder = build(tmp_path / kind, kind)
    _, made = engine(folder)
    asked = (units(made) + units(made, raw=True))[:64]
    answers = {
        size: engine(folder, batch_size=str(size), share="false", batch_tokens="100000")[0].loglikelihood(asked)
        for size in (1, 8, 64)
    }
    alone = [list(answer.logprobs) for answer in answers[1]]
    for size in (8, 64):
        worst = deviation(answers[size], alone)
        print(f"{kind}: batch {size} against 1: {worst:.1e}")
        assert worst < TOLERANCE
        assert [a.greedy for a in answers[size]] == [a.greedy for a in answers[1]]


@cache
def _tiny(folder: Path) -> tuple[HFBackend, Renderer]:
    return engine(build(folder))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[HFBackend, Renderer, Path]:
    folder = tmp_path_factory.mktemp("scoring") / "tiny"
    backend, made = _tiny(folder)
    return backend, made, folder


@settings(max_examples=60)
@given(
    context=st.one_of(st.just(""), st.text(max_size=15), st.sampled_from(["A: ", "\n\n", "🙂", " ", "x\t"])),
    continuation=st.text(min_size=1, max_size=10),
    raw=st.booleans(),
)
def test_odd_contexts(tiny: tuple[HFBackend, Renderer, Path], context: str, continuation: str, raw: bool) -> None:
    """Law: whatever the text, batched with an ordinary neighbour, the figure is that of the plain computation."""
    backend, made, _ = tiny
    try:
        left, right = made.pair_ids([user(context)], continuation, raw=raw)
    except InputError:
        return
    odd = Unit("odd", "loglikelihood", (), prompt_ids=left, continuation_ids=right)
    neighbour = units(made, questions=["The quick brown fox"])[0]
    together = backend.loglikelihood([odd, neighbour])[0]
    alone = backend.net
    assert deviation([together], [_one(alone, odd)]) < TOLERANCE


def _one(net: Net, unit: Unit) -> list[float]:
    import torch

    context, wanted = unit.prompt_ids or (), unit.continuation_ids
    with torch.no_grad():
        logits = net.module(torch.tensor([[*context, *wanted]])).logits[0].log_softmax(-1)
    return [float(logits[len(context) - 1 + k, token]) for k, token in enumerate(wanted)]


def test_only_the_positions_that_are_read_meet_the_vocabulary(tiny: tuple[HFBackend, Renderer, Path]) -> None:
    """B2: the head never sees the padded batch."""
    backend, made, _ = tiny
    seen: list[tuple[int, ...]] = []
    hook = backend.net.module.get_output_embeddings().register_forward_hook(
        lambda module, given, output: seen.append(tuple(output.shape))
    )
    asked = units(made)
    backend.loglikelihood(asked)
    hook.remove()
    # Continuations of one context that begin alike are read off one row.
    distinct = {(*(u.prompt_ids or ()), *u.continuation_ids[:k]) for u in asked for k in range(len(u.continuation_ids))}
    assert sum(shape[0] * shape[1] for shape in seen) == len(distinct)
    assert not backend.net.full_logits


def test_greedy_says_whether_the_continuation_is_what_the_model_would_say(
    tiny: tuple[HFBackend, Renderer, Path],
) -> None:
    backend, made, _ = tiny
    prompt = made.prompt_ids([user("The quick brown fox")])
    import torch

    with torch.no_grad():
        best = int(backend.net.module(torch.tensor([prompt])).logits[0, -1].argmax())
    asked = [
        Unit(str(token), "loglikelihood", (), prompt_ids=prompt, continuation_ids=(token,))
        for token in (best, best - 1)
    ]
    assert [answer.greedy for answer in backend.loglikelihood(asked)] == [True, False]


def test_a_unit_without_ids_is_rendered(tiny: tuple[HFBackend, Renderer, Path]) -> None:
    backend, made, _ = tiny
    with_ids = units(made)[0]
    without = Unit("x", "loglikelihood", with_ids.messages, continuation=ANSWERS[0])
    first, second = backend.loglikelihood([with_ids, without])
    assert first.logprobs == second.logprobs
    assert backend.loglikelihood([]) == []


@pytest.mark.parametrize("pad", ["<pad>", "</s>"])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_rewards_equal_the_plain_computation(kind: str, pad: str, tmp_path: Path) -> None:
    """A checkpoint that pads with EOS, which also ends its conversations, is read at the last real token."""
    import torch
    from transformers import AutoModelForSequenceClassification

    template = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>{% endfor %}"
    tokens = tokenizer(template=template)
    tokens.pad_token = pad
    folder = build_reward(tmp_path / kind, kind, tokens, pad_token_id=tokens.pad_token_id)
    backend, made = engine(folder)
    talks: list[tuple[Message, ...]] = [
        (user("The quick"), assistant(text)) for text in ("brown fox", "x", "Paris, or else " * 3)
    ]
    answers = backend.reward([Unit(str(i), "reward", talk) for i, talk in enumerate(talks)])
    net: Any = AutoModelForSequenceClassification.from_pretrained(str(folder), dtype=torch.float32).eval()
    net.config.pad_token_id = None  # one row, nothing padded: the last token is read
    for talk, answer in zip(talks, answers, strict=True):
        with torch.no_grad():
            expected = float(net(torch.tensor([made.conversation_ids(talk)])).logits[0, 0])
        assert answer.rewards == {"reward": pytest.approx(expected, abs=TOLERANCE)}
    assert len({answer.rewards["reward"] for answer in answers}) == 3


def test_a_head_with_several_labels_names_them(tmp_path: Path) -> None:
    folder = build_reward(tmp_path / "rm", labels=2, id2label={0: "helpful", 1: "honest"})
    backend, _ = engine(folder)
    rewards = backend.reward([Unit("a", "reward", (user("x"), assistant("y")))])[0].rewards
    assert sorted(rewards) == ["helpful", "honest"]


def test_a_model_says_what_it_cannot_answer(tiny: tuple[HFBackend, Renderer, Path]) -> None:
    with pytest.raises(InputError, match=r"cannot answer 'reward'.*generate, loglikelihood"):
        tiny[0].reward([Unit("a", "reward", (user("x"),))])


def test_weights_that_do_not_cover_the_model_are_refused(tmp_path: Path) -> None:
    """transformers fills missing weights with random numbers and goes on; here that is one line."""
    from safetensors.torch import load_file, save_file

    file = build(tmp_path / "tiny") / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("model.norm.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    backend, _ = engine(tmp_path / "tiny")
    with pytest.raises(ModelError, match=r"1 weights are missing.*norm"):
        backend.generate([Unit("a", "generate", (user("x"),), sampling=Sampling(max_tokens=1))])


def test_an_encoder_with_a_language_head_is_refused(tmp_path: Path) -> None:
    """It loads as a causal model without a word, and would score each token with a view of it."""
    backend, made = engine(build(tmp_path / "bert", "bert"))
    with pytest.raises(ModelError, match="later tokens"):
        backend.loglikelihood(units(made))


def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path: Path) -> None:
    backend, made = engine(build(tmp_path / "tiny", vocab_size=40))
    with pytest.raises(ModelError, match="tokenizer is not this model's"):
        backend.loglikelihood(units(made))


def test_a_pad_token_outside_the_vocabulary_does_no_harm(tmp_path: Path) -> None:
    """Llama 2 and its kin add a pad token behind the embedding table."""
    tokens = tokenizer()
    size = len(tokens)
    tokens.add_special_tokens({"pad_token": "<fill>"})
    backend, made = engine(build(tmp_path / "tiny", "llama", tokens, vocab_size=size))
    assert made.pad_id == size
    assert len(backend.loglikelihood(units(made))) == len(units(made))
    assert len(backend.generate([Unit(t, "generate", (user(t),), sampling=Sampling(4)) for t in ("a", "b c d")])) == 2


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="this machine has a GPU")
def test_a_device_that_is_not_here_is_one_line(tmp_path: Path) -> None:
    model = resolve(str(build(tmp_path / "tiny")), ModelOptions(device="cuda"))
    made = renderer(model)
    assert made is not None
    with pytest.raises(ModelError, match="cannot be loaded on cuda"):
        HFBackend(model, made).loglikelihood(units(made))


@pytest.mark.smollm2
@pytest.mark.parametrize("raw", [False, True], ids=["chat", "raw"])
def test_smollm2_equals_the_plain_computation(raw: bool) -> None:
    model = resolve("smollm2")
    made = renderer(model)
    assert made is not None
    assert model.path is not None
    backend = HFBackend(model, made)
    questions = ["Q: What is the capital of France?\nA:", "Who wrote Hamlet?"]
    asked = units(made, raw, questions)
    worst = deviation(backend.loglikelihood(asked), plainly(model.path, asked))
    print(f"smollm2: largest deviation {worst:.1e}")
    assert worst < TOLERANCE
