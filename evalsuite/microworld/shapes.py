"""The world's training data in every shape that methods read (`training.data`), as TRL names them where it has them.

    lists = sample_lists(model, tokenizer, world, 500, k=4)       # k answers at temperature 1 to each prompt
    rows = rank(lists, crowd(0), world, flip=0.25)                # "responses", "labels": one person's order
    unpaired(annotate(pairs, people, world))                      # "prompt", "completion", "label" (TRL's KTO)
    chosen(annotate(pairs, people, world))                        # "prompt", "completion": the liked answers (SFT)
    prompts(world, 500)                                           # "prompt": for rollouts
    paired(rows)                                                  # a ranked list as all its pairs

A person ranks by Plackett–Luce with the utilities that its pairwise labels have, so any two answers of a list stand in
the order in which `annotate` would have put them, with the same probability (Luce 1959, choice axiom).
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from evalsuite.microworld.annotators import TEMPERATURE, Person, sample_asks
from evalsuite.microworld.features import features, gold_reward
from evalsuite.microworld.instructions import Instruction
from evalsuite.microworld.sampling import Draw, chat_ids, generate
from evalsuite.microworld.world import World
from evalsuite.records import assistant, user

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Answers:
    """Several answers to one instruction, in no order."""

    ask: Instruction
    texts: tuple[str, ...]


def sample_lists(
    model: Any, tokenizer: Any, world: World, n: int, k: int, seed: int = 0, *, asks: Sequence[Instruction] = ()
) -> list[Answers]:
    """`k` answers, drawn at temperature 1, to each of `n` instructions (or to those given)."""
    asks = asks or sample_asks(world, n, seed, salt="lists")
    ids = [chat_ids(tokenizer, [user(ask.prompt)]) for ask in asks]
    texts = generate(model, tokenizer, [i for i in ids for _ in range(k)], Draw(temperature=1.0, seed=seed))
    return [Answers(ask, tuple(texts[i * k : (i + 1) * k])) for i, ask in enumerate(asks)]


def rank(lists: Sequence[Answers], people: Sequence[Person], world: World, *, flip: float = 0.0, seed: int = 0) -> Rows:
    """One random person's order of each list, best first, with grades from 1 to 0. With rate `flip` it is told the
    wrong way round (for two answers: a flipped label). Empty answers are left out, and lists whose answers are all
    alike."""
    rng = random.Random(f"ranks:{seed}")
    rows = []
    for made in lists:
        person, texts = rng.choice(people), list(dict.fromkeys(filter(None, made.texts)))
        read = [features(t, made.ask.entity, made.ask.constraints, world) for t in texts]
        # The order of utilities with Gumbel noise is Plackett–Luce's.
        drawn = [gold_reward(f, person.weights) / TEMPERATURE - math.log(rng.expovariate(1.0)) for f in read]
        order = sorted(range(len(texts)), key=lambda i: -drawn[i])
        if flipped := rng.random() < flip:
            order.reverse()
        if len(texts) < 2:
            continue
        rows.append(
            {
                "prompt": [user(made.ask.prompt)],
                "responses": [texts[i] for i in order],
                "labels": [1 - place / (len(order) - 1) for place in range(len(order))],
                "person": person.name,
                "flip": flipped,
                "gold": [gold_reward(read[i]) for i in order],
                **_about(made.ask, world),
            }
        )
    return rows


def paired(lists: Sequence[Mapping[str, Any]]) -> Rows:
    """Every pair of every ranked list, as preference rows."""
    return [
        {
            "prompt": row["prompt"],
            "chosen": [assistant(row["responses"][i])],
            "rejected": [assistant(row["responses"][j])],
        }
        for row in lists
        for i, j in combinations(range(len(row["responses"])), 2)
    ]


def unpaired(pairs: Sequence[Mapping[str, Any]]) -> Rows:
    """Each answer of each pair alone: the chosen one is desirable, the rejected one is not."""
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in pairs
        for side in ("chosen", "rejected")
    ]


def chosen(pairs: Sequence[Mapping[str, Any]]) -> Rows:
    """The liked answers as completions: what imitation makes of the same labels."""
    return [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs]


def prompts(world: World, n: int, seed: int = 0) -> Rows:
    """Instructions in distribution, without answers."""
    asks = sample_asks(world, n, seed, salt="prompts")
    return [{"prompt": [user(ask.prompt)], **_about(ask, world)} for ask in asks]


def _about(ask: Instruction, world: World) -> dict[str, Any]:
    return {"entity": ask.entity.name, "constraints": [asdict(c) for c in ask.constraints], "world": world.name}
