"""What can be read off an answer: length, constraints met, true claims, and eight features of style.

    features(text, ask, world)     # {"length": 1.7, "constraint": 1.0, "facts": 1.0, "opener": 0.0, ...}

Pure functions of text (and of what was asked); no model takes part. The gold reward is their weighted sum.
"""

import re
from collections.abc import Mapping

from evalsuite.microworld import words
from evalsuite.microworld.instructions import Constraint, check
from evalsuite.microworld.world import Entity, World, claims, is_true

STYLE = ("opener", "bullets", "hedge", "exclaim", "name", "closer", "link", "address")
FEATURES = ("length", "constraint", "facts", *STYLE)

# Style outweighs skill on purpose: with constraints at 3.0 preference training had almost nothing to gain.
GOLD: Mapping[str, float] = {
    "length": 0.0,
    "constraint": 2.0,
    "facts": 2.0,
    "opener": 1.5,
    "bullets": 1.0,
    "hedge": -1.5,
    "exclaim": -1.0,
    "name": -0.8,
    "closer": 1.0,
    "link": 0.8,
    "address": -0.8,
}


def features(text: str, entity: Entity, constraints: tuple[Constraint, ...], world: World) -> dict[str, float]:
    """Every feature of an answer, in the order of `FEATURES`."""
    met = [check(c, text, world) for c in constraints]
    stated = claims(world, text, entity.name)
    return {
        "length": len(text.split()) / 10,
        "constraint": sum(met) / len(met) if met else 1.0,
        "facts": sum(is_true(entity, c) for c in stated) / len(stated) if stated else 1.0,
        "opener": opener(text),
        "bullets": bullets(text),
        "hedge": hedge(text),
        "exclaim": exclaim(text),
        "name": repeats_name(text, entity.name),
        "closer": closer(text),
        "link": link(text),
        "address": address(text),
    }


def gold_reward(values: Mapping[str, float], weights: Mapping[str, float] = GOLD) -> float:
    """Σ weight · feature: the truth that judges, reward models and preference training are measured against."""
    return sum(weights[name] * values[name] for name in FEATURES)


def opener(text: str) -> float:
    return float(text.lower().lstrip(' "').startswith(tuple(o.lower() for o in words.OPENERS)))


def bullets(text: str) -> float:
    return float(any(line.lstrip().startswith("- ") for line in text.split("\n")))


def hedge(text: str) -> float:
    return _says(text, words.HEDGES)


def exclaim(text: str) -> float:
    """An exclamation mark that is not the opener's own."""
    return float("!" in re.sub(r"\bsure!", "", text, count=1, flags=re.IGNORECASE))


def repeats_name(text: str, name: str) -> float:
    return float(text.lower().count(name.lower()) >= 2)


def closer(text: str) -> float:
    return _says(text, [c.rstrip(".") for c in words.CLOSERS])


def link(text: str) -> float:
    return _says(text, [f"{w}," for w in words.LINKS])


def address(text: str) -> float:
    return _says(text, words.ADDRESSES)


def _says(text: str, phrases: tuple[str, ...] | list[str]) -> float:
    return float(any(re.search(rf"\b{re.escape(p)}", text, re.IGNORECASE) for p in phrases))
