"""Instructions of the generated world, in distribution and out of it: where does a checkpoint's diversity narrow?"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from evalsuite.data import Setup
from evalsuite.microworld.items import load_items
from evalsuite.records import Metric, Sample, Score, user
from evalsuite.scoring import diversity_draws
from evalsuite.scoring.splits import gap_metrics, side_of

TASK = {
    "version": 1,
    "primary": "ead",
    "subsets": {
        "template": "wordings that fine-tuning never used",
        "entity": "people that fine-tuning never spoke of",
        "length": "counts that fine-tuning never asked for",
        "keyword": "words that fine-tuning never asked for",
        "composition": "pairs of constraints that fine-tuning never put together",
    },
    "variants": ("full", "shortest"),
    "roles": {"encoder": "optional", "entailment": "optional"},
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
    "lower_is_better": ("self_bleu", "self_bleu_in", "self_bleu_out"),
}
PLAN = diversity_draws.Plan(draws=4, length=12, max_tokens=72)


def load(setup: Setup) -> Iterable[Sample]:
    # In turns, so that a limit takes as many of each side.
    sides = [load_items("instructions", subset, setup.data) for subset in ("iid", setup.subset)]
    for pair in zip(*sides, strict=False):
        for side, row in zip(("in", "out"), pair, strict=True):
            yield Sample(row["id"], (user(row["prompt"]),), metadata={"side": side, "world": row["world"]})


prompt = partial(diversity_draws.requests, plan=PLAN)
follow_up = partial(diversity_draws.follow_up, plan=PLAN)
score = partial(diversity_draws.score, plan=PLAN)
law, LAW = partial(diversity_draws.faults, plan=PLAN), diversity_draws.LAW


def metrics(rows: Sequence[tuple[Sample, Mapping[str, Score]]], setup: Setup) -> list[Metric]:
    """Each side's figures, per input and across, and the gaps per input."""
    made = gap_metrics(rows, setup, TASK["unit"])
    for side in ("in", "out"):
        made += diversity_draws.across([row for row in rows if side_of(row[0]) == side], setup, f"_across_{side}")
    return made
