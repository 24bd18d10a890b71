"""Pages from Jinja templates: one HTML file each, everything inside it, nothing fetched.

What models wrote is untrusted. Templates escape everything; data for scripts travels as JSON in which `<`, `>` and `&`
are escaped, so no text can end its element; and a content security policy names the hashes of our own scripts, so that
nothing else on the page may run.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.reporting.escaping import clean

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(
    template: str, context: Mapping[str, Any], figures: bool = False, script: str = "", style: str | None = None
) -> str:
    """A page from `reports/`. `figures` puts plotly.js into it (once, 4.8 MB); `script`
    names a file of the template's own, to stand behind page.js. With `style` (the one style sheet, for
    `page_head(title, policy, style)`), the policy lets no other one in."""
    from markupsafe import Markup

    scripts = {"page": source("page.js")}
    if script:
        scripts["own"] = source(script)
    if figures:
        scripts["plotly"] = plotly_js()
    return (
        _pages()
        .get_template(template)
        .render(
            **context,
            policy=policy(scripts.values(), style),
            scripts={name: Markup(text) for name, text in scripts.items()},
            style=None if style is None else Markup(style),
            style_id=_map_style(scripts.get("plotly", "")),
        )
    )


def write_page(path: Path, html: str) -> Path:
    """Writes a page; creates its folder. Lone surrogates in a model's text become question marks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(html.encode("utf-8", "replace"))
    return path


def policy(scripts: Iterable[str], style: str | None = None) -> str:
    """A content security policy that lets exactly these inline scripts run and forbids every request. `style`: the one
    style sheet that may stand in the page; attributes stay allowed, because plotly draws with them."""
    allowed = " ".join(_hash(s) for s in scripts)
    # plotly makes an empty style element and adds its rules by script.
    styles = f"style-src-elem {_hash(style)} {_hash('')}; style-src-attr 'unsafe-inline'" if style is not None else ""
    told = ["default-src 'none'", "img-src data: blob:", styles or "style-src 'unsafe-inline'", f"script-src {allowed}"]
    return "; ".join([*told, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"


def script_json(value: Any) -> "Markup":
    """JSON that may stand inside a `<script>` element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup("".join(ESCAPES.get(c, c) for c in text))


def environment(*folders: Path) -> "Environment":
    """Jinja as our pages use it: everything escaped, nothing undefined, figures written as everywhere, and no text of a
    stranger able to turn a line of ours round (`clean` is applied to all that is put in)."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from evalsuite.reporting import numbers

    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    made.filters["clean"] = lambda value: clean(str(value))
    made.filters["script_json"] = script_json
    made.globals.update(
        interval_text=numbers.interval_text,
        value_text=numbers.value_text,
        bounds_text=numbers.bounds_text,
        p_text=numbers.p_text,
        share_text=numbers.share_text,
    )
    return made


@cache
def _pages() -> "Environment":
    from evalsuite.registry import content_root

    return environment(content_root() / "reports")


def source(name: str) -> str:
    """A file of `reports/` as it lies there."""
    loader = _pages().loader
    assert loader is not None
    return loader.get_source(_pages(), name)[0]


def _map_style(script: str) -> str:
    """plotly.js brings a style sheet for its maps along, unless an element of this id stands in the page; a policy that
    names our own sheet would refuse it aloud."""
    found = re.search(r'getElementById\("([0-9a-f]{64})"\)', script)
    return found.group(1) if found else "own"


@cache
def plotly_js() -> str:
    import plotly.offline

    return str(plotly.offline.get_plotlyjs())
