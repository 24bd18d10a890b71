"""Our own items: properties of the files, and what each task's score makes of them."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evalsuite.data import Setup
from evalsuite.records import Completion, Completions, Sample
from evalsuite.registry import load_module
from evalsuite.scoring.abstention import abstains, refuses
from evalsuite.scoring.ifeval import KINDS, follows
from evalsuite.scoring.matching import matches, normalise

TASKS = Path(__file__).resolve().parents[2] / "tasks"
FIELDS = {
    "hallucination/nonexistent": ("id", "kind", "real", "question"),
    "factuality/plain_facts": ("id", "topic", "question", "answers", "wrong"),
    "instruction_following/checkable": ("id", "prompt", "instruction_id_list", "kwargs", "gold", "near_miss"),
    "diversity/open_prompts": ("id", "kind", "prompt"),
    "reward_models/plain_pairs": ("id", "category", "chosen_is", "prompt", "chosen", "rejected"),
}
OWN = sorted(FIELDS)


def rows(task: str) -> list[dict[str, Any]]:
    return Setup(task, TASKS / task).own()


def asked(row: dict[str, Any]) -> str:
    return str(row.get("question") or row["prompt"])


def module(task: str) -> ModuleType:
    return load_module(TASKS / task / "task.py", "task")


def setup(task: str, **more: Any) -> Setup:
    return Setup(task.split("/")[1], TASKS / task, **more)


def answered(text: str) -> Completions:
    return Completions({"answer": [Completion(text=text)]})


@pytest.mark.parametrize("task", OWN)
def test_files(task: str) -> None:
    items = rows(task)
    assert 40 <= len(items) <= 60
    assert len({item["id"] for item in items}) == len(items)
    assert all(name in item for item in items for name in FIELDS[task])
    texts = [asked(item) for item in items]
    assert len({normalise(text) for text in texts}) == len(texts)
    assert all(15 <= len(text) <= 300 and text == text.strip() for text in texts)


@pytest.mark.parametrize("task", OWN)
def test_no_two_items_are_nearly_the_same(task: str) -> None:
    common = {
        "what",
        "which",
        "the",
        "a",
        "an",
        "of",
        "in",
        "is",
        "to",
        "and",
        "with",
        "that",
        "write",
        "how",
        "it",
        "i",
    }
    seen: list[tuple[set[str], str]] = []
    for item in rows(task):
        content = set(normalise(asked(item)).split()) - common
        for other, text in seen:
            assert len(content & other) / len(content | other) < 0.7, f"{asked(item)} | {text}"
        seen.append((content, asked(item)))


@pytest.mark.parametrize("task", OWN)
def test_one_object_a_line_and_plain_text(task: str) -> None:
    lines = (TASKS / task / "sample.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.dumps(json.loads(line), ensure_ascii=False) == line for line in lines)
    assert not re.search(r"[\u2018\u2019\u201c\u201d\u00a0\u200b]", "".join(lines)), "curly quotes or odd blanks"


@pytest.mark.parametrize("task", OWN)
def test_samples_load_without_data(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALSUITE_DATA", raising=False)
    samples = list(module(task).load(setup(task)))
    assert len(samples) == len(rows(task))
    assert [s.id for s in samples] == [s.id for s in module(task).load(setup(task))]
    assert all(s.messages[-1]["role"] == "user" for s in samples)


@pytest.mark.parametrize("task", OWN)
def test_a_card_says_everything(task: str) -> None:
    card = (TASKS / task / "README.md").read_text(encoding="utf-8")
    for part in ("What it measures", "Source and licence", "Protocol", "Published numbers", "Known flaws", "Baselines"):
        assert f"**{part}.**" in card


def test_cards_state_the_counts() -> None:
    for task in OWN:
        assert str(len(rows(task))) in (TASKS / task / "README.md").read_text(encoding="utf-8"), task


def test_importing_the_tasks_is_light() -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from evalsuite.registry import load_module\n"
        f"[load_module(Path({str(TASKS)!r}) / t / 'task.py', 'task') for t in {OWN!r}]\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'nltk', 'langdetect', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nonexistent_is_mixed() -> None:
    items = rows("hallucination/nonexistent")
    real = [item for item in items if item["real"]]
    assert 10 <= len(real) <= 15
    assert {item["kind"] for item in items} == {item["kind"] for item in real}, "a real look-alike of every kind"
    assert all(item["answers"] for item in real)
    assert all(item["thing"] and item["fabrication"] for item in items if not item["real"])
    # Real ones stand among the others, so that a --limit sees both.
    assert sum(item["real"] for item in items[:16]) == 4


def test_nonexistent_reads_fabrications_as_such() -> None:
    for item in rows("hallucination/nonexistent"):
        if item["real"]:
            assert not matches(item["question"], item["answers"]), "the answer is in the question"
            continue
        told = item["fabrication"]
        for reply in (told, f"I believe {told}", f"I'm not sure. {told}", f"I don't know, but {told}"):
            assert not abstains(reply), reply
            assert not refuses(reply), reply
        for reply in ("I am not aware of {}.", "There is no record of {}.", "{} does not exist."):
            assert abstains(reply.format(item["thing"])), reply.format(item["thing"])


def test_nonexistent_scores_apply_where_they_hold() -> None:
    task = module("hallucination/nonexistent")
    samples = list(task.load(setup("hallucination/nonexistent")))
    real = next(s for s in samples if s.metadata["real"])
    unreal = next(s for s in samples if not s.metadata["real"])
    assert {name: s.value for name, s in task.score(real, answered("I don't know.")).items()} == {
        "abstained_real": 1,
        "accuracy_real": 0,
    }
    assert {name: s.value for name, s in task.score(unreal, answered("I don't know.")).items()} == {"fabricated": 0}
    assert task.score(unreal, answered("It was Ann Lee."))["fabricated"].value == 1
    assert task.score(unreal, answered(" "))["fabricated"].reason == "empty"


def test_facts_have_answers_that_are_not_given_away() -> None:
    for item in rows("factuality/plain_facts"):
        assert item["answers"]
        assert len({normalise(a) for a in item["answers"]}) == len(item["answers"]), "the same alias twice"
        assert not matches(item["question"], item["answers"]), item
        assert not matches(item["wrong"], item["answers"]), item
        for alias in item["answers"]:
            for form in ("{}", "**{}**.", "The answer is {}.", "I think it is {}!"):
                assert matches(form.format(alias), item["answers"]), form.format(alias)
    topics = Counter(item["topic"] for item in rows("factuality/plain_facts"))
    assert len(topics) >= 15
    assert max(topics.values()) <= 8


def test_facts_count_attempts() -> None:
    task = module("factuality/plain_facts")
    sample = Sample("x", (), target=["Paris"])
    figures = {
        reply: tuple((s.value, s.weight) for s in task.score(sample, answered(reply)).values())
        for reply in ("Paris", "London", "I don't know.")
    }
    assert figures == {
        "Paris": ((1, 1), (1, 1), (1, 1)),
        "London": ((0, 1), (1, 1), (0, 1)),
        "I don't know.": ((0, 1), (0, 1), (0, 0)),
    }


def test_checkable_covers_every_kind_and_near_misses_break_one() -> None:
    found: Counter[str] = Counter()
    for item in rows("instruction_following/checkable"):
        kinds, kwargs = item["instruction_id_list"], item["kwargs"]
        assert 1 <= len(kinds) <= 3
        found.update(kinds)
        assert all(follows(kinds, kwargs, item["prompt"], item["gold"])[0]), item["id"]
        strict, loose = follows(kinds, kwargs, item["prompt"], item["near_miss"])
        assert strict.count(False) == 1, item["id"]
        assert loose.count(False) == 1, item["id"]
        assert max(len(item["gold"].split()), len(item["near_miss"].split())) <= 60
    assert set(found) == set(KINDS)
    assert min(found.values()) >= 2


def test_checkable_baseline_is_measured() -> None:
    task = module("instruction_following/checkable")
    scores = [
        task.score(s, answered("Okay."))["prompt_strict"].value
        for s in task.load(setup("instruction_following/checkable"))
    ]
    assert sum(scores) / len(scores) == pytest.approx(task.TASK["baselines"]["prompt_strict"]["always Okay."], abs=1e-4)


def test_open_prompts_ask_for_four_draws() -> None:
    task, where = module("diversity/open_prompts"), setup("diversity/open_prompts", subset="own", seed=7)
    samples = list(task.load(where))
    requests = task.prompt(samples[0], where)
    assert [(r.key, r.repeat, r.sampling.temperature) for r in requests] == [(f"draw{i}", i, 1.0) for i in range(4)]
    assert task.law(where) == []
    kinds = Counter(item["kind"] for item in rows("diversity/open_prompts"))
    assert max(kinds.values()) <= len(samples) / 4


def test_open_prompts_across_inputs() -> None:
    task, where = module("diversity/open_prompts"), setup("diversity/open_prompts", subset="own")
    samples = list(task.load(where))

    def across(first: str) -> Any:
        table = []
        for number, sample in enumerate(samples):
            text = first.format(" ".join(f"w{number}x{j}" for j in range(50)))
            table.append(
                (
                    sample,
                    task.score(sample, Completions({f"draw{i}": [Completion(text=text)] for i in range(4)}), where),
                )
            )
        assert all(scores["self_bleu"].value == pytest.approx(1) for _, scores in table)
        assert all(scores["words"].value == len(text.split()) for _, scores in table[-1:])
        assert table[0][1]["ead"].details["words_compared"] <= 4 * task.PLAN.length
        metric = next(m for m in task.metrics(table, where) if m.name == "ead_across")
        assert metric.low <= metric.value <= metric.high
        assert metric.n == len(samples)
        return metric.value

    assert across("{}") > 1 > 0.1 > across("always the same words")


def test_open_prompts_on_public_instructions(public_data: Any) -> None:
    path = public_data("alpaca_farm/outputs_baseline.json")
    task = module("diversity/open_prompts")
    samples = list(task.load(setup("diversity/open_prompts", subset="alpaca_farm", data=str(path))))
    assert len({s.id for s in samples}) == len(samples) == 252
    assert all(str(s.messages[0]["content"]).strip() for s in samples)


def test_pairs_are_balanced() -> None:
    items = rows("reward_models/plain_pairs")
    cells = Counter((item["category"], item["chosen_is"]) for item in items)
    assert set(cells.values()) == {5}
    for item in items:
        ratio = len(item["chosen"]) / len(item["rejected"])
        assert ratio > 1.1 if item["chosen_is"] == "longer" else ratio < 0.9, item["id"]
        assert item["chosen"] == item["chosen"].strip()
    # Words and lines tell the same story as characters, so that no other length gives the answer away.
    longer = sum(len(i["chosen"].split()) > len(i["rejected"].split()) for i in items)
    assert 20 <= longer <= 30


@pytest.mark.parametrize("method", ["reward", "logprob", "logprob_mean"])
def test_pairs_score_each_half(method: str) -> None:
    task, where = module("reward_models/plain_pairs"), setup("reward_models/plain_pairs", method=method)
    totals: Counter[str] = Counter()
    for sample in task.load(where):
        lengths = [float(len(text)) for text in sample.metadata["answers"]]  # a judge that likes length only
        if method == "reward":
            given = {f"answer {i}": [Completion(rewards={"reward": v})] for i, v in enumerate(lengths)}
        else:
            given = {"answer": [Completion(logprobs=(v,)) for v in lengths]}
        for name, score in task.score(sample, Completions(given), where).items():
            totals[name] += score.value
    halves = {"acc": 25, "acc_strict": 25, "acc_chosen_longer": 25, "acc_chosen_shorter": 0, "picks_longer": 50}
    assert {name: totals[name] for name in halves} == halves
    assert totals["ties"] == 0
