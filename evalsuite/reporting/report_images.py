"""Static files of a report's figures, for papers and slides: SVG whose text is text, or PNG at twice the size.

    write_images(report_figures(report), Path("figures"), "svg")        # figures/difference-0.svg, ...

Drawn by kaleido, which drives an installed Chromium or Chrome, with plotly.js from the installed plotly: nothing is
fetched. Always light, with the title on the figure. The same figures give the same bytes.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.errors import InputError, MissingExtra
from evalsuite.reporting.escaping import label
from evalsuite.reporting.report_figures import Placed

if TYPE_CHECKING:
    from collections.abc import Mapping

ImageFormat = Literal["svg", "png"]
WIDTH = 960  # pixels; a PNG has twice as many
TITLE = 46  # pixels above the legend
INK, SOFT, LINE = "#1b1d22", "#3f444e", "#dcdcd6"
FONT = "Inter, Helvetica, 'Liberation Sans', Arial, sans-serif"
INSTALL = "install chromium, or name one that runs by BROWSER_PATH"
MARK = re.compile(r'(?:id="(?:top)?defs-|class="trace \w+ trace)([0-9a-f]+)"')


def write_images(figures: Sequence[Placed], folder: Path, form: ImageFormat = "svg") -> list[Path]:
    """Draws every figure, then writes them; returns their paths. Raises MissingExtra where kaleido is not installed,
    InputError where it finds no browser or the folder is a file; then nothing is written."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--figures {folder}: is a file; give a folder")
    drawn = [(f"{placed.name}.{form}", _printed(placed.drawn)) for placed in figures]
    images = _draw([figure for _, figure in drawn], form) if drawn else []
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for (name, _), image in zip(drawn, images, strict=True):
        (folder / name).write_bytes(image)
        paths.append(folder / name)
    return paths


def _printed(drawn: "Mapping[str, Any]") -> dict[str, Any]:
    """The figure as it stands on paper: white, dark text, its title above."""
    layout = drawn["layout"]
    axis = {"gridcolor": LINE, "linecolor": LINE, "zerolinecolor": "#8a8f9c", "automargin": True}
    title = {
        "text": f"<b>{label(drawn['title'])}</b>",
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 16},
        "font": {"size": 16, "color": INK},
    }
    margin = layout["margin"]
    return {
        "data": drawn["data"],
        "layout": {
            **layout,
            "width": WIDTH,
            "height": layout["height"] + TITLE,
            "margin": {**margin, "t": margin["t"] + TITLE, "r": 24, "l": 24},
            "title": title,
            "paper_bgcolor": "#ffffff",
            "plot_bgcolor": "#ffffff",
            "font": {"family": FONT, "size": 13, "color": SOFT},
            "xaxis": {**layout["xaxis"], **axis},
            "yaxis": {**layout["yaxis"], **axis},
        },
    }


def _draw(figures: "Sequence[Mapping[str, Any]]", form: ImageFormat) -> list[bytes]:
    """All of them in one browser."""
    try:
        import kaleido
        from choreographer import errors
    except ImportError as error:
        raise MissingExtra(f"--figures: not installed ({error}); pip install 'evalsuite[figures]'") from error
    import asyncio

    import plotly

    script = Path(plotly.__path__[0]) / "package_data" / "plotly.min.js"

    async def run() -> list[bytes]:
        async with kaleido.Kaleido(n=1, plotlyjs=str(script), mathjax=False) as browser:
            return [
                await browser.calc_fig(
                    figure,
                    opts={"format": form, "width": WIDTH, "height": figure["layout"]["height"], "scale": _scale(form)},
                )
                for figure in figures
            ]

    try:
        images = asyncio.run(run())
    except errors.ChromeNotFoundError as error:
        raise InputError(f"--figures: no Chromium or Chrome was found; {INSTALL}") from error
    except (errors.BrowserDepsError, errors.BrowserFailedError, OSError) as error:
        raise InputError(f"--figures: the browser did not start ({type(error).__name__}); {INSTALL}") from error
    return [_settled(image) if form == "svg" else image for image in images]


def _scale(form: ImageFormat) -> int:
    return 1 if form == "svg" else 2


def _settled(svg: bytes) -> bytes:
    """plotly draws a random mark into the names of every figure's parts; here each is counted instead."""
    text = svg.decode("utf-8")
    for number, mark in enumerate(dict.fromkeys(MARK.findall(text))):
        text = re.sub(rf"(clip|defs-|legend|bg|trace){mark}", rf"\g<1>{number}", text)
    return text.encode("utf-8")
