"""Shared fixtures: where the public data lies, and checkpoints that several test files use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# One thread per process: two test workers share two cores, and libgomp's spinning makes them crawl.
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def public_data() -> Callable[[str], Path]:
    """A file of the public benchmark data: `public_data("ifeval/input_data.jsonl")`. Skips (or, with
    EVALSUITE_REQUIRE_DATA=1, fails) with a reason where it is absent."""
    folder = Path(os.environ.get("EVALSUITE_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            message = f"public data not found: {path} (set EVALSUITE_DATA to the folder that has {name})"
            if os.environ.get("EVALSUITE_REQUIRE_DATA") == "1":
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find
