"""Files of answers → cases, matched by id or by prompt text, with what else a judge is to see of each sample.

sources = Sources((Path("a.jsonl"), Path("b.jsonl")), questions=Path("questions.jsonl"))
cases = cases_of(sources, (2, 2))          # for a judge of pairs; (1, 1): one case for each answer of each file
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalsuite.backends.responses import Key, Response, read_responses, same
from evalsuite.errors import InputError, JudgeError
from evalsuite.judging.contract import Answer, Case
from evalsuite.judging.material import Material, Sources, questions_of
from evalsuite.records import Message, assistant, user

Groups = Mapping[Key, list[Response]]
Dialogues = Mapping[tuple[str, int, int], Response]


def cases_of(sources: Sources, answers: tuple[int, int]) -> list[Case]:
    """Cases for a judge that takes so many answers (least, most), in the order of the first file.

    As many files as a case has answers: one case for each prompt that all of them answer; several answers to one prompt
    are taken in turn. A judge of single answers gets every file's answers, file after file. A judge of pairs takes the
    baseline as the second file where one is given. Raises InputError where files do not fit together, JudgeError where
    their number does not fit the judge.
    """
    least, most = answers
    paths = list(sources.responses)
    if len(paths) == 1 and least == 2 and sources.baseline is not None:
        paths.append(sources.baseline)
    if not least <= len(paths) <= most and most != 1:
        wanted = f"{least} files" if least == most else f"{least} to {most} files"
        raise JudgeError(f"--responses: this judge compares {wanted}, not {len(paths)}: --responses A B")
    if sources.limit is not None and sources.limit < 1:
        raise InputError(f"--limit {sources.limit}: must be at least 1")
    files = [read_responses(path) for path in paths]
    names = _names(paths, files)
    material = Material.read(sources, paths[0])
    together = [list(range(len(paths)))] if most > 1 else [[i] for i in range(len(paths))]
    return [
        case
        for chosen in together
        for case in _cases(
            [paths[i] for i in chosen], [files[i] for i in chosen], [names[i] for i in chosen], sources, material
        )
    ]


def cases_of_files(a: Path, b: Path, questions: Path | None = None, limit: int | None = None) -> list[Case]:
    """One case for each prompt that both files answer, in A's order."""
    return cases_of(Sources((a, b), questions, limit=limit), (2, 2))


def _cases(
    paths: Sequence[Path],
    files: Sequence[list[Response]],
    names: Sequence[str],
    sources: Sources,
    material: Material,
) -> list[Case]:
    by_id = all(row.id is not None for rows in files for row in rows)
    groups = [_grouped(rows, by_id) for rows in files]
    shared = [key for key in groups[0] if all(key in other for other in groups[1:])]
    if not shared:
        how = "id" if by_id else "prompt"
        first, second = (_some(g) for g in (groups[0], groups[-1]))
        raise InputError(f"{paths[0]} and {paths[-1]} share no {how}; the first ones are {first} and {second}")
    known = questions_of(sources.questions) if sources.questions is not None else {}
    dialogues = [_dialogues(rows) for rows in files]
    cases = []
    for number, key in enumerate(shared[: sources.limit]):
        for repeat, rows in enumerate(zip(*(group[key] for group in groups), strict=False)):
            identity = next((row.id for row in rows if row.id is not None), f"prompt-{number}")
            turns = next((row.turns for row in rows if row.turns), ()) or known.get(identity, ())
            turn = rows[0].turn
            if len(turns) < turn:
                raise InputError(
                    f"{paths[0]}: sample {identity} has no prompt; give the prompts' file with --questions FILE"
                )
            asked = turns[: max(turn, 1)]
            answers = tuple(
                Answer(row.text, name, _before(row, asked, earlier, repeat))
                for row, name, earlier in zip(rows, names, dialogues, strict=True)
            )
            sample = f"{identity}#{turn}" if turn > 1 else identity
            messages = tuple(user(text) for text in asked)
            cases.append(material.add(Case(sample, messages, answers, repeat=repeat), identity, turn, asked))
    return cases


def _before(row: Response, asked: Key, earlier: Dialogues, repeat: int) -> tuple[Message, ...]:
    """The dialogue before a later turn's answer: the model's own earlier answers belong to it."""
    said = [earlier.get((row.id or "", turn, repeat)) for turn in range(1, row.turn)]
    if not said or any(answer is None for answer in said):
        return ()
    messages: list[Message] = []
    for question, answer in zip(asked, said, strict=False):
        messages += [user(question), assistant(answer.text if answer is not None else "")]
    return (*messages, user(asked[-1]))


def _dialogues(rows: Sequence[Response]) -> Dialogues:
    """Answers of dialogues by id, turn and draw."""
    if all(row.turn == 1 for row in rows):
        return {}
    drawn: dict[tuple[str, int], int] = defaultdict(int)
    found = {}
    for row in rows:
        key = (row.id or "", row.turn)
        found[*key, drawn[key]] = row
        drawn[key] += 1
    return found


def _grouped(rows: Sequence[Response], by_id: bool) -> Groups:
    groups: dict[Key, list[Response]] = defaultdict(list)
    for row in rows:
        key = (row.id or "", str(row.turn)) if by_id else tuple(same(turn) for turn in row.turns)
        if key:
            groups[key].append(row)
    return groups


def _names(paths: Sequence[Path], files: Sequence[Sequence[Response]]) -> list[str]:
    """The generators that the files name, else the files' names; told apart where they are the same."""
    found = [rows[0].model or _stem(path) for path, rows in zip(paths, files, strict=True)]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [f"{n} ({letters[i % 26]})" if found.count(n) > 1 else n for i, n in enumerate(found)]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _some(rows: Mapping[Key, object]) -> str:
    first = next(iter(rows), ("nothing",))
    return repr(" ".join(first)[:40])
