"""Parser tables of ugly replies (regression items 5 and 6): a verdict is read only where a reply gives just one."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.scoring.verdicts import choice_letter, correctness, yes_no

LETTERS = [
    ("A", "A"),
    ("b", "B"),
    ("B.", "B"),
    (" **A** ", "A"),
    ("(B)", "B"),
    ("[A]", "A"),
    ("[[A]]", "A"),
    ("[[ b ]]", "B"),
    ("`B`", "B"),
    ("A\n\nIt answers the question, B does not.", "A"),
    ("A: it is complete; B misses the date.", "A"),
    ("B. Paris", "B"),
    ("B) Paris", "B"),
    ("**B** because it is shorter", "B"),
    ("A - more detail", "A"),
    ("A, because it is shorter", "A"),
    ("B!", "B"),
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("Answer:\n\nB", "B"),
    ("The answer is (b).", "B"),
    ("Final verdict: [[B]]", "B"),
    ("My choice is option A.", "A"),
    ("The winner is Response B", "B"),
    ("The better answer is A.", "A"),
    ("This is a B", "B"),
    ("This is an A.", "A"),
    ("A is better than B", "A"),
    ("B is better than A.", "B"),
    ("Answer A is clearly better.", "A"),
    ("Output (a) is better.", "A"),
    ("Therefore, Output (b) is better because it is true.", "B"),
    ("Response B is much more helpful than Response A.", "B"),
    ("I prefer B.", "B"),
    ("I would go with Response A", "A"),
    ("Option B.", "B"),
    ("B wins", "B"),
    ("I'd say A", "A"),
    ("A is better in style.\nB is better in depth.\nAnswer: B", "B"),
    ("The answers are close. [[A]] since B is wordy. Answer B is fine too.", "A"),
    # No verdict, or more than one.
    ("", None),
    ("   \n", None),
    ("Both", None),
    ("Both A and B are good.", None),
    ("Neither", None),
    ("A or B", None),
    ("A/B", None),
    ("A and B", None),
    ("A, B", None),
    ("A. B.", None),
    ("A\nB", None),
    ("[[A]] or maybe [[B]]", None),
    ("Answer: A\nAnswer: B", None),
    ("A is better in style, B is better in depth", None),
    ("A) Paris\nB) London", None),
    ("Absolutely", None),
    ("Bad", None),
    ("Because", None),
    ("About the same", None),
    ("A good response would cite a source.", None),
    ("Answer: A good response would cite a source.", None),
    ("The answer is a matter of taste.", None),
    ("Answer: not A", None),
    ("A is not better than B", None),
    ("I cannot say that A is better than B.", None),
    ("I can't choose between A and B.", None),
    ("I don't think A is better", None),
    ("I'm sorry, but I cannot help with that request.", None),
    ("Vitamin B matters here.", None),
    ("Vitamin A is better", None),
    ("If A were shorter, A would be better", None),
    ("A would be better if it were shorter", None),
    ("A is better than B? No.", None),
    ("Answer: A and B are equal", None),
    ("Answer: (A) vs (B)", None),
    ("Answer: A or B? B.", None),
    ("Choice: A B", None),
    ("Verdict: A is worse", None),
    ("The worse answer is A", None),
    ("My answer: Answer A is the weaker one", None),
    ("One might say A is better", None),
    ("The user says A is better", None),
    ("Nobody would say A is better", None),
    ("A is hardly better", None),
    ("A is anything but better", None),
    ("A - no wait, B", None),
    ("Output (b) is better than Output (a) is not true", None),
    ("Answer: B\n\nAnswer: A, says the other judge.", None),
    # Read all the same.
    ("Some would say A is better, but I choose B", "B"),
    ("I would say B is better", "B"),
    ("The answer is B and I am sure.", "B"),
    ("B and a good one at that.", None),
    # What a reply quotes is not its own.
    ('It says "the verdict is [[A]]". My verdict: [[B]]', "B"),
    ('B\n\nThe first one says "Answer: A".', "B"),
    ("> [[A]]\n\nstands in it, yet B is better.", "B"),
    ("```\nFinal verdict: A\n```\nis what it claims. Answer: B", "B"),
    ('I refuse. One of them says "[[A]] is the winner".', None),
    ('The winner is "B".', "B"),
    ('Final verdict: "[[A]]"', "A"),
    ("```\n[[B]]\n```", "B"),
    ('{"reason": "B is vague", "winner": "A"}', "A"),
    ("C", None),
    ("Answer: C", None),
]


@pytest.mark.parametrize(("reply", "expected"), LETTERS)
def test_choice_letter(reply: str, expected: str | None) -> None:
    """Guards regression items 5 (ugly replies) and 6 (a letter inside a word)."""
    assert choice_letter(reply) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("The correct option is (C).", "C"),
        ("D. Oslo", "D"),
        ("I think so. J", None),
        ("I", "I"),
        ("I do not know", None),
    ],
)
def test_choice_letter_of_many(reply: str, expected: str | None) -> None:
    assert choice_letter(reply, "ABCDEFGHIJ") == expected


@given(st.text(alphabet="bcdfgBDFabA", min_size=2, max_size=12))
def test_no_letter_inside_a_word(word: str) -> None:
    """Guards regression item 6: whatever the word, a letter within it is no choice."""
    assert choice_letter(word) is None
    assert choice_letter(f"It is {word}") is None


@given(st.text(max_size=60), st.sampled_from("AB"))
def test_brackets_win_over_anything_without_brackets(noise: str, letter: str) -> None:
    clean = noise.replace("[", "").replace("]", "")
    assert choice_letter(f"{clean}.\n[[{letter}]]") == letter


YES_NO = [
    ("Yes", True),
    ("no.", False),
    ("**No**", False),
    ("Yes, because there is no evidence against it.", True),
    ("No, yes-men say otherwise", False),
    ("Answer: yes", True),
    ("The answer is No.", False),
    ("[[yes]]", True),
    ("Yes it is", True),
    ("No because it is invented", False),
    ("Let me think.\nYes", True),
    ("Yes and no", None),
    ("Yes, no.", None),
    ("no\nyes", None),
    ("Verdict: yes, but no", None),
    ("No. 1", None),
    ("Answer: no\nThe date is wrong.", False),
    ('No. It says "[[yes]]".', None),
    ("Yes or no?", None),
    ("Yes/No", None),
    ("Yes. Wait, no.", None),
    ("There is no evidence.", None),
    ("Not sure", None),
    ("None", None),
    ("Yesterday", None),
    ("I know", None),
    ("No one knows", None),
    ("", None),
    ("I'm sorry, I cannot answer that.", None),
]


@pytest.mark.parametrize(("reply", "expected"), YES_NO)
def test_yes_no(reply: str, expected: bool | None) -> None:
    """Guards regression item 5."""
    assert yes_no(reply) is expected


CORRECTNESS = [
    ("CORRECT", True),
    ("Correct.", True),
    ("**CORRECT**", True),
    ("NOT CORRECT", False),
    ("not_correct", False),
    ("**Not correct.**", False),
    ("INCORRECT", False),
    ("[[INCORRECT]]", False),
    ("Grade: CORRECT", True),
    ("Verdict: not correct", False),
    ("A: CORRECT", True),
    ("B: INCORRECT", False),
    ("The answer is correct.", True),
    ("The answer is not correct.", False),
    ("This isn't correct.", False),
    ("The response is not entirely correct", False),
    ("It is wrong.", False),
    ("The correct answer is Paris, so the response is incorrect.", False),
    ("It is correct because the date matches", True),
    ("The correct answer is Paris.", None),
    ("The answer is correct? No.", None),
    ("Is it correct? No.", None),
    ("CORRECT: no", None),
    ("Verdict: correct/incorrect", None),
    ("The answer is far from correct", None),
    ("The answer is anything but correct", None),
    ("The answer is correct but incomplete", None),
    ('INCORRECT, though it says "Grade: CORRECT".', False),
    ("Partially correct", None),
    ("The answer is partly correct.", None),
    ("It is not incorrect.", None),
    ("CORRECT\nINCORRECT", None),
    ("I cannot tell whether it is correct.", None),
    ("NOT_ATTEMPTED", None),
    ("C", None),
    ("correctly", None),
    ("", None),
    ("I'm sorry, I can't grade this.", None),
]


@pytest.mark.parametrize(("reply", "expected"), CORRECTNESS)
def test_correctness(reply: str, expected: bool | None) -> None:
    """Guards regression item 5: "CORRECT" against "NOT CORRECT" and their kin."""
    assert correctness(reply) is expected


@given(st.text(max_size=200))
def test_parsers_never_raise(text: str) -> None:
    assert choice_letter(text) in {"A", "B", None}
    assert yes_no(text) in {True, False, None}
    assert correctness(text) in {True, False, None}


def test_recorded_judge_replies(public_data: Callable[[str], Path]) -> None:
    """772 recorded replies of two real judges (LLMBar): where we read a verdict it is the recorded one."""
    with gzip.open(public_data("llmbar/raw_completions.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    outcomes: Counter[str] = Counter()
    for row in rows:
        letter = choice_letter(row["completion"])
        recorded = row["winner_in_original_order"]
        if recorded not in {"1", "2"}:
            outcomes["unrecorded"] += 1
            continue
        expected = "A" if (recorded == "1") != bool(row["swapped"]) else "B"
        outcomes["none" if letter is None else "same" if letter == expected else "opposite"] += 1
    assert outcomes["opposite"] == 0
    assert outcomes["same"] >= 0.9 * (outcomes["same"] + outcomes["none"])


def test_recorded_pair_verdicts(public_data: Callable[[str], Path]) -> None:
    """150 recorded pair judgments of GPT-4 (MT-Bench): all read as recorded, but for three error marks."""
    with gzip.open(public_data("mt_bench/gpt4_pair_phi3.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    outcomes: Counter[str] = Counter()
    for row in rows:
        for game, names in (("g1", ("model_1", "model_2")), ("g2", ("model_2", "model_1"))):
            letter = choice_letter(row[f"{game}_judgment"], "ABC")
            read = {"A": names[0], "B": names[1], "C": "tie", None: "error"}[letter]
            outcomes["same" if read == row[f"{game}_winner"] else "other"] += 1
    assert outcomes == {"same": 150}
