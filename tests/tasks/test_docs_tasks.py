"""docs/tasks.md holds: its tasks are written to a folder, checked and run."""

import json
import re
from pathlib import Path

import pytest
from documents import commands

from evalsuite import registry
from evalsuite.cli import main

DOC = Path(__file__).parents[2] / "docs" / "tasks.md"


@pytest.fixture
def written(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, source in re.findall(
        r"```python\n# (my_tasks/\S+)\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    yield tmp_path / "my_tasks"
    registry._plugins.clear()
    registry.entries.cache_clear()


def test_the_first_task_is_under_thirty_lines(written) -> None:
    assert len((written / "moons" / "task.py").read_text(encoding="utf-8").splitlines()) < 30


def test_the_commands_of_the_page_run(written, tiny, tmp_path, capsys) -> None:
    ours = [line for line in commands(DOC) if line.startswith("evalsuite ")]
    assert len(ours) == 2
    for line in ours:
        words = [str(tiny) if w == "MODEL" else w for w in line.split()[1:]]
        more = ["--store", str(tmp_path / "store"), "--json"] if words[0] == "run" else []
        assert main([*words, *more]) == 0, line
    metric = json.loads(capsys.readouterr().out.splitlines()[-1])["runs"][0]["metrics"][0]
    assert metric["name"] == "acc"
    assert metric["n"] + metric["missing"] == 5


def test_the_task_with_a_judge_passes_its_check(written) -> None:
    assert main(["check", "explained", "--plugins", "my_tasks"]) == 0
