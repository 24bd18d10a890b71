"""Generation of the `hf` backend: equal to transformers' own greedy loop, seeded, stopped, independent of the batch."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from checkpoints import KINDS, build, tokenizer

from evalsuite.backends.hf import draw, generate
from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.hf.generate import Budget
from evalsuite.backends.hf.rows import Row
from evalsuite.models import ModelOptions, Renderer, renderer, resolve
from evalsuite.records import Sampling, Unit, user

PROMPTS = [
    "The quick",
    "Q: What is the capital of France?\nA:",
    "x",
    "東京 🙂 and a longer one, with " * 2,
    "A",
    "lazy",
]


def engine(folder: Path, **args: str) -> tuple[HFBackend, Renderer]:
    model = resolve(str(folder), ModelOptions(args=args))
    made = renderer(model)
    assert made is not None
    return HFBackend(model, made), made


def units(sampling: Sampling, prompts: list[str] = PROMPTS) -> list[Unit]:
    return [Unit(f"{i}", "generate", (user(text),), sampling=sampling, seed=100 + i) for i, text in enumerate(prompts)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[HFBackend, Renderer]:
    return engine(build(tmp_path_factory.mktemp("generation") / "tiny"))


@pytest.mark.parametrize("kind", [*KINDS, "mamba"])
def test_greedy_equals_transformers_generate(kind: str, tmp_path: Path) -> None:
    """The batched decode loop (left padding, cache, rows dropped) says what `model.generate` says one by one, also
    beyond the sliding window of 8 and after shorter rows have gone."""
    import torch

    folder = build(tmp_path / kind, kind)
    backend, made = engine(folder)
    answers = backend.generate(units(Sampling(max_tokens=24)))
    net: Any = backend.net.module
    for text, answer in zip(PROMPTS, answers, strict=True):
        prompt = torch.tensor([made.prompt_ids([user(text)])])
        out = net.generate(
            prompt, max_new_tokens=24, do_sample=False, eos_token_id=list(made.eos_ids), pad_token_id=made.pad_id
        )
        ids = out[0, prompt.shape[1] :].tolist()
        assert answer.text == made.decode(ids)
        assert answer.tokens == len(ids)
        assert answer.prompt_tokens == prompt.shape[1]
        assert answer.finish_reason == ("stop" if ids[-1] in made.eos_ids else "length")


def test_rows_that_end_early_leave_the_rest_unchanged(tmp_path: Path) -> None:
    """An end mark that is likely ends rows at different times; each text is that of the row alone."""
    folder = build(tmp_path / "tiny")
    together, made = engine(folder)
    alone, _ = engine(folder, batch_size="1")
    # Every sixth token of the vocabulary ends a text, so that rows leave one after the other.
    for backend in (together, alone):
        backend._renderer.__dict__["eos_ids"] = tuple(range(0, len(made.tokens._tokenizer), 6))
    asked = units(Sampling(max_tokens=40, temperature=1.0), PROMPTS * 4)
    answers = together.generate(asked)
    assert answers == alone.generate(asked)
    assert len({answer.tokens for answer in answers}) > 3


def test_a_seeded_row_does_not_depend_on_its_companions(tiny: tuple[HFBackend, Renderer]) -> None:
    """Regression 8 for text: a row's draws are its unit's own, alone or in any batch, in any order."""
    backend, _ = tiny
    asked = units(Sampling(max_tokens=16, temperature=0.9, top_p=0.95))
    together = backend.generate(asked)
    assert [backend.generate([unit])[0] for unit in asked] == together
    assert backend.generate(asked[::-1])[::-1] == together
    other = [Unit(u.fingerprint, u.kind, u.messages, sampling=u.sampling, seed=u.seed + 1) for u in asked]
    assert [a.text for a in backend.generate(other)] != [a.text for a in together]


def test_different_sampling_never_shares_a_batch(
    tiny: tuple[HFBackend, Renderer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression 19: subject and judge on one engine, with different settings, are run apart and answered in order."""
    backend, made = tiny
    seen: list[set[Sampling]] = []
    run = generate.speak

    def watch(net: Any, render: Renderer, rows: Any, *more: Any) -> Any:
        seen.append({row.unit.sampling for row in rows})
        return run(net, render, rows, *more)

    monkeypatch.setattr("evalsuite.backends.hf.backend.speak", watch)
    greedy, warm = Sampling(max_tokens=4), Sampling(max_tokens=6, temperature=1.0)
    mixed = [unit for pair in zip(units(greedy), units(warm), strict=True) for unit in pair]
    answers = backend.generate(mixed)
    assert all(len(settings) == 1 for settings in seen)
    assert set.union(*seen) == {greedy, warm}
    assert answers[::2] == backend.generate(units(greedy))
    assert answers[1::2] == backend.generate(units(warm))
    rows = [Row(i, unit, (1,)) for i, unit in enumerate(mixed[:2])]
    with pytest.raises(AssertionError, match="one batch"):
        run(backend.net, made, rows, Budget(64, 64, 64, 4), lambda place, answer: None)


def test_stop_strings_are_cut(tiny: tuple[HFBackend, Renderer]) -> None:
    backend, _ = tiny
    whole = backend.generate(units(Sampling(max_tokens=24)))
    for unit, answer in zip(units(Sampling(max_tokens=24)), whole, strict=True):
        middle = answer.text[6:9]
        stopped = backend.generate([Unit("s", "generate", unit.messages, sampling=Sampling(24, stop=(middle, "~~")))])[
            0
        ]
        assert stopped.text == answer.text[: answer.text.index(middle)]
        assert stopped.finish_reason == "stop"
        assert stopped.tokens <= answer.tokens


def test_limits(tiny: tuple[HFBackend, Renderer]) -> None:
    backend, _ = tiny
    for answer in backend.generate(units(Sampling(max_tokens=5))):
        assert answer.tokens <= 5
        assert (answer.finish_reason == "length") == (answer.tokens == 5)
    longer = backend.generate(units(Sampling(max_tokens=5, reasoning_tokens=7)))
    assert max(answer.tokens for answer in longer) == 12
    assert backend.generate([]) == []


def test_top_logprobs_are_those_of_the_plain_forward(tiny: tuple[HFBackend, Renderer]) -> None:
    import torch

    backend, made = tiny
    answer = backend.generate(units(Sampling(max_tokens=3, top_logprobs=5), ["The quick"]))[0]
    assert len(answer.logprobs) == len(answer.top_logprobs) == answer.tokens
    prompt = made.prompt_ids([user("The quick")])
    with torch.no_grad():
        plain = backend.net.module(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    values = sorted(answer.top_logprobs[0].values(), reverse=True)
    assert values == pytest.approx(plain.topk(5).values.tolist(), abs=1e-4)
    assert answer.logprobs[0] == pytest.approx(float(plain.max()), abs=1e-4)


def test_draws_follow_the_distribution() -> None:
    """choose() at temperature 1 draws each token as often as its probability says (chi-square, 3 degrees of freedom),
    and top_k, top_p cut exactly."""
    import torch

    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    rows, n = shares.log().expand(4000, 4), 4000
    drawn = Counter(draw.choose(rows, Sampling(temperature=1.0), [draw.Numbers(i) for i in range(n)]))
    chi = sum((drawn[i] - n * float(p)) ** 2 / (n * float(p)) for i, p in enumerate(shares))
    assert chi < 16.3  # 0.1% point
    numbers = [draw.Numbers(i) for i in range(n)]
    assert set(draw.choose(rows, Sampling(temperature=1.0, top_k=2), numbers)) == {0, 1}
    assert set(draw.choose(rows, Sampling(temperature=1.0, top_p=0.79), numbers)) == {0, 1}
    assert set(draw.choose(rows, Sampling(temperature=1.0, top_p=0.81), numbers)) == {0, 1, 2}
    assert set(draw.choose(rows, Sampling(temperature=1.0, top_p=0.01), numbers)) == {0}
    hot = Counter(draw.choose(rows, Sampling(temperature=100.0), numbers))
    assert min(hot.values()) > 800


def test_top_p_beyond_the_shortlist(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    logits = torch.zeros(200, 64)
    numbers = [draw.Numbers(i) for i in range(200)]
    wide = draw.choose(logits, Sampling(temperature=1.0, top_p=0.9), numbers)
    monkeypatch.setattr(draw, "SHORTLIST", 8)
    numbers = [draw.Numbers(i) for i in range(200)]
    assert len(set(draw.choose(logits, Sampling(temperature=1.0, top_p=0.9), numbers))) > 20
    assert len(set(wide)) > 20


def test_a_turn_mark_ends_a_text(tmp_path: Path) -> None:
    """The template's own end of turn stops generation even where no file names it as EOS."""
    _, made = engine(build(tmp_path / "tiny", tokens=tokenizer()))
    assert made.tokens.plain("<|end|>")[0] in made.eos_ids


@pytest.mark.smollm2
def test_smollm2_speaks() -> None:
    model = resolve("smollm2")
    made = renderer(model)
    assert made is not None
    answers = HFBackend(model, made).generate(
        units(Sampling(max_tokens=24), ["What is the capital of France?", "What is 2+2?"])
    )
    assert "Paris" in answers[0].text
    assert all(answer.finish_reason == "stop" for answer in answers)
    assert "<|im_end|>" not in answers[0].text
