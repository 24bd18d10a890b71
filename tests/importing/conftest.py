"""Copies of recorded logs that a test may alter, and the command line."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from evalsuite.cli import main
from evalsuite.store import list_runs

LOGS = Path(__file__).parent / "logs"

_path = Path(__file__).parents[1] / "comparison" / "conftest.py"
_spec = importlib.util.spec_from_file_location("run_fixtures", _path)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
make_run = _fixtures.make_run


@pytest.fixture
def logs(tmp_path):
    return Path(shutil.copytree(LOGS, tmp_path / "logs"))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def refused(store, capsys):
    """Runs a verb that must end with status 2, one line and nothing written; returns the line."""

    def run(*words):
        assert main([*map(str, words), "--store", str(store)]) == 2
        said = capsys.readouterr().err.strip()
        assert "\n" not in said, said
        assert list_runs(store) == []
        return said

    return run


@pytest.fixture
def edited():
    """Changes a JSON file in place."""

    def edit(path, change):
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    return edit
