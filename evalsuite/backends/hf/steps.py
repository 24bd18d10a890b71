"""Where the steps of an answer end: a process reward model reads a mark behind each.

`--model-args step_mark=TEXT` is the mark ("\\n" for token classifiers; `<extra_0>`, ` ки`, ... for others). An answer
that holds it is read as it stands; any other is cut at `step_split` (a blank line), each step gets the mark and
`step_join` (nothing) follows it. What is read stands on the last token that touches the mark. With one number for each
token that number is the step's; with several, and with a language model, it is the probability of `good` against all
(token classifiers: a label, the second of two by default) or against `bad` (language models: tokens, + and -).
The steps' numbers come to one by `step_reduce`: min (a chain is as good as its weakest step), prod, last or mean;
Lightman et al. 2023 (Let's Verify Step by Step) compare min and prod, Wang et al. 2024 (Math-Shepherd) use min.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalsuite.backends.hf.net import Net
from evalsuite.errors import InputError, ModelError
from evalsuite.models import Renderer
from evalsuite.records import Message, assistant

REDUCE = ("min", "prod", "last", "mean")


@dataclass(frozen=True)
class Steps:
    """How steps are marked and read. `labels`: the columns of the logits that count, the good one first."""

    mark: str
    split: str
    join: str
    reduce: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class StepText:
    """A conversation's ids, and at which of them each step is read (nowhere in an empty answer)."""

    ids: tuple[int, ...]
    ends: tuple[int, ...]


def read_steps(net: Net, renderer: Renderer) -> Steps:
    """The settings out of `--model-args`. Raises ModelError (one line) where one is missing or unknown."""
    args = net.model.options.args
    mark = args.get("step_mark", "\n" if net.head == "process" else "")
    if not mark:
        raise ModelError("reward=process: give the mark that ends a step, --model-args step_mark=TEXT")
    reduce = args.get("step_reduce", "min")
    if reduce not in REDUCE:
        raise ModelError(f"--model-args step_reduce={reduce}: known are {', '.join(REDUCE)}")
    labels = _words(args, renderer) if net.head == "causal" else _labels(net, args.get("good"))
    if len(labels) == 1 and reduce == "prod":
        raise ModelError(f"step_reduce=prod: the steps of {net.model.address} are scores of any sign, no probabilities")
    return Steps(mark, args.get("step_split", "\n\n"), args.get("step_join", ""), reduce, labels)


def _words(args: Mapping[str, str], renderer: Renderer) -> tuple[int, ...]:
    found = []
    for name, default in (("good", "+"), ("bad", "-")):
        word = args.get(name, default)
        ids = renderer.tokens.plain(word)
        if len(ids) != 1:
            raise ModelError(f"--model-args {name}={word}: is {len(ids)} tokens, and one is read")
        found.append(ids[0])
    return tuple(found)


def _labels(net: Net, good: str | None) -> tuple[int, ...]:
    names = {int(i): str(name) for i, name in net.module.config.id2label.items()}
    if len(names) == 1:
        return (0,)
    if good is None and len(names) == 2:
        return (1, 0)
    chosen = next((i for i, name in names.items() if name == good), None)
    if chosen is None:
        shown = ", ".join(names.values())
        raise ModelError(f"{net.model.address}: which label is a good step? --model-args good=LABEL (labels: {shown})")
    return (chosen, *(i for i in names if i != chosen))


def step_text(renderer: Renderer, messages: Sequence[Message], steps: Steps) -> StepText:
    """The conversation with its last message marked, as ids. Raises InputError where that is no answer."""
    last = messages[-1]
    if last["role"] != "assistant" or not isinstance(last["content"], str):
        raise InputError("the reward of steps needs a response: the last message must be the assistant's text")
    answer = marked(last["content"], steps)
    text = renderer.render((*messages[:-1], assistant(answer)))
    ids, places = renderer.tokens.with_places(text)
    start = len(text) - len(answer)
    ends, before = [], 0
    while (found := answer.find(steps.mark, before)) >= 0:
        if answer[before:found].strip():  # an empty line is no step
            up_to = start + found + len(steps.mark)
            ends.append(max(i for i, (a, b) in enumerate(places) if b > a and a < up_to))
        before = found + len(steps.mark)
    return StepText(ids, tuple(ends))


def marked(answer: str, steps: Steps) -> str:
    """The answer with the mark behind each step."""
    if steps.mark in answer.strip():
        tail = answer.rpartition(steps.mark)[2]
        return answer + steps.mark if tail.strip() else answer
    parts = [part for part in answer.split(steps.split) if part.strip()]
    return steps.join.join(part + steps.mark for part in parts)


def reduced(values: Sequence[float], how: str) -> float:
    """One number for all steps."""
    if how == "mean":
        return sum(values) / len(values)
    return {"min": min(values), "prod": math.prod(values), "last": values[-1]}[how]
