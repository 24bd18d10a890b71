"""Tasks that ask other models beside the subject: a judge, an auxiliary, an encoder, a classifier of pairs."""

import json
from pathlib import Path

import pytest
from openai_server import serving

from evalsuite import api, registry
from evalsuite.cli import main
from evalsuite.errors import InputError

GRADED = '''"""Answers that another model grades."""
from evalsuite.records import Request, Sample, Sampling, Score, assistant, missing, user
TASK = {"version": 1, "roles": {"judge": "required", "encoder": "optional", "entailment": ["nli"]},
        "methods": ("plain", "nli")}
def load(setup):
    return [Sample(f"s{i}", (user(f"Tell me about number {i}"),), target=i) for i in range(4)]
def prompt(sample):
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=8))]
def follow_up(sample, completions, setup):
    said = completions.text
    if "grade" in completions:
        return []
    asked = [Request("generate", (user(f"Grade <{said}> yes or no"),), key="grade", role="judge"),
             Request("generate", (user(f"List the facts of <{said}>"),), key="facts", role="auxiliary")]
    if "encoder" in setup.roles:
        asked.append(Request("embed", (user(said),), key="vector", role="encoder"))
    if setup.method == "nli":
        asked.append(Request("reward", (user("a fox"), assistant(said)), key="nli", role="entailment"))
    return asked
def score(sample, completions, setup):
    found = {"acc": Score(float("yes" in completions["grade"].text.lower()))}
    if "vector" in completions:
        found["width"] = Score(float(len(completions["vector"].embedding[0])))
    if "nli" in completions:
        found["labels"] = Score(float(len(completions["nli"].rewards)))
    return found
def baselines(samples, setup):
    return {"acc": {"always": len(samples) / 10}}
'''


@pytest.fixture
def graded(plugin) -> None:
    source = GRADED.replace('"version": 1,', '"version": 1, "unit": {"width": "numbers", "labels": "labels"},')
    plugin("graded", source)


def test_a_task_without_its_judge_is_told_before_anything_runs(tiny, tmp_path, graded, capsys) -> None:
    assert main(["run", str(tiny), "--tasks", "graded@plain", "--store", str(tmp_path), "--plugins", str(_root())]) == 2
    assert "--judge-model M" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/manifest.json"))


def test_each_role_is_answered_by_its_own_model(tiny, tmp_path, graded, monkeypatch) -> None:
    from checkpoints import build, build_reward

    monkeypatch.setenv("OPENAI_API_KEY", "key")
    encoder = build(tmp_path / "encoder", seed=3, max_position_embeddings=512)
    classifier = build_reward(tmp_path / "nli", labels=3)
    with serving() as server:
        server.reply = lambda body: "Yes, good." if "Grade" in body["messages"][-1]["content"] else "- a fact"
        roles = {
            "judge": f"openai:grader@{server.url}",
            "encoder": str(encoder),
            "entailment": str(classifier),
        }
        run = api.run(str(tiny), "graded@nli", store_dir=tmp_path / "store", roles=roles)
    figures = run.metrics.set_index("name")
    assert figures.loc["acc", "value"] == 1.0
    assert figures.loc["acc", "baselines"] == {"always": 0.4}
    assert figures.loc["labels", "value"] == 3
    assert figures.loc["width", "value"] > 3
    asked = run.manifest["roles"]
    assert set(asked) == {"judge", "auxiliary", "encoder", "entailment"}
    assert asked["judge"]["name"] == asked["auxiliary"]["name"] == "grader"
    assert asked["judge"]["tokens"]["units"] == 8  # grades and facts: one server, one engine
    row = run.samples.iloc[0]
    assert "Yes, good." not in (row["answer"] or "")
    assert json.loads(row["helped"]) == ["facts", "grade", "nli", "vector"]


def test_health_and_tokens_are_the_subjects_own(tiny, tmp_path, graded, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    with serving() as server:
        server.reply = lambda body: "no " * 50
        run = api.run(str(tiny), "graded@plain", store_dir=tmp_path, roles={"judge": f"openai:grader@{server.url}"})
    health = run.health.iloc[0]
    assert health["n"] == 4
    assert health["mean_tokens"] <= 8


def test_another_judge_is_another_run_and_rescoring_keeps_both_apart(tiny, tmp_path, graded, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    with serving() as server:
        server.reply = lambda body: "yes"
        first = api.run(str(tiny), "graded@plain", store_dir=tmp_path, roles={"judge": f"openai:one@{server.url}"})
        second = api.run(str(tiny), "graded@plain", store_dir=tmp_path, roles={"judge": f"openai:two@{server.url}"})
        assert first.name != second.name
        again = api.rescore(first.stored, tmp_path)
    assert [m.value for m in again.metrics] == list(first.metrics["value"])
    assert again.health["graded@plain"] == first.stored.health["graded@plain"]


def test_roles_that_nobody_asks_are_refused(tiny, tmp_path, graded) -> None:
    with pytest.raises(InputError, match="none of these tasks asks"):
        api.run(str(tiny), "graded@plain", store_dir=tmp_path, roles={"judge": str(tiny), "reference": str(tiny)})
    with pytest.raises(InputError, match="no such role"):
        api.run(str(tiny), "graded@plain", store_dir=tmp_path, roles={"oracle": str(tiny)})


def test_an_embedder_cannot_be_a_judge(tiny, tmp_path, graded) -> None:
    from checkpoints import build_reward

    judge = build_reward(tmp_path / "rm")
    with pytest.raises(InputError, match="asks the judge for generate"):
        api.run(str(tiny), "graded@plain", store_dir=tmp_path, roles={"judge": str(judge)})


def test_the_registry_names_what_is_wrong_with_roles(plugin) -> None:
    plugin("odd", '"""x"""\nTASK = {"version": 1, "roles": {"oracle": "required"}}\n')
    with pytest.raises(InputError, match="'roles' has 'oracle'"):
        registry.find_tasks(["odd"])


SCHEMA = '''"""Data that is not here."""
from evalsuite.records import Request, Sample, user
TASK = {"version": 1, "schema_only": True, "hub": "hf:org/name@REVISION/test.jsonl"}
def load(setup):
    return [Sample(row["id"], (user(row["q"]),), target=row["a"]) for row in setup.each("test.jsonl")]
def score(sample, completions):
    return {"acc": completions.text == sample.target}
def gold(sample):
    return sample.target
def near_miss(sample):
    return sample.target + "x"
'''


def test_a_task_without_public_data_runs_on_its_own_rows_and_says_so(
    tiny, tmp_path, plugin, capsys, monkeypatch
) -> None:
    monkeypatch.delenv("EVALSUITE_DATA", raising=False)
    rows = "".join(json.dumps({"id": str(i), "q": f"Say {i}", "a": f"{i}"}) + "\n" for i in range(5))
    root = plugin("absent", SCHEMA, schema__jsonl=rows)
    assert main(["run", str(tiny), "--tasks", "absent", "--store", str(tmp_path), "--plugins", str(root)]) == 2
    assert "hf:org/name@REVISION/test.jsonl" in capsys.readouterr().err
    run = api.run(str(tiny), "absent", store_dir=tmp_path, data={"absent": "schema"}, max_tokens=4)
    assert run.metrics.iloc[0]["n"] + run.metrics.iloc[0]["missing"] == 5
    assert main(["check", "absent", "--plugins", str(root)]) == 0
    assert main(["list", "tasks", "--plugins", str(root)]) == 0
    assert "schema only" in capsys.readouterr().out


def _root() -> Path:
    return registry._plugins[-1]


def test_a_family_leaves_out_what_cannot_run_and_says_so(tiny, tmp_path, plugin, capsys) -> None:
    source = GRADED.replace('"version": 1,', '"version": 1, "family": "reasoning",').replace('"nli"', '"other"')
    root = plugin("graded", source.replace('"methods"', '"unit": {}, "methods"'))
    words = ["run", str(tiny), "--store", str(tmp_path), "--plugins", str(root), "--limit", "1", "--max-tokens", "4"]
    assert main([*words, "--tasks", "reasoning", "--data", "microworld_arithmetic=nano"]) == 0
    said = capsys.readouterr().err
    assert "left out: task graded" in said
    assert "--judge-model M" in said
    assert main([*words, "--tasks", "reasoning,graded", "--data", "microworld_arithmetic=nano"]) == 2
