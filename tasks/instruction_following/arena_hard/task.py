"""How often does the model's answer beat a baseline's on hard prompts? (Arena-Hard v0.1: 500 prompts)

The judge is `judges/pairwise_graded`: it answers first, compares, and names one of five labels, in both orders. In
`arena_score` a clear win or loss (A>>B) counts three times, game by game, as Arena-Hard has it; with one baseline and
no penalty its Bradley-Terry fit is exactly this mean.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from evalsuite.data import Setup, read_rows
from evalsuite.errors import InputError
from evalsuite.judging import Judge, find
from evalsuite.judging.within import Read, against_recorded, ask, read, score_of
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.pairs import side

TASK = {
    "version": 1,
    "primary": "arena_score",
    "roles": {"judge": "required"},
    "public": "arena_hard",
    "data": ["question.jsonl and a baseline's model_answer/*.jsonl of Arena-Hard v0.1 (lmarena/arena-hard-auto)"],
    "baselines": {"arena_score": {"the baseline itself": 0.5}},
}
FILES = ("question.jsonl", "v0.1_questions.jsonl.gz")
# Arena-Hard's own baseline first; then the answers that a collection of public data may hold instead.
BASELINES = ("model_answer/gpt-4-0314.jsonl", "gpt-4-0314.jsonl", "v0.1_answers_gpt-3.5-turbo-0125.jsonl.gz")
STRONG = 3.0  # how many times a clear win counts


@cache
def judge() -> Judge:
    return find("pairwise_graded")


def load(setup: Setup) -> Iterator[Sample]:
    path = setup.file(*FILES)
    name, answers = _baseline(path)
    for number, row in enumerate(setup.each(*FILES), start=1):
        identity = row.get("uid") or row.get("question_id")
        turns = [turn.get("content") for turn in row.get("turns") or ()]
        text = row.get("prompt") or (turns[0] if turns else None)
        if not identity or not text:
            raise InputError(f"{path}: row {number} needs 'uid' and 'prompt' (or question_id and turns)")
        if identity not in answers:
            raise InputError(f"{path}: row {number}: the baseline {name} has no answer to {identity}")
        target = {"output": answers[identity], "generator": name}
        yield Sample(str(identity), (user(text),), target, {"cluster": row.get("cluster", "")})


def _baseline(questions: Path) -> tuple[str, dict[str, str]]:
    """The first file of baseline answers that lies beside the questions: its name, and the answers by id."""
    path = next((p for name in BASELINES if (p := questions.parent / name).is_file()), None)
    if path is None:
        raise InputError(f"{questions}: no baseline answers beside it (looked for {', '.join(BASELINES)})")
    name = path.name.removesuffix(".gz").removesuffix(".jsonl").removeprefix("v0.1_answers_")
    return name, {str(row.get("uid") or row.get("question_id")): _answer(path, row) for row in read_rows(path)}


def _answer(path: Path, row: dict[str, object]) -> str:
    """Of {"uid", "answer"}, or of FastChat's choices, whose turns are texts or {"content"}."""
    found = row.get("answer")
    if isinstance(choices := row.get("choices"), list) and choices and choices[0].get("turns"):
        turn = choices[0]["turns"][0]
        found = turn.get("content") if isinstance(turn, dict) else turn
    if isinstance(found, dict):
        found = found.get("answer")
    if not isinstance(found, str):
        raise InputError(f"{path}: the row of {row.get('uid') or row.get('question_id')} has no answer")
    return found


def prompt(sample: Sample) -> list[Request]:
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=4096))]


def follow_up(sample: Sample, completions: Completions) -> list[Request]:
    return ask(judge(), against_recorded(sample, completions), completions)


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    said = read(judge(), against_recorded(sample, completions), completions)
    ours, theirs = len(completions.text), len(sample.target["output"])
    return {
        "arena_score": games(said),
        "win_rate": score_of(said),
        "longer": Score(side(ours, theirs)),
    }


def games(said: Read) -> Score:
    """Σ w·s / Σ w over the games that have a verdict (an unread one is left out, as in v0.1): s is 1, 0.5 or 0 for the
    model, w is 3 for a clear win or loss, else 1."""
    known = [v for v in said.verdicts if v is not None]
    if not known:
        return missing(said.reason or "judge_parse")
    weights = [STRONG if v.details.get("strength") == 2 else 1.0 for v in known]
    value = sum(w * v.preference for w, v in zip(weights, known, strict=True)) / sum(weights)
    labels = {v.order: v.details.get("label") for v in known}
    return Score(value, weight=sum(weights), details={"labels": labels, "consistent": said.outcome.consistent})


def gold(sample: Sample) -> dict[str, str]:
    return {"answer": "The better answer.", "judge:ab": "[[A>>B]]", "judge:ba": "[[B>A]]"}


def near_miss(sample: Sample) -> dict[str, str]:
    """Wins clearly where it is shown first, and is as good in the other order."""
    return {**gold(sample), "judge:ba": "[[A=B]]"}
