"""Rendering and tokenisation: BOS, templates, prefill, the boundary between context and continuation."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from checkpoints import BOS_TEMPLATE, SPECIAL, TEMPLATE, build, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError, ModelError
from evalsuite.models import ModelOptions, Renderer, renderer, resolve
from evalsuite.models.tokens import Tokens
from evalsuite.records import assistant, system, user

TWELVE = list(itertools.product(("bpe", "unigram", "wordpiece"), (True, False), (True, False)))
_MADE: dict[Any, Tokens] = {}


def tokens_of(kind: str = "bpe", bos: bool = True, writes: bool = False) -> Tokens:
    key = kind, bos, writes
    if key not in _MADE:
        _MADE[key] = Tokens(tokenizer(kind, bos, BOS_TEMPLATE if writes else TEMPLATE))
    return _MADE[key]


@pytest.mark.parametrize(("kind", "bos", "writes"), TWELVE)
def test_one_bos_under_every_template(kind: str, bos: bool, writes: bool) -> None:
    """Regression 3: exactly one BOS where the tokenizer's rule or the template asks for one, none otherwise; nothing
    is put behind the text."""
    tokens = tokens_of(kind, bos, writes)
    chat, raw = Renderer(tokens), Renderer(tokens, ModelOptions(template="raw"))
    conversation = [user("The quick brown fox"), assistant("jumps"), user("over?")]
    cases = [
        (chat.prompt_ids(conversation), bos or writes),
        (chat.prompt_ids(conversation, raw=True), bos),
        (raw.prompt_ids(conversation), bos),
        (chat.conversation_ids(conversation[:2]), bos or writes),
        (chat.pair_ids(conversation, "the dog")[0], bos or writes),
        (chat.prompt_ids([*conversation, assistant("the lazy")]), bos or writes),
        (raw.pair_ids(conversation, " the dog")[0], bos),
    ]
    for ids, wanted in cases:
        assert ids.count(tokens.bos_id) == int(wanted)
        assert not wanted or ids[0] == tokens.bos_id
        assert tokens.eos_ids[0] not in ids  # nor does the tokenizer's own </s> stand behind
    described = "<s>, added by the tokenizer" if bos else "<s>, written by the template" if writes else "none"
    assert chat.bos == described


def test_a_doubled_bos_is_an_error() -> None:
    """Regression 3: a template that writes BOS twice is named, not obeyed."""
    twice = Tokens(tokenizer("bpe", True, "{{ bos_token }}" + BOS_TEMPLATE))
    with pytest.raises(InputError, match="twice"):
        Renderer(twice).prompt_ids([user("x")])


def test_a_bos_that_is_also_the_turn_mark_may_come_again() -> None:
    """SmolLM2's BOS is <|im_start|>, which also opens every turn: only a doubled leading one is a fault."""
    tokens = Tokens(
        tokenizer("bpe", False, "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}")
    )
    ids = Renderer(tokens).prompt_ids([system("s"), user("u")])
    assert ids.count(tokens.bos_id) == 2


def test_auto_raw_and_file(tmp_path: Path) -> None:
    plain = Tokens(tokenizer(template=None))
    assert Renderer(plain).template_name == "raw"
    assert Renderer(plain).template_hash == "raw"
    assert Renderer(tokens_of()).template_name == "chat"
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    mine = Renderer(plain, ModelOptions(template=str(file)))
    assert mine.render([user("a"), user("b")]) == "[a][b]"
    assert mine.template_hash not in ("raw", Renderer(tokens_of()).template_hash)
    with pytest.raises(ModelError, match="Jinja file"):
        Renderer(plain, ModelOptions(template=str(tmp_path / "none.jinja")))


def test_raw_text_is_the_contents_joined() -> None:
    raw = Renderer(tokens_of(), ModelOptions(template="raw"))
    assert Renderer(tokens_of()).render([user("Q: a?\nA:")], raw=True) == "Q: a?\nA:"
    assert (
        raw.render([system("Be brief."), user("one"), assistant("two"), user("three")])
        == "Be brief.\n\none\n\ntwo\n\nthree"
    )


def test_prefill_is_continued_not_closed() -> None:
    render = Renderer(tokens_of()).render
    assert render([user("Hi")]) == "<|user|>\nHi<|end|>\n<|assistant|>\n"
    assert render([user("Hi"), assistant("Well, ")]) == "<|user|>\nHi<|end|>\n<|assistant|>\nWell, "


@pytest.mark.parametrize("refuses", [True, False])
def test_a_system_prompt_reaches_templates_without_one(refuses: bool) -> None:
    """Templates that raise on a system message, or drop it without a word, get it in front of the first user turn."""
    deny = "{{ raise_exception('no system') }}" if refuses else ""
    template = TEMPLATE.replace("<|{{ m.role", "{% if m.role == 'system' %}" + deny + "{% else %}<|{{ m.role").replace(
        "<|end|>\n", "<|end|>\n{% endif %}"
    )
    folded = Renderer(Tokens(tokenizer(template=template)))
    conversation = [system("Be brief."), user("Hi")]
    assert folded.render(conversation) == "<|user|>\nBe brief.\n\nHi<|end|>\n<|assistant|>\n"
    assert folded.render([*conversation, assistant("Oh")]).endswith("Hi<|end|>\n<|assistant|>\nOh")
    assert Renderer(tokens_of()).render(conversation).startswith("<|system|>\nBe brief.<|end|>\n<|user|>\nHi")


def test_a_system_prompt_is_written_once(tmp_path: Path) -> None:
    """The plan puts --system in front of the messages; rendering does not put it there again."""
    made = renderer(resolve(str(build(tmp_path / "tiny")), ModelOptions(system="Be brief.")))
    assert made is not None
    assert made.render([system("Be brief."), user("Hi")]).count("Be brief.") == 1


def test_a_refused_conversation_is_one_line() -> None:
    template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InputError, match="roles must alternate"):
        Renderer(Tokens(tokenizer(template=template))).prompt_ids([user("a")])
    with pytest.raises(InputError, match="image"):
        Renderer(tokens_of()).render([{"role": "user", "content": [{"type": "image", "image": "x.png"}]}])


def test_the_end_of_a_turn_ends_a_generation() -> None:
    tokens = tokens_of()
    end = tokens.plain("<|end|>")[0]
    assert Renderer(tokens).eos_ids == tuple(sorted({*tokens.eos_ids, end}))
    assert Renderer(tokens, ModelOptions(template="raw")).eos_ids == tokens.eos_ids


def test_decode_hides_special_tokens_but_keeps_marks_of_reasoning() -> None:
    own = tokenizer(template=TEMPLATE + "{# </think> #}")
    own.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    made = Renderer(Tokens(own))
    assert made.reasoning_marks == ("<think>", "</think>")
    ids = own.encode("<think>fox</think>dog<|end|></s>", add_special_tokens=False)
    assert made.decode(ids) == "<think>fox</think>dog"
    assert made.opens_reasoning("<|assistant|>\n<think>\n")
    assert not made.opens_reasoning("<|user|>\n<think></think>")
    assert Renderer(tokens_of()).reasoning_marks is None


# -- the boundary between context and continuation --------------------------------------------------------------------


def lm_eval_rule(tokens: Tokens, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The rule of the field's best-known harness, for an independent comparison."""
    bare = context.rstrip()
    continuation = context[len(bare) :] + continuation
    whole, alone = tokens.encode(bare + continuation), tokens.encode(bare)
    return alone, whole[len(alone) :]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("Q: What is the capital of France?\nA:", " Paris"),
        ("Q: What is the capital of France?\nA: ", "Paris"),
        ("Question: how many legs?\nAnswer:\n", "eight legs"),
        ("She said:", " I don't know"),
    ],
)
def test_pairs_follow_the_common_rule(kind: str, context: str, continuation: str) -> None:
    tokens = tokens_of(kind)
    pair = Renderer(tokens, ModelOptions(template="raw")).pair_ids([user(context)], continuation)
    assert pair == lm_eval_rule(tokens, context, continuation)


def test_a_token_across_the_boundary_counts_as_continuation() -> None:
    """Where the last letters of the context merge with the continuation, the ids are still those of the whole text."""
    tokens, text = tokens_of(), "The quick brown fox jumps over the lazy dog."
    merged = 0
    for cut in range(1, len(text)):
        context, wanted = tokens.pair(text[:cut], text[cut:])
        assert context + wanted == tokens.encode(text)
        assert text[cut:] in tokens.decode(wanted)
        merged += tokens.decode(wanted) != text[cut:]
    assert merged > 5


def test_an_empty_context_is_conditioned_on_bos_or_eos() -> None:
    with_bos, without = tokens_of("bpe", True), tokens_of("bpe", False)
    assert with_bos.pair("", "fox") == ((with_bos.bos_id,), with_bos.plain("fox"))
    assert without.pair("", "fox")[0] == (without.bos_id,)
    no_bos = tokenizer("bpe", False)
    no_bos.bos_token = None
    assert Tokens(no_bos).pair("", "fox")[0] == (no_bos.eos_token_id,)


def test_a_continuation_without_tokens_is_an_error() -> None:
    with pytest.raises(InputError, match="no probability"):
        Renderer(tokens_of()).pair_ids([user("x")], "")


@settings(max_examples=150)
@given(
    kind=st.sampled_from(["bpe", "unigram", "wordpiece"]),
    bos=st.booleans(),
    chat=st.booleans(),
    context=st.one_of(st.just(""), st.text(max_size=20), st.sampled_from(["A: ", "x \n", "🙂", "naïve ", "\t", "東"])),
    continuation=st.one_of(st.text(min_size=1, max_size=12), st.sampled_from([" ", "🙂🙂", " Paris ", "\n"])),
)
def test_pairs_over_odd_texts(kind: str, bos: bool, chat: bool, context: str, continuation: str) -> None:
    """Law: for any two texts both parts are non-empty, together they are the ids of the whole text, and only one BOS
    leads (or the pair is refused because nothing is left to score)."""
    tokens = tokens_of(kind, bos)
    made = Renderer(tokens, ModelOptions(template="auto" if chat else "raw"))
    text = made.render([user(context)])
    try:
        left, right = made.pair_ids([user(context)], continuation)
    except InputError:
        alone, whole = tokens.encode(text.rstrip() if not chat else text), tokens.encode(text + continuation)
        assert not alone or whole == alone[: len(whole)] or (whole[:2] == (tokens.bos_id,) * 2)
        return
    assert left
    assert right
    whole = tokens.encode(text + continuation)
    assert left + right in (whole, (tokens.first_id, *whole))
    assert (left + right)[:2] != (tokens.bos_id, tokens.bos_id)


def test_the_renderer_of_a_folder(tmp_path: Path) -> None:
    model = resolve(str(build(tmp_path / "tiny")))
    made = renderer(model)
    assert made is not None
    assert made.template_name == "chat"
    assert made.prompt_ids([user("fox")])[0] == 0
    assert made.pad_id == SPECIAL.index("<pad>")


def test_a_broken_template_is_found_before_anything_runs(tmp_path: Path) -> None:
    folder = build(tmp_path / "tiny", tokens=tokenizer(template="{% for m in messages %}"))
    with pytest.raises(ModelError, match="tiny"):
        renderer(resolve(str(folder)))


def test_a_template_that_writes_the_date_gets_a_pinned_one() -> None:
    """The same command gives the same prompts tomorrow."""
    template = "{{ strftime_now('%d %B %Y') }}|{{ enable_thinking }}|" + TEMPLATE
    options = ModelOptions(args={"template.enable_thinking": "false"})
    text = Renderer(Tokens(tokenizer(template=template), (), options.template_arguments())).render([user("Hi")])
    assert text.startswith("26 July 2024|False|<|user|>")
