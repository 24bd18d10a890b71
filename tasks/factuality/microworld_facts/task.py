"""Facts of the generated world that were frequent, less frequent or rare in training: does the model know them?"""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, score_fact
from evalsuite.records import Completions, Request, Sample, Sampling, Score, user

TASK = {
    "version": 1,
    "primary": "acc",
    "subsets": {
        "frequent": "each fact some 200 times in training text",
        "middle": "each fact some 50 times",
        "rare": "each fact some 9 times",
    },
    "lower_is_better": ("wrong", "abstained"),
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("facts", setup.subset, setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target=row["accepted"], metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    return score_fact(sample, completions)


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
