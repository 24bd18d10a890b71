"""Facts of the generated world that were frequent, less frequent or rare in training: does the model know them?"""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, read_fact
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.abstention import abstains

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
    text = completions.text
    if not text.strip():
        return {name: missing("empty") for name in ("acc", "wrong", "abstained")}
    said = read_fact(sample.metadata, text)
    return {
        "acc": Score(float(said == "right"), answer=said),
        "wrong": Score(float(said == "wrong")),
        "abstained": Score(float(said is None and abstains(text))),
    }


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
