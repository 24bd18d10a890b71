"""IFEval's verdicts against those that others recorded: the authors' run on GPT-4, and lm-eval's own checkers.

Two instructions ask for a letter that is no Latin letter; there the official checker draws a letter at random, so that
lm-eval's verdict is open (?) wherever it would depend on the draw.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from evalsuite.data import fingerprint, read_rows
from evalsuite.scoring.ifeval import follows

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "ifeval_lm_eval.json").read_text())
SETS = ("responses", "gpt4", "gold", "near_miss", "other_gold")


@pytest.fixture(scope="module")
def judged(public_data):
    """The texts by set and key, written by the very script that wrote the golden file."""
    path = ROOT / "benchmarks" / "ifeval_golden.py"
    spec = importlib.util.spec_from_file_location("ifeval_golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = public_data("ifeval/input_data.jsonl").parent
    return {name: {str(row["key"]): (row, text) for row, text in pairs} for name, pairs in module.texts(folder).items()}


def verdicts(row, text):
    return follows(row["instruction_id_list"], row["kwargs"], row["prompt"], text)


def test_gpt4_recorded(public_data):
    """Zhou et al. 2023, table 3 counts 541 prompts; this file has verdicts for 540."""
    rows = {row["key"]: row for row in read_rows(public_data("ifeval/input_data.jsonl"))}
    replies = [row for row in read_rows(public_data("ifeval/gpt4_responses.jsonl.gz")) if row["key"] is not None]
    assert len(replies) == 540
    ours = {reply["key"]: verdicts(rows[reply["key"]], reply["response"]) for reply in replies}

    strict = [ours[reply["key"]][0] for reply in replies]
    assert (sum(map(all, strict)), sum(map(sum, strict))) == (417, 697)
    assert strict == [reply["strict"] for reply in replies]

    # One recorded loose verdict is worse than its strict one: key 1122 asks for the letter "#", of which the official
    # checker knows nothing; it drew a letter twice. With that verdict the counts are the recorded 430 / 712.
    different = [reply["key"] for reply in replies if ours[reply["key"]][1] != reply["loose"]]
    assert different == [1122]
    recorded = [reply["loose"] for reply in replies]
    assert (sum(map(all, recorded)), sum(map(sum, recorded))) == (430, 712)
    loose = [ours[reply["key"]][1] for reply in replies]
    assert (sum(map(all, loose)), sum(map(sum, loose))) == (431, 713)


@pytest.mark.parametrize("name", SETS)
def test_lm_eval(name, judged):
    golden = GOLDEN[name]
    assert golden.keys() == judged[name].keys()
    assert len(golden) == {"responses": 270, "gpt4": 540}.get(name, 541)
    different = {}
    for key, (row, text) in judged[name].items():
        digest, strict, loose = golden[key].split(" ")
        assert digest == fingerprint(text)[:8], (
            f"{name} {key}: another text was judged; run benchmarks/ifeval_golden.py"
        )
        for level, (expected, found) in enumerate(zip((strict, loose), verdicts(row, text), strict=True)):
            bits = "".join("01"[verdict] for verdict in found)
            if any(theirs not in ("?", mine) for theirs, mine in zip(expected, bits, strict=True)):
                different[key, level] = (expected, bits)
    assert not different


@pytest.mark.parametrize("name", SETS)
def test_only_drawn_letters_are_open(name):
    """Keys 1122 and 1129 ask for "#" and "!"."""
    assert {key for key, entry in GOLDEN[name].items() if "?" in entry} <= {"1122", "1129"}


def test_golden_covers_both_verdicts():
    bits = "".join(entry.split(" ")[1] for name in SETS for entry in GOLDEN[name].values())
    assert bits.count("1") > 2000
    assert bits.count("0") > 1000
    assert bits.count("?") <= 2 * len(SETS)


def test_written_texts(judged):
    """Gold follows everything, except where a prompt contradicts itself; a near miss breaks exactly one instruction."""
    failed = {key for key, (row, text) in judged["gold"].items() if not all(verdicts(row, text)[0])}
    assert failed == {"1627", "3369", "3371", "3718", "374"}
    for row, text in (judged["gold"][key] for key in failed):
        repeated = next(kwargs["prompt_to_repeat"] for kwargs in row["kwargs"] if "prompt_to_repeat" in kwargs)
        assert not all(verdicts(row, repeated + " more")[0])  # whatever follows, the prompt itself breaks a rule
        assert all(verdicts(row, text)[1])
    assert {verdicts(row, text)[0].count(False) for row, text in judged["near_miss"].values()} == {1}
