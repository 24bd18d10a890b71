"""What the readers of shapes share: a shape, turns out of whatever a row holds, the prompt that two sides share, and
what a row says beside its answers."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.judging.importing.codings import of_number
from evalsuite.preferences.table import prompt_of, sided, text_of
from evalsuite.records import Message, assistant, system, user

Row = Mapping[str, Any]
Found = Iterable[Mapping[str, Any]]
"""What a reader gives for each pair: fields of `Pair` by name; `id` is a suffix where a row gives several."""

ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant", "observation": "tool"}
PROMPTS = ("prompt", "question", "instruction", "query", "input")
ANNOTATORS = ("annotator", "annotator_id", "person", "user_id", "worker_id", "worker", "rater", "rater_id")
CONVERSATIONS = ("conversation_id", "conv_id", "dialogue_id", "conversation")
_SIDE = re.compile(r"^(?:(chosen|rejected)[_ -](.+)|(.+)[_ -](chosen|rejected))$")
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of pairs files. A row has it where all of `fields` are there and none of `without`, and `check` holds.
    `read` takes one row, or where `grouped` names a field all neighbouring rows that have it in common."""

    name: str
    fields: tuple[str, ...]
    read: Callable[[Sequence[Row]], Found]
    placed: bool = False
    without: tuple[str, ...] = ()
    grouped: str = ""
    check: Callable[[Row], bool] = lambda row: True

    def fits(self, row: Row) -> bool:
        return all(f in row for f in self.fields) and not any(f in row for f in self.without) and self.check(row)


def one(read: Callable[[Row], Found]) -> Callable[[Sequence[Row]], Found]:
    """A reader of one row as a reader of a group."""
    return lambda rows: read(rows[0])


def as_messages(value: Any) -> tuple[Message, ...]:
    """A prompt in any form: a text (also one with `Human:` and `Assistant:` turns), a message, a list of messages in
    either of the usual spellings (role and content, from and value)."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        found = turns(value) if "\n\nHuman:" in value or value.startswith("Human:") else (user(value),)
        return found[:-1] if found[-1] == assistant("") else found  # the open `Assistant:` that an answer goes on from
    if isinstance(value, Mapping):
        return (_message(value),)
    return tuple(_message(m) for m in value)


def _message(value: Any) -> Message:
    if not isinstance(value, Mapping):
        raise ValueError(f"a message is an object with role and content, not {type(value).__name__}")
    if "from" in value:
        role, content = str(value["from"]), value["value"]
    else:
        role, content = str(value["role"]), value["content"]
    return Message(role=ROLES.get(role, role), content=content if isinstance(content, list) else str(content or ""))


def turns(text: str) -> tuple[Message, ...]:
    """HH's one string of turns."""
    pieces = _TURN.split(text)
    found = [user(pieces[0].strip())] if pieces[0].strip() else []
    for speaker, said in zip(pieces[1::2], pieces[2::2], strict=True):
        found.append(user(said.strip()) if speaker == "Human" else assistant(said.strip()))
    return tuple(found)


def parted(first: Sequence[Message], second: Sequence[Message]) -> tuple[tuple[Message, ...], str, str]:
    """Two conversations as what they share and how each goes on (at least their last message)."""
    shared = 0
    while shared < min(len(first), len(second)) - 1 and first[shared] == second[shared]:
        shared += 1
    return tuple(first[:shared]), rest(first[shared:]), rest(second[shared:])


def rest(messages: Sequence[Message]) -> str:
    """How a conversation goes on, as one text: an answer as it is, several turns with their roles."""
    if messages and messages[0]["role"] == "assistant" and len(messages) > 1:
        return text_of(messages[0]["content"]) + "\n\n" + _spoken(messages[1:])
    return prompt_of(messages) if len(messages) == 1 else _spoken(messages)


def _spoken(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"{m['role'].capitalize()}: {text_of(m['content'])}" for m in messages)


def prompt_in(row: Row) -> tuple[Message, ...]:
    """A row's prompt, by whatever usual name, after its system message if it has one."""
    name = next((n for n in PROMPTS if row.get(n) is not None and row[n] != ""), None)
    messages = as_messages(row[name]) if name else as_messages(row.get("conversations"))
    if name == "instruction" and row.get("input"):
        messages = (user(f"{row['instruction']}\n\n{row['input']}"),)
    said = row.get("system")
    return (system(str(said)), *messages) if said and isinstance(said, str) else messages


def known(row: Row, *used: str) -> dict[str, Any]:
    """What a row says beyond its texts: annotator, conversation, split, ratings, models, and the rest as metadata."""
    found: dict[str, Any] = {}
    left = {**_plain(row.get("metadata")), **{k: v for k, v in row.items() if k not in used and k != "metadata"}}
    for name, keys in (("annotator", ANNOTATORS), ("conversation", CONVERSATIONS)):
        key = next((k for k in keys if left.get(k) not in (None, "") and not isinstance(left[k], (dict, list))), None)
        if key:
            found[name] = str(left.pop(key))
    for name in ("split", "aspect"):
        if isinstance(left.get(name), str):
            found[name] = left.pop(name)
    left = _by_sides({k: v for k, v in left.items() if v is not None})
    for key in ("score", "rating", "reward", "scores"):
        numbers = [of_number(left[key].get(side)) for side in "ab"] if sided(left.get(key)) else [None]
        if None not in numbers and "ratings" not in found:
            found["ratings"] = tuple(numbers)
            del left[key]
    models = left.get("model")
    if isinstance(models, dict) and sided(models):
        found |= {"model_a": str(models["a"]), "model_b": str(models["b"])}
        del left["model"]
    return {**found, "metadata": left}


def _plain(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else ({} if value is None else {"metadata": value})


def _by_sides(values: Mapping[str, Any]) -> dict[str, Any]:
    """`score_chosen` and `score_rejected`, or {"chosen": ..., "rejected": ...}, as one value of both sides."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        match = _SIDE.match(key)
        if match:
            word, name = match[1] or match[4], match[2] or match[3]
            other = key.replace(word, "rejected" if word == "chosen" else "chosen")
            if other in values:
                found.setdefault(name, {"a": None, "b": None})["a" if word == "chosen" else "b"] = value
                continue
        found[key] = {"a": value["chosen"], "b": value["rejected"]} if _ranked(value) else value
    return found


def _ranked(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"chosen", "rejected"}
