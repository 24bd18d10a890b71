"""FactTune: pairs by a knowledge source or by the policy's own confidence, and the DPO on them, end to end."""

import json
import math
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest

from evalsuite import api
from evalsuite.cli import main
from evalsuite.records import user
from evalsuite.scoring.facts_confidence import classes, max_conf
from evalsuite.training import methods, online
from evalsuite.training.contract import Row, Tokenised
from evalsuite.training.log import read as read_log
from evalsuite.training.online import Context, Judged

fact = methods.find("fact-tune")
CONTEXT = Context(lambda *_: [], None, None, None, 0, seed=1, round=0)
PROMPTS = [Row("p", (user("Where?"),)), Row("q", (user("Who?"),))]


def judged(text: str, reward: float) -> Judged:
    ids = tuple(map(ord, text))
    return Judged(Tokenised(ids, (True,) * len(ids)), reward, None, text, True)


@pytest.fixture
def groups(monkeypatch) -> list[list[Judged]]:
    made = [
        [judged("In Redport.", 1.0), judged("in redport", 0.0), judged("Ashford", 0.5)],
        [judged("Ivy", 0.2), judged("Otto", 0.2), judged("Tess", 0.9)],
    ]
    monkeypatch.setattr(online, "judge", lambda *given: made)
    return made


def texts(item) -> tuple[str, ...]:
    return tuple("".join(map(chr, s.ids)) for s in item.sequences)


def test_a_knowledge_source_chooses(groups) -> None:
    found = fact.rollout(None, PROMPTS, fact.Config(num_generations=3), CONTEXT)
    assert [(texts(i), i.columns["counts"], pytest.approx(i.columns["gap"])) for i in found] == [
        (("In Redport.", "in redport"), 1.0, 1.0),
        (("Ashford", "in redport"), 1.0, 0.5),
        (("In Redport.", "Ashford"), 1.0, 0.5),
        (("Ivy", "Otto"), 0.0, 0.0),
        (("Tess", "Otto"), 1.0, 0.7),
        (("Tess", "Ivy"), 1.0, 0.7),
    ]
    assert [i.row for i in found] == ["p"] * 3 + ["q"] * 3


def test_the_policys_own_confidence_chooses(groups) -> None:
    """Asked four times more: three say Redport in some spelling, one Ashford; of the second, two say Otto."""
    says = {"p": ["Redport in", "In Redport!", "in Redport", "Ashford"], "q": ["Otto", "Rosa", "otto", "Ivy"]}
    seen = []

    def answers(rows, seeds, drawing):
        seen.append(seeds)
        at = {"p": iter(says["p"]), "q": iter(says["q"])}
        return [SimpleNamespace(text=next(at[row.id])) for row in rows]

    context = replace(CONTEXT, figures={})
    config = fact.Config(num_generations=3, truth="confidence", samples=4)
    truths = fact.confidence(SimpleNamespace(answers=answers), PROMPTS, groups, config, context)
    assert truths == [[0.5, 0.5, 0.25], [0.25, 0.5, 0.0]]
    assert len(set(seen[0])) == 8, "each draw has a seed of its own"
    items = fact.rollout(SimpleNamespace(answers=answers), PROMPTS, config, context)
    assert [i.columns["counts"] for i in items] == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert texts(items[3]) == ("Otto", "Ivy"), "not what the reward says"
    assert context.figures["confidence"] == pytest.approx(2 / 6)


def test_confidence_is_unbiased_and_the_largest_share_of_few_draws_is_not() -> None:
    """All draws of three from a known policy. The share of further draws that say the same as an answer is the answer's
    own probability on average; the largest share is P(all the same) + 2/3 P(two the same) + 1/3 P(none)."""
    chance, config = {"Ivy": 0.5, "Otto": 0.3, "Tess": 0.2}, fact.Config(num_generations=3, samples=3)
    group = [[judged(name, 0.0) for name in chance]]
    mean, largest = dict.fromkeys(chance, 0.0), 0.0
    for drawn in product(chance, repeat=3):
        weight = math.prod(chance[name] for name in drawn)
        policy = SimpleNamespace(answers=lambda *_, drawn=drawn: [SimpleNamespace(text=name) for name in drawn])
        (found,) = fact.confidence(policy, PROMPTS[:1], group, config, CONTEXT)
        for name, value in zip(chance, found, strict=True):
            mean[name] += weight * value
        largest += weight * max_conf(classes(drawn))
    assert mean == pytest.approx(chance)
    same, none = sum(p**3 for p in chance.values()), 6 * math.prod(chance.values())
    assert largest == pytest.approx(same + 2 / 3 * (1 - same - none) + none / 3)
    assert largest > max(chance.values()) + 0.1


@pytest.mark.parametrize("truth", ["reward", "confidence"])
def test_it_trains_and_runs(tiny, tmp_path, truth) -> None:
    (tmp_path / "know.py").write_text(
        "def truth(prompts, completions, **rest):\n    return [c[0]['content'].count('e') / 9 for c in completions]\n"
    )
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": f"Say {i}"}) + "\n" for i in range(4)))
    words = ["train", "fact-tune", "--model", str(tiny), "--data", str(tmp_path / "prompts.jsonl"), "--out",
             str(tmp_path / "out"), "learning_rate=1e-3", "dtype=float32",
             "num_generations=3", "max_completion_length=8", "max_steps=2", "logging_steps=1", "samples=3",
             f"truth={truth}", "per_device_train_batch_size=6"]  # fmt: skip
    if truth == "reward":
        assert main(words) == 2, "a knowledge source must be named"
        words += ["--reward", f"{tmp_path / 'know.py'}:truth"]
    assert main(words) == 0
    rows = read_log(tmp_path / "out")
    assert {truth, "kl", "loss"} <= set(rows[0])
    assert not {"reward", "confidence"} - {truth} & set(rows[0])
    found = api.run(str(tmp_path / "out"), "plain_facts", store_dir=tmp_path / "store", limit=2, max_tokens=4)
    assert found.manifest["model"]["lineage"]["method"] == "fact-tune"
