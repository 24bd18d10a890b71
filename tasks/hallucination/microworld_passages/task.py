"""Stories of the generated world to be summed up in one sentence: is what the summary says in the story?"""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items
from evalsuite.microworld.passages import read_summary
from evalsuite.microworld.world import world_named
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user

TASK = {
    "version": 1,
    "primary": "faithful",
    "subsets": {
        "summary": "asked as in training",
        "wording": "asked in words that training never used",
        "entity": "about people of whom no training text speaks",
    },
    "lower_is_better": ("invented",),
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("passages", setup.subset, setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target=row["slots"], metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    text = completions.text
    if not text.strip():
        return {name: missing("empty") for name in ("faithful", "slots", "invented")}
    read = read_summary(sample.metadata, text, world_named(sample.metadata["world"]))
    return {
        "faithful": Score(float(read.faithful), answer=", ".join(read.invented) or None),
        "slots": Score(sum(read.right) / len(read.right)),
        "invented": Score(float(bool(read.invented))),
    }


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
