"""Recorded judges, reward models and toy scorers through the reward-model tasks' own loaders, scores and baselines."""

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from golden import recorded_judges as published

from evalsuite.data import Setup
from evalsuite.records import Completion, Completions, Sample, Score, user
from evalsuite.registry import content_root, load_module
from evalsuite.scoring.pairs import Compared, better, pair_scores

Public = Callable[[str], Path]
Rows = list[tuple[Sample, Mapping[str, Score]]]


def module(name: str) -> Any:
    return load_module(content_root() / "tasks" / "reward_models" / name / "task.py", "task")


def setup(name: str, data: Path | str, method: str, subset: str = "") -> Setup:
    ref = f"{name}/{subset}" if subset else name
    return Setup(ref, content_root() / "tasks" / "reward_models" / name, subset, method, data=str(data))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def replied(ab: str, ba: str) -> Completions:
    """A judge's replies to both orders, the same at each of three attempts."""
    return Completions(
        {
            f"judge:{order}{attempt}": [Completion(text=text)]
            for order, text in (("ab", ab), ("ba", ba))
            for attempt in ("", "#2", "#3")
        }
    )


def rewarded(*values: float) -> Completions:
    return Completions({f"answer {i}": [Completion(rewards={"reward": v})] for i, v in enumerate(values)})


def decided_unasked(sample: Sample) -> bool:
    """Two equal texts, or an empty one: no judge is asked here, so what the recorded one said is scored as it is."""
    a, b = sample.metadata["answers"]
    return a == b or not a.strip() or not b.strip()


def total(rows: Rows, name: str) -> tuple[float, float]:
    """Σ weight·value and Σ weight of a score."""
    given = [s[name] for _, s in rows if name in s and s[name].value is not None]
    return sum(g.weight * (g.value or 0.0) for g in given), sum(g.weight for g in given)


def share(rows: Rows, name: str) -> float:
    top, bottom = total(rows, name)
    return top / bottom


def metric(found: Sequence[Any], name: str) -> float | None:
    return next((m.value for m in found if m.name == name), None)


# --- LLMBar ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bar(public_data: Public) -> Callable[[str, str], Rows]:
    """The rows of an evaluator on a subset: its verdicts as the letters of a pairwise judge's replies."""
    task = module("llmbar")
    verdicts = {(v["evaluator"], v["subset"]): v for v in lines(public_data("llmbar/verdicts.jsonl.gz"))}
    folder = public_data("llmbar/pairs.jsonl.gz").parent
    letters = {"ab": {"1": "A", "2": "B", "N": ""}, "ba": {"1": "B", "2": "A", "N": ""}}
    preference = {"1": 1.0, "2": 0.0, "N": None}

    def rows(evaluator: str, subset: str) -> Rows:
        told = verdicts[evaluator, task.PLACES[subset][0]]
        where = setup("llmbar", folder, "judge", subset)
        made: Rows = []
        for i, sample in enumerate(task.load(where)):
            ab, ba = told["w0"][i], told["w1"][i]
            if decided_unasked(sample):
                made.append((sample, task.scored(_compared(preference[ab], preference[ba]), sample)))
                continue
            made.append((sample, task.score(sample, replied(letters["ab"][ab], letters["ba"][ba]), where)))
        return made

    return rows


def _compared(ab: float | None, ba: float | None) -> Compared:
    mean = None if ab is None or ba is None else (ab + ba) / 2
    return Compared(mean, mean, orders=(ab, ba), reason="judge_parse")


@pytest.mark.parametrize("evaluator", published.CORRECT)
def test_llmbar_counts(evaluator: str, bar: Callable[[str, str], Rows]) -> None:
    *expected, pooled = published.CORRECT[evaluator]
    right = 0.0
    for (subset, n), counts in zip(published.SUBSETS.items(), expected, strict=True):
        rows = bar(evaluator, subset)
        assert len(rows) == n
        assert (total(rows, "acc_ab")[0], total(rows, "acc_ba")[0]) == counts, subset
        assert total(rows, "acc_official") == (sum(counts) / 2, n)
        right += sum(counts)
    assert 100 * right / (2 * sum(published.SUBSETS.values())) == pytest.approx(pooled, abs=5e-5)


def test_llmbar_pooled_and_adversarial(bar: Callable[[str, str], Rows]) -> None:
    n = sum(published.SUBSETS.values())
    for evaluator, pooled in published.POOLED.items():
        right = sum(total(bar(evaluator, subset), "acc_official")[0] for subset in published.SUBSETS)
        assert 100 * right / n == pytest.approx(pooled, abs=5e-5), evaluator
    for evaluator, mean in published.ADVERSARIAL.items():
        shares = [share(bar(evaluator, subset), "acc_official") for subset in list(published.SUBSETS)[1:]]
        assert 100 * fmean(shares) == pytest.approx(mean, abs=5e-5)
    both = [total(bar("GPT-4/Vanilla", subset), "acc_strict")[0] for subset in published.SUBSETS]
    assert both == published.BOTH_ORDERS
    assert total(bar("GPT-4/Swap_CoT", "natural"), "flips") == (0.0, 100.0)


@pytest.mark.parametrize(("subset", "value"), published.KAPPAS.items())
def test_llmbar_kappa(subset: str, value: float, bar: Callable[[str, str], Rows]) -> None:
    rows = bar("GPT-4/Vanilla_NoRules", subset)
    found = module("llmbar").metrics(rows, setup("llmbar", "", "judge", subset))
    assert metric(found, "kappa") == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("subset", "evaluator"), published.PEOPLE)
def test_llmbar_people(subset: str, evaluator: str, bar: Callable[[str, str], Rows]) -> None:
    acc, flips, first, sure, kappa = published.PEOPLE[subset, evaluator]
    rows = bar(evaluator, subset)
    assert share(rows, "acc_official") == pytest.approx(acc, abs=5e-5)
    assert total(rows, "flips") == flips
    assert total(rows, "first_named") == first
    assert share(rows, "acc_sure") == pytest.approx(sure, abs=5e-7)
    found = module("llmbar").metrics(rows, setup("llmbar", "", "judge", subset))
    assert metric(found, "kappa") == pytest.approx(kappa, abs=1e-6)


def test_llmbar_length(public_data: Public, bar: Callable[[str, str], Rows]) -> None:
    for evaluator, hits in published.LONGER.items():
        assert total(bar(evaluator, "mt_bench"), "picks_longer") == (hits, 390)
    task, folder = module("llmbar"), public_data("llmbar/pairs.jsonl.gz").parent
    for subset, (longer, labelled) in published.LONGER_LABELS.items():
        samples = list(task.load(setup("llmbar", folder, "judge", subset)))
        assert task.baselines(samples)["picks_longer"]["labels"] == pytest.approx(longer / labelled)


# --- JudgeBench ------------------------------------------------------------------------------------------------------


def _bench(public_data: Public, file: str, method: str, answer: Callable[[dict[str, Any]], Completions]) -> Rows:
    task = module("judge_bench")
    where = setup("judge_bench", public_data("judge_bench/pairs_gpt-4o.jsonl.gz").parent, method, "gpt-4o")
    told = {row["pair_id"]: row for row in lines(public_data(f"judge_bench/{file}.jsonl.gz"))}
    return [(s, task.score(s, answer(told[s.id]), where)) for s in task.load(where)]


def test_judge_bench_of_a_judge(public_data: Public) -> None:
    letters = {"A>B": "A", "B>A": "B", "A=B": "C", None: ""}

    def answer(row: dict[str, Any]) -> Completions:
        return replied(letters[row["decision_ab"]], letters[row["decision_ba"]])

    rows = _bench(public_data, "judge_arena_hard__o1-mini-2024-09-12", "judge", answer)
    correct, groups = published.O1_MINI
    assert total(rows, "acc_official") == (correct, 350)
    assert [total(rows, f"acc_official_{g}") for g in published.GROUPS] == list(
        zip(groups, published.GROUPS.values(), strict=True)
    )
    assert sum(s["acc_ab"].value == 1 for _, s in rows) / 350 == pytest.approx(0.708571, abs=5e-7)
    assert total(rows, "flips") == (110, 350)
    assert sum(s[f"acc_{order}"].value == 0.5 for _, s in rows for order in ("ab", "ba")) == 44


@pytest.mark.parametrize("name", published.REWARD_MODELS)
def test_judge_bench_of_reward_models(name: str, public_data: Public) -> None:
    correct, groups = published.REWARD_MODELS[name]
    rows = _bench(public_data, f"judge_reward_model__{name}", "reward", lambda row: rewarded(*row["scores_ab"]))
    assert total(rows, "acc_official") == (correct, 350)
    assert [total(rows, f"acc_official_{g}")[0] for g in published.GROUPS] == list(groups)
    assert total(rows, "acc_strict")[0] == correct


# --- RM-Bench --------------------------------------------------------------------------------------------------------

TOYS: dict[str, Callable[[str], float]] = {
    "longer": len,
    "shorter": lambda text: -len(text),
    "markdown": lambda text: (
        len(re.findall(r"^(?:#{1,6}\s|\s*[-*+]\s|\s*\d+\.\s)", text, re.MULTILINE))
        + len(re.findall(r"\*\*[^*\n]+\*\*", text))
    ),
    "hash": lambda text: int(hashlib.sha256(text.encode()).hexdigest()[:12], 16),
    "constant": lambda text: 1.0,
}
CELLS = ("hard", "normal", "easy")
RM_BENCH = {  # hard, normal, easy
    ("chat", "longer"): (0.025840, 0.284238, 0.811370),
    ("chat", "shorter"): (0.974160, 0.643411, 0.188630),
    ("chat", "markdown"): (0.000000, 0.103359, 0.578811),
    ("chat", "hash"): (0.485788, 0.457364, 0.472868),
    ("chat", "constant"): (0.0, 0.0, 0.0),
    ("safety-response", "longer"): (0.237792, 0.777070, 0.987261),
    ("safety-response", "shorter"): (0.762208, 0.218684, 0.012739),
    ("safety-response", "markdown"): (0.019108, 0.176221, 0.513800),
    ("safety-response", "hash"): (0.496815, 0.494692, 0.445860),
    ("safety-response", "constant"): (0.0, 0.0, 0.0),
}


def _styles(public_data: Public, subset: str, toy: str) -> Rows:
    task = module("rm_bench")
    where = setup("rm_bench", public_data(f"rm_bench/{subset}.jsonl.gz").parent, "reward", subset)
    return [
        (s, task.score(s, rewarded(*(float(TOYS[toy](text)) for text in s.metadata["answers"])), where))
        for s in task.load(where)
    ]


@pytest.mark.parametrize(("subset", "toy"), RM_BENCH)
def test_rm_bench_of_toy_scorers(subset: str, toy: str, public_data: Public) -> None:
    rows = _styles(public_data, subset, toy)
    assert len(rows) == {"chat": 129, "safety-response": 157}[subset]
    figures = [share(rows, name) for name in CELLS]
    assert figures == pytest.approx(RM_BENCH[subset, toy], abs=1e-6)
    assert share(rows, "acc") == pytest.approx(fmean(figures), abs=1e-12)
    baselines = module("rm_bench").baselines([s for s, _ in rows])
    assert all(baselines[name].get(toy, value) == value for name, value in zip(CELLS, figures, strict=True))


def test_rm_bench_matrix_of_the_longer_text(public_data: Public) -> None:
    matrices = [scores["acc"].details["matrix"] for _, scores in _styles(public_data, "chat", "longer")]
    mean = [[round(fmean(m[i][j] for m in matrices), 4) for j in range(3)] for i in range(3)]
    assert mean == [[0.4186, 0, 0], [0.9922, 0.2481, 0.0775], [0.9922, 0.4496, 0.1860]]


# --- RewardBench -----------------------------------------------------------------------------------------------------


def test_reward_bench_sections_of_a_stored_example(public_data: Public) -> None:
    stored = json.loads(public_data("reward_bench/sections.json").read_text(encoding="utf-8"))
    task = module("reward_bench")
    table = {section: list(subsets) for section, subsets in task.COUNTS.items()}
    assert table == stored["sections"]
    assert {s: n for subsets in task.COUNTS.values() for s, n in subsets.items()} == stored["example_counts"]
    assert stored["true_math_prm_count"] == task.TRUE_MATH
    true = stored["example_counts"] | {"math-prm": task.TRUE_MATH}
    rows: Rows = []
    for subset, accuracy in [*stored["example_metrics"].items(), *((name, 0.5) for name in task.PRIOR)]:
        n = true.get(subset, 2)
        assert accuracy * n == pytest.approx(round(accuracy * n), abs=1e-9)
        for i in range(n):
            sample = Sample(f"{subset}-{i}", (user("?"),), [1, 0], {"answers": ["aa", "b"], "subset": subset})
            right = i < round(accuracy * n)
            where = setup("reward_bench", "", "reward")
            rows.append((sample, task.score(sample, rewarded(float(right), float(not right)), where)))
    found = task.metrics(rows, setup("reward_bench", "", "reward"))
    expected = {
        "section_chat": 0.6089385475,
        "section_chat_hard": 0.4495614035,
        "section_safety": 0.7216216216,
        "section_reasoning": 0.4667566978,
        "section_reasoning_true_counts": 0.5310971349,
        "mean_of_sections": 0.5617195676,
        "overall_with_prior": 0.5548618379,
    }
    assert {name: metric(found, name) for name in expected} == pytest.approx(expected, abs=1e-9)
    masked = task.metrics([row for row in rows if row[0].metadata["subset"] not in task.PRIOR], where)
    assert metric(masked, "overall_with_prior") == pytest.approx(expected["mean_of_sections"], abs=1e-9)


def test_reward_bench_2_ties(tmp_path: Path) -> None:
    ref = [[3, 1, 0.5], [2, 2.5, 0], [4, 1]]
    tied = [([3, 2.5, 1, 0], 2), ([2, 1.5, 1.8], 2), ([5, 4, 4.5, 1, 0.5], 3)]
    fixture = [(f"ref:{i}", values, 1) for i, values in enumerate(ref)]
    fixture += [(f"tied:{i}", values, right) for i, (values, right) in enumerate(tied)]
    worth, file = {}, tmp_path / "test.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for name, values, right in fixture:
            texts = [f"{name} {i}" for i in range(len(values))]
            worth.update(zip(texts, map(float, values), strict=True))
            row = {"id": name, "subset": "Ties", "prompt": "?", "chosen": texts[:right], "rejected": texts[right:]}
            out.write(json.dumps(row) + "\n")
    task, where = module("reward_bench_2"), setup("reward_bench_2", file, "reward")
    rows: Rows = [
        (s, task.score(s, rewarded(*(worth[text] for text in s.metadata["answers"])), where)) for s in task.load(where)
    ]
    found = task.metrics(rows, where)
    assert metric(found, "ties_margin") == pytest.approx(0.321342527, abs=1e-9)
    assert metric(found, "ties_score") == pytest.approx(0.669880092, abs=1e-9)


# --- preferences -----------------------------------------------------------------------------------------------------


def _pairs(public_data: Public, subset: str, file: str) -> list[Sample]:
    samples: list[Sample] = list(
        module("preference_pairs").load(setup("preference_pairs", public_data(f"preferences/{file}"), "reward", subset))
    )
    return samples


def longer_first(samples: Sequence[Sample]) -> int:
    return sum(len(s.metadata["answers"][0]) > len(s.metadata["answers"][1]) for s in samples)


def test_hh_harmless(public_data: Public) -> None:
    samples = _pairs(public_data, "hh_harmless", "hh_rlhf/harmless_base_test_first1000.jsonl.gz")
    assert len(samples) == 1000  # the loader refuses a row whose sides do not share their dialogue
    assert all(s.metadata["answers"][0] != s.metadata["answers"][1] for s in samples)
    assert all(s.messages[-1]["role"] == "user" for s in samples)
    assert longer_first(samples) == 444
    found = module("preference_pairs").baselines(samples)
    assert found["acc_strict"]["longer"] == pytest.approx(0.444)


def test_ultrafeedback_binarized(public_data: Public) -> None:
    files = ("train_first600", "eval200")
    samples = [s for f in files for s in _pairs(public_data, "ultrafeedback", f"ultrafeedback_binarized/{f}.jsonl.gz")]
    assert len(samples) == 800
    assert sum(better(s) == 0.5 for s in samples) == 88
    assert longer_first(samples) == 428


def test_qa_feedback(public_data: Public) -> None:
    samples = _pairs(public_data, "qa_feedback", "qa_feedback/dev_feedback500.jsonl.gz")
    assert Counter(better(s) for s in samples) == {1.0: 1577, 0.0: 1039, 0.5: 384}
    errors = Counter(kind for s in samples for kind in s.metadata["errors"])
    named = {"Irrelevant": 909, "Wrong-Grounding": 163, "Unverifiable": 152, "Redundant": 133, "Incoherent": 16}
    assert errors == named
    assert errors.total() == 1373
    for start in range(0, len(samples), 6):  # the order of the six pairs: no three of them make a circle
        label = dict(zip(combinations(range(4), 2), map(better, samples[start : start + 6]), strict=True))
        for i, j, k in combinations(range(4), 3):
            circle = (label[i, j], label[j, k], 1 - label[i, k])
            assert circle not in ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def test_hh_judged_by_chatgpt(public_data: Public) -> None:
    task, file = module("preference_pairs"), "preferences/hh_rlhf/chatgpt_judged_100.jsonl.gz"
    where = setup("preference_pairs", public_data(file), "judge", "hh_judged")
    samples = list(task.load(where))
    assert Counter(better(s) for s in samples) == {1.0: 55, 0.0: 45}
    said = [{"Answer1": "A", "Answer2": "B"}[row["chatgpt_choice"]] for row in lines(public_data(file))]
    rows: Rows = [(s, task.score(s, replied(a, "AB"[a == "A"]), where)) for s, a in zip(samples, said, strict=True)]
    assert total(rows, "acc") == total(rows, "acc_ab") == (68, 100)
    assert Counter(said) == {"A": 45, "B": 55}


def test_auto_j(public_data: Public) -> None:
    task, file = module("auto_j_pairs"), "preferences/auto_j/autoj13b_verdicts.jsonl.gz"
    where = setup("auto_j_pairs", public_data("preferences/auto_j/testdata_pairwise.jsonl.gz"), "judge")
    samples = list(task.load(where))
    assert Counter(better(s) for s in samples) == {1.0: 520, 0.0: 499, 0.5: 373}
    assert set(Counter(s.metadata["scenario"] for s in samples).values()) == {24}
    preference = {0: 1.0, 1: 0.0, 2: 0.5}
    rows: Rows = []
    for sample, row in zip(samples, lines(public_data(file)), strict=True):
        verdicts = preference[row["output"]], 1 - preference[row["output_swapped_order"]]
        if decided_unasked(sample):
            rows.append((sample, task.scored(_compared(*verdicts), sample)))
            continue
        replies = ["ABC"[row["output"]], "ABC"[row["output_swapped_order"]]]
        rows.append((sample, task.score(sample, replied(*replies), where)))
    assert 100 * share(rows, "agreement") == pytest.approx(54.957, abs=5e-4)
    assert 100 * share(rows, "consistency") == pytest.approx(83.405, abs=5e-4)
    assert 100 * share(rows, "agreement_ab") == pytest.approx(59.99, abs=5e-3)
    assert task.baselines(samples)["agreement"]["always tie"] == 373 / 1392


def test_hhh_alignment(public_data: Public) -> None:
    task, data = module("hhh_alignment"), public_data("preferences/hhh_alignment/hhh_221.jsonl.gz")
    sizes = {s: len(list(task.load(setup("hhh_alignment", data, "reward", s)))) for s in task.TASK["subsets"]}
    assert sizes == {"harmless": 58, "helpful": 59, "honest": 61, "other": 43}


def test_qlora_judgements_favour_the_first_place(public_data: Public) -> None:
    """Both orders of each pair of systems, as one pair: the texts are not stored, so no task can ask about them."""
    rows = list(lines(public_data("preferences/qlora_vicuna_gpt4/verdicts.jsonl.gz")))
    assert Counter(row["score"] for row in rows) == {1: 2512, 2: 1355, 3: 600, -1: 13}
    first = {1: 1.0, 2: 0.0, 3: 0.5, -1: None}
    told = {(row["question_id"], row["model_1"], row["model_2"]): first[row["score"]] for row in rows}
    scored: Rows = []
    for (question, x, y), ab in told.items():
        if x < y:
            ba = told[question, y, x]
            sample = Sample(f"{question} {x} {y}", (user("?"),), [1, 1], {"answers": ["a", "b"]})
            scored.append((sample, pair_scores(_compared(ab, None if ba is None else 1 - ba), sample)))
    assert len(scored) == 28 * 80
    assert total(scored, "first_named") == (2512 + 600 / 2, 2512 + 1355 + 600)


def test_binary_feedback(public_data: Public) -> None:
    task = module("binary_feedback")
    for subset, file, counts in (
        ("reactions", "llamafactory_demo/kto_en_demo.jsonl.gz", {1: 150, 0: 150}),
        ("safe", "beavertails/beavertails_demo51.jsonl.gz", {1: 22, 0: 29}),
    ):
        where = setup("binary_feedback", public_data(f"preferences/{file}"), "reward", subset)
        samples = list(task.load(where))
        assert Counter(s.target[0] for s in samples) == counts
        rows: Rows = [(s, task.score(s, rewarded(float(len(s.metadata["answers"][0]))), where)) for s in samples]
        assert metric(task.metrics(rows, where), "auc") == task.baselines(samples)["auc"]["longer"]
