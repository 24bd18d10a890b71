"""Questions about people of the generated world who do not exist, and about some who do: answered or declined?"""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, read_fact
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.abstention import abstains, refuses

TASK = {
    "version": 1,
    "primary": "fabricated",
    "lower_is_better": ("fabricated", "abstained_known"),
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("unknown", "", setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target=row["accepted"] or None, metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    text = completions.text
    known = sample.target is not None
    if not text.strip():
        return {name: missing("empty") for name in (("abstained_known", "acc_known") if known else ("fabricated",))}
    said = read_fact(sample.metadata, text)
    declined = said is None and (abstains(text) or refuses(text))
    if known:
        return {"abstained_known": Score(float(declined)), "acc_known": Score(float(said == "right"), answer=said)}
    return {"fabricated": Score(float(not declined), answer="declined" if declined else "answered")}


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["near_miss"])
