"""A judge on a server reads answers while the subject still writes; what it says is what it would have said after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoints import build
from openai_server import Server, serving

from evalsuite import api
from evalsuite.models import ModelOptions
from evalsuite.planning import Options
from evalsuite.running.early import may_overlap
from evalsuite.running.engine import Engine

TASK = '''"""Open questions."""
from evalsuite.records import Request, Sample, Sampling, user
TASK = {"version": 1, "judged": True, "family": "diversity"}
def load(setup):
    for i in range(24):
        yield Sample(str(i), (user(f"Tell me about {i} foxes."),))
def prompt(sample):
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=6))]
def score(sample, completions):
    return {"length": len(completions.text) / 1000}
'''


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        made.reply = lambda body: "[[A]]" if len(str(body["messages"])) % 3 else "[[B]]"
        yield made


def judged(tiny: Path, other: Path, server: Server, store: Path, early: bool) -> tuple[str, int, int]:
    """(the run's metrics.json, requests that the judge saw before the run was judged, and in all)."""
    options = Options()
    api.execute(api.prepare([str(tiny)], ["open"], ModelOptions(), options, store, "baseline"), store)
    judge = api.prepare_judge("pairwise", f"openai:judge@{server.url}", ModelOptions(), store)
    assert may_overlap(judge)
    jobs = api.prepare([str(other)], ["open"], ModelOptions(args={"group": "4"}), options, store, "run")
    if early:
        runs = api.execute_judged(jobs, store, judge, "baseline")
    else:
        runs = api.execute(jobs, store)
    before = len(server.seen)
    run = api.judge_runs(judge, runs, store, "baseline")[0]
    return (run.path / "metrics.json").read_text(), before, len(server.seen)


def test_early_verdicts_are_the_later_ones(tiny: Path, tmp_path: Path, server: Server, plugin) -> None:
    """Every request is made once, before the run is whole, and the figures are those of judging afterwards."""
    plugin("open", TASK)
    other = build(tmp_path / "other", seed=5, max_position_embeddings=512)
    figures, before, every = judged(tiny, other, server, tmp_path / "early", early=True)
    assert before == every > 0
    server.seen.clear()
    late, before, again = judged(tiny, other, server, tmp_path / "late", early=False)
    assert before == 0
    assert again == every
    assert figures == late
    assert "win_rate[" in figures


def test_the_judge_reads_while_the_subject_writes(
    tiny: Path, tmp_path: Path, server: Server, plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first verdict is asked for before the subject's last group."""
    plugin("open", TASK)
    other = build(tmp_path / "other", seed=5, max_position_embeddings=512)
    seen_at_group: list[int] = []
    ask = Engine._ask

    def watch(self: Engine, units: list) -> list:
        if self.model.local:
            for _ in range(400):  # a slow subject: the judge gets its time
                if server.seen or not seen_at_group:
                    break
                import time

                time.sleep(0.01)
            seen_at_group.append(len(server.seen))
        return ask(self, units)

    monkeypatch.setattr(Engine, "_ask", watch)
    judged(tiny, other, server, tmp_path / "st", early=True)
    assert seen_at_group[-1] > 0


def test_a_judge_that_fails_early_is_told_afterwards(tiny: Path, tmp_path: Path, server: Server, plugin) -> None:
    from evalsuite.errors import BackendError

    plugin("open", TASK)
    other = build(tmp_path / "other", seed=5, max_position_embeddings=512)
    server.reply = lambda body: {"status": 401, "body": "no"}
    with pytest.raises(BackendError, match="401"):
        judged(tiny, other, server, tmp_path / "st", early=True)
    assert (tmp_path / "st" / "runs" / "run" / "metrics.json").is_file()
