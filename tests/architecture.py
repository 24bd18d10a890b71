"""The house as it is built: which room imports which, read off the code. The picture and the last column of the table
in docs/architecture.md are made from it.

    python tests/architecture.py        # brings the page up to date
"""

import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "tests") not in sys.path:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_house import ORDER, PACKAGE, imports, room  # noqa: E402

PAGE = ROOT / "docs" / "architecture.md"
PICTURE = re.compile(r"(?<=```text\n).*?(?=```)", re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \|([^|]*)\|$", re.MULTILINE)
WIDTH = 100


@cache
def needs() -> dict[str, set[str]]:
    """The rooms that each room imports, those inside functions too."""
    found: dict[str, set[str]] = {name: set() for name in ORDER}
    for path in sorted(PACKAGE.rglob("*.py")):
        if room(path) in found and "content" not in path.parts:
            found[room(path)] |= imports(path) & set(ORDER) - {room(path)}
    return found


def below(name: str) -> set[str]:
    """Every room that this one rests on, directly or through others."""
    return needs()[name].union(*(below(other) for other in needs()[name]))


def nearest(name: str) -> list[str]:
    """The rooms that it imports, without those that they rest on: the arrows that a drawing needs."""
    through = set().union(*(below(other) for other in needs()[name]))
    return [other for other in ORDER if other in needs()[name] - through]


def floors() -> list[list[str]]:
    """Rooms by floor, the ground first: a room stands one floor above the highest that it imports."""
    level: dict[str, int] = {}
    for name in ORDER:  # rooms import only from their left, so those below are known
        level[name] = 1 + max((level[other] for other in needs()[name]), default=-1)
    return [[name for name in ORDER if level[name] == floor] for floor in range(max(level.values()) + 1)]


def drawn(text: str) -> str:
    """The page with the picture and the column as the code has them."""
    picture = "\n".join(" · ".join(floor).center(WIDTH).rstrip() for floor in reversed(floors())) + "\n"

    def row(match: re.Match[str]) -> str:
        return f"| `{match[1]}` | {match[2]} | {', '.join(nearest(match[1])) or '–'} |"

    return ROW.sub(row, PICTURE.sub(lambda _: picture, text, count=1))


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
