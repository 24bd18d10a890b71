"""What the diversity tasks share: draws of answers, what is asked about them, their figures per input and across.

    PLAN = Plan(draws=4, length=40)
    prompt = partial(requests, plan=PLAN)
    follow_up = partial(follow_up, plan=PLAN)         # embeddings and NLI, where the command gave models for them
    score = partial(score, plan=PLAN)                 # figures of one prompt's draws
    metrics = across                                  # figures of the prompts' first draws
    law, LAW = partial(faults, plan=PLAN), LAW

Scores per input: `ead`, `distinct2`, `self_bleu`, `vendi`, `words`, and `distinct2_at_40` (where 40 words count): the
distinct share that 40 bigrams of the whole draws show on average, whether they are short or long. With a model in
the role "encoder" `encoder` (1 − mean cosine) and `vendi_encoder`; with one in the role "entailment" `nli` (whole
draws) and `nli_sentences` (one sentence drawn of each). Across inputs the same names with `_across`; NLI has none,
because every pair of prompts would have to be asked.

Variants of a task that takes them: "full" (nothing is cut), "shortest" (each prompt's draws are cut to its shortest),
"across" (one draw a prompt, figures across prompts only: for recorded answers, of which there is one a prompt).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evalsuite.data import Setup
from evalsuite.records import Completion, Completions, Metric, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring import diversity as lexical
from evalsuite.scoring import diversity_semantic as semantic
from evalsuite.scoring.entailment import entails, probabilities
from evalsuite.statistics import Interval

UNITS = {
    **dict.fromkeys(("ead", "self_bleu", "encoder", "nli", "nli_sentences"), "index"),
    **dict.fromkeys(("vendi", "vendi_encoder"), "texts"),
    "words": "words",
}
COUNT = 1000  # bigrams at which sets of prompts are compared where they have as many

Rows = Sequence[tuple[Sample, Mapping[str, Score]]]
Words = list[list[str]]


@dataclass(frozen=True)
class Plan:
    """How a task draws: so many answers a prompt, at this temperature, up to `max_tokens`; `length` words of each are
    compared (longer answers must not look less diverse)."""

    draws: int = 4
    length: int = 40
    max_tokens: int = 96
    temperature: float = 1.0

    def count(self, setup: Setup) -> int:
        return 1 if setup.variant == "across" else self.draws

    def equal(self, setup: Setup) -> int | str:
        return setup.variant if setup.variant in ("full", "shortest") else self.length


def requests(sample: Sample, setup: Setup, plan: Plan) -> list[Request]:
    sampling = Sampling(temperature=plan.temperature, max_tokens=plan.max_tokens, seed=setup.seed)
    return [
        Request("generate", sample.messages, key=f"draw{i}", repeat=i, sampling=sampling)
        for i in range(plan.count(setup))
    ]


def follow_up(sample: Sample, completions: Completions, setup: Setup, plan: Plan) -> list[Request]:
    """Embeddings of the draws and judgements of their ordered pairs, all in one stage. Draws that say nothing are not
    asked about: no model has a meaning for them."""
    if any(key.startswith(("embed", "nli")) for key in completions):
        return []
    texts = _heads(completions, setup, plan)
    spoken = [i for i, text in enumerate(texts) if text]
    asked: list[Request] = []
    if "encoder" in setup.roles:
        asked += [Request("embed", (user(texts[i]),), key=f"embed{i}", role="encoder") for i in spoken]
    if "entailment" in setup.roles and len(spoken) > 1:
        sentences = {i: semantic.one_sentence(texts[i], setup.rng(f"{sample.id}:{i}")) for i in spoken}
        for a, b in semantic.ordered_pairs(len(spoken)):
            i, j = spoken[a], spoken[b]
            asked.append(entails(texts[i], texts[j], f"nli {i} {j}"))
            asked.append(entails(sentences[i], sentences[j], f"nli_sentences {i} {j}"))
    return asked


def score(sample: Sample, completions: Completions, setup: Setup, plan: Plan) -> dict[str, Score]:
    """Every figure of one prompt's draws; with one draw (variant "across") its words alone, with the draw itself in the
    details, where `across` finds it."""
    keys = _drawn(completions)
    full = [lexical.words(completions[key].text) for key in keys]
    names, at = _names(setup, plan), f"distinct2_at_{plan.length}"
    if not any(full):
        return {name: missing("empty") for name in names}
    draws = lexical.equalise(full, plan.equal(setup))
    found: dict[str, Score] = {}
    if len(draws) > 1:
        found["ead"] = Score(lexical.ead(draws))
        found["distinct2"] = Score(lexical.distinct(draws, 2))
        found[at] = _at_one_count(full, plan.length)
        found["self_bleu"] = Score(lexical.self_bleu(draws))
        found["vendi"] = Score(semantic.vendi(semantic.ngram_kernel(draws)))
    found |= _semantic(completions, names)
    details = {"words_compared": lexical.counted(draws), "draws": len(draws), "first": " ".join(draws[0])}
    if "embed0" in completions and _vector(completions["embed0"]):
        details["embedding"] = [round(x, 5) for x in _vector(completions["embed0"])]
    found["words"] = Score(lexical.counted(full) / len(full), details=details)
    if "ead" in found:
        found["ead"] = Score(found["ead"].value, details=details)
    return found


def _names(setup: Setup, plan: Plan) -> list[str]:
    """Scores that a prompt has under this command."""
    if plan.count(setup) == 1:
        return ["words"]
    names = ["ead", "distinct2", f"distinct2_at_{plan.length}", "self_bleu", "vendi"]
    names += ["encoder", "vendi_encoder"] if "encoder" in setup.roles else []
    names += ["nli", "nli_sentences"] if "entailment" in setup.roles else []
    return [*names, "words"]


def _at_one_count(texts: Words, count: int) -> Score:
    """The distinct share of `count` bigrams drawn from whole draws; missing where they have fewer together."""
    if sum(len(lexical.ngrams(text, 2)) for text in texts) < count:
        return missing("empty")
    return Score(lexical.rarefied(texts, 2, count))


def _semantic(completions: Completions, names: Sequence[str]) -> dict[str, Score]:
    """Scores by models. A prompt with fewer than two draws that say something is missing ("empty"), a model that gave
    no finite numbers too ("backend_error")."""
    found: dict[str, Score] = {}
    vectors = [_vector(completions[key]) for key in completions if key.startswith("embed")]
    figures: list[tuple[str, Callable[[list[tuple[float, ...]]], float]]] = [
        ("encoder", semantic.spread),
        ("vendi_encoder", lambda rows: semantic.vendi(semantic.cosines(rows))),
    ]
    for name, figure in figures:
        if name in names and len(vectors) < 2:
            found[name] = missing("empty")
        elif name in names:
            found[name] = Score(figure(vectors)) if all(vectors) else missing("backend_error")
    for name in ("nli", "nli_sentences"):
        if name in names:
            judged = [completions[key].rewards for key in completions if key.split(" ")[0] == name]
            if not judged:
                found[name] = missing("empty")
            elif any(not outputs or not all(map(math.isfinite, outputs.values())) for outputs in judged):
                found[name] = missing("backend_error")
            else:
                found[name] = Score(semantic.nli_diversity(map(probabilities, judged)))
    return found


def across(rows: Rows, setup: Setup, suffix: str = "_across") -> list[Metric]:
    """Figures of the set of first draws, with jackknife intervals. They depend on the number of prompts: compare them
    between runs on the same ones. `distinct2_across_at_1000` does not: it is what 1,000 bigrams of the set show."""
    details = [scores["words"].details for _, scores in rows if "words" in scores]
    firsts = [str(d["first"]).split() for d in details if d.get("first")]
    if len(firsts) < 3:
        return []
    found: list[tuple[str, Interval]] = [
        ("ead", lexical.ead_interval(firsts)),
        ("distinct2", lexical.distinct_interval(firsts, 2)),
        ("vendi", semantic.vendi_interval(semantic.ngram_kernel(firsts))),
    ]
    vectors = [d["embedding"] for d in details if d.get("embedding")]
    if len(vectors) > 2:
        found.append(("encoder", semantic.spread_interval(vectors)))
        found.append(("vendi_encoder", semantic.vendi_interval(semantic.cosines(vectors))))
    table = [(f"{name}{suffix}", made, UNITS.get(name, "share")) for name, made in found]
    rarefied = lexical.rarefied_interval(firsts, 2, COUNT)
    if rarefied is not None:
        table.append((f"distinct2{suffix}_at_{COUNT}", rarefied, "share"))
    # With one draw a prompt there is no figure per input that could stand in the table of a run.
    headline = f"ead{suffix}" if setup.variant == "across" else ""
    return [
        Metric(setup.task, name, i.value, i.low, i.high, i.n, len(rows) - i.n, i.method, unit, name == headline)
        for name, i, unit in table
    ]


def _drawn(completions: Completions) -> list[str]:
    return sorted(key for key in completions if key.startswith("draw"))


def _heads(completions: Completions, setup: Setup, plan: Plan) -> list[str]:
    """The draws as they are spelled, at the length at which they are compared; empty where they say nothing."""
    texts = [completions[key].text.strip() for key in _drawn(completions)]
    length = lexical.equal_length([lexical.words(text) for text in texts], plan.equal(setup))
    return [lexical.head(text, length) if length is not None else text for text in texts]


def _vector(completion: Completion) -> tuple[float, ...]:
    """One row, pooled; rows of a token-level embedder are averaged. Empty where there is none that has a direction."""
    rows = completion.embedding
    if completion.error is not None or not rows:
        return ()
    pooled = tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))
    return pooled if all(map(math.isfinite, pooled)) and any(pooled) else ()


LAW = (
    "identical draws are the least diverse (self_bleu 1, vendi 1), draws without a common word the most (distinct2 1, "
    "self_bleu 0, vendi the number of draws), and the order of draws changes nothing"
)


def faults(setup: Setup, plan: Plan) -> list[str]:
    """Violations of `LAW` by this module's scores of four draws."""
    same = _scored(setup, plan, *["the red fox ran over the hill"] * 4)
    mixed = "the red fox ran", "the red hen sat", "a blue hen sat", "one wolf slept late"
    some, turned = _scored(setup, plan, *mixed), _scored(setup, plan, *reversed(mixed))
    apart = _scored(setup, plan, "red fox ran", "blue hen sat", "one wolf slept", "my cow stood")
    found = {
        "self_bleu of identical draws is not 1": not math.isclose(same["self_bleu"], 1),
        "vendi of identical draws is not 1": not math.isclose(same["vendi"], 1),
        "self_bleu of disjoint draws is not 0": apart["self_bleu"] != 0,
        "distinct2 of disjoint draws is not 1": apart["distinct2"] != 1,
        "vendi of disjoint draws is not their number": not math.isclose(apart["vendi"], 4),
        "ead does not rise from identical to mixed to disjoint": not same["ead"] < some["ead"] < apart["ead"],
        "distinct2 does not rise from identical to mixed": not same["distinct2"] < some["distinct2"] <= 1,
        "vendi does not rise from identical to mixed": not same["vendi"] < some["vendi"] < 4,
        "self_bleu does not fall from identical to mixed": not 0 < some["self_bleu"] < 1,
        "the order of draws matters": any(not math.isclose(some[name], turned[name]) for name in some),
        "four empty draws have a score": any(v != 0.0 for v in _scored(setup, plan, "", "", "", "").values()),
    }
    return [fault for fault, broken in found.items() if broken]


def _scored(setup: Setup, plan: Plan, *texts: str) -> dict[str, float]:
    """Values of lexical scores; 0 where one is missing (no draw has a value of 0 that is not disjoint self-BLEU)."""
    draws = Completions({f"draw{i}": [Completion(text=text)] for i, text in enumerate(texts)})
    made = score(Sample("law", ()), draws, setup, plan)
    names = ("ead", "distinct2", "self_bleu", "vendi", "words")
    return {name: made[name].value or 0.0 for name in names if name in made}
