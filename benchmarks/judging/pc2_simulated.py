"""Simulated judges of the microworld's answers: they read real prompts and write real replies. Used by pc2_microworld.

`answers`: contestants, auxiliary models and a baseline answer the same instructions, through the microworld's writer
with habits of style, a rate of false facts and a rate of neglected constraints. `Simulated` is the judge model: it
finds the texts between a prompt's tags, looks their features up, blurs them by `Noise` (the model is written down in
pc2_microworld.py), and answers in the form that the judge's prompt asks for.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from evalsuite.judging.contract import Answer, Case
from evalsuite.microworld.annotators import sample_asks
from evalsuite.microworld.features import FEATURES, GOLD, features, gold_reward
from evalsuite.microworld.instructions import Instruction, Style, write
from evalsuite.microworld.world import Entity, World, build
from evalsuite.records import Completion, Request, user

COINS = ("opener", "hedge", "exclaim", "bullets", "name", "closer", "link", "address")
# Names as a judge would write them, with marks that a careless parser damages.
PHRASES = {f: f"`{f}_ok`: the answer's {f} is as it should be (C:\\{f}_check)" for f in FEATURES}
OF_PHRASE = {phrase: f for f, phrase in PHRASES.items()}
MOST_CRITERIA = 9


@dataclass(frozen=True)
class Noise:
    """The noise model's figures; see pc2_microworld.py. Slips are shares of replies: `weights_slip` of lists whose
    weights do not sum to 100, `total_slip` of own totals that are wrong, `form_slip` of replies that cannot be read."""

    offset: float = 0.15
    noise: float = 0.25
    prior: float = 0.35
    seen: float = 0.9
    distraction: float = 0.5
    weighing: float = 0.3
    second_look: float = 0.5
    length_taste: float = 1.0
    weights_slip: float = 0.1
    total_slip: float = 0.15
    form_slip: float = 0.02


@dataclass(frozen=True)
class Writer:
    """A model that answers: chances of each coin of style, of a false fact, of neglecting a constraint."""

    name: str
    coins: Mapping[str, float]
    false: float
    neglect: float


@dataclass
class Answers:
    """What everyone wrote. `texts[question][writer]`; `gold` by (question's prompt, text)."""

    asks: list[Instruction]
    texts: list[dict[str, str]]
    qualities: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    gold: dict[tuple[str, str], float] = field(default_factory=dict)

    def cases(self, contestants: Sequence[str], auxiliaries: Sequence[str], baseline: str) -> list[Case]:
        """One case for each question and contestant."""
        return [
            Case(
                f"q{number}",
                (user(ask.prompt),),
                (Answer(self.texts[number][name], name),),
                baseline=Answer(self.texts[number][baseline], baseline),
                auxiliary=tuple(Answer(self.texts[number][a], a) for a in auxiliaries),
            )
            for number, ask in enumerate(self.asks)
            for name in contestants
        ]

    def pairs(self, contestants: Sequence[str]) -> list[Case]:
        """One case for each question and pair of contestants."""
        return [
            Case(f"q{n}|{a}|{b}", (user(ask.prompt),), (Answer(self.texts[n][a], a), Answer(self.texts[n][b], b)))
            for n, ask in enumerate(self.asks)
            for i, a in enumerate(contestants)
            for b in contestants[i + 1 :]
        ]


def writers(count: int, role: str, seed: int) -> list[Writer]:
    """Models with habits of their own; the later ones know less and listen less."""
    made = []
    for number in range(count):
        rng = random.Random(f"{role}:{number}:{seed}")
        skill = (number + 0.5) / count
        coins = {coin: rng.choice((0.05, 0.35, 0.75)) for coin in COINS}
        made.append(Writer(f"{role}-{number}", coins, 0.3 * skill, 0.5 * skill))
    return made


def answers(questions: int, models: Sequence[Writer], seed: int) -> Answers:
    """Answers of every model to every question; a writer's draws go by its name."""
    world = build("mini", seed)
    found = Answers(sample_asks(world, questions, seed, salt="pc2"), [])
    seen: set[str] = set()
    for number, ask in enumerate(found.asks):
        # Prompts identify questions: an instruction that was drawn before is told apart by a blank at its end.
        while ask.prompt in seen:
            ask = replace(ask, prompt=ask.prompt + " Please.")
        seen.add(ask.prompt)
        found.asks[number] = ask
        texts = {}
        for model in models:
            rng = random.Random(f"{model.name}\n{number}\n{seed}")
            text = _answer(ask, model, rng, world)
            texts[model.name] = text
            values = features(text, ask.entity, ask.constraints, world)
            found.qualities[ask.prompt, text] = {f: _quality(f, values[f]) for f in FEATURES}
            found.gold[ask.prompt, text] = round(gold_reward(values), 9)
        found.texts.append(texts)
    return found


def _answer(ask: Instruction, model: Writer, rng: random.Random, world: World) -> str:
    entity = ask.entity
    facts = {
        relation: rng.choice(world.relation(relation).values) if rng.random() < model.false else value
        for relation, value in entity.facts.items()
    }
    kept = tuple(c for c in ask.constraints if rng.random() >= model.neglect)
    style = Style(**{coin: rng.random() < p for coin, p in model.coins.items()}, facts=rng.randint(1, 4))
    told = Entity(entity.name, entity.kind, entity.pronoun, facts, entity.stratum, entity.held)
    return write(Instruction(told, kept, ask.prompt), world, rng, style)


def _quality(feature: str, value: float) -> float:
    """How good a feature's value is, in [0, 1]: Σ |gold weight| · quality orders answers as the gold reward does."""
    if feature == "length":
        return min(1.0, value / 3)
    return value if GOLD[feature] >= 0 else 1 - value


class Simulated:
    """The judge model as a function of requests. Equal requests have equal replies and are counted once (`calls`, by
    stage), as the response cache does; `tokens` are words and marks, read and written."""

    def __init__(self, known: Answers, noise: Noise, seed: int = 0) -> None:
        self.known = known
        self.noise = noise
        self.seed = seed
        self.calls: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self._told: dict[tuple[str, int], Completion] = {}
        self.taste = {f: abs(GOLD[f]) or noise.length_taste for f in FEATURES}

    def __call__(self, requests: list[Request]) -> list[Completion]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Completion:
        prompt, seed = str(request.messages[-1]["content"]), request.sampling.seed
        if (prompt, seed) not in self._told:
            stage = _stage(prompt)
            rng = random.Random(f"{self.seed}\n{seed}\n{prompt}")
            text = getattr(self, f"_{stage}")(rng, _blocks(prompt))
            if rng.random() < self.noise.form_slip:
                text = "Let me think about this."
            read = sum(tokens(str(m["content"])) for m in request.messages)
            self._told[prompt, seed] = Completion(text, prompt_tokens=read, tokens=tokens(text))
            self.calls[stage] += 1
            self.again[stage] += seed > 0
            self.tokens[stage] += read + tokens(text)
        return self._told[prompt, seed]

    # --- what each kind of call sees and says ---

    def _pointwise(self, rng: random.Random, shown: Mapping[str, str]) -> str:
        """A whole number from 1 to 10 out of what comes to mind in this very call."""
        noticed = self._noticed(rng, ())
        seen = self._see(rng, shown, "answer", noticed, self._offset(rng))
        return str(_rounded(self._overall(seen), 1, 10))

    def _pairwise(self, rng: random.Random, shown: Mapping[str, str]) -> str:
        """A letter out of the features in which the two answers differ."""
        both = [self._truth(shown, tag) for tag in ("answer_a", "answer_b")]
        noticed = self._noticed(rng, both)
        offset = self._offset(rng)
        first, second = (self._overall(self._see(rng, shown, t, noticed, offset)) for t in ("answer_a", "answer_b"))
        return "A" if first > second else "B" if second > first else "C"

    def _criteria(self, rng: random.Random, shown: Mapping[str, str]) -> str:
        """A weighted list; where answers are shown, by what differs among them."""
        auxiliary = [self._truth(shown, tag) for tag in shown if re.fullmatch(r"answer_\d+", tag)]
        noticed = self._noticed(rng, auxiliary) or ["constraint"]
        weights = {f: self.taste[f] * math.exp(rng.gauss(0, self.noise.weighing)) for f in noticed}
        kept = sorted(weights, key=lambda f: -weights[f])[:MOST_CRITERIA]
        whole = [max(1, round(100 * weights[f] / sum(weights[k] for k in kept))) for f in kept]
        whole[0] += 100 - sum(whole)
        if rng.random() < self.noise.weights_slip:
            whole[-1] += 10
        lines = "\n".join(f"{i}. {PHRASES[f]} | {w}" for i, (f, w) in enumerate(zip(kept, whole, strict=True), start=1))
        return f"<criteria>\n{lines}\n</criteria>"

    def _grade(self, rng: random.Random, shown: Mapping[str, str]) -> str:
        """A grade for each criterion; with a baseline in view by the difference from it."""
        listed = re.findall(r"^\d+\. (.*) \| (\d+)$", shown["criteria"], re.MULTILINE)
        noticed, offset = [OF_PHRASE[phrase] for phrase, _ in listed], self._offset(rng)
        seen = self._see(rng, shown, "answer", noticed, offset)
        if "baseline_answer" in shown:
            held = [int(g) for g in re.findall(r"^\d+\. (\d) \|", shown["baseline_grades"], re.MULTILINE)]
            beside = self._see(rng, shown, "baseline_answer", noticed, offset, self.noise.second_look)
            seen = {f: (g - 1) / 4 + seen[f] - beside[f] for f, g in zip(noticed, held, strict=True)}
        grades = [_rounded(seen[f], 1, 5) for f in noticed]
        total = sum(g * int(w) for g, (_, w) in zip(grades, listed, strict=True))
        total += 10 if rng.random() < self.noise.total_slip else 0
        # The reason quotes the answer, line breaks and all.
        lines = "\n".join(f'{i}. {g} | it says "{shown["answer"]}"' for i, g in enumerate(grades, start=1))
        return f"<grades>\n{lines}\nTotal: {total}\n</grades>"

    # --- the noise model ---

    def _offset(self, rng: random.Random) -> float:
        return rng.gauss(0, self.noise.offset)

    def _truth(self, shown: Mapping[str, str], tag: str) -> Mapping[str, float]:
        return self.known.qualities[shown["conversation"], shown[tag]]

    def _noticed(self, rng: random.Random, texts: Sequence[Mapping[str, float]]) -> list[str]:
        """Features that come to mind: by themselves, or because texts that are compared differ in them."""
        if len(texts) < 2:
            chance = dict.fromkeys(FEATURES, self.noise.prior)
        else:
            spread = {f: max(t[f] for t in texts) - min(t[f] for t in texts) for f in FEATURES}
            dull = self.noise.prior * (1 - self.noise.distraction)
            chance = {f: self.noise.seen if spread[f] >= 0.25 else dull for f in FEATURES}
        return [f for f in FEATURES if rng.random() < chance[f] and self.taste[f]]

    def _see(
        self,
        rng: random.Random,
        shown: Mapping[str, str],
        tag: str,
        noticed: Sequence[str],
        offset: float,
        look: float = 1.0,
    ) -> dict[str, float]:
        """The qualities of a text as this call sees them."""
        truth = self._truth(shown, tag)
        return {f: truth[f] + offset + rng.gauss(0, self.noise.noise * look) for f in noticed}

    def _overall(self, seen: Mapping[str, float]) -> float:
        """The mean by taste; the middle where nothing comes to mind."""
        weight = sum(self.taste[f] for f in seen)
        return sum(self.taste[f] * q for f, q in seen.items()) / weight if seen else 0.5


def _rounded(quality: float, low: int, high: int) -> int:
    return round(low + (high - low) * min(1.0, max(0.0, quality)))


def _stage(prompt: str) -> str:
    shown = _blocks(prompt)
    if "answer_a" in shown:
        return "pairwise"
    if "answer" not in shown:
        return "criteria"
    return "grade" if "criteria" in shown else "pointwise"


_BLOCK = re.compile(r"<(\w+)>\n(.*?)\n</\1>", re.DOTALL)


@lru_cache(maxsize=4)
def _blocks(prompt: str) -> dict[str, str]:
    """What stands between a prompt's tags; of a tag that comes twice the first (the second shows the reply's form)."""
    found: dict[str, str] = {}
    for tag, text in _BLOCK.findall(prompt):
        found.setdefault(tag, text)
    return found


_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(text: str) -> int:
    return len(_TOKEN.findall(text))
