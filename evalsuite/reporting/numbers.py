"""How figures are written: shares as per cent, differences of shares as points, anything else in its own unit.

>>> interval_text(0.625, 0.5, 0.75, "share")
'62.5% [50.0, 75.0]'
"""

MISSING = "–"


def value_text(value: float | None, unit: str = "share", sign: bool = False) -> str:
    """A figure: '62.5%' for a share, '+3.1 pt' for a signed difference of shares, else '12.3 words'."""
    if value is None:
        return MISSING
    if unit == "share":
        return f"{100 * value:+.1f} pt".replace("-", "−") if sign else f"{100 * value:.1f}%".replace("-", "−")
    return f"{_plain(value, sign)} {unit}".strip()


def bounds_text(low: float | None, high: float | None, unit: str = "share", sign: bool = False) -> str:
    """'[50.0, 75.0]' in the unit of the figure beside it, or a dash where there is no interval."""
    if low is None or high is None:
        return f"[{MISSING}]"
    scale = 100 if unit == "share" else 1
    if unit == "share":
        ends = [(f"{scale * x:+.1f}" if sign else f"{scale * x:.1f}") for x in (low, high)]
    else:
        ends = [_plain(x, sign) for x in (low, high)]
    return f"[{ends[0]}, {ends[1]}]".replace("-", "−")


def interval_text(
    value: float | None, low: float | None, high: float | None, unit: str = "share", sign: bool = False
) -> str:
    return f"{value_text(value, unit, sign)} {bounds_text(low, high, unit, sign)}"


def p_text(p: float | None) -> str:
    if p is None:
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def share_text(share: float | None) -> str:
    """A health column: '4%', with a decimal below one per cent."""
    if share is None:
        return MISSING
    return f"{100 * share:.1f}%" if 0 < share < 0.01 else f"{100 * share:.0f}%"


def _plain(value: float, sign: bool) -> str:
    text = f"{value:+.4g}" if sign else f"{value:.4g}"
    return text.replace("-", "−")
