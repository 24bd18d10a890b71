"""The hf backend on vision-language checkpoints: the same answers as transformers gives for the same prompt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import vision_checkpoints
from vision_checkpoints import FAMILIES, picture

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.hf.net import Net, load
from evalsuite.backends.hf.vision import generate_images, loglikelihood_images
from evalsuite.data.images import images_of, pil, settled
from evalsuite.errors import InputError
from evalsuite.models import Model, renderer, resolve
from evalsuite.models.vision import VisionRenderer
from evalsuite.planning.options import Options
from evalsuite.planning.units import Planner
from evalsuite.records import Message, Request, Sampling, Unit

CHOICES = (" Paris", " eight legs", " 42", " the lazy dog jumps")


class Sight:
    """A loaded checkpoint with everything that answers need."""

    def __init__(self, folder: Path) -> None:
        self.model: Model = resolve(str(folder))
        made = renderer(self.model)
        assert isinstance(made, VisionRenderer)
        self.renderer = made
        self.net: Net = load(self.model)
        self.planner = Planner(self.model, made, Options())

    def units(self, *requests: Request) -> list[Unit]:
        return [unit for request in requests for unit in self.planner.plan(request).units]


@pytest.fixture(scope="module", params=FAMILIES)
def sight(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sight:
    folder = tmp_path_factory.mktemp("vision") / request.param
    return Sight(vision_checkpoints.build(folder, request.param))


def asked(*images: Any, text: str = "What is this?", system: str = "") -> tuple[Message, ...]:
    parts = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": text}]
    first = (Message(role="system", content=system),) if system else ()
    return settled((*first, Message(role="user", content=parts)))


PROMPTS = (
    asked(picture(1, 40, 30)),
    asked(picture(2, 64, 64), text="Q: how many legs?", system="Be brief."),
    asked(picture(3, 90, 20), picture(4, 31, 47), text="Which is larger?"),
)


def plainly(sight: Sight, messages: tuple[Message, ...]) -> Any:
    """The processor's own inputs for one conversation, made the way transformers' documentation has it."""
    plain = [
        {
            "role": m["role"],
            "content": [{"type": "text", "text": m["content"]}]
            if isinstance(m["content"], str)
            else [p if p["type"] == "text" else {"type": "image"} for p in m["content"]],
        }
        for m in messages
    ]
    processor = sight.renderer.processor
    text = processor.apply_chat_template(plain, add_generation_prompt=True, tokenize=False)
    bos = processor.tokenizer.bos_token
    images = [[pil(image) for image in images_of(messages)]]
    return processor(text=[bos + text.removeprefix(bos)], images=images, add_special_tokens=False, return_tensors="pt")


@pytest.mark.parametrize("messages", PROMPTS)
def test_prompt_ids_are_those_of_the_processor(sight: Sight, messages: tuple[Message, ...]) -> None:
    [unit] = sight.units(Request("generate", messages))
    assert list(unit.prompt_ids or ()) == plainly(sight, messages)["input_ids"][0].tolist()


@pytest.mark.parametrize("messages", PROMPTS)
def test_greedy_text_is_that_of_transformers(sight: Sight, messages: tuple[Message, ...]) -> None:
    units = sight.units(Request("generate", messages, sampling=Sampling(max_tokens=12, top_logprobs=2)))
    [answer] = generate_images(sight.net, sight.renderer, units)
    inputs = plainly(sight, messages)
    with torch.inference_mode():
        whole = sight.net.module.generate(
            **inputs, max_new_tokens=12, do_sample=False, eos_token_id=list(sight.renderer.eos_ids), pad_token_id=2
        )
    ids = whole[0, inputs["input_ids"].shape[1] :].tolist()
    assert answer.tokens == len(ids)
    assert answer.text == sight.renderer.decode(ids)
    assert answer.prompt_tokens == inputs["input_ids"].shape[1]
    assert len(answer.logprobs) == len(answer.top_logprobs) == answer.tokens


@pytest.mark.parametrize("messages", PROMPTS)
def test_log_likelihoods_are_those_of_a_plain_forward(sight: Sight, messages: tuple[Message, ...]) -> None:
    units = sight.units(Request("loglikelihood", messages, continuations=CHOICES))
    inputs = plainly(sight, messages)
    for unit, answer in zip(units, loglikelihood_images(sight.net, sight.renderer, units), strict=True):
        tail = torch.tensor([unit.continuation_ids])
        given = {k: v for k, v in inputs.items() if k not in ("input_ids", "attention_mask", "mm_token_type_ids")}
        ids = torch.cat([inputs["input_ids"], tail], dim=1)
        if "mm_token_type_ids" in inputs:
            given["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(tail)], dim=1)
        with torch.inference_mode():
            logits = sight.net.module(input_ids=ids, attention_mask=torch.ones_like(ids), **given).logits[0].float()
        start = inputs["input_ids"].shape[1] - 1
        wanted = logits.log_softmax(-1)[start:-1].gather(1, tail[0][:, None])[:, 0]
        assert answer.logprobs == pytest.approx(wanted.tolist(), abs=1e-4)
        assert answer.greedy == bool((logits[start:-1].argmax(-1) == tail[0]).all())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_answers_as_each_alone(sight: Sight, temperature: float) -> None:
    drawn = Sampling(max_tokens=10, temperature=temperature, seed=5)
    spoken = sight.units(*(Request("generate", messages, sampling=drawn) for messages in PROMPTS))
    spoken[1] = replace(spoken[1], sampling=replace(spoken[1].sampling, max_tokens=4))
    together = generate_images(sight.net, sight.renderer, spoken)
    assert together == [generate_images(sight.net, sight.renderer, [unit])[0] for unit in spoken]
    assert together[1].tokens <= 4

    scored = sight.units(*(Request("loglikelihood", m, continuations=CHOICES) for m in PROMPTS))
    together = loglikelihood_images(sight.net, sight.renderer, scored)
    for unit, answer in zip(scored, together, strict=True):
        [alone] = loglikelihood_images(sight.net, sight.renderer, [unit], budget=1)
        assert answer.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_the_answer_depends_on_the_image(sight: Sight) -> None:
    requests = [Request("loglikelihood", asked(picture(seed, 48, 48)), continuations=CHOICES[:1]) for seed in (1, 2)]
    one, other = (a.logprob for a in loglikelihood_images(sight.net, sight.renderer, sight.units(*requests)))
    assert abs(one - other) > 1e-3
    upside_down = asked(picture(1, 48, 48).rotate(180))
    [turned] = sight.units(Request("loglikelihood", upside_down, continuations=CHOICES[:1]))
    assert abs(loglikelihood_images(sight.net, sight.renderer, [turned])[0].logprob - one) > 1e-3


def test_stop_strings_end_a_text(sight: Sight) -> None:
    greedy = Sampling(max_tokens=12)
    [unit] = sight.units(Request("generate", PROMPTS[0], sampling=greedy))
    [whole] = generate_images(sight.net, sight.renderer, [unit])
    stop = whole.text[2:5]
    [cut] = generate_images(sight.net, sight.renderer, [replace(unit, sampling=replace(greedy, stop=(stop,)))])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"


def test_early_answers_are_told_once(sight: Sight) -> None:
    units = sight.units(*(Request("generate", m, sampling=Sampling(max_tokens=3)) for m in PROMPTS))
    told: dict[int, Any] = {}
    answers = generate_images(sight.net, sight.renderer, units, told.__setitem__, budget=1)
    assert [told[i] for i in range(3)] == answers


def test_a_checkpoints_penalties_move_nothing(sight: Sight) -> None:
    [unit] = sight.units(Request("generate", PROMPTS[0], sampling=Sampling(max_tokens=8)))
    before = generate_images(sight.net, sight.renderer, [unit])
    settings = sight.net.module.generation_config
    settings.repetition_penalty = 5.0
    try:
        assert generate_images(sight.net, sight.renderer, [unit]) == before
    finally:
        settings.repetition_penalty = None
    assert sight.net.module.generation_config is settings


TEXTS = ("Hello", "Q: What is the capital of France?", "Question: how many legs has a spider?")


def test_words_and_pictures_go_through_one_backend(sight: Sight) -> None:
    spoken = [
        Request("generate", (Message(role="user", content=text),), sampling=Sampling(max_tokens=8)) for text in TEXTS
    ]
    spoken[1:1] = [Request("generate", PROMPTS[0], sampling=Sampling(max_tokens=8))]
    backend = HFBackend(sight.model, sight.renderer)
    units = sight.units(*spoken)
    told: dict[int, Any] = {}
    answers = backend.generate(units, told.__setitem__)
    assert [told[i] for i in range(4)] == answers
    assert answers[1] == generate_images(sight.net, sight.renderer, [units[1]])[0]
    for place in (0, 2, 3):
        ids = torch.tensor([units[place].prompt_ids])
        with torch.inference_mode():
            whole = sight.net.module.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=8,
                do_sample=False,
                eos_token_id=list(sight.renderer.eos_ids),
                pad_token_id=2,
            )
        assert answers[place].text == sight.renderer.decode(whole[0, ids.shape[1] :].tolist())
    assert backend.counts["forwarded_tokens"] > backend.counts["prefill_tokens"] > 0


def test_continuations_of_words_and_pictures(sight: Sight) -> None:
    asks = [Request("loglikelihood", (Message(role="user", content=text),), continuations=CHOICES) for text in TEXTS]
    asks[1:1] = [Request("loglikelihood", PROMPTS[1], continuations=CHOICES)]
    units = sight.units(*asks)
    answers = HFBackend(sight.model, sight.renderer).loglikelihood(units)
    pictured = loglikelihood_images(sight.net, sight.renderer, units[4:8])
    for answer, alone in zip(answers[4:8], pictured, strict=True):
        assert answer.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    for unit, answer in [*zip(units, answers, strict=True)][:4]:
        ids = torch.tensor([[*(unit.prompt_ids or ()), *unit.continuation_ids]])
        with torch.inference_mode():
            logits = sight.net.module(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].float()
        start = len(unit.prompt_ids or ()) - 1
        wanted = logits.log_softmax(-1)[start:-1].gather(1, ids[0, start + 1 :][:, None])[:, 0]
        assert answer.logprobs == pytest.approx(wanted.tolist(), abs=1e-4)


def test_text_models_refuse_images(tiny: Path) -> None:
    model = resolve(str(tiny))
    planner = Planner(model, renderer(model), Options())
    with pytest.raises(InputError, match="reads text only"):
        planner.plan(Request("generate", PROMPTS[0]))
