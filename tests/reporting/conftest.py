"""The fixture runs of the comparison tests, and a real browser."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_path = Path(__file__).parents[1] / "comparison" / "conftest.py"
_spec = importlib.util.spec_from_file_location("run_fixtures", _path)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
make_run = _fixtures.make_run

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium through playwright; skips with the reason where either is absent. Playwright allows one at a time in a
    process, so it lives no longer than a module."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM} (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file as a reader would; the page's `faults` list gathers errors, alerts and requests beyond the file."""
    pages = []

    def open_file(path: Path, **options: Any) -> tuple[Any, list[str]]:
        page, faults = browser.new_page(**options), []
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda m: faults.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        page.on("dialog", lambda d: (faults.append(f"dialog: {d.message}"), d.dismiss()))
        local = ("file:", "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(local) else faults.append(f"request: {r.url}"))
        page.goto(path.as_uri())
        pages.append(page)
        return page, faults

    yield open_file
    for page in pages:
        page.close()
