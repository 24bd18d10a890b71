"""turns=all: every answer of a conversation is learned behind the turns before it, in as few sequences as may be."""

import json
from pathlib import Path

import pytest
import torch
from checkpoints import TEMPLATE, build
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from evalsuite.cli import main
from evalsuite.models import ModelOptions, renderer, resolve
from evalsuite.records import Message, assistant, user
from evalsuite.training import batching, data, methods
from evalsuite.training.contract import Item, Row, Tokenised, Unusable
from evalsuite.training.encoding import Encoder
from evalsuite.training.log import read as read_log
from evalsuite.training.objectives.scores import token_logps

sft = methods.find("sft")
ALL = sft.Config(turns="all")
FORGETFUL = """{% for m in messages %}<|{{ m.role }}|>
{% if m.role != "assistant" or loop.last %}{{ m.content }}{% else %}(said){% endif %}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}"""
TALK = (user("Hello"), assistant("Good day"), user("How many legs?"), assistant("eight"), user("And a dog?"))


def row(messages: tuple[Message, ...], answer: str) -> Row:
    return Row("r", messages, (answer,), fields=("the last turn of 'messages'",))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sft") / "tiny", max_position_embeddings=512)


def encoder(checkpoint: Path, template: str = TEMPLATE, longest: int = 256) -> Encoder:
    path = checkpoint.parent / "template.jinja"
    path.write_text(template)
    return Encoder(renderer(resolve(str(checkpoint), ModelOptions(template=str(path)))), longest)


def learned(encode: Encoder, sequence: Tokenised) -> str:
    ids = [t for t, own in zip(sequence.ids, sequence.mask, strict=True) if own]
    return encode.renderer.tokens.decode(ids, keep=["<|end|>"])


def summed(checkpoint: Path, sequences: list[Tokenised]) -> float:
    """Log-probability (nats) of all that is learned."""
    batch = batching.collate([Item((s,)) for s in sequences], 0)
    with torch.no_grad():
        net = AutoModelForCausalLM.from_pretrained(checkpoint)
        return token_logps(net, batch.ids, batch.mask).sum().item()


def test_all_answers_stand_in_one_sequence_and_nothing_else_is_learned(checkpoint) -> None:
    encode = encoder(checkpoint)
    (made,) = sft.items(row(TALK, "four"), encode, ALL)
    (sequence,) = made.sequences
    assert learned(encode, sequence) == "Good day<|end|>eight<|end|>four<|end|>"
    (last,) = sft.items(row(TALK, "four"), encode, sft.Config())
    assert learned(encode, last.sequences[0]) == "four<|end|>"
    assert last.sequences[0].ids == sequence.ids


@pytest.mark.parametrize(("template", "sequences"), [(TEMPLATE, 1), (FORGETFUL, 3)])
def test_the_likelihood_is_that_of_each_answer_asked_for_by_itself(checkpoint, template, sequences) -> None:
    """A template that writes earlier answers otherwise gives a sequence for each."""
    encode = encoder(checkpoint, template)
    made = sft.conversation(row(TALK, "four"), encode)
    assert len(made) == sequences
    alone = [encode(TALK[:1], "Good day"), encode(TALK[:3], "eight"), encode(TALK, "four")]
    assert summed(checkpoint, made) == pytest.approx(summed(checkpoint, alone), rel=1e-5)
    assert sum(sum(s.mask) for s in made) == sum(sum(s.mask) for s in alone)


said = st.tuples(st.sampled_from("sua"), st.sampled_from(["", "Hi", "eight legs", "a dog?"]))
turns = st.lists(said, min_size=1, max_size=6).filter(lambda talk: "aa" not in "".join(who for who, _ in talk) + "a")
"""What an assistant says behind its own turn goes on with that: no answer of its own."""


@given(turns, st.integers(24, 120))
def test_any_conversation_is_learned_as_far_as_it_fits(checkpoint, talk, longest) -> None:
    """Law: the learned tokens of all answers that fit, each once, in their order; none of anybody else's."""
    encode = encoder(checkpoint, longest=longest)
    names = {"s": "system", "u": "user", "a": "assistant"}
    given_turns = tuple(Message(role=names[who], content=text) for who, text in talk)
    wanted, whole = [], (*given_turns, assistant("four"))
    for turn, message in enumerate(whole):
        last = turn == len(whole) - 1
        answers = message["role"] == "assistant" and message["content"].strip()
        if not last and not (answers and any(m["role"] == "user" for m in whole[:turn])):
            continue
        try:
            one = encode(whole[:turn], str(message["content"]))
        except Unusable:
            break
        wanted += [t for t, own in zip(one.ids, one.mask, strict=True) if own]
    if not wanted:
        with pytest.raises(Unusable, match="leaves no room"):
            sft.conversation(row(given_turns, "four"), encode)
        return
    made = sft.conversation(row(given_turns, "four"), encode)
    assert [t for s in made for t, own in zip(s.ids, s.mask, strict=True) if own] == wanted
    assert all(len(s.ids) <= longest for s in made)


def test_it_trains_on_more_tokens(tiny, tmp_path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text("".join(json.dumps({"messages": [*TALK, assistant(f"{i} legs")]}) + "\n" for i in range(8)))
    assert [r.answers for r in data.read(path, "completions")][:2] == [("0 legs",), ("1 legs",)]
    tokens = {}
    for which in ("last", "all"):
        words = ["train", "sft", "--model", str(tiny), "--data", str(path), "--out", str(tmp_path / which)]
        assert main([*words, "max_steps=2", "logging_steps=1", f"turns={which}"]) == 0
        tokens[which] = read_log(tmp_path / which)[0]["tokens"]
    assert tokens["all"] > 2 * tokens["last"]
