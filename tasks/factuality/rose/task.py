"""Which of a reference summary's single statements does a summary have? (RoSE, atomic content units)

People took each reference summary apart into atomic content units (ACUs). The model summarises the article, and a judge
says for each unit whether the summary has it. `acu` is the share of units found; `nacu` lowers it for summaries longer
than the reference. `labels` instead asks the model itself about the recorded summaries of twelve systems, which people
labelled: how far can it be trusted as that judge?
"""

from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.judging.quoting import block
from evalsuite.records import Completions, Metric, Request, Role, Sample, Sampling, Score, missing, user
from evalsuite.scoring.facts import length_normalised, sentences, word_count
from evalsuite.scoring.facts_prompts import UNIT
from evalsuite.scoring.graded import why_ungraded
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.verdicts import yes_no

TASK = {
    "version": 1,
    "subsets": {
        "summaries": "the model summarises, a judge looks for the units",
        "labels": "recorded summaries of systems",
    },
    "primary": {"summaries": "nacu", "labels": "acc"},
    "public": "rose",
    "data": ["Salesforce/rose (BSD-3-Clause), a set such as cnndm_test: 500 articles"],
    "hub": "hf:Salesforce/rose@REVISION/rose_cnndm_test.parquet",
    "roles": {"judge": ["summaries"]},
}
FILES = ("cnndm_test.jsonl", "cnndm_test.json", "cnndm_test_row0.json")
FIELDS = ("source", "reference", "reference_acus", "annotations", "system_outputs")


def load(setup: Setup) -> Iterator[Sample]:
    path = setup.file(*FILES)
    for index, row in enumerate(setup.each(*FILES)):
        if absent := [name for name in FIELDS if name not in row]:
            raise InputError(f"{path}: row {index + 1} has no '{absent[0]}' (fields of Salesforce/rose)")
        identity = str(row.get("example_id") or index)
        metadata = {"units": row["reference_acus"], "reference": row["reference"]}
        if setup.subset == "summaries":
            about = {**metadata, "sentences": len(sentences(row["reference"]))}
            yield Sample(identity, (user(row["source"]),), target=row["reference"], metadata=about)
            continue
        for system, labelled in _by_system(row["annotations"]):
            text = _by_system(row["system_outputs"], system)
            about = {**metadata, "system": system, "summary": text, "article": identity}
            yield Sample(f"{identity}-{system}", (user(row["source"]),), target=labelled["acu_labels"], metadata=about)


def _by_system(table: Any, system: str | None = None) -> Any:
    """Pairs of a table by system, or one system's entry; the Hub leaves systems that a set lacks as None."""
    return (
        table[system] if system is not None else [(name, entry) for name, entry in table.items() if entry is not None]
    )


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    if setup.subset == "labels":
        return _units(sample, str(sample.metadata["summary"]), "subject")
    few = max(1, int(sample.metadata["sentences"]))
    text = f"{sample.messages[0]['content']}\n\nSummarise this article in {few} sentence{'s' * (few > 1)}.\nSummary:"
    return [Request("generate", (user(text),), sampling=Sampling(max_tokens=192))]


def follow_up(sample: Sample, completions: Completions, setup: Setup) -> list[Request]:
    if setup.subset == "labels" or "unit 1" in completions or not completions.text.strip():
        return []
    return _units(sample, completions.text, "judge")


def _units(sample: Sample, summary: str, role: Role) -> list[Request]:
    texts = [
        UNIT.substitute(summary=block("answer", summary), unit=block("statement", unit))
        for unit in sample.metadata["units"]
    ]
    return [
        Request("generate", (user(text),), key=f"unit {i}", role=role, sampling=Sampling(max_tokens=8), quotes=True)
        for i, text in enumerate(texts, start=1)
    ]


def score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    names = ("acc", "acu", "nacu") if setup.subset == "labels" else ("acu", "nacu", "unread")
    if setup.subset == "summaries" and "unit 1" not in completions:
        return dict.fromkeys(names, missing(why_unread(completions["answer"])))
    replies = [completions[f"unit {i}"] for i in range(1, len(sample.metadata["units"]) + 1)]
    said = [None if reply.error else yes_no(reply.text) for reply in replies]
    if all(verdict is None for verdict in said):
        why = why_ungraded if setup.subset == "summaries" else why_unread
        return dict.fromkeys(names, missing(why(replies[0])))
    acu = sum(verdict is True for verdict in said) / len(said)
    summary = sample.metadata.get("summary") or completions.text
    nacu = length_normalised(acu, word_count(summary), word_count(sample.metadata["reference"]))
    found = {"acu": Score(acu, details={"units": said}), "nacu": Score(nacu)}
    if setup.subset == "summaries":
        return {**found, "unread": Score(said.count(None) / len(said), weight=len(said))}
    right = [verdict == bool(label) for verdict, label in zip(said, sample.target, strict=True) if verdict is not None]
    return {**found, "acc": Score(sum(right) / len(right), weight=len(right))}


def metrics(rows: Sequence[tuple[Sample, dict[str, Score]]], setup: Setup) -> list[Metric]:
    """Rank correlation of systems by the model's nACU and by people's (means over articles)."""
    if setup.subset != "labels":
        return []
    from evalsuite.statistics import kendall

    means: dict[str, list[tuple[float, float]]] = {}
    for sample, scores in rows:
        value = scores["nacu"].value
        if value is not None:
            means.setdefault(str(sample.metadata["system"]), []).append((value, people(sample)))
    if len(means) < 3:
        return []
    sides = [[sum(pair[side] for pair in pairs) / len(pairs) for pairs in means.values()] for side in (0, 1)]
    tau = kendall(*sides)
    return [Metric(setup.task, "system_kendall", tau, None, None, len(means), interval="none", unit="tau")]


def people(sample: Sample) -> float:
    """Normalised ACU score by people's labels of a recorded summary."""
    labels = list(sample.target)
    lengths = [word_count(sample.metadata[name]) for name in ("summary", "reference")]
    return length_normalised(sum(map(bool, labels)) / len(labels), *lengths)


def baselines(samples: Sequence[Sample], setup: Setup) -> dict[str, dict[str, float]]:
    """Constant verdicts, and people's own figures on the recorded summaries."""
    if setup.subset != "labels":
        return {}
    labels = [bool(label) for sample in samples for label in sample.target]
    yes = sum(labels) / len(labels)
    return {
        "acc": {"always yes": yes, "always no": 1 - yes},
        "nacu": {"people": sum(people(s) for s in samples) / len(samples)},
    }


def gold(sample: Sample, setup: Setup) -> dict[str, str]:
    units = len(sample.metadata["units"])
    if setup.subset == "labels":
        return {f"unit {i}": "yes" if label else "no" for i, label in enumerate(sample.target, start=1)}
    return {"answer": str(sample.target), **{f"unit {i}": "yes" for i in range(1, units + 1)}}


def near_miss(sample: Sample, setup: Setup) -> dict[str, str]:
    """The reference twice over: every unit, in twice the words; as a judge, the other verdict on every unit."""
    if setup.subset == "labels":
        return {key: "no" if verdict == "yes" else "yes" for key, verdict in gold(sample, setup).items()}
    return {**gold(sample, setup), "answer": f"{sample.target} {sample.target}"}


PARSER = {
    "function": yes_no,
    "table": [
        ("yes", True),
        ("**No.**", False),
        ("Yes, it says so.", True),
        ("yes or no", None),
        ("Partly.", None),
        ("", None),
    ],
}
