"""Summaries of Reddit posts (TL;DR), four draws each: how different are they per post, and across posts?"""

from collections.abc import Iterable
from functools import partial

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.records import Sample, user
from evalsuite.scoring import diversity_draws

TASK = {
    "version": 1,
    "primary": "ead",
    "variants": ("full", "shortest", "across"),
    "roles": {"encoder": "optional", "entailment": "optional"},
    "public": "instructgpt_samples",
    "data": ["tldr_samples.csv (github.com/openai/following-instructions-human-feedback, automatic-eval-samples)"],
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
FILES = ("tldr_samples.csv.gz", "tldr_samples.csv")
PLAN = diversity_draws.Plan(draws=4, length=20, max_tokens=64)


def load(setup: Setup) -> Iterable[Sample]:
    path, seen = setup.file(*FILES), set()
    for number, row in enumerate(setup.each(*FILES), start=1):
        if not row.get("context"):
            raise InputError(f"{path}: row {number} needs 'context', a post that ends in 'TL;DR:'")
        # The file has each post once for every model that summarised it.
        if row["context"] not in seen:
            seen.add(row["context"])
            yield Sample(f"post-{len(seen):03d}", (user(row["context"]),))


prompt = partial(diversity_draws.requests, plan=PLAN)
follow_up = partial(diversity_draws.follow_up, plan=PLAN)
score = partial(diversity_draws.score, plan=PLAN)
law, LAW = partial(diversity_draws.faults, plan=PLAN), diversity_draws.LAW
metrics = diversity_draws.across
