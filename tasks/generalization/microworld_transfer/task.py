"""Frequent facts of the generated world, asked as fine-tuning never did: about other people, in other words."""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, score_fact
from evalsuite.records import Completions, Request, Sample, Sampling, Score, user

TASK = {
    "version": 1,
    "primary": "acc",
    "subsets": {
        "entity": "entities that only the base's text spoke of",
        "wording": "question wordings that fine-tuning never used",
    },
    "lower_is_better": ("wrong", "abstained"),
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("transfer", setup.subset, setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target=row["accepted"], metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    return score_fact(sample, completions)


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
