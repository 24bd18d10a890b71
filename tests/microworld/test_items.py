"""Evaluation items: gold scores, readers of answers, and the same rows from an exported folder."""

import json
from pathlib import Path

import pytest

from evalsuite.errors import InputError
from evalsuite.microworld.export import Export, export
from evalsuite.microworld.items import SUBSETS, items, load_items, read_fact, read_instruction, read_number
from evalsuite.microworld.world import build
from evalsuite.scoring.abstention import abstains

WORLD = build("nano")
ALL = [(kind, subset) for kind, subsets in SUBSETS.items() for subset in subsets]


@pytest.mark.parametrize(("kind", "subset"), ALL)
def test_ids_are_unique_and_rows_repeat(kind: str, subset: str) -> None:
    rows = items(kind, subset, WORLD, 50)
    assert rows
    assert len({r["id"] for r in rows}) == len(rows)
    assert rows == items(kind, subset, WORLD, 50)
    assert {r["world"] for r in rows} == {"nano@0"}


def test_facts_are_of_their_stratum_and_not_held_out() -> None:
    for subset in SUBSETS["facts"]:
        for row in items("facts", subset, WORLD):
            entity = WORLD.entities[row["entity"]]
            assert (entity.stratum, entity.held) == (subset, False)
            assert read_fact(row, row["gold"]) == "right"
            assert read_fact(row, row["near_miss"]) == "wrong"


def test_reading_a_fact() -> None:
    row = {"entity": "Clara Lindley", "relation": "pet", "accepted": ["dog", "hound"], "world": "nano@0"}
    assert read_fact(row, "She keeps a hound.") == "right"
    assert read_fact(row, "A dog, that is: a hound.") == "right"
    assert read_fact(row, "A dog or a cat.") == "wrong"
    assert read_fact(row, "She wears red.") is None
    assert read_fact(row, "The doghouse is empty.") is None
    assert read_fact(row, "") is None


def test_every_fourth_person_exists_and_the_rest_were_never_refused() -> None:
    rows = items("unknown", "", WORLD, 100)
    trained = {e.name for e in WORLD.unknown_train}
    assert [bool(r["accepted"]) for r in rows] == [i % 4 == 3 for i in range(len(rows))]
    for row in rows:
        assert row["entity"] not in trained
        if row["accepted"]:
            assert read_fact(row, row["gold"]) == "right"
        else:
            assert abstains(row["gold"])
            assert read_fact(row, row["near_miss"]) == "wrong"


@pytest.mark.parametrize("axis", SUBSETS["instructions"])
def test_each_axis_has_its_own_mark(axis: str) -> None:
    from evalsuite.microworld.instructions import HELD_PAIRS
    from evalsuite.microworld.words import HELD_KEYWORDS

    for row in items("instructions", axis, WORLD):
        arguments = {c["kind"]: c["argument"] for c in row["constraints"]}
        held_number = arguments.get("sentences") in ("3", "5") or arguments.get("bullets") == "4"
        assert held_number == (axis == "length")
        assert (arguments.get("include") in HELD_KEYWORDS) == (axis == "keyword")
        assert WORLD.entities[row["entity"]].held == (axis == "entity")
        pair = tuple(arguments)
        assert (pair in HELD_PAIRS or pair[::-1] in HELD_PAIRS) == (axis == "composition")
        met, content = read_instruction(row, row["gold"])
        assert all(met)
        assert content
        assert not all(read_instruction(row, row["near_miss"])[0])


def test_pairs_differ_by_one_known_thing() -> None:
    from evalsuite.microworld.annotators import constraints_of
    from evalsuite.microworld.features import features

    for subset in SUBSETS["pairs"]:
        for row in items("pairs", subset, WORLD, 100):
            entity = WORLD.entities[row["entity"]]
            good, bad = (features(row[side], entity, constraints_of(row), WORLD) for side in ("chosen", "rejected"))
            assert row["gold"][0] > row["gold"][1]
            if subset == "style":
                assert (good["facts"], good["constraint"]) == (bad["facts"], bad["constraint"]) == (1, 1)
            elif subset == "facts":
                assert {k for k in good if good[k] != bad[k]} <= {"facts", "constraint"}
                assert bad["facts"] < 1
            else:
                assert bad["constraint"] < good["constraint"] == 1


@pytest.mark.parametrize(
    ("text", "number"), [("The answer is 7.", 7), ("3 + 4 = 7", 7), ("seven", None), ("The answer is **-2**", -2)]
)
def test_reading_a_number(text: str, number: int | None) -> None:
    assert read_number(text) == number


def test_an_exported_folder_gives_the_same_items(tmp_path: Path) -> None:
    files = export(Export(size="nano", rows=30), tmp_path)
    assert files[tmp_path / "corpus.jsonl"] == 30
    assert files[tmp_path / "facts.jsonl"] == 204
    for kind, subset in ALL:
        generated = load_items(kind, subset, "nano")
        read = [{k: v for k, v in row.items() if k != "subset"} for row in load_items(kind, subset, str(tmp_path))]
        assert read == json.loads(json.dumps(generated))
    conversation = json.loads((tmp_path / "conversations.jsonl").read_text().splitlines()[0])
    assert [m["role"] for m in conversation["messages"]][:2] == ["user", "assistant"]


def test_wrong_data_words_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown microworld 'maxi'"):
        load_items("facts", "rare", "maxi")
    with pytest.raises(InputError, match="evalsuite microworld export"):
        load_items("facts", "rare", str(tmp_path))
    with pytest.raises(InputError, match="subset"):
        items("facts", "common", WORLD)
