"""train: reference trainers, a method each; what they write is a checkpoint that `run` evaluates."""

import argparse
from pathlib import Path
from typing import Any

from evalsuite.cli import common
from evalsuite.errors import InputError

EPILOG = """\
KEY=VALUE are the method's knobs and the settings of every method, named as in TRL (learning_rate=1e-6, beta=0.1,
num_train_epochs=1, per_device_train_batch_size=8, max_length=1024, lora_r=16, ...); they win over the recipe's.
On several GPUs or nodes: accelerate launch -m evalsuite train ...
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "train",
        help="train a reference policy or reward model (see: list methods)",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--model", required=True, metavar="M", help="the checkpoint to start from")
    parser.add_argument("--data", required=True, metavar="D", help="a file or folder (pairs: also a Hub id)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--reward",
        action="append",
        metavar="R[=WEIGHT]",
        help="online methods: a reward model, gold[:WORLD], task:NAME, FILE.py:FUNCTION; several are combined "
        "(combine=sum|lsc)",
    )
    parser.add_argument("--gold", metavar="R", help="a second reward, told in the log and learned from nowhere")
    parser.add_argument("--recipe", metavar="NAME|FILE", help="settings by name (see: list recipes) or a YAML file")
    parser.add_argument("--engine", choices=("own", "trl"), default="own", help="whose loop trains (trl: extra train)")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N rows")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished training in --out")
    parser.add_argument("--skip-bad", action="store_true", help="count rows that cannot be used instead of refusing")
    parser.add_argument("--log-to", action="append", default=[], choices=("tensorboard", "wandb"))
    parser.add_argument(
        "--evaluate", metavar="A,B", help="tasks to evaluate every eval_steps=N steps, on --evaluate-limit samples"
    )
    parser.add_argument("--evaluate-limit", type=int, metavar="N")
    parser.add_argument("--stop-against", metavar="RUN", help="stop once a task may have lost more than --margin to it")
    parser.add_argument("--margin", default="1pt", help="with --stop-against: 1pt, 0.5%%, 0.02 (default: 1pt)")
    common.add_store(parser)
    common.add_json(parser)
    common.add_model(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.training import launching
    from evalsuite.training.run import Order, main_process, start

    store = common.store_of(args)
    order = Order(
        method=args.method,
        model=args.model,
        data=args.data,
        out=args.out,
        changes=_changes(args),
        limit=args.limit,
        trackers=args.log_to,
        options=common.model_options(args),
        reward=args.reward,
        gold=args.gold,
        watch=_watch(args, store),
        say=common.say,
    )
    if args.engine == "trl":
        from evalsuite.training import trl_bridge

        common.say(trl_bridge.QUIET)
        start = trl_bridge.start
    card = start(order, args.resume, common.meter(f"train {args.method}"))
    launching.leave()
    if not main_process():
        return 0
    if args.json:
        common.print_json(card)
    else:
        skipped = sum(card["data"]["skipped"].values())
        left = f", {skipped} rows left out" if skipped else ""
        told = "".join(f", {k} {v:.4g}" for k, v in card.get("figures", {}).items() if v is not None)
        print(f"{args.out}: {card['steps']} steps on {card['data']['items']} items{left}{told}")
    return 0


def _watch(args: argparse.Namespace, store: Path) -> Any:
    """What is evaluated as training goes; None where nothing is."""
    from evalsuite.training.callbacks import Watch

    if args.evaluate is None:
        if args.stop_against is not None:
            raise InputError("--stop-against: needs --evaluate TASKS")
        return None
    return Watch(
        args.evaluate.split(","),
        0,
        args.out,
        args.evaluate_limit,
        store=store,
        against=args.stop_against,
        margin=args.margin,
    )


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """The recipe's settings, then those of the command line."""
    from evalsuite.training import recipes

    found: dict[str, Any] = recipes.read(args.recipe, args.method) if args.recipe else {}
    for name in ("dtype",):
        if getattr(args, name) != "auto":
            found[name] = getattr(args, name)
    if args.skip_bad:
        found["skip_bad"] = True
    return found | common.pairs(args.changes, "train")
