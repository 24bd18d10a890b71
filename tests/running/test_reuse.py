"""Engines outlive their models: the next checkpoint of a command goes into what is loaded, where it fits."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from checkpoints import build

from evalsuite import api
from evalsuite.models import ModelOptions
from evalsuite.planning import Options

TASK = '''"""Says something short."""
from evalsuite.records import Request, Sample, Sampling, user
TASK = {"version": 1}
def load(setup):
    return [Sample(f"s{i}", (user(f"The quick brown fox number {i}"),)) for i in range(6)]
def prompt(sample):
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=8))]
def score(sample, completions):
    return {"length": float(len(completions.text))}
'''


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three checkpoints of one shape, and one that is wider."""
    folder = tmp_path_factory.mktemp("lineage")
    same = [build(folder / name, seed=i, max_position_embeddings=512) for i, name in enumerate(("base", "sft", "dpo"))]
    wide = build(folder / "wide", max_position_embeddings=512, intermediate_size=96)
    return [str(path) for path in (*same, wide)]


def run(models: list[str], folder: Path) -> list[Any]:
    jobs = api.prepare(models, ["fox"], ModelOptions(), Options(), folder)
    return api.execute(jobs, folder)


def loads(runs: list[Any]) -> list[int]:
    """How often weights were loaded from nothing, run by run."""
    return [int(r.manifest["tokens"].get("loads", 0)) for r in runs]


def figures(runs: list[Any]) -> list[bytes]:
    return [(r.path / "metrics.json").read_bytes() for r in runs]


def test_checkpoints_of_one_shape_are_loaded_once(lineage: list[str], tmp_path: Path, plugin: Any) -> None:
    """`run base sft dpo`: one load, and the figures that each has alone."""
    plugin("fox", TASK)
    together = run(lineage[:3], tmp_path / "together")
    alone = [run([model], tmp_path / "alone")[0] for model in lineage[:3]]
    assert loads(together) == [1, 0, 0]
    assert loads(alone) == [1, 1, 1]
    assert figures(together) == figures(alone)
    assert len({tuple(r.samples()["answer"]) for r in together}) == 3
    counted = [r.manifest["tokens"]["forwarded_tokens"] for r in together]
    assert counted == [r.manifest["tokens"]["forwarded_tokens"] for r in alone], "each run counts its own work"


def test_another_shape_is_loaded_anew(lineage: list[str], tmp_path: Path, plugin: Any) -> None:
    plugin("fox", TASK)
    together = run([lineage[0], lineage[3], lineage[1]], tmp_path / "together")
    alone = [run([model], tmp_path / "alone")[0] for model in (lineage[0], lineage[3], lineage[1])]
    assert loads(together) == [1, 1, 1]
    assert figures(together) == figures(alone)


def test_a_cached_model_passes_the_engine_on(lineage: list[str], tmp_path: Path, plugin: Any) -> None:
    """The one in the middle needs no weights, so none are moved for it; the last still finds the engine."""
    plugin("fox", TASK)
    run([lineage[1]], tmp_path)
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    assert loads(run(lineage[:3], tmp_path)) == [1, 0, 0]
