"""Sums of small numbers: two or three terms as in the generated world's training, or four."""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, read_number
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user

TASK = {
    "version": 1,
    "primary": "acc",
    "subsets": {"trained": "two or three terms from 1 to 5", "longer": "four terms"},
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("arithmetic", setup.subset, setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target=row["answer"], metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    text = completions.text
    if not text.strip():
        return {"acc": missing("empty")}
    number = read_number(text)
    if number is None:
        return {"acc": missing("unparsable")}
    return {"acc": Score(float(number == sample.target), answer=str(number))}


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])


PARSER = {
    "function": read_number,
    "table": [
        ("2 + 3 = 5. The answer is 5.", 5),
        ("The answer is **12**.", 12),
        ("The answer is: 7, because 3 + 4 = 7 and 4 + 3 = 7.", 7),
        ("9", 9),
        ("2 + 2 = 4", 4),
        ("-3", -3),
        ("I do not know.", None),
        ("", None),
    ],
}
