"""Pairs of real answers out of files that hold them with their question: what attacks are tried on.

LLMBar's and PandaLM's sets, AlpacaEval's full annotations, JudgeBench, TRL's prompt/chosen/rejected and their kin.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.data.files import read_rows
from evalsuite.judging.contract import Answer, Case
from evalsuite.records import user

ANSWERS = (
    ("output_1", "output_2"),
    ("response1", "response2"),
    ("response_1", "response_2"),
    ("response_a", "response_b"),
    ("response_A", "response_B"),
    ("answer_a", "answer_b"),
    ("output_a", "output_b"),
    ("chosen", "rejected"),
)
QUESTIONS = ("question", "prompt", "instruction", "query")
IDS = ("pair_id", "question_id", "id", "idx", "index")
NAMES = (("generator_1", "generator_2"), ("model_a", "model_b"))


def cases_in(path: Path, limit: int | None = None) -> list[Case]:
    """The file's pairs, each question with its two answers once; none where its rows hold no texts."""
    found: dict[tuple[str, str, str], Case] = {}
    for number, row in enumerate(read_rows(path)):
        case = _case(row, number)
        if case is not None:
            found.setdefault((str(case.messages[0]["content"]), case.a, case.b), case)
        if limit is not None and len(found) >= limit:
            break
    return list(found.values())


def _case(row: Mapping[str, Any], number: int) -> Case | None:
    fields = next((f for f in ANSWERS if all(isinstance(row.get(name), str) for name in f)), None)
    question = _question(row)
    if fields is None or not question:
        return None
    names = next((tuple(str(row[n]) for n in pair) for pair in NAMES if all(row.get(n) for n in pair)), ("", ""))
    identity = next((str(row[name]) for name in IDS if row.get(name) is not None), str(number))
    if row.get("subset"):
        identity = f"{row['subset']}/{identity}"
    a, b = (Answer(row[field], name) for field, name in zip(fields, names, strict=True))
    return Case(identity, (user(question),), (a, b))


def _question(row: Mapping[str, Any]) -> str:
    """The question, with the input that it is about where that stands apart."""
    asked = next((row[name] for name in QUESTIONS if isinstance(row.get(name), str) and row[name].strip()), "")
    given = row.get("input")
    given = given if isinstance(given, str) else ""
    return "\n\n".join(part for part in (asked, given) if part.strip())
