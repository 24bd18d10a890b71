"""The methods' table of docs/training.md, made from their cards; and what a card's claims mean.

`python -m evalsuite.training.cards docs/training.md` writes the table anew between its two marks.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.training import methods

BEGIN, END = "<!-- methods: made by python -m evalsuite.training.cards docs/training.md -->", "<!-- /methods -->"
COLUMNS = ("method", "objective", "data", "knobs", "source", "becomes")


def table() -> str:
    """One row for each method, in Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    rows += [_row(name, card) for name, card in methods.cards().items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str, card: Mapping[str, Any]) -> tuple[str, ...]:
    knobs = "; ".join(f"`{knob}`: {about}" for knob, about in card["knobs"].items())
    becomes = "; ".join(f"{what} with {setting}" for setting, what in card["reduces_to"])
    cells = (f"`{name}`", card["objective"], card["data"], knobs or "–", card["source"], becomes or "–")
    return tuple(cell.replace("|", "\\|") for cell in cells)


def spliced(page: str) -> str:
    """A page with the table between its marks. Raises ValueError where they are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A card's claim that one method at a setting is another: knobs of both, by name."""

    method: str
    knobs: Mapping[str, str]
    other: str
    others_knobs: Mapping[str, str]


def claim(method: str, setting: str, becomes: str) -> Claim | None:
    """A claim as knobs, where both sides are written so: "loss_type=cdpo, label_smoothing=0" becomes "sigmoid", "dpo"
    or "dpo sigmoid" (a method, the loss_type, or both). Words of the setting that are no KEY=VALUE are conditions on
    the data. None where the other side is no method or loss of ours."""
    words = becomes.split()
    other = words.pop(0) if words and words[0] in methods.names() else method
    config = methods.find(other).Config
    kinds = getattr(config.__annotations__.get("loss_type"), "__args__", ())
    if len(words) > 1 or (words and words[0] not in kinds) or (not words and other == method):
        return None
    knobs = dict(re.findall(r"(\w+)=([\w.+-]+)", setting))
    return Claim(method, knobs, other, {"loss_type": words[0]} if words else {})


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(spliced(target.read_text(encoding="utf-8")), encoding="utf-8")
