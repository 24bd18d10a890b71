"""Instructions with one or two checkable constraints about people of the generated world, on six axes."""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items, read_instruction
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user

TASK = {
    "version": 1,
    "primary": "acc",
    "subsets": {
        "iid": "as in fine-tuning",
        "template": "wordings that fine-tuning never used",
        "entity": "people that fine-tuning never spoke of",
        "length": "numbers of sentences or bullets that it never asked for",
        "keyword": "words to include that it never used",
        "composition": "pairs of constraints that it never combined",
    },
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("instructions", setup.subset, setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target=row["constraints"], metadata=row)


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=72))]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    text = completions.text
    if not text.strip():
        return {name: missing("empty") for name in ("acc", "constraints", "content")}
    met, content = read_instruction(sample.metadata, text)
    kinds = {c["kind"]: ok for c, ok in zip(sample.target, met, strict=True)}
    return {
        "acc": Score(float(all(met) and content), details={"met": kinds}),
        "constraints": Score(sum(met) / len(met), weight=float(len(met))),
        "content": Score(float(content)),
    }


def gold(sample: Sample) -> str:
    return str(sample.metadata["gold"])


def near_miss(sample: Sample) -> str:
    """The same answer but for one constraint."""
    return str(sample.metadata["near_miss"])
