"""Reward models of the `hf` backend against plain transformers: one row at a time, nothing padded, nothing of ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from checkpoints import CORPUS, build, build_reward, config, tokenizer

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.errors import ModelError
from evalsuite.models import ModelOptions, Renderer, renderer, resolve
from evalsuite.planning import Options, Planner
from evalsuite.records import Completion, Message, Request, Unit, assistant, user

TOLERANCE = 1e-4
ANSWERS = ["brown fox", "x", "Paris, or else " * 3, "4 legs\n\nno: eight legs\n\nso 12"]
TALKS: list[tuple[Message, ...]] = [(user("The quick"), assistant(text)) for text in ANSWERS]


def engine(folder: Path, **args: str) -> tuple[HFBackend, Renderer]:
    model = resolve(str(folder), ModelOptions(args=args))
    made = renderer(model)
    assert made is not None
    return HFBackend(model, made), made


def rewards(folder: Path, talks: list[tuple[Message, ...]] = TALKS, **args: str) -> list[Completion]:
    """Through the plan, and the same alone as together."""
    backend, made = engine(folder, **args)
    planner = Planner(backend.model, made, Options())
    units: list[Unit] = [unit for talk in talks for unit in planner.plan(Request("reward", talk)).units]
    together = backend.reward(units)
    for unit, answer in zip(units, together, strict=True):
        assert backend.reward([unit])[0].rewards == pytest.approx(answer.rewards, abs=TOLERANCE)
    assert backend.counts["prefill_tokens"] == backend.counts["forwarded_tokens"] > 0
    return together


def plain(folder: Path, auto: str) -> Any:
    import torch
    import transformers

    return getattr(transformers, auto).from_pretrained(str(folder), dtype=torch.float32).eval()


def logits(net: Any, ids: tuple[int, ...], **more: Any) -> Any:
    import torch

    net.config.pad_token_id = None  # one row: the last token is read
    with torch.no_grad():
        return net(torch.tensor([ids]), **more).logits[0]


# -- sequence classifiers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "gemma2"])
def test_several_objectives_have_their_names(kind: str, tmp_path: Path) -> None:
    names = {0: "helpful", 1: "honest", 2: "brief"}
    folder = build_reward(tmp_path / "rm", kind, labels=3, id2label=names)
    assert resolve(str(folder)).kinds == {"reward"}
    _, made = engine(folder)
    net = plain(folder, "AutoModelForSequenceClassification")
    for talk, answer in zip(TALKS, rewards(folder), strict=True):
        expected = logits(net, made.conversation_ids(talk)).tolist()
        assert answer.rewards == pytest.approx(dict(zip(names.values(), expected, strict=True)), abs=TOLERANCE)


def test_one_objective_may_be_the_reward(tmp_path: Path) -> None:
    folder = build_reward(tmp_path / "rm", labels=2, id2label={0: "helpful", 1: "honest"})
    for answer in rewards(folder, reward="honest"):
        assert answer.rewards["reward"] == answer.rewards["honest"] != answer.rewards["helpful"]
    with pytest.raises(ModelError, match=r"reward=kind: .* has the labels helpful, honest"):
        rewards(folder, reward="kind")


def closing(folder: Path) -> Any:
    """BERT's own tokenizer over our corpus: [CLS] a [SEP], [CLS] a [SEP] b [SEP] with segments 0 and 1."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertTokenizerFast

    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    raw.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=raw).save_pretrained(folder)
    return BertTokenizerFast.from_pretrained(folder)  # it lowers its texts only once it has been read from a file


def test_an_encoder_reads_prompt_and_response_as_a_pair(tmp_path: Path) -> None:
    """DeBERTa's and BERT's reward models were trained on pairs; the second text has a segment of its own."""
    import torch
    from transformers import AutoModelForSequenceClassification

    tokens = closing(tmp_path / "rm")
    settings = config("bert", len(tokens))
    settings.num_labels, settings.pad_token_id = 1, 0
    torch.manual_seed(3)
    net = AutoModelForSequenceClassification.from_config(settings, dtype=torch.float32).eval()
    net.save_pretrained(tmp_path / "rm")
    seen = set()
    for answer, text in zip(rewards(tmp_path / "rm"), ANSWERS, strict=True):
        with torch.no_grad():
            found = float(net(**tokens("The quick", text, return_tensors="pt")).logits[0, 0])
        assert answer.rewards == {"reward": pytest.approx(found, abs=TOLERANCE)}
        seen.add(round(found, 5))
    assert len(seen) == len(ANSWERS)


def test_a_head_of_its_own_is_one_line(tmp_path: Path) -> None:
    folder = build_reward(tmp_path / "rm")
    row = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**row, "architectures": ["LlamaForRewardModelWithGating"]}))
    with pytest.raises(ModelError, match="LlamaForRewardModelWithGating is a head of its own") as caught:
        resolve(str(folder))
    assert "\n" not in str(caught.value)


def test_a_head_without_weights_is_refused(tmp_path: Path) -> None:
    """A language model that calls itself a reward model would get a random head."""
    folder = build(tmp_path / "lm")
    row = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**row, "architectures": ["LlamaForSequenceClassification"]}))
    with pytest.raises(ModelError, match=r"1 weights are missing from its files .score.weight"):
        rewards(folder)


# -- steps ------------------------------------------------------------------------------------------------------------


def build_process(folder: Path, labels: int = 2, **changes: Any) -> Path:
    """A random token classifier, as TRL's PRMTrainer saves one."""
    import torch
    from transformers import AutoModelForTokenClassification

    tokens = tokenizer()
    settings = config("llama", len(tokens))
    settings.num_labels = labels
    for key, value in changes.items():
        setattr(settings, key, value)
    torch.manual_seed(2)
    model = AutoModelForTokenClassification.from_config(settings, dtype=torch.float32)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def steps_of(answer: Completion) -> list[float]:
    return [value for name, value in answer.rewards.items() if name.startswith("step ")]


def read_at(made: Renderer, talk: tuple[Message, ...], marked: list[str]) -> list[tuple[tuple[int, ...], int]]:
    """For each step: the ids of the text up to the end of its mark, whose last one is read (a causal network does not
    see what follows)."""
    head = made.render((*talk[:-1], assistant("@"))).removesuffix("@")
    found, text = [], head
    for step in marked:
        text += step
        ids = made.tokens.encode(text)
        found.append((ids, len(ids) - 1))
    return found


def test_steps_equal_the_plain_computation(tmp_path: Path) -> None:
    """Each step's probability is that of the second label at its mark, seen from a text that ends there."""
    folder = build_process(tmp_path / "prm")
    assert resolve(str(folder)).kinds == {"reward"}
    _, made = engine(folder)
    net = plain(folder, "AutoModelForTokenClassification")
    talk = (user("The quick"), assistant("4 legs\n\nno: eight legs\n\nso 12"))
    answer = rewards(folder, [talk, TALKS[0]], step_mark="<|end|>")[0]
    expected = [
        float(logits(net, ids)[at].softmax(-1)[1])
        for ids, at in read_at(made, talk, ["4 legs<|end|>", "no: eight legs<|end|>", "so 12<|end|>"])
    ]
    assert steps_of(answer) == pytest.approx(expected, abs=TOLERANCE)
    assert list(answer.rewards) == ["step 1", "step 2", "step 3", "reward"]
    assert answer.rewards["reward"] == min(steps_of(answer))


def test_an_answer_that_holds_marks_is_read_as_it_stands(tmp_path: Path) -> None:
    folder = build_process(tmp_path / "prm")
    lines = [(user("x"), assistant("4 legs\n\nno: eight legs\nso 12"))]
    assert len(steps_of(rewards(folder, lines)[0])) == 3  # the mark is a new line; an empty line is no step
    whole = (user("x"), assistant("4 legs<|end|>so 12<|end|>"))
    cut = (user("x"), assistant("4 legs\n\nso 12"))
    first, second = rewards(folder, [whole, cut], step_mark="<|end|>")
    assert first.rewards == pytest.approx(second.rewards, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("how", "expected"), [("min", min), ("last", lambda v: v[-1]), ("mean", lambda v: sum(v) / len(v))]
)
def test_steps_come_to_one_number(how: str, expected: Any, tmp_path: Path) -> None:
    answer = rewards(build_process(tmp_path / "prm"), step_reduce=how)[3]
    assert answer.rewards["reward"] == pytest.approx(expected(steps_of(answer)))


def test_a_product_of_steps_is_one_of_probabilities(tmp_path: Path) -> None:
    import math

    answer = rewards(build_process(tmp_path / "prm"), step_reduce="prod")[3]
    assert answer.rewards["reward"] == pytest.approx(math.prod(steps_of(answer)))
    with pytest.raises(ModelError, match=r"step_reduce=prod: .* no probabilities"):
        rewards(build_process(tmp_path / "one", labels=1), step_reduce="prod")
    assert rewards(build_process(tmp_path / "one", labels=1))[0].rewards["reward"] != 0
    with pytest.raises(ModelError, match="step_reduce=max: known are min"):
        rewards(build_process(tmp_path / "prm"), step_reduce="max")


def test_a_label_is_named_where_there_are_many(tmp_path: Path) -> None:
    names = {0: "wrong", 1: "neutral", 2: "right"}
    folder = build_process(tmp_path / "prm", labels=3, id2label=names)
    with pytest.raises(ModelError, match=r"good=LABEL .labels: wrong, neutral, right"):
        rewards(folder)
    shares = [steps_of(rewards(folder, TALKS[3:], good=name)[0])[0] for name in names.values()]
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_a_language_model_that_marks_steps(tmp_path: Path) -> None:
    """Math-Shepherd's way: P(good) against P(bad) of the next token at each mark."""
    folder = build(tmp_path / "lm")
    how = {"reward": "process", "step_mark": "<|end|>", "step_join": "\n", "good": "a", "bad": "e"}
    assert resolve(str(folder), ModelOptions(args=how)).kinds == {"generate", "loglikelihood", "embed", "reward"}
    _, made = engine(folder, **how)
    net = plain(folder, "AutoModelForCausalLM")
    good, bad = (made.tokens.plain(word)[0] for word in ("a", "e"))
    answer = rewards(folder, **how)[3]
    marked = ["4 legs<|end|>", "\nno: eight legs<|end|>", "\nso 12<|end|>"]
    expected = [float(logits(net, ids)[at][[good, bad]].softmax(-1)[0]) for ids, at in read_at(made, TALKS[3], marked)]
    assert steps_of(answer) == pytest.approx(expected, abs=TOLERANCE)
    for args, message in (
        ({"reward": "process"}, "give the mark"),
        ({**how, "good": "no such token"}, "good=no such token: is .* tokens"),
        ({"reward": "best"}, "a causal model rewards by generative or process"),
    ):
        with pytest.raises(ModelError, match=message):
            rewards(folder, **args)


def test_answers_without_steps_and_beyond_the_window_have_a_reason(tmp_path: Path) -> None:
    backend, made = engine(build_process(tmp_path / "prm"))
    assert backend.reward([Unit("a", "reward", (user("x"), assistant(" \n ")))])[0].error == (
        "empty: an answer without words has no steps"
    )
    talk = (user("x"), assistant("eight legs\n" * 60))
    assert len(made.conversation_ids(talk)) > 128
    found = backend.reward([Unit("b", "reward", talk)])[0]
    assert str(found.error).startswith("too_long: ")
    assert found.rewards == {}


# -- a question -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["auto", "raw"])
def test_a_question_is_answered_by_probability(template: str, tmp_path: Path) -> None:
    import torch

    folder = build(tmp_path / "lm", max_position_embeddings=512)
    args = {"reward": "generative", "question": "{prompt} / {response} / {prompt}?", "yes": "a", "no": "e"}
    model = resolve(str(folder), ModelOptions(template=template, args=args))
    made = renderer(model)
    assert made is not None
    found = HFBackend(model, made).reward([Unit(str(i), "reward", talk) for i, talk in enumerate(TALKS)])
    net = plain(folder, "AutoModelForCausalLM")
    for text, answer in zip(ANSWERS, found, strict=True):
        asked = [user(f"The quick / {text} / The quick?")]
        context, yes = made.pair_ids(asked, "a" if template == "auto" else " a")
        _, no = made.pair_ids(asked, "e" if template == "auto" else " e")
        shares = logits(net, context)[-1].softmax(-1)[torch.tensor([yes[0], no[0]])]
        assert answer.rewards["reward"] == pytest.approx(float(shares[0] / shares.sum()), abs=TOLERANCE)
        assert answer.rewards["mass"] == pytest.approx(float(shares.sum()), abs=TOLERANCE)


def test_the_question_of_our_own_holds_the_conversation_once(tmp_path: Path) -> None:
    """Words of a place inside a conversation are words."""
    from evalsuite.backends.hf.reward import question

    folder = build(tmp_path / "lm", max_position_embeddings=512)
    backend, made = engine(folder, reward="generative")
    talk = (user("say {response}"), assistant("no {prompt} {conversation}"))
    context, yes, no = question(backend.net, made, talk)
    text = made.decode(context)
    assert "User: say {response}\n\nAssistant: no {prompt} {conversation}" in text
    assert yes != no
    with pytest.raises(ModelError, match="begin with the same token"):
        question(engine(folder, reward="generative", yes="a b", no="a c")[0].net, made, talk)
