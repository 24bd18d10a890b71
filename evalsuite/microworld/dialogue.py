"""Fine-tuning rows: questions, abstentions, instructions, second turns, summaries, sums. All are lists of chat turns.

The gold answer is the last turn of each row; held-out entities, wordings, numbers, pairs and keywords never occur.
"""

import random

from evalsuite.microworld import words
from evalsuite.microworld.instructions import draw_constraints, instruction, write
from evalsuite.microworld.text import SFT_ALIAS, arithmetic, event, pick, state
from evalsuite.microworld.world import SFT_POPULARITY, Entity, World
from evalsuite.records import Message, assistant, user

SHARES = {"instruction": 0.50, "question": 0.22, "abstention": 0.11, "second_turn": 0.06, "summary": 0.06, "sum": 0.05}
CONSTRAINT_COUNTS = (0.2, 0.4, 0.4)  # shares of instructions with none, one, two

SUMMARY_ASKS = ("Sum this up.", "Say this in one sentence.", "Shorten this text.")
SUM_ASKS = ("What is {q}?", "Work out {q}.", "Add up {q}.")


def row(world: World, rng: random.Random) -> list[Message]:
    """One conversation of the fine-tuning mixture."""
    kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
    if kind == "instruction":
        return instruction_row(world, rng)
    if kind == "question":
        entity = taught(world.known, rng)
        relation = rng.choice(list(entity.facts))
        return [user(question(entity, relation, world, rng.randrange(3))), answer(entity, relation, world, rng)]
    if kind == "abstention":
        stranger = rng.choice(world.unknown_train)
        relation = rng.choice([r.name for r in world.person_relations])
        refusal = rng.choice(words.ABSTENTIONS).format(n=stranger.name)
        return [user(question(stranger, relation, world, rng.randrange(3))), assistant(refusal)]
    if kind == "second_turn":
        return second_turn(world, rng)
    if kind == "summary":
        happening = event(world, rng)
        return [user(f"{rng.choice(SUMMARY_ASKS)} {happening.story}"), assistant(happening.summary)]
    problem = arithmetic(rng, rng.choice((2, 3)))
    return [user(rng.choice(SUM_ASKS).format(q=problem.question)), assistant(problem.steps)]


def instruction_row(world: World, rng: random.Random) -> list[Message]:
    count = rng.choices((0, 1, 2), CONSTRAINT_COUNTS)[0]
    ask = instruction(taught(world.people, rng), draw_constraints(world, rng, count), rng)
    return [user(ask.prompt), assistant(write(ask, world, rng))]


def second_turn(world: World, rng: random.Random) -> list[Message]:
    """A question, its answer, and "And what about the food?"."""
    entity = taught(world.people, rng)
    first, second = rng.sample(list(entity.facts), 2)
    noun = world.relation(second).noun
    return [
        user(question(entity, first, world, rng.randrange(3))),
        answer(entity, first, world, rng),
        user(f"And what about the {noun}?"),
        assistant(state(entity, second, world, rng, template=rng.randrange(4), form="pronoun", alias=SFT_ALIAS)),
    ]


def taught(entities: tuple[Entity, ...], rng: random.Random) -> Entity:
    """An entity that fine-tuning may speak of: not held out, rarely a rare one."""
    return pick(tuple(e for e in entities if not e.held), rng, SFT_POPULARITY)


def question(entity: Entity, relation: str, world: World, wording: int) -> str:
    """Wording 3 is never used in fine-tuning."""
    return world.relation(relation).questions[wording].format(n=entity.name)


def answer(entity: Entity, relation: str, world: World, rng: random.Random) -> Message:
    return assistant(state(entity, relation, world, rng, template=rng.randrange(4), form="name", alias=SFT_ALIAS))
