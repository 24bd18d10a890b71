"""Text and conversations → training examples: which tokens are read, and which are learned."""

from typing import Any

from evalsuite.microworld import tokenizer
from evalsuite.microworld.batches import Example
from evalsuite.records import Message


def documents(tok: Any, texts: list[str]) -> list[Example]:
    """Base documents: BOS, text, end; everything after BOS is learned."""
    if not texts:
        return []
    rows = tok([text + tokenizer.END for text in texts])["input_ids"]
    return [Example(ids, [False] + [True] * (len(ids) - 1)) for ids in rows]


def conversations(tok: Any, rows: list[list[Message]]) -> list[Example]:
    """Conversations: learned are the assistant's words and the end mark after them."""
    speaker = {tok.convert_tokens_to_ids(f"<|{role}|>"): role for role in ("system", "user", "assistant")}
    examples = []
    for ids in tok([render(messages) for messages in rows], add_special_tokens=False)["input_ids"]:
        role, mask = "", []
        for token in ids:
            mask.append(role == "assistant" and token not in speaker)
            role = speaker.get(token, role)
        examples.append(Example(ids, mask))
    return examples


def render(messages: list[Message]) -> str:
    """The chat template in Python (a test holds them equal): Jinja would cost more than the training."""
    parts = [f"<|{m['role']}|> {str(m['content']).strip()}{tokenizer.END}" for m in messages]
    return tokenizer.BOS + "".join(parts)
