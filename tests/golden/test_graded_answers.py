"""WildBench's scores and rewards, Prometheus' repeated grades, PRISM's counts, Feedbacker's table."""

import gzip
import json
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from evalsuite.data import read_rows
from evalsuite.judging import Annotation
from evalsuite.judging.importing.arena import read_grade
from evalsuite.judging.importing.sessions import read_wild_pair, read_wild_score
from evalsuite.judging.importing.shapes import Origin
from evalsuite.judging.ranking.judges import steadiness
from evalsuite.judging.ranking.ranking import Choices, Ranking, rank
from evalsuite.judging.ranking.table import columns
from evalsuite.statistics import check_table, pearson

Public = Callable[[str], Path]
WEIGHTS = {
    "Creative Tasks": 0.5,
    "Planning & Reasoning": 1.25,
    "Math & Data Analysis": 1.0,
    "Information/Advice seeking": 0.75,
    "Coding & Debugging": 1.25,
}
CHOICES = ("A++", "A+", "A=B", "B+", "B++")
COUNTS = ("win_much", "win", "tie", "lose", "lose_much")


def stored(path: Path) -> dict:
    return json.loads(gzip.decompress(path.read_bytes()))


def lines(path: Path) -> list[dict]:
    text = gzip.decompress(path.read_bytes()).decode()
    return [json.loads(line) for line in text.split("\n") if line]


# mean score, mean length, n
SCORES = {
    "Qwen1.5-72B-Chat-greedy": (7.1733594515, 2392.364349, 1021),
    "gemma-2b-it": (4.7375122429, 1590.083333, 1021),
    "reka-edge": (6.1593352884, 2417.351107, 1023),
    "reka-flash-20240226": (6.7302052786, 2103.009804, 1023),
}
JUDGES = {
    "gemma-2b-it": (5.310547, 4.726738),
    "Qwen1.5-72B-Chat-greedy": (7.796676, 7.166503),
    "gpt-3.5-turbo-0125": (7.105469, 6.606061),
}


@pytest.fixture(scope="module")
def wild(public_data: Public) -> dict[tuple[str, str], list[Annotation]]:
    """(release, judge) → the curators' columns as WildBench's own rows, read by its importer."""
    found: dict[tuple[str, str], list[Annotation]] = {}
    for run in lines(public_data("wildbench/scores.jsonl.gz")):
        rows = found.setdefault((run["release"], run["judge"]), [])
        for session, score, chars in zip(run["session_idx"], run["score"], run["output_chars"], strict=True):
            row = {"session_id": session, "model_test": run["model"], "score": score, "output_chars": chars}
            rows += read_wild_score({**row, "judge": run["judge"]}, Origin(""))
    return found


def grades(rows: list[Annotation]) -> Ranking:
    return rank(rows, Choices("grade", rounds=2))


def test_wildbench_scores(wild: dict[tuple[str, str], list[Annotation]], public_data: Public) -> None:
    found = {s.model: s for s in grades(wild["v2.0625", "gpt-4o-2024-05-13"]).standings}
    for model, (score, length, n) in SCORES.items():
        assert found[model].value == pytest.approx(score, abs=1e-9), model
        assert found[model].verdicts == n
        assert found[model].length == pytest.approx(length, abs=20)  # empty answers are no part of the published mean
    table = stored(public_data("wildbench/table_score.json.gz"))
    assert len(table) == 52
    for model, row in table.items():
        values = row["task_categorized_scores"]
        assert macro(values) == pytest.approx(row["task_macro_score"], abs=1e-9), model
        if model in found:
            assert found[model].value == pytest.approx(row["score"], abs=1e-9)
    assert table["gpt-4o-2024-05-13"]["score"] == pytest.approx(7.9403714565, abs=1e-9)
    assert table["gpt-4o-2024-05-13"]["task_macro_score"] == pytest.approx(5.9298178804, abs=1e-9)


def macro(values: dict[str, float]) -> float:
    """The macro average that `rank --weight` gives, one grade for each group."""
    rows = [
        Annotation(str(i), "", "m", "", "judge", "", "pointwise", "", None, "parsed", score=values[g], category=g)
        for i, g in enumerate(WEIGHTS)
    ]
    (found,) = rank(rows, Choices("grade", by="category", weights=WEIGHTS, rounds=2)).averages
    assert found.macro is not None
    return found.macro


def test_wildbench_judges_differ_on_the_same_answers(wild: dict[tuple[str, str], list[Annotation]]) -> None:
    pairs = [grades(wild["v2.0522", j]).standings for j in ("gpt-4-turbo-2024-04-09", "gpt-4o-2024-05-13")]
    turbo, omni = ({s.model: s.value for s in standings} for standings in pairs)
    for model, both in JUDGES.items():
        assert (turbo[model], omni[model]) == pytest.approx(both, abs=1e-6), model


# reward, counts ++ + = - --, total, macro
REWARDS = {
    "gpt-4o-2024-05-13": (-0.04052734375, (81, 171, 313, 272, 72), 1024, -0.03618068),
    "claude-3-5-sonnet-20240620": (0.02783203125, (102, 234, 340, 133, 124), 1024, 0.06927159),
    "Qwen1.5-72B-Chat-greedy": (-0.2177734375, None, None, -0.26681483),
    "gemma-2b-it": (-0.80810546875, None, None, -0.85068989),
    "reka-flash-20240226": (-0.32275390625, None, None, -0.37184677),
}


def verdicts(model: str, counts: dict[str, int], total: int, category: str = "") -> list[Annotation]:
    """Counted labels as WildBench's own rows; what stayed in the total without being counted has no label."""
    labels = [c for c, name in zip(CHOICES, COUNTS, strict=True) for _ in range(counts[name])]
    labels += [None] * (total - len(labels))
    row = {"model_A": model, "model_B": "gpt-4-turbo-2024-04-09"}
    found = []
    for i, label in enumerate(labels):
        session = {"session_id": f"{category}{i}", "parsed_result": {"choice": label}, "judge": "gpt-4-turbo"}
        found += read_wild_pair({**row, **session, "category": category}, Origin(""))
    return found


@pytest.mark.parametrize("model", REWARDS)
def test_wildbench_rewards(model: str, public_data: Public) -> None:
    """A reward is 2 · rate − 1 where a slight win is worth three quarters and what is not there counts as a tie."""
    row = stored(public_data("wildbench/table_pairwise_gpt4t_K500.json.gz"))[model]
    reward, counts, total, macro_reward = REWARDS[model]
    if counts is not None:
        assert (tuple(row[c] for c in COUNTS), row["total"]) == (counts, total)
    choices = Choices(baseline="gpt-4-turbo-2024-04-09", slight=0.75, missing="tie", rounds=2)
    (found,) = rank(verdicts(model, row, row["total"]), choices).standings
    assert 2 * (found.value or 0) - 1 == pytest.approx(reward, abs=1e-9)
    assert reward == pytest.approx(row["reward"], abs=1e-9)
    parts = row["task_categorized_results"]
    rows = [a for task, c in parts.items() for a in verdicts(model, c, sum(c[n] for n in COUNTS), task)]
    by_task = Choices(
        baseline="gpt-4-turbo-2024-04-09", slight=0.75, by="category", weights=WEIGHTS, missing="tie", rounds=2
    )
    (averages,) = rank(rows, by_task).averages
    assert 2 * (averages.macro or 0) - 1 == pytest.approx(macro_reward, abs=1e-8)
    assert 2 * (averages.macro or 0) - 1 == pytest.approx(row["task_macro_reward"], abs=1e-9)


def test_prometheus_repeats(public_data: Public) -> None:
    rows: list[Annotation] = []
    stored_rows = lines(public_data("prometheus/gpt4_rubric_scores_mt_bench.jsonl.gz"))
    for i, row in enumerate(stored_rows):
        grade = {"question_id": i, "model": row["response_source"], "judge": ["gpt-4", "rubric"]}
        rows += [a for s in row["gpt4_score"] for a in read_grade({**grade, "score": s}, Origin(""))]
    draws = [[r.score or 0.0 for r in rows[k::3]] for k in range(3)]
    means = [sum(d) / len(d) for d in draws]
    assert means == pytest.approx([3.478125, 3.5, 3.4875], abs=1e-6)
    # importing a whole file numbers repeats; here each row is read for itself
    numbered = [Annotation(**{**fields(r), "repeat": k % 3}) for k, r in enumerate(rows)]
    noise = steadiness(columns(numbered))
    assert noise.repeated == 320
    assert noise.repeat_variance == pytest.approx(0.2572917, abs=1e-6)
    triples = list(zip(*draws, strict=True))
    assert sum(len(set(t)) == 1 for t in triples) / 320 == pytest.approx(0.440625, abs=1e-6)
    equal = sum(a == b for t in triples for a, b in combinations(t, 2)) / (3 * 320)
    assert equal == pytest.approx(0.6114583, abs=1e-6)
    assert pearson(draws[0], draws[1]).value == pytest.approx(0.8356877, abs=1e-6)
    found = {s.model: s.value for s in rank(numbered, Choices("grade", rounds=2)).standings}
    expected = {"llama2_chat_13b": 3.479167, "chatgpt": 3.816667, "vicuna_13b": 3.266667, "wizardlm_13b": 3.391667}
    assert found == pytest.approx(expected, abs=1e-6)


def fields(row: Annotation) -> dict:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_prism_counts(public_data: Public) -> None:
    rows = read_rows(public_data("prism/opening_prompt_clusters.csv.gz"))
    assert len({r["conversation_id"] for r in rows}) == 8011
    assert len({r["user_id"] for r in rows}) == 1396
    assert len(read_rows(public_data("prism/models.jsonl"))) == 21


DOMAINS = {"Coding": 636, "Knowledge": 540, "Mathematics": 344, "Reasoning": 245, "Roleplay": 470, "Writing": 1108}


def test_feedbackers_table(public_data: Public) -> None:
    """Overall is the mean over all questions, so the domains' scores and counts give it: for 16 of 17 models."""
    text = public_data("feedbacker/ranked_scores_table.txt").read_text(encoding="utf-8")
    header, *body = (
        [c.strip() for c in line.strip("| \n").split("|")] for line in text.splitlines() if "---" not in line
    )
    assert header[2:] == list(DOMAINS)
    scores = {row[0]: [float(re.sub(r"\(.*", "", c)) for c in row[1:]] for row in body}
    assert len(scores) == 17
    found = check_table(
        {m: s[1:] for m, s in scores.items()}, list(DOMAINS.values()), {m: s[0] for m, s in scores.items()}
    )
    odd = [c for c in found if not c.agrees]
    assert [c.model for c in odd] == ["claude3.7-sonnet-20250219"]
    assert odd[0].difference == pytest.approx(0.295, abs=5e-4)
    assert max(abs(c.difference) for c in found if c.agrees) <= 0.01
