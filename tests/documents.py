"""What a page of documentation shows: commands that a reader types, files that a reader saves. Tests run the former on
the latter, so that no page tells of a command that does not work.

    ```console                           commands behind "$ ", their output below them
    ```bash, or a fence without a word   commands alone
    Save this as `answers.jsonl`:        a fence behind such a line is that file
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from evalsuite.cli import main

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)  # all, or an end is taken for a beginning
FILE = re.compile(r"^Save this as `([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r' \|\| echo "exit status \$\?"$')


def commands(page: Path) -> list[str]:
    """In order, comments away, continued lines joined."""
    found = []
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language not in ("console", "bash", ""):
            continue
        lines = block.replace("\\\n", " ").splitlines()
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        found += [re.sub(r"\s+#.*$", "", line) for line in lines if line.strip() and not line.startswith("#")]
    return found


def write_files(page: Path, folder: Path) -> list[Path]:
    made = []
    for name, text in FILE.findall(page.read_text(encoding="utf-8")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        made.append(path)
    return made


def run(line: str) -> int:
    """The exit status of a command, in the current folder. Ours run in this process; others in a shell. One that ends
    in `|| echo "exit status $?"` is shown because it does not end with 0: then 0 is returned for that, and 1 where it
    did end with 0."""
    told = STATUS.search(line)
    words: Sequence[str] = shlex.split(STATUS.sub("", line))
    if words[0] == "evalsuite":
        try:
            status = main(words[1:])
        except SystemExit as stopped:  # argparse's
            status = int(stopped.code or 0)
    else:
        done = subprocess.run(["bash", "-c", STATUS.sub("", line)], check=False, capture_output=True, text=True)
        print(done.stdout)
        print(done.stderr, file=sys.stderr)
        status = done.returncode
    return int(status == 0) if told else status


def output_of(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints; fails with its own words where it does not succeed."""
    capsys.readouterr()
    status = run(line)
    said = capsys.readouterr()
    assert status == 0, f"{line}\n{said.err[-2000:]}"
    return said.out
