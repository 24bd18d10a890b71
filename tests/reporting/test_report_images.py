"""Static figures by kaleido and a real browser: text is text, the same figures give the same bytes."""

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evalsuite.errors import InputError, MissingExtra
from evalsuite.reporting.report_data import gather
from evalsuite.reporting.report_figures import report_figures
from evalsuite.reporting.report_images import write_images

CHROMIUM = "/usr/bin/chromium"
SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<b>x</b>&<script>"


@pytest.fixture
def figures(make_run):
    base = make_run("base", {"facts": {"acc": [0] * 30 + [1] * 10}, EVIL: {"acc": [0, 1] * 20}})
    child = make_run("sft", {"facts": {"acc": [1] * 30 + [0] * 10}, EVIL: {"acc": [0, 1] * 20}})
    return report_figures(gather([base, child]))


@pytest.fixture
def browser():
    pytest.importorskip("kaleido", reason="kaleido is not installed (pip install 'evalsuite[figures]')")
    if not Path(os.environ.get("BROWSER_PATH", CHROMIUM)).exists():
        pytest.skip(f"no browser at {CHROMIUM} (apt-get install chromium)")


@pytest.mark.usefixtures("browser")
def test_figures_have_title_axes_and_figures_as_text(figures, tmp_path):
    paths = write_images(figures, tmp_path / "a")
    assert [p.name for p in paths] == [f"{f.name}.svg" for f in figures]
    for path, placed in zip(paths, figures, strict=True):
        root = ElementTree.fromstring(path.read_bytes())
        words = ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]
        assert placed.drawn["title"] in words
        assert any("95% interval" in w for w in words)
        assert any(re.search(r"n=[48]0", w) for w in words)
        assert any(EVIL in w for w in words) or placed.name.startswith(("texts", "plane"))  # these name no task
        assert not list(root.iter(f"{SVG}script"))
    again = write_images(figures, tmp_path / "b")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in paths]


@pytest.mark.usefixtures("browser")
def test_a_png_is_twice_as_fine(figures, tmp_path):
    from PIL import Image

    (path,) = write_images(figures[:1], tmp_path, "png")
    with Image.open(path) as image:
        assert image.width == 1920
        assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_without_kaleido_one_line_says_what_to_install(figures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(MissingExtra, match=r"--figures: not installed .*; pip install 'evalsuite\[figures\]'"):
        write_images(figures, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_browser_one_line_says_so(figures, tmp_path, monkeypatch):
    pytest.importorskip("kaleido", reason="kaleido is not installed (pip install 'evalsuite[figures]')")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))
    with pytest.raises(InputError, match="no Chromium or Chrome was found; install chromium"):
        write_images(figures, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; give a folder"):
        write_images(figures, tmp_path / "file")
