"""The engine's benchmarks start, say what they take, and share what they claim to share."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helped import help_of

ENGINE = Path(__file__).resolve().parent.parent / "benchmarks" / "engine"
SOURCES = {p.name: p.read_text(encoding="utf-8") for p in ENGINE.glob("*.py") if p.name != "common.py"}
SCRIPTS = sorted(name for name, text in SOURCES.items() if "common.parser(" in text or "--quick" in text)


def module(name: str) -> ModuleType:
    """A module of the folder, imported as its scripts import it (from their own folder)."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ENGINE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def common() -> ModuleType:
    return module("common")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_answers_help_without_loading_an_engine(name: str) -> None:
    assert "--quick" in help_of(ENGINE / name)


def test_the_readme_and_the_one_command_name_every_script() -> None:
    readme, command = ((ENGINE / name).read_text(encoding="utf-8") for name in ("README.md", "run_all.sh"))
    assert {name for name in SCRIPTS if name not in readme} == set()
    loop = next(line for line in command.splitlines() if line.startswith("for name in "))
    called = loop.removeprefix("for name in ").partition(";")[0].split()
    assert {name.removesuffix(".py") for name in SCRIPTS} - set(called) == set()


def test_a_result_says_when_where_and_with_what(common: ModuleType, tmp_path: Path) -> None:
    args = common.parser("x").parse_args(["--work", str(tmp_path), "--out", str(tmp_path / "r.json")])
    common.record("smoke", {"figure": 1 / 3}, args)
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["figure"] == 0.3333
    assert found["hardware"]["cores"] >= 1
    assert "torch" in found["versions"]["evalsuite"]
    assert len(found["date"]) == 10


def test_a_quick_result_stays_out_of_the_repository(common: ModuleType, tmp_path: Path) -> None:
    args = common.parser("x").parse_args(["--work", str(tmp_path), "--quick"])
    assert common.record("smoke", {}, args).parent == tmp_path


def test_a_goal_without_a_figure_is_missed(common: ModuleType) -> None:
    assert common.goal("speed", 2.0, least=2.0)["met"]
    assert not common.goal("speed", None, least=2.0)["met"]
    assert not common.goal("difference", 2e-4, most=1e-4)["met"]
    assert common.status([common.goal("speed", None, least=2.0)]) == 1


def test_a_job_runs_in_a_process_of_its_own_and_a_peers_is_kept(common: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        "import json, sys, time\n"
        "job = json.load(open(sys.argv[1]))\n"
        "json.dump({'calls_s': 0.0, 'answers': [job['n'], time.time_ns()]}, open(sys.argv[2], 'w'))\n"
    )
    args = common.parser("x").parse_args(["--work", str(tmp_path)])
    peer = common.Side("peer", str(script))
    first, again = (common.side(peer, {"verb": "score", "n": 1}, args) for _ in range(2))
    other = common.side(peer, {"verb": "score", "n": 2}, args)
    assert again == first
    assert first["startup_s"] == first["wall_s"] > 0
    assert other["answers"][0] == 2
    args.fresh = True
    assert common.side(peer, {"verb": "score", "n": 1}, args)["answers"] != first["answers"]


def test_a_job_that_fails_ends_with_the_last_lines_of_its_log(common: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text("raise ValueError('no such engine')\n")
    args = argparse.Namespace(work=tmp_path, fresh=False)
    with pytest.raises(SystemExit, match="no such engine"):
        common.side(common.Side("peer", str(script)), {"verb": "score"}, args)


def test_mixed_lengths_sum_to_what_was_asked() -> None:
    sys.path.insert(0, str(ENGINE))
    try:
        generation = module("generation")
    finally:
        sys.path.remove(str(ENGINE))
    lengths = generation.mixed_lengths(64, 3296, seed=2)
    assert len(lengths) == 64
    assert sum(lengths) == 3296
    assert min(lengths) >= 1
    assert max(lengths) > 2 * min(lengths)


def test_our_side_scores_as_the_plain_forward_does(tiny: Path, common: ModuleType, tmp_path: Path) -> None:
    args = common.parser("x").parse_args(["--work", str(tmp_path)])
    requests = [("Q: What is the capital of France?\nA:", [" Paris", " London", " the lazy dog"])]
    ours = common.side(common.OURS, {"verb": "score", "model": str(tiny), "requests": requests, "with_ids": True}, args)
    plain = common.side(common.PLAIN, {"verb": "score", "model": str(tiny), "ids": ours["ids"][0]}, args)
    for mine, other in zip(ours["answers"][0], plain["answers"], strict=True):
        assert mine["logprobs"] == pytest.approx(other, abs=1e-4)
    assert ours["counts"]["forwarded_tokens"] <= ours["distinct_tokens"] * 1.05
