"""What the benchmarks of preference data share: their command line, result files, planted differences.

>>> args = parser(__doc__).parse_args([])
>>> x, directions = planted(20_000, 384, seed=0)
>>> record("planted", {"table": [...]}, args)
"""

import argparse
import datetime
import importlib.util
import json
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "transformers", "sae-lens")
Row = dict[str, Any]

if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))


def _engine() -> Any:
    """benchmarks/engine/common.py: hardware, versions, goals."""
    spec = importlib.util.spec_from_file_location("engine_common", HERE.parent / "engine" / "common.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


engine = _engine()
goal, status, rounded = engine.goal, engine.status, engine.rounded


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every script of this folder understands."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a minute instead of the whole; figures are not kept")
    made.add_argument("--work", type=Path, default=ROOT / ".evalsuite" / "preferences", help="what runs leave behind")
    made.add_argument("--out", type=Path, help="result file (default: benchmarks/results/preferences_NAME.json)")
    return made


def record(name: str, result: Row, args: argparse.Namespace) -> Path:
    """Writes the result with date, hardware, threads and versions. A quick run's goes to --work."""
    set_threads = {key: engine.environment()[key] for key in engine.THREADS if key in engine.environment()}
    head = {
        "benchmark": f"preferences/{name}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": args.quick,
        "hardware": engine.hardware(),
        "threads": set_threads,
        "versions": engine.versions(names=PACKAGES),
    }
    quick = args.work / f"quick_{name}.json"
    out: Path = args.out or (quick if args.quick else RESULTS / f"preferences_{name}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rounded({**head, **result}), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {out}")
    return out


def peak_gib() -> float:
    """The most memory that this process has held, pages of memory-mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows of text under a head, columns aligned."""
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def planted(rows: int, dimensions: int, seed: int, noise: float = 0.1, features: int = 32) -> tuple[Any, Any]:
    """Differences with known directions, float32: (x (rows, dimensions), directions (features, dimensions)).

    Each row has 4 active features, signed, of size 0.5 to 1.5; directions are drawn on the sphere; noise is normal with
    this standard deviation in every coordinate (so that at 1536 dimensions it is nearly twice as long as the signal).
    """
    import numpy

    rng = numpy.random.default_rng(seed)
    directions = rng.standard_normal((features, dimensions))
    directions /= numpy.linalg.norm(directions, axis=1, keepdims=True)
    z = numpy.zeros((rows, features))
    active = numpy.argsort(rng.random((rows, features)), axis=1)[:, :4]
    size = rng.choice([-1.0, 1.0], (rows, 4)) * rng.uniform(0.5, 1.5, (rows, 4))
    numpy.put_along_axis(z, active, size, axis=1)
    x = (z @ directions).astype(numpy.float32)
    x += noise * rng.standard_normal((rows, dimensions), dtype=numpy.float32)
    return x, directions.astype(numpy.float32)
