"""LLMBar, PandaLM and JudgeBench: what their recorded judges get right, through the importers and the audit."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from golden import recorded_judges as published

from evalsuite.judging import Annotation
from evalsuite.judging.audit.agreement import agreement, each_verdict, kappa, majority, with_people
from evalsuite.judging.audit.audit import sure
from evalsuite.judging.audit.behaviour import first_share, flips, length_liking
from evalsuite.judging.audit.items import match
from evalsuite.judging.importing import read_any
from evalsuite.judging.importing.labelled import read_bar_verdict
from evalsuite.judging.importing.shapes import Origin
from evalsuite.judging.ranking.judges import steadiness
from evalsuite.judging.ranking.ranking import Choices, rank
from evalsuite.judging.ranking.table import columns
from evalsuite.statistics import cohen_kappa, f1, raw_agreement

Public = Callable[[str], Path]
Verdicts = dict[tuple[str, str], list[Annotation]]


@pytest.fixture(scope="module")
def bar(public_data: Public) -> Verdicts:
    """The curators' strings as LLMBar's own rows, read by its importer."""
    found: Verdicts = {}
    with gzip.open(public_data("llmbar/verdicts.jsonl.gz"), "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            rows = found.setdefault((row["evaluator"], published.CATEGORIES[row["subset"]]), [])
            for idx, both in enumerate(zip(row["w0"], row["w1"], strict=True)):
                games = {f"swap = {s}": {"winner": w} for s, w in zip((False, True), both, strict=True)}
                rows += read_bar_verdict({**row, "idx": idx, **games}, Origin(""))
    return found


@pytest.fixture(scope="module")
def labels(public_data: Public) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {}
    for row in read_any(public_data("llmbar/pairs.jsonl.gz")):
        found.setdefault(published.CATEGORIES[row.category], []).append(row)
    return found


def right(rows: list[Annotation], gold: list[Annotation], order: str) -> int:
    hits = agreement(each_verdict(match([r for r in rows if r.order == order], gold))).with_ties.hits
    return int(hits or 0)


def pooled(evaluator: str, bar: Verdicts, labels: dict[str, list[Annotation]]) -> float:
    hits = sum(right(bar[evaluator, s], labels[s], order) for s in published.SUBSETS for order in ("ab", "ba"))
    return 100 * hits / (2 * sum(published.SUBSETS.values()))


@pytest.mark.parametrize("evaluator", published.CORRECT)
def test_llmbar_accuracies(evaluator: str, bar: Verdicts, labels: dict[str, list[Annotation]]) -> None:
    *expected, share = published.CORRECT[evaluator]
    for subset, counts in zip(published.SUBSETS, expected, strict=True):
        assert len(labels[subset]) == published.SUBSETS[subset]
        assert tuple(right(bar[evaluator, subset], labels[subset], o) for o in ("ab", "ba")) == counts, subset
    assert pooled(evaluator, bar, labels) == pytest.approx(share, abs=5e-5)


def test_llmbar_further_accuracies(bar: Verdicts, labels: dict[str, list[Annotation]]) -> None:
    for evaluator, share in published.POOLED.items():
        assert pooled(evaluator, bar, labels) == pytest.approx(share, abs=5e-5), evaluator
    assert flips(match(bar["GPT-4/Swap_CoT", "natural"], labels["natural"])).hits == 0
    adversarial = list(published.SUBSETS)[1:]
    for evaluator, mean in published.ADVERSARIAL.items():
        shares = [
            sum(right(bar[evaluator, s], labels[s], o) for o in ("ab", "ba")) / (2 * published.SUBSETS[s])
            for s in adversarial
        ]
        assert 100 * sum(shares) / len(shares) == pytest.approx(mean, abs=5e-5)
    both = [
        agreement(with_people(match(bar["GPT-4/Vanilla", s], labels[s]), "both")).with_ties.hits
        for s in published.SUBSETS
    ]
    assert both == published.BOTH_ORDERS


@pytest.mark.parametrize(("subset", "value"), published.KAPPAS.items())
def test_llmbar_kappas(subset: str, value: float, bar: Verdicts, labels: dict[str, list[Annotation]]) -> None:
    rows = [r for r in bar["GPT-4/Vanilla_NoRules", subset] if r.order == "ab"]
    assert kappa(each_verdict(match(rows, labels[subset]))).value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("subset", "evaluator"), published.PEOPLE)
def test_llmbar_sets_with_people(
    subset: str, evaluator: str, bar: Verdicts, labels: dict[str, list[Annotation]]
) -> None:
    accuracy, flipped, first, steady, agreed = published.PEOPLE[subset, evaluator]
    rows, gold = bar[evaluator, subset], labels[subset]
    items = match(rows, gold)
    hits = sum(right(rows, gold, order) for order in ("ab", "ba"))
    assert hits / len(rows) == pytest.approx(accuracy, abs=5e-5)
    found = flips(items)
    assert (found.hits, found.total) == flipped
    shown = first_share(items)
    assert (shown.hits, shown.total) == first
    assert sure(items).value == pytest.approx(steady, abs=1e-6)
    order = [r for r in rows if r.order == "ab"]
    assert kappa(each_verdict(match(order, gold))).value == pytest.approx(agreed, abs=1e-6)


def test_llmbar_length(bar: Verdicts, labels: dict[str, list[Annotation]]) -> None:
    for evaluator, hits in published.LONGER.items():
        liking = length_liking(match(bar[evaluator, "mt_bench"], labels["mt_bench"]), threshold=0)
        assert (liking.judge.hits, liking.judge.total) == (hits, 390)
    for (subset, (hits, total)), share in zip(published.LONGER_LABELS.items(), (0.697, 0.591, 0.614), strict=True):
        items = match(bar["GPT-4/Vanilla_NoRules", subset], labels[subset])
        people = length_liking(items, threshold=0).people
        assert (people.hits, people.total) == (hits, total)
        assert people.value == pytest.approx(share, abs=5e-4)  # what "the longer answer" scores as a judge


@pytest.fixture(scope="module")
def panda(public_data: Public) -> tuple[list[Annotation], list[Annotation]]:
    return (
        read_any(public_data("pandalm/testset.jsonl.gz")),
        read_any(public_data("pandalm/judge_gpt35turbo.jsonl.gz")),
    )


def test_pandalm_people(panda: tuple[list[Annotation], list[Annotation]]) -> None:
    people, judge = panda
    items = match(judge, people)
    assert len(items) == 999
    assert Counter(majority(i.people) for i in items) == {1: 422, -1: 472, 0: 105}
    votes = {name: [v.preference for v in people if v.judge_model == name] for name in ANNOTATORS}
    pairs = [
        (votes[a], votes[b]) for a, b in ((1, 2), (1, 3), (2, 3)) for a, b in [(ANNOTATORS[a - 1], ANNOTATORS[b - 1])]
    ]
    assert sorted(cohen_kappa(a, b).value or 0 for a, b in pairs) == pytest.approx(
        [0.852023, 0.861661, 0.878944], abs=1e-6
    )
    assert sorted(raw_agreement(a, b).value or 0 for a, b in pairs) == pytest.approx(
        [0.912913, 0.917918, 0.928929], abs=1e-6
    )
    alone = {}
    for name in ANNOTATORS:
        others = [votes[o] for o in ANNOTATORS if o != name]
        same = [(m, x) for m, x, y in zip(votes[name], *others, strict=True) if x == y]
        found = raw_agreement(*zip(*same, strict=True))
        alone[round(found.value or 0, 6)] = found.n
    assert alone == {0.958561: 917, 0.947198: 928, 0.963816: 912}


ANNOTATORS = ("annotator1", "annotator2", "annotator3")
TIE, NONE = 0, "garbage"


def test_pandalm_judge(panda: tuple[list[Annotation], list[Annotation]]) -> None:
    people, judge = panda
    assert Counter(r.details["result"] for r in judge) == {"1": 460, "2": 476, "Tie": 38, "garbage": 25}
    items = match(judge, people)
    truth = [majority(i.people) for i in items]
    said = [i.judge[0].label if i.judge[0].label is not None else NONE for i in items]
    tied = [TIE if s == NONE else s for s in said]
    classes = [1, -1, TIE]
    assert raw_agreement(truth, said).value == pytest.approx(0.697698, abs=1e-6)
    assert f1(truth, said, labels=classes) == pytest.approx(0.527419, abs=1e-6)
    assert f1(truth, said, "weighted", classes) == pytest.approx(0.684204, abs=1e-6)
    assert cohen_kappa(truth, said, labels=[*classes, NONE]).value == pytest.approx(0.475508, abs=1e-6)
    assert raw_agreement(truth, tied).value == pytest.approx(0.710711, abs=1e-6)
    assert f1(truth, tied, labels=classes) == pytest.approx(0.575538, abs=1e-6)
    assert cohen_kappa(truth, tied).value == pytest.approx(0.495784, abs=1e-6)
    for name, value in zip(ANNOTATORS, (0.691692, 0.683684, 0.690691), strict=True):
        theirs = match(judge, [r for r in people if r.judge_model == name])
        agreed = agreement(with_people(theirs)).with_ties
        assert (agreed.hits or 0) / 999 == pytest.approx(value, abs=1e-6)


def test_pandalm_ranks_models_by_people_and_by_the_judge(panda: tuple[list[Annotation], list[Annotation]]) -> None:
    people, judge = panda
    mine = rank(people, Choices("bradley-terry")).standings
    theirs = rank([*people, *judge], Choices("bradley-terry", judge="pandalm", missing="tie")).standings
    assert {s.model for s in mine} == {s.model for s in theirs}
    assert len(mine) == 5
    assert sum(s.verdicts for s in theirs) == 2 * 999


RECORDED = {
    "arena_hard__o1-mini-2024-09-12": published.O1_MINI,
    **{f"reward_model__{m}": v for m, v in published.REWARD_MODELS.items()},
}
PREFIXES = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "code",
}


@pytest.fixture(scope="module")
def bench_labels(public_data: Public) -> list[Annotation]:
    return read_any(public_data("judge_bench/pairs_gpt-4o.jsonl.gz"))


@pytest.mark.parametrize("judge", RECORDED)
def test_judge_bench(judge: str, public_data: Public, bench_labels: list[Annotation]) -> None:
    rows = read_any(public_data(f"judge_bench/judge_{judge}.jsonl.gz"))
    correct, groups = RECORDED[judge]
    found = agreement(with_people(match(rows, bench_labels))).with_ties
    assert (found.hits, found.total) == (correct, 350)
    for (prefix, group), hits in zip(PREFIXES.items(), groups, strict=True):
        gold = [r for r in bench_labels if r.category.startswith(prefix)]
        assert len(gold) == published.GROUPS[group]
        assert agreement(with_people(match(rows, gold))).with_ties.hits == hits


def test_judge_bench_orders(public_data: Public, bench_labels: list[Annotation]) -> None:
    rows = read_any(public_data("judge_bench/judge_arena_hard__o1-mini-2024-09-12.jsonl.gz"))
    assert right(rows, bench_labels, "ab") / 350 == pytest.approx(0.708571, abs=1e-6)
    assert {r.status for r in rows} == {"parsed"}
    assert sum(r.preference == 0.5 for r in rows) == 44
    noise = steadiness(columns(rows))
    assert (round((noise.flips or 0) * noise.swapped), noise.swapped) == (110, 350)
    rows = read_any(public_data("judge_bench/judge_reward_model__Skywork_Skywork-Reward-Llama-3.1-8B.jsonl.gz"))
    noise = steadiness(columns(rows))
    assert round((noise.flips or 0) * noise.swapped) == 1
