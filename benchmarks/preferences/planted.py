"""Does the SAE find directions that were planted, and how fast beside sae-lens' own trainer?

20,000 differences of 32 directions, 4 active and signed in each row, noise 0.1, in 384 and 1536 dimensions, 5 seeds.
Ours with its defaults; sae-lens' BatchTopK and Matryoshka at width 32 and, since their features have one sign, 64, and
its AbsTopK (signed, a fixed number in each row). All take the same number of steps on batches of 256 of the same
tensors; theirs see all rows, ours holds a tenth out to choose its epoch. Everything is judged on 5,000 fresh rows, by
what each would use later (theirs: the inference SAE that it saves).

How choices were made: our rate (5e-4 at 1536 dimensions, growing as 1/√dimensions) and the splitting of merged features
were found on seeds 0 to 8 of this very kind of data, so the table's seeds begin at 100. Their learning rate is the best
of four (half ours, ours, twice ours, 3e-3) on a seed that is not in the table.

A direction is recovered where some feature has |cos| > 0.9 with it. `unexplained` is Σ|x - x̂|² / Σ|x|²; `floor` is what
the true directions and activations leave. The table's runs of theirs are kept under --work, so an interrupted run goes
on; their times say nothing, as the machine's load changes. Times are compared apart and always anew: ours and theirs in
turns in this process, one thread, equal steps, the median of the turns' ratios by the clock.

    python benchmarks/preferences/planted.py            about 15 minutes, nearly all of it theirs
    python benchmarks/preferences/planted.py --quick    one seed, 384 dimensions, 12 epochs
"""

import argparse
import contextlib
import hashlib
import inspect
import json
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import common

ROWS, FRESH, BATCH, HELD = 20_000, 5_000, 256, 0.1
FIRST_SEED, TUNING_SEED = 100, 1000
TURNS, TURN_EPOCHS = 5, 4
OURS = "evalsuite"
PEERS = {
    "sae-lens BatchTopK 32": ("batchtopk", 32),
    "sae-lens BatchTopK 64": ("batchtopk", 64),
    "sae-lens Matryoshka 32": ("matryoshka", 32),
    "sae-lens Matryoshka 64": ("matryoshka", 64),
    "sae-lens AbsTopK 32": ("abstopk", 32),
}
WANTED = ("sae-lens BatchTopK 32", "sae-lens BatchTopK 64", "sae-lens Matryoshka 32", "sae-lens Matryoshka 64")
"""Those of the goal: AbsTopK has no threshold, and is there because it is signed."""


def main() -> int:
    made = common.parser(__doc__)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--epochs", type=int, default=15, help="passes over the rows; sets the steps for all")
    made.add_argument("--dimensions", type=int, nargs="+", default=[384, 1536])
    made.add_argument("--minutes", type=float, default=1e9, help="stop after so many; the same command goes on")
    args = made.parse_args()
    if args.quick:
        args.seeds, args.epochs, args.dimensions = 1, 12, [384]
    os.environ["TQDM_DISABLE"] = "1"
    import torch

    torch.set_num_threads(1)
    end = time.monotonic() + 60 * args.minutes
    results: dict[int, dict[str, list[common.Row]]] = {}
    rates: dict[int, dict[str, float]] = {}
    for dimensions in args.dimensions:
        results[dimensions] = {}
        rates[dimensions] = {name: _rate(name, dimensions, args, end) for name in PEERS}
        for name in (OURS, *PEERS):
            runs = [_kept(name, dimensions, seed, rates[dimensions].get(name), args, end) for seed in _seeds(args)]
            results[dimensions][name] = runs
    print(common.table(HEAD, [_line(d, name, runs) for d, by in results.items() for name, runs in by.items()]))
    times = {d: {name: _turns(name, d, rates[d][name]) for name in PEERS} for d in results}
    goals = [g for d, by in results.items() for g in _goals(d, by, times[d])]
    tables = {str(d): by for d, by in results.items()}
    common.record(
        "planted", {"rows": ROWS, "fresh": FRESH, "rates": rates, "runs": tables, "times": times, "goals": goals}, args
    )
    return common.status(goals)


FIGURES = ("cosine", "active", "dead", "unexplained", "floor")
HEAD = ("dims", "trainer", "recovered", "least", "mean cos", "active", "dead", "unexplained", "floor")


def _line(dimensions: int, name: str, runs: list[common.Row]) -> list[Any]:
    def mean(key: str) -> float:
        return sum(run[key] for run in runs) / len(runs)

    least = min(run["recovered"] for run in runs)
    figures = [mean(key) for key in FIGURES]
    return [dimensions, name, mean("recovered"), least, *figures]


def _seeds(args: argparse.Namespace) -> range:
    return range(FIRST_SEED, FIRST_SEED + args.seeds)


def _turns(name: str, dimensions: int, rate: float) -> common.Row:
    """Seconds of ours and theirs in turns, at equal steps, and the medians of their ratios."""
    x, _ = common.planted(ROWS, dimensions, FIRST_SEED)
    steps = TURN_EPOCHS * (int(ROWS * (1 - HELD)) // BATCH)
    turns = []
    for seed in range(TURNS):
        ours, theirs = _ours(x, TURN_EPOCHS, seed), _theirs(x, PEERS[name], steps, rate, seed)
        turns.append([ours["seconds"], theirs["seconds"], ours["cpu_seconds"], theirs["cpu_seconds"]])
    ratio, cpu = (statistics.median(t[i] / t[i + 1] for t in turns) for i in (0, 2))
    print(f"{dimensions} {name}: time ours / theirs {ratio:.3f} by the clock, {cpu:.3f} of the processor", flush=True)
    return {"steps": steps, "ratio": ratio, "cpu_ratio": cpu, "turns": turns}


def _goals(dimensions: int, by: dict[str, list[common.Row]], times: dict[str, common.Row]) -> list[common.Row]:
    ours = by[OURS]

    def mean(name: str, key: str) -> float:
        return float(sum(run[key] for run in by[name]) / len(by[name]))

    at = f"{dimensions} dimensions"
    found = [
        common.goal(f"{at}: directions recovered, the worst seed", min(r["recovered"] for r in ours), least=0.95),
        common.goal(f"{at}: |mean active - 4|, the worst seed", max(abs(r["active"] - 4) for r in ours), most=0.1),
        common.goal(f"{at}: dead features, the worst seed", max(r["dead"] for r in ours), most=0),
    ]
    for name in WANTED:
        found.append(common.goal(f"{at}: time, ours / {name}", times[name]["ratio"], most=0.5))
        less = mean(name, "unexplained") - mean(OURS, "unexplained")
        found.append(common.goal(f"{at}: unexplained, {name} - ours", less, least=0))
        more = mean(OURS, "recovered") - mean(name, "recovered")
        found.append(common.goal(f"{at}: recovered, ours - {name}", more, least=0))
    return found


# -- runs -------------------------------------------------------------------------------------------------------------


def _rate(name: str, dimensions: int, args: argparse.Namespace, end: float) -> float:
    """The better learning rate: of those within a direction of the most recovered, the best reconstruction."""
    from evalsuite.features.sae import Settings

    ours = Settings().rate(dimensions)
    tried = {rate: _kept(name, dimensions, TUNING_SEED, rate, args, end) for rate in (ours / 2, ours, 2 * ours, 3e-3)}
    most = max(run["recovered"] for run in tried.values())
    good = {rate: run for rate, run in tried.items() if run["recovered"] >= most - 0.04}
    return min(good, key=lambda rate: good[rate]["unexplained"])


def _kept(
    name: str, dimensions: int, seed: int, rate: float | None, args: argparse.Namespace, end: float
) -> common.Row:
    """One run's figures; a peer's are taken from an earlier run of this file where there are some."""
    source = "".join(inspect.getsource(part) for part in (_theirs, _their_sae, _batches, _judged, common.planted))
    key = hashlib.sha256(f"{name} {dimensions} {seed} {rate} {args.epochs} {source}".encode()).hexdigest()[:16]
    file = args.work / f"planted-{key}.json"
    if name != OURS and file.exists():
        return json.loads(file.read_text())
    if time.monotonic() > end:
        raise SystemExit("out of minutes: the same command goes on")
    x, directions = common.planted(ROWS + FRESH, dimensions, seed)
    steps = args.epochs * (int(ROWS * (1 - HELD)) // BATCH)
    made = _ours(x[:ROWS], args.epochs, seed) if name == OURS else _theirs(x[:ROWS], PEERS[name], steps, rate, seed)
    figures = _judged(made.pop("sae"), x[ROWS:], directions)
    found: common.Row = {"seed": seed, "rate": rate, "steps": steps, **made, **figures}
    print(f"{dimensions} {name} seed {seed}: {common.rounded(found)}", flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))
    return found


@contextlib.contextmanager
def _timed(into: common.Row) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into["seconds"], into["cpu_seconds"] = time.perf_counter() - wall, time.process_time() - cpu


def _ours(x: Any, epochs: int, seed: int) -> common.Row:
    from evalsuite.features.sae import Settings, decode, encode
    from evalsuite.features.training import train

    into: common.Row = {}
    with _timed(into):
        trained = train(x, Settings(epochs=epochs, patience=0, batch=BATCH, held_out=HELD, seed=seed))
    sae = trained.sae
    into["sae"] = (lambda rows: encode(sae, rows), lambda z: decode(sae, z), sae.decoder)
    into["best_epoch"] = trained.best
    assert trained.steps == epochs * (int(ROWS * (1 - HELD)) // BATCH)
    return into


def _theirs(x: Any, kind: tuple[str, int], steps: int, rate: float | None, seed: int) -> common.Row:
    """sae-lens' trainer on tensors; `encode` and `decode` are those of the inference SAE that it saves."""
    import tempfile

    import torch
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.sae import SAE
    from sae_lens.training.sae_trainer import SAETrainer

    assert rate is not None
    torch.manual_seed(seed)
    sae = _their_sae(kind, x.shape[1])
    config = SAETrainerConfig(
        total_training_samples=steps * BATCH,
        train_batch_size_samples=BATCH,
        lr=rate,
        lr_end=rate,
        dead_feature_window=64,
        n_checkpoints=0,
    )
    into: common.Row = {}
    with _timed(into):
        SAETrainer(cfg=config, sae=sae, data_provider=_batches(torch.from_numpy(x), seed)).fit()
    with tempfile.TemporaryDirectory() as folder:
        sae.save_inference_model(folder)
        saved = SAE.load_from_disk(folder)
    into["sae"] = (saved.encode, saved.decode, saved.W_dec.detach())
    return into


def _their_sae(kind: tuple[str, int], dimensions: int) -> Any:
    from sae_lens.saes.abstopk_sae import AbsTopKTrainingSAE, AbsTopKTrainingSAEConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.matryoshka_batchtopk_sae import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )

    name, width = kind
    shape = {"d_in": dimensions, "d_sae": width, "k": 4}
    if name == "abstopk":
        return AbsTopKTrainingSAE(AbsTopKTrainingSAEConfig(**shape))
    if name == "batchtopk":
        return BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**shape))
    widths = [width // 4, width]
    return MatryoshkaBatchTopKTrainingSAE(MatryoshkaBatchTopKTrainingSAEConfig(**shape, matryoshka_widths=widths))


def _batches(x: Any, seed: int) -> Iterator[Any]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x) - BATCH + 1, BATCH):
            yield x.index_select(0, order[start : start + BATCH])


def _judged(sae: tuple[Any, Any, Any], fresh: Any, directions: Any) -> common.Row:
    """Figures on fresh rows. `floor`: what the true directions leave when each row is projected on its own four."""
    import torch

    encode, decode, decoder = sae
    with torch.no_grad():
        x, truth = torch.from_numpy(fresh), torch.from_numpy(directions)
        z = encode(x)
        unit = decoder / decoder.norm(dim=1, keepdim=True)
        best = (truth @ unit.T).abs().max(dim=1).values
        energy = (x**2).sum()
        p = x @ truth.T
        four = p.abs() >= p.abs().topk(4, dim=1).values[:, -1:]
        return {
            "recovered": float((best > 0.9).float().mean()),
            "cosine": float(best.mean()),
            "active": float((z != 0).float().sum(1).mean()),
            "dead": int(((z != 0).sum(0) == 0).sum()),
            "unexplained": float(((x - decode(z)) ** 2).sum() / energy),
            "floor": float(((x - (p * four) @ truth) ** 2).sum() / energy),
        }


if __name__ == "__main__":
    raise SystemExit(main())
