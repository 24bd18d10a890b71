"""Open prompts, four draws each: how different are a model's answers to the same prompt?"""

import math
from collections.abc import Iterable, Mapping, Sequence

from evalsuite.data import Setup
from evalsuite.records import Completion, Completions, Metric, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.diversity import counted, distinct, ead, self_bleu, truncate, words

TASK = {
    "version": 1,
    "primary": "ead",
    "subsets": {
        "own": "46 open prompts of our own (no data needed)",
        "alpaca_farm": "the 252 instructions of AlpacaFarm's example outputs",
    },
    "public": "alpaca_farm",
    "data": ["alpaca_farm: outputs_baseline.json (github.com/tatsu-lab/alpaca_farm, examples/data)"],
    "unit": {"ead": "index", "ead_across": "index", "self_bleu": "index", "words": "words"},
    "lower_is_better": ("self_bleu",),
    "judged": True,
}
DRAWS = 4
LENGTH = 40  # words of each draw that are compared: longer answers must not look less diverse


def load(setup: Setup) -> Iterable[Sample]:
    if setup.subset == "alpaca_farm":
        for number, row in enumerate(setup.rows("outputs_baseline.json", "outputs_sft.json", "outputs_rlhf.json")):
            text = "\n\n".join(part for part in (row["instruction"], row.get("input")) if part)
            yield Sample(f"alpaca_farm-{number:03d}", (user(text),))
        return
    for row in setup.own():
        yield Sample(row["id"], (user(row["prompt"]),), metadata={"kind": row["kind"]})


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    return [
        Request(
            "generate",
            sample.messages,
            key=f"draw{i}",
            repeat=i,
            sampling=Sampling(temperature=1.0, max_tokens=96, seed=setup.seed),
        )
        for i in range(DRAWS)
    ]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    full = [words(completions[key].text) for key in sorted(completions)]
    if not any(full):
        return {name: missing("empty") for name in ("ead", "distinct2", "self_bleu", "words")}
    draws = truncate(full, LENGTH)
    compared = {"words_compared": counted(draws), "draws": len(draws)}
    return {
        "ead": Score(ead(draws), details=compared | {"first": " ".join(draws[0])}),
        "distinct2": Score(distinct(draws, 2)),
        "self_bleu": Score(self_bleu(draws)),
        "words": Score(counted(full) / len(full)),
    }


def metrics(rows: Sequence[tuple[Sample, Mapping[str, Score]]], setup: Setup) -> list[Metric]:
    """EAD across prompts: of the first draws of all prompts, with a delete-one jackknife interval."""
    firsts = {
        s.id: str(scores["ead"].details["first"]).split() for s, scores in rows if scores["ead"].value is not None
    }
    texts = list(firsts.values())
    if len(texts) < 3:
        return []
    value, n = ead(texts), len(texts)
    left_out = [ead(texts[:i] + texts[i + 1 :]) for i in range(n)]
    center = sum(left_out) / n
    half = 1.96 * math.sqrt((n - 1) / n * sum((x - center) ** 2 for x in left_out))
    return [Metric(setup.task, "ead_across", value, value - half, value + half, n, interval="jackknife", unit="index")]


LAW = (
    "identical draws are the least diverse (self_bleu 1), draws without a common word the most (distinct2 1, "
    "self_bleu 0), and the order of draws changes nothing"
)


def law(setup: Setup) -> list[str]:
    same = _scored("the red fox ran over the hill", *["the red fox ran over the hill"] * 3)
    mixed = "the red fox ran", "the red hen sat", "a blue hen sat", "one wolf slept late"
    some, turned = _scored(*mixed), _scored(*reversed(mixed))
    apart = _scored("red fox ran", "blue hen sat", "one wolf slept", "my cow stood")
    faults = {
        "self_bleu of identical draws is not 1": not math.isclose(same["self_bleu"], 1),
        "self_bleu of disjoint draws is not 0": apart["self_bleu"] != 0,
        "distinct2 of disjoint draws is not 1": apart["distinct2"] != 1,
        "ead does not rise from identical to mixed to disjoint": not same["ead"] < some["ead"] < apart["ead"],
        "distinct2 does not rise from identical to mixed": not same["distinct2"] < some["distinct2"] <= 1,
        "self_bleu does not fall from identical to mixed": not 0 < some["self_bleu"] < 1,
        "the order of draws matters": any(not math.isclose(some[name], turned[name]) for name in some),
        "four empty draws have a score": _value(score(_LAW_SAMPLE, _draws("", "", "", ""))["ead"]) is not None,
    }
    return [fault for fault, found in faults.items() if found]


_LAW_SAMPLE = Sample("law", ())


def _draws(*texts: str) -> Completions:
    return Completions({f"draw{i}": [Completion(text=text)] for i, text in enumerate(texts)})


def _scored(*texts: str) -> dict[str, float]:
    return {name: _value(s) or 0.0 for name, s in score(_LAW_SAMPLE, _draws(*texts)).items()}


def _value(score: Score) -> float | None:
    return score.value
