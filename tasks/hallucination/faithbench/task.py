"""Does the model notice unsupported statements in summaries of modern models? (FaithBench)

Each summary comes with its source; people marked spans as Unwanted, Questionable or Benign hallucinations. The model is
asked whether the summary states something that the source does not support. The summaries were chosen because
detectors disagree on them, so that the majority of detectors is near chance. "Yes" means hallucinated.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.data import Setup, read_rows
from evalsuite.errors import InputError
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.recognition import class_weights, constants, recognition
from evalsuite.scoring.verdicts import yes_no

TASK = {
    "version": 1,
    "primary": "balanced_acc_worst",
    "lower_is_better": ("unparsed",),
    "public": "faithbench",
    "data": ["batch_N.json of FaithBench (github.com/vectara/FaithBench, data_for_release/), all that lie together"],
    "baselines": {"balanced_acc_worst": {"constant": 0.5}, "balanced_acc_best": {"constant": 0.5}},
}
FIRST = ("batch_1.json", "data_for_release/batch_1.json")
SEVERITY = ("Consistent", "Benign", "Questionable", "Unwanted")
POOLS = {"worst": max, "best": min}
HALLUCINATED = "Unwanted"
DETECTORS = (
    "gpt_4o",
    "gpt-4-turbo",
    "gpt-3.5-turbo",
    "hhem-2.1",
    "hhem-2.1-english",
    "hhemv1",
    "trueteacher",
    "true_nli",
)
QUESTION = (
    "Does the summary state something that the source does not say, or says otherwise? "
    "Reply with one word: Yes if it does, No if everything in it is supported by the source.\nReply:"
)


def load(setup: Setup) -> list[Sample]:
    found = list(_rows(setup))
    labels = {pool: [_pooled(row, choose) for _, row in found] for pool, choose in POOLS.items()}
    weights = {pool: class_weights([label == HALLUCINATED for label in of]) for pool, of in labels.items()}
    samples = []
    for number, (batch, row) in enumerate(found):
        target = {pool: labels[pool][number] for pool in POOLS}
        kept = {name: row["metadata"][name] for name in DETECTORS if name in row["metadata"]}
        metadata = {
            "summary": row["summary"],
            "summarizer": row["metadata"].get("summarizer", ""),
            "detectors": kept,
            "weights": {pool: weights[pool][target[pool] == HALLUCINATED] for pool in POOLS},
        }
        samples.append(Sample(f"{batch}-{row['sample_id']}", (user(row["source"]),), target, metadata))
    return samples


def _rows(setup: Setup) -> Iterator[tuple[str, dict[str, Any]]]:
    """(batch, sample) of every batch beside the first, by number; of one file alone, where one is given."""
    first = setup.file(*FIRST)
    one = setup.data is not None and Path(setup.data).expanduser().is_file()
    together = sorted(first.parent.glob("batch_*.json"), key=lambda p: (len(p.name), p.name))
    for path in [first] if one or not together else together:
        for content in read_rows(path):
            for number, row in enumerate(content.get("samples", ()), start=1):
                if absent := [f for f in ("sample_id", "source", "summary", "annotations", "metadata") if f not in row]:
                    raise InputError(f"{path}: sample {number} has no '{absent[0]}' (fields of FaithBench's batches)")
                yield path.stem, row


def _pooled(row: Mapping[str, Any], choose: Any) -> str:
    """The worst or best label of all spans and annotators; Consistent where nothing is marked."""
    named = [label.partition(".")[0] for annotation in row["annotations"] for label in annotation["label"]]
    return SEVERITY[choose((SEVERITY.index(label) for label in named), default=0)]


def prompt(sample: Sample) -> list[Request]:
    text = f"Source: {sample.messages[0]['content']}\n\nSummary: {sample.metadata['summary'].strip()}\n\n{QUESTION}"
    return [Request("generate", (user(text),), sampling=Sampling(max_tokens=16), quotes=True)]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    said, why = yes_no(completions.text), why_unread(completions["answer"])
    worst = recognition({"answer": sample.target["worst"] == HALLUCINATED}, {"answer": said}, {"answer": why})
    balanced = {f"balanced_acc_{pool}": _balanced(sample, pool, said, why) for pool in POOLS}
    return balanced | worst


def _balanced(sample: Sample, pool: str, said: bool | None, why: str) -> Score:
    if said is None:
        return missing(why)
    right = said == (sample.target[pool] == HALLUCINATED)
    return Score(float(right), weight=sample.metadata["weights"][pool], answer="Yes" if said else "No")


def baselines(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Constant verdicts, and the benchmark's detectors (consistent from 0.5 on) as recorded in its files."""
    found = constants([sample.target["worst"] == HALLUCINATED for sample in samples])
    for pool in POOLS:
        table = found.setdefault(f"balanced_acc_{pool}", {})
        for name in DETECTORS:
            rows = [s for s in samples if name in s.metadata["detectors"]]
            scores = [_balanced(s, pool, s.metadata["detectors"][name] < 0.5, "") for s in rows]
            if total := sum(s.weight for s in scores):
                table[name] = sum(s.weight * (s.value or 0.0) for s in scores) / total
    return found


def gold(sample: Sample) -> str:
    return "Yes" if sample.target["worst"] == HALLUCINATED else "No"


def near_miss(sample: Sample) -> str:
    """Trusts every summary."""
    return "No"
