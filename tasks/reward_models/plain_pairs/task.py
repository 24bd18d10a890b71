"""Chosen and rejected answers of our own: does the model prefer the better one, whichever is longer?"""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.records import Completions, Request, Sample, Score, assistant, user
from evalsuite.scoring.pairs import pair_values, prefers

TASK = {
    "version": 1,
    "primary": "acc",
    "methods": ("reward", "logprob", "logprob_mean"),
    "baselines": {
        "acc": {"coin": 0.5, "longer": 0.5},
        "acc_chosen_longer": {"coin": 0.5, "longer": 1.0},
        "acc_chosen_shorter": {"coin": 0.5, "longer": 0.0},
    },
}
KEYS = ("chosen", "rejected")


def load(setup: Setup) -> Iterable[Sample]:
    for row in setup.own():
        metadata = {name: row[name] for name in ("category", "chosen_is", *KEYS)}
        yield Sample(row["id"], (user(row["prompt"]),), target="chosen", metadata=metadata)


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    texts = tuple(str(sample.metadata[key]) for key in KEYS)
    if setup.method == "reward":
        pairs = zip(KEYS, texts, strict=True)
        return [Request("reward", (*sample.messages, assistant(text)), key=key) for key, text in pairs]
    return [Request("loglikelihood", sample.messages, continuations=texts)]


def score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    values = pair_values(completions, KEYS, setup.method)
    verdict = prefers(values["chosen"], values["rejected"])
    return {"acc": verdict, f"acc_chosen_{sample.metadata['chosen_is']}": verdict}


def gold(sample: Sample, setup: Setup) -> dict[str, list[float] | list[dict[str, float]]]:
    return _answer((-1.0, -2.0), setup)


def near_miss(sample: Sample, setup: Setup) -> dict[str, list[float] | list[dict[str, float]]]:
    return _answer((-2.0, -1.0), setup)


def _answer(values: tuple[float, float], setup: Setup) -> dict[str, list[float] | list[dict[str, float]]]:
    if setup.method == "reward":
        return {key: [{"reward": value}] for key, value in zip(KEYS, values, strict=True)}
    return {"answer": list(values)}
