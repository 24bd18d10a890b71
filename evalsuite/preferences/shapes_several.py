"""Rows that give several pairs, or whole conversations: PRISM, Chatbot Arena, UltraFeedback with all its completions,
and the example pairs of WIMHF's demonstration file.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from evalsuite.judging.importing.codings import of_number, of_winner
from evalsuite.preferences.shapes_parts import Found, Row, Shape, as_messages, known, one, parted
from evalsuite.records import Message, assistant, user

EQUAL = 5
"""PRISM: sliders (0 to 100) that differ by no more are a tie."""

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")


def of_scores(a: float | None, b: float | None, equal: float = 0.0) -> float | None:
    """Preference from two grades; None where one is missing."""
    if a is None or b is None:
        return None
    return 0.5 if abs(a - b) <= equal else float(a > b)


def _graded(answers: Sequence[Row], prompt: Sequence[Message], shared: Mapping[str, Any], equal: float) -> Found:
    """All pairs of some answers to one prompt. An answer has id, text, model, score, and `more` of both sides."""
    for one_, two in combinations(answers, 2):
        scores = of_number(one_["score"]), of_number(two["score"])
        yield {
            "id": f"{shared.get('id', '')}{one_['id']}-{two['id']}",
            "messages": tuple(prompt),
            "a": str(one_["text"]),
            "b": str(two["text"]),
            "preference": of_scores(*scores, equal),
            "ratings": None if None in scores else scores,
            "model_a": str(one_["model"]),
            "model_b": str(two["model"]),
            **{k: v for k, v in shared.items() if k not in ("id", "metadata")},
            "metadata": {**shared.get("metadata", {}), **_both(one_["more"], two["more"])},
        }


def _both(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    return {key: {"a": a[key], "b": b[key]} for key in a if key in b}


def read_prism_history(row: Row) -> Found:
    """PRISM's conversations: every pair of answers of a turn, after what was said (and chosen) before."""
    said = [dict(m, role="user" if m["role"] == "user" else "model") for m in row["conversation_history"]]
    about = {"annotator": str(row["user_id"]), "conversation": str(row["conversation_id"])}
    yield from _prism_turns(said, {**about, "metadata": _prism_kind(row)})


def read_prism_answers(rows: Sequence[Row]) -> Found:
    """PRISM's utterances, a row an answer: the same pairs from all rows of a conversation."""
    said: list[dict[str, Any]] = []
    asked: set[str] = set()
    for row in rows:
        if row["interaction_id"] not in asked:
            asked.add(row["interaction_id"])
            said.append({"turn": row["turn"], "role": "user", "content": row["user_prompt"]})
        said.append({**row, "role": "model", "content": row["model_response"]})
    about = {"annotator": str(rows[0]["user_id"]), "conversation": str(rows[0]["conversation_id"])}
    yield from _prism_turns(said, {**about, "metadata": _prism_kind(rows[0])})


def _prism_kind(row: Row) -> dict[str, Any]:
    return {"kind": row["conversation_type"]} if row.get("conversation_type") else {}


def _prism_turns(said: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]) -> Found:
    history: list[Message] = []
    for turn in sorted({int(m["turn"]) for m in said}):
        here = [m for m in said if int(m["turn"]) == turn]
        history += [user(str(m["content"])) for m in here if m["role"] == "user"]
        answers = [m for m in here if m["role"] == "model"]
        cards = [
            {"id": place, "text": m["content"], "model": m.get("model_name") or "", "score": m.get("score"), "more": {}}
            for place, m in enumerate(answers)
            if m["content"] is not None
        ]
        yield from _graded(cards, history, {**shared, "id": f"{turn}:"}, EQUAL)
        chosen = next((m for m in answers if m.get("if_chosen") in (True, "True", "true", 1)), None)
        if chosen is not None:
            history.append(assistant(str(chosen["content"])))


def read_completions(row: Row) -> Found:
    """UltraFeedback with its completions: every pair by overall score; the aspects' ratings stand in the metadata."""
    cards = []
    for place, answer in enumerate(row["completions"]):
        ratings = answer.get("annotations") or {}
        more = {k: of_number((ratings.get(k) or {}).get("Rating")) for k in ASPECTS if k in ratings}
        score = answer.get("overall_score", answer.get("fine-grained_score"))
        cards.append(
            {"id": place, "text": answer["response"], "model": answer.get("model") or "", "score": score, "more": more}
        )
    metadata = {"source": row["source"]} if row.get("source") else {}
    yield from _graded(cards, as_messages(row["instruction"]), {"conversation": "row", "metadata": metadata}, 0.0)


def read_kaggle(row: Row) -> Found:
    """Arena as on Kaggle: prompt and answers are JSON lists of turns, the winner stands in three columns."""
    asked, first, second = (_listed(row[name]) for name in ("prompt", "response_a", "response_b"))
    flags = [of_number(row[name]) for name in ("winner_model_a", "winner_model_b", "winner_tie")]
    winner = [value for flag, value in zip(flags, (1.0, 0.0, 0.5), strict=True) if flag == 1]
    names = ("prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie")
    texts = _conversations(_talk(asked, first), _talk(asked, second))
    yield {
        **texts,
        "preference": winner[0] if len(winner) == 1 else None,
        **_models(row),
        **known(row, *names, *MODELS),
    }


def _listed(value: Any) -> list[str]:
    """A list of turns, or its JSON text; a turn that is null was left empty."""
    turns = json.loads(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    return ["" if t is None else str(t) for t in (turns if isinstance(turns, list) else [turns])]


def _talk(asked: Sequence[str], answered: Sequence[str]) -> list[Message]:
    return [m for ask, answer in zip(asked, answered, strict=False) for m in (user(ask), assistant(answer))]


def read_votes(row: Row) -> Found:
    """Arena's votes with both conversations (also MT-Bench's); a row of the second turn is a pair of its own."""
    both = [as_messages(row[f"conversation_{side}"]) for side in "ab"]
    names = ("conversation_a", "conversation_b", "winner", "judge", *MODELS)
    winner = str(row["winner"]).replace("both_bad", "tie").replace("bothbad", "tie").replace("tie (tie)", "tie")
    found = known(row, *names)
    if row.get("judge"):
        found["annotator"] = str(row["judge"])
    yield {**_conversations(*both), "preference": of_winner(winner), **_models(row), **found}


MODELS = ("model_a", "model_b")


def _models(row: Row) -> dict[str, str]:
    return {name: str(row.get(name) or "") for name in MODELS}


def _conversations(first: Sequence[Message], second: Sequence[Message]) -> dict[str, Any]:
    if not first or not second:
        raise ValueError("a conversation is empty")
    shared, a, b = parted(first, second)
    return {"messages": shared, "a": a, "b": b}


def read_demo(row: Row) -> Found:
    """The example pairs of every feature, which are the strongest two per cent: no sample of their dataset. `split` is
    left empty; metadata: dataset, feature, activation (positive where `a` has more), z, percentile."""
    for dataset, features in row.items():
        for number, feature in features.items():
            for group in feature["examples"].values():
                for place, example in enumerate(group):
                    yield {
                        "id": f"{dataset}:{number}:{place}",
                        "messages": as_messages(example["prompt"]),
                        "a": str(example["response_A"]),
                        "b": str(example["response_B"]),
                        "preference": {1: 1.0, 0: 0.0}.get(int(example["label"]), 0.5),
                        "metadata": {
                            "dataset": dataset,
                            "feature": int(number),
                            "activation": example["activation_value"],
                            "z": example["activation_z_score"],
                            "percentile": example["percentile"],
                        },
                    }


def _demo(row: Row) -> bool:
    first = next(iter(row.values()), None)
    inner = next(iter(first.values()), None) if isinstance(first, dict) else None
    return isinstance(inner, dict) and "fidelity_correlation" in inner and "examples" in inner


def _scored(row: Row) -> bool:
    return isinstance(row["completions"], list)


DEMO = "WIMHF examples (strongest pairs of each feature)"
PRISM = "PRISM conversations"
PRISM_ANSWERS = "PRISM utterances"
KAGGLE = ("response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie")
SHAPES = (
    Shape(PRISM, ("conversation_history", "user_id", "conversation_id"), one(read_prism_history)),
    Shape(
        PRISM_ANSWERS,
        ("interaction_id", "conversation_id", "user_id", "model_response", "score"),
        read_prism_answers,
        grouped="conversation_id",
    ),
    Shape("UltraFeedback (completions)", ("instruction", "completions"), one(read_completions), check=_scored),
    Shape("Arena (Kaggle)", ("prompt", *KAGGLE), one(read_kaggle), placed=True),
    Shape("Arena votes", ("conversation_a", "conversation_b", "winner"), one(read_votes), placed=True),
    Shape(DEMO, (), one(read_demo), placed=True, check=_demo),
)
