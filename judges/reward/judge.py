"""A reward model as a judge: the answer with the higher reward is preferred, as strongly as the difference says."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import ORDERS, Answer, Case, Outcome, Step, Verdict, mean_over_orders, pair
from evalsuite.judging.planted import Planted, read, verdict
from evalsuite.records import Completion, Completions, Request, assistant, user

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "reward",
    "answers": [2, 2],
    "options": {
        "temperature": 1.0,
        "position_bias": 0.0,
        "length_bias": 0.0,
        "length_unit": 100.0,
        "noise": 0.0,
        "seed": 0,
        "drawn": False,
    },
}

Options = Mapping[str, Any]


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """For each order the rewards of both answers, in the order in which they are shown. The orders ask for the same
    two rewards, which are computed once. Raises JudgeError where an option cannot be."""
    planted(options)
    return [
        Request("reward", (*case.conversation(i), assistant(case.answers[i].text)), key=f"{order} {i}", role="judge")
        for order in ORDERS
        for i in ((0, 1) if order == "ab" else (1, 0))
    ]


def parse(case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]) -> Verdict | Step | None:
    """The second reward of an order decides it; the first one is a step towards it. None where there is no finite
    number called "reward"."""
    value = _reward(completions[key])
    if value is None:
        return None
    order = key.split()[0]
    keys = [f"{order} {i}" for i in range(2)]
    if key == (keys[0] if order == "ab" else keys[1]) or not all(k in completions for k in keys):
        return Step(value)
    rewards = [r for k in keys if (r := _reward(completions[k])) is not None]
    return verdict(planted(options), rewards, case, order)


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over orders, which takes a planted position bias out again as far as a mean of probabilities can."""
    return mean_over_orders(verdicts)


def planted(options: Options) -> Planted:
    """The options as biases."""
    try:
        return Planted(**options)
    except ValueError as error:
        raise JudgeError(f"judge reward: --judge-args: {error}") from error


def _reward(completion: Completion) -> float | None:
    value = completion.rewards.get("reward")
    return value if value is not None and math.isfinite(value) else None


def read_reply(top_logprobs: str) -> float | None:
    """The preference for the first answer that an emitted reply is read as; `top_logprobs` as JSON."""
    table = json.loads(top_logprobs)
    found = read(Completion(text=max(table, key=lambda t: table[t]) if table else "", top_logprobs=(table,)))
    return None if found is None else round(found.value, 6)


PARSER = {
    "function": read_reply,
    "table": [
        ('{"A": -0.6931472, "B": -0.6931472}', 0.5),
        ('{"A": -0.3132617, "B": -1.3132617}', 0.731059),
        ('{"A": -1.3132617, "B": -0.3132617}', 0.268941),
        ('{"A": 0.0, "B": -50.0}', 1.0),
        ('{"A": -0.01}', 1.0),
        ('{"C": -0.01, "D": -4.6}', None),
        ("{}", None),
    ],
}


def replay() -> list[str]:
    """Known rewards, played through both orders, must give these outcomes."""
    plain = asdict(Planted())
    recorded: list[tuple[tuple[float | None, float], dict[str, Any], float | None]] = [
        ((1.0, 0.0), {}, 0.731059),
        ((0.0, 0.0), {}, 0.5),
        ((2.0, 0.0), {"temperature": 2.0}, 0.731059),
        ((0.0, 0.0), {"position_bias": 3.0}, 0.5),  # both orders together know no place
        ((0.0, 0.0), {"length_bias": 1.0, "length_unit": 3.0}, 0.731059),
        ((None, 0.0), {}, None),
        ((math.nan, 0.0), {}, None),
    ]
    case = pair("q", (user("?"),), Answer("longer", "x"), Answer("abc", "y"))
    faults = []
    for rewards, changed, wanted in recorded:
        found = aggregate(_played(case, rewards, {**plain, **changed})).preference
        if (found is None) != (wanted is None) or (wanted is not None and abs((found or 0.0) - wanted) > 1e-6):
            faults.append(f"{rewards} with {json.dumps(changed)}: {found}, not {wanted}")
    if plain != JUDGE["options"]:
        faults.append("the options' defaults differ from those of Planted")
    return faults


def _played(case: Case, rewards: Sequence[float | None], options: Options) -> list[Verdict | None]:
    """What both orders of a case say, in the way in which cases are asked: a reply without a number is left out."""
    said: list[Verdict | None] = []
    known: dict[str, list[Completion]] = {}
    for request in requests(case, options):
        value = rewards[int(request.key[-1])]
        latest = [Completion(rewards={} if value is None else {"reward": value})]
        found = parse(case, Completions({**known, request.key: latest}), request.key, options)
        if found is not None:
            known[request.key] = latest
        if not isinstance(found, Step):
            said.append(found)
    return said
