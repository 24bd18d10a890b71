"""Dialogues of the generated world whose last question can be understood from the first turn alone."""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, score_fact
from evalsuite.records import Completions, Message, Request, Sample, Sampling, Score

TASK = {
    "version": 1,
    "primary": "acc",
    "subsets": {
        "second": "a second question, as in training",
        "third": "a third question: training has two at most",
        "entity": "about people of whom fine-tuning never spoke",
    },
    "lower_is_better": ("wrong", "abstained"),
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("dialogues", setup.subset, setup.data):
        messages = tuple(Message(role=m["role"], content=m["content"]) for m in row["messages"])
        yield Sample(row["id"], messages, target=row["accepted"], metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    return score_fact(sample, completions)


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
