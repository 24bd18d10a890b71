"""Finished runs: `STORE/runs/NAME/` with `manifest.json`, `metrics.json` and `samples.parquet`.

A run's folder appears whole (written beside and renamed). `metrics.json` holds no time and no path, so equal work gives
equal bytes; everything about when and where stands in the manifest.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.errors import InputError, unknown
from evalsuite.records import Health, Metric

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
NESTED = ("target", "metadata", "completions")


def default_store() -> Path:
    return Path(os.environ.get("EVALSUITE_STORE") or "evalsuite-store")


@dataclass(frozen=True)
class Run:
    """One checkpoint through some tasks, as it lies on disk."""

    name: str
    path: Path
    manifest: dict[str, Any]
    metrics: list[Metric]
    health: dict[str, Health]

    def samples(self) -> "pd.DataFrame":
        """One row per (task, sample, repeat). Columns: task, sample, repeat, family, question, prompt, answer,
        reasoning, finish_reason, tokens, prompt_tokens; JSON text in target, metadata, completions; and for each score
        name `score.NAME`, `reason.NAME`, `weight.NAME`, `details.NAME` (JSON text)."""
        import pandas as pd

        return pd.read_parquet(self.path / "samples.parquet")


def write_run(
    store: Path,
    name: str,
    manifest: Mapping[str, Any],
    metrics: Sequence[Metric],
    health: Mapping[str, Health],
    rows: Sequence[Mapping[str, Any]],
) -> Run:
    """Writes a run's folder atomically, replacing one of the same name; other files in it (annotations) are kept."""
    import pandas as pd

    target = run_folder(store, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        temporary.chmod(0o755)
        write_json(temporary / "manifest.json", {"schema": SCHEMA, "name": name, **manifest})
        write_json(
            temporary / "metrics.json",
            {
                "schema": SCHEMA,
                "metrics": [asdict(m) for m in metrics],
                "health": {task: asdict(h) for task, h in sorted(health.items())},
            },
        )
        pd.DataFrame(list(rows)).to_parquet(temporary / "samples.parquet", index=False)
        if target.exists():
            for extra in target.iterdir():
                if not (temporary / extra.name).exists():
                    shutil.copy2(extra, temporary / extra.name)
            old = temporary.with_name(temporary.name + ".old")
            target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_run(target, name)


def write_json(path: Path, value: Any) -> None:
    """Deterministic JSON: sorted keys, no NaN."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def run_folder(store: Path, name: str) -> Path:
    parts = name.split("/")
    if any(not part or part.startswith(".") for part in parts) or "\\" in name:
        raise InputError(f"run name '{name}': use letters, digits, '-', '_' and '.', not starting with '.'")
    return store.joinpath("runs", *parts)


def read_run(folder: Path, name: str | None = None) -> Run:
    """Reads a run's folder. Raises InputError where it is no run or of another schema."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: not a run ({Path(error.filename).name} is missing)") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{folder}: damaged run (line {error.lineno}: {error.msg}); run the command again") from error
    if figures.get("schema") != SCHEMA:
        raise InputError(f"{folder}: schema {figures.get('schema')}, this evalsuite reads {SCHEMA}")
    metrics = [Metric(**m) for m in figures["metrics"]]
    health = {task: Health(**h) for task, h in figures["health"].items()}
    return Run(name or manifest["name"], folder, manifest, metrics, health)


def list_runs(store: Path) -> list[Run]:
    """All finished runs of a store, the oldest first."""
    root = store / "runs"
    folders = sorted(p.parent for p in root.glob("**/manifest.json") if not any(q.startswith(".") for q in p.parts))
    runs = [read_run(f, f.relative_to(root).as_posix()) for f in folders]
    return sorted(runs, key=lambda r: (r.manifest.get("finished", ""), r.name))


def open_run(store: Path, name: str) -> Run:
    """A run by its name in the store, its folder, or `latest`."""
    if (Path(name) / "manifest.json").is_file():
        return read_run(Path(name))
    if name == "latest":
        runs = list_runs(store)
        if not runs:
            raise InputError(f"{store}: no runs yet (evalsuite run MODEL --tasks ...)")
        return runs[-1]
    folder = run_folder(store, name)
    if not (folder / "manifest.json").is_file():
        raise unknown("run", name, [r.name for r in list_runs(store)])
    return read_run(folder, name)
