"""Text of strangers (models, data, judges, names) made harmless for the place where it is to stand.

    clean(name)         # a line of ours: nothing in it can turn the line round, or hide
    label(name)         # plotly's own little HTML, in hovers and legends
    markdown(name)      # one line of Markdown, as GitHub reads it
    neutral(value)      # a CSV cell that no spreadsheet takes for a formula
    file_name(name)     # a part of a file's name

Pages escape by their template (`reporting.pages`), data for scripts by `pages.script_json`.
"""

import re
from html import escape
from typing import Any

# Characters that turn the reading direction of what follows, or that cannot be seen.
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF], "\ufffd")
CONTROL = dict.fromkeys([*range(32), *range(127, 160), 8232, 8233], " ")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
MARKS = re.compile(r"[\\`*|~#$]|(?<!\w)_|_(?!\w)|^\[|\](?=[(\[:])")


def clean(text: str) -> str:
    return text.translate(TURNING)


def label(text: str) -> str:
    return escape(clean(text))


def markdown(text: str) -> str:
    """No markup, link, mention or table cell can begin or end in it; line ends become spaces."""
    flat = MARKS.sub(lambda m: "\\" + m.group(), clean(text.translate(CONTROL)).strip())
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("://", ":&#47;/")):
        flat = flat.replace(sign, written)
    # An empty comment is what keeps GitHub from reading a mention; escaping the sign does not.
    return re.sub(r"(?<!\w)@", "@<!-- -->", flat)


def neutral(value: Any) -> Any:
    """Numbers stay numbers, a negative one too; such texts get an apostrophe in front."""
    return "'" + value if isinstance(value, str) and value.lstrip(" \ufeff\u200b").startswith(FORMULA) else value


def file_name(text: str) -> str:
    """Lower-case letters, digits, dots and dashes; at most 80 of them."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:80] or "figure"
