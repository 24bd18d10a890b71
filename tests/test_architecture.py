"""docs/architecture.md tells of the house as it is: its rooms, their imports, functions that carry flows, files."""

import importlib
import re

import pytest
from architecture import ORDER, PACKAGE, PAGE, ROOT, ROW, below, drawn, floors, nearest, needs

TEXT = PAGE.read_text(encoding="utf-8")
FILE = re.compile(r"[\w.]+\.(?:jsonl|json|parquet|sqlite|npy|py|toml)")
NAMED = [name for name in sorted(set(re.findall(r"`((?:[a-z_]+\.)+[A-Za-z_]+)`", TEXT))) if not FILE.fullmatch(name)]


def test_the_page_is_as_the_code() -> None:
    assert drawn(TEXT) == TEXT, "imports between rooms have changed: python tests/architecture.py"


def test_every_room_has_its_row_in_the_houses_order() -> None:
    assert [name for name, _, _ in ROW.findall(TEXT)] == ORDER
    for name in ORDER:
        assert (PACKAGE / name / "__init__.py").is_file() or (PACKAGE / f"{name}.py").is_file(), name


def test_arrows_and_floors_say_everything_that_is_imported() -> None:
    level = {name: floor for floor, names in enumerate(floors()) for name in names}
    assert set(level) == set(ORDER)
    for name in ORDER:
        reached = set(nearest(name)).union(*(below(other) for other in nearest(name)))
        assert needs()[name] <= reached
        assert all(level[other] < level[name] for other in needs()[name])


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    module, _, thing = f"evalsuite.{name}".rpartition(".")
    assert hasattr(importlib.import_module(module), thing)


def test_its_files_are_written_by_the_engine_and_its_links_lead_somewhere() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    section = TEXT.partition("## Files")[2].partition("##")[0]
    files = FILE.findall(section)
    assert len(files) >= 9
    assert [name for name in files if f'"{name}"' not in code] == []
    assert [link for link in re.findall(r"\]\(([\w.]+)\)", TEXT) if not (ROOT / "docs" / link).is_file()] == []
    for folder in re.findall(r"`(\w+)/", TEXT):
        assert (ROOT / folder).is_dir(), folder


def test_the_names_that_are_checked_are_not_few() -> None:
    assert len(NAMED) >= 20
