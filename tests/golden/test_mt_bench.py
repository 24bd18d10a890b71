"""MT-Bench's published figures: agreement of people and GPT-4, flips, win rates, Bradley–Terry, Elo, grades."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.judging import Annotation
from evalsuite.judging.audit.audit import Audit, audit
from evalsuite.judging.audit.figures import Figure
from evalsuite.judging.importing import read_any
from evalsuite.judging.importing.arena import read_games, read_grade
from evalsuite.judging.importing.shapes import Origin
from evalsuite.judging.ranking.battles import Ratings
from evalsuite.judging.ranking.ranking import Choices, Ranking, rank
from evalsuite.statistics import spearman

Public = Callable[[str], Path]
MODELS = ("alpaca-13b", "claude-v1", "gpt-3.5-turbo", "gpt-4", "llama-13b", "vicuna-13b-v1.2")
PEOPLE = (0.284736, 0.624750, 0.627517, 0.736031, 0.168199, 0.518817)
GPT4 = (0.2425, 0.68625, 0.6025, 0.8325, 0.13875, 0.4975)


def lines(path: Path) -> list[dict]:
    text = gzip.decompress(path.read_bytes()).decode()
    return [json.loads(line) for line in text.split("\n") if line]


def values(found: Ranking) -> dict[str, float]:
    return {s.model: s.value for s in found.standings if s.value is not None}


@pytest.fixture(scope="module")
def people(public_data: Public) -> list[Annotation]:
    return read_any(public_data("mt_bench/human_votes_turn1.jsonl.gz"))


@pytest.fixture(scope="module")
def gpt4(public_data: Public) -> list[Annotation]:
    return read_any(public_data("mt_bench/gpt4_pair_turn1.jsonl.gz"))


@pytest.fixture(scope="module")
def card(people: list[Annotation], gpt4: list[Annotation]) -> Audit:
    return audit(gpt4, people)


def counts(figure: Figure) -> tuple[float | None, int | None]:
    return figure.hits, figure.total


def test_the_published_agreement(card: Audit) -> None:
    """The paper prints 66% and 85% of GPT-4 with experts, 63% and 81% among experts."""
    expected = {
        "judge - expert": (886, 1343, 727, 859),
        "expert - expert": (454, 721, 388, 479),
        "author - expert": (280, 428, 218, 262),
    }
    for pair, found in expected.items():
        agreement = card.groups[pair]
        assert (*counts(agreement.with_ties), *counts(agreement.without_ties)) == found, pair
    assert card.people == 65
    assert counts(card.judge.flips) == (188, 1200)


def test_agreement_with_the_majority(card: Audit) -> None:
    assert card.majority.with_ties.total == 910
    assert card.majority.with_ties.value == pytest.approx(0.678022, abs=1e-6)
    assert card.judge.kappa.value == pytest.approx(0.515760, abs=1e-6)
    assert card.majority.without_ties.total == 530
    assert card.majority.without_ties.value == pytest.approx(0.890566, abs=1e-6)
    assert card.kappa_decided.value == pytest.approx(0.780992, abs=1e-6)


def test_win_rates_of_people_and_of_gpt_4(people: list[Annotation], gpt4: list[Annotation]) -> None:
    mine, theirs = values(rank(people)), values(rank(gpt4))
    assert [mine[m] for m in MODELS] == pytest.approx(PEOPLE, abs=1e-6)
    assert [theirs[m] for m in MODELS] == pytest.approx(GPT4, abs=1e-6)
    order = spearman([mine[m] for m in MODELS], [theirs[m] for m in MODELS])
    assert order.value == pytest.approx(0.942857, abs=1e-6)
    assert theirs["gpt-4"] - mine["gpt-4"] == pytest.approx(0.0965, abs=5e-5)


# inconsistent, valid, same first, same second, adjusted win rates
PAIRS = {
    "GPT-4o-mini": (399, 1193, 321, 69, (0.265, 0.826972, 0.492481, 0.3075, 0.607868, 0.5075)),
    "Qwen-32B": (371, 1198, 267, 52, (0.25875, 0.809524, 0.50875, 0.324561, 0.570352, 0.52875)),
    "Qwen-14B": (541, 1200, 426, 41, (0.28625, 0.73375, 0.50375, 0.365, 0.555, 0.55625)),
    "EXAONE-32B": (506, 1200, 457, 34, (0.28625, 0.74625, 0.46875, 0.375, 0.615, 0.50875)),
}
RATINGS = {
    "GPT-4o-mini": (
        (836.363, 1236.387, 991.861, 867.530, 1065.650, 1002.209),
        (837.861, 1195.663, 1001.985, 882.885, 1065.623, 1015.983),
    ),
    "Qwen-32B": (
        (834.370, 1219.177, 1003.899, 881.899, 1043.784, 1016.871),
        (861.068, 1190.439, 1000.575, 890.752, 1039.507, 1017.658),
    ),
}


@pytest.fixture(scope="module")
def games(public_data: Public) -> dict[str, list[Annotation]]:
    """The curators' letters as MT-Bench's own rows of two games, read by its importer."""
    found: dict[str, list[Annotation]] = {judge: [] for judge in PAIRS}
    for row in lines(public_data("mt_bench/multi_judge_pairwise.jsonl.gz")):
        ab = {"A": "model_1", "B": "model_2"}.get(row["winner_ab"], row["winner_ab"])
        ba = {"A": "model_2", "B": "model_1"}.get(row["winner_ba"], row["winner_ba"])
        game = {"question_id": row["question_id"], "g1_winner": ab, "g2_winner": ba, "judge": [row["judge"], "pair"]}
        found[row["judge"]] += read_games(
            {**game, "model_1": row["model_a"], "model_2": row["model_b"], "turn": row["turn"]}, Origin("")
        )
    return found


@pytest.mark.parametrize("judge", PAIRS)
def test_flips_and_adjusted_win_rates(judge: str, games: dict[str, list[Annotation]]) -> None:
    inconsistent, valid, first, second, rates = PAIRS[judge]
    found = rank(games[judge], Choices(orders="both"))
    noise = found.judge_noise
    assert (round((noise.flips or 0) * noise.swapped), noise.swapped) == (inconsistent, valid)
    rows = games[judge]
    both = [(a.preference, b.preference) for a, b in zip(rows[::2], rows[1::2], strict=True)]
    assert (both.count((1.0, 0.0)), both.count((0.0, 1.0))) == (first, second)
    models = sorted(values(found))
    assert [values(found)[m] for m in models] == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize("judge", RATINGS)
def test_ratings(judge: str, games: dict[str, list[Annotation]]) -> None:
    bradley_terry, elo = RATINGS[judge]
    how = Ratings(rounds=0)
    found = values(rank(games[judge], Choices("bradley-terry", orders="both", ratings=how)))
    models = sorted(found)
    assert [found[m] for m in models] == pytest.approx(bradley_terry, abs=0.01)
    found = values(rank(games[judge], Choices("elo", orders="both", ratings=Ratings(rounds=2))))
    assert [found[m] for m in models] == pytest.approx(elo, abs=0.001)


# mean and n of what was parsed
GRADES = {
    "EXAONE-32B": (8.052935, 954),
    "GPT-4o-mini": (7.757292, 960),
    "Qwen-14B": (7.868750, 960),
    "Qwen-32B": (7.664927, 958),
}
BY_MODEL = {
    "GPT-4o-mini": (6.8125, 8.725, 7.81875, 7.20625, 7.96875, 8.0125),
    "Qwen-32B": (6.71875, 8.320755, 7.7125, 7.0875, 8.0625, 8.09434),
}


def test_grades_of_four_judges(public_data: Public) -> None:
    found: dict[str, list[Annotation]] = {judge: [] for judge in GRADES}
    for row in lines(public_data("mt_bench/multi_judge_single.jsonl.gz")):
        if row["protocol"] == "single_grade":
            for turn in (1, 2):
                grade = {**row, "judge": [row["judge"], "single"], "turn": turn, "score": row[f"score_turn{turn}"]}
                found[row["judge"]] += read_grade(grade, Origin(""))
    for judge, rows in found.items():
        ranking = rank(rows, Choices("grade"))
        value, n = GRADES[judge]
        verdicts = sum(s.verdicts for s in ranking.standings)
        assert verdicts == n
        mean = sum((s.value or 0) * s.verdicts for s in ranking.standings) / verdicts
        assert mean == pytest.approx(value, abs=1e-6)
        if judge in BY_MODEL:
            assert [v for _, v in sorted(values(ranking).items())] == pytest.approx(BY_MODEL[judge], abs=1e-6)


# mean, turn 1, turn 2
SINGLE = {
    "llama2_chat_7b": (6.190625, 6.70625, 5.675),
    "finetune_llama2_chat_7b": (4.625, 5.3875, 3.8625),
    "finetune_llama2_chat_7b_Attention": (5.146875, 5.89375, 4.4),
    "Meta-Llama-3-8B-Instruct-Griffin": (2.7, 3.1375, 2.2625),
    "Meta-Llama-3-8B-Instruct-Normal": (7.843373, 8.383721, 7.2625),
    "phi-3-dpo": (8.2, 8.3625, 8.0375),
}


def test_grades_of_gpt_4(public_data: Public) -> None:
    rows = read_any(public_data("mt_bench/gpt4_single.jsonl.gz"))
    found = rank(rows, Choices("grade", by="turn"))
    assert {s.model: s.verdicts for s in found.standings}["Meta-Llama-3-8B-Instruct-Normal"] == 166
    for a in found.averages:
        whole, *turns = SINGLE[a.model]
        assert values(found)[a.model] == pytest.approx(whole, abs=1e-6)
        assert [a.groups[t].value for t in ("1", "2")] == pytest.approx(turns, abs=1e-6)
    last = {(r.model_a, r.sample): r for r in rows}  # ten keys are repeated
    assert values(rank(list(last.values()), Choices("grade")))["Meta-Llama-3-8B-Instruct-Normal"] == pytest.approx(
        7.76875, abs=1e-6
    )
    assert {r.status for r in rows if r.score is None} == {"backend_error"}


def test_pairs_of_gpt_4(public_data: Public) -> None:
    rows = read_any(public_data("mt_bench/gpt4_pair_phi3.jsonl.gz"))
    found = {s.model: s for s in rank(rows, Choices(orders="both", baseline="phi-3")).standings}
    s = found["phi-3-dpo"]
    assert (s.verdicts, sum(s.missing.values()), s.ties, s.wins, s.losses) == (73, 2, 35, 20, 18)
