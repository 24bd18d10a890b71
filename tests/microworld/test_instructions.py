"""Gold answers meet every check; checkers read ugly text as they should."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.microworld.instructions import (
    CONFLICTS,
    HELD_PAIRS,
    KINDS,
    Constraint,
    check,
    draw_constraints,
    instruction,
    wording,
    write,
)
from evalsuite.microworld.world import build, claims, is_true

WORLD = build("mini")


@settings(max_examples=400)
@given(st.integers(0, 10**9), st.integers(0, 2), st.booleans(), st.booleans())
def test_gold_answers_pass_every_check_and_state_only_truths(seed: int, count: int, pair: bool, wordy: bool) -> None:
    rng = random.Random(seed)
    entity = rng.choice(WORLD.people)
    ask = instruction(entity, draw_constraints(WORLD, rng, count, held_pair=pair), rng, held_wording=wordy)
    text = write(ask, WORLD, rng)
    assert [c for c in ask.constraints if not check(c, text, WORLD)] == [], (ask.prompt, text)
    stated = claims(WORLD, text, entity.name)
    assert stated
    assert all(is_true(entity, c) for c in stated), text
    assert entity.name.lower() in text.lower()


def test_conflicting_and_held_pairs_are_lists_of_kinds() -> None:
    assert len(CONFLICTS) == 14
    assert len(HELD_PAIRS) == 9
    pairs = [tuple(sorted(p)) for p in (*CONFLICTS, *HELD_PAIRS)]
    assert len(set(pairs)) == len(pairs)
    assert {k for p in pairs for k in p} <= set(KINDS)


def test_training_draws_neither_conflicts_nor_held_pairs() -> None:
    rng = random.Random(0)
    listed = {tuple(sorted(p)) for p in (*CONFLICTS, *HELD_PAIRS)}
    for _ in range(2000):
        drawn = draw_constraints(WORLD, rng, 2)
        assert tuple(sorted(c.kind for c in drawn)) not in listed


def test_a_wording_quotes_no_argument() -> None:
    """A word must have the same token in prompt and answer; a quotation mark before it would change that."""
    for kind in KINDS:
        argument = {"order": "pet>job", "sentences": "2", "bullets": "3"}.get(kind, "lantern")
        for number in range(3):
            assert '"' not in wording(Constraint(kind, argument), number)


CASES = [
    ("sentences", "2", "One. Two.", True),
    ("sentences", "2", "One... Two?!", True),
    ("sentences", "1", '"One."', True),
    ("sentences", "2", "One. Two", False),
    ("sentences", "1", "", False),
    ("bullets", "2", "- a\n- b", True),
    ("bullets", "2", "Sure!\n* a\n* b\nBye.", True),
    ("bullets", "2", "- a\n-b", False),
    ("bullets", "1", "a - b", False),
    ("include", "lantern", "Think of a Lantern.", True),
    ("include", "lantern", "Lanterns are nice.", False),
    ("forbid", "plays", "She performs.", True),
    ("forbid", "plays", "She Plays.", False),
    ("forbid", "plays", "   ", False),
    ("start", "Honestly", "honestly, yes.", True),
    ("start", "Honestly", '"Honestly" it is', True),
    ("start", "Honestly", "Yes, honestly.", False),
    ("end", "good night", "I say good night!", True),
    ("end", "good night", "Good night to all.", False),
    ("lower", "", "all small.", True),
    ("lower", "", "Not small.", False),
    ("lower", "", "123", False),
    ("order", "pet>job", "She keeps a cat. She works as a pilot.", True),
    ("order", "pet>job", "She works as a pilot. She keeps a cat.", False),
    ("order", "pet>job", "She keeps a cat.", False),
    ("quote", "", '"Yes."', True),
    ("quote", "", "“Yes.”", True),
    ("quote", "", '""', False),
    ("quote", "", 'He said "yes".', False),
    ("ps", "", "Yes.\nP.S. More.", True),
    ("ps", "", "Yes.\n\nPS: more", True),
    ("ps", "", "P.S. More.", False),
    ("ps", "", "Yes. P.S. More.", False),
    ("ps", "", "Yes.\nP.S.", False),
]


@pytest.mark.parametrize(("kind", "argument", "text", "expected"), CASES)
def test_checkers(kind: str, argument: str, text: str, expected: bool) -> None:
    assert check(Constraint(kind, argument), text, WORLD) is expected


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="rhyme"):
        check(Constraint("rhyme"), "text", WORLD)


@settings(max_examples=200)
@given(st.text(max_size=200), st.sampled_from(KINDS))
def test_checkers_take_any_text(text: str, kind: str) -> None:
    argument = {"order": "pet>job", "sentences": "2", "bullets": "3"}.get(kind, "lantern")
    assert check(Constraint(kind, argument), text, WORLD) in (True, False)
