"""The command line: one file per verb group. Nothing heavy is imported until a verb runs.

Exit status: 0 done; 1 ran, and the answer is no (gate, check); 2 bad input; 3 stopped before the end (the same command
resumes).
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from evalsuite import __version__
from evalsuite.errors import EvalsuiteError

GROUPS = (
    "run",
    "stored",
    "compare",
    "check",
    "judge",
    "judge_audit",
    "rank",
    "preferences",
    "train",
    "microworld",
    "leaderboard",
    "report",
    "importing",
    "listing",
    "demo",
    "doctor",
)
EPILOG = """\
MODEL is a Hugging Face folder, a hub id, a .gguf file, smollm2, microworld:sft, openai:NAME@URL or responses:FILE.
Start with: evalsuite demo | evalsuite list tasks | evalsuite run smollm2 --tasks plain_facts --limit 20
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="evalsuite",
        description="What did alignment do to this model, and why?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"evalsuite {__version__}")
    verbs = top.add_subparsers(title="verbs", dest="verb", metavar="VERB")
    for group in GROUPS:
        importlib.import_module(f"evalsuite.cli.{group}").add_parser(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    top = parser()
    words = list(sys.argv[1:] if argv is None else argv)
    args, rest = top.parse_known_args(["judge audit", *words[2:]] if words[:2] == ["judge", "audit"] else words)
    several = next((name for name in ("models", "changes") if hasattr(args, name)), None)
    if rest and several and not any(word.startswith("-") for word in rest):
        # argparse takes positionals in one run only; models and settings may stand behind options too
        setattr(args, several, [*getattr(args, several), *rest])
    elif rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    args.words = words
    if args.verb is None:
        top.print_help()
        return 2
    try:
        return int(args.func(args) or 0)
    except EvalsuiteError as error:
        print(f"evalsuite: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("evalsuite: stopped; finished work is kept, the same command resumes", file=sys.stderr)
        return 3
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing is wrong. What is left to write at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
