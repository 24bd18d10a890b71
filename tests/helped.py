"""A benchmark's `--help`, in a process of its own: what every script must answer without loading an engine."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def help_of(script: Path, heavy: Sequence[str] = ("torch", "transformers", "vllm")) -> str:
    """What `--help` prints. Fails where the script fails, or where one of the `heavy` modules was loaded for it."""
    code = (
        f"import runpy, sys; sys.argv = [{script.name!r}, '--help']; sys.path.insert(0, {str(script.parent)!r})\n"
        f"try: runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('heavy:', [m for m in {tuple(heavy)!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stdout, done.stdout
    return done.stdout
