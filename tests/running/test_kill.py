"""Regression 11 (lm-eval#2533, lmms-eval#852): killed at random moments and resumed, a run ends as an unbroken one."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

TASK = '''"""Enough work to be killed in."""
from evalsuite.records import Request, Sample, Sampling, user
TASK = {"version": 1}
def load(setup):
    return [Sample(str(i), (user("The quick brown fox " * (1 + i % 7) + str(i)),)) for i in range(400)]
def prompt(sample):
    drawn = Sampling(max_tokens=24, temperature=1.0 * (int(sample.id) % 2))
    return [Request("generate", sample.messages, sampling=drawn)]
def score(sample, completions):
    return {"acc": len(completions.text) % 2, "log": completions["answer"].tokens / 24}
'''


def command(tiny: Path, root: Path, store: Path) -> list[str]:
    arguments = ["run", str(tiny), "--tasks", "work", "--plugins", str(root), "--store", str(store), "--name", "r"]
    return [sys.executable, "-c", f"import sys, evalsuite.cli as c; sys.exit(c.main({arguments!r}))"]


def wait_for(process: "subprocess.Popen[bytes]", store: Path, rows: int) -> None:
    """Returns when the journal holds so many answers."""
    while process.poll() is None:
        try:
            with closing(sqlite3.connect(f"file:{store / 'responses.sqlite'}?mode=ro", uri=True)) as journal:
                if journal.execute("SELECT COUNT(*) FROM responses").fetchone()[0] >= rows:
                    return
        except sqlite3.Error:  # not made yet
            pass
        time.sleep(0.01)


@pytest.mark.slow
def test_kill_nine_at_five_random_moments(tiny: Path, tmp_path: Path) -> None:
    root = tmp_path / "tasks"
    (root / "work").mkdir(parents=True)
    (root / "work" / "task.py").write_text(TASK)
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    subprocess.run(command(tiny, root, unbroken), check=True, capture_output=True)
    draw = random.Random(3)
    for fifth in range(5):
        process = subprocess.Popen(
            command(tiny, root, broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        # Somewhere in each fifth of the work, and some moments into the group that is then being computed.
        wait_for(process, broken, draw.randint(fifth * 70, fifth * 70 + 69))
        time.sleep(draw.uniform(0, 0.2))
        assert process.poll() is None, "the run was over before it could be killed: no evidence"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command(tiny, root, broken), check=True, capture_output=True, text=True)
    assert "r" in done.stderr
    one, two = unbroken / "runs" / "r", broken / "runs" / "r"
    assert (one / "metrics.json").read_bytes() == (two / "metrics.json").read_bytes()
    left, right = pd.read_parquet(one / "samples.parquet"), pd.read_parquet(two / "samples.parquet")
    pd.testing.assert_frame_equal(left, right)
    assert right["sample"].tolist() == [str(i) for i in range(400)], "a sample was lost or doubled"
