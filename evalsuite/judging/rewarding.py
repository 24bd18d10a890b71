"""The reward of answers, whatever the method: what a reward-model task asks of any model, and reads.

A sample has `metadata["answers"]` (texts) and as its target a list of their gold numbers. To the methods of
`scoring.rewards` this adds the model that is evaluated as a judge:

* `judge`: of two answers, protocol `pairwise` in both orders
* `grade`: of any number of answers, protocol `pointwise`, a grade from 1 to 10 for each

A task's folder is then a loader and a table; these functions are its own:

    from evalsuite.judging.rewarding import follow_up, gold, near_miss, prompt
    from evalsuite.judging.rewarding import pair_score as score
    from evalsuite.scoring.pairs import pair_baselines as baselines
    from evalsuite.scoring.rewards_figures import pair_figures as metrics
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from evalsuite.data import Setup
from evalsuite.judging import within
from evalsuite.judging.contract import Answer, Case, pair
from evalsuite.judging.judge import Judge, find
from evalsuite.records import Completions, Request, Sample, Score
from evalsuite.scoring import followups, rewards
from evalsuite.scoring.pairs import Compared, compared, pair_scores, side

METHODS = (*rewards.METHODS, "judge", "grade")
SCALE = (0.0, 1.0)
"""Least and greatest gold number, unless a sample's metadata have a `scale`."""


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    """What is asked first."""
    if setup.method in ("judge", "grade"):
        return follow_up(sample, Completions({}), setup)
    return rewards.ask(sample.messages, sample.metadata["answers"], setup.method, phrases=_phrases(setup))


def follow_up(sample: Sample, completions: Completions, setup: Setup) -> list[Request]:
    """A judge's further attempts at replies that hold no verdict. The judge is the model that is evaluated, and the
    answers are as untrusted as before any judge."""
    asked = [
        request
        for name, judge, case in _cases(sample, setup)
        for request in within.ask(judge, case, completions, prefix=name)
    ]
    return [replace(request, role="subject", quotes=True) for request in asked]


def read(sample: Sample, completions: Completions, setup: Setup) -> rewards.Rewards:
    """The answers' numbers. A grade that could not be read is missing for the judge's reason."""
    if setup.method != "grade":
        names = rewards.keys(len(sample.metadata["answers"]))
        return rewards.read(completions, names, setup.method, _phrases(setup))
    said = [within.read(judge, case, completions, prefix=name) for name, judge, case in _cases(sample, setup)]
    reason = next((r.reason for r in said if r.reason is not None), "judge_parse")
    return rewards.Rewards(tuple(r.value for r in said), reason=reason)


def compare(sample: Sample, completions: Completions, setup: Setup) -> Compared:
    """Two answers compared, by rewards or by a judge's verdicts in both orders (log-probabilities make the chance soft,
    the preference of an order is for whichever answer has more than half of it)."""
    if setup.method != "judge":
        return compared(read(sample, completions, setup))
    ((name, judge, case),) = _cases(sample, setup)
    said = within.read(judge, case, completions, prefix=name)
    orders = tuple(None if v is None else side(v.preference, 0.5) for v in said.verdicts)
    given = [order for order in orders if order is not None]
    if said.value is None or len(given) < len(orders):
        return Compared(None, orders=orders, reason=said.reason or "judge_parse")
    return Compared(sum(given) / len(given), chance=said.value, orders=orders)


def pair_score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    """The scores of two answers, of which one is better (`scoring.pairs`)."""
    return pair_scores(compare(sample, completions, setup), sample)


def gold(sample: Sample, setup: Setup) -> dict[str, Any]:
    """Answers that put the sample's own gold numbers on its texts."""
    return _played(sample, [float(value) for value in sample.target], setup)


def near_miss(sample: Sample, setup: Setup) -> dict[str, Any]:
    """The same numbers turned round: what is best comes last."""
    low, high = sample.metadata.get("scale", SCALE)
    return _played(sample, [low + high - float(value) for value in sample.target], setup)


def _played(sample: Sample, values: Sequence[float], setup: Setup) -> dict[str, Any]:
    if setup.method == "judge":
        letter = {1.0: "AB", 0.0: "BA", 0.5: "CC"}[side(*values)]
        return {f"judge:{order}": said for order, said in zip(("ab", "ba"), letter, strict=True)}
    if setup.method == "grade":
        low, high = sample.metadata.get("scale", SCALE)
        grades = [str(round(1 + 9 * (value - low) / (high - low))) for value in values]
        return {f"{name}:grade": said for name, said in zip(rewards.keys(len(values)), grades, strict=True)}
    return rewards.played(values, setup.method, phrases=_phrases(setup))


def _cases(sample: Sample, setup: Setup) -> list[tuple[str, Judge, Case]]:
    """What a judge decides of a sample: (prefix of its keys, judge, case); nothing for other methods."""
    texts = sample.metadata["answers"]
    if setup.method == "judge":
        return [("judge", _judge("pairwise"), pair(sample.id, sample.messages, Answer(texts[0]), Answer(texts[1])))]
    if setup.method == "grade":
        names = zip(rewards.keys(len(texts)), texts, strict=True)
        return [
            (name, _judge("pointwise"), Case(f"{sample.id} {name}", sample.messages, (Answer(text),)))
            for name, text in names
        ]
    return []


@cache
def _judge(name: str) -> Judge:
    return find(name)


def _phrases(setup: Setup) -> followups.Phrases:
    """Ours, or (`:official`) those of the user's copy of FLR."""
    return _official(str(setup.official)) if setup.official is not None else followups.PHRASES


@cache
def _official(path: str) -> followups.Phrases:
    return followups.official_phrases(Path(path))
