"""Simulated people who compare answers, with known tastes, noise and differences; and preference pairs from them.

    people = crowd(seed=0)                                     # 20 people, each with weights of their own
    pairs = sample_pairs(model, tokenizer, world, 2000)        # two answers at temperature 1 to each prompt
    rows = annotate(pairs, people, flip=0.25)                  # TRL's conversational preference rows
    ceiling(rows)                                              # best accuracy that anything can reach on them

A person prefers the first answer with probability σ((f1 - f2)·w / temperature); a noisy label is then flipped with
rate `flip`. Every row carries that probability exactly, so ceilings are exact too.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from evalsuite.microworld.dialogue import taught
from evalsuite.microworld.features import FEATURES, GOLD, features, gold_reward
from evalsuite.microworld.instructions import Constraint, Instruction, draw_constraints, instruction
from evalsuite.microworld.sampling import Draw, chat_ids, generate
from evalsuite.microworld.world import World
from evalsuite.records import Message, assistant, user

PEOPLE, SPREAD, TEMPERATURE = 20, 0.3, 0.5


@dataclass(frozen=True)
class Person:
    name: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Pair:
    """Two answers to one instruction, in no order."""

    ask: Instruction
    first: str
    second: str


class Row(TypedDict):
    """One labelled pair. `p` is the probability, flips included, that this person labels `chosen` as chosen; `flip`
    whether the label was flipped; `features` and `gold` hold "chosen" and "rejected"."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    person: str
    p: float
    flip: bool
    features: dict[str, dict[str, float]]
    gold: dict[str, float]
    entity: str
    constraints: list[dict[str, Any]]


def crowd(seed: int = 0, *, people: int = PEOPLE, spread: float = SPREAD, length_bias: float = 0.0) -> list[Person]:
    """People whose weights differ from gold by `spread`·N(0, 1) where gold is not 0; `length_bias` is everyone's
    weight of length."""
    rng = random.Random(f"crowd:{seed}")
    made = []
    for number in range(people):
        weights = {f: GOLD[f] + spread * rng.gauss(0, 1) if GOLD[f] else 0.0 for f in FEATURES}
        weights["length"] += length_bias
        made.append(Person(f"person-{number:02}", weights))
    return made


def prefers_first(
    first: Mapping[str, float], second: Mapping[str, float], weights: Mapping[str, float], *,
    temperature: float = TEMPERATURE, flip: float = 0.0,
) -> float:  # fmt: skip
    """Exact probability that someone with these weights labels the first answer as better."""
    z = (gold_reward(first, weights) - gold_reward(second, weights)) / temperature
    p = 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))
    return p * (1 - flip) + (1 - p) * flip


def sample_asks(world: World, n: int, seed: int = 0, *, salt: str = "pairs") -> list[Instruction]:
    """Instructions in distribution, with none, one or two constraints in equal shares."""
    rng = random.Random(f"{salt}:{world.name}:{seed}")
    return [
        instruction(taught(world.people, rng), draw_constraints(world, rng, rng.randrange(3)), rng) for _ in range(n)
    ]


def sample_pairs(model: Any, tokenizer: Any, world: World, n: int, seed: int = 0) -> list[Pair]:
    """`n` pairs of different answers that are not empty, drawn at temperature 1."""
    asks = sample_asks(world, n + n // 20 + 5, seed)
    prompts = [chat_ids(tokenizer, [user(ask.prompt)]) for ask in asks]
    texts = generate(model, tokenizer, prompts + prompts, Draw(temperature=1.0, seed=seed))
    pairs = [Pair(ask, a, b) for ask, a, b in zip(asks, texts, texts[len(asks) :], strict=False) if a and b and a != b]
    return pairs[:n]


def annotate(
    pairs: Sequence[Pair], people: Sequence[Person], world: World, *, flip: float = 0.0, seed: int = 0
) -> list[Row]:
    """One label of one random person for each pair."""
    rng = random.Random(f"labels:{seed}")
    return [_label(pair, rng.choice(people), world, rng, flip) for pair in pairs]


def _label(pair: Pair, person: Person, world: World, rng: random.Random, flip: float) -> Row:
    read = [features(t, pair.ask.entity, pair.ask.constraints, world) for t in (pair.first, pair.second)]
    clean = rng.random() < prefers_first(read[0], read[1], person.weights)
    flipped = rng.random() < flip
    best = 0 if clean != flipped else 1
    texts = (pair.first, pair.second)
    return Row(
        prompt=[user(pair.ask.prompt)],
        chosen=[assistant(texts[best])],
        rejected=[assistant(texts[1 - best])],
        person=person.name,
        p=prefers_first(read[best], read[1 - best], person.weights, flip=flip),
        flip=flipped,
        features={"chosen": read[best], "rejected": read[1 - best]},
        gold={"chosen": gold_reward(read[best]), "rejected": gold_reward(read[1 - best])},
        entity=pair.ask.entity.name,
        constraints=[asdict(c) for c in pair.ask.constraints],
    )


def ceiling(rows: Sequence[Row]) -> float:
    """Accuracy of a reader who knows each person's tastes: mean of max(p, 1 - p)."""
    return sum(max(r["p"], 1 - r["p"]) for r in rows) / len(rows)


def constraints_of(row: Mapping[str, Any]) -> tuple[Constraint, ...]:
    return tuple(Constraint(c["kind"], c.get("argument", "")) for c in row["constraints"])
