"""Rows with two answers and a label that names one: Auto-J, WIMHF, LLMBar, JudgeBench, AlpacaEval, PKU-SafeRLHF, QA
feedback, and our own. Every coding of the label becomes the one of `Pair`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from evalsuite.judging.importing.codings import of_alpaca, of_label, of_number, of_winner
from evalsuite.preferences.shapes_parts import PROMPTS, Found, Row, Shape, as_messages, known, one, prompt_in
from evalsuite.records import user

Coding = Callable[[Any], float | None]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Where such a row has its two answers and its label, and what the label means for the first one. None there is a
    pair without a label (an unparsed judge); ValueError a label that means nothing."""

    a: str
    b: str
    label: str
    coding: Coding
    models: tuple[str, str] | None = None
    lead: str = ""  # words that stand before every answer
    unread: tuple[str, ...] = ()  # fields that are not worth keeping

    def read(self, row: Row) -> Found:
        a, b = row[self.a], row[self.b]
        if a is None or b is None:
            return
        used = (*PROMPTS, self.a, self.b, self.label, "system", "Question", *(self.models or ()), *self.unread)
        found = known(row, *used)
        if self.models and row.get(self.models[0]):
            found |= {"model_a": str(row[self.models[0]]), "model_b": str(row[self.models[1]])}
        prompt = as_messages(row["Question"]) if "Question" in row else prompt_in(row)
        preference = self.coding(row[self.label])
        texts = {"a": str(a).removeprefix(self.lead), "b": str(b).removeprefix(self.lead)}
        yield {"messages": prompt, **texts, "preference": preference, **found}


def numbered(meanings: dict[int, float], other: float | None = None) -> Coding:
    """A label that is a number; `other` is what every other number means (ValueError unless given)."""

    def read(label: Any) -> float | None:
        number = of_number(label)
        if label is None:
            return None
        if number is None or (number not in meanings and other is None):
            raise ValueError(f"label {label!r} is none of {', '.join(map(str, meanings))}")
        return meanings.get(int(number), other)

    return read


def of_alpaca_first(label: Any) -> float | None:
    """AlpacaEval's preference is for its second output."""
    second = of_alpaca(label)
    return None if second is None else 1 - second


def of_named(label: Any) -> float | None:
    """ "Answer1", "response_2", "A", "tie" and their kin; a label of none of these raises ValueError."""
    found = of_winner(str(label).strip().lower().removeprefix("answer").removeprefix("response").strip("_ "))
    if found is None and label is not None:
        raise ValueError(f"label {label!r} names no answer")
    return found


def read_safer(row: Row) -> Found:
    """PKU-SafeRLHF: which answer is better, and which one is safer, as two pairs with their aspect."""
    a, b = row["response_0"], row["response_1"]
    if a is None or b is None:
        return
    ids = ("better_response_id", "safer_response_id")
    found = known(row, "prompt", "response_0", "response_1", *ids, "is_response_0_safe", "is_response_1_safe")
    found["metadata"]["safe"] = {"a": row.get("is_response_0_safe"), "b": row.get("is_response_1_safe")}
    coding = numbered({0: 1.0, 1: 0.0})
    for name in ids:
        if name in row:
            aspect = name.removesuffix("_response_id")
            texts = {"messages": as_messages(row["prompt"]), "a": str(a), "b": str(b)}
            yield {"id": aspect, **texts, **found, "preference": coding(row[name]), "aspect": aspect}


def read_feedback(row: Row) -> Found:
    """QA feedback: four predictions, and a verdict for each of their six pairs in the order (1, 2), (1, 3), (1, 4),
    (2, 3), (2, 4), (3, 4): 1 the first, 2 the second, 0 equal. The passages stand before the question; error spans are
    of prediction 1 alone."""
    labels = row["preference"]
    pairs = list(combinations(range(1, 5), 2))
    if len(labels) != len(pairs):
        raise ValueError(f"{len(labels)} preferences where four predictions have {len(pairs)} pairs")
    passages = "\n\n".join("\n".join(p) if isinstance(p, list) else str(p) for p in row.get("passages") or ())
    prompt = (user(f"{passages}\n\n{row['question']}".strip()),)
    metadata: dict[str, Any] = {"question": row["question"]}
    errors = (row.get("feedback") or {}).get("errors")
    coding = numbered({1: 1.0, 2: 0.0, 0: 0.5})
    for (one_, two), label in zip(pairs, labels, strict=True):
        names = f"prediction {one_}", f"prediction {two}"
        found = dict(metadata) | ({"errors": {"a": errors, "b": None}} if one_ == 1 and errors else {})
        yield {
            "id": f"{one_}-{two}",
            "messages": prompt,
            "a": str(row[names[0]]),
            "b": str(row[names[1]]),
            "preference": coding(label),
            "model_a": names[0],
            "model_b": names[1],
            "conversation": "row",  # the six pairs of a question belong together
            "metadata": found,
        }


def read_ours(row: Row) -> Found:
    """`Pair` itself as JSON."""
    preference = row["preference"]
    if preference is not None and not 0 <= float(preference) <= 1:
        raise ValueError(f"preference {preference} lies outside 0 to 1")
    found = {k: v for k, v in row.items() if k not in ("messages", "ratings") and v is not None}
    ratings = row.get("ratings")
    found["ratings"] = None if ratings is None else (float(ratings[0]), float(ratings[1]))
    yield {**found, "messages": as_messages(row["messages"]), "preference": preference, "own_id": str(row["id"])}


RAW = ("raw_completion", "price_per_example", "time_per_example")
AUTO_J = Labelled("response 1", "response 2", "label", numbered({0: 1.0, 1: 0.0, 2: 0.5}))
WIMHF = Labelled("response_A", "response_B", "label", numbered({1: 1.0, 0: 0.0}, other=0.5))
BENCH = Labelled("response_A", "response_B", "label", lambda label: of_label(label)[0])
BAR = Labelled("output_1", "output_2", "label", numbered({1: 1.0, 2: 0.0, 0: 0.5}))
PLAIN = Labelled("response_a", "response_b", "winner", of_named, ("model_a", "model_b"))
ANSWERS = Labelled("Answer1", "Answer2", "Preference", of_named, lead="Assistant: ")
ALPACA = Labelled("output_1", "output_2", "preference", of_alpaca_first, ("generator_1", "generator_2"), "", RAW)

SHAPES = (
    Shape("ours", ("id", "messages", "a", "b", "preference"), one(read_ours), placed=True),
    Shape("PKU-SafeRLHF", ("response_0", "response_1", "better_response_id"), one(read_safer), placed=True),
    Shape("QA feedback", ("question", "prediction 1", "prediction 4", "preference"), one(read_feedback), placed=True),
    Shape("Auto-J", ("response 1", "response 2", "label"), one(AUTO_J.read), placed=True),
    Shape("JudgeBench", ("pair_id", "response_A", "response_B", "label"), one(BENCH.read), placed=True),
    Shape("WIMHF", ("prompt", "response_A", "response_B", "label"), one(WIMHF.read), placed=True),
    Shape("LLMBar", ("input", "output_1", "output_2", "label"), one(BAR.read), placed=True),
    Shape("answers with a named winner", ("response_a", "response_b", "winner"), one(PLAIN.read), placed=True),
    Shape("two answers and a choice", ("Question", "Answer1", "Answer2", "Preference"), one(ANSWERS.read), placed=True),
    # The baseline is always output_1: that order says nothing of how the answers were shown.
    Shape("AlpacaEval", ("instruction", "output_1", "output_2", "preference"), one(ALPACA.read)),
)
