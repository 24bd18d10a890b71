"""Cards as HTML: the little Markdown that they use (headings, lists, tables, code, bold, links), everything else text.

Nothing of the source reaches the page unescaped, and a link that is not http or https stays words.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)")
ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s+(.*)")


def html_of(text: str, level: int = 2) -> "Markup":
    """`level` is the HTML level of the card's own `##`."""
    from markupsafe import Markup

    return Markup("\n".join(_blocks(text.splitlines(), level)))


def section(text: str, title: str) -> str:
    """The words below a `## title`, empty where there is none."""
    found = re.search(rf"^##\s+{re.escape(title)}\s*$(.*?)(?=^##\s|\Z)", text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return found[1].strip() if found else ""


def _blocks(lines: list[str], level: int) -> Iterator[str]:
    held: list[str] = []
    kind = ""
    for line in [*lines, ""]:
        now = _kind(line, kind)
        if now != kind or now == "head":
            if held:
                yield _block(kind, held, level)
            held, kind = [], now
        if kind == "code" and line.startswith("```") and len(held) > 1:
            held.append("```")
            continue
        if now:
            held.append(line)
    if held:
        yield _block(kind, held, level)


def _kind(line: str, before: str) -> str:
    if line.startswith("```"):
        return "code"
    if before == "code":
        return "code"
    if not line.strip():
        return ""
    if line.startswith("#"):
        return "head"
    if line.startswith("|"):
        return "table"
    if ITEM.match(line):
        return "list"
    return "list" if before == "list" and line.startswith("  ") else "text"


def _block(kind: str, lines: list[str], level: int) -> str:
    if kind == "code":
        return f"<pre>{escape(chr(10).join(x for x in lines if not x.startswith('```')))}</pre>"
    if kind == "head":
        depth = len(lines[0]) - len(lines[0].lstrip("#"))
        tag = f"h{min(6, max(2, depth - 2 + level))}"
        return f"<{tag}>{_inline(lines[0].lstrip('#').strip())}</{tag}>"
    if kind == "table":
        rows = [[c.strip() for c in x.strip().strip("|").split("|")] for x in lines if not re.fullmatch(r"[|\s:-]+", x)]
        if not rows:  # a rule and nothing that it rules
            return ""
        head, *rest = [[_inline(c) for c in row] for row in rows]
        top = "".join(f'<th scope="col">{c}</th>' for c in head)
        body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rest)
        return (
            f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
        )
    if kind == "list":
        items: list[str] = []
        for line in lines:
            found = ITEM.match(line)
            if found:
                items.append(found[1])
            else:
                items[-1] += " " + line.strip()
        return "<ul>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + "</ul>"
    return f"<p>{_inline(' '.join(x.strip() for x in lines))}</p>"


def _inline(text: str) -> str:
    made, at = [], 0
    for found in INLINE.finditer(text):
        made.append(escape(text[at : found.start()]))
        code, bold, words, target = found.groups()
        if code is not None:
            made.append(f"<code>{escape(code)}</code>")
        elif bold is not None:
            made.append(f"<strong>{escape(bold)}</strong>")
        elif re.match(r"https?://", target, re.IGNORECASE):
            made.append(f'<a href="{escape(target)}" rel="noreferrer noopener">{escape(words)}</a>')
        else:
            made.append(escape(words))
        at = found.end()
    return "".join(made) + escape(text[at:])
