"""BIG-Bench Hard: 27 tasks on which language models were once worse than people, answered at once or step by step.

`@direct` wants the answer alone, `@cot` a chain of thought that ends with it. Without examples and in our own words, or
after the official three (`:official`, read from the user's copy).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalsuite.data import Setup
from evalsuite.data.files import read_rows
from evalsuite.data.official import official_text
from evalsuite.errors import InputError
from evalsuite.records import (
    Completions,
    Message,
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
from evalsuite.scoring.final_answer import after_last, declared
from evalsuite.scoring.groups import Rows, by_group, group_files, spread
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.typed_answers import read_answer, same_answer

TASK = {
    "version": 1,
    "primary": "acc",
    "methods": ("direct", "cot"),
    "variants": ("official",),
    "fewshot": ("official",),
    "public": "bbh",
    "data": ["bbh/<task>.json of BIG-Bench Hard (github.com/suzgunmirac/BIG-Bench-Hard; MIT)"],
}
OPTION, NUMBER, BRACKETS, WORDS = "option", "number", "brackets", "words"
TASKS = {  # by the kind of their answer, or the words that an answer may be
    "True|False": "boolean_expressions",
    "Yes|No": "causal_judgement navigate web_of_lies",
    "yes|no": "sports_understanding",
    "valid|invalid": "formal_fallacies",
    OPTION: "date_understanding disambiguation_qa geometric_shapes hyperbaton logical_deduction_five_objects "
    "logical_deduction_seven_objects logical_deduction_three_objects movie_recommendation penguins_in_a_table "
    "reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks temporal_sequences "
    "tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects "
    "tracking_shuffled_objects_three_objects",
    NUMBER: "multistep_arithmetic_two object_counting",
    BRACKETS: "dyck_languages",
    WORDS: "word_sorting",
}
FORMS = {task: form for form, tasks in TASKS.items() for task in tasks.split()}
# The paper counts the sizes of two puzzles as one task each: 23 tasks.
MERGED = {task: re.sub(r"_(three|five|seven)_objects$", "", task) for task in FORMS}
FILES = ("{}.json", "bbh/{}.json", "{}__direct.jsonl", "{}.jsonl")
WANTED = {
    OPTION: "the letter of the right option in brackets, such as (A)",
    NUMBER: "a number in digits",
    BRACKETS: "the closing brackets alone, with a space between them",
    WORDS: "the words in their order, with a space between them",
}
LIMITS = {"direct": 64, "cot": 1024}


def load(setup: Setup) -> Iterator[Sample]:
    found: dict[str, list[Sample]] = {}
    for task, path in group_files(setup, FORMS, FILES).items():
        for number, row in enumerate(_rows(path)):
            own, question = task or row.get("task"), row.get("input", row.get("question"))
            if own not in FORMS or not isinstance(question, str) or not isinstance(row.get("target"), str):
                raise InputError(f"{path}: row {number + 1} needs 'input' and 'target', and the file's name a BBH task")
            sample = Sample(
                id=f"{own}-{number}",
                messages=(user(re.sub(r"\nA:.*\Z", "", question)),),  # recorded prompts end with the answer's line
                target=row["target"],
                metadata={"task": own, "form": FORMS[own]},
            )
            found.setdefault(own, []).append(sample)
    yield from spread(found)


def _rows(path: Path) -> Sequence[Mapping[str, Any]]:
    rows = read_rows(path)
    nested = rows[0].get("examples") if len(rows) == 1 else None
    return nested if isinstance(nested, list) else rows


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    question, task = str(sample.messages[0]["content"]), str(sample.metadata["task"])
    sampling = Sampling(max_tokens=LIMITS[setup.method], stop=("\nQ:",))
    if setup.variant == "official":
        about, shots = _official(setup, task)
        lead = " Let's think step by step." if setup.method == "cot" else ""
        asked = (system(about), user(f"Q: {question}\nA:{lead}"))
        return [Request("generate", asked, sampling=sampling, raw=True, examples=shots)]
    wanted = WANTED.get(FORMS[task]) or " or ".join(FORMS[task].split("|"))
    how = (
        f"Reply with {wanted}, and nothing else."
        if setup.method == "direct"
        else f"Think step by step. End with a line of this form: The answer is X. Instead of X, write {wanted}."
    )
    return [Request("generate", (user(f"Q: {question}\n{how}\nA:"),), sampling=sampling)]


def _official(setup: Setup, task: str) -> tuple[str, tuple[Message, ...]]:
    """The task's description and its demonstrations: with their chains of thought, or (@direct) their answers alone."""
    text = official_text(setup.official, "bbh", task)
    text = text.split("-----\n", 1)[-1]  # a canary against training on the file stands above
    about, *parts = re.split(r"^Q: ", text, flags=re.MULTILINE)
    shots = [f"Q: {part.strip()}" for part in parts]
    if setup.method == "direct":
        shots = [f"{shot.split(chr(10) + 'A:')[0]}\nA: {after_last(shot, 'answer is ')}" for shot in shots]
    shots = shots[: setup.fewshot] if setup.fewshot is not None else shots
    return about.strip(), tuple(turn for shot in shots for turn in (user(shot), assistant("")))


def score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    completion, form = completions["answer"], str(sample.metadata["form"])
    if completion.error:
        return {name: missing("backend_error") for name in ("acc", "acc_official")}
    official = parse_official(completion.text) if setup.method == "cot" else completion.text.strip()
    found = parse((form, completion.text, setup.method))
    return {
        "acc": missing(why_unread(completion))
        if found is None
        else Score(float(same_answer(found, sample.target, form)), answer=found),
        "acc_official": Score(float(official == sample.target), answer=official[:200]),
    }


def metrics(rows: Rows, setup: Setup) -> list[Metric]:
    """Beside the micro averages: means over the 27 tasks, over the paper's 23, and every task."""
    rows, made = list(rows), []
    for name in ("acc", "acc_official"):
        merged = by_group(rows, name, "task", setup.task, merged=MERGED)[0]
        made += [replace(merged, name=f"{name}_macro23"), *by_group(rows, name, "task", setup.task)]
    return made


def baselines(samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
    """Any allowed answer alike, and always the one that is right most often in its task; 0 where answers are free."""
    uniform = sum(1 / count for s in samples if (count := _allowed(s)))
    answers = Counter((s.metadata["task"], s.target) for s in samples)
    most = {task: max(n for (own, _), n in answers.items() if own == task) for task, _ in answers}
    return {"acc": {"uniform": uniform / len(samples), "commonest": sum(most.values()) / len(samples)}}


def _allowed(sample: Sample) -> int:
    form = str(sample.metadata["form"])
    if form == OPTION:
        return len(re.findall(r"^\(?[A-Z]\) ", str(sample.messages[0]["content"]), re.MULTILINE))
    return form.count("|") + 1 if "|" in form else 0


def gold(sample: Sample, setup: Setup) -> str:
    return sample.target if setup.method == "direct" else f"Step by step. So the answer is {sample.target}."


def near_miss(sample: Sample, setup: Setup) -> str:
    """Another answer of the same kind."""
    form, target = str(sample.metadata["form"]), str(sample.target)
    if form == OPTION:
        other = "(A)" if target != "(A)" else "(B)"
    elif "|" in form:
        other = next(word for word in form.split("|") if word != target)
    elif form == NUMBER:
        other = str(int(target) + 1)
    else:
        other = " ".join(target.split()[1:]) or "x"
    return other if setup.method == "direct" else f"Step by step. So the answer is {other}."


def parse(asked: tuple[str, str, str]) -> str | None:
    """What `acc` reads, of (form, reply, method): the declared answer, else (@direct) the reply itself, up to where a
    model goes on by itself with further lines "A:"."""
    form, reply, method = asked
    own = re.split(r"\n+[AQ]:", reply.strip())[0] if method == "direct" else reply
    texts = [declared(own), own if method == "direct" else None, declared(reply)]
    found = (read_answer(text, form) for text in texts if text)
    return next((answer for answer in found if answer is not None), None)


def parse_official(reply: str) -> str:
    """After the last "answer is ", the first line without one final full stop."""
    return after_last(reply, "answer is ")


PARSER = [
    {
        "function": parse,
        "table": [
            (("option", "(B)", "direct"), "B"),
            (("option", "The answer is (C) 12/25/1937.", "direct"), "C"),
            (("option", "Step 1 is (A). So the answer is (D).", "cot"), "D"),
            (("option", "It could be (A) or (B).", "direct"), None),
            (("option", "Step 1 excludes (A).", "cot"), None),
            (("True|False", " True", "direct"), "True"),
            (("True|False", " False\n\nA: True\n\nA: True", "direct"), "False"),
            (("True|False", "not True is False, so the answer is false.", "cot"), "False"),
            (("True|False", "True and False", "direct"), None),
            (("Yes|No", "No, you do not return.", "direct"), "No"),
            (("yes|no", "Nothing is plausible.", "direct"), None),
            (("valid|invalid", "The argument is invalid.", "direct"), "invalid"),
            (("number", "**24**", "direct"), "24"),
            (("number", "2 + 2 = 4. So the answer is -4.", "cot"), "-4"),
            (("brackets", "] ) >", "direct"), "] ) >"),
            (("brackets", "So the answer is ])>.", "cot"), "] ) >"),
            (("words", "apple, pear, plum", "direct"), "apple pear plum"),
            (("number", "", "direct"), None),
        ],
    },
    {
        "function": parse_official,
        "table": [
            ("So the answer is (B).", "(B)"),
            ("The answer is 3. No, the answer is 4.\nDone.", "4"),
            ("So the answer is ] ].", "] ]"),
            ("Nothing.", "Nothing"),
        ],
    },
]
