"""docs/training.md holds: its commands are commands, its recipes are there, its method trains."""

import json
import re
from pathlib import Path

import pytest
from documents import commands

from evalsuite import registry
from evalsuite.cli import main, parser
from evalsuite.training import methods, recipes
from evalsuite.training.log import read as read_log

DOC = Path(__file__).parents[2] / "docs" / "training.md"
TEXT = DOC.read_text(encoding="utf-8")


@pytest.fixture
def written(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ((name, source),) = re.findall(r"```python\n# (my_methods/\S+)\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    yield path
    registry._plugins.clear()
    registry.entries.cache_clear()


def test_its_commands_are_commands() -> None:
    lines = [line[line.index("evalsuite ") :] for line in commands(DOC)]
    assert len(lines) >= 8
    for line in lines:
        _, rest = parser().parse_known_args(line.split()[1:])
        assert not any(word.startswith("-") for word in rest), line
    assert set(re.findall(r"--recipe (\S+)", TEXT)) <= set(recipes.names())


def test_its_method_is_found_and_trains(written, tiny, tmp_path, capsys) -> None:
    assert main(["list", "methods", "--plugins", "my_methods", "--json"]) == 0
    assert "unlikelihood" in [m["name"] for m in json.loads(capsys.readouterr().out)["methods"]]
    rows = [{"prompt": f"Say {i}", "completion": "yes" if i % 2 else "never", "label": bool(i % 2)} for i in range(16)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (line,) = [line for line in TEXT.splitlines() if line.startswith("evalsuite train unlikelihood")]
    words = [str(tiny) if w == "FOLDER" else w for w in line.split()[1:]]
    assert main([*words, "learning_rate=1e-3", "num_train_epochs=4", "logging_steps=1"]) == 0
    losses = [row["loss"] for row in read_log(tmp_path / "OUT")]
    assert losses[-1] < 0.9 * losses[0]
    assert json.loads((tmp_path / "OUT" / "training.json").read_text())["config"] == {"alpha": 0.5}


def test_a_method_that_cannot_be_imported_is_one_line(written, tiny, tmp_path, capsys) -> None:
    written.write_text(written.read_text().replace("from dataclasses", "from nowhere"))
    words = ["train", "unlikelihood", "--plugins", "my_methods", "--model", str(tiny), "--data", "none", "--out", "OUT"]
    assert main(words) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert "unlikelihood.py: cannot be imported (ModuleNotFoundError" in error


def test_a_method_of_the_users_is_forgotten_with_its_folder(written) -> None:
    registry.add_plugins(["my_methods"])
    assert "unlikelihood" in methods.names()
    registry._plugins.clear()
    assert "unlikelihood" not in methods.names()
