"""AlpacaEval's annotations, full (a JSON list with texts) and compact (lengths and a number for the instruction).

model_a is the model, model_b the baseline. The full form names its samples by a hash of the instruction, because no id
stands in it; `instruction_id` gives the same for other files. Where the judge's top log-probabilities are stored, the
order in which it saw the answers is read from them: the preference is stored unswitched, the reply is not.
"""

from typing import Any

from evalsuite.data import fingerprint
from evalsuite.judging.contract import Annotation
from evalsuite.judging.importing.codings import of_alpaca, of_number, of_top_logprobs
from evalsuite.judging.importing.shapes import Origin, Row, Shape, annotation, text_lengths

SURE = 1e-6  # how near a stored preference is to what its own log-probabilities give


def instruction_id(instruction: str) -> str:
    return fingerprint(instruction)


def read_full(row: Row, origin: Origin) -> list[Annotation]:
    preference = of_alpaca(row["preference"])
    identical = row["output_1"] == row["output_2"]
    texts = text_lengths(row["output_2"], row["output_1"])
    raw = row.get("raw_completion")
    top = _stored_top(raw)
    known = {
        "category": str(row.get("dataset") or ""),
        "order": "" if identical else _order(top, preference),
        "preference": preference,
        "mode": "logprobs" if top and preference is not None else "none" if preference is None else "text",
        "raw": raw if isinstance(raw, str) else "".join(t for t, _ in top[:1]),
        "cost": of_number(row.get("price_per_example")),
        **texts,
    }
    if identical:
        known |= {"status": "identical", "mode": "none"}
    name = str(row.get("annotator") or "alpaca_eval")
    models = str(row["generator_2"]), str(row["generator_1"])
    return [annotation(instruction_id(str(row["instruction"])), *models, (name, ""), **known)]


def read_compact(row: Row, origin: Origin) -> list[Annotation]:
    preference = of_alpaca(row["preference"])
    top = [(str(t), float(p)) for t, p in row.get("top_logprobs") or ()]
    known: dict[str, Any] = {
        "order": _order(top, preference),
        "preference": preference,
        "raw": str(row.get("text") or ""),
        "tokens": int(of_number(row.get("total_tokens")) or 0),
        "cost": of_number(row.get("price_per_example")),
        "length_a": int(row["len_output_2"]),
        "length_b": int(row["len_output_1"]),
    }
    if top:
        known |= {"mode": "logprobs", "details": {"top_logprobs": top}}
    if row.get("identical"):
        known |= {"status": "identical", "mode": "none"}
    return [annotation(row["index"], origin.stem, origin.baseline, ("alpaca_eval", ""), **known)]


def _stored_top(raw: Any) -> list[tuple[str, float]]:
    """The first generated token's alternatives out of a stored reply."""
    content = ((raw.get("logprobs") or {}).get("content") or ()) if isinstance(raw, dict) else ()
    return [(str(t["token"]), float(t["logprob"])) for t in content[0].get("top_logprobs", ())] if content else []


def _order(top: list[tuple[str, float]], preference: float | None) -> str:
    """ "ab" where the model's answer stood first; "" where the reply does not tell."""
    first = of_top_logprobs(top, "m", "M") if top else None
    if first is None or preference is None or abs(first - 0.5) < SURE:
        return ""
    return "ab" if abs(first - preference) < SURE else "ba" if abs(1 - first - preference) < SURE else ""


SHAPES = (
    Shape(
        "AlpacaEval annotations",
        ("instruction", "output_1", "output_2", "generator_1", "generator_2", "preference"),
        read_full,
    ),
    Shape("AlpacaEval compact", ("index", "len_output_1", "len_output_2", "preference"), read_compact),
)
