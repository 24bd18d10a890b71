"""Arena-Hard's and Chatbot Arena's published figures: ratings, style control, separability, intervals, ranks."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalsuite.judging import Annotation
from evalsuite.judging.importing.arena import SHAPES
from evalsuite.judging.importing.shapes import Origin
from evalsuite.judging.ranking.battles import Ratings
from evalsuite.judging.ranking.ranking import Choices, Ranking, rank
from evalsuite.statistics import interval_ranks, order_scores, ranking_agreement, separability, spearman

Public = Callable[[str], Path]
BASELINE = "claude-3.7-sonnet"
LABELS = {"a": "A>>B", "b": "A>B", "c": "A=B", "d": "B>A", "e": "B>>A", "n": None}
HARD = next(s for s in SHAPES if s.name == "Arena-Hard judgments")

# raw score, weighted n, then controlled for style, length, markdown
TABLE = {
    "o3-high": (87.293388, 1936, 87.872, 86.710, 91.704),
    "o4-mini-high": (74.589666, 1645, 81.267, 79.082, 82.329),
    "gemini-2.5-flash-preview": (61.486486, 1554, 24.067, 23.466, 56.567),
    "deepseek-r1": (56.618497, 1730, 50.802, 53.196, 47.327),
    "gpt-4.5-preview": (48.234917, 1558, 48.354, 49.387, 44.157),
    "qwq-32b": (47.278549, 1874, 29.767, 33.228, 32.916),
    "command-a": (43.539663, 1664, 34.540, 37.676, 34.128),
    "mistral-large-2411": (11.415289, 1936, 10.513, 10.666, 11.490),
    "gpt-4o-mini": (10.445387, 1886, 11.850, 12.526, 9.777),
    "claude-3.5-haiku": (9.668367, 1960, 27.157, 23.357, 13.662),
    "llama-3.3-70b": (3.526448, 2382, 3.619, 3.535, 4.601),
    "lfm-3b": (3.377329, 2576, 2.116, 2.424, 2.812),
    "qwen-2.5-7b": (2.417405, 2482, 1.720, 1.714, 2.912),
}
COEFFICIENTS = {
    "style": {"length": 1.47100, "header": 0.12274, "list": -0.12120, "bold": 0.12529},
    "length": {"length": 1.47818},
    "markdown": {"header": 0.30694, "list": 0.15507, "bold": 0.22180},
}


def lines(path: Path) -> list[dict]:
    text = gzip.decompress(path.read_bytes()).decode()
    return [json.loads(line) for line in text.split("\n") if line]


@pytest.fixture(scope="module")
def judged(public_data: Public) -> list[Annotation]:
    """The curators' letters as Arena-Hard's own rows, read by its importer; style counts beside them."""
    ids = json.loads(gzip.decompress(public_data("arena_hard/ko_question_ids.json.gz").read_bytes()))
    style = {row.pop("model"): row for row in lines(public_data("arena_hard/ko_style.jsonl.gz"))}
    found = []
    for row in lines(public_data("arena_hard/ko_verdicts.jsonl.gz")):
        for i, games in enumerate(zip(row["game1"], row["game2"], strict=True)):
            stored = [{"score": LABELS.get(letter)} for letter in games]
            hard = {"question_id": ids[i], "model": row["model"], "judge": "ensemble", "games": stored}
            sides = {s: {k: v[i] for k, v in style[m].items()} for s, m in (("a", row["model"]), ("b", BASELINE))}
            counts = {f"style_{s}": {"tokens": c["token_len"], **c} for s, c in sides.items()}
            found += [replace(a, details={**a.details, **counts}) for a in HARD.read(hard, Origin("", BASELINE))]
    return found


def ranked(rows: list[Annotation], *style: str) -> Ranking:
    how = Ratings(style=style, rounds=0, centred=True, self_battles="one_sided")
    return rank(rows, Choices("bradley-terry", baseline=BASELINE, orders="each", ratings=how))


def scores(found: Ranking) -> dict[str, float]:
    return {s.model.removesuffix("-instruct"): 100 * (s.more["win_rate"] or 0) for s in found.standings}


def published(path: Path) -> dict[str, float]:
    with path.open(encoding="utf-8") as file:
        return {row["model"]: float(row["score"]) for row in csv.DictReader(file)}


def test_raw_scores_are_weighted_win_rates(judged: list[Annotation], public_data: Public) -> None:
    found = ranked(judged)
    table = published(public_data("arena_hard/ko_leaderboard_20250423_no_control.csv"))
    assert len(judged) == 54_000
    assert len(found.standings) == 54
    for s in found.standings:
        if s.model not in (BASELINE, "o4-mini-high"):  # a game of the latter is missing from the stored verdicts
            assert 100 * (s.more["win_rate"] or 0) == pytest.approx(table[s.model], abs=0.005 + 1e-9), s.model
    by_name = {s.model.removesuffix("-instruct"): s for s in found.standings}
    assert sum(s.more["weight"] or 0 for s in found.standings if s.model != BASELINE) + own(judged) == 100_703
    for model, (raw, weight, *_) in TABLE.items():
        s = by_name[model]
        assert 100 * (s.more["win_rate"] or 0) == pytest.approx(raw, abs=1e-6), model
        assert s.more["weight"] == weight, model
        assert s.missing.get("judge_parse", 0) == (model == "o4-mini-high")


def own(rows: list[Annotation]) -> float:
    """Weight of the baseline's battles with its own copy."""
    mine = [r for r in rows if r.model_a == r.model_b]
    return sum(3 if r.details["strength"] == 2 else 1 for r in mine)


@pytest.mark.parametrize(("place", "style"), [(2, "style"), (3, "length"), (4, "markdown")])
def test_style_controlled_scores(place: int, style: str, judged: list[Annotation]) -> None:
    found = ranked(judged, style)
    for name, value in COEFFICIENTS[style].items():
        assert found.coefficients[name][0] == pytest.approx(value, abs=1e-3), name
    controlled = scores(found)
    for model, row in TABLE.items():
        assert controlled[model] == pytest.approx(row[place], abs=0.02), model


BOOTSTRAPS = {
    "arena_hard": (28, 76, 378, 79.8942, 51, 86.5079),
    "mt_bench": (25, 197, 300, 34.3333, 141, 53.0),
    "arena_hard_distribution_elo": (78, 927, 3003, 69.1309, 670, 77.689),
    "20k_votes": (20, 59, 190, 68.9474, 38, 80.0),
}


@pytest.mark.parametrize("name", BOOTSTRAPS)
def test_separability(name: str, public_data: Public) -> None:
    rows = lines(public_data(f"arena_hard/bootstrap_{name}.jsonl.gz"))
    models, apart, pairs, share, apart80, share80 = BOOTSTRAPS[name]
    assert len(rows) == models
    found = separability([r["lower"] for r in rows], [r["upper"] for r in rows])
    assert (found.overlapping, found.pairs) == (apart, pairs)
    assert 100 * (found.value or 0) == pytest.approx(share, abs=5e-5)
    narrow = separability(*np.array([np.percentile(r["results"], [10, 90]) for r in rows]).T)
    assert narrow.overlapping == apart80
    assert 100 * (narrow.value or 0) == pytest.approx(share80, abs=5e-5)


# overlaps, strict agreement, with confidence, Spearman, Brier, log-loss
AGREEMENT = {
    "arena_hard": (30, 0.9157894737, 0.9039548023, 0.9323308271, 0.0704786550, 0.3950460397),
    "mt_bench": (121, 0.8684210526, 0.6949152542, 0.8932330827, 0.1008290584, 0.3310536498),
    "20k_votes": (59, 0.9315789474, 0.8728813559, 0.9563909774, 0.0487971399, None),
}


@pytest.fixture(scope="module")
def arena(public_data: Public) -> dict[str, dict[str, float]]:
    with public_data("arena_hard/chatbot_arena_table_20240329.csv").open(encoding="utf-8") as file:
        return {row[""]: {k: float(v) for k, v in row.items() if k} for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", AGREEMENT)
def test_agreement_with_the_arena(name: str, public_data: Public, arena: dict[str, dict[str, float]]) -> None:
    mapped = "mt_bench" if name == "mt_bench" else "arena_hard"
    names = json.loads(public_data(f"arena_hard/arena_to_{mapped}.json").read_text())
    rows = {r["model"].lower(): r for r in lines(public_data(f"arena_hard/bootstrap_{name}.jsonl.gz"))}
    both = [(arena[a], rows[(a if name == "20k_votes" else b).lower()]) for a, b in names.items()]
    overlaps, strict, confident, order, brier, loss = AGREEMENT[name]
    bounds = ([r["lower"] for _, r in both], [r["upper"] for _, r in both])
    assert separability(*bounds).overlapping == overlaps
    rating, score = [t["rating"] for t, _ in both], [r["score"] for _, r in both]
    reference = ([t["rating_q025"] for t, _ in both], [t["rating_q975"] for t, _ in both])
    found = ranking_agreement(rating, reference, score, bounds)
    assert (found.pairs, found.confident_pairs) == (190, 177)
    assert found.strict == pytest.approx(strict, abs=1e-9)
    assert found.confident == pytest.approx(confident, abs=1e-9)
    assert spearman(rating, score).value == pytest.approx(order, abs=1e-9)
    draws = [r["results"] for _, r in both]
    mine = order_scores(rating, [float(np.mean(d)) for d in draws], [float(np.var(d)) for d in draws])
    assert mine[0] == pytest.approx(brier, abs=1e-9)
    if loss is not None:
        assert mine[1] == pytest.approx(loss, abs=1e-9)


def test_chatbot_arena_intervals_and_ranks(public_data: Public, arena: dict[str, dict[str, float]]) -> None:
    text = gzip.decompress(public_data("arena_hard/chatbot_arena_bootstrap_20240329.csv.gz").read_bytes()).decode()
    header, *body = csv.reader(io.StringIO(text))
    draws = np.array(body, dtype=float)
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    table = [arena[m] for m in header]
    # The stored draws are rounded to four decimals: an interpolated percentile may be off by as much as 5e-5.
    assert low == pytest.approx([r["rating_q025"] for r in table], rel=0, abs=5e-5)
    assert high == pytest.approx([r["rating_q975"] for r in table], rel=0, abs=5e-5)
    assert draws.var(axis=0, ddof=1) == pytest.approx([r["variance"] for r in table], abs=9e-5)
    bounds = [[r[k] for r in table] for k in ("rating_q025", "rating_q975")]
    ranks = interval_ranks(*bounds).tolist()
    assert ranks == [r["final_ranking"] for r in table]
    assert len(ranks) == 76
    found = separability(*bounds)
    assert (found.overlapping, found.pairs) == (258, 2850)
    assert 100 * (found.value or 0) == pytest.approx(90.9474, abs=5e-5)
    known = {"gpt-4-0125-preview": (1249.169, 1), "claude-3-opus-20240229": (1254.639, 1), "gpt-4-0314": (1185.413, 6)}
    known |= {"llama-2-70b-chat": (1082.604, 28), "vicuna-13b": (1038.279, 43), "alpaca-13b": (900.925, 70)}
    for model, (rating, place) in known.items():
        assert arena[model]["rating"] == pytest.approx(rating, abs=5e-4)
        assert ranks[header.index(model)] == place
    assert arena["mixtral-8x7b-instruct-v0.1"]["rating"] == pytest.approx(1114.0)
