"""Every shape of the field read from its real file, with the counts that are known of it; and bad input in one line."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from preferences.wimhf_features import feature_table

from evalsuite.data.files import read_rows
from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.loading import Loading, flipped, load, ordered, write_pairs
from evalsuite.preferences.sources import split_of
from evalsuite.preferences.table import Writer, gather
from evalsuite.records import assistant, user

# name, format, pairs, ties; counts as stated by the files' sources
REAL = [
    ("hh_rlhf/harmless_base_test_first1000.jsonl.gz", "HH", 1000, 0),
    ("hh_rlhf/chatgpt_judged_100.jsonl.gz", "two answers and a choice", 100, 0),
    ("ultrafeedback_binarized", "UltraFeedback (binarized)", 800, 88),
    ("qa_feedback/dev_feedback500.jsonl.gz", "QA feedback", 3000, 384),
    ("auto_j", "Auto-J", 1392, 373),
    ("hhh_alignment/hhh_221.jsonl.gz", "HHH or instruction ranking", 221, 0),
    ("llamafactory_demo/dpo_en_demo.jsonl.gz", "ShareGPT ranking", 300, 0),
    ("pku_saferlhf/align_anything_sample32.jsonl", "PKU-SafeRLHF", 64, 0),
    ("chatbot_arena/lmsys_kaggle_demo49.csv.gz", "Arena (Kaggle)", 49, 16),
    ("orca_dpo/orca_dpo_pairs_demo100.csv.gz", "orca_dpo", 100, 0),
]


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def chosen(pair: Pair) -> str:
    return pair.a if (pair.preference or 0) > 0.5 else pair.b


@pytest.mark.parametrize(("name", "kind", "n", "ties"), REAL)
def test_a_real_file_is_recognised_and_counted(public_data, name: str, kind: str, n: int, ties: int) -> None:
    pairs = load(public_data(f"preferences/{name}"))
    assert (pairs.format, len(pairs), int((pairs.preference == 0.5).sum())) == (kind, n, ties)
    assert not np.isnan(pairs.preference).any()
    assert all(pair.messages and (pair.a or pair.b) for pair in pairs)
    assert len(set(pairs.column("id"))) == n


def test_hh_shares_all_up_to_the_last_assistant(public_data) -> None:
    path = public_data("preferences/hh_rlhf/harmless_base_test_first1000.jsonl.gz")
    rows, pairs = read_rows(path), load(path)
    longer = 0
    for row, pair in zip(rows, pairs, strict=True):
        good, bad = (row[side].rpartition("\n\nAssistant:") for side in ("chosen", "rejected"))
        assert good[0] == bad[0]
        assert {pair.a, pair.b} == {good[2].strip(), bad[2].strip()}
        assert chosen(pair) == good[2].strip()
        assert pair.messages[-1]["role"] == "user"
        longer += len(good[2]) > len(bad[2])
    assert longer == 444
    assert set(pairs.column("split")) == {"test"}


@pytest.mark.parametrize(("rule", "n", "decided"), [("tie", 800, 712), ("keep", 800, 800), ("drop", 712, 712)])
def test_equal_scores_are_ties_or_kept_or_dropped(public_data, rule, n: int, decided: int) -> None:
    pairs = load(public_data("preferences/ultrafeedback_binarized"), Loading(equal_scores=rule))
    assert (len(pairs), int((pairs.preference != 0.5).sum())) == (n, decided)
    assert any("88 pairs" in note for note in pairs.notes)
    if rule == "keep":
        rates = [chosen(p) for p in pairs]
        assert (
            sum(len(c) > min(len(p.a), len(p.b)) and len(p.a) != len(p.b) for c, p in zip(rates, pairs, strict=True))
            == 428
        )
        for pair in pairs:
            assert pair.ratings is not None
            assert (pair.ratings[0] - pair.ratings[1]) * (pair.preference - 0.5) >= 0


def test_qa_feedback_codes_and_errors(public_data) -> None:
    pairs = load(public_data("preferences/qa_feedback/dev_feedback500.jsonl.gz"))
    assert Counter(pairs.preference.tolist()) == {1.0: 1577, 0.0: 1039, 0.5: 384}
    errors: Counter[str] = Counter()
    won: dict[str, dict[tuple[str, str], float]] = {}
    for pair in pairs:
        if pair.id.endswith("1-2"):
            errors.update(e["error type"] for e in (pair.metadata.get("errors") or {"a": []})["a"])
        won.setdefault(pair.conversation, {})[pair.model_a[-1], pair.model_b[-1]] = pair.preference
    assert errors == {
        "Irrelevant": 909,
        "Wrong-Grounding": 163,
        "Unverifiable": 152,
        "Redundant": 133,
        "Incoherent": 16,
    }
    cyclic = 0
    for wins in won.values():
        for i, j, k in (("1", "2", "3"), ("1", "2", "4"), ("1", "3", "4"), ("2", "3", "4")):
            cyclic += {wins[i, j], wins[j, k], 1 - wins[i, k]} in ({0.0}, {1.0})
    assert cyclic == 0


def test_what_else_is_known_of_the_real_files(public_data) -> None:
    hhh = load(public_data("preferences/hhh_alignment/hhh_221.jsonl.gz"))
    assert Counter(hhh.column("metadata.source")) == {"harmless": 58, "helpful": 59, "honest": 61, "other": 43}
    arena = load(public_data("preferences/chatbot_arena/lmsys_kaggle_demo49.csv.gz"))
    assert Counter(arena.preference.tolist()) == {1.0: 14, 0.0: 19, 0.5: 16}
    assert arena[0].model_a == "gpt-4-1106-preview"
    judged = load(public_data("preferences/hh_rlhf/chatgpt_judged_100.jsonl.gz"))
    person = np.where(judged.preference > 0.5, "Answer1", "Answer2")
    judge = judged.column("metadata.chatgpt_choice")
    assert Counter(judge) == {"Answer1": 45, "Answer2": 55}
    assert (Counter(person.tolist()), int((person == judge).sum())) == ({"Answer1": 55, "Answer2": 45}, 68)
    auto = load(public_data("preferences/auto_j"))
    assert set(Counter(auto.column("metadata.scenario")).values()) == {24}
    assert Counter(auto.preference.tolist()) == {1.0: 520, 0.0: 499, 0.5: 373}
    assert auto.notes == ("not read as pairs: autoj13b_verdicts.jsonl.gz",)
    safer = load(
        public_data("preferences/pku_saferlhf/align_anything_sample32.jsonl"), Loading(where={"aspect": "safer"})
    )
    assert (len(safer), set(safer.column("aspect"))) == (32, {"safer"})


def test_alpaca_eval_gives_the_published_win_rate(public_data) -> None:
    pairs = load(public_data("alpaca_eval/annotations_full/alpaca-7b.json.gz"))
    table = read_rows(public_data("alpaca_eval/leaderboard_ae2_weighted_alpaca_eval_gpt4_turbo.csv"))
    published = next(float(r["win_rate"]) for r in table if r.get("") == "alpaca-7b" or r.get("name") == "alpaca-7b")
    mine = [p.preference if p.model_a == "alpaca-7b" else 1 - p.preference for p in pairs if p.preference is not None]
    assert 100 * sum(mine) / len(mine) == pytest.approx(published, abs=1e-6)
    assert 0.4 < (pairs.column("model_a") == "alpaca-7b").mean() < 0.6


def test_wimhf_examples_and_features(public_data) -> None:
    path = public_data("wimhf/feature_data_for_demo.json")
    pairs, table = load(path), feature_table(path)
    activation = pairs.column("metadata.activation")
    assert (len(pairs), int((activation > 0).sum()), int((activation < 0).sum())) == (2234, 1152, 1082)
    assert (len(table), sum(f.examples for f in table)) == (224, 2234)
    kept = Counter(f.dataset for f in table if f.fidelity_p < 0.05 / 32)
    assert list(kept.values()) == [22, 31, 24, 16, 25, 23, 19]
    assert len(load(path, Loading(where={"metadata.dataset": "PKU"}))) == 320
    assert any("mean nothing" in note for note in pairs.notes)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("preferences/beavertails/beavertails_demo51.jsonl.gz", "no pair; a preference needs two answers"),
        ("preferences/llamafactory_demo/kto_en_demo.jsonl.gz", "no pair; a preference needs two answers"),
        ("preferences/qlora_vicuna_gpt4/verdicts.jsonl.gz", "without the answers' texts"),
        ("alpaca_eval/annotations_compact/alpaca-7b.jsonl.gz", "without the answers' texts"),
        ("preferences/auto_j/autoj13b_verdicts.jsonl.gz", "not a shape of pairs that is known; its fields are row"),
    ],
)
def test_what_is_no_pairs_is_said_in_one_line(public_data, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load(public_data(name))
    assert "\n" not in str(error.value)


def test_unpaired_rows_are_counted_as_their_source_says(public_data) -> None:
    beaver = read_rows(public_data("preferences/beavertails/beavertails_demo51.jsonl.gz"))
    kto = read_rows(public_data("preferences/llamafactory_demo/kto_en_demo.jsonl.gz"))
    assert Counter(row["is_safe"] for row in beaver) == {0: 29, 1: 22}
    assert Counter(row["label"] for row in kto) == {True: 150, False: 150}


TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Why?"},
]
SAID = ["Hi", "Hello", "Why?"]
YES, NO = assistant("yes"), assistant("no")
ASKED = "\n\nHuman: Why?\n\nAssistant:"
SHAPES = [
    ({"prompt": "Why?", "chosen": "yes", "rejected": "no"}, ["Why?"], "yes", "no"),
    ({"prompt": TURNS, "chosen": [YES], "rejected": [NO]}, SAID, "yes", "no"),
    ({"chosen": [*TURNS, YES], "rejected": [*TURNS, NO]}, SAID, "yes", "no"),
    (
        {"prompt": "Why?", "chosen": [user("Why?"), YES], "rejected": [user("Why?"), NO]},
        ["Why?"], "yes", "no",
    ),
    ({"chosen": f"{ASKED} yes", "rejected": f"{ASKED} no"}, ["Why?"], "yes", "no"),
    ({"chosen": ASKED, "rejected": f"{ASKED} no"}, ["Why?"], "", "no"),
    ({"prompt": ASKED, "chosen": "yes", "rejected": "no"}, ["Why?"], "yes", "no"),
    ({"chosen": "yes", "rejected": "no"}, [], "yes", "no"),
    ({"system": "Be kind.", "question": "Why?", "chosen": "yes", "rejected": "no"}, ["Be kind.", "Why?"], "yes", "no"),
    ({"instruction": "Add", "input": "1 2", "chosen": "3", "rejected": "4"}, ["Add\n\n1 2"], "3", "4"),
    (
        {"conversations": [{"from": "human", "value": "Why?"}], "chosen": {"from": "gpt", "value": "yes"},
         "rejected": {"from": "gpt", "value": "no"}},
        ["Why?"], "yes", "no",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("row", "prompt", "good", "bad"), SHAPES)
def test_ranked_shapes(tmp_path: Path, row, prompt, good: str, bad: str) -> None:
    pair = load(write(tmp_path / "rows.jsonl", row), Loading(swap=False))[0]
    assert [m["content"] for m in pair.messages] == prompt
    assert (pair.a, pair.b, pair.preference, pair.metadata) == (good, bad, 1.0, {"swapped": False})


@pytest.mark.parametrize(
    ("row", "preference"),
    [
        ({"prompt": "Q", "response_A": "x", "response_B": "y", "label": 1}, 1.0),
        ({"prompt": "Q", "response_A": "x", "response_B": "y", "label": -1}, 0.5),
        ({"prompt": "Q", "response_a": "x", "response_b": "y", "winner": "model_b"}, 0.0),
        ({"prompt": "Q", "response_a": "x", "response_b": "y", "winner": "tie"}, 0.5),
        ({"input": "Q", "output_1": "x", "output_2": "y", "label": 2}, 0.0),
        ({"pair_id": 1, "question": "Q", "response_A": "x", "response_B": "y", "label": "A>B"}, 1.0),
        ({"id": "7", "messages": [user("Q")], "a": "x", "b": "y", "preference": 0.7}, 0.7),
        ({"id": "7", "messages": [user("Q")], "a": "x", "b": "y", "preference": None}, None),
    ],
)
def test_labelled_shapes_keep_their_order(tmp_path: Path, row, preference: float | None) -> None:
    pair = load(write(tmp_path / "rows.jsonl", row))[0]
    assert (pair.a, pair.b, pair.preference, pair.messages) == ("x", "y", preference, (user("Q"),))
    assert "swapped" not in pair.metadata


def test_completions_of_ultrafeedback_give_all_pairs(tmp_path: Path) -> None:
    answers = [
        {"model": m, "response": f"by {m}", "overall_score": s, "annotations": {"helpfulness": {"Rating": str(r)}}}
        for m, s, r in (("one", 8, 5), ("two", 6, 4), ("three", 8, 3))
    ]
    pairs = load(write(tmp_path / "uf.jsonl", {"source": "x", "instruction": "Q", "completions": answers}))
    found = {frozenset((p.model_a, p.model_b)): p for p in pairs}
    assert len(found) == 3
    assert found[frozenset(("one", "three"))].preference == 0.5
    one = found[frozenset(("one", "two"))]
    assert (chosen(one), one.conversation) == ("by one", "0")
    assert one.metadata["helpfulness"] == ({"a": 5.0, "b": 4.0} if one.model_a == "one" else {"a": 4.0, "b": 5.0})


def said(turn: int, content: str, model: str, score: int, best: bool) -> dict[str, object]:
    return {"turn": turn, "role": "model", "content": content, "model_name": model, "score": score, "if_chosen": best}


HISTORY = [
    {"turn": 0, "role": "user", "content": "Is it right?"},
    said(0, "Yes.", "m1", 80, True),
    said(0, "No.", "m2", 76, False),
    said(0, "Who?", "m3", 3, False),
    {"turn": 1, "role": "user", "content": "Why?"},
    said(1, "So.", "m1", 60, True),
    said(1, "Not so.", "m1", 20, False),
]
WHOSE = {"conversation_id": "c1", "user_id": "user1", "conversation_type": "unguided"}
TALK = {**WHOSE, "conversation_history": HISTORY}


def utterances(conversation: str = "c1") -> list[dict[str, object]]:
    asked = {0: "Is it right?", 1: "Why?"}
    return [
        {"utterance_id": f"ut{i}", "interaction_id": f"int{conversation}{m['turn']}", "conversation_id": conversation,
         "user_id": "user1", "turn": m["turn"], "conversation_type": "unguided", "user_prompt": asked[m["turn"]],
         "model_response": m["content"], **{k: m[k] for k in ("model_name", "score", "if_chosen")}}
        for i, m in enumerate(HISTORY)
        if m["role"] == "model"
    ]  # fmt: skip


def test_prism_conversations_and_utterances_give_the_same_pairs(tmp_path: Path) -> None:
    talks = load(write(tmp_path / "conversations.jsonl", TALK))
    rows = load(write(tmp_path / "utterances.jsonl", *utterances()))
    assert list(talks) == list(rows)
    found = {frozenset((p.a, p.b)): p for p in talks}
    assert len(found) == 4
    assert found[frozenset(("Yes.", "No."))].preference == 0.5  # 80 and 76: within five
    assert chosen(found[frozenset(("Yes.", "Who?"))]) == "Yes."
    later = found[frozenset(("So.", "Not so."))]
    assert [m["content"] for m in later.messages] == ["Is it right?", "Yes.", "Why?"]
    assert (later.annotator, later.conversation, set(later.ratings or ())) == ("user1", "c1", {60.0, 20.0})


def test_a_prism_folder_joins_profiles_and_reads_each_answer_once(tmp_path: Path) -> None:
    write(tmp_path / "conversations.jsonl", TALK)
    write(tmp_path / "utterances.jsonl", *utterances())
    people = [{"user_id": f"user{i}", "age": "18-24" if i % 2 else "65+", "location": {"region": f"r{i % 3}"},
               "self_description": f"text {i}"} for i in range(20)]  # fmt: skip
    write(tmp_path / "survey.jsonl", *people)
    pairs = load(tmp_path)
    assert len(pairs) == 4
    assert pairs[0].metadata["profile"] == {"age": "18-24", "location.region": "r1"}
    assert "utterances.jsonl" in pairs.notes[0]
    strangers = write(tmp_path / "strangers.jsonl", *({"user_id": f"x{i}", "age": i} for i in range(2)))
    with pytest.raises(InputError, match=r"strangers.jsonl: holds no profile of an annotator of"):
        load(tmp_path / "conversations.jsonl", Loading(profiles=strangers))


def test_prism_rows_that_stand_apart_are_refused(tmp_path: Path) -> None:
    rows = utterances()
    path = write(tmp_path / "u.jsonl", rows[0], *utterances("c2"), *rows[1:])
    with pytest.raises(InputError, match=r"row 7: rows of conversation_id c1 stand apart; sort the file"):
        load(path)


def test_votes_of_the_arena_share_their_first_turn(tmp_path: Path) -> None:
    row = {
        "question_id": "q", "model_a": "m", "model_b": "n", "winner": "tie (bothbad)", "judge": "arena_user_1",
        "conversation_a": [user("Hi"), assistant("A1"), user("More"), assistant("A2")],
        "conversation_b": [user("Hi"), assistant("B1"), user("More"), assistant("B2")],
    }  # fmt: skip
    pair = load(write(tmp_path / "v.jsonl", row))[0]
    assert (pair.preference, pair.annotator, pair.messages) == (0.5, "arena_user_1", (user("Hi"),))
    assert pair.a == "A1\n\nUser: More\n\nAssistant: A2"


def test_microworld_rows_turn_with_their_features(tmp_path: Path) -> None:
    from evalsuite.microworld.annotators import Pair as Drawn
    from evalsuite.microworld.annotators import annotate, crowd, sample_asks
    from evalsuite.microworld.world import build

    world = build("nano", 0)
    asks = sample_asks(world, 40)
    rows = annotate([Drawn(a, f"Sure! {i}", f"- no\n- {i} words more") for i, a in enumerate(asks)], crowd(0), world)
    pairs = load(write(tmp_path / "preferences.jsonl", *rows))
    assert (pairs.format, len(pairs)) == ("microworld", 40)
    for row, pair in zip(rows, pairs, strict=True):
        side = "a" if chosen(pair) == pair.a else "b"
        assert pair.metadata["features"][side] == row["features"]["chosen"]
        assert pair.metadata["p"][side] == pytest.approx(row["p"])
        assert pair.annotator == row["person"]
    bullets = [p.metadata["features"]["a"]["bullets"] - p.metadata["features"]["b"]["bullets"] for p in pairs]
    assert pairs.column("metadata.features.bullets").tolist() == bullets
    assert pairs.column("metadata.features.a.bullets").sum() > 0


def test_scores_and_models_in_the_usual_spellings(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        {"prompt": "Q", "chosen": "x", "rejected": "y", "chosen_model": "m", "rejected_model": "n", "subset": "s"},
        {"prompt": "Q", "chosen": "x", "rejected": "y", "score_chosen": 3, "score_rejected": 1.5, "annotator": 4},
    )
    first, second = load(path, Loading(swap=False))
    assert (first.model_a, first.model_b, first.metadata["subset"]) == ("m", "n", "s")
    assert (second.ratings, second.annotator) == ((3.0, 1.5), "4")


TEXTS = st.text(st.characters(codec=None), max_size=30)
PAIRS = st.builds(
    Pair,
    id=st.uuids().map(str),
    messages=st.lists(TEXTS.map(user), max_size=2).map(tuple),
    a=TEXTS,
    b=TEXTS,
    preference=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    ratings=st.none() | st.tuples(st.floats(0, 10), st.floats(0, 10)),
    metadata=st.dictionaries(
        st.sampled_from(["x", "y"]), st.fixed_dictionaries({"a": st.integers(), "b": st.integers()})
    ),
)


@given(PAIRS)
@settings(max_examples=200)
def test_the_order_of_a_pair_says_nothing_of_its_label(pair: Pair) -> None:
    assert flipped(flipped(pair)).ratings == pair.ratings
    one, two = ordered(pair)[0], ordered(flipped(pair))[0]
    assert (one.a, one.b) == (two.a, two.b)
    if pair.a != pair.b:
        assert one == two
        assert ordered(pair)[1] != ordered(flipped(pair))[1]


def test_the_drawn_order_puts_the_chosen_first_half_of_the_time() -> None:
    turned = [ordered(Pair(str(i), (user("Q"),), f"good {i}", f"bad {i}", 1.0))[1] for i in range(2000)]
    equal = [ordered(Pair(str(i), (user("Q"),), "same", "same", 1.0))[1] for i in range(2000)]
    for found in (turned, equal):
        assert 0.45 < sum(found) / 2000 < 0.55


@given(st.lists(PAIRS, min_size=1, max_size=20), st.data())
@settings(max_examples=40)
def test_a_table_gives_back_what_was_written(pairs: list[Pair], data) -> None:
    table = gather(pairs)
    assert len(table) == len(pairs)
    for got, pair in zip(table, pairs, strict=True):
        assert got.preference == pair.preference
        assert got.ratings == pair.ratings
        assert got.metadata == pair.metadata
        assert got.a == pair.a.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    rows = data.draw(st.lists(st.integers(-len(pairs), len(pairs) - 1), max_size=30))
    some = table.take(rows)
    assert [p.id for p in some] == [pairs[r].id for r in rows] == [some[i].id for i in range(len(rows))]
    assert some.preference.tolist() == [pairs[r].preference for r in rows]
    again = some.take(range(len(rows)))
    assert list(again.column("id")) == [pairs[r].id for r in rows]


def test_tables_of_many_batches_and_their_columns() -> None:
    pairs = [Pair(str(i), (user(f"Q{i}"),), "x", "y", None if i % 3 else 1.0, metadata={"k": i}) for i in range(5000)]
    table = gather(pairs)
    rows = np.random.default_rng(0).permutation(5000)[:3000]
    assert table.take(rows).column("metadata.k").tolist() == rows.tolist()
    assert list(table.take(rows).column("prompt")) == [f"Q{i}" for i in rows]
    assert np.isnan(table.preference).sum() == 3333
    assert table[-1].id == "4999"
    with pytest.raises(IndexError):
        table[5000]
    with pytest.raises(IndexError):
        table.take([5000])
    with pytest.raises(InputError, match=r"no row has 'metadata\.z'"):
        table.column("metadata.z")
    with pytest.raises(InputError, match="nearest: annotator"):
        table.column("annotater")


def test_our_own_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        Pair(
            "p1",
            (user("Q"),),
            "x",
            "y",
            0.3,
            "ann",
            "c",
            "train",
            "safe",
            "m",
            "n",
            (1.0, 2.0),
            {"k": {"a": 1, "b": 2}},
        ),
        Pair("p2", (), "x", "z", None),
    ]
    path = tmp_path / "ours.jsonl"
    assert write_pairs(gather(rows), path) == 2
    assert list(load(path)) == rows


UGLY = [
    'he said "hello" to me',
    "line\nbreak\r\n\ttab",
    "<script>alert(1)</script><b>",
    "\u2028\x85\x00",
    "😀" * 50,
    "y" * (1 << 20),
]


@pytest.mark.parametrize("text", UGLY)
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "json", "csv"])
def test_ugly_answers_are_read_as_they_are(tmp_path: Path, text: str, ending: str) -> None:
    import csv

    path = tmp_path / f"rows.{ending}"
    text = text.replace("\0", "") if ending == "csv" else text  # CSV has no NUL
    row = {"prompt": "Q", "chosen": text, "rejected": "no"}
    if ending == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, list(row)).writerows([dict(zip(row, row, strict=True)), row])
    elif ending == "json":
        path.write_text(json.dumps([row]))
    else:
        data = (json.dumps(row) + "\n").encode()
        path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    pair = load(path)[0]
    assert chosen(pair).replace("\r\n", "\n") == text.replace("\r\n", "\n")


GOOD = {"prompt": "Q", "chosen": "x", "rejected": "y"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, {"prompt": "Q", "chosen": "x"}], r"row 2: no field 'rejected' \(TRL \(standard\)\)"),
        ([{"prompt": "Q", "answer": "x"}], r"its fields are prompt, answer; known are .*prompt, chosen, rejected"),
        (
            [{**GOOD, "chosen": []}],
            r"row 1: cannot be read as TRL \(conversational\) \(chosen or rejected has no message",
        ),
        ([GOOD, {**GOOD, "chosen": 7}], r"row 2: cannot be read as TRL"),
        ([{"prompt": "Q", "response 1": "x", "response 2": "y", "label": 3}], r"row 1: .*label 3 is none of 0, 1, 2"),
        ([{"prompt": "Q", "response_a": "x", "response_b": "y", "winner": "??"}], r"label '\?\?' names no answer"),
        ([{"id": 1, "messages": [], "a": "x", "b": "y", "preference": 2}], r"preference 2 lies outside 0 to 1"),
        ([{**GOOD, "chosen": None}], r"holds no pairs with two answers"),
        ([], r"holds no rows"),
    ],
)
def test_a_bad_row_is_one_line_that_names_it(tmp_path: Path, rows, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load(write(tmp_path / "rows.jsonl", *rows))
    assert "\n" not in str(error.value)
    assert "rows.jsonl" in str(error.value)


def test_bad_sources_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="holds no file with rows"):
        load(tmp_path)
    (tmp_path / "broken.jsonl").write_text('{"prompt": ')
    with pytest.raises(InputError, match=r"broken.jsonl:1: not JSON"):
        load(tmp_path / "broken.jsonl")
    write(tmp_path / "broken.jsonl", {"row": 1})
    with pytest.raises(InputError, match="no file with pairs"):
        load(write(tmp_path / "other.jsonl", {"row": 1}).parent)
    with pytest.raises(InputError, match="holds no pairs where aspect=safe"):
        load(write(tmp_path / "fine.jsonl", GOOD), Loading(where={"aspect": "safe"}))


def test_rows_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    pairs = load(write(tmp_path / "rows.jsonl", GOOD, {**GOOD, "rejected": None}, GOOD), Loading(limit=10))
    assert (len(pairs), pairs.notes[0]) == (2, "1 rows without two answers were left out")
    assert len(load(tmp_path / "rows.jsonl", Loading(limit=1))) == 1


def test_splits_are_read_from_names_and_saved_folders(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (pip install evalsuite[hub])")
    assert split_of("data/validation-00000-of-00001.parquet") == "validation"
    assert split_of("testimony.jsonl") == ""
    parts = {"train": [GOOD] * 3, "test": [GOOD]}
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()})
    saved.save_to_disk(tmp_path / "d")
    assert Counter(load(tmp_path / "d").column("split")) == {"train": 3, "test": 1}


def test_a_hub_id_is_read_from_the_cache_at_its_commit(tmp_path: Path, monkeypatch) -> None:
    from huggingface_hub import constants

    commit = "a" * 40
    folder = tmp_path / "datasets--someone--pairs"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit / "data").mkdir(parents=True)
    write(folder / "snapshots" / commit / "data" / "train.jsonl", GOOD)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    pairs = load("someone/pairs")
    assert (pairs.name, pairs[0].split) == ("someone/pairs", "train")
    assert pairs.notes[0] == f"from the Hub: someone/pairs at commit {commit}"
    with pytest.raises(InputError, match=r"someone/absent: no such file or folder here, and the Hub did not give it"):
        load("someone/absent")
    with pytest.raises(InputError, match="pin a revision"):
        load("hf:someone/pairs@main/data/train.jsonl")


def test_a_writer_streams_in_batches() -> None:
    writer = Writer()
    for i in range(3):
        writer.add(Pair(str(i), (), "x" * (5 << 20), "y", 1.0))
    table = writer.finish("n", "k", ["a note"])
    assert len(table._batches) == 2  # eight megabytes end a batch
    assert [len(p.a) for p in table] == [5 << 20] * 3
    assert table.noted("more").notes == ("a note", "more")
