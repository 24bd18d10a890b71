"""What the demo found, in plain words with intervals; then where its pages are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common
from evalsuite.cli.demo_measured import GOLD, Change, changes, drift

if TYPE_CHECKING:
    from evalsuite.cli.demo_story import Story
    from evalsuite.comparison import Difference
    from evalsuite.store import Run

METHODS = {"dpo": "DPO", "ppo": "PPO", "best-of-n": "best of {n}", "rloo-weak": "RLOO, weak reward"}
POINTS = 7
"""Rows of a reward curve."""


def tell(runs: "Mapping[str, Run]", folders: Mapping[str, Path], story: "Story", store: Path) -> None:
    """`folders`: checkpoints with a training log that knows the gold reward."""
    from evalsuite.cli.demo_story import address

    print("\nWhat was found (every interval is a 95% one; n counts questions)\n")
    _real(runs["real"], runs["real-honest"], story.model)
    _fine_tuning(runs["base"], runs["sft"])
    names = {name: label.format(n=story.n) for name, label in METHODS.items()}
    found = {label: changes(runs[name], runs["sft"], address(story, "gold"), store) for name, label in names.items()}
    away = {label: drift(runs[name], runs["sft"], store) for name, label in names.items()}
    _table(found, away, story)
    for label, made in found.items():
        print(f"  {sentence(label, made)}")
    print()
    for name, folder in folders.items():
        _curve(names[name], folder)


def _real(plain: "Run", honest: "Run", model: str) -> None:
    from evalsuite.comparison import paired

    print(f"{model}, a real model, told to admit ignorance (same weights, same questions):")
    for difference in paired(honest, plain):
        _difference(difference)
    for metric in (m for m in honest.metrics if m.name.startswith("win_rate[")):
        won = f"{common.figure(metric)}, n={metric.n}, {metric.missing} without a verdict"
        print(f"  its answers to {metric.task}, judged in both orders by the model itself, win {won} (a tie is 50%)")


def _fine_tuning(base: "Run", sft: "Run") -> None:
    from evalsuite.comparison import paired

    print("\nThe microworld, where the truth is known. What supervised fine-tuning did to the base model:")
    for difference in paired(sft, base):
        _difference(difference)


def _difference(d: "Difference") -> None:
    from evalsuite.reporting.numbers import interval_text, value_text

    if not d.primary or d.value is None or d.baseline is None or d.run is None:
        return
    sides = f"{value_text(d.baseline.value, d.unit)} → {value_text(d.run.value, d.unit)}"
    change = interval_text(d.value, d.low, d.high, d.unit, sign=True)
    word = "no difference was found" if d.tied else d.verdict
    print(f"  {d.task} {d.metric}: {sides}, {change}, n={d.n}: {word}")


def _table(found: Mapping[str, Sequence[Change]], away: Mapping[str, Any], story: "Story") -> None:
    """Methods side by side. A figure that moved after adjustment carries the word."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    print("\nWhat each method did to the fine-tuned model (difference from it, paired, at temperature 1):")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for label in found:
        table.add_column(label, no_wrap=True)
    by_name = {label: {change.what: change for change in made} for label, made in found.items()}
    for what in dict.fromkeys(change.what for made in found.values() for change in made):
        table.add_row(what, *(Text(cell(named[what]) if what in named else "–") for named in by_name.values()))
    kl = [f"{k[0]:.1f} [{k[1]:.1f}, {k[2]:.1f}] nats".replace("-", "−") if k else bound(story.n) for k in away.values()]
    table.add_row("KL to it, an answer", *kl)
    Console(width=160).print(table)


def cell(change: Change) -> str:
    """'+1.42 [+1.20, +1.64] better'."""
    word = {"better": " better", "worse": " worse", "changed": " changed"}.get(change.verdict, "")
    return f"{amount(change)}{word}"


def amount(change: Change) -> str:
    """A difference with its interval: points of a share, else two digits behind the point."""
    if change.value is None or change.low is None or change.high is None:
        return "no value"
    share = change.unit == "share"
    scale, digits, unit = (100, 1, " pt") if share else (1, 2, "")
    value, low, high = (f"{scale * x:+.{digits}f}".replace("-", "−") for x in (change.value, change.low, change.high))
    return f"{value}{unit} [{low}, {high}]"


def bound(n: int) -> str:
    from evalsuite.training.objectives.targets import best_of_n_kl

    return f"at most {best_of_n_kl(n):.1f} nats"


def sentence(label: str, made: Sequence[Change]) -> str:
    """'DPO: better in gold reward (+1.42 ..., n=100); no difference was found in ...'."""
    moved = {v: [c for c in made if c.verdict == v] for v in ("better", "worse", "changed", "tied")}
    parts = []
    for verdict, said in (("better", "better in"), ("worse", "worse in"), ("changed", "changed:")):
        named = [f"{c.what} ({amount(c)}, n={c.n})" for c in moved[verdict]]
        parts += [f"{said} {', '.join(named)}"] if named else []
    still = [c.what for c in moved["tied"]]
    parts += [f"no difference was found in {', '.join(still)}"] if still else []
    tax = any(c.what == GOLD for c in moved["better"]) and moved["worse"]
    return f"{label}: {'; '.join(parts)}.{' What got worse is its alignment tax.' if tax else ''}"


def _curve(label: str, folder: Path) -> None:
    """Proxy and gold reward as training drifts away from the fine-tuned model, out of the training log."""
    from evalsuite.comparison.training_curve import overoptimisation
    from evalsuite.training import log

    curve = overoptimisation(label, log.read(folder))
    if curve is None:
        return
    print(f"{label}, reward against drift, from its training log ({curve.steps} rounds):")
    print("    step   KL, nats   reward it is paid   gold reward")
    for place in sorted({round(i * (len(curve.points) - 1) / (POINTS - 1)) for i in range(POINTS)}):
        point = curve.points[place]
        kl, paid, gold = (_number(point[name]) for name in ("kl", "reward", "gold"))
        print(f"  {point['step']:6.0f} {kl:>10} {paid:>19} {gold:>13}")
    told = [
        f"{what} {i.value:+.2f} [{i.low:+.2f}, {i.high:+.2f}]".replace("-", "−")
        for what, i in (("paid reward", curve.proxy), ("gold", curve.gold))
        if i is not None and i.value is not None and i.low is not None and i.high is not None
    ]
    late = ", ".join(told) or "too few steps to tell"
    print(f"  last third against the middle one: {late}: {VERDICTS[curve.verdict]}\n")


VERDICTS = {
    "over-optimised": "over-optimised (what it is paid rises, what it is worth falls)",
    "stalled": "stalled (what it is paid rises, what it is worth does not)",
    "no sign": "no sign of over-optimisation",
    "rewards only": "the gold reward was not logged",
    "too short": "too short to tell",
}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def publish(runs: "Mapping[str, Run]", story: "Story", store: Path) -> None:
    """The report of all runs, each beside its parent; the page that compares the methods, which all began at the
    fine-tuned model; the leaderboard."""
    from evalsuite.cli.demo_story import address
    from evalsuite.comparison import Asked
    from evalsuite.publishing import build_site
    from evalsuite.reporting import write_report

    folder = store / "demo"
    asked = Asked(baseline=runs["sft"], reward_model=address(story, "gold"), store=store)
    methods = [runs[name] for name in METHODS]
    write_report(list(runs.values()), folder / "report.html", "What alignment did: the demo")
    write_report(methods, folder / "comparison.html", "What each method did to the fine-tuned model", asked)
    build_site(list(runs.values()), folder / "leaderboard")
    print(f"report:      {folder / 'report.html'}")
    print(f"comparison:  {folder / 'comparison.html'}")
    print(f"leaderboard: {folder / 'leaderboard' / 'index.html'}")
