"""check: gold answers score full, corrupted ones less, parsers pass their tables, one BOS."""

import argparse
from collections import Counter
from dataclasses import asdict

from evalsuite.cli import common

MARKS = {"pass": "ok  ", "fail": "FAIL", "skip": "skip"}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("check", help="does every task and judge measure what it says?", allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="TASK|JUDGE|MODEL", help="default: every task and judge")
    parser.add_argument("--limit", type=int, metavar="N", help="samples of each task (default: 200)")
    parser.add_argument("--data", action="append", default=[], metavar="TASK=PATH")
    parser.add_argument("--prompts", action="append", default=[], metavar="official=PATH")
    common.add_store(parser)
    common.add_json(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite import check
    from evalsuite.planning import Options

    store = common.store_of(args)
    options = Options(
        limit=args.limit, data=common.pairs(args.data, "--data"), prompts=common.pairs(args.prompts, "--prompts")
    )
    findings = []
    for finding in check.check_all(args.names, options, store):
        findings.append(finding)
        if not args.json:
            print(f"{MARKS[finding.status]} {finding.subject:44} {finding.property:24} {finding.detail}", flush=True)
    counts = Counter(f.status for f in findings)
    if args.json:
        common.print_json({"findings": [asdict(f) for f in findings], "counts": dict(counts)})
    else:
        print(f"{counts['pass']} hold, {counts['fail']} fail, {counts['skip']} skipped")
    return 1 if counts["fail"] else 0
