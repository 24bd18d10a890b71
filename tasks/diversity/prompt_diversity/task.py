"""Any dataset of prompts, four draws each: how different are a model's answers per prompt and across prompts?"""

from collections.abc import Iterable
from functools import partial

from evalsuite.data import Setup
from evalsuite.records import Sample
from evalsuite.scoring import diversity_draws
from evalsuite.scoring.splits_rows import id_of, prompt_of

TASK = {
    "version": 1,
    "primary": "ead",
    "variants": ("full", "shortest", "across"),
    "roles": {"encoder": "optional", "entailment": "optional"},
    "public": "mt_bench",
    "data": ["any file of prompts (--data prompt_diversity=FILE); without one MT-Bench's question.jsonl (Apache-2.0)"],
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
FILES = ("questions.jsonl.gz", "questions.jsonl", "question.jsonl", "prompts.jsonl")
PLAN = diversity_draws.Plan(draws=4, length=40)


def load(setup: Setup) -> Iterable[Sample]:
    path = setup.file(*FILES)
    for number, row in enumerate(setup.each(*FILES), start=1):
        yield Sample(id_of(row, number), prompt_of(row, f"{path}: row {number}"))


prompt = partial(diversity_draws.requests, plan=PLAN)
follow_up = partial(diversity_draws.follow_up, plan=PLAN)
score = partial(diversity_draws.score, plan=PLAN)
law, LAW = partial(diversity_draws.faults, plan=PLAN), diversity_draws.LAW
metrics = diversity_draws.across
