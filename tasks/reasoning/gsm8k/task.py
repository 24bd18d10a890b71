"""GSM8K: grade-school word problems whose answer is one number, after a chain of thought.

Asked without examples, or after eight of ours (`:8shot`), or after the user's copy of the official ones (`:official`).
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from evalsuite.data import Setup
from evalsuite.data.official import official_text
from evalsuite.errors import InputError
from evalsuite.records import Completions, Message, Request, Sample, Sampling, Score, assistant, missing, user
from evalsuite.scoring.final_answer import declared, final_number, last_text, marked_text, number, plain
from evalsuite.scoring.health import why_unread

TASK = {
    "version": 1,
    "primary": "acc",
    "variants": ("official", "8shot"),
    "fewshot": True,
    "public": "gsm8k",
    "data": ["test.jsonl of GSM8K (github.com/openai/grade-school-math): 1,319 problems (MIT)"],
}
FILES = (
    "test.jsonl",
    "grade_school_math/data/test.jsonl",
    "main/test-00000-of-00001.parquet",
    "test-00000-of-00001.parquet",
    "test_first660.jsonl",
)
OFFICIAL = ("cot_prompt_original", "prompt_original", "cot_prompt_hardest", "prompt_hardest")
REQUEST = "Work it out step by step. End with a line of this form: The answer is N."
SAMPLING = Sampling(max_tokens=512, stop=("\nQuestion:",))


def load(setup: Setup) -> Iterator[Sample]:
    path = setup.file(*FILES)
    for index, row in enumerate(setup.rows(*FILES)):
        if "question" not in row or "####" not in str(row.get("answer")):
            raise InputError(
                f"{path}: row {index + 1} needs 'question', and an 'answer' that ends with #### and a number"
            )
        steps, _, answer = row["answer"].rpartition("####")
        if number(answer) is None:
            raise InputError(f"{path}: row {index + 1}: no number behind #### in 'answer'")
        yield Sample(
            id=f"test-{row.get('row', index)}",
            messages=(user(row["question"]),),
            target=plain(answer),
            metadata={"steps": re.sub(r"<<.*?>>", "", steps).strip()},
        )


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    question = f"Question: {sample.messages[0]['content']}"
    if setup.variant == "official":
        asked = (user(f"{question}\nLet's think step by step"),)
        return [Request("generate", asked, sampling=SAMPLING, raw=True, examples=_official(setup))]
    asked = (user(f"{question}\n{REQUEST}"),)
    return [Request("generate", asked, sampling=SAMPLING, examples=_demonstrations(setup))]


def _official(setup: Setup) -> tuple[Message, ...]:
    """The official text, one demonstration a message: a window that is too small loses whole ones, the first first."""
    text = official_text(setup.official, "gsm8k", *OFFICIAL)
    shots = [f"Question:{part.rstrip()}" for part in text.split("Question:")[1:]]
    shots = shots[: setup.fewshot] if setup.fewshot is not None else shots
    return tuple(turn for shot in shots for turn in (user(shot), assistant("")))


def _demonstrations(setup: Setup) -> tuple[Message, ...]:
    rows, wanted = setup.own("demonstrations.jsonl"), setup.fewshot or 0
    if not 0 <= wanted <= len(rows):
        raise InputError(f"gsm8k has {len(rows)} demonstrations, not {wanted}: lower --fewshot")
    turns = [(user(f"Question: {r['question']}\n{REQUEST}"), assistant(r["answer"])) for r in rows[:wanted]]
    return tuple(turn for pair in turns for turn in pair)


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    text, completion = completions.text, completions["answer"]
    if completion.error:
        return {name: missing("backend_error") for name in ("acc", "acc_strict", "acc_flexible")}
    strict, flexible = marked_text(text), last_text(text)
    found = final_number(text)
    cut = completion.finish_reason == "length" and declared(text) is None  # its last number is no answer yet
    return {
        "acc": missing(why_unread(completion))
        if found is None or cut
        else Score(float(found == Fraction(sample.target)), answer=_shown(found)),
        "acc_strict": Score(float(strict == sample.target), answer=strict),
        "acc_flexible": Score(float(flexible == sample.target), answer=flexible),
    }


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else str(float(value))


def gold(sample: Sample) -> str:
    return f"{sample.metadata['steps']}\nThe answer is {sample.target}."


def near_miss(sample: Sample) -> str:
    """The right steps, and a slip at the end."""
    return f"{sample.metadata['steps']}\nThe answer is {_shown(Fraction(sample.target) + 1)}."


def parse(reply: str) -> str | None:
    """The number that `acc` reads, as text."""
    found = final_number(reply)
    return None if found is None else _shown(found)


def parse_strict(reply: str) -> str | None:
    return marked_text(reply)


PARSER = [
    {
        "function": parse,
        "table": [
            ("3 + 4 = 7. The answer is 7.", "7"),
            ("The answer is **$1,234.50**.", "1234.5"),
            ("#### 18", "18"),
            ("First I get 4.\n\nAnswer: 12 apples", "12"),
            ("so he has \\boxed{40} left", "40"),
            ("The answer is 3 x 4 = 12.", "12"),
            ("She pays 5 dollars and keeps 3.", "3"),
            ("The answer is -4.", "-4"),
            ("The answer is 7. No, wait. The answer is 8.", "8"),
            ("I cannot know the answer.", None),
            ("The answer is unknown, though 5 was given.", "5"),
            ("", None),
        ],
    },
    {
        "function": parse_strict,
        "table": [
            ("#### 1,234", "1234"),
            ("The answer is 7.", "7"),
            ("A: 18", "18"),
            ("She keeps 3.", None),
            ("The answer is seven.", None),
            ("#### -5", "-5"),
        ],
    },
]
