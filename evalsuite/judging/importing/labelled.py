"""Pair sets that come with labels, and verdicts on them: PandaLM, LLMBar, JudgeBench.

Pairs whose answers have no models' names (or the same one) are called by their place: "response 1" and "response 2".
PandaLM's verdicts name nothing at all: their models are "", and take the names of the pairs with the same sample.
A set's own label is an annotation too: of a person, or of judge "label" where it holds by construction.
"""

from typing import Any

from evalsuite.judging.contract import Annotation
from evalsuite.judging.importing.codings import of_label, of_winner
from evalsuite.judging.importing.shapes import PERSON, Origin, Row, Shape, annotation, text_lengths

PLACES = ("response 1", "response 2")
LABEL = ("label", "")


def read_panda_people(row: Row, origin: Origin) -> list[Annotation]:
    """Three people on one pair: 1, 2, or 0 for a tie."""
    texts = text_lengths(row["response1"], row["response2"])
    names = str(row.get("cmp_key") or "").split("_")
    models = (names[0], names[1]) if len(names) == len(PLACES) else PLACES
    people = [k for k in row if k.startswith("annotator")]
    return [
        annotation(
            row["idx"],
            *models,
            (PERSON, name),
            preference=of_winner(row[name]),
            category=str(row.get("motivation_app") or ""),
            **texts,
        )
        for name in people
    ]


def read_panda_judge(row: Row, origin: Origin) -> list[Annotation]:
    """1, 2 or Tie; anything else (garbage) is no verdict. PandaLM itself counts it as a tie."""
    known: dict[str, Any] = {"preference": of_winner(row["result"]), "order": "ab", "raw": str(row.get("reason") or "")}
    known |= {"protocol": "pairwise", "details": {"result": str(row["result"])}}
    return [annotation(row["idx"], "", "", ("pandalm", origin.stem.removeprefix("judge_")), **known)]


def read_bar_label(row: Row, origin: Origin) -> list[Annotation]:
    subset = str(row.get("subset") or "")
    texts = text_lengths(row["output_1"], row["output_2"])
    sample = f"{subset}/{row['idx']}" if "idx" in row else str(row["input"])
    return [annotation(sample, *PLACES, LABEL, preference=of_winner(row["label"]), category=subset, **texts)]


def read_bar_verdict(row: Row, origin: Origin) -> list[Annotation]:
    """Both orders of one evaluator: winners are mapped back to the pair's own numbering already."""
    games = _games(row)
    sample = f"{row['subset']}/{row['idx']}" if "idx" in row and "subset" in row else str(row["input"])
    return [
        annotation(
            sample,
            *PLACES,
            ("llmbar", str(row.get("evaluator") or origin.stem)),
            order=order,
            preference=of_winner(games[f"swap = {swap}"].get("winner")),
            raw=_text(games[f"swap = {swap}"].get("completion")),
            category=str(row.get("subset") or ""),
        )
        for swap, order in ((False, "ab"), (True, "ba"))
    ]


def _games(row: Row) -> Any:
    """Where the two orders stand: in the row, or in the last of a list of steps."""
    if "swap = False" in row:
        return row
    steps = row["evaluations"] if "evaluations" in row else row["results"]
    return next(step for step in reversed(steps) if isinstance(step, dict) and "swap = False" in step)


def _text(completion: Any) -> str:
    return str(completion[0] if isinstance(completion, list) and completion else completion or "")


def read_bench(row: Row, origin: Origin) -> list[Annotation]:
    """JudgeBench: two decisions, the second in the swapped frame."""
    decisions = [row.get("decision_ab"), row.get("decision_ba")]
    raws = [row.get("response_ab"), row.get("response_ba")]
    if "judgments" in row:
        decisions = [(j or {}).get("decision") for j in row["judgments"]]
        raws = [_text(((j or {}).get("judgment") or {}).get("response")) for j in row["judgments"]]
    found = []
    for decision, raw, order in zip(decisions, raws, ("ab", "ba"), strict=False):
        preference, strength = of_label(decision)
        if preference is not None and order == "ba":
            preference = 1 - preference
        found.append(
            annotation(
                row["pair_id"],
                *PLACES,
                ("judge_bench", str(row.get("judge_name") or origin.stem.removeprefix("judge_"))),
                order=order,
                preference=preference,
                raw=str(raw or ""),
                category=str(row.get("source") or ""),
                details={"strength": strength},
            )
        )
    return found


def read_bench_label(row: Row, origin: Origin) -> list[Annotation]:
    known = text_lengths(row["response_A"], row["response_B"]) | {"category": str(row.get("source") or "")}
    return [annotation(row["pair_id"], *PLACES, LABEL, preference=of_label(row["label"])[0], **known)]


SHAPES = (
    Shape("PandaLM annotators", ("idx", "response1", "response2", "annotator1"), read_panda_people),
    Shape("PandaLM verdicts", ("idx", "result"), read_panda_judge),
    Shape("LLMBar verdicts", ("input", "swap = False", "swap = True"), read_bar_verdict),
    Shape("LLMBar verdicts in steps", ("input", "evaluations"), read_bar_verdict),
    Shape("LLMBar pairs", ("input", "output_1", "output_2", "label"), read_bar_label),
    Shape("JudgeBench decisions", ("pair_id", "decision_ab", "decision_ba"), read_bench),
    Shape("JudgeBench judgments", ("pair_id", "judgments"), read_bench),
    Shape("JudgeBench pairs", ("pair_id", "response_A", "response_B", "label"), read_bench_label, ("judgments",)),
)
