"""Shared fixtures: where the public data lies, and checkpoints that several test files use."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One thread per process: two test workers share two cores, and libgomp's spinning makes them crawl.
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Tests assert no times, and a busy machine is no failure. CI draws the same examples each time, people draw new ones.
settings.register_profile(
    "evalsuite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("evalsuite")

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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a chat template and a window of 512: an ordinary Hugging Face folder."""
    from checkpoints import build

    return build(tmp_path_factory.mktemp("checkpoints") / "tiny", max_position_embeddings=512)


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the nano microworld's base, sft and reward: built once (about a minute), for all workers
    of a session."""
    from evalsuite.microworld.checkpoints import resolve

    root = tmp_path_factory.getbasetemp()
    shared = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALSUITE_CACHE", str(shared / "microworld"))
        folder = resolve("nano/reward", threads=1).parent
    return folder


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes a task folder of a user's and registers it: `plugin("capitals", source)`; forgotten after the test."""
    from evalsuite import registry

    root = tmp_path / "my_tasks"

    def write(name: str, source: str, **files: str) -> Path:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "task.py").write_text(source, encoding="utf-8")
        for file, text in files.items():
            (folder / file.replace("__", ".")).write_text(text, encoding="utf-8")
        registry.entries.cache_clear()
        registry.add_plugins([root])
        return root

    yield write
    registry._plugins.clear()
    registry.entries.cache_clear()
