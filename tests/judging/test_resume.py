"""kill -9 in the middle of `evalsuite judge`, and the same command again: the same file, and little asked twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from openai_server import Server, serving

SLOTS = 4


def command(folder: Path, server: Server, store: str, out: str) -> list[str]:
    files = [str(folder / name) for name in ("a.jsonl", "b.jsonl")]
    words = ["judge", "pairwise", "--responses", *files, "--judge-model", f"openai:j@{server.url}"]
    words += ["--out", str(folder / out), "--store", str(folder / store), "--model-args", f"concurrency={SLOTS}"]
    words += ["--model-args", "adaptive=false", "--attempts", "2"]
    return [sys.executable, "-c", f"import sys, evalsuite.cli as c; sys.exit(c.main({words!r}))"]


def test_kill_nine_and_the_same_command_again(tmp_path: Path) -> None:
    for name, word in (("a", "good"), ("b", "bad")):
        rows = [{"instruction": f"Question {i}", "output": f"{word} {i}"} for i in range(30)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def reply(body: dict) -> str:
        time.sleep(0.01)
        text = body["messages"][-1]["content"]
        if "Question 7\n" in text and not body.get("temperature"):
            return "Hm"  # asked for again, warmer
        return "A" if text.split("<answer_a>\n")[1].startswith("good") else "B"

    with serving() as server:
        server.reply = reply
        done = subprocess.run(command(tmp_path, server, "whole", "whole.jsonl"), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        whole = len(server.seen)
        assert whole == 60 + 2
        server.seen.clear()
        process = subprocess.Popen(
            command(tmp_path, server, "broken", "out.jsonl"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while len(server.seen) < 25 and process.poll() is None:
            time.sleep(0.005)
        assert process.poll() is None, "judging was over before it could be killed: no evidence"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out.jsonl").exists(), "half a file was left"
        killed_after = len(server.seen)
        again = subprocess.run(command(tmp_path, server, "broken", "out.jsonl"), capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        asked = Counter(json.dumps(body, sort_keys=True) for _, _, body in server.seen)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert again.stdout == done.stdout
    assert killed_after < whole
    assert len(asked) == whole
    # Repeated: what was in flight, and what had come and was being stored (a transaction's worth, on a busy machine).
    assert sum(asked.values()) - whole <= 2 * SLOTS
    assert not list(tmp_path.glob(".*.part")), "a part that a killed command left is cleared away"
