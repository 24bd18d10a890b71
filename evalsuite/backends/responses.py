"""The `responses` backend: answers made elsewhere, read from a file (JSON Lines, JSON, CSV or Parquet, plain or gzip).

Rows are recognised by their fields (`SHAPES`). An answer is found by the user's turns, white space aside: first by all
of them, then by the last one alone (few-shot turns and system prompts are no part of a file). Files that hold ids and
no prompts are matched through `prompts`, which maps sample ids to prompt texts. Several answers to one prompt are its
repeats, in the file's order: a unit's `seed` is the number of its draw. A prompt without an answer, and a draw beyond
its answers, give `Completion(error="no_answer")`. Of a large file only twenty bytes a row are held in memory.

>>> ResponsesBackend(resolve("responses:answers.json")).generate(units)
>>> [r.text for r in read_responses(Path("answers.json"))]
"""

from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.backends.base import BaseBackend
from evalsuite.data import Spill
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
    return list(iter_responses(path))


def iter_responses(path: Path) -> Iterator[Response]:
    """The same, one at a time."""
    made: list[Response] = []
    for number, row in enumerate(iter_rows(path), start=1):
        made = list(_read(row))
        if not made:
            fields = ", ".join(list(row)[:8]) or "none"
            raise InputError(
                f"{path}: row {number}: no answer recognised (fields: {fields}); known: {'; '.join(SHAPES)}"
            )
        yield from made
    if not made:
        raise InputError(f"{path}: holds no rows")


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


class Index:
    """Rows by key, twelve bytes each: a hash of the key and the row's number. `find` gives candidates in the order of
    the rows; whoever asks compares the keys."""

    def __init__(self) -> None:
        self._hashes, self._rows = array("q"), array("I")
        self._sorted: tuple[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self._hashes) if self._sorted is None else len(self._sorted[0])

    def add(self, key: Hashable, row: int) -> None:
        self._hashes.append(hash(key))
        self._rows.append(row)

    def find(self, key: Hashable) -> list[int]:
        import numpy as np

        if self._sorted is None:
            hashes, rows = np.frombuffer(self._hashes, np.int64), np.frombuffer(self._rows, np.uint32)
            order = np.argsort(hashes, kind="stable")
            self._sorted = hashes[order], rows[order]
            self._hashes, self._rows = array("q"), array("I")
        hashes, rows = self._sorted
        # A Python integer would be converted with the whole array for each search.
        first = int(np.searchsorted(hashes, np.int64(hash(key))))
        found = []
        while first < len(hashes) and hashes[first] == hash(key):
            found.append(int(rows[first]))
            first += 1
        return found


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
        self._rows: Spill[Response] | None = None
        self._by_turns, self._by_id = Index(), Index()
        self.tell_prompts(prompts if prompts is not None else {})

    def tell_prompts(self, prompts: Mapping[str, str]) -> None:
        """Sample id → prompt text, for rows that name an id alone; those told before are forgotten."""
        self._prompts = prompts
        self._asked: dict[str, list[str]] = {}
        self._known = 0

    def check_ready(self) -> None:
        """Reads the file: raises InputError where it is none of the known shapes."""
        self._held()

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """The file's answer to each unit, in order."""
        self._held()
        return [self._answer(unit) for unit in units]

    def _cannot(self, kind: str) -> BackendError:
        return BackendError(f"responses:{self.path}: a file of answers gives no {kind} answers; name a model")

    def close(self) -> None:
        self._rows = None
        self._by_turns, self._by_id = Index(), Index()

    def _answer(self, unit: Unit) -> Completion:
        key = turns_of(unit.messages)
        response = self._drawn(key, unit.seed)
        if response is None:
            self.unmatched += 1
            return Completion(finish_reason="error", error="no_answer")
        return Completion(text=response.text, finish_reason=response.finish_reason, reasoning=response.reasoning)

    def _drawn(self, key: Key, draw: int) -> Response | None:
        """The answer of that number to the turns of a conversation, or else to its last turn alone."""
        for turns in dict.fromkeys((key, key[-1:])):
            found = self._rows_of(turns)
            if found:
                return self._held()[found[draw]] if draw < len(found) else None
        return None

    def _rows_of(self, turns: Key) -> list[int]:
        """Numbers of the rows that answer these turns: those that hold them, and those of an id that asks them."""
        rows = self._held()
        held = [r for r in self._by_turns.find(turns) if _turns(rows[r]) == turns]
        named = [r for name in self._ids(turns) for r in self._by_id.find(name) if rows[r].id == name]
        return sorted({*held, *named}) if named else held

    def _ids(self, turns: Key) -> list[str]:
        """Ids of the samples whose prompt is this one turn."""
        if len(turns) != 1 or not len(self._by_id):
            return []
        if self._known != len(self._prompts):
            self._known, self._asked = len(self._prompts), {}
            for name, text in self._prompts.items():
                self._asked.setdefault(same(text), []).append(name)
        return self._asked.get(turns[0], [])

    def _held(self) -> Spill[Response]:
        if self._rows is None:
            rows: Spill[Response] = Spill(pack=_packed, unpack=_unpacked)
            for response in iter_responses(self.path):
                turns = _turns(response)
                if turns:
                    self._by_turns.add(turns, len(rows))
                elif response.id is not None and response.turn == 1:
                    self._by_id.add(response.id, len(rows))
                rows.append(response)
            self._rows = rows
        return self._rows


def _turns(response: Response) -> Key:
    """The turns that a row answers, ready to compare; none where it names an id alone."""
    return tuple(same(t) for t in response.turns) if len(response.turns) >= response.turn else ()


def _packed(response: Response) -> tuple[Any, ...]:
    return tuple(getattr(response, name) for name in Response.__slots__)


def _unpacked(values: tuple[Any, ...]) -> Response:
    return Response(*values)


def turns_of(messages: Sequence[Message]) -> Key:
    """The user's turns of a conversation, ready to compare. Images are left out."""
    return tuple(same(_text(m["content"])) for m in messages if m["role"] == "user")
