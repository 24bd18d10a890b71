"""Open prompts, four draws each: how different are a model's answers to the same prompt?"""

from collections.abc import Iterable
from functools import partial

from evalsuite.data import Setup
from evalsuite.records import Sample, user
from evalsuite.scoring import diversity_draws

TASK = {
    "version": 2,
    "primary": "ead",
    "subsets": {
        "own": "46 open prompts of our own (no data needed)",
        "alpaca_farm": "the 252 instructions of AlpacaFarm's example outputs",
    },
    "variants": ("full", "shortest", "across"),
    "roles": {"encoder": "optional", "entailment": "optional"},
    "public": "alpaca_farm",
    "data": ["alpaca_farm: outputs_baseline.json (github.com/tatsu-lab/alpaca_farm, examples/data)"],
    "unit": {
        "ead": "index",
        "self_bleu": "index",
        "vendi": "texts",
        "encoder": "index",
        "vendi_encoder": "texts",
        "nli": "index",
        "nli_sentences": "index",
        "words": "words",
    },
    "lower_is_better": ("self_bleu",),
    "judged": True,
}
PLAN = diversity_draws.Plan(draws=4, length=40)


def load(setup: Setup) -> Iterable[Sample]:
    if setup.subset == "alpaca_farm":
        for number, row in enumerate(setup.rows("outputs_baseline.json", "outputs_sft.json", "outputs_rlhf.json")):
            text = "\n\n".join(part for part in (row["instruction"], row.get("input")) if part)
            yield Sample(f"alpaca_farm-{number:03d}", (user(text),))
        return
    for row in setup.own():
        yield Sample(row["id"], (user(row["prompt"]),), metadata={"kind": row["kind"]})


prompt = partial(diversity_draws.requests, plan=PLAN)
follow_up = partial(diversity_draws.follow_up, plan=PLAN)
score = partial(diversity_draws.score, plan=PLAN)
law, LAW = partial(diversity_draws.faults, plan=PLAN), diversity_draws.LAW
metrics = diversity_draws.across
