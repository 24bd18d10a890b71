"""Units as request bodies of OpenAI's protocol, and its answers as completions. Pure but for reading image files."""

import base64
import math
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError
from evalsuite.records import Completion, Message, Unit

FINISH = {"stop": "stop", "length": "length", "max_tokens": "length", "eos": "stop", "content_filter": "error"}


@dataclass
class Dialect:
    """How one server wants to be spoken to; what it refuses is learnt from its first complaint."""

    model: str
    omit: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)
    limit_field: str = "max_tokens"
    echo_tokens: int = 0  # generated beside an echoed prompt; some servers insist on 1

    def learn(self, complaint: str, sent: Mapping[str, Any]) -> bool:
        """Adopts another way of saying the same, where the complaint about a body names one; True where that body
        should be written anew. Nothing that changes what is asked (temperature, log-probabilities) is ever dropped."""
        if "max_tokens" not in sent or "max_tokens" not in complaint:
            return False
        if "max_completion_tokens" in complaint and "messages" in sent:
            self.limit_field = "max_completion_tokens"
            return True
        zero = any(sign in complaint for sign in ("at least 1", "greater than or equal to 1", "minimum of 1", ">= 1"))
        if zero and sent["max_tokens"] == 0:
            self.echo_tokens = 1
            return True
        return False


# -- requests ---------------------------------------------------------------------------------------------------------


def chat_body(unit: Unit, dialect: Dialect) -> dict[str, Any]:
    sampling = unit.sampling
    body = _common(unit, dialect)
    body["messages"] = [_message(message) for message in unit.messages]
    body[dialect.limit_field] = sampling.max_tokens + sampling.reasoning_tokens
    if sampling.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
    return _trimmed(body, dialect)


def text_body(unit: Unit, dialect: Dialect) -> dict[str, Any]:
    """A raw prompt, for the older endpoint."""
    body = _common(unit, dialect)
    body |= {"prompt": unit.prompt or "", "max_tokens": unit.sampling.max_tokens + unit.sampling.reasoning_tokens}
    if unit.sampling.top_logprobs:
        body["logprobs"] = unit.sampling.top_logprobs
    return _trimmed(body, dialect)


def score_body(unit: Unit, dialect: Dialect) -> dict[str, Any]:
    prompt = (unit.prompt or "") + unit.continuation
    body = {"model": dialect.model, "prompt": prompt, "max_tokens": dialect.echo_tokens, "temperature": 0}
    return {**body, "echo": True, "logprobs": 1, **dialect.extra}


def _common(unit: Unit, dialect: Dialect) -> dict[str, Any]:
    sampling = unit.sampling
    body: dict[str, Any] = {"model": dialect.model, "temperature": sampling.temperature, "top_p": sampling.top_p}
    if sampling.temperature > 0:
        body["seed"] = unit.seed & 0x7FFFFFFF  # servers differ in how many bits they take
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    return body


def _trimmed(body: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    return {**{key: value for key, value in body.items() if key not in dialect.omit}, **dialect.extra}


def _message(message: Message) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    return {"role": message["role"], "content": [_part(part) for part in content]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") != "image":
        return {"type": "text", "text": str(part["text"])}
    return {"type": "image_url", "image_url": {"url": image_url(str(part["image"]))}}


def image_url(image: str) -> str:
    """A path as a data URI; a URL or a data URI as it is. Raises InputError where the file cannot be read."""
    if image.startswith(("data:", "http://", "https://")):
        return image
    path = Path(image).expanduser()
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    try:
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    except OSError as error:
        raise InputError(f"{image}: the image cannot be read ({error.strerror})") from error


# -- answers ----------------------------------------------------------------------------------------------------------


def from_chat(answer: Mapping[str, Any]) -> Completion:
    choice = answer["choices"][0]
    message = choice.get("message") or {}
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    steps = (choice.get("logprobs") or {}).get("content") or []
    text = message.get("content") or message.get("refusal") or ""
    share = len(reasoning) / max(1, len(reasoning) + len(text)) if reasoning else 0.0
    finish = choice.get("finish_reason") or "stop"
    return _completion(
        answer,
        text=text,
        finish_reason=FINISH.get(finish, "stop"),
        logprobs=tuple(float(step["logprob"]) for step in steps),
        top_logprobs=tuple(
            _table((t["token"], t["logprob"]) for t in step.get("top_logprobs") or []) for step in steps
        ),
        thought=share,
        reasoning=reasoning,
        # Cut off before a word of the answer: the limit came while it was thinking.
        reasoning_closed=not (reasoning and not text and finish == "length"),
        error=_filtered(finish),
    )


def from_text(answer: Mapping[str, Any]) -> Completion:
    choice = answer["choices"][0]
    steps = choice.get("logprobs") or {}
    finish = choice.get("finish_reason") or "stop"
    return _completion(
        answer,
        text=choice.get("text") or "",
        finish_reason=FINISH.get(finish, "stop"),
        logprobs=tuple(float(p) for p in steps.get("token_logprobs") or [] if p is not None),
        top_logprobs=tuple(_table((top or {}).items()) for top in steps.get("top_logprobs") or []),
        error=_filtered(finish),
    )


def from_score(answer: Mapping[str, Any], prompt: str, continuation: str) -> Completion:
    """Log-probabilities of the continuation's tokens out of an echoed text.

    The boundary is counted in characters from the end of the echo, because a BOS that the server writes in front moves
    every offset. A token that spans the boundary belongs to the continuation. Raises ValueError where the server did
    not echo, or cut the text otherwise than it was sent.
    """
    choice = answer["choices"][0]
    steps = choice.get("logprobs") or {}
    tokens, values = list(steps.get("tokens") or []), list(steps.get("token_logprobs") or [])
    tops = list(steps.get("top_logprobs") or [None] * len(tokens))
    if not tokens or len(tokens) != len(values):
        raise ValueError("the answer holds no log-probabilities of the prompt")
    generated = int((answer.get("usage") or {}).get("completion_tokens") or 0)
    end = len(tokens) - generated
    starts = _starts(tokens[:end], list(steps.get("text_offset") or [])[:end], prompt + continuation)
    first = next((i for i in range(end) if starts[i] >= len(prompt)), end)
    if first > 0 and (first == end or starts[first] > len(prompt)):
        first -= 1
    scored = range(first, end)
    if any(values[i] is None for i in scored):
        raise ValueError("the continuation begins at the first token, which has no log-probability (empty context)")
    found = tuple(float(values[i]) for i in scored)
    tables = [tops[i] for i in scored]
    greedy = None
    if all(tables):
        greedy = all(p >= max(table.values()) - 1e-9 for p, table in zip(found, tables, strict=True))
    return _completion(answer, text=continuation, logprobs=found, greedy=greedy, tokens=len(found))


def _starts(tokens: Sequence[str], offsets: Sequence[int], text: str) -> list[int]:
    """Where each token begins in `text`; negative for what a server wrote before it."""
    joined = "".join(tokens)
    if joined.endswith(text):
        position = len(text) - len(joined)
        starts = []
        for token in tokens:
            starts.append(position)
            position += len(token)
        return starts
    # Pieces of a character have no text of their own: the server's offsets are the better source then.
    if len(offsets) == len(tokens) and offsets[-1] < len(text) and list(offsets) == sorted(offsets):
        return list(offsets)
    raise ValueError("the echoed text is not the text that was sent")


def _completion(answer: Mapping[str, Any], thought: float = 0.0, **fields: Any) -> Completion:
    """`thought` is the share of characters that are reasoning, for servers that do not count its tokens."""
    usage = answer.get("usage") or {}
    every = int(usage.get("completion_tokens") or 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    reasoning = min(every, int(reasoning or round(thought * every)))
    counted = {
        "prompt_tokens": int(usage.get("prompt_tokens") or 0),
        "tokens": every - reasoning,
        "reasoning_tokens": reasoning,
    }
    return Completion(**{**counted, **fields})


def _filtered(finish: str) -> str | None:
    return "backend_error: the server's content filter stopped the answer" if finish == "content_filter" else None


def _table(pairs: Any) -> dict[str, float]:
    """token → log-probability; ids that share a text add up."""
    table: dict[str, float] = {}
    for token, value in pairs:
        known = table.get(token)
        low, high = sorted((float(value), known)) if known is not None else (-math.inf, float(value))
        table[token] = high + math.log1p(math.exp(low - high)) if high > -math.inf else high
    return table
