"""demo: the whole story on a real model and a generated world, on two cores, without network.

base → SFT → reward model → DPO, PPO, best-of-n → evaluation → comparison → leaderboard on the microworld, beside a real
model's scores; at its end, what was found in plain words. Every step is a command of ours, printed as it begins
(`demo_story` says which, `demo_lanes` runs them beside each other, `demo_words` reads them). What is trained and
answered is kept, so a second run is quick and an interrupted one goes on.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common

if TYPE_CHECKING:
    from evalsuite.cli.demo_story import Story

LANES = 4
"""Processes at most: further ones would find nothing to do."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("demo", help="the whole story on two cores, no network", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="fewer pairs, steps and questions: half the time")
    parser.add_argument("--size", choices=("mini", "nano"), default="mini", help="of the microworld (default: mini)")
    common.add_store(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.cli.demo_story import FULL, QUICK

    tell(replace(QUICK if args.quick else FULL, size=args.size), common.store_of(args))
    return 0


def tell(story: "Story", store: Path) -> None:
    """Plays every step, then prints what was found and writes the pages."""
    from evalsuite.cli import demo_lanes, demo_words
    from evalsuite.cli.demo_story import RUNS, run_name, steps
    from evalsuite.models.resolve import ALIASES, packaged
    from evalsuite.store import open_run

    started = time.monotonic()
    if story.model in ALIASES:
        packaged(story.model)  # where it is missing, that is said before anything is computed
    made = demo_lanes.play(steps(story, store), min(os.cpu_count() or 1, LANES), store / "demo", common.say)
    runs = {name: open_run(store, run_name(name)) for name in ("real", "real-honest", *RUNS)}
    demo_words.tell(runs, {name: Path(made[name]) for name in ("ppo", "rloo-weak")}, story, store)
    demo_words.publish(runs, story, store)
    print(f"read on:     evalsuite samples {run_name('dpo')} --task microworld_unknown --wrong --store {store}")
    common.say(f"done in {time.monotonic() - started:.0f} s")
