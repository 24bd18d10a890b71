"""Pages and script files of the site. Nothing is fetched from elsewhere, and no page trusts what it shows.

A page's policy names two hashes: that of its style sheet and that of one inline script, which loads our own scripts by
name ('strict-dynamic': what a trusted script loads is trusted, and nothing else runs). So there are no inline handlers
and no style attributes anywhere. Data lie in script files, because a page opened from a disk may not fetch: one call of
`evalsuite.put(key, JSON)` each, with every character escaped that could end it.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.reporting.pages import ESCAPES, environment, write_page

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, context: Mapping[str, Any], depth: int = 0, scripts: Sequence[str] = ()) -> str:
    """A page `depth` folders below the site's root; `scripts` are loaded in order, relative to that root."""
    from markupsafe import Markup

    root = "../" * depth
    style, boot = _text("assets/site.css"), _text("assets/boot.js")
    return (
        _environment()
        .get_template(template)
        .render(
            **context,
            root=root,
            policy=policy(style, boot),
            style=Markup(style),
            boot=Markup(boot),
            scripts=" ".join(root + s for s in scripts),
        )
    )


def policy(style: str, boot: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(boot)}' 'strict-dynamic'; "
        "base-uri 'none'; form-action 'none'"
    )


def write_data(path: Path, key: str, value: Any) -> int:
    """A script file that hands `value` to the page. Returns its size in bytes."""
    text = f"evalsuite.put({_escaped(key)},{_escaped(value)});\n"
    write_page(path, text)
    return path.stat().st_size


def _escaped(value: Any) -> str:
    """As `script_json`, for much text."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, written in ESCAPES.items():
        text = text.replace(character, written)
    return text


def write_assets(out: Path) -> None:
    from evalsuite.registry import content_root

    for path in sorted((content_root() / "leaderboard" / "assets").glob("*.js")):
        if path.name != "boot.js":  # stands in every page
            write_page(out / "assets" / path.name, _text(f"assets/{path.name}"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()


@cache
def _text(name: str) -> str:
    from evalsuite.registry import content_root

    return (content_root() / "leaderboard" / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    from evalsuite.registry import content_root

    return environment(content_root() / "leaderboard" / "templates")
