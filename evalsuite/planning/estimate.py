"""What a plan will take, from what earlier runs took: seconds by a fit of two speeds, money by the server's prices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evalsuite.errors import ModelError
from evalsuite.models import Model
from evalsuite.planning.groups import distinct_tokens
from evalsuite.records import Unit

Speed = tuple[float, float, float]
"""A run: tokens read, tokens written, seconds."""


@dataclass(frozen=True)
class Costs:
    """Work in tokens. `distinct_tokens` counts every shared prefix once; `max_new_tokens` is a ceiling."""

    units: int = 0
    prompt_tokens: int = 0
    distinct_tokens: int = 0
    max_new_tokens: int = 0

    def __add__(self, other: "Costs") -> "Costs":
        mine, theirs = asdict(self), asdict(other)
        return Costs(**{name: mine[name] + theirs[name] for name in mine})


def costs_of(units: Iterable[Unit]) -> Costs:
    held = list(units)
    return Costs(len(held), sum(map(prompt_tokens, held)), distinct_tokens(held), sum(map(new_tokens, held)))


def prompt_tokens(unit: Unit) -> int:
    if unit.prompt_ids is not None:
        return len(unit.prompt_ids) + len(unit.continuation_ids)
    # A server's tokenizer is not here: about four characters a token.
    return sum(len(str(m["content"])) for m in unit.messages) // 4


def new_tokens(unit: Unit) -> int:
    return unit.sampling.max_tokens + unit.sampling.reasoning_tokens if unit.kind == "generate" else 0


def estimate(model: Model, costs: Costs, speeds: Sequence[Speed]) -> dict[str, Any]:
    """{"seconds", "runs", "cost"}: both figures are ceilings (every answer as long as it may be), None where nothing is
    known: no earlier run of this model here, no prices. Raises ModelError for a price that is no number."""
    read = costs.distinct_tokens or costs.prompt_tokens
    rates = seconds_per_token(speeds)
    seconds = None if rates is None else read * rates[0] + costs.max_new_tokens * rates[1]
    prices = [_price(model.options.args, name) for name in ("price_in", "price_out")]
    cost = None
    if model.backend == "openai" and any(price is not None for price in prices):
        cost = (costs.prompt_tokens * (prices[0] or 0) + costs.max_new_tokens * (prices[1] or 0)) / 1e6
    return {
        "seconds": None if seconds is None else round(seconds, 2),
        "runs": len(speeds),
        "cost": None if cost is None else round(cost, 6),
    }


def seconds_per_token(speeds: Sequence[Speed]) -> tuple[float, float] | None:
    """Seconds for each token read and written: least squares over runs, relative to their seconds; one speed for both
    where the runs cannot tell them apart. None without runs."""
    runs = [(read / s, written / s) for read, written, s in speeds if s > 0 and read + written > 0]
    if not runs:
        return None
    aa, bb = sum(a * a for a, _ in runs), sum(b * b for _, b in runs)
    ab, a1, b1 = sum(a * b for a, b in runs), sum(a for a, _ in runs), sum(b for _, b in runs)
    determinant = aa * bb - ab * ab
    if determinant > 1e-6 * aa * bb:
        reading, writing = (a1 * bb - b1 * ab) / determinant, (b1 * aa - a1 * ab) / determinant
        if reading > 0 and writing > 0:
            return reading, writing
    both = sum(a + b for a, b in runs) / sum((a + b) ** 2 for a, b in runs)
    return both, both


def _price(args: Mapping[str, str], name: str) -> float | None:
    """Money for a million tokens, as `--model-args price_in=0.5` gives it."""
    if name not in args:
        return None
    try:
        price = float(args[name])
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        raise ModelError(f"--model-args {name}={args[name]}: the price of a million tokens is wanted, a number")
    return price
