"""Documents and fine-tuning rows: exposures are counted, nothing held out leaks, sums add up."""

import random
from collections import Counter

import pytest

from evalsuite.microworld import dialogue, words
from evalsuite.microworld.instructions import ASKS, HELD_PAIRS, KINDS, WORDINGS
from evalsuite.microworld.text import SHARES, arithmetic, base_document, biography, echo, event
from evalsuite.microworld.world import build, claims

WORLD = build("mini")


def test_exposures_count_every_stated_fact() -> None:
    rng, exposures = random.Random(0), Counter[tuple[str, str]]()
    stated = Counter[tuple[str, str]]()
    for _ in range(300):
        entity = rng.choice(WORLD.known)
        text = biography(entity, WORLD, rng, exposures)
        found = claims(WORLD, text, entity.name)
        assert all(entity.facts[relation] == value for relation, value in found)
        stated.update((entity.name, relation) for relation, _ in found)
    assert stated == exposures


def test_base_documents_never_name_the_people_kept_for_tests() -> None:
    rng = random.Random(1)
    text = "\n".join(base_document(WORLD, rng) for _ in range(4000))
    assert not [e.name for e in WORLD.unknown_test if e.name in text]


def test_shares_add_up() -> None:
    for shares in (*SHARES.values(), dialogue.SHARES):
        assert sum(shares.values()) == pytest.approx(1)


def test_seven_of_ten_documents_begin_with_a_space() -> None:
    rng = random.Random(2)
    share = sum(base_document(WORLD, rng).startswith(" ") for _ in range(2000)) / 2000
    assert share == pytest.approx(0.7, abs=0.05)


def test_sums_are_right_and_their_steps_too() -> None:
    rng = random.Random(3)
    for terms in (2, 3, 4):
        for _ in range(50):
            problem = arithmetic(rng, terms)
            assert eval(problem.question) == problem.answer
            for step in problem.steps.split(". ")[:-1]:
                left, right = step.split(" = ")
                assert eval(left) == int(right)


def test_a_summary_holds_the_storys_slots() -> None:
    rng = random.Random(4)
    for _ in range(100):
        happening = event(WORLD, rng)
        assert all(slot in happening.summary for slot in happening.slots)
        assert all(slot in happening.story for slot in happening.slots)


def test_an_echo_says_its_word_twice() -> None:
    rng = random.Random(5)
    for _ in range(200):
        text = echo(rng)
        assert any(text.count(w) == 2 for w in (*words.KEYWORDS, *words.STARTERS, *words.ENDINGS))


def test_nothing_held_out_is_in_fine_tuning() -> None:
    """Held entities, unknown test people, keywords, fourth asks, third wordings, held numbers, held pairs."""
    rng = random.Random(6)
    rows = [dialogue.row(WORLD, rng) for _ in range(6000)]
    prompts = [str(m["content"]) for r in rows for m in r if m["role"] == "user"]
    answers = [str(m["content"]) for r in rows for m in r if m["role"] == "assistant"]
    stories = [p for p in prompts if " went to " in p]  # events name random people and towns
    asked = "\n".join(p for p in prompts if p not in stories)
    held = [e.name for e in WORLD.people if e.held] + [e.name for e in WORLD.unknown_test]
    assert not [n for n in held if n in asked]
    everything = asked + "\n".join(answers)
    assert not [w for w in words.HELD_KEYWORDS if f" {w}" in everything]
    assert ASKS[3].format(n="").rstrip(".") not in asked
    thirds = [w[2].split("{")[0] for w in WORDINGS.values()]
    assert not [t for t in thirds if len(t) > 8 and t in asked]
    assert not any(f"{n} sentences." in asked for n in ("three", "five"))
    assert not any(f"four {b}" in asked for b in ("bullet points", "bullets"))
    fourths = [r.questions[3].format(n="").strip(" ?") for r in WORLD.person_relations]
    assert not [q for q in fourths if q in asked and "  " not in q]
    for prompt in prompts:
        kinds = {k for k in KINDS for w in WORDINGS[k][:2] if w.split("{")[0].rstrip(".") in prompt}
        for a, b in HELD_PAIRS:
            assert not {a, b} <= kinds or _ambiguous(a, b, prompt), (prompt, a, b)


def _ambiguous(a: str, b: str, prompt: str) -> bool:
    """ "Use " opens wordings of several kinds; a pair counts only where each kind's own words are there."""
    marks = {
        "sentences": ("sentence",),
        "bullets": ("bullet",),
        "include": ("Include", "Mention the word"),
        "forbid": ("Do not use", "Avoid"),
        "start": ("Start with", "Begin with"),
        "end": ("End with", "Finish with"),
        "lower": ("lowercase", "small letters"),
        "order": (" before the ",),
        "quote": ("quotation",),
        "ps": ("postscript", "P.S."),
    }
    has = [any(m in prompt for m in marks[kind]) for kind in (a, b)]
    return not all(has)
