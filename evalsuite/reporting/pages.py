"""Pages from Jinja templates: one HTML file each, everything inside it, nothing fetched.

What models wrote is untrusted. Templates escape everything; data for scripts travels as JSON in which `<`, `>` and `&`
are escaped, so no text can end its element; and a content security policy names the hashes of our own scripts, so that
nothing else on the page may run.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(template: str, context: Mapping[str, Any], figures: bool = False, script: str = "") -> str:
    """A page from `reports/` or `leaderboard/templates/`. `figures` puts plotly.js into it (once, 4.8 MB); `script`
    names a file of the template's own, to stand behind page.js."""
    scripts = {"page": _source("page.js")}
    if script:
        scripts["own"] = _source(script)
    if figures:
        scripts["plotly"] = _plotly()
    from markupsafe import Markup

    return (
        _environment()
        .get_template(template)
        .render(
            **context,
            policy=policy(scripts.values()),
            scripts={name: Markup(text) for name, text in scripts.items()},
        )
    )


def write_page(path: Path, html: str) -> Path:
    """Writes a page; creates its folder. Lone surrogates in a model's text become question marks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(html.encode("utf-8", "replace"))
    return path


def policy(scripts: Any) -> str:
    """A content security policy that lets exactly these inline scripts run and forbids every request."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode("utf-8")).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{h}'" for h in hashes)
    return f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}"


def script_json(value: Any) -> "Markup":
    """JSON that may stand inside a `<script>` element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup("".join(ESCAPES.get(c, c) for c in text))


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from evalsuite.registry import content_root
    from evalsuite.reporting import numbers

    root = content_root()
    environment = Environment(
        loader=FileSystemLoader([root / "reports", root / "leaderboard" / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["script_json"] = script_json
    environment.globals.update(
        interval_text=numbers.interval_text,
        value_text=numbers.value_text,
        bounds_text=numbers.bounds_text,
        p_text=numbers.p_text,
        share_text=numbers.share_text,
    )
    return environment


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


@cache
def _plotly() -> str:
    import plotly.offline

    return str(plotly.offline.get_plotlyjs())
