"""Published figures that the audit must reproduce from the public data, files as they come."""

import math

import pytest

from evalsuite.judging.audit.agreement import (
    Comparison,
    agreement,
    ceiling,
    each_verdict,
    kappa,
    majority,
    with_majority,
    with_people,
)
from evalsuite.judging.audit.audit import audit, sure
from evalsuite.judging.audit.behaviour import first_share, flips, length_liking
from evalsuite.judging.audit.items import match
from evalsuite.judging.contract import Annotation
from evalsuite.judging.importing import read_any
from evalsuite.statistics import cohen_kappa, f1, spearman


def counts(found):
    return found.with_ties.hits, found.with_ties.total, found.without_ties.hits, found.without_ties.total


@pytest.fixture(scope="module")
def mt_bench(public_data):
    people = read_any(public_data("mt_bench/human_votes_turn1.jsonl.gz"))
    return audit(read_any(public_data("mt_bench/gpt4_pair_turn1.jsonl.gz")), people)


def test_mt_bench_agreement_is_the_papers(mt_bench):
    """Zheng et al. 2023, table 5: 66% and 85% with experts, 63% and 81% among experts."""
    assert {name: counts(found) for name, found in mt_bench.groups.items() if name != "author - author"} == {
        "judge - expert": (886, 1343, 727, 859),
        "judge - author": (1125 - 886, 346, 911 - 727, 1060 - 859),
        "expert - expert": (454, 721, 388, 479),
        "author - expert": (280, 428, 218, 262),
    }


def test_mt_bench_majority_kappa_and_flips(mt_bench):
    assert mt_bench.majority.with_ties.total == 910
    assert mt_bench.majority.with_ties.value == pytest.approx(0.678022, abs=1e-6)
    assert mt_bench.judge.kappa.value == pytest.approx(0.515760, abs=1e-6)
    assert mt_bench.majority.without_ties.total == 530
    assert mt_bench.majority.without_ties.value == pytest.approx(0.890566, abs=1e-6)
    assert mt_bench.kappa_decided.value == pytest.approx(0.780992, abs=1e-6)
    assert (mt_bench.judge.flips.hits, mt_bench.judge.flips.total) == (188, 1200)


def test_mt_bench_win_rates_and_the_judges_own(mt_bench):
    people, judge = mt_bench.win_rates["people"], mt_bench.win_rates["judge"]
    assert list(people) == ["alpaca-13b", "claude-v1", "gpt-3.5-turbo", "gpt-4", "llama-13b", "vicuna-13b-v1.2"]
    assert list(people.values()) == pytest.approx(
        [0.284736, 0.624750, 0.627517, 0.736031, 0.168199, 0.518817], abs=1e-6
    )
    assert list(judge.values()) == pytest.approx([0.2425, 0.68625, 0.6025, 0.8325, 0.13875, 0.4975], abs=1e-9)
    assert spearman(list(judge.values()), list(people.values())).value == pytest.approx(0.942857, abs=1e-6)
    assert judge["gpt-4"] - people["gpt-4"] == pytest.approx(0.0965, abs=5e-5)
    own = next(r for r in mt_bench.relatives if r.kin == "itself")
    assert own.model == "gpt-4"
    assert own.gap.low > 0  # on the same pairs too


LLMBAR = {  # set, evaluator: (n, accuracy, flips, first, accuracy where the orders agree, kappa)
    ("MT-Bench", "GPT-4/Vanilla_NoRules"): (200, 0.8100, (26, 200), (204, 400), 0.856322, 0.589918),
    ("MT-Bench", "ChatGPT/Vanilla_NoRules"): (200, 0.7125, (85, 200), (281, 400), 0.869565, 0.397409),
    ("MT-Bench", "ChatGPT/Metrics_Reference"): (200, 0.7075, (75, 200), (273, 400), 0.832, 0.367597),
    ("MT-Bench", "LLaMA2/Vanilla_NoRules"): (200, 0.7200, (66, 200), (246, 400), 0.828358, 0.458864),
    ("FairEval", "GPT-4/Vanilla_NoRules"): (66, 0.7273, (20, 66), (82, 132), 0.826087, 0.513274),
    ("FairEval", "ChatGPT/Vanilla_NoRules"): (66, 0.5758, (54, 66), (120, 132), 0.916667, 0.160694),
    ("FairEval", "LLaMA2/Vanilla_NoRules"): (66, 0.5606, (44, 66), (110, 132), 0.681818, 0.026107),
    ("LLMEval2", "GPT-4/Vanilla_NoRules"): (200, 0.7550, (24, 194), (184, 389), 0.817647, 0.563297),
    ("LLMEval2", "ChatGPT/Vanilla_NoRules"): (200, 0.7025, (55, 194), (243, 389), 0.812950, 0.451691),
    ("LLMEval2", "LLaMA2/Metrics_Reference"): (200, 0.5975, (118, 198), (88, 397), 0.75, 0.148179),
}


@pytest.fixture(scope="module")
def llmbar(public_data):
    """People's labels by subset, and verdict rows of an evaluator on a subset."""
    from evalsuite.data import read_rows

    labels = read_any(public_data("llmbar/pairs.jsonl.gz"))
    stored = {(r["subset"], r["evaluator"]): r for r in read_rows(public_data("llmbar/verdicts.jsonl.gz"))}

    def verdicts(subset, evaluator):  # the curators' compact form
        row, names = stored[subset, evaluator], (labels[0].model_a, labels[0].model_b)
        for key, order in (("w0", "ab"), ("w1", "ba")):
            for i, letter in enumerate(row[key]):
                said = {"1": 1.0, "2": 0.0}.get(letter)
                status = "judge_parse" if said is None else "parsed"
                yield Annotation(f"{subset}/{i}", "", *names, "llmbar", evaluator, "pairwise", order, said, status)

    def items(subset, evaluator):
        people = [r for r in labels if r.category == subset]
        return match(list(verdicts(subset, evaluator)), people)

    return items


@pytest.mark.parametrize(("subset", "evaluator"), LLMBAR)
def test_llmbar_people(llmbar, subset, evaluator):
    n, accuracy, flipped, first, steady, chance = LLMBAR[subset, evaluator]
    items = llmbar(subset, evaluator)
    assert len(items) == n
    right = sum(c.a == c.b for c in each_verdict(items))
    assert right / (2 * n) == pytest.approx(accuracy, abs=5e-5)  # an unread reply is wrong there
    assert (flips(items).hits, flips(items).total) == flipped
    assert (first_share(items).hits, first_share(items).total) == first
    assert sure(items).value == pytest.approx(steady, abs=1e-6)
    one = [Comparison(v.label, i.people[0].label, i.cluster) for i in items for v in i.judge[:1] if v.label is not None]
    assert kappa(one).value == pytest.approx(chance, abs=1e-6)
    assert kappa(one).value == pytest.approx(cohen_kappa([c.a for c in one], [c.b for c in one]).value)


def test_llmbar_length(llmbar):
    """Verdicts for the longer answer where lengths differ at all, and that answer as a judge."""
    for evaluator, longer in (("GPT-4/Vanilla_NoRules", 278), ("ChatGPT/Vanilla_NoRules", 261)):
        found = length_liking(llmbar("MT-Bench", evaluator), threshold=0)
        assert (found.judge.hits, found.judge.total, found.people.hits, found.people.total) == (longer, 390, 136, 195)


@pytest.mark.parametrize(("subset", "bar"), [("MT-Bench", 0.697), ("FairEval", 0.591), ("LLMEval2", 0.614)])
def test_the_longer_answer_is_the_bar(llmbar, subset, bar):
    from evalsuite.judging.audit.behaviour import longest

    told = agreement(with_people(longest(llmbar(subset, "GPT-4/Vanilla_NoRules"))))
    assert told.without_ties.value == pytest.approx(bar, abs=5e-4)


COUNTS = {  # correct by subset, order 0 + order 1, and pooled per cent
    "GPT-4/Vanilla": ((95, 96), (104, 107), (78, 81), (35, 38), (35, 39), 84.4869),
    "GPT-4/CoT": ((94, 95), (101, 100), (75, 78), (37, 33), (33, 35), 81.2649),
    "GPT-4/Metrics_Reference": ((95, 97), (115, 114), (80, 85), (34, 34), (37, 40), 87.2315),
    "ChatGPT/Vanilla": ((80, 83), (30, 22), (25, 24), (17, 22), (18, 14), 39.9761),
    "LLaMA2/Vanilla": ((79, 82), (34, 32), (28, 28), (27, 26), (17, 17), 44.1527),
}


@pytest.mark.parametrize("evaluator", COUNTS)
def test_llmbar_counts(llmbar, evaluator):
    *wanted, pooled = COUNTS[evaluator]
    found = []
    for subset in ("Natural", "Adv_Neighbor", "Adv_GPTInst", "Adv_GPTOut", "Adv_Manual"):
        items = llmbar(subset, evaluator)
        told = [(v.row.order, v.label == i.people[0].label) for i in items for v in i.judge]
        found.append(tuple(sum(right for order, right in told if order == o) for o in ("ab", "ba")))
    assert found == wanted
    assert 100 * sum(map(sum, found)) / (2 * 419) == pytest.approx(pooled, abs=5e-5)


@pytest.fixture(scope="module")
def pandalm(public_data):
    people = read_any(public_data("pandalm/testset.jsonl.gz"))
    return match(read_any(public_data("pandalm/judge_gpt35turbo.jsonl.gz")), people)


def test_pandalm_people(pandalm):
    votes = [majority(i.people) for i in pandalm]
    # Sides of the file: model names turn some of them.
    first = [v if not i.people[0].turned else -v for v, i in zip(votes, pandalm, strict=True)]
    assert [first.count(x) for x in (1, -1, 0)] == [422, 472, 105]
    labels = {name: [next(v.label for v in i.people if v.voter == name) for i in pandalm] for name in
              ("annotator1", "annotator2", "annotator3")}  # fmt: skip
    pairs = [("annotator1", "annotator2"), ("annotator1", "annotator3"), ("annotator2", "annotator3")]
    found = [kappa([Comparison(a, b, str(k)) for k, (a, b) in enumerate(zip(labels[x], labels[y], strict=True))]).value
             for x, y in pairs]  # fmt: skip
    assert sorted(found) == pytest.approx([0.852023, 0.861661, 0.878944], abs=1e-6)


def test_pandalm_judge(pandalm):
    """Garbage (25 replies) as a class of its own, as a tie, and left out (the audit's way)."""
    truth = [majority(i.people) for i in pandalm]
    said = [i.judge[0].label for i in pandalm]
    assert said.count(None) == 25
    rows = [(t, s, i) for t, s, i in zip(truth, said, pandalm, strict=True)]
    for missing, accuracy, macro, chance in ((9, 0.697698, 0.527419, 0.475508), (0, 0.710711, 0.575538, 0.495784)):
        read = [(t, missing if s is None else s, i.cluster) for t, s, i in rows]
        assert sum(t == s for t, s, _ in read) / 999 == pytest.approx(accuracy, abs=1e-6)
        turned = [(t, s) for t, s, _ in read]
        assert kappa([Comparison(s, t, c) for t, s, c in read]).value == pytest.approx(chance, abs=1e-6)
        sides = [(-t, -s if s != 9 else 9) if i.people[0].turned else (t, s) for (t, s), (_, _, i) in
                 zip(turned, rows, strict=True)]  # fmt: skip
        score = f1([t for t, _ in sides], [s for _, s in sides], "macro", [1, -1, 0])
        assert score == pytest.approx(macro, abs=1e-6)
    told = with_majority(pandalm)
    assert len(told) == 974


def test_pandalm_ceiling(pandalm):
    """One person against the other two where they agree: .958561 (917), .947198 (928), .963816 (912)."""
    right, n = 0, 0
    for name in ("annotator1", "annotator2", "annotator3"):
        for item in pandalm:
            mine = next(v.label for v in item.people if v.voter == name)
            rest = [v.label for v in item.people if v.voter != name]
            if rest[0] == rest[1]:
                right, n = right + (mine == rest[0]), n + 1
    assert n == 917 + 928 + 912
    assert right == round(0.958561 * 917) + round(0.947198 * 928) + round(0.963816 * 912)
    found = ceiling(pandalm)
    assert found.person.total == 3 * 999
    split = 3 * 999 - n  # the others differ: half credit where one of them is met
    assert right <= found.person.hits <= right + split / 2
    assert not math.isnan(found.gap.value)
    assert found.gap.high < 0


def test_null_model_is_not_accepted(public_data):
    """AlpacaEval's judge gives a constant answer 76.9%: an audit that calls this safe is broken."""
    from evalsuite.judging.audit.words import words

    card = audit(read_any(public_data("alpaca_eval/annotations_compact/NullModel.jsonl.gz")), [])
    assert card.constants["NullModel"].value == pytest.approx(0.76919792, abs=1e-6)
    told = words(card)
    assert any("NullModel" in sentence for sentence in told.distrust)
    assert (told.grade, told.standing) == ("bad", "Do not trust it: a constant answer wins against real ones.")
