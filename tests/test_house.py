"""The house's order: rooms import only from rooms to their left, and nothing heavy is imported before a verb runs."""

import ast
import subprocess
import sys
from pathlib import Path

import evalsuite

PACKAGE = Path(evalsuite.__file__).parent
# Left to right; a room may import from those before it. `errors` stands before all.
ORDER = [
    *("errors", "records", "statistics", "data", "registry", "models", "store", "scoring", "planning", "backends"),
    *("judging", "running", "importing", "features", "preferences", "comparison", "training", "microworld"),
    *("reporting", "publishing", "check", "api", "cli"),
]
FREE_STANDING = {"statistics": set(), "records": set()}
HEAVY = ("torch", "transformers", "datasets", "litellm", "pandas", "sklearn", "plotly", "aiohttp", "rich", "numpy")


def imports(path: Path) -> set[str]:
    """The rooms that a file of ours imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"evalsuite.{a.name}" for a in node.names] if node.module == "evalsuite" else [node.module]
        found |= {n.split(".")[1] for n in names if n.startswith("evalsuite.")}
    return found - {"__version__"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_rooms_import_only_from_their_left() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        here = room(path)
        if here in ("__init__", "__main__", "content"):
            continue
        assert here in ORDER, f"{path}: a room that the house does not know"
        for other in imports(path) - {here}:
            if other not in ORDER[: ORDER.index(here)]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions and those for types alone count too."""
    from graphlib import CycleError, TopologicalSorter

    files = {".".join(("evalsuite", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in PACKAGE.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                within = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= {whole if whole in files else node.module for whole in within.values()}
    try:
        TopologicalSorter({name: found & files.keys() for name, found in graph.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_statistics_and_records_import_nothing_of_ours() -> None:
    for name, allowed in FREE_STANDING.items():
        files = [PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").exists() else list((PACKAGE / name).glob("*.py"))
        for path in files:
            assert imports(path) - {name} <= allowed, path


def test_the_engine_names_no_benchmark() -> None:
    """No control flow of the engine depends on a benchmark's name."""
    from evalsuite import registry

    own = {n for n, e in registry.entries().items() if registry.content_root() in e.folder.parents}
    free = {"check", "cli", "microworld", "scoring", "data"}  # named in messages, defaults of the demo, or as methods
    for path in sorted(PACKAGE.rglob("*.py")):
        if room(path) in free or "content" in path.parts:
            continue
        compared = [
            c.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Compare)
            for c in ast.walk(node)
            if isinstance(c, ast.Constant) and isinstance(c.value, str)
        ]
        assert not own & set(compared), path


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('HEAVY', *(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) - {"HEAVY"}


def test_import_evalsuite_loads_nothing_heavy() -> None:
    """Regression 17 (lm-eval PR#3099): `import evalsuite` imports no torch, transformers, datasets, litellm."""
    assert loaded_after("import evalsuite") == set()


def test_help_and_list_load_nothing_heavy() -> None:
    for arguments in (["--help"], ["list", "tasks"], ["list", "judges"]):
        code = f"import evalsuite.cli as c\ntry:\n    c.main({arguments!r})\nexcept SystemExit: pass\nprint()"
        assert loaded_after(code) == set(), arguments


def test_every_module_imports_without_heavy_packages() -> None:
    names = [
        ".".join(("evalsuite", *p.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for p in sorted(PACKAGE.rglob("*.py"))
        if "content" not in p.parts and p.name != "__main__.py"
    ]
    assert loaded_after("\n".join(f"import {n}" for n in names)) <= {"numpy"}
