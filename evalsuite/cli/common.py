"""What several verbs share: options, progress on stderr, tables and JSON on stdout."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.errors import InputError
from evalsuite.records import Health, Metric, Progress

if TYPE_CHECKING:
    from evalsuite.models import ModelOptions
    from evalsuite.planning import Options
    from evalsuite.store import Run

SECRETS = ("api_key", "apikey", "key", "token", "hf_token", "secret", "password", "authorization")


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """What a comparison can be asked: by `compare`, and by the report of one."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a name in the store, a folder, or latest")
    parser.add_argument("--baseline", metavar="RUN", help="compare every run with this one (default: its parent)")
    parser.add_argument("--lineage", metavar="A,B,C", help="runs in the order of training, the base first")
    parser.add_argument(
        "--training",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="training or preference prompts: samples that stand in them, and the score on the clean part",
    )
    parser.add_argument(
        "--kl", action="store_true", help="KL to the parent on the run's stored answers (loads both models)"
    )
    parser.add_argument("--reward-model", metavar="M", help="rewards of the stored answers, beside every score")


def add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="DIR", help="where runs live (default: $EVALSUITE_STORE or evalsuite-store)")
    parser.add_argument(
        "--plugins", metavar="DIR", action="append", default=[], help="a folder with your own tasks, judges or methods"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else there")


def store_of(args: argparse.Namespace) -> Path:
    from evalsuite import registry
    from evalsuite.store import default_store

    registry.add_plugins(getattr(args, "plugins", []))
    return Path(args.store) if args.store else default_store()


def add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--template", default="auto", metavar="auto|raw|FILE", help="chat template (default: auto)")
    group.add_argument("--system", metavar="TEXT", help="system prompt put before every conversation")
    group.add_argument("--dtype", default="auto", help="auto, float32, float16 or bfloat16")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    group.add_argument("--key-env", default="OPENAI_API_KEY", metavar="NAME", help="environment variable with the key")
    group.add_argument("--revision", metavar="SHA", help="revision of a hub id")
    group.add_argument("--trust-remote-code", action="store_true", help="run code that ships with a checkpoint")
    group.add_argument("--model-args", action="append", default=[], metavar="KEY=VALUE", help="engine arguments")


def model_options(args: argparse.Namespace) -> "ModelOptions":
    from evalsuite.models import ModelOptions

    return ModelOptions(
        template=args.template,
        system=args.system,
        dtype=args.dtype,
        device=args.device,
        key_env=args.key_env,
        trust_remote_code=args.trust_remote_code,
        revision=args.revision,
        args=_model_args(args.model_args),
    )


def _model_args(texts: Sequence[str]) -> dict[str, str]:
    """Engine arguments. A key among them would stand in the shell's history, the process list and the manifest."""
    found = pairs(texts, "--model-args")
    for key in found:
        if key.lower().replace("-", "_") in SECRETS:
            raise InputError(
                f"--model-args {key}=...: keys are not taken here; name a variable that has it by --key-env"
            )
    return found


def add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("samples and sampling")
    group.add_argument("--limit", type=int, metavar="N", help="the first N samples of each task")
    group.add_argument("--sample", action="append", default=[], metavar="ID", help="only this sample (repeatable)")
    group.add_argument("--repeats", type=int, default=1, metavar="N", help="draws of every sample")
    group.add_argument("--max-tokens", type=int, metavar="N", help="ceiling for every answer's length")
    group.add_argument(
        "--gen", action="append", default=[], metavar="KEY=VALUE", help="temperature, top_p, top_k, stop, ..."
    )
    group.add_argument("--fewshot", type=int, metavar="N", help="demonstrations, where a task has them")
    group.add_argument("--seed", type=int, default=0, metavar="N")
    group.add_argument("--data", action="append", default=[], metavar="TASK=PATH", help="a task's data file or folder")
    group.add_argument(
        "--prompts", action="append", default=[], metavar="official=PATH", help="a benchmark's own prompt text"
    )
    group.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="ROLE=MODEL",
        help="a model that a task needs beside yours: judge, auxiliary, reference, encoder, entailment",
    )
    group.add_argument("--run-code", action="store_true", help="let tasks execute what the model wrote, in a sandbox")
    group.add_argument("--max-errors", type=int, default=20, metavar="N", help="failed requests before the run stops")


def sampling_options(args: argparse.Namespace) -> "Options":
    from evalsuite.planning import Options

    return Options(
        limit=args.limit,
        samples=tuple(args.sample),
        repeats=args.repeats,
        max_tokens=args.max_tokens,
        gen=pairs(args.gen, "--gen"),
        fewshot=args.fewshot,
        seed=args.seed,
        data=pairs(args.data, "--data"),
        prompts=pairs(args.prompts, "--prompts"),
        roles=roles(args),
        run_code=args.run_code,
        max_errors=args.max_errors,
    )


def roles(args: argparse.Namespace) -> dict[str, str]:
    """Models by role; `--judge-model M` is `--role judge=M`."""
    model = getattr(args, "judge_model", None)
    return {**({"judge": model} if model else {}), **pairs(args.role, "--role")}


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """KEY=VALUE texts as a dictionary."""
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key or not value:
            raise InputError(f"{option} {text}: expected KEY=VALUE")
        found[key.strip()] = value
    return found


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False))


def say(text: str) -> None:
    """A message to the person at the terminal; stdout stays for results."""
    print(text, file=sys.stderr, flush=True)


def line(text: str) -> str:
    """A stranger's text on one line of the terminal: control characters are shown, not obeyed."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:600]


def meter(what: str) -> Progress:
    """Progress on stderr: a line that is rewritten on a terminal, one line every ten seconds elsewhere."""
    started, shown, finished = 0.0, 0.0, False
    first, before, whole = 0, 0, -1

    def show(done: int, total: int, detail: str) -> None:
        nonlocal started, shown, finished, first, before, whole
        now = time.monotonic()
        if done < before or total != whole:  # another stage, with a speed of its own
            started, first, whole = now, done, total
        before, end = done, done >= total
        finished = finished and end
        live = sys.stderr.isatty()
        if finished or (not end and now - shown < (0.2 if live else 10)):
            return
        finished = end  # later stages answered at once say nothing more
        shown = now
        speed = (done - first) / max(now - started, 1e-9)
        left = f", {(total - done) / speed:.0f} s left" if speed > 0 and not end else ""
        line = f"{what}: {done}/{total}" + (f" {detail}" if detail and detail != what else "") + left
        if live:
            print(f"\r\x1b[2K{line}", end="\n" if end else "", file=sys.stderr, flush=True)
        else:
            say(line)

    return show


def figure(metric: Metric) -> str:
    """A metric as text, with its interval: `41.2% [28.0, 56.1]`, or in its own unit."""
    from evalsuite.reporting.numbers import interval_text

    return "no value" if metric.value is None else interval_text(metric.value, metric.low, metric.high, metric.unit)


HEALTH_WARNING = 0.02


def health_cells(health: Health | None) -> list[str]:
    from evalsuite.reporting.numbers import MISSING, share_text

    if health is None or health.n == 0:
        return [MISSING] * 6
    shares = (health.truncated, health.empty, health.refused, health.repeated, health.unparsable)
    tokens = MISSING if health.mean_tokens is None else f"{health.mean_tokens:.0f}"
    return [*(share_text(s) for s in shares), tokens]


def print_runs(runs: "Sequence[Run]", every: bool = False) -> None:
    """The table of one or more runs: headline metrics with n, interval and baselines, health beside them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from evalsuite.reporting.numbers import value_text
    from evalsuite.reporting.tables import leading

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task", no_wrap=True)
    for heading in ("metric", "model"):
        table.add_column(heading, overflow="fold")
    table.add_column("value [95% interval]", no_wrap=True)
    for heading in ("n", "missing", "baseline", "cut", "empty", "refused", "loops", "unread", "tokens"):
        table.add_column(heading, justify="right", no_wrap=True)
    last = ""
    for task, name in dict.fromkeys((m.task, m.name) for r in runs for m in r.metrics if every or leading(m)):
        for run in runs:
            for metric in (m for m in run.metrics if (m.task, m.name) == (task, name)):
                baseline = ", ".join(f"{k} {value_text(v, metric.unit)}" for k, v in metric.baselines.items())
                cells = [task if task != last else "", name, _label(run), figure(metric), str(metric.n)]
                cells += [str(metric.missing or ""), baseline, *health_cells(run.health.get(task))]
                # Text, not markup: names come from files and may hold brackets.
                table.add_row(*(Text(c) for c in cells))
                last = task
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(table)
    for run in runs:
        for task, health in run.health.items():
            if faults := health_faults(health):
                say(f"warning: {_label(run)}, {task}: {', '.join(faults)} (of {health.n} answers)")


def health_faults(health: Health) -> list[str]:
    """What is wrong with more than 2% of the answers, in words; and prompts that lost demonstrations."""
    from evalsuite.reporting.numbers import share_text

    shares = {
        "hit the token limit": health.truncated,
        "empty": health.empty,
        "end in a loop": health.repeated,
        "could not be read": health.unparsable,
        "never closed their reasoning": health.unclosed_reasoning,
    }
    faults = [f"{share_text(s)} {what}" for what, s in shares.items() if s is not None and s > HEALTH_WARNING]
    lost = [f"{health.shortened} prompts lost demonstrations to fit the window"] if health.shortened else []
    return faults + lost


def _label(run: "Run") -> str:
    model: Mapping[str, Any] = run.manifest["model"]
    return str(model["name"]) + (" +system" if model.get("system") else "")
