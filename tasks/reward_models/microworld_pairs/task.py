"""Pairs of answers whose gold rewards differ by one known thing: style, a missed constraint, or a false fact."""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items
from evalsuite.records import Completions, Request, Sample, Score, assistant, user
from evalsuite.scoring.pairs import pair_values, prefers

TASK = {
    "version": 1,
    "primary": "acc",
    "subsets": {
        "style": "both obey and are true; the styles differ by at least 1 in gold reward",
        "constraint": "the rejected answer misses one constraint",
        "facts": "the rejected answer has one fact wrong",
    },
    "methods": ("reward", "logprob", "logprob_mean"),
    "baselines": {"acc": {"coin": 0.5}},
}
SIDES = ("chosen", "rejected")


def load(setup: Setup) -> Iterable[Sample]:
    for row in load_items("pairs", setup.subset, setup.data):
        yield Sample(row["id"], (user(row["prompt"]),), target="chosen", metadata=row)


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    texts = tuple(str(sample.metadata[side]) for side in SIDES)
    if setup.method == "reward":
        return [
            Request("reward", (*sample.messages, assistant(text)), key=side)
            for side, text in zip(SIDES, texts, strict=True)
        ]
    return [Request("loglikelihood", sample.messages, continuations=texts)]


def score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    values = pair_values(completions, SIDES, setup.method)
    return {"acc": prefers(values["chosen"], values["rejected"])}


def gold(sample: Sample, setup: Setup) -> dict[str, list[float] | list[dict[str, float]]]:
    return _answer([1.0, 0.0], setup)


def near_miss(sample: Sample, setup: Setup) -> dict[str, list[float] | list[dict[str, float]]]:
    """Both texts equally good: a reader to whom the one difference is invisible."""
    return _answer([1.0, 1.0], setup)


def _answer(values: list[float], setup: Setup) -> dict[str, list[float] | list[dict[str, float]]]:
    if setup.method == "reward":
        return {side: [{"reward": value}] for side, value in zip(SIDES, values, strict=True)}
    return {"answer": values}
