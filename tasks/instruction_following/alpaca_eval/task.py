"""How often is the model's answer preferred to a baseline's recorded one? (AlpacaEval: 805 instructions)

The judge is `judges/pairwise`: both orders, one letter, read from log-probabilities where they are given. Beside the
win rate stands the length-controlled one.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.judging import Judge, find
from evalsuite.judging.ranking.length import LengthControl, read_control
from evalsuite.judging.within import against_recorded, ask, read, score_of
from evalsuite.records import Completions, Metric, Request, Sample, Sampling, Score, user
from evalsuite.scoring.pairs import side
from evalsuite.statistics import GamedRows, fit_length_control

TASK = {
    "version": 1,
    "subsets": {
        "v2": "against gpt4_1106_preview (AlpacaEval 2)",
        "v1": "against text_davinci_003 (AlpacaEval 1)",
    },
    "primary": "win_rate",
    "roles": {"judge": "required"},
    "public": "alpaca_eval",
    "data": ["a baseline's model_outputs.json (tatsu-lab/alpaca_eval, results/; data CC-BY-NC-4.0)"],
    "baselines": {"win_rate": {"the baseline itself": 0.5}},
}
NAMES = {"v2": "gpt4_1106_preview", "v1": "text_davinci_003"}
DIFFICULTY, GAMED = "derived_instruction_difficulty.csv", "derived_gamed_baseline_surrogate.csv"


@cache
def judge() -> Judge:
    return find("pairwise")


def _files(setup: Setup) -> tuple[str, ...]:
    name = NAMES[setup.subset]
    return (f"{name}_model_outputs.json", f"{name}/model_outputs.json", f"{name}_model_outputs.json.gz")


def load(setup: Setup) -> Iterator[Sample]:
    path = setup.file(*_files(setup))
    for number, row in enumerate(setup.each(*_files(setup))):
        if not row.get("instruction") or not isinstance(row.get("output"), str):
            raise InputError(f"{path}: row {number + 1} needs 'instruction' and 'output' (AlpacaEval's model_outputs)")
        baseline = {"output": row["output"], "generator": row.get("generator", NAMES[setup.subset])}
        # The row's number is what AlpacaEval's own files of difficulties call an instruction.
        yield Sample(str(number), (user(row["instruction"]),), baseline, {"dataset": row.get("dataset", "")})


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=2048))]


def follow_up(sample: Sample, completions: Completions) -> list[Request]:
    return ask(judge(), against_recorded(sample, completions), completions)


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    said = read(judge(), against_recorded(sample, completions), completions)
    found = score_of(said)
    ours, theirs = len(completions.text), len(sample.target["output"])
    lengths = {"length": ours, "baseline_length": theirs}
    scores = {
        "win_rate": found,
        "win_rate_discrete": found,
        "longer": Score(side(ours, theirs), details=lengths),
    }
    if found.value is not None:
        discrete = side(found.value, 0.5)
        scores |= {
            "win_rate": Score(found.value, details={"consistent": said.outcome.consistent}),
            "win_rate_discrete": Score(discrete),
        }
    return scores


def metrics(rows: Sequence[tuple[Sample, Mapping[str, Score]]], setup: Setup) -> list[Metric]:
    """The length-controlled win rate (Dubois et al. 2024), fitted to this run's verdicts. With AlpacaEval's difficulty
    of each instruction, and its gamed baselines, where their files lie beside the outputs; else on length alone."""
    control = _control(setup)
    answered = [(sample, scores) for sample, scores in rows if scores["longer"].value is not None]
    known = bool(control.difficulty) and all(sample.id in control.difficulty for sample, _ in answered)
    name = "win_rate_lc" if known else "win_rate_lc_no_difficulty"
    lengths = [scores["longer"].details for _, scores in answered]
    try:
        found = fit_length_control(
            [scores["win_rate"].value for _, scores in answered],
            ([one["length"] for one in lengths], [one["baseline_length"] for one in lengths]),
            [control.difficulty[sample.id] for sample, _ in answered] if known else None,
            _gamed(control) if known else None,
        )
    except ValueError:  # no verdict at all, or a model that always won: no coefficients
        return [Metric(setup.task, name, None, None, None, 0, len(rows), "none")]
    half = None if found.fit_error is None else 1.96 * found.fit_error
    low = None if half is None else max(found.value - half, 0.0)
    high = None if half is None else min(found.value + half, 1.0)
    return [Metric(setup.task, name, found.value, low, high, found.n, len(rows) - found.n, "delta")]


def _control(setup: Setup) -> LengthControl:
    """The files of AlpacaEval 2 that lie beside its outputs; nothing for version 1, whose judge is another."""
    folder = setup.file(*_files(setup)).parent
    places = [p if (p := folder / name).is_file() and setup.subset == "v2" else None for name in (DIFFICULTY, GAMED)]
    return read_control(difficulty=places[0], gamed=places[1])


def _gamed(control: LengthControl) -> GamedRows | None:
    import numpy as np

    if not control.gamed:
        return None
    parts = ("preference", "length", "difficulty")
    return GamedRows(*(np.concatenate([getattr(g, part) for g in control.gamed]) for part in parts))


def gold(sample: Sample) -> dict[str, str]:
    return {"answer": "The better answer.", "judge:ab": "A", "judge:ba": "B"}


def near_miss(sample: Sample) -> dict[str, str]:
    """Preferred only where it is shown first."""
    return {**gold(sample), "judge:ba": "A"}
