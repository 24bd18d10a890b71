"""The benchmarks of preference data start, say what they take, and plant what they say."""

import subprocess
import sys
from pathlib import Path

import pytest
from helped import help_of

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "preferences"


@pytest.mark.parametrize("name", ["planted.py", "scale.py"])
def test_help_loads_nothing_heavy(name: str) -> None:
    assert "--quick" in help_of(FOLDER / name, ("torch", "numpy", "sae_lens"))


def test_scale_runs_and_says_what_it_took(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "scale.py"), "--quick", "--pairs", "1600", "--dimensions", "96"]
    done = subprocess.run([*command, "--work", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok   peak memory, GiB" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["quick_scale.json"]  # pairs and embeddings are gone
