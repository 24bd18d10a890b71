"""docs/tutorials/ hold: every command of every tutorial runs as it stands, in order, in an empty folder, on nano."""

import re
import shlex
from pathlib import Path

import pytest
from documents import commands, output_of, write_files

from evalsuite.cli import parser
from evalsuite.models.fingerprint import cache_folder

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
PAGES = sorted(FOLDER.glob("*.md"))


def console(page: Path) -> list[tuple[str, str]]:
    """(command, output that is shown below it)."""
    text = "\n".join(re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    parts = re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def test_there_is_one_for_each_use() -> None:
    assert [page.stem for page in PAGES] == ["evaluate", "preferences", "publish", "train"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_is_an_hours_walk(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert 5 <= len(commands(page)) <= 9
    for heading in ("## What you will know", "## With your own"):
        assert heading in text
    links = re.findall(r"\]\(([\w./-]+\.md)\)", text)
    assert links
    assert [link for link in links if not (FOLDER / link).resolve().is_file()] == []


def test_the_commands_of_the_readme_are_commands_and_its_links_lead_somewhere() -> None:
    page = FOLDER.parents[1] / "README.md"
    lines = [line for line in commands(page) if line.startswith("evalsuite ") and "|" not in line]
    assert len(lines) >= 20
    for line in lines:
        words = shlex.split(line.replace("judge audit", "'judge audit'"))[1:]  # one verb, as `main` reads it
        _, rest = parser().parse_known_args(words)
        assert not any(word.startswith("-") for word in rest), line
    links = [link for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert {f"docs/tutorials/{page.name}" for page in PAGES} | {"docs/architecture.md"} <= set(links)


@pytest.fixture
def workplace(tmp_path: Path, nano: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; the session's nano world, and the real model as this machine has converted it before."""
    converted = cache_folder() / "gguf"
    monkeypatch.setenv("EVALSUITE_CACHE", str(nano.parent.parent))
    monkeypatch.delenv("EVALSUITE_STORE", raising=False)
    if converted.is_dir() and not (cache_folder() / "gguf").exists():
        (cache_folder() / "gguf").symlink_to(converted)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_run(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a shown line begins with stands in what the command prints: figures and answers depend on the machine."""
    write_files(page, workplace)
    shown = dict(console(page))
    for line in commands(page):
        told = output_of(line, capsys).split()
        for wanted in shown.get(line, "").splitlines():
            first = wanted.split()[0] if wanted.strip() else "…"
            assert first == "…" or first in told, f"{line}\n{wanted}"
