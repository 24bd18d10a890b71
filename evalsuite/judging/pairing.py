"""Two files of answers → cases, paired by prompt text or by id."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalsuite.backends.responses import Key, Response, read_responses, same
from evalsuite.errors import InputError
from evalsuite.judging.contract import Answer, Case, pair
from evalsuite.records import user

Named = tuple[str, str]


def cases_of_files(a: Path, b: Path, questions: Path | None = None, limit: int | None = None) -> list[Case]:
    """One case for each prompt that both files answer, in A's order; several answers to one prompt are paired in turn.

    `questions` gives the prompts of files that hold ids only. Raises InputError where nothing can be paired.
    """
    left, right = read_responses(a), read_responses(b)
    known = {r.id: r.turns for r in read_questions(questions)} if questions is not None else {}
    by_id = _keyed(left) and _keyed(right)
    rows_a, rows_b = _grouped(left, by_id), _grouped(right, by_id)
    shared = [key for key in rows_a if key in rows_b]
    if not shared:
        how = "id" if by_id else "prompt"
        raise InputError(f"{a} and {b} share no {how}; the first ones are {_some(rows_a)} and {_some(rows_b)}")
    names = _names(a, left, b, right)
    cases: list[Case] = []
    for number, key in enumerate(shared[:limit]):
        for repeat, (x, y) in enumerate(zip(rows_a[key], rows_b[key], strict=False)):
            identity = x.id if x.id is not None else y.id if y.id is not None else f"prompt-{number}"
            turns = x.turns or y.turns or known.get(x.id, ())
            if len(turns) < x.turn:
                raise InputError(f"{a}: sample {identity} has no prompt; give the prompts' file with --questions FILE")
            messages = tuple(user(turn) for turn in turns[: max(x.turn, 1)])
            sample = f"{identity}#{x.turn}" if x.turn > 1 else identity
            answers = Answer(x.text, names[0]), Answer(y.text, names[1])
            cases.append(pair(sample, messages, *answers, repeat=repeat))
    return cases


def read_questions(path: Path) -> list[Response]:
    """Ids with their prompts: {"id" or its kin, "prompt" or its kin}, or MT-Bench's {"question_id", "turns"}."""
    from evalsuite.backends.responses import IDS, prompts_of
    from evalsuite.data import read_rows

    found = []
    for number, row in enumerate(read_rows(path), start=1):
        identity = next((str(row[k]) for k in IDS if row.get(k) is not None), None)
        turns = tuple(map(str, row["turns"])) if isinstance(row.get("turns"), list) else prompts_of(row)
        if identity is None or not turns:
            raise InputError(f"{path}: row {number}: needs an id and a prompt")
        found.append(Response("", identity, turns))
    return found


def _keyed(rows: Sequence[Response]) -> bool:
    return all(row.id is not None for row in rows)


def _grouped(rows: Sequence[Response], by_id: bool) -> Mapping[Key, list[Response]]:
    groups: dict[Key, list[Response]] = defaultdict(list)
    for row in rows:
        key = (row.id or "", str(row.turn)) if by_id else tuple(same(turn) for turn in row.turns)
        if key:
            groups[key].append(row)
    return groups


def _names(a: Path, left: Sequence[Response], b: Path, right: Sequence[Response]) -> Named:
    """The generators that the files name, else the files' names; told apart where they are the same."""
    first, second = left[0].model or _stem(a), right[0].model or _stem(b)
    return (first, second) if first != second else (f"{first} (A)", f"{second} (B)")


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _some(rows: Mapping[Key, object]) -> str:
    first = next(iter(rows), ("nothing",))
    return repr(" ".join(first)[:40])
