"""preferences explain: its options, the models it needs, and its table in the terminal."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common
from evalsuite.cli.preferences_folder import check_folder, complete
from evalsuite.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from evalsuite.features.contract import Effect, Explanation
    from evalsuite.preferences.explain import Options
    from evalsuite.preferences.table import Table
    from evalsuite.running import Engine

OURS = ("manifest.json", "features.parquet", "activations.npy", "examples.jsonl", "explanation.json", "report.html",
        "a.npy", "b.npy", "sae.safetensors", "sae_lens", "training.safetensors")  # fmt: skip
"""What the folder holds; the manifest says that it is complete."""
NUMBERS = ("width", "active", "epochs", "batch", "patience", "least_epochs", "dead_after")


def add_options(verb: argparse.ArgumentParser) -> None:
    source = verb.add_argument_group("features")
    source.add_argument(
        "--embedder", metavar="MODEL", help="embeds the answers: minilm (default), a folder, openai:NAME@URL"
    )
    source.add_argument("--embeddings", type=Path, metavar="FILE", help="embeddings that you have (npy, parquet, ...)")
    source.add_argument("--embed", choices=("response", "conversation"), default="response", help="what is embedded")
    source.add_argument("--columns", metavar="A,B", help="measured columns as features, instead of embeddings")
    source.add_argument(
        "--pretrained", type=Path, metavar="DIR", help="an sae-lens SAE of the embedder's residual stream"
    )
    source.add_argument(
        "--sae", action="append", default=[], metavar="KEY=VALUE", help="width=32, active=4, epochs=50, ..."
    )
    words = verb.add_argument_group("descriptions")
    words.add_argument("--judge-model", metavar="MODEL", help="describes features (default: words that go with them)")
    words.add_argument("--candidates", type=int, default=3, metavar="N", help="descriptions tried for each feature (3)")
    words.add_argument(
        "--fidelity", type=int, default=200, metavar="N", help="fresh pairs that test the best one (200)"
    )
    words.add_argument("--max-errors", type=int, default=20, metavar="N", help="failed requests before it stops")
    fits = verb.add_argument_group("effects")
    fits.add_argument("--controls", default="length,format", metavar="A,B", help="held fixed beside a feature; or none")
    fits.add_argument("--adjust", action="append", default=[], metavar="COLUMN", help="a known confounder (repeatable)")
    fits.add_argument("--reward", default="", metavar="COLUMN", help="a reward model's scores, to compare with")
    fits.add_argument("--by", choices=("both", "conversation", "annotator", "none"), default="both",
                      help="whose labels depend on each other")  # fmt: skip
    fits.add_argument("--ties", choices=("half", "drop"), default="half", help="ties count half, or not at all")
    fits.add_argument("--alpha", type=float, default=0.05, metavar="P", help="level of the tests (0.05)")
    common.add_store(verb)
    common.add_model(verb)


def options_of(args: argparse.Namespace) -> "Options":
    from evalsuite.features.describe import Describing
    from evalsuite.preferences.explain import Options

    if not 0 < args.alpha < 1:
        raise InputError(f"--alpha {args.alpha}: must lie between 0 and 1")
    if args.candidates < 1 or args.fidelity < 4:
        raise InputError("--candidates must be at least 1, --fidelity at least 4")
    if args.embeddings and args.embedder and not args.pretrained:
        raise InputError("give --embeddings FILE or --embedder MODEL, not both")
    return Options(
        embeddings=args.embeddings,
        embedder=args.embedder or "",
        what=args.embed,
        columns=_names(args.columns),
        pretrained=args.pretrained,
        sae={key: _number(key, value) for key, value in common.pairs(args.sae, "--sae").items()},
        controls=() if args.controls == "none" else _names(args.controls),
        adjust=tuple(name for text in args.adjust for name in _names(text)),
        reward=args.reward,
        by=args.by,
        ties=args.ties,
        alpha=args.alpha,
        seed=args.seed,
        describing=Describing(candidates=args.candidates, testing=args.fidelity),
    )


def explain(args: argparse.Namespace, read: "Callable[[argparse.Namespace], Table]") -> int:
    """Explains the pairs that `read` gives, writes the folder with its page, prints the table."""
    from evalsuite.preferences.explain import Engines, run_explain
    from evalsuite.reporting.preferences import write_explanation, write_page
    from evalsuite.reporting.preferences_files import as_json

    if args.out is None:
        raise InputError("--out DIR is wanted: features, activations and examples are written there")
    check_folder(args.out, OURS)
    args.embedder = _embedder(args)
    options, pairs = options_of(args), read(args)
    with complete(args.out, OURS) as folder:
        engines = Engines(_engine(args, args.embedder), _engine(args, args.judge_model))
        try:
            found = run_explain(pairs, folder, options, engines, common.meter("explain"))
        finally:
            for engine in (engines.embedder, engines.judge):
                if engine is not None:
                    engine.close()
        write_explanation(found, folder)
        write_page(found, folder / "report.html")
    if args.json:
        common.print_json(as_json(found))
    else:
        _print(found)
        common.say(f"written: {args.out / 'report.html'}, features.parquet and activations.npy beside it")
    return 0


def _embedder(args: argparse.Namespace) -> str | None:
    """The embedding model that was asked for; MiniLM where nothing was and it is installed."""
    from evalsuite.features.embed import minilm
    from evalsuite.preferences.explain import NOTHING

    if args.embedder or args.embeddings or args.columns or args.pretrained:
        return str(args.embedder) if args.embedder else None
    try:
        minilm()
    except MissingExtra as error:
        raise InputError(f"{NOTHING}; {error}") from error
    return "minilm"


def _engine(args: argparse.Namespace, name: str | None) -> "Engine | None":
    if not name:
        return None
    from evalsuite.features.embed import minilm
    from evalsuite.models import resolve
    from evalsuite.running import Engine

    address = str(minilm()) if name == "minilm" else name
    model = resolve(address, common.model_options(args), common.meter(name))
    return Engine(model, common.store_of(args), max_errors=args.max_errors)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _number(key: str, value: str) -> float | int:
    try:
        return int(value) if key in NUMBERS else float(value)
    except ValueError as error:
        raise InputError(f"--sae {key}={value}: a number is wanted") from error


def _print(found: "Explanation") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from evalsuite.reporting.preferences_readings import read_features
    from evalsuite.reporting.preferences_words import sentence, summary

    console = Console(width=None if _live() else 160, highlight=False)
    console.print(
        Text(f"{found.dataset}: {found.n} pairs, {found.labelled} labelled, {found.ties} ties; {found.source}")
    )
    kind = "adjusted" if found.adjusted_for else "alone"
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feature", overflow="fold", max_width=64)
    middle = ("controlled",) if kind == "adjusted" else ()
    for heading in ("in pairs", "change in win rate (points)", "raw", *middle, "joint", "fidelity r"):
        table.add_column(heading, justify="right", no_wrap=True)
    order = sorted(found.features, key=lambda f: -abs(f.effects[kind].change or 0.0))
    for feature in order:
        effects = feature.effects
        beside = [_change(effects["alone"])] if kind == "adjusted" else []
        fidelity = feature.fidelity.r if feature.fidelity else None
        main = _change(effects[kind], ends=True)
        cells = [f"#{feature.index} {feature.description}", f"{feature.prevalence:.0%}", main, _change(effects["raw"]),
                 *beside, _change(effects["joint"]), "–" if fidelity is None else f"{fidelity:.2f}"]  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    fixed = f"beside {', '.join(found.controls)}" if found.controls else "without controls"
    marks = f"* Bonferroni over {found.tests} tests at {found.alpha}, + Benjamini-Hochberg only"
    console.print(Text(f"{marks if found.tests else 'no feature was tested'}; {fixed}"))
    said = summary(found, read_features(found))
    for line in (said.standing, *said.remarks):
        console.print(Text(line))
    for each in found.predicted:
        if each.auc is None:
            console.print(Text(f"held-out {each.name}: {each.reason}"))
    for note in found.notes:
        console.print(Text(f"note: {sentence(note)}"))


def _change(effect: "Effect", ends: bool = False) -> str:
    if effect.change is None or effect.low is None or effect.high is None:
        return "–"
    mark = "*" if effect.significant_bonferroni else "+" if effect.significant_bh else " "
    text = f"{100 * effect.change:+.1f}"
    return f"{text} [{100 * effect.low:+.1f}, {100 * effect.high:+.1f}]{mark}" if ends else text


def _live() -> bool:
    import sys

    return sys.stdout.isatty()
