"""`--config FILE`: a verb's options in a TOML file, read as its own command line would be."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from evalsuite.errors import InputError


def with_config(args: argparse.Namespace) -> argparse.Namespace:
    """Options from a TOML file, read as the command line would be; what is typed wins, whatever its value."""
    if not args.config:
        return args
    import tomllib

    path = Path(args.config)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"--config {path}: {error}") from error
    models = given.pop("models", given.pop("model", []))
    words = [str(m) for m in (models if isinstance(models, list) else [models])]
    for key, value in given.items():
        words += _words("--" + key.replace("_", "-"), value)
    verb = args.verb
    typed = vars(_parse(args.words[1:], verb, f"{path} and the command line", bare=True))
    merged = {**vars(_parse(words, verb, f"--config {path}")), **typed, "verb": verb, "func": args.func}
    for name in ("models", "tasks", "responses"):  # the file's stay where none is typed
        if name in typed and not typed[name]:
            merged[name] = vars(_parse(words, verb, f"--config {path}")).get(name)
    return argparse.Namespace(**{**vars(args), **merged, "config": None})


def _parse(words: Sequence[str], verb: str, where: str, bare: bool = False) -> argparse.Namespace:
    """Words as the verb's own parser reads them; `bare` leaves out what was not given. Raises InputError."""
    from evalsuite.cli import parser

    top = parser()
    verbs: Any = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    chosen: argparse.ArgumentParser = verbs.choices[verb]
    for action in chosen._actions:
        action.required = False
        if not action.option_strings:
            action.nargs = "*" if action.dest == "models" else "?"
        if bare:
            action.default = argparse.SUPPRESS

    def fail(message: str) -> NoReturn:
        raise InputError(f"{where}: {message}")

    chosen.error = fail  # type: ignore[method-assign]
    found, left = chosen.parse_known_args(list(words))
    if left:
        fail(f"unknown option {' '.join(left)}")
    return found


def _words(option: str, value: object) -> list[str]:
    # Joined by "=", so that a value may begin with a dash.
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, dict):
        return [f"{option}={k}={v}" for k, v in value.items()]
    if isinstance(value, list):
        return [f"{option}={v}" for v in ([",".join(map(str, value))] if option == "--tasks" else value)]
    return [f"{option}={value}"]
