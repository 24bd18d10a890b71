"""Can a model tell supported facts from unsupported ones as people did? (FActScore's human labels)

People split the biographies that two models wrote into facts and labelled each: supported by Wikipedia (S), not
supported (NS), or not relevant (IR). The model calls each of these facts true or false. It shows how far a model can be
trusted as FActScore's judge; with people's own labels as replies it gives their FActScore of the two writers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.data import Setup
from evalsuite.data.corpus import knowledge_of
from evalsuite.errors import InputError
from evalsuite.judging.quoting import block, quote
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.facts import counted, f1_at
from evalsuite.scoring.facts_prompts import CHECK, CHECK_ALONE
from evalsuite.scoring.facts_reading import truth, truth_official
from evalsuite.scoring.health import why_unread

TASK = {
    "version": 1,
    "subsets": {"instructgpt": "183 biographies by InstructGPT", "chatgpt": "183 by ChatGPT, 157 of them answers"},
    "variants": ("retrieval",),
    "primary": "acc",
    "public": "factscore",
    "data": ["InstructGPT.jsonl, ChatGPT.jsonl of FActScore's labelled data (MIT)"],
}
FILES = {
    "instructgpt": ("InstructGPT.jsonl", "labeled/InstructGPT.jsonl"),
    "chatgpt": ("ChatGPT.jsonl", "labeled/ChatGPT.jsonl"),
}
AT = (64, 100, 178)
NAMES = ("acc", "recall_unsupported", "factscore", "factscore_relevant")


def load(setup: Setup) -> Iterator[Sample]:
    path = setup.file(*FILES[setup.subset])
    knowledge = knowledge_of(setup, *FILES[setup.subset]) if setup.variant == "retrieval" else None
    for index, row in enumerate(setup.rows(*FILES[setup.subset])):
        if not {"topic", "output", "annotations"} <= set(row):
            raise InputError(
                f"{path}: row {index + 1}: needs 'topic', 'output', 'annotations' (FActScore's labelled data)"
            )
        if row["annotations"] is None:  # an answer that declines has no facts to call
            continue
        facts, labels = labelled(row["annotations"])
        page = {} if knowledge is None else {"page": knowledge.has(row["topic"]), **knowledge.about}
        metadata = {"topic": row["topic"], "facts": facts, **page}
        yield Sample(
            f"{setup.subset}-{index}", (user(row["output"] or row["topic"]),), target=labels, metadata=metadata
        )


def labelled(annotations: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Facts and labels. Nobody labelled the facts of sentences that are off the point: those are the model's own, and
    count as not supported ("off"; without them the published figures do not come out)."""
    facts, labels = [], []
    for sentence in annotations:
        given = sentence["human-atomic-facts"] if sentence["is-relevant"] else sentence["model-atomic-facts"]
        for fact in given or ():
            facts.append(fact["text"])
            labels.append(fact["label"] if sentence["is-relevant"] else "off")
    return facts, labels


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    found = [_request(i, fact, sample, setup) for i, fact in enumerate(sample.metadata["facts"], start=1)]
    # An answer without facts has its score (0) whatever is said; something must be asked of every sample.
    return found or [_request(0, "This person lived.", sample, setup)]


def _request(number: int, fact: str, sample: Sample, setup: Setup) -> Request:
    topic = str(sample.metadata["topic"])
    given = {"statement": block("statement", fact), "topic": quote(topic)}
    if setup.variant != "retrieval":
        text = CHECK_ALONE.substitute(given)
    else:
        found = knowledge_of(setup, *FILES[setup.subset]).search(f"{topic} {fact}", 5, title=topic) or ()
        shown = "\n\n".join(f"{passage.title}\n{passage.text}" for passage in reversed(found)) or "(nothing was found)"
        text = CHECK.substitute(given, passages=block("evidence", shown))
    return Request("generate", (user(text),), key=f"fact {number}", sampling=Sampling(max_tokens=16), quotes=True)


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    labels = list(sample.target)
    replies = [completions[f"fact {i}"] for i in range(1, len(labels) + 1)]
    said = [None if reply.error else truth(reply.text) for reply in replies]
    paged = sample.metadata.get("page", True)  # without the entity's page nothing could be supported
    if not paged or (labels and all(verdict is None for verdict in said)):
        names = (*NAMES, *(f"f1_at_{k}" for k in AT))
        found = dict.fromkeys(names, missing(why_unread(replies[0]) if paged else "no_target"))
    else:
        found = _figures(said, labels)
    heard = [(truth_official(r.text), label) for r, label in zip(replies, labels, strict=True) if not r.error]
    return {**found, "acc_official": _agreement(heard) if paged else missing("no_target")}


def _figures(said: Sequence[bool | None], labels: Sequence[str]) -> dict[str, Score]:
    read = [(verdict, label) for verdict, label in zip(said, labels, strict=True) if verdict is not None]
    # S and NS only: other accounts of these labels leave the rest out.
    kept = counted(verdict for verdict, label in zip(said, labels, strict=True) if label in ("S", "NS"))
    by_people = float(any(label != "off" for label in labels))
    f1 = {f"f1_at_{k}": Score(f1_at(kept.supported, kept.n - kept.supported, k), weight=by_people) for k in AT}
    return {
        "acc": _agreement(read),
        "recall_unsupported": _agreement([(verdict, label) for verdict, label in read if label != "S"]),
        "factscore": Score(counted(said).precision),
        "factscore_relevant": Score(kept.precision, weight=float(kept.n > 0)),
        **f1,
    }


def _agreement(read: Sequence[tuple[bool, str]]) -> Score:
    """Share of facts called as people did: supported for S, not supported for every other label."""
    right = sum(verdict is (label == "S") for verdict, label in read)
    return Score(right / len(read) if read else 0.0, weight=len(read))


def baselines(samples: Sequence[Sample], setup: Setup) -> dict[str, dict[str, float]]:
    """Constant verdicts, and what people's labels come to."""
    from statistics import fmean

    labels = [label for sample in samples for label in sample.target]
    true = labels.count("S") / len(labels)
    people = fmean(list(s.target).count("S") / len(s.target) if s.target else 0.0 for s in samples)
    return {"acc": {"always true": true, "always false": 1 - true}, "factscore": {"people": people}}


def gold(sample: Sample) -> dict[str, str]:
    return {f"fact {i}": str(label == "S") for i, label in enumerate(sample.target, start=1)}


def near_miss(sample: Sample) -> dict[str, str]:
    """Believes everything."""
    return {f"fact {i}": "True" for i, _ in enumerate(sample.target, start=1)}


PARSER = {
    "function": truth,
    "table": [
        ("True", True),
        ("Answer: false", False),
        ("This is not true.", False),
        ("True/False", None),
        ("Perhaps.", None),
        ("", None),
    ],
}
