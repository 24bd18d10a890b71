"""Plain short-answer facts with aliases: does the model know them, and does it answer at all?"""

from collections.abc import Iterable

from evalsuite.data import Setup
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.abstention import abstains, refuses
from evalsuite.scoring.matching import matches

TASK = {
    "version": 1,
    "primary": "acc",
}


def load(setup: Setup) -> Iterable[Sample]:
    for row in setup.own():
        text = f"Answer the question with a few words only.\n\nQuestion: {row['question']}\nAnswer:"
        metadata = {"topic": row["topic"], "question": row["question"], "wrong": row["wrong"]}
        yield Sample(row["id"], (user(text),), target=row["answers"], metadata=metadata)


def prompt(sample: Sample) -> list[Request]:
    # Raw base models go on with a question of their own; what follows is no part of the answer.
    return [
        Request("generate", sample.messages, sampling=Sampling(max_tokens=48, stop=("\nQuestion:", "\n\nQuestion")))
    ]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    text = completions.text
    if not text.strip():
        return {name: missing("empty") for name in ("acc", "attempted", "acc_given_attempted")}
    right = matches(text, sample.target)
    attempted = right or not (abstains(text) or refuses(text))
    return {
        "acc": Score(float(right), answer=text.strip().split("\n")[0]),
        "attempted": Score(float(attempted)),
        "acc_given_attempted": Score(float(right), weight=float(attempted)),
    }


def gold(sample: Sample) -> str:
    return str(sample.target[0])


def near_miss(sample: Sample) -> str:
    return str(sample.metadata["wrong"])


def gives_paris(reply: str) -> bool:
    """What the score reads, for the answer Paris."""
    return matches(reply, ["Paris"])


PARSER = {
    "function": gives_paris,
    "table": [
        ("Paris", True),
        ("**Paris**.", True),
        (" The answer is paris", True),
        ("It is Paris, not London.", True),
        ("No, it's London. Wait, it is Paris!", True),
        ("", False),
        ("London", False),
        ("Parisian", False),
        ("It is not Paris.", False),
        ("Paris or London", False),
        ("Paris/London", False),
        ("I don't know.", False),
        ("As an AI, I cannot answer that.", False),
    ],
}
