"""Units as request bodies of OpenAI's protocol, and its answers as completions. Pure but for reading images."""

import array
import base64
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalsuite.backends.openai.budget import Need
from evalsuite.data import images
from evalsuite.errors import InputError
from evalsuite.records import Completion, Message, Part, Unit

FINISH = {"stop": "stop", "length": "length", "max_tokens": "length", "eos": "stop", "content_filter": "error"}


@dataclass
class Dialect:
    """How one server wants to be spoken to; what it refuses is learnt from its first complaint."""

    model: str
    omit: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)
    image_urls: bool = False  # whether we may fetch an image from a URL
    limit_field: str = "max_tokens"
    echo_tokens: int = 0  # generated beside an echoed prompt; some servers insist on 1
    base64: bool = True  # embeddings as float32 in base64: a third of the bytes, and no parsing of decimals

    def learn(self, complaint: str, sent: Mapping[str, Any]) -> bool:
        """Adopts another way of saying the same, where the complaint about a body names one; True where that body
        should be written anew. Nothing that changes what is asked (temperature, log-probabilities) is ever dropped."""
        if sent.get("encoding_format") == "base64" and ("encoding_format" in complaint or "base64" in complaint):
            self.base64 = False
            return True
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
    body["messages"] = [_message(message, dialect) for message in unit.messages]
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


def embed_body(units: Sequence[Unit], dialect: Dialect) -> dict[str, Any]:
    body = {"model": dialect.model, "input": [embed_text(unit) for unit in units]}
    return {**body, "encoding_format": "base64" if dialect.base64 else "float", **dialect.extra}


def embed_text(unit: Unit) -> str:
    """The text that an embedder reads: a conversation's words without roles. Raises InputError for images."""
    if not all(isinstance(message["content"], str) for message in unit.messages):
        raise InputError("a server embeds plain text only, and this request holds images")
    return "\n\n".join(str(message["content"]) for message in unit.messages)


def need(unit: Unit, most: int) -> Need:
    """What is known of a call before it is sent; `most`: tokens of its answer at most."""
    text = pictures = 0
    if unit.prompt is not None:
        return Need(_bytes(unit.prompt) + _bytes(unit.continuation), most)
    for message in unit.messages:
        content = message["content"]
        for part in [{"text": content}] if isinstance(content, str) else content:
            pictures += images.is_image(part)
            text += _bytes(str(part.get("text", "")))
    return Need(text, most, pictures, len(unit.messages))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


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


def _message(message: Message, dialect: Dialect) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    return {"role": message["role"], "content": [_part(part, dialect) for part in content]}


def _part(part: Part, dialect: Dialect) -> dict[str, Any]:
    """Images travel in the request, whatever they were given as. Raises InputError (see `evalsuite.data.images`)."""
    if not images.is_image(part):
        return {"type": "text", "text": str(part["text"])}
    found = images.read_image(part, urls=dialect.image_urls)
    return {"type": "image_url", "image_url": {"url": images.data_uri(found)}}


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


def from_embeddings(answer: Mapping[str, Any], units: Sequence[Unit]) -> list[Completion]:
    """One completion for each unit, with one row of numbers. Raises ValueError where rows are missing or no numbers.
    The server counts all prompts together: they are shared out by length, and their sum is kept."""
    rows: dict[int, tuple[float, ...]] = {}
    for place, row in enumerate(answer.get("data") or []):
        rows[int(row.get("index", place))] = _floats(row["embedding"])
    if sorted(rows) != list(range(len(units))) or len({len(row) for row in rows.values()}) != 1:
        raise ValueError(f"{len(rows)} embeddings for {len(units)} texts")
    total = int((answer.get("usage") or {}).get("prompt_tokens") or 0)
    lengths = [len(embed_text(unit)) + 1 for unit in units]
    every, passed, completions = sum(lengths), 0, []
    for place, length in enumerate(lengths):
        tokens = total * (passed + length) // every - total * passed // every
        passed += length
        completions.append(Completion(prompt_tokens=tokens, embedding=(rows[place],)))
    return completions


def _floats(numbers: str | Sequence[float]) -> tuple[float, ...]:
    """Numbers as they come (servers are free to ignore what was asked for): a list, or float32 in base64, whose bytes
    are in Intel's order."""
    if isinstance(numbers, str):
        packed = array.array("f", base64.b64decode(numbers, validate=True))
        if sys.byteorder == "big":
            packed.byteswap()
        numbers = packed
    found = tuple(float(number) for number in numbers)
    if not found or not all(map(math.isfinite, found)):
        raise ValueError("an embedding without finite numbers")
    return found


class Unaligned(ValueError):
    """An echo whose pieces do not spell the text that was sent (halves of characters have no text of their own)."""


def from_score(
    answer: Mapping[str, Any],
    prompt: str,
    continuation: str,
    alone: Mapping[str, Any] | None = None,
    generated: int = 0,
) -> Completion:
    """Log-probabilities of the continuation's tokens out of an echoed text. `generated` tokens may follow it.

    The boundary is counted in characters from the end of the echo, because a BOS that the server writes in front moves
    every offset; or, where `alone` is given (the echo of the prompt by itself), it is the end of the two echoes' common
    tokens. A token that spans the boundary belongs to the continuation. Raises Unaligned where `alone` is needed, and
    ValueError where the server did not echo.
    """
    tokens, values, tops = _echoed(answer, generated)
    if alone is None:
        first = _boundary(tokens, prompt, continuation)
    else:
        shorter = _echoed(alone, generated)[0]
        first = next((i for i, (x, y) in enumerate(zip(tokens, shorter, strict=False)) if x != y), len(shorter))
    if any(value is None for value in values[first:]):
        raise ValueError("the continuation begins at the first token, which has no log-probability (empty context)")
    found = tuple(float(value) for value in values[first:])
    greedy = None
    if all(tops[first:]):
        greedy = all(p >= max(table.values()) - 1e-9 for p, table in zip(found, tops[first:], strict=True))
    return _completion(answer, text=continuation, logprobs=found, greedy=greedy, tokens=len(found))


def _echoed(answer: Mapping[str, Any], generated: int) -> tuple[list[str], list[Any], list[Any]]:
    """Tokens of the echoed text, their log-probabilities and tables, without what was generated after it."""
    steps = answer["choices"][0].get("logprobs") or {}
    tokens, values = list(steps.get("tokens") or []), list(steps.get("token_logprobs") or [])
    tops = list(steps.get("top_logprobs") or [None] * len(tokens))
    if not tokens or not len(tokens) == len(values) == len(tops):
        raise ValueError("the answer holds no log-probabilities of the prompt")
    # Only a text's first token has no log-probability: an answer without such a one did not echo.
    if values[0] is not None:
        raise ValueError("the server did not echo the prompt")
    # Servers count the tokens that follow differently (one is reported where none was wanted), the prompt's alike.
    counted = int((answer.get("usage") or {}).get("prompt_tokens") or 0)
    end = counted if 0 <= len(tokens) - counted <= generated else len(tokens) - generated
    return tokens[:end], values[:end], tops[:end]


def _boundary(tokens: Sequence[str], prompt: str, continuation: str) -> int:
    """The index of the first token that holds a character of the continuation."""
    joined = "".join(tokens)
    if not joined.endswith(prompt + continuation):
        raise Unaligned("the echoed text is not the text that was sent")
    start, boundary = 0, len(joined) - len(continuation)
    for index, token in enumerate(tokens):
        # A token without text is the first part of the character that the next ones complete.
        if start >= boundary or start + len(token) > boundary:
            return index
        start += len(token)
    return len(tokens)


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
