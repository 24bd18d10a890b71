"""The world's features of one answer to a prompt, as `compare --features --measure microworld:mini@0` asks for them.

    measure = measure_of("mini@0")
    measure("Describe Theo Kesstad.", "Sure! Theo Kesstad wears red.", {})      # {"length": 0.5, "opener": 1.0, ...}

Who and what was asked is read off the prompt (`gold.read_ask`), so any stored answer to a prompt of this world can be
measured. Raises InputError for a prompt that names nobody of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from evalsuite.errors import InputError
from evalsuite.microworld.features import features
from evalsuite.microworld.gold import read_ask
from evalsuite.microworld.world import world_named


def measure_of(name: str) -> Callable[[str, str, Mapping[str, Any]], Mapping[str, float]]:
    """`name`: mini, nano@1, ..."""
    world = world_named(name)

    def measure(question: str, answer: str, _: Mapping[str, Any]) -> Mapping[str, float]:
        ask = read_ask(world, question)
        if ask is None:
            raise InputError(f"--measure microworld:{name}: nobody of this world is named in '{question[:60]}'")
        return features(answer, ask.entity, ask.constraints, world)

    return measure
