"""The demo: its steps run beside each other and go on where they stopped; its story runs to the end on nano."""

import argparse
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from evalsuite.cli import demo, demo_lanes, demo_measured, demo_story, demo_words, parser
from evalsuite.cli.demo_lanes import Step, play
from evalsuite.cli.demo_measured import Change
from evalsuite.errors import BackendError
from evalsuite.store import Run

TASTE = 6_000  # new tokens that the real model may cost on two cores, judging aside


def quiet(text: str) -> None:
    pass


# --- lanes ---


def test_steps_wait_for_what_they_name_and_get_its_result(tmp_path: Path) -> None:
    order: list[str] = []
    steps = [
        Step("last", make=lambda found: found["world"], after=("world",)),
        Step("world", ("microworld", "export", "--size", "{size}", "--rows", "3", "--out", str(tmp_path / "w"))),
        Step("size", make=lambda found: "nano"),
    ]
    found = play(steps, 1, tmp_path, order.append)
    assert found["last"] == found["world"]
    assert "rows" in found["world"]  # what the command printed last
    assert "export --size nano" in order[0]
    assert list((tmp_path / "w").iterdir())


def test_a_step_that_fails_is_named_and_the_others_are_ended(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps = [Step("bad", ("list", "nothing")), Step("slow", ("microworld", "export", "--out", str(tmp_path / "w")))]
    with pytest.raises(BackendError, match=r"step bad failed \(2; .* the same command resumes"):
        play(steps, 2, tmp_path, quiet)
    assert not multiprocessing.active_children()
    assert "  [bad] " in capfd.readouterr().err


def test_an_interrupt_ends_every_process(tmp_path: Path) -> None:
    def interrupted(text: str) -> None:
        if "methods" in text:
            raise KeyboardInterrupt

    steps = [Step("one", ("microworld", "export", "--out", str(tmp_path / "w"))), Step("two", ("list", "methods"))]
    with pytest.raises(KeyboardInterrupt):
        play(steps, 2, tmp_path, interrupted)
    assert not multiprocessing.active_children()


def test_a_finished_training_in_its_folder_is_not_made_again(tmp_path: Path) -> None:
    step = Step("best", ("train", "best-of-n", "--out", "{out}", "n=2"))
    out = demo_lanes.out_of(step, {}, tmp_path)
    assert demo_lanes.words_of(step, {}, tmp_path) == ["train", "best-of-n", "--out", str(out), "n=2"]
    out.mkdir()
    (out / "training.json").write_text("{}")
    assert play([step], 1, tmp_path, quiet) == {"best": str(out)}
    assert demo_lanes.out_of(replace(step, words=(*step.words[:-1], "n=3")), {}, tmp_path) != out


# --- the story ---


def test_every_step_is_a_command_and_needs_only_steps_before_or_beside_it(tmp_path: Path) -> None:
    for story in (demo_story.FULL, demo_story.QUICK, replace(demo_story.QUICK, size="nano")):
        steps = demo_story.steps(story, tmp_path)
        names = [step.name for step in steps]
        assert len(set(names)) == len(names)
        ready: set[str] = set()
        while left := [s for s in steps if s.name not in ready]:
            now = {s.name for s in left if s.needs <= ready}
            assert now, [s.name for s in left]  # no circle, nothing that nobody makes
            ready |= now
        for step in (s for s in steps if s.words):
            args, rest = parser().parse_known_args([w.format(**dict.fromkeys(names, "X"), out="O") for w in step.words])
            assert callable(args.func)
            assert all("=" in word for word in rest), rest


def test_quick_is_the_same_story_with_less_of_it(tmp_path: Path) -> None:
    full, quick = (demo_story.steps(story, tmp_path) for story in (demo_story.FULL, demo_story.QUICK))
    assert [(s.name, s.needs) for s in full] == [(s.name, s.needs) for s in quick]
    numbers = ("questions", "pairs", "rounds", "astray", "n")
    assert all(getattr(demo_story.QUICK, name) < getattr(demo_story.FULL, name) for name in numbers)
    chosen: argparse.Namespace = parser().parse_args(["demo", "--quick", "--size", "nano"])
    assert (chosen.quick, chosen.size) == (True, "nano")


def test_the_real_models_share_costs_little(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The suite is content that may be edited: what it costs is held to what two cores can do in a minute or two."""
    from evalsuite.cli import main

    words = ["plan", str(tiny), "--suite", "taste", "--max-tokens", str(demo_story.ANSWER), "--json"]
    assert main([*words, "--store", str(tmp_path)]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert 2 * plan["max_new_tokens"] <= TASTE


@pytest.fixture
def story(tmp_path: Path, nano: Path, monkeypatch: pytest.MonkeyPatch) -> demo_story.Story:
    """A few steps of everything, on the session's nano world and a random model in the place of the real one."""
    from checkpoints import build

    monkeypatch.setenv("EVALSUITE_CACHE", str(nano.parent.parent))
    monkeypatch.setattr(demo_story, "ANSWER", 4)
    model = str(build(tmp_path / "real", max_position_embeddings=2048))
    return demo_story.Story(size="nano", model=model, questions=8, pairs=48, rounds=2, weak=32, astray=2, n=2)


@pytest.mark.slow
def test_the_whole_story_on_nano(story: demo_story.Story, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from evalsuite.store import open_run

    store = tmp_path / "store"
    demo.tell(story, store)
    told = capfd.readouterr().out
    for part in ("What supervised fine-tuning did", "DPO: ", "PPO: ", "best of 2: ", "gold reward", "KL, nats"):
        assert part in told, part
    for page in ("report.html", "comparison.html", "leaderboard/index.html"):
        assert (store / "demo" / page).is_file()
        assert str(store / "demo" / page) in told

    runs = {name: open_run(store, demo_story.run_name(name)) for name in demo_story.RUNS}
    gold = demo_story.address(story, "gold")
    found = demo_measured.changes(runs["best-of-n"], runs["sft"], gold, store)[0]
    assert (found.what, found.n) == ("gold reward", 8)
    assert found.value == pytest.approx(worth(runs["best-of-n"]) - worth(runs["sft"]))
    said = [json.loads(row["completions"]).values() for row in runs["best-of-n"].rows(demo_story.DIVERSITY)]
    assert any(len(set(map(str, draws))) == demo_story.DRAWS for draws in said)  # not one answer four times

    # Again: nothing is trained or drawn a second time, and every figure is the same to the byte.
    figures = {name: (run.path / "metrics.json").read_bytes() for name, run in runs.items()}
    demo.tell(story, store)
    again = capfd.readouterr()
    assert "loss" not in again.err
    assert "train best-of-n" not in again.err
    assert figures == {name: (run.path / "metrics.json").read_bytes() for name, run in runs.items()}
    assert found_in(again.out) == found_in(told)


def worth(run: Run) -> float:
    """The mean gold reward of a run's answers to instructions, without the code that is tested."""
    from evalsuite.microworld.gold import reward
    from evalsuite.microworld.world import build

    world = build("nano", 0)
    given = [reward(world, row["question"], row["answer"]) for row in run.rows(demo_measured.INSTRUCTIONS)]
    known = [value for value in given if value is not None]
    assert len(known) == len(given)
    return sum(known) / len(known)


def found_in(told: str) -> str:
    return told[told.index("What was found") :]


def test_what_is_said_rests_on_the_adjusted_p() -> None:
    base = Change("gold reward", "", 1, 1.42, 1.2, 1.64, 100, 0.001, 0.008)
    worse = replace(base, what="constraints met", unit="share", value=-0.062, low=-0.11, high=-0.014, p=0.01, q=0.03)
    tied = replace(worse, what="words an answer", unit="", better=0, q=0.2)
    assert [c.verdict for c in (base, worse, tied)] == ["better", "worse", "tied"]
    assert replace(base, better=-1).verdict == "worse"
    assert replace(tied, q=0.01).verdict == "changed"
    assert replace(base, q=None, p=None).verdict == "unknown"
    assert demo_words.cell(worse) == "−6.2 pt [−11.0, −1.4] worse"
    said = demo_words.sentence("PPO", [base, worse, tied])
    assert said.startswith(
        "PPO: better in gold reward (+1.42 [+1.20, +1.64], n=100); worse in constraints met (−6.2 pt"
    )
    assert "no difference was found in words an answer" in said
    assert said.endswith("What got worse is its alignment tax.")
    assert "alignment tax" not in demo_words.sentence("PPO", [tied, worse])


def test_a_curve_shows_its_ends_and_its_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"step": i + 1, "reward": i / 10 + 0.01 * (i % 3), "gold": 3 - (i / 10) ** 2, "kl": i / 5} for i in range(40)
    ]
    (tmp_path / "training_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    demo_words._curve("PPO", tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 + demo_words.POINTS + 2
    assert told[2].split() == ["1", "0.00", "0.00", "3.00"]
    assert told[1 + demo_words.POINTS].split()[0] == "40"
    assert "over-optimised" in told[-2]
