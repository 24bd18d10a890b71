"""The 25 verifiable instructions one by one, their slips, and what untrusted text could do to them."""

import json
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.scoring.ifeval import KINDS, bind, check, follows, loose_variants
from evalsuite.scoring.ifeval.rules import RULES

ARGUMENTS = {
    "keywords": ["zebra"], "keyword": "zebra", "frequency": 3, "relation": "at least", "forbidden_words": ["zebra"],
    "letter": "z", "let_frequency": 3, "let_relation": "at least", "language": "fr", "num_sentences": 3,
    "num_paragraphs": 3, "num_words": 3, "nth_paragraph": 2, "first_word": "zebra", "num_placeholders": 3,
    "postscript_marker": "P.P.S", "num_bullets": 3, "num_highlights": 3, "section_spliter": "Section",
    "num_sections": 3, "prompt_to_repeat": "Say.", "end_phrase": "Bye.", "capital_frequency": 3,
    "capital_relation": "at least",
}  # fmt: skip
SHORT = {
    "words": "length_constraints:number_words", "sentences": "length_constraints:number_sentences",
    "paragraphs": "length_constraints:number_paragraphs", "nth": "length_constraints:nth_paragraph_first_word",
    "placeholders": "detectable_content:number_placeholders", "ps": "detectable_content:postscript",
    "bullets": "detectable_format:number_bullet_lists", "answer": "detectable_format:constrained_response",
    "highlights": "detectable_format:number_highlighted_sections", "title": "detectable_format:title",
    "sections": "detectable_format:multiple_sections", "json": "detectable_format:json_format",
    "two": "combination:two_responses", "repeat": "combination:repeat_prompt", "end": "startend:end_checker",
    "quote": "startend:quotation", "capitals": "change_case:capital_word_frequency",
    "upper": "change_case:english_capital", "lower": "change_case:english_lowercase",
    "comma": "punctuation:no_comma", "exist": "keywords:existence", "frequency": "keywords:frequency",
    "forbid": "keywords:forbidden_words", "letter": "keywords:letter_frequency",
    "language": "language:response_language",
}  # fmt: skip


def arguments(kind, **changes):
    return {name: changes.get(name, ARGUMENTS[name]) for name in RULES[kind][1]}


@pytest.mark.parametrize(
    ("kind", "changes", "response", "expected"),
    [
        ("words", {"num_words": 4}, "One two, three-four.", True),
        ("words", {"num_words": 4, "relation": "less than"}, "One two, three-four.", False),
        ("words", {"num_words": 4, "relation": "at most"}, "One two, three-four.", True),
        ("words", {"num_words": 4, "relation": "at most"}, "One two, three-four, five.", False),
        ("sentences", {"num_sentences": 2}, "Dr. Smith came. He left.", True),
        ("sentences", {"num_sentences": 3}, "Dr. Smith came. He left.", False),
        ("sentences", {"num_sentences": 2}, "no stop\nno end", False),  # a line break ends nothing
        ("paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo\n***\n", True),
        ("paragraphs", {"num_paragraphs": 2}, "One\n***\n***\nTwo", False),  # a blank one inside fails at once
        ("nth", {"num_paragraphs": 2}, "A b.\n\n'Zebra, run.", True),
        ("nth", {"num_paragraphs": 2}, "A b.\n\n\n\nZebra", False),  # counted 2, but number 2 is the blank one
        ("nth", {"num_paragraphs": 2}, "A b.\n\nZebras", False),
        ("placeholders", {"num_placeholders": 2}, "[a] and []", True),
        ("placeholders", {"num_placeholders": 2}, "[[a] and [b", False),
        ("placeholders", {"num_placeholders": 1}, "[a\n]", False),
        ("ps", {}, "bye\np. p.s yes", True),
        ("ps", {"postscript_marker": "P.S."}, "psst", False),
        ("ps", {"postscript_marker": "Note:"}, "NOTE: x", True),
        ("bullets", {"num_bullets": 3}, "* a\n - b\n\n  *c", True),
        ("bullets", {"num_bullets": 1}, "** a\n---", True),  # a rule counts, bold does not
        ("bullets", {"num_bullets": 1}, "*\nnext", True),  # an empty bullet takes the next line along
        ("answer", {}, "Well. My answer is maybe. Or not.", True),
        ("answer", {}, "my answer is maybe.", False),
        ("highlights", {"num_highlights": 1}, "*a*", True),
        ("highlights", {"num_highlights": 1}, "**** and * *", False),
        ("highlights", {"num_highlights": 2}, "**a**", False),
        ("highlights", {"num_highlights": 3}, "**a** b **c**", False),
        ("highlights", {"num_highlights": 3}, "*a **b**", True),  # `*a *`, `*b*` and `**b**`
        ("sections", {"num_sections": 2}, "Section 1 Section1", True),
        ("sections", {"num_sections": 1}, "section 1", False),
        ("title", {}, "<<x>>", True),
        ("title", {}, "<< >> <<\n>>", False),
        ("title", {}, "<<>>", False),
        ("json", {}, '```json\n{"a": 1}\n```', True),
        ("json", {}, "12", True),
        ("json", {}, "{'a': 1}", False),
        ("two", {}, "a\n******\nb\n******", True),
        ("two", {}, "a ****** a", False),
        ("two", {}, "a ****** ****** b", False),
        ("repeat", {"prompt_to_repeat": " Say it. "}, "\nsay it.", True),
        ("repeat", {}, "You said: Say.", False),
        ("end", {}, '"So: bye."', True),
        ("end", {}, "Bye. Now", False),
        ("quote", {}, ' "a" ', True),
        ("quote", {}, '"', False),
        ("quote", {}, "“a”", False),
        ("capitals", {"capital_frequency": 2}, "I am A cat.", True),  # one-letter words count
        ("capitals", {"capital_frequency": 2}, "AB-CD ef", False),  # a hyphenated word is one
        ("upper", {}, "THIS IS IN ENGLISH", True),
        ("upper", {}, "This Is In English", False),  # capitals throughout, not title case
        ("lower", {}, "this is all in english, we think", True),
        ("lower", {}, "das ist ein deutscher satz über den regen", False),
        ("comma", {}, "no comma here; none", True),
        ("comma", {}, "1,000", False),
        ("exist", {}, "ZEBRAS", True),
        ("exist", {"keywords": ["a.c"]}, "abc", True),  # keywords are patterns
        ("frequency", {}, "zebra Zebrazebra", True),
        ("frequency", {"relation": "less than"}, "zebra Zebrazebra", False),
        ("forbid", {}, "zebras are fine", True),
        ("forbid", {}, "no Zebra!", False),
        ("letter", {}, "Zz z", True),
        ("letter", {"letter": "#", "let_frequency": 2}, "# #", True),
        ("letter", {"letter": "#", "let_frequency": 2}, "a lot of text but one #", False),
        ("language", {}, "Bonjour, il pleut beaucoup ce matin.", True),
        ("language", {}, "Hello, it is raining a lot this morning.", False),
        ("language", {}, "12345", True),  # a text without a language counts as followed
    ],
)
def test_kinds(kind, changes, response, expected):
    kind = SHORT[kind]
    assert check(kind, arguments(kind, **changes), "", response) is expected


def test_all_kinds_are_there_and_fail_on_nothing():
    assert len(KINDS) == 25
    assert set(SHORT.values()) == set(KINDS)
    assert not any(check(kind, arguments(kind), "", " \n\t") for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        ("punctuation:no_commas", {}, r"nearest: punctuation:no_comma"),
        ("length_constraints:number_words", {"num_words": 3}, "needs 'relation'"),
        ("length_constraints:number_words", {"num_words": 3, "relation": None}, "needs 'relation'"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "over"}, "'less than', 'at least' or"),
        ("length_constraints:number_words", {"num_words": "3", "relation": "at least"}, "a whole number"),
        ("punctuation:no_comma", {"letter": "a"}, "takes no 'letter'"),
        ("keywords:existence", {"keywords": "word"}, "a list of words"),
        ("keywords:existence", {"keywords": ["c("]}, "regular expression"),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}, "one char"),
    ],
)
def test_bad_instructions(kind, kwargs, message):
    with pytest.raises(InputError, match=message) as caught:
        check(kind, kwargs, "", "text")
    assert "\n" not in str(caught.value)


def test_nulls_of_the_hub_copy_are_no_arguments():
    full = {**dict.fromkeys(ARGUMENTS), "num_bullets": 1.0}
    assert bind("detectable_format:number_bullet_lists", full)[1] == {"num_bullets": 1}


def test_loose_variants():
    assert loose_variants("Sure:\n*a*\nb\nBye") == [
        "Sure:\n*a*\nb\nBye", "Sure:\na\nb\nBye", "*a*\nb\nBye", "Sure:\n*a*\nb", "*a*\nb", "a\nb\nBye",
        "Sure:\na\nb", "a\nb",
    ]  # fmt: skip
    strict, loose = follows(["startend:quotation", "punctuation:no_comma"], [{}, {}], "", 'Yes, here:\n"a"')
    assert (strict, loose) == ([False, False], [True, True])


TEXT = st.text(st.sampled_from("aZ.,!?*-[]<>'\"\n \t#1é"), max_size=60)


@settings(max_examples=300)
@given(TEXT)
def test_one_pass_equals_the_plain_expressions(text):
    """What layout.py counts without backtracking is what these quadratic expressions count."""
    places = len(re.findall(r"\[.*?\]", text))
    assert check("detectable_content:number_placeholders", {"num_placeholders": places}, "", "x" + text)
    assert not check("detectable_content:number_placeholders", {"num_placeholders": places + 1}, "", "x" + text)
    count = len(re.findall(r"^\s*\*[^\*].*$", text, re.M)) + len(re.findall(r"^\s*-.*$", text, re.M))
    followed = check("detectable_format:number_bullet_lists", {"num_bullets": count}, "", text)
    assert followed == bool(text.strip())
    titles = [t for t in re.findall(r"<<[^\n]+>>", text) if t.lstrip("<").rstrip(">").strip()]
    assert check("detectable_format:title", {}, "", text) == bool(titles)


@settings(max_examples=60)
@given(TEXT)
def test_loose_is_never_below_strict_and_repeats_itself(text):
    kwargs = [arguments(kind) for kind in KINDS]
    strict, loose = follows(KINDS, kwargs, "", text)
    assert all(not s or wide for s, wide in zip(strict, loose, strict=True))
    assert follows(KINDS, kwargs, "", text) == (strict, loose)


@pytest.mark.parametrize(
    "unit",
    ["[", "<<", "\n", " ", "\n ", "*", "-\n", "{", "[[", '"', "Section ", "p.", "a@", ". ", "Mr. ", "\u2028", "A"],
)
def test_hostile_length(unit):
    """200,000 characters of anything are judged in seconds, whatever they repeat."""
    response = "Mr. " + (unit * 200_000)[:200_000] + "x"
    started = time.monotonic()
    for kind in KINDS:
        check(kind, arguments(kind), "", response)
    assert time.monotonic() - started < 20


def test_deep_json_is_no_json():
    deep = "[" * 100_000 + "]" * 100_000
    assert not check("detectable_format:json_format", {}, "", deep)
    assert check("detectable_format:json_format", {}, "", json.dumps([[]]))


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
def test_a_language_that_memory_does_not_suffice_to_tell_is_no_verdict():
    code = """
import resource, langdetect
from evalsuite.scoring.ifeval.counting import detect_language
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (20 << 20), resource.RLIM_INFINITY))
try:
    print("found", detect_language("This is a plain English sentence."))
except MemoryError:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("refused, then", detect_language("This is a plain English sentence."))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused, then en"
