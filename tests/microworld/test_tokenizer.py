"""The tokenizer is lossless, writes one BOS, and gives a word the same token wherever it stands."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.microworld import dialogue, encoding, tokenizer, words
from evalsuite.microworld.world import build
from evalsuite.records import assistant, system, user

WORLD = build("mini")
VOCABULARY = {"nano": 1250, "mini": 1500}


@pytest.fixture(scope="module")
def tok() -> Any:
    return tokenizer.train(WORLD, VOCABULARY["mini"])


@settings(max_examples=200)
@given(text=st.text(max_size=80))
def test_lossless_on_any_text(tok: Any, text: str) -> None:
    assert tok.decode(tok.encode(text, add_special_tokens=False)) == text or "<|" in text


@pytest.mark.parametrize("size", ["nano", "mini"])
def test_every_word_of_the_lexicon_is_one_token(size: str) -> None:
    world = build(size)
    made = tokenizer.train(world, VOCABULARY[size])
    assert [w for w in world.lexicon if len(made.encode(f" {w}", add_special_tokens=False)) > 1] == []
    if size == "mini":
        assert [w for w in world.lexicon if len(made.encode(f" {w.lower()}", add_special_tokens=False)) > 1] == []


def test_pad_is_not_the_end_and_raw_text_gets_one_bos(tok: Any) -> None:
    assert tok.pad_token_id != tok.eos_token_id
    ids = tok.encode("Clara keeps a cat.")
    assert ids.count(tok.bos_token_id) == 1
    assert ids[0] == tok.bos_token_id


def test_a_quoted_word_keeps_its_token(tok: Any) -> None:
    plain = tok.encode("Tess", add_special_tokens=False)
    assert tok.encode('"Tess', add_special_tokens=False)[-len(plain) :] == plain


def test_template_equals_render_with_one_bos(tok: Any) -> None:
    messages = [system("Be kind. "), user(" Hello."), assistant("Hi."), user("And you?")]
    text = tok.apply_chat_template(messages, tokenize=False)
    assert text == encoding.render(messages)
    assert tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == text + "<|assistant|>"
    assert tok.encode(text, add_special_tokens=False).count(tok.bos_token_id) == 1


def test_learned_tokens_are_the_templates_generation_marks(tok: Any) -> None:
    rng = random.Random(0)
    for _ in range(50):
        row = dialogue.row(WORLD, rng)
        marked = tok.apply_chat_template(row, return_dict=True, return_assistant_tokens_mask=True)
        example = encoding.conversations(tok, [row])[0]
        assert list(example.ids) == list(marked["input_ids"])
        assert [int(m) for m in example.mask] == list(marked["assistant_masks"])


def test_a_keyword_has_one_token_in_prompt_and_answer(tok: Any) -> None:
    for word in words.KEYWORDS:
        asked = tok.encode(encoding.render([user(f"Include the word {word}.")]), add_special_tokens=False)
        said = tok.encode(encoding.render([assistant(f"Think of a {word}.")]), add_special_tokens=False)
        token = tok.encode(f" {word}", add_special_tokens=False)[0]
        assert token in asked
        assert token in said


def test_a_saved_folder_still_pads_on_the_left(tok: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tok.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.padding_side == "left"
    assert again.encode("Clara keeps a cat.") == tok.encode("Clara keeps a cat.")
    assert again.chat_template == tok.chat_template
