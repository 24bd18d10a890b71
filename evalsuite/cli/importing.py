"""import lm-eval | inspect: another harness's log as a run."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common

if TYPE_CHECKING:
    from evalsuite.store import Run

EPILOG = """\
  evalsuite import lm-eval out/my-model                       # results_*.json with samples_*.jsonl (--log_samples)
  evalsuite import inspect logs                               # .eval and .json logs
Then: evalsuite compare RUN RUN | samples RUN | report RUN | leaderboard build
"""
HELP = {
    "lm-eval": "results_*.json of lm-eval, with the samples_*.jsonl beside it; or a folder of them",
    "inspect": "a .eval or .json log of Inspect, or a folder of them",
}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "import",
        help="another harness's log as a run",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(title="harnesses", dest="harness", metavar="HARNESS", required=True)
    for harness, text in HELP.items():
        one = inner.add_parser(harness, help=text, allow_abbrev=False)
        one.add_argument("log", type=Path, metavar="LOG", help=text)
        one.add_argument("--name", metavar="NAME", help="the run's name (default: of the model); several: NAME/MODEL")
        one.add_argument(
            "--lower-is-better", action="append", default=[], metavar="METRIC", help="where the log does not say"
        )
        one.add_argument(
            "--overwrite", action="store_true", help="replace a run of this name that was made differently"
        )
        common.add_store(one)
        common.add_json(one)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.importing import import_logs

    store = common.store_of(args)
    runs = import_logs(args.harness, args.log, store, args.name, args.lower_is_better, args.overwrite)
    if args.json:
        common.print_json({"schema": 1, "runs": [_json(run) for run in runs]})
        return 0
    common.print_runs(runs)
    for run in runs:
        origin = run.manifest["origin"]
        common.say(
            f"{run.name}: from {origin['harness']} {common.line(origin['version'])}, {len(origin['files'])} files"
        )
        for note in origin["notes"]:
            common.say(f"  {common.line(note)}")
    return 0


def _json(run: "Run") -> dict[str, Any]:
    figures = [asdict(m) for m in run.metrics]
    return {"run": run.name, "path": str(run.path), "origin": run.manifest["origin"], "metrics": figures}
