"""Answers inside conversations: WildBench (scores, verdicts against a reference), PRISM (people's sliders)."""

from typing import Any

from evalsuite.judging.contract import Annotation
from evalsuite.judging.importing.codings import of_grade, of_label, of_number, of_winner
from evalsuite.judging.importing.shapes import PERSON, Origin, Row, Shape, annotation


def read_wild_pair(row: Row, origin: Origin) -> list[Annotation]:
    """A++ ... B++; the files' older form has the winner's name and an extent of 2, 1, 0. One order only."""
    a, b = str(row["model_A"]), str(row["model_B"])
    parsed = row.get("parsed_result") or {}
    preference, strength = of_label(parsed.get("choice") if isinstance(parsed, dict) else None)
    if preference is None and "winner" in row:
        names = {a: 1.0, b: 0.0}
        preference = names.get(str(row["winner"]), of_winner(row["winner"]))
        strength = int(of_number(row.get("extent")) or 0)
    outputs = row.get("model_outputs") or {}
    known: dict[str, Any] = {"order": "ab", "preference": preference, "details": {"strength": strength}}
    known["category"] = str(row.get("category") or "")
    if a in outputs and b in outputs:
        known |= {"length_a": len(outputs[a]), "length_b": len(outputs[b])}
    return [annotation(row["session_id"], a, b, ("wildbench", _judge(row)), **known)]


def read_wild_score(row: Row, origin: Origin) -> list[Annotation]:
    """A score of 1 to 10, stored as text."""
    parsed = row.get("parsed_result") or {}
    score = row.get("score", parsed.get("score") if isinstance(parsed, dict) else None)
    text = str(row.get("model_output") or row.get("output") or "")
    model = str(row.get("model_test") or row.get("model") or origin.stem)
    known: dict[str, Any] = {"score": of_grade(score), "length_a": len(text) or int(row.get("output_chars") or 0)}
    if row.get("truncated"):
        known["details"] = {"truncated": True}
    return [annotation(row["session_id"], model, "", ("wildbench", _judge(row)), **known)]


def read_prism(row: Row, origin: Origin) -> list[Annotation]:
    """A person's slider, 0 to 100, for one answer of one turn. A pair of one turn whose scores differ by 5 or less is
    a tie: whoever makes pairs decides that."""
    return [
        annotation(
            row["interaction_id"],
            str(row["model_name"]),
            "",
            (PERSON, str(row["user_id"])),
            score=of_number(row["score"]),
            length_a=len(str(row.get("model_response") or "")),
            category=str(row.get("conversation_type") or ""),
            details={"turn": int(row.get("turn") or 0), "chosen": row.get("if_chosen")},
        )
    ]


def _judge(row: Row) -> str:
    return str(row.get("judge") or row.get("eval_model") or "")


SHAPES = (
    Shape("WildBench verdicts", ("session_id", "model_A", "model_B"), read_wild_pair),
    Shape("WildBench scores", ("session_id", "parsed_result"), read_wild_score),
    Shape("WildBench scores", ("session_id", "model_test", "score"), read_wild_score),
    Shape("PRISM utterances", ("interaction_id", "user_id", "model_name", "score"), read_prism),
)
