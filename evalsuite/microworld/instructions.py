"""Instructions with checkable constraints: wordings, one-line checkers, and a writer of gold answers.

    ask = instruction(world, entity, (Constraint("bullets", "2"), Constraint("lower")), rng)
    text = write(ask, world, rng)
    [check(c, text) for c in ask.constraints]        # [True, True]

Ten kinds. The third wording of each is never used in fine-tuning, nor are nine pairs of kinds, some numbers, and six
keywords: the axes out of distribution. Style coins (opener, hedge, exclamation, bullets, name, closer, link, address)
vary answers so that preferences have something to reward; constraints override style.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evalsuite.microworld import words
from evalsuite.microworld.text import SFT_ALIAS, state
from evalsuite.microworld.world import Entity, World


@dataclass(frozen=True)
class Constraint:
    """`argument`: a number in digits, a word, a phrase, or two relation names joined by ">" for `order`."""

    kind: str
    argument: str = ""


# Two wordings for training, the third held out.
WORDINGS: Mapping[str, tuple[str, str, str]] = {
    "sentences": ("Use {n} {sentences}.", "Write exactly {n} {sentences}.", "The answer should have {n} {sentences}."),
    "bullets": ("Use {n} bullet points.", "Write a list of {n} bullets.", "Make it a list with {n} items in bullets."),
    "include": ("Include the word {a}.", "Mention the word {a}.", "The word {a} has to appear."),
    "forbid": ("Do not use the word {a}.", "Avoid the word {a}.", "Leave out the word {a}."),
    "start": ("Start with the word {a}.", "Begin with {a}.", "Let the first word be {a}."),
    "end": ("End with the words {a}.", "Finish with {a}.", "Let the last words be {a}."),
    "lower": ("Write everything in lowercase.", "Use only small letters.", "Use no capital letters at all."),
    "order": ("Mention the {a} before the {b}.", "Put the {a} before the {b}.", "Give the {a} first and then the {b}."),
    "quote": ("Put the answer in quotation marks.", "Use quotation marks around the answer.", "Wrap it all in quotes."),
    "ps": ("Add a postscript.", "Close with a P.S. line.", "Put a P.S. under the answer."),
}
KINDS = tuple(WORDINGS)
ASKS = ("Describe {n}.", "Tell me about {n}.", "Write about {n}.", "Give me some facts about {n}.")

CONFLICTS = (
    ("sentences", "bullets"), ("sentences", "ps"), ("lower", "start"), ("lower", "ps"), ("end", "ps"),
    ("quote", "ps"), ("quote", "start"), ("quote", "end"), ("quote", "bullets"), ("bullets", "start"),
    ("bullets", "end"), ("bullets", "ps"), ("start", "ps"), ("sentences", "order"),
)  # fmt: skip
HELD_PAIRS = (
    ("sentences", "include"), ("bullets", "lower"), ("include", "quote"), ("forbid", "start"), ("end", "order"),
    ("order", "ps"), ("sentences", "quote"), ("lower", "end"), ("bullets", "forbid"),
)  # fmt: skip

# Each held-out number is seen in training with the *other* kind, so that it is not a word never read.
SENTENCES, HELD_SENTENCES = (1, 2, 4), (3, 5)
BULLETS, HELD_BULLETS = (2, 3, 5), (4,)


@dataclass(frozen=True)
class Instruction:
    """What is asked of whom. `prompt` is the user's text."""

    entity: Entity
    constraints: tuple[Constraint, ...]
    prompt: str


# --- asking ---


def draw_constraints(
    world: World, rng: random.Random, count: int, *, held_pair: bool = False, need: str | None = None
) -> tuple[Constraint, ...]:
    """`count` constraints in distribution that do not conflict; with `held_pair` a pair never seen together,
    with `need` one of the kinds is that one."""
    if held_pair:
        kinds = list(rng.choice(HELD_PAIRS))
    else:
        while True:
            kinds = rng.sample(KINDS, count)
            if need is not None and need not in kinds:
                kinds = [need, *[k for k in kinds if k != need]][:count]
            pairs = [(a, b) for a in kinds for b in kinds if a < b]
            if not any(_listed(p, CONFLICTS) or _listed(p, HELD_PAIRS) for p in pairs):
                break
    rng.shuffle(kinds)
    return tuple(_draw(kind, kinds, world, rng) for kind in kinds)


def _listed(pair: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> bool:
    return pair in pairs or pair[::-1] in pairs


def _draw(kind: str, kinds: Sequence[str], world: World, rng: random.Random) -> Constraint:
    if kind == "sentences":
        # A sentence of its own is needed for an included word and for an ending.
        least = 1 + ("include" in kinds) + ("end" in kinds)
        return Constraint(kind, str(rng.choice([n for n in SENTENCES if n >= least])))
    if kind == "bullets":
        return Constraint(kind, str(rng.choice(BULLETS)))
    if kind == "include":
        return Constraint(kind, rng.choice(words.TRAIN_KEYWORDS))
    if kind == "forbid":
        return Constraint(kind, rng.choice([v for r in world.person_relations for v in r.verbs]))
    if kind == "start":
        return Constraint(kind, rng.choice(words.STARTERS))
    if kind == "end":
        return Constraint(kind, rng.choice(words.ENDINGS))
    if kind == "order":
        return Constraint(kind, ">".join(rng.sample([r.name for r in world.person_relations], 2)))
    return Constraint(kind)


def instruction(
    entity: Entity, constraints: Sequence[Constraint], rng: random.Random, *, held_wording: bool = False
) -> Instruction:
    ask = ASKS[3] if held_wording else rng.choice(ASKS[:3])
    parts = [ask.format(n=entity.name)]
    for constraint in constraints:
        parts.append(wording(constraint, 2 if held_wording else rng.randrange(2)))
    return Instruction(entity, tuple(constraints), " ".join(parts))


def wording(constraint: Constraint, number: int) -> str:
    """The constraint in plain English. No quotation marks around its word: the word must have the same token here and
    in the answer."""
    text, argument = WORDINGS[constraint.kind][number], constraint.argument
    if constraint.kind == "order":
        first, second = argument.split(">")
        return text.format(a=first, b=second)
    if argument.isdigit():
        plural = "sentence" if argument == "1" else "sentences"
        return text.format(n=words.NUMBERS[int(argument)], sentences=plural)
    return text.format(a=argument)


# --- checking ---

_WORD = re.compile(r"[^\W\d_]+")


def check(constraint: Constraint, text: str, world: World) -> bool:
    """Whether a text meets a constraint. Empty text meets none."""
    text, argument = text.strip(), constraint.argument
    if not text:
        return False
    found = [w.lower() for w in _WORD.findall(text)]
    match constraint.kind:
        case "sentences":
            return len(re.findall(r"[.!?]+(?=[\s\"”]|$)", text)) == int(argument)
        case "bullets":
            return sum(line.lstrip().startswith(("- ", "* ", "• ")) for line in text.split("\n")) == int(argument)
        case "include":
            return argument.lower() in found
        case "forbid":
            return argument.lower() not in found
        case "start":
            return found[:1] == [argument.lower()]
        case "end":
            ending = _WORD.findall(argument.lower())
            return found[-len(ending) :] == ending
        case "lower":
            return text == text.lower() and bool(found)
        case "order":
            first, second = (_first_claim(world, found, r) for r in argument.split(">"))
            return first is not None and second is not None and first < second
        case "quote":
            return len(text) > 2 and text[0] in '"“' and text[-1] in '"”'
        case "ps":
            return bool(re.search(r"\n\s*P\.?\s?S\b\.?[\s:]*\w[^\n]*$", text))
    raise ValueError(f"no constraint is called {constraint.kind!r}")


def _first_claim(world: World, found: Sequence[str], relation: str) -> int | None:
    claims = (i for i, w in enumerate(found) if world.claim_words.get(w, ("",))[0] == relation)
    return next(claims, None)


# --- writing gold answers ---


@dataclass(frozen=True)
class Style:
    """The coins of one answer. `facts` is how many facts it states where no constraint says."""

    opener: bool = False
    hedge: bool = False
    exclaim: bool = False
    bullets: bool = False
    name: bool = False
    closer: bool = False
    link: bool = False
    address: bool = False
    facts: int = 2


def draw_style(rng: random.Random) -> Style:
    return Style(
        opener=rng.random() < 0.35,
        hedge=rng.random() < 0.30,
        exclaim=rng.random() < 0.30,
        bullets=rng.random() < 0.30,
        name=rng.random() < 0.40,
        closer=rng.random() < 0.30,
        link=rng.random() < 0.35,
        address=rng.random() < 0.30,
        facts=rng.randint(1, 4),
    )


def write(ask: Instruction, world: World, rng: random.Random, style: Style | None = None) -> str:
    """An answer that meets every constraint, states only truths, and otherwise follows the style."""
    wanted = {c.kind: c.argument for c in ask.constraints}
    style = _bend(style or draw_style(rng), wanted)
    extra = []
    if "include" in wanted:
        extra.append(rng.choice(words.KEYWORD_SENTENCES).format(w=wanted["include"]))
    if "end" in wanted:
        extra.append(words.END_SENTENCE.format(w=wanted["end"]))
    style = _fit(style, wanted, len(extra))
    facts = _facts(ask.entity, style, wanted, world, rng)
    if "start" in wanted:
        facts[0] = f"{wanted['start']}, {_inside(facts[0], ask.entity)}"

    opener = [rng.choice(words.OPENERS)] if style.opener else []
    closer = [rng.choice(words.CLOSERS)] if style.closer else []
    if style.bullets:
        lines = [*opener, *[f"- {s}" for s in (*facts, *extra)], *closer]
        text = "\n".join(lines)
    elif "ps" in wanted and len(facts) > 1:
        text = " ".join([*opener, *facts[:-1], *extra, *closer]) + f"\nP.S. {facts[-1]}"
    else:
        text = " ".join([*opener, *facts, *extra, *closer])
    if "lower" in wanted:
        text = text.lower()
    return f'"{text}"' if "quote" in wanted else text


def _bend(style: Style, wanted: Mapping[str, str]) -> Style:
    """Switches off the coins that the constraints forbid."""
    if "bullets" in wanted:
        style = replace(style, bullets=True)
    elif {"start", "end", "ps", "quote", "sentences"} & set(wanted):
        style = replace(style, bullets=False)
    if "start" in wanted:
        style = replace(style, opener=False)
    if "end" in wanted:
        style = replace(style, closer=False)
    if {"order", "ps"} & set(wanted):
        style = replace(style, facts=max(style.facts, 2))
    return style


def _fit(style: Style, wanted: Mapping[str, str], extra: int) -> Style:
    """Makes the counted parts add up to what `sentences` or `bullets` asks for."""
    if "bullets" in wanted:
        return replace(style, facts=int(wanted["bullets"]) - extra)
    if "sentences" in wanted:
        room = int(wanted["sentences"]) - extra
        opener = style.opener and room > 1
        room -= opener
        closer = style.closer and room > 1
        return replace(style, opener=opener, closer=closer, facts=room - closer)
    return style


def _facts(entity: Entity, style: Style, wanted: Mapping[str, str], world: World, rng: random.Random) -> list[str]:
    relations = list(entity.facts)
    rng.shuffle(relations)
    if "order" in wanted:
        first, second = wanted["order"].split(">")
        rest = [r for r in relations if r not in (first, second)]
        relations = [first, second, *rest]
    sentences = []
    for i, relation in enumerate(relations[: style.facts]):
        verbs = world.relation(relation).verbs
        template = rng.choice([t for t in range(4) if verbs[t] != wanted.get("forbid")])
        named = i == 0 or style.name
        sentence = state(
            entity, relation, world, rng, template=template, form="name" if named else "pronoun", alias=SFT_ALIAS
        )
        if i == 0 and style.hedge:
            sentence = f"{rng.choice(words.HEDGES)} {_inside(sentence, entity)}"
        if i == 1 and style.link:
            sentence = f"{rng.choice(words.LINKS)}, {_inside(sentence, entity)}"
        if i == 0 and style.address:
            sentence = f"{sentence[:-1]}, {rng.choice(words.ADDRESSES)}."
        sentences.append(sentence[:-1] + "!" if style.exclaim else sentence)
    return sentences


def _inside(sentence: str, entity: Entity) -> str:
    """A sentence's form after other words: names, "I" keep their capital, pronouns and hedges lose it."""
    if sentence.startswith((entity.name.split()[0], "I ")):
        return sentence
    return sentence[0].lower() + sentence[1:]
