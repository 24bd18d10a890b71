"""MMLU: 57 school and professional subjects, four options each, after five solved examples of the subject.

`@logprob` asks which of " A" to " D" is likeliest after "Answer:"; `@letter` reads the letter that the model writes.
Where a prompt does not fit the window, examples are dropped, the first first; a question is never cut.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from evalsuite.data import Setup
from evalsuite.data.files import read_rows, read_text
from evalsuite.data.official import official_text
from evalsuite.errors import InputError
from evalsuite.records import (
    Completions,
    Metric,
    Request,
    Sample,
    Sampling,
    Score,
    assistant,
    missing,
    system,
    user,
)
from evalsuite.scoring.choices import constant_choosers, logprob_score, option_lines
from evalsuite.scoring.groups import Rows, by_group, group_files, spread
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.verdicts import choice_letter

TASK = {
    "version": 1,
    "primary": "acc",
    "methods": ("logprob", "letter"),
    "variants": ("official", "0shot"),
    "fewshot": True,
    "public": "mmlu",
    "data": ["the csv files of MMLU (github.com/hendrycks/test; MIT): <subject>_test.csv and <subject>_dev.csv"],
}
SUBJECTS = {
    "stem": "abstract_algebra astronomy college_biology college_chemistry college_computer_science "
    "college_mathematics college_physics computer_security conceptual_physics electrical_engineering "
    "elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science "
    "high_school_mathematics high_school_physics high_school_statistics machine_learning",
    "humanities": "formal_logic high_school_european_history high_school_us_history high_school_world_history "
    "international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory "
    "professional_law world_religions",
    "social_sciences": "econometrics high_school_geography high_school_government_and_politics "
    "high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality "
    "professional_psychology public_relations security_studies sociology us_foreign_policy",
    "other": "anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management "
    "marketing medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology",
}
CATEGORY = {subject: category for category, subjects in SUBJECTS.items() for subject in subjects.split()}
TEST = ("{}_test.csv", "test/{}_test.csv", "data/test/{}_test.csv")
DEV = ("{}_dev.csv", "dev/{}_dev.csv", "data/dev/{}_dev.csv")
LETTERS, SHOTS = "ABCD", 5


def load(setup: Setup) -> Iterator[Sample]:
    found: dict[str, list[Sample]] = {}
    for subject, path in group_files(setup, CATEGORY, TEST).items():
        for index, row in enumerate(_rows(path, subject)):
            own = row["subject"]
            sample = Sample(
                id=f"{own}-{index if subject else len(found.get(own, ()))}",
                messages=(user(row["question"]),),
                target=LETTERS[row["answer"]],
                metadata={"subject": own, "category": CATEGORY[own], "choices": row["choices"]},
            )
            found.setdefault(own, []).append(sample)
    yield from spread(found)


@cache
def _rows(path: Path, subject: str) -> list[dict[str, Any]]:
    """{"question", "choices", "answer" (0 to 3), "subject"} of the benchmark's csv (no header) or the Hub's columns."""
    if path.name.removesuffix(".gz").endswith(".csv"):
        lines = csv.reader(io.StringIO(read_text(path)))
        rows: list[dict[str, Any]] = [
            {"question": r[0], "choices": r[1:5], "answer": LETTERS.find(r[5]) if len(r) == 6 else None} for r in lines
        ]
    else:
        rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        row["subject"] = subject or row.get("subject")
        choices, answer = row.get("choices"), row.get("answer")
        if row["subject"] not in CATEGORY or len(choices or ()) != len(LETTERS) or answer not in range(len(LETTERS)):
            raise InputError(f"{path}: row {number} needs a question, four choices, an answer A to D, a known subject")
    return rows


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    subject = str(sample.metadata["subject"])
    shown = _shown(str(sample.messages[0]["content"]), sample.metadata["choices"])
    if setup.method == "letter":
        asked = (system(f"{_header(setup, subject).rstrip()} Reply with the letter alone."), user(shown))
        examples = tuple(m for text, right in _examples(setup, subject) for m in (user(text), assistant(right)))
        return [Request("generate", asked, sampling=Sampling(max_tokens=16), examples=examples)]
    # Raw text: an example is a whole paragraph, and a turn without text leaves no trace.
    asked = (system(_header(setup, subject).rstrip()), user(shown))
    examples = tuple(m for text, right in _examples(setup, subject) for m in (user(f"{text} {right}"), assistant("")))
    continuations = tuple(f" {letter}" for letter in LETTERS)
    return [Request("loglikelihood", asked, continuations=continuations, raw=True, examples=examples)]


def _shown(question: str, choices: Sequence[str]) -> str:
    return f"{question.strip()}\n{option_lines(choices)}\nAnswer:"


def _header(setup: Setup, subject: str) -> str:
    words = subject.replace("_", " ")
    if setup.variant != "official":
        return f"Questions about {words}, each with four options and the letter of the right one."
    text = official_text(setup.official, "mmlu", "description")  # that of any subject
    other = next((o for o in sorted(CATEGORY, key=len, reverse=True) if o.replace("_", " ") in text), None)
    if other is None:
        raise InputError(f"{setup.official}: MMLU's 'description' names no subject: {text!r}")
    return text.replace(other.replace("_", " "), words)


def _examples(setup: Setup, subject: str) -> list[tuple[str, str]]:
    wanted = SHOTS if setup.fewshot is None else setup.fewshot
    if not wanted:
        return []
    rows = [row for row in _dev(setup, subject) if row["subject"] == subject]
    if len(rows) < wanted:
        raise InputError(f"mmlu has {len(rows)} examples of {subject}, not {wanted}: lower --fewshot")
    return [(_shown(row["question"], row["choices"]), LETTERS[row["answer"]]) for row in rows[:wanted]]


@cache
def _dev(setup: Setup, subject: str) -> list[dict[str, Any]]:
    test = group_files(setup, [subject], TEST)[subject]
    places = [test.parent, test.parent.parent]
    names = [form.format(subject) for form in DEV] + [test.name.replace("test", "dev")]
    paths = [place / name for place in places for name in names if (place / name).is_file() and place / name != test]
    if not paths:
        raise InputError(f"{test}: no {subject}_dev.csv beside it to take examples from; give it, or --fewshot 0")
    return _rows(paths[0], subject if paths[0].suffix == ".csv" else "")


def score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    if setup.method == "logprob":
        return {"acc": logprob_score(completions.of("answer"), LETTERS.index(sample.target), LETTERS)}
    letter = parse(completions.text)
    if letter is None:
        return {"acc": missing(why_unread(completions["answer"]))}
    return {"acc": Score(float(letter == sample.target), answer=letter)}


def metrics(rows: Rows, setup: Setup) -> list[Metric]:
    """Beside `acc`, which is the micro average: the mean over subjects, and every category and subject."""
    rows = list(rows)
    return by_group(rows, "acc", "subject", setup.task) + by_group(rows, "acc", "category", setup.task)[1:]


def baselines(samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
    choices = [s.metadata["choices"] for s in samples]
    return {"acc": constant_choosers(choices, [LETTERS.index(s.target) for s in samples])}


def gold(sample: Sample, setup: Setup) -> str | dict[str, list[float]]:
    return _answer(sample.target, setup)


def near_miss(sample: Sample, setup: Setup) -> str | dict[str, list[float]]:
    """The letter beside the right one."""
    return _answer(LETTERS[(LETTERS.index(sample.target) + 1) % len(LETTERS)], setup)


def _answer(letter: str, setup: Setup) -> str | dict[str, list[float]]:
    return letter if setup.method == "letter" else {"answer": [-1.0 if own == letter else -9.0 for own in LETTERS]}


def parse(reply: str) -> str | None:
    return choice_letter(reply, LETTERS)


PARSER = {
    "function": parse,
    "table": [
        ("C", "C"),
        ("(B)", "B"),
        ("**D**. The star is too far away.", "D"),
        ("The answer is A.", "A"),
        ("A comet has a tail.", None),
        ("B or C", None),
        ("", None),
        ("E", None),
    ],
}
