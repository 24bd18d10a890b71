"""The `responses` backend: answers made elsewhere, read from a file (JSON Lines, JSON, CSV or Parquet, plain or gzip).

Rows are recognised by their fields (`SHAPES`). An answer is found by the user's turns, white space aside: first by all
of them, then by the last one alone (few-shot turns and system prompts are no part of a file). Files that hold ids and
no prompts are matched through `prompts`, which maps sample ids to prompt texts. Several answers to one prompt are its
repeats, in the file's order. A prompt without an answer gives `Completion(error="no_answer")`.

>>> ResponsesBackend(resolve("responses:answers.json")).generate(units)
>>> [r.text for r in read_responses(Path("answers.json"))]
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.backends.base import BaseBackend
from evalsuite.data.files import iter_rows
from evalsuite.errors import BackendError, InputError
from evalsuite.models import Model
from evalsuite.records import Capabilities, Completion, Done, Message, Unit

IDS = ("sample", "sample_id", "id", "question_id", "uid", "key", "idx", "doc_id", "index")
PROMPTS = ("instruction", "prompt", "question", "query", "input")
ANSWERS = ("response", "output", "completion", "prediction", "generation", "answer", "text", "resps", "model_output")
NAMES = ("generator", "model", "model_id", "model_name")
SHAPES = (
    'AlpacaEval {"instruction", "output"}',
    'IFEval {"prompt", "response"}',
    'by id {"id", "response"}',
    'MT-Bench {"question_id", "choices": [{"turns": [...]}]}',
    'chat {"messages": [..., {"role": "assistant", "content"}]}',
)

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer of a file. `turns` are the user's turns before it where the file has them; `turn` counts from 1."""

    text: str
    id: str | None = None
    turns: Key = ()
    model: str | None = None
    turn: int = 1
    reasoning: str | None = None
    finish_reason: str = "stop"


def read_responses(path: Path) -> list[Response]:
    """All answers of a file. Raises InputError naming the row and the shapes that are recognised."""
    found: list[Response] = []
    for number, row in enumerate(iter_rows(path), start=1):
        made = list(_read(row))
        if not made:
            fields = ", ".join(list(row)[:8]) or "none"
            raise InputError(
                f"{path}: row {number}: no answer recognised (fields: {fields}); known: {'; '.join(SHAPES)}"
            )
        found += made
    if not found:
        raise InputError(f"{path}: holds no rows")
    return found


def same(text: str) -> str:
    """A text as it is compared: white space runs are one blank."""
    return " ".join(text.split())


def _read(row: Mapping[str, Any]) -> Iterator[Response]:
    """The answers of one row; nothing where no shape fits."""
    identity = next((str(row[k]) for k in IDS if row.get(k) is not None), None)
    model = next((str(row[k]) for k in NAMES if isinstance(row.get(k), str)), None)
    prompts = prompts_of(row)
    if isinstance(row.get("choices"), list):
        for choice in row["choices"]:
            yield from _dialogue(choice, identity, prompts, model)
        return
    if isinstance(row.get("turns"), list):
        yield from _dialogue(row, identity, (), model)
        return
    messages = row.get("messages")
    if isinstance(messages, list) and messages and messages[-1].get("role") == "assistant":
        yield Response(_text(messages[-1]["content"]), identity, _user_turns(messages[:-1]), model)
        return
    answer = next((row[k] for k in ANSWERS if isinstance(row.get(k), str | list)), None)
    if answer is None or not (prompts or identity):
        return
    reasoning = row.get("reasoning") or row.get("reasoning_content")
    finish = "length" if row.get("finish_reason") == "length" else "stop"
    for text in answer if isinstance(answer, list) else [answer]:
        yield Response(_text(text), identity, prompts, model, reasoning=reasoning or None, finish_reason=finish)


def _dialogue(choice: Mapping[str, Any], identity: str | None, prompts: Key, model: str | None) -> Iterator[Response]:
    """One answer for each turn of a dialogue (MT-Bench, Arena-Hard)."""
    for number, turn in enumerate(choice.get("turns") or [], start=1):
        yield Response(_text(turn), identity, prompts[:number], model, turn=number)


def prompts_of(row: Mapping[str, Any]) -> Key:
    """The user's turns of a row. AlpacaFarm's `input` belongs to the instruction."""
    if isinstance(row.get("messages"), list):
        return _user_turns(row["messages"])
    for name in PROMPTS:
        value = row.get(name)
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            return _user_turns(value)
        if isinstance(value, str):
            more = row.get("input")
            return (f"{value}\n\n{more}" if name == "instruction" and isinstance(more, str) and more else value,)
    return ()


def _user_turns(messages: Sequence[Mapping[str, Any]]) -> Key:
    return tuple(_text(m.get("content")) for m in messages if m.get("role") == "user")


def _text(value: Any) -> str:
    """Text out of a string, a list of parts, or an object that wraps one."""
    if isinstance(value, list):
        return "".join(_text(part) for part in value)
    if isinstance(value, Mapping):
        return _text(value.get("content") or value.get("text") or value.get("answer") or "")
    return "" if value is None else str(value)


class ResponsesBackend(BaseBackend):
    """Answers units from a file (`evalsuite.records.Backend`). `prompts` maps sample ids to prompt texts; it may be
    filled after construction, and `unmatched` counts the prompts without an answer so far."""

    capabilities = Capabilities(kinds=frozenset({"generate"}), input="messages", images=True, seeds=False)

    def __init__(self, model: Model, prompts: Mapping[str, str] | None = None) -> None:
        if model.path is None:
            raise InputError(f"{model.address}: write responses:FILE")
        super().__init__(model)
        self._setup(model.path, prompts)

    @classmethod
    def from_file(cls, path: Path, prompts: Mapping[str, str] | None = None) -> "ResponsesBackend":
        made = cls.__new__(cls)
        made._setup(path, prompts)
        return made

    def _setup(self, path: Path, prompts: Mapping[str, str] | None) -> None:
        self.path = path
        self.unmatched = 0
        self._prompts: Mapping[str, str] = prompts if prompts is not None else {}
        self._known = -1
        self._by_turns: dict[Key, list[Response]] = {}
        self._by_id: dict[str, list[Response]] = {}
        self._given: dict[Key, int] = defaultdict(int)
        self._drawn: dict[str, int] = {}
        self._rows: list[Response] | None = None

    def check_ready(self) -> None:
        """Reads the file: raises InputError where it is none of the known shapes."""
        self._index()

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """The file's answer to each unit, in order."""
        self._index()
        return [self._answer(unit) for unit in units]

    def lookup(self, sample_id: str, prompt: str = "") -> list[Response]:
        """The answers to a sample, by its prompt's text or else by its id; empty where there is none."""
        self._index()
        return self._by_turns.get((same(prompt),)) or self._by_id.get(sample_id, [])

    def _cannot(self, kind: str) -> BackendError:
        return BackendError(f"responses:{self.path}: a file of answers gives no {kind} answers; name a model")

    def close(self) -> None:
        self._rows = None
        self._known = -1

    def _answer(self, unit: Unit) -> Completion:
        key = turns_of(unit.messages)
        found = self._by_turns.get(key) or self._by_turns.get(key[-1:], [])
        if not found:
            self.unmatched += 1
            return Completion(finish_reason="error", error="no_answer")
        # The same unit always gets the same draw; new units of one prompt take the next one.
        if unit.fingerprint not in self._drawn:
            self._drawn[unit.fingerprint] = self._given[key]
            self._given[key] += 1
        response = found[self._drawn[unit.fingerprint] % len(found)]
        return Completion(text=response.text, finish_reason=response.finish_reason, reasoning=response.reasoning)

    def _index(self) -> None:
        """By turns and by id; made anew when more prompts have become known."""
        if self._known == len(self._prompts):
            return
        self._known = len(self._prompts)
        if self._rows is None:
            self._rows = read_responses(self.path)
        by_turns: dict[Key, list[Response]] = defaultdict(list)
        by_id: dict[str, list[Response]] = defaultdict(list)
        for row in self._rows:
            if row.id is not None:
                by_id[row.id].append(row)
            if row.turns and len(row.turns) >= row.turn:
                by_turns[tuple(same(t) for t in row.turns)].append(row)
            elif row.id is not None and row.id in self._prompts and row.turn == 1:
                by_turns[(same(self._prompts[row.id]),)].append(row)
        self._by_turns, self._by_id = dict(by_turns), dict(by_id)


def turns_of(messages: Sequence[Message]) -> Key:
    """The user's turns of a conversation, ready to compare. Images are left out."""
    return tuple(same(_text(m["content"])) for m in messages if m["role"] == "user")
