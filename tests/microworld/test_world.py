"""The world follows from its seed alone, and its words keep the laws that make claims readable."""

import hashlib
import os
import re
import subprocess
import sys

import pytest

from evalsuite.errors import InputError
from evalsuite.microworld import words
from evalsuite.microworld.world import STRATA, accepted, build, claims, is_true, world_named

SIZES = ("nano", "mini")


def test_sizes_are_those_of_the_recipe() -> None:
    assert sum(len(e.facts) for e in build("mini").known) == 672
    assert sum(len(e.facts) for e in build("nano").known) == 204
    assert len(build("mini").people) == 100
    assert len(words.ALIASES) == 10
    assert len(words.KEYWORDS) == 24
    assert len(words.HELD_KEYWORDS) == 6


@pytest.mark.parametrize("size", SIZES)
def test_value_words_mean_one_thing(size: str) -> None:
    world = build(size)
    values = [
        w.lower() for r in (*world.person_relations, *words.TOWN_RELATIONS) for v in r.values for w in accepted(v)
    ]
    assert len(values) == len(set(values))
    names = {part.lower() for e in world.entities.values() if e.kind == "person" for part in e.name.split()}
    phrases = (*words.KEYWORD_SENTENCES, *words.ECHO_OPENINGS, *words.OPENERS, *words.HEDGES, *words.CLOSERS)
    phrases += (*words.ABSTENTIONS, *words.ENDINGS, *words.LINKS, *words.ADDRESSES, words.END_SENTENCE)
    other = names | {w.lower() for w in (*words.KEYWORDS, *words.STARTERS, *words.NUMBERS)}
    other |= {w.lower() for p in phrases for w in re.findall(r"\w+", p)}
    other |= {*words.EVENT_OBJECTS, *words.EVENT_VERBS, *words.EVENT_PLACES, *words.EVENT_MOODS}
    assert not other & set(values)


@pytest.mark.parametrize("size", SIZES)
def test_every_statement_makes_exactly_its_claim(size: str) -> None:
    world = build(size)
    for relation in (*world.person_relations, *words.TOWN_RELATIONS):
        for number, template in enumerate(relation.statements):
            for value in relation.values:
                for word in accepted(value):
                    text = template.format(S="Clara Lindley", P="Clara Lindley's", v=word)
                    assert claims(world, text, "Clara Lindley") == [(relation.name, value)]
                    assert not re.search(r"\ba [aeiou]", text, re.IGNORECASE), text
            holders = [v for v in relation.verbs if v in template.lower().split() or f"{v}" in template.split()]
            assert holders == [relation.verbs[number]]


def test_verbs_are_unique_in_the_world() -> None:
    verbs = [v for r in (*words.PERSON_RELATIONS, *words.TOWN_RELATIONS) for v in r.verbs]
    assert len(verbs) == len(set(verbs))


@pytest.mark.parametrize("size", SIZES)
def test_unknown_people_share_all_name_parts(size: str) -> None:
    world = build(size)
    known, unknown = {e.name for e in world.people}, {e.name for e in (*world.unknown_train, *world.unknown_test)}
    assert len(unknown) == 240
    assert not known & unknown
    assert not {e.name for e in world.unknown_train} & {e.name for e in world.unknown_test}
    firsts, lasts = {n for n, _ in world.first_names}, set(world.last_names)
    assert {n.split()[0] for n in known | unknown} <= firsts
    assert {n.split()[1] for n in known | unknown} <= lasts


@pytest.mark.parametrize("size", SIZES)
def test_strata_and_held_out_entities(size: str) -> None:
    people = build(size).people
    shares = [sum(p.stratum == s for p in people) / len(people) for s in STRATA]
    assert shares == pytest.approx([0.35, 0.35, 0.30], abs=0.04)
    assert sum(p.held for p in people) == len(people) // 5
    assert {p.stratum for p in people if p.held} == set(STRATA)


def test_a_claim_is_true_of_its_subject_only() -> None:
    world = build("nano")
    person = world.people[0]
    assert is_true(person, ("pet", person.facts["pet"]))
    other = next(v for v in world.relation("pet").values if v != person.facts["pet"])
    assert not is_true(person, ("pet", other))


def test_the_subjects_own_name_is_no_claim() -> None:
    world = build("mini")
    town = world.towns[0]
    assert claims(world, f"{town.name} sells wool.", town.name) == [("goods", "wool")]


def test_same_seed_same_world_whatever_the_hash_seed() -> None:
    code = (
        "from evalsuite.microworld.world import build; from evalsuite.microworld.items import all_items;"
        "import hashlib, json, random; from evalsuite.microworld.text import base_document;"
        "from evalsuite.microworld.dialogue import row; w = build('nano', 3); r = random.Random(1);"
        "t = [base_document(w, r) for _ in range(50)] + [row(w, r) for _ in range(50)] + [all_items(w, 20)];"
        "print(hashlib.sha256(json.dumps(t).encode()).hexdigest())"
    )
    seen = set()
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        seen.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert len(seen) == 1
    assert len(seen.pop().strip()) == len(hashlib.sha256().hexdigest())


def test_other_seeds_make_other_worlds() -> None:
    assert build("nano", 0).people != build("nano", 1).people


def test_names_of_worlds() -> None:
    assert world_named("nano@2") is build("nano", 2)
    assert world_named("mini").name == "mini@0"
    with pytest.raises(InputError, match="nano, mini"):
        world_named("maxi")
    with pytest.raises(InputError, match="seed"):
        world_named("mini@x")
