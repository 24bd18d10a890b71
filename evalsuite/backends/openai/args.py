"""What `--model-args` tells the `openai` backend, read and checked."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from evalsuite.backends.openai.budget import Ceilings
from evalsuite.backends.openai.pace import START
from evalsuite.errors import ModelError, unknown
from evalsuite.models import Model

CEILINGS = ("max_calls", "max_tokens_total", "max_cost", "price_in", "price_out")
ARGS = ("concurrency", "adaptive", "max_retries", "timeout", "embed_batch", "omit", "extra", "context_window", "group",
        "image_urls", *CEILINGS)  # fmt: skip
OMITTABLE = ("seed", "top_p", "temperature", "stop", "logprobs", "top_logprobs")


@dataclass(frozen=True)
class Arguments:
    """See `evalsuite.backends.openai` for what each one does."""

    concurrency: int = 128
    adaptive: bool = True
    start: int = START
    max_retries: int = 6
    timeout: float = 300.0
    embed_batch: int = 32
    omit: frozenset[str] = frozenset()
    extra: dict[str, Any] = field(default_factory=dict)
    ceilings: Ceilings = field(default_factory=Ceilings)


def arguments(model: Model) -> Arguments:
    """Raises ModelError (InputError for unknown names), in one line that says what is wanted."""
    for name in model.options.args:
        if name not in ARGS:
            raise unknown("model argument", name, ARGS)
    given = model.options.args
    return Arguments(
        concurrency=model.options.number("concurrency", Arguments.concurrency),
        # A number that the user gives is one that the server takes: there is nothing to find out from below.
        start=model.options.number("concurrency", START),
        adaptive=_yes(model, "adaptive", Arguments.adaptive),
        max_retries=0 if given.get("max_retries") == "0" else model.options.number("max_retries", 6),
        timeout=_positive(model, "timeout") or Arguments.timeout,
        embed_batch=model.options.number("embed_batch", Arguments.embed_batch),
        omit=_omitted(model),
        extra=_json_object(model, "extra"),
        ceilings=_ceilings(model),
    )


def _ceilings(model: Model) -> Ceilings:
    given = model.options.args
    prices = {key: _positive(model, key, zero=True) or 0.0 for key in ("price_in", "price_out")}
    cost = _positive(model, "max_cost")
    if cost is not None and not any(prices.values()):
        raise ModelError(
            f"--model-args max_cost={given['max_cost']}: give price_in and price_out too (money for a million tokens)"
        )
    counts = {
        name: model.options.number(key, 1) if key in given else None
        for name, key in (("calls", "max_calls"), ("tokens", "max_tokens_total"))
    }
    return Ceilings(counts["calls"], counts["tokens"], cost, **prices)


def _positive(model: Model, key: str, zero: bool = False) -> float | None:
    """A number above 0 (or 0 itself), fractions included; None where it is not given."""
    text = model.options.args.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ModelError(f"--model-args {key}={text}: a number {'of at least' if zero else 'above'} 0 is wanted")
    return value


def _yes(model: Model, key: str, default: bool) -> bool:
    text = model.options.args.get(key, str(default)).lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise ModelError(f"--model-args {key}={text}: true or false is wanted")
    return text in ("true", "1", "yes")


def _omitted(model: Model) -> frozenset[str]:
    fields = frozenset(f.strip() for f in model.options.args.get("omit", "").split(",") if f.strip())
    for name in sorted(fields - set(OMITTABLE)):
        raise unknown("field for omit", name, OMITTABLE)
    return fields


def _json_object(model: Model, key: str) -> dict[str, Any]:
    try:
        value = json.loads(model.options.args.get(key, "{}"))
    except json.JSONDecodeError as error:
        raise ModelError(f"--model-args {key}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(value, dict):
        raise ModelError(f"--model-args {key}: expected a JSON object, found {type(value).__name__}")
    return value
