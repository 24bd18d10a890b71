"""Finished runs: `STORE/runs/NAME/` with `manifest.json`, `metrics.json` and `samples.parquet`.

A run's folder appears whole (written beside and renamed). `metrics.json` holds no time and no path, so equal work gives
equal bytes; everything about when and where stands in the manifest.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.errors import InputError, StoreError, unknown
from evalsuite.records import Health, Metric
from evalsuite.store.samples import SampleFile

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
NESTED = ("target", "metadata", "completions")
LONGEST_NAME = 120  # bytes of one part of a run's name: file systems hold 255, temporary names are longer


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

    @property
    def has_samples(self) -> bool:
        """False for a run that was imported from figures alone."""
        return self.manifest.get("origin", {}).get("samples") is not False

    def samples(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """One row per (task, sample, repeat). Columns: task, sample, repeat, family, question, prompt, answer,
        reasoning, finish_reason, tokens, prompt_tokens; JSON text in target, metadata, completions; and for each score
        name `score.NAME`, `reason.NAME`, `weight.NAME`, `details.NAME` (JSON text). `columns` are those to read."""
        import pandas as pd

        path = self.path / "samples.parquet"
        if not self.has_samples:
            raise InputError(f"run {self.name}: was imported without samples, so there are only its figures to show")
        try:
            return pd.read_parquet(path, columns=None if columns is None else list(columns))
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]}); run the command again") from error

    def rows(self, task: str | None = None) -> list[dict[str, Any]]:
        """The same rows (of one task) as dictionaries; what is absent is None, never NaN."""
        frame = self.samples()
        frame = frame if task is None else frame[frame["task"] == task]
        lines = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return [{str(key): value for key, value in line.items()} for line in lines]


def write_run(
    store: Path,
    name: str,
    manifest: Mapping[str, Any],
    metrics: Sequence[Metric],
    health: Mapping[str, Health],
    rows: Sequence[Mapping[str, Any]] | Callable[[Path], None],
) -> Run:
    """Writes a run's folder atomically, replacing one of the same name; other files in it (annotations) are kept.
    `rows` are those of `samples.parquet`, or what writes that file.

    Raises StoreError where the store cannot be written.
    """
    target = free_folder(store, name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            temporary.chmod(0o755)
            write_json(temporary / "manifest.json", {"schema": SCHEMA, "name": name, **manifest})
            figures = {
                "schema": SCHEMA,
                "metrics": [asdict(m) for m in metrics],
                "health": {task: asdict(h) for task, h in sorted(health.items())},
            }
            write_json(temporary / "metrics.json", figures)
            if not callable(rows):
                file = SampleFile()
                file.add(rows)
                rows = file.finish
            rows(temporary / "samples.parquet")
            with _locked(store / ".runs.lock"):
                _put_in_place(temporary, target)
                return read_run(target, name)  # before another writer moves the folder aside
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({error}); give another folder with --store") from error


def _put_in_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    for extra in target.iterdir():
        if extra.is_file() and not (temporary / extra.name).exists():
            shutil.copy2(extra, temporary / extra.name)
    old = temporary.with_name(temporary.name + ".old")
    target.rename(old)
    temporary.rename(target)
    shutil.rmtree(old)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time puts a run in place: the same command may run twice at once."""
    try:
        import fcntl
    except ImportError:  # Windows has no advisory locks of this kind
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_json(path: Path, value: Any) -> None:
    """Deterministic JSON: sorted keys, no NaN. Replaces the file in one step."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    half.write_text(text + "\n", encoding="utf-8")
    os.replace(half, path)


def run_folder(store: Path, name: str) -> Path:
    parts = name.split("/")
    odd = "\\" in name or not name.isprintable() or any(len(part.encode()) > LONGEST_NAME for part in parts)
    if odd or any(not part or part.startswith(".") for part in parts):
        shown = name if name.isprintable() else repr(name)
        raise InputError(
            f"run name '{shown[:80]}': use letters, digits, '-', '_' and '.', not starting with '.', "
            f"at most {LONGEST_NAME} bytes"
        )
    return store.joinpath("runs", *parts)


def free_folder(store: Path, name: str) -> Path:
    """The folder of a run that is to be written. Raises InputError where the name stands for something else: `latest`,
    a group of runs (NAME of NAME/MODEL), or a run that this one would lie inside."""
    folder = run_folder(store, name)
    if name == "latest":
        raise InputError("run name 'latest': stands for the newest run; choose another --name")
    inside = next((found for found in _folders(folder) if found != folder), None)
    if inside is not None:
        other = inside.relative_to(store / "runs").as_posix()
        raise InputError(f"run name '{name}' is a group of runs already ({other}); choose another --name")
    for above in list(folder.parents)[: name.count("/")]:
        if (above / "manifest.json").is_file():
            raise InputError(f"run name '{name}' lies inside the run '{above.name}'; choose another --name")
    return folder


def read_run(folder: Path, name: str | None = None) -> Run:
    """Reads a run's folder. Raises InputError where it is no run or of another schema."""
    manifest, figures = read_object(folder / "manifest.json"), read_object(folder / "metrics.json")
    if figures.get("schema") != SCHEMA:
        raise InputError(f"{folder}: schema {figures.get('schema')}, this evalsuite reads {SCHEMA}")
    try:
        metrics = [Metric(**m) for m in figures["metrics"]]
        health = {task: Health(**h) for task, h in figures["health"].items()}
        return Run(name or manifest["name"], folder, manifest, metrics, health)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: damaged run ({type(error).__name__}: {error}); run the command again") from error


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a run's folder. Raises InputError where the file is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path.parent}: not a run ({path.name} is missing)") from error
    except json.JSONDecodeError as error:
        where = f"{path.name} line {error.lineno}: {error.msg}"
        raise InputError(f"{path.parent}: damaged run ({where}); run the command again") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.parent}: damaged run ({path.name}: {error}); run the command again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path.parent}: damaged run ({path.name} is no object); run the command again")
    return value


def list_runs(store: Path) -> list[Run]:
    """All finished runs of a store, the oldest first."""
    root = store / "runs"
    runs = [read_run(f, f.relative_to(root).as_posix()) for f in sorted(_folders(root))]
    return sorted(runs, key=lambda r: (r.manifest.get("finished", ""), r.name))


def _folders(root: Path) -> Iterator[Path]:
    """Folders of runs below a folder (or itself). Hidden ones are half-written; `root` itself may lie anywhere. Unlike
    Path.glob, os.walk passes over a folder that another process moves meanwhile."""
    for place, names, files in os.walk(root):
        names[:] = [n for n in names if not n.startswith(".")]
        if "manifest.json" in files:
            yield Path(place)


def open_run(store: Path, name: str) -> Run:
    """A run by its name in the store, its folder, or `latest`."""
    if name and os.path.isfile(os.path.join(name, "manifest.json")):  # unlike Path.is_file, false for any odd name
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
