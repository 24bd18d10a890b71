"""100,000 pairs x 1536 dimensions given as embeddings: seconds and peak memory of the SAE part of `explain`.

Embeddings of both texts are written as one memory-mapped .npy (1.2 GB of float32) with planted differences, and read as
`--embeddings FILE` reads them. The SAE trains with its defaults (it stops early where nothing is gained), then reads
every pair. Effects and held-out prediction are not part of it yet.

    python benchmarks/preferences/scale.py [--quick]
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common

PAIRS, DIMENSIONS = 100_000, 1536
MINUTES, GIB = 10, 6


def main() -> int:
    made = common.parser(__doc__)
    made.add_argument("--pairs", type=int, default=PAIRS)
    made.add_argument("--dimensions", type=int, default=DIMENSIONS)
    args = made.parse_args()
    if args.quick:
        args.pairs = min(args.pairs, 10_000)
    args.work.mkdir(parents=True, exist_ok=True)
    file = args.work / "scale.npy"
    directions = write(file, args.pairs, args.dimensions)
    into: common.Row = {"pairs": args.pairs, "dimensions": args.dimensions, "gib_of_embeddings": _gib(file)}
    try:
        features(file, directions, into)
    finally:
        file.unlink()
    into["peak_gib"] = common.peak_gib()
    goals = [
        common.goal("minutes", into["sae_s"] / 60, most=MINUTES),
        common.goal("peak memory, GiB", into["peak_gib"], most=GIB),
        common.goal("planted directions recovered", into["recovered"], least=0.95),
    ]
    common.record("scale", {**into, "goals": goals}, args)
    return common.status(goals)


def features(file: Path, directions: Any, into: common.Row) -> None:
    """The file → differences → SAE → activations, each step timed."""
    import numpy

    from evalsuite.features.given import read_embeddings
    from evalsuite.features.training import train

    begun = time.perf_counter()
    with timed(into, "check_s"):
        embedded = read_embeddings(file)
    with timed(into, "train_s"):
        trained = train(embedded.differences)
    with timed(into, "read_s"):
        z = trained.sae.read(embedded.differences)
    into["sae_s"] = time.perf_counter() - begun
    into |= {"steps": trained.steps, "best_epoch": trained.best, "ended": trained.ended}
    into["active"] = float((z != 0).sum() / len(z))
    into["unexplained"] = trained.held_out.unexplained
    cosines = numpy.abs(directions @ trained.sae.decoder.numpy().T).max(axis=1)
    into["recovered"] = float((cosines > 0.9).mean())
    print(common.rounded(into), flush=True)


def write(file: Path, pairs: int, dimensions: int) -> Any:
    """Both texts' embeddings, part by part; returns the planted directions."""
    import numpy

    rows = numpy.lib.format.open_memmap(file, "w+", numpy.float32, (pairs, 2, dimensions))
    rng = numpy.random.default_rng(0)
    directions = rng.standard_normal((32, dimensions))
    directions /= numpy.linalg.norm(directions, axis=1, keepdims=True)
    for start in range(0, pairs, 5_000):
        count = min(5_000, pairs - start)
        z = numpy.zeros((count, 32))
        active = numpy.argsort(rng.random((count, 32)), axis=1)[:, :4]
        size = rng.choice([-1.0, 1.0], (count, 4)) * rng.uniform(0.5, 1.5, (count, 4))
        numpy.put_along_axis(z, active, size, axis=1)
        common_part = rng.standard_normal((count, dimensions), dtype=numpy.float32)
        noise = 0.1 * rng.standard_normal((count, dimensions), dtype=numpy.float32)
        difference = (z @ directions).astype(numpy.float32) + noise
        rows[start : start + count, 0] = common_part + difference / 2
        rows[start : start + count, 1] = common_part - difference / 2
    rows.flush()
    return directions


@contextmanager
def timed(into: common.Row, name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    into[name] = time.perf_counter() - begun


def _gib(file: Path) -> float:
    return file.stat().st_size / 2**30


if __name__ == "__main__":
    raise SystemExit(main())
