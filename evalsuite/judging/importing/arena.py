"""Verdicts by pairs of named models: MT-Bench and Chatbot Arena votes, MT-Bench's judge in two games, Arena-Hard's.

Both games of a pair become two annotations of one sample. Arena-Hard stores labels as they were shown: its game 1 has
the baseline as A, game 2 the model; MT-Bench stores winners mapped back to the models. A clear win (A>>B) and a slight
one are told apart by `details["strength"]`, 2 and 1: how much more the first counts is the ranking's choice.
"""

from typing import Any

from evalsuite.judging.contract import Annotation
from evalsuite.judging.importing.codings import of_grade, of_label, of_winner
from evalsuite.judging.importing.shapes import Origin, Row, Shape, annotation, judged_by, turned

FAILED = "$ERROR$"


def read_vote(row: Row, origin: Origin) -> list[Annotation]:
    """A vote of a person, or of a judge whose two games were merged: `tie (inconsistent)` is a flip."""
    who = judged_by(row["judge"])
    preference = of_winner(row["winner"])
    if preference is None:
        raise ValueError(f"winner {row['winner']!r} is none of model_a, model_b, tie, tie (bothbad)")
    known: dict[str, Any] = {"preference": preference, "category": str(row.get("category") or "")}
    if "inconsistent" in str(row["winner"]):
        known["details"] = {"consistent": False}
    return [annotation(_asked(row), str(row["model_a"]), str(row["model_b"]), who, **known)]


def read_battle(row: Row, origin: Origin) -> list[Annotation]:
    """A vote without a judge's name: people's."""
    return read_vote({**row, "judge": row.get("judge") or "person_0"}, origin)


def read_games(row: Row, origin: Origin) -> list[Annotation]:
    """MT-Bench's judge: game 1 shows model_1 first, game 2 model_2; winners are mapped back already."""
    models = str(row["model_1"]), str(row["model_2"])
    return [
        annotation(
            _asked(row),
            *models,
            judged_by(row["judge"]),
            order=order,
            preference=of_winner(row[f"{game}_winner"]),
            raw=str(row.get(f"{game}_judgment") or ""),
            category=str(row.get("category") or ""),
        )
        for game, order in (("g1", "ab"), ("g2", "ba"))
    ]


def read_grade(row: Row, origin: Origin) -> list[Annotation]:
    """MT-Bench's grade of one answer, 1 to 10; -1 is an unparsed reply."""
    raw = str(row.get("judgment") or "")
    known: dict[str, Any] = {"score": of_grade(row["score"]), "raw": raw, "category": str(row.get("category") or "")}
    if raw.startswith(FAILED):
        known |= {"score": None, "status": "backend_error"}
    known["details"] = {"turn": int(row.get("turn") or 1)}
    return [annotation(_asked(row), str(row["model"]), "", judged_by(row["judge"]), **known)]


def read_hard(row: Row, origin: Origin) -> list[Annotation]:
    """Arena-Hard v0.1 and v2: two games against a baseline, which v0.1 does not name."""
    baseline = str(row.get("baseline") or origin.baseline)
    found = []
    for game, order in zip(row["games"], ("ba", "ab"), strict=False):
        label = game.get("score") if isinstance(game, dict) else None
        preference, strength = of_label(label)
        if preference is not None and order == "ba":
            preference = 1 - preference  # the baseline was A
        found.append(
            annotation(
                row["question_id"] if "question_id" in row else row["uid"],
                str(row["model"]),
                baseline,
                ("arena_hard", str(row["judge"])),
                order=order,
                preference=preference,
                raw=_reply(game),
                category=str(row.get("category") or ""),
                details={"strength": strength, "label": label},
            )
        )
    return found


def _asked(row: Row) -> str:
    return turned(row["question_id"], row.get("turn"))


def _reply(game: Any) -> str:
    reply = game.get("judgment") if isinstance(game, dict) else ""
    return reply if isinstance(reply, str) else str((reply or {}).get("answer") or "")


SHAPES = (
    Shape("MT-Bench judge, two games", ("question_id", "model_1", "model_2", "g1_winner", "g2_winner"), read_games),
    Shape("MT-Bench or Arena votes", ("question_id", "model_a", "model_b", "winner", "judge"), read_vote),
    Shape("Chatbot Arena battles", ("question_id", "model_a", "model_b", "winner"), read_battle),
    Shape("MT-Bench grades", ("question_id", "model", "judge", "score"), read_grade, without=("games",)),
    Shape("Arena-Hard judgments", ("model", "judge", "games"), read_hard),
)
