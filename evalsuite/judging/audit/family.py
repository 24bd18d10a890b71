"""Who is related to whom: a judge must not judge its own answers, its relatives', or what it has itself labelled.

Names are all that files give, so a family is read from a model's name; a name that says nothing is nobody's relative.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.judging.audit.figures import Figure, difference, nothing, share
from evalsuite.judging.audit.items import Item, Rule, outcome

FAMILIES = {
    "Cerebras": ("cerebras",),
    "EleutherAI": ("pythia", "gptj", "gptneo", "gptneox", "neo", "neox", "eleutherai"),
    "OpenAI": ("gpt", "chatgpt", "davinci", "curie", "o1", "o3", "o4", "codex"),
    "Anthropic": ("claude",),
    "Google": ("gemini", "gemma", "palm", "bard", "t5", "flan"),
    "Meta": ("llama", "codellama", "opt"),
    "Mistral": ("mistral", "mixtral", "ministral", "magistral", "codestral"),
    "Qwen": ("qwen", "qwq"),
    "DeepSeek": ("deepseek",),
    "Microsoft": ("phi", "wizardlm"),
    "Cohere": ("command", "aya", "c4ai"),
    "SmolLM": ("smollm",),
    "Falcon": ("falcon",),
    "Yi": ("yi",),
    "GLM": ("glm", "chatglm"),
    "InternLM": ("internlm",),
    "EXAONE": ("exaone",),
    "Ai2": ("olmo", "tulu", "molmo"),
    "BLOOM": ("bloom", "bloomz"),
    "Nemotron": ("nemotron",),
    "Granite": ("granite",),
    "Grok": ("grok",),
    "Kimi": ("kimi",),
    "MiniMax": ("minimax",),
    "microworld": ("microworld",),
}
"""Maker → the words by which its models are called, the first that fits. Fine-tunes whose names hide their base are not
known."""

MADE_FROM = {"vicuna": "Meta", "alpaca": "Meta", "zephyr": "Mistral", "guanaco": "Meta", "koala": "Meta"}
NOISE = frozenset(
    ("single", "pair", "pairwise", "judge", "chat", "instruct", "it", "hf", "fn", "preview", "turbo", "latest", "model")
)


@dataclass(frozen=True, slots=True)
class Relative:
    """A contestant that is the judge itself ("itself") or of its family ("relative"). `by_judge` and `by_people` are
    its win rates on the pairs that both decided, `gap` the judge's minus people's, paired."""

    model: str
    kin: str
    family: str
    by_judge: Figure
    by_people: Figure
    gap: Figure


def words_of(name: str) -> list[str]:
    """A model's name in words and numbers, without folder, server, dates and words that say how it is used:
    "openai:gpt-4-0613@https://..." → ["gpt", "4"]."""
    bare = name.partition("@")[0].rpartition(":")[2] if "://" not in name.partition("@")[0] else name
    bare = bare.rstrip("/").rpartition("/")[2]
    parts = re.findall(r"[a-z]+|\d+", bare.lower())
    return [p for p in parts if p not in NOISE and not (p.isdigit() and len(p) >= 4)]


def family_of(name: str) -> str | None:
    """The maker of a model, as far as its name tells: "OpenAI" of "gpt-4o-mini"; None where it tells none."""
    if name.startswith("microworld:"):
        return "microworld"
    spelled = re.findall(r"[a-z]+\d*|\d+", name.lower())
    words = {w for s in spelled for w in (s, s.rstrip("0123456789"))}
    for family, known in FAMILIES.items():
        if words & set(known):
            return family
    return next((family for word, family in MADE_FROM.items() if word in words), None)


def kin(judge: str, model: str) -> tuple[str, str] | None:
    """("itself" or "relative", family) where a contestant is the judge's model or of its family; None where not."""
    if not judge or not model:
        return None
    mine = words_of(judge)
    family = family_of(judge)
    if judge == model or (mine and mine == words_of(model)):
        return "itself", family or judge
    return ("relative", family) if family is not None and family == family_of(model) else None


def models_of(items: Sequence[Item]) -> list[str]:
    return sorted({m for item in items for m in item.key[2:] if m})


def relatives(items: Sequence[Item], judge_model: str, rule: Rule = "mean") -> list[Relative]:
    """Contestants that are the judge or its relatives, with how much better the judge finds them than people do.
    Pairs of two relatives are left out: there the judge cannot favour one family."""
    related = {m: found for m in models_of(items) if (found := kin(judge_model, m)) is not None}
    rows: dict[str, list[tuple[float, float | None, str]]] = defaultdict(list)
    for item in items:
        here = [m for m in item.key[2:] if m in related]
        said = outcome(item.judge, rule)
        if len(here) != 1 or said is None:
            continue
        votes = [v.preference for v in item.people if v.preference is not None]
        people = sum(votes) / len(votes) if votes else None
        if here[0] == item.key[3]:
            said, people = 1 - said, None if people is None else 1 - people
        rows[here[0]].append((said, people, item.cluster))
    return [_relative(model, *related[model], rows[model]) for model in related]


def _relative(model: str, how: str, family: str, rows: Sequence[tuple[float, float | None, str]]) -> Relative:
    reason = "no pair of this model against another family"
    both = [(a, b, c) for a, b, c in rows if b is not None]
    if not both:
        alone = share([a for a, _, _ in rows], [c for _, _, c in rows], reason)
        none = nothing("people did not vote on this model's pairs")
        return Relative(model, how, family, alone, none, nothing(none.reason, "points"))
    clusters = [c for _, _, c in both]
    mine, people = [a for a, _, _ in both], [b for _, b, _ in both]
    gap = difference(mine, people, clusters, reason)
    return Relative(model, how, family, share(mine, clusters, reason), share(people, clusters, reason), gap)


@dataclass(frozen=True, slots=True)
class Overlap:
    """One reason why this judge's figures on these models are not independent."""

    what: str
    who: str


def overlaps(
    items: Sequence[Item], judge_model: str, preferences_judge: str = "", reward_model: str = ""
) -> list[Overlap]:
    """Where the judge meets its own work: it labelled the preferences that trained a contestant, served as the reward,
    or is (a relative of) a contestant."""
    roles = [
        (preferences_judge, "labelled the preferences", "is of the family that labelled the preferences"),
        (reward_model, "served as the reward", "is of the family that served as the reward"),
    ]
    roles += [(model, "is a contestant", "is a relative of a contestant") for model in models_of(items)]
    found = []
    for name, itself, related in roles:
        relation = kin(judge_model, name)
        if relation is not None:
            found.append(Overlap(itself if relation[0] == "itself" else related, name))
    return found
