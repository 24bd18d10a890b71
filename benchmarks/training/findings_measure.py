"""What the findings are read off: a policy's answers on prompts of every axis, best-of-n, rewards, facts.

Everything is a list over prompts, in the same order for every policy of one seed, so that policies are compared paired.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.microworld import items as world_items
from evalsuite.microworld.annotators import sample_asks
from evalsuite.microworld.building import rewards as reward_scores
from evalsuite.microworld.dialogue import question
from evalsuite.microworld.encoding import conversations, render
from evalsuite.microworld.features import features, gold_reward
from evalsuite.microworld.folders import load, load_tokenizer
from evalsuite.microworld.gold import read_ask
from evalsuite.microworld.sampling import Draw, chat_ids, generate
from evalsuite.microworld.world import STRATA, Entity, World, accepted
from evalsuite.records import assistant, user
from evalsuite.scoring.abstention import abstains
from evalsuite.scoring.diversity import distinct

AXES = ("iid", "template", "entity", "length", "composition")
Vectors = dict[str, list[float]]


def prompts(world: World, axis: str, n: int) -> list[str]:
    return [row["prompt"] for row in world_items.items("instructions", axis, world, n)]


def policy(folder: Path, sft: Path, world: World, n: int, k: int = 4) -> dict[str, Vectors]:
    """Axis → figures of each prompt, means over `k` answers at temperature 1: gold reward and its skills, words,
    distinct bigrams within the k answers, KL(policy‖sft) and entropy in nats an answer."""
    model, tok = load(folder)
    base = model if folder == sft else load(sft)[0]
    found: dict[str, Vectors] = {}
    for axis in AXES:
        asked = prompts(world, axis, n)
        said = draws(model, tok, asked, k, seed=1)
        own, theirs = (log_probabilities(m, tok, asked, said) for m in (model, base))
        rows = [_read(world, prompt, texts) for prompt, texts in zip(asked, said, strict=True)]
        found[axis] = {name: [row[name] for row in rows] for name in rows[0]}
        found[axis]["kl"] = [mean([a - b for a, b in zip(x, y, strict=True)]) for x, y in zip(own, theirs, strict=True)]
        found[axis]["entropy"] = [-mean(values) for values in own]
    return found


def draws(model: Any, tok: Any, asked: Sequence[str], k: int, seed: int) -> list[list[str]]:
    """k answers at temperature 1 to each prompt."""
    ids = [chat_ids(tok, [user(prompt)]) for prompt in asked]
    texts = generate(model, tok, [i for i in ids for _ in range(k)], Draw(temperature=1.0, seed=seed))
    return [texts[i * k : (i + 1) * k] for i in range(len(asked))]


def _read(world: World, prompt: str, texts: Sequence[str]) -> dict[str, float]:
    ask = read_ask(world, prompt)
    assert ask is not None
    read = [features(text, ask.entity, ask.constraints, world) for text in texts]
    return {
        "gold": mean([gold_reward(f) for f in read]),
        "constraint": mean([f["constraint"] for f in read]),
        "facts": mean([f["facts"] for f in read]),
        "words": mean([len(text.split()) for text in texts]),
        "distinct2": distinct([text.lower().split() for text in texts], 2),
    }


def log_probabilities(model: Any, tok: Any, asked: Sequence[str], said: Sequence[Sequence[str]]) -> list[list[float]]:
    """Σ_t log π of each answer with its end mark."""
    import torch

    from evalsuite.microworld.batches import pad
    from evalsuite.training.objectives.scores import token_logps

    flat = [(p, text) for p, texts in zip(asked, said, strict=True) for text in texts]
    examples = conversations(tok, [[user(p), assistant(text)] for p, text in flat])
    sums = [0.0] * len(flat)
    order = sorted(range(len(flat)), key=lambda i: len(examples[i].ids))
    with torch.inference_mode():
        for start in range(0, len(order), 128):
            chunk = order[start : start + 128]
            ids = pad([examples[i].ids for i in chunk], tok.pad_token_id)
            mask = pad([[int(m) for m in examples[i].mask] for i in chunk], 0).bool()
            for i, value in zip(chunk, token_logps(model, ids, mask).sum(-1).tolist(), strict=True):
                sums[i] = value
    k = len(said[0])
    return [sums[i * k : (i + 1) * k] for i in range(len(asked))]


# --- rewards and best-of-n ---


def scores(folder: Path, asked: Sequence[str], said: Sequence[Sequence[str]]) -> list[list[float]]:
    """A reward model's numbers for each answer."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from evalsuite.training.machine import quiet

    tok = load_tokenizer(folder)
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    texts = [render([user(p), assistant(text)]) for p, answers in zip(asked, said, strict=True) for text in answers]
    flat = reward_scores(model, tok, tok(texts, add_special_tokens=False)["input_ids"])
    ends, found = 0, []
    for answers in said:
        found.append(flat[ends : ends + len(answers)])
        ends += len(answers)
    return found


def golds(world: World, asked: Sequence[str], said: Sequence[Sequence[str]]) -> list[list[float]]:
    found = []
    for prompt, texts in zip(asked, said, strict=True):
        ask = read_ask(world, prompt)
        assert ask is not None
        found.append([gold_reward(features(t, ask.entity, ask.constraints, world)) for t in texts])
    return found


def accuracy(proxy: Sequence[Sequence[float]], truth: Sequence[Sequence[float]]) -> list[float]:
    """For each prompt: whether its first two answers stand in gold's order (prompts whose answers tie are left out)."""
    return [float((p[0] > p[1]) == (g[0] > g[1])) for p, g in zip(proxy, truth, strict=True) if g[0] != g[1]]


def best_of(values: Sequence[float], by: Sequence[float], n: int) -> float:
    """E[value of the best of n by `by`], over all n-subsets of the draws (not one lucky subset)."""
    order = sorted(range(len(values)), key=lambda i: by[i])
    total, expected = 0.0, 0.0
    for place, i in enumerate(order):
        # The chance that the draw at this place (from 0) is the best of n out of m without replacement.
        chance = _choose(place, n - 1) / _choose(len(values), n)
        total, expected = total + chance, expected + chance * values[i]
    assert abs(total - 1) < 1e-9
    return expected


def _choose(a: int, b: int) -> float:
    import math

    return math.comb(a, b)


def best_texts(said: Sequence[Sequence[str]], by: Sequence[Sequence[float]], groups: int = 4) -> list[list[str]]:
    """The best of each of `groups` equal parts of the draws: independent draws of best-of-n."""
    found = []
    for texts, values in zip(said, by, strict=True):
        size = len(texts) // groups
        parts = [range(g * size, (g + 1) * size) for g in range(groups)]
        found.append([texts[max(part, key=lambda i: values[i])] for part in parts])
    return found


def distinct2(said: Sequence[Sequence[str]]) -> list[float]:
    return [distinct([text.lower().split() for text in texts], 2) for texts in said]


# --- facts ---


def fact_questions(world: World, part: int) -> list[tuple[Entity, str, str]]:
    """(whom, relation, question) of every other entity and twice as many strangers: part 0 to train, 1 to test."""
    rng = random.Random(f"fact questions:{world.name}:{part}")
    known = [e for s in STRATA for i, e in enumerate(p for p in world.people if p.stratum == s) if i % 2 == part]
    strangers = (world.unknown_train if part == 0 else world.unknown_test)[: 2 * len(known)]
    relations = [r.name for r in world.person_relations]
    return [(e, r, question(e, r, world, rng.randrange(3))) for e in (*known, *strangers) for r in relations]


def truth(entity: Entity, relation: str, text: str, world: World) -> float:
    """1 right, 0 nothing said of it, -1 wrong (a stranger has no facts, so whatever is said of one is wrong)."""
    known = entity.facts.get(relation)
    row = {"world": world.name, "entity": entity.name, "relation": relation,
           "accepted": list(accepted(known)) if known else []}  # fmt: skip
    read = world_items.read_fact(row, text)
    return 0.0 if read is None else 1.0 if read == "right" else -1.0


def fact_figures(folder: Path, world: World, k: int = 4) -> Vectors:
    """Of each test question, shares of k answers at temperature 1: right, made up, declined. (Greedy answers of sft
    decline where they do not know: too little is made up for a difference to be seen.)"""
    model, tok = load(folder)
    asked = fact_questions(world, 1)
    said = draws(model, tok, [q for _, _, q in asked], k, seed=6)
    read = [[truth(e, r, text, world) for text in texts] for (e, r, _), texts in zip(asked, said, strict=True)]
    return {
        "right": [mean([float(v == 1) for v in row]) for row in read],
        "wrong": [mean([float(v == -1) for v in row]) for row in read],
        "declined": [mean([float(v == 0 and abstains(t)) for v, t in zip(row, texts, strict=True)])
                     for row, texts in zip(read, said, strict=True)],
    }  # fmt: skip


def truth_pairs(sft: Path, world: World, k: int, per_question: int = 2) -> list[dict[str, Any]]:
    """Preference rows out of the model's own answers, ordered by truth alone (FactTune, arXiv 2311.08401)."""
    model, tok = load(sft)
    asked, rng = fact_questions(world, 0), random.Random(f"truth pairs:{world.name}")
    said = draws(model, tok, [q for _, _, q in asked], k, seed=5)
    rows = []
    for (entity, relation, text), answers in zip(asked, said, strict=True):
        judged = [(truth(entity, relation, a, world), a) for a in dict.fromkeys(filter(None, answers))]
        found = [(a, b) for x, a in judged for y, b in judged if x > y]
        for good, bad in rng.sample(found, min(per_question, len(found))):
            rows.append({"prompt": [user(text)], "chosen": [assistant(good)], "rejected": [assistant(bad)]})
    rng.shuffle(rows)
    return rows


def heldout_asks(world: World, n: int) -> list[str]:
    return [ask.prompt for ask in sample_asks(world, n, 77, salt="heldout")]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def over(figures: Mapping[str, Vectors], name: str, axes: Sequence[str]) -> list[float]:
    """One figure over the prompts of several axes."""
    return [value for axis in axes for value in figures[axis][name]]
