"""The fixture runs and the browser of the report's tests."""

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "reporting" / "conftest.py"
_spec = importlib.util.spec_from_file_location("page_fixtures", _path)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
make_run, browser, open_page = _fixtures.make_run, _fixtures.browser, _fixtures.open_page
