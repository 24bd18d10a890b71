"""Finds tasks, judges and suites without importing them: content folders, a user's folders, installed packages.

A task is a folder with a `task.py` whose docstring and literal `TASK` are read with `ast`; the module is imported when
the task runs. Ids: `name`, `name/subset`, then `@method`, then `:variant`.

>>> find_tasks(["truthfulqa"])       # doctest: +SKIP
[TaskRef(id='truthfulqa/mc1@logprob'), TaskRef(id='truthfulqa/mc2@logprob')]
"""

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from evalsuite.errors import InputError, TaskError, unknown
from evalsuite.records import Kind, Role

FAMILIES = (
    "hallucination",
    "factuality",
    "instruction_following",
    "diversity",
    "generalization",
    "reward_models",
    "reasoning",
)
METHOD_KINDS: dict[str, Kind] = {
    "logprob": "loglikelihood",
    "logprob_mean": "loglikelihood",
    "reward": "reward",
    "letter": "generate",
    "followup": "loglikelihood",
    "implicit": "loglikelihood",
}
ROLES = tuple(role for role in get_args(Role) if role != "subject")
SPEC_TYPES: dict[str, Any] = {
    "version": int,
    "family": str,
    "primary": (str, dict),
    "subsets": (dict, list, tuple),
    "methods": (list, tuple),
    "variants": (list, tuple),
    "lower_is_better": (list, tuple),
    "public": str,
    "baselines": dict,
    "unit": dict,
    "roles": dict,
    "schema_only": (bool, list, tuple),
    "hub": (str, dict),
    "executes": bool,
    "fewshot": (bool, list, tuple),
}
_plugins: list[Path] = []
_broken: dict[str, dict[str, str]] = {"tasks": {}, "judges": {}}  # what could not be read, by the folder's name


def content_root() -> Path:
    """The folder that has tasks/, judges/, reports/ and leaderboard/: in a wheel inside the package, else beside it."""
    package = Path(__file__).resolve().parent
    inside = package / "content"
    return inside if inside.is_dir() else package.parent


def add_plugins(folders: Iterable[str | Path]) -> None:
    """Adds a user's content folders (`--plugins DIR`): each holds task folders, or `tasks/` and `judges/`."""
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"--plugins {folder}: no such folder")
        if folder.resolve() not in _plugins:
            _plugins.append(folder.resolve())
            entries.cache_clear()


def plugin_folders() -> list[str]:
    """The user's content folders, as they were given."""
    return [str(p) for p in _plugins]


def _roots(kind: str) -> list[Path]:
    """Folders to search for `tasks` or `judges`: ours, installed packages', the user's; later ones win."""
    from importlib.metadata import entry_points

    roots = [content_root() / kind]
    for point in entry_points(group="evalsuite.content"):
        spec = importlib.util.find_spec(point.value.split(":")[0])
        for location in (spec.submodule_search_locations or []) if spec else []:
            roots.append(Path(location) / kind)
    for plugin in _plugins:
        roots.append(plugin / kind if (plugin / kind).is_dir() else plugin)
    return roots


@dataclass(frozen=True)
class Entry:
    """A task's folder as the registry sees it: `spec` is the literal TASK, `summary` the docstring's first line."""

    name: str
    family: str
    folder: Path
    summary: str
    spec: Mapping[str, Any] = field(hash=False)

    @property
    def subsets(self) -> tuple[str, ...]:
        return tuple(self.spec.get("subsets", ()))

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.spec.get("methods", ()))

    def demonstrates(self, method: str, variant: str) -> bool:
        """Whether the task has demonstrations, so that `--fewshot N` says how many, as it is asked here; an empty
        `method` is any."""
        where = self.spec.get("fewshot", False)
        if isinstance(where, bool):
            return where
        return variant in where or any(m in where for m in ((method,) if method else self.methods))

    def schema_only(self, subset: str) -> bool:
        """Whether the figures of this task were never checked on its public data: only the form of the data was."""
        named = self.spec.get("schema_only", False)
        return named if isinstance(named, bool) else subset in named

    def hub(self, subset: str) -> str | None:
        """Where the Hub has the data."""
        named = self.spec.get("hub")
        return named.get(subset) if isinstance(named, dict) else named

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that the task may ask beside the subject."""
        return tuple(self.spec.get("roles", ()))

    def roles_of(self, subset: str, method: str) -> dict[str, bool]:
        """Roles that this subset or method of the task asks, and whether it cannot do without."""
        found = {}
        for role, need in self.spec.get("roles", {}).items():
            if need in ("required", "optional"):
                found[role] = need == "required"
            elif method in need or subset in need:
                found[role] = True
        return found

    def ids(self) -> list[str]:
        """Every id that names a runnable task, without variants; the default method's comes first."""
        stems = [f"{self.name}/{subset}" for subset in self.subsets] or [self.name]
        return [f"{stem}@{m}" if m else stem for stem in stems for m in (self.methods or ("",))]


@dataclass(frozen=True)
class TaskRef:
    """One task as a command names it. `method` is empty until the model decides it where a task has several."""

    entry: Entry
    subset: str = ""
    method: str = ""
    variant: str = ""

    def choose(self, kinds: frozenset[Kind]) -> "TaskRef":
        """With the first method that a model of these kinds can answer (the task's default where none fits)."""
        if self.method or not self.entry.methods:
            return self
        able = [m for m in self.entry.methods if METHOD_KINDS.get(m, "generate") in kinds]
        return TaskRef(self.entry, self.subset, (able or self.entry.methods)[0], self.variant)

    @property
    def id(self) -> str:
        text = self.entry.name + (f"/{self.subset}" if self.subset else "")
        return text + (f"@{self.method}" if self.method else "") + (f":{self.variant}" if self.variant else "")


@cache
def entries() -> dict[str, Entry]:
    """All tasks by name, without those that are `broken`. Reads each `task.py` as text; imports none."""
    found: dict[str, Entry] = {}
    faults = _broken["tasks"] = {}
    for root in _roots("tasks"):
        for path in sorted([*root.glob("task.py"), *root.glob("*/task.py"), *root.glob("*/*/task.py")]):
            name = path.parent.name
            found.pop(name, None)  # a later task hides one of the same name, also where it is broken
            faults.pop(name, None)
            try:
                found[name] = _read_entry(path, root)
            except InputError as error:
                faults[name] = str(error)
    return dict(sorted(found.items(), key=lambda item: (_family_rank(item[1].family), item[0])))


def broken(what: Literal["tasks", "judges"] = "tasks") -> dict[str, str]:
    """Those whose file cannot be read, by name: one line each, with the file and what is wrong."""
    entries() if what == "tasks" else judges()
    return dict(_broken[what])


def _family_rank(family: str) -> int:
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


def _read_entry(path: Path, root: Path) -> Entry:
    literal, summary = read_literal(path, "TASK")
    parts = path.parent.relative_to(root).parts
    name = path.parent.name
    family = literal.get("family") or (parts[0] if len(parts) == 2 else "other")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise InputError(f"{path.parent}: a task's folder name may hold letters, digits, '_', '-' and '.' only")
    if "version" not in literal:
        raise InputError(f"{path}: TASK needs a 'version' (raise it whenever a score could move)")
    fault = _fault(literal)
    if fault:
        raise InputError(f"{path}: TASK {fault}")
    return Entry(name, family, path.parent, summary, literal)


def _fault(spec: Mapping[str, Any]) -> str:
    """What is wrong with a literal TASK, found before anything is computed; empty where nothing is."""
    for key, wanted in SPEC_TYPES.items():
        if key in spec and not isinstance(spec[key], wanted):
            names = " or ".join(t.__name__ for t in (wanted if isinstance(wanted, tuple) else (wanted,)))
            return f"'{key}' is {type(spec[key]).__name__}, not {names}"
    for key in ("subsets", "methods", "variants", "lower_is_better"):
        if any(not isinstance(name, str) or not name for name in spec.get(key, ())):
            return f"'{key}' holds a name that is no text"
    primary = spec.get("primary")
    lacking = [s for s in spec.get("subsets", ()) if isinstance(primary, dict) and s not in primary]
    if lacking:
        return f"'primary' has no metric for the subset '{lacking[0]}'"
    for role, need in spec.get("roles", {}).items():
        if role not in ROLES:
            return f"'roles' has '{role}' (known: {', '.join(ROLES)})"
        if need not in ("required", "optional") and not isinstance(need, list | tuple):
            return f"'roles' of {role}: {need!r} is not 'required', 'optional' or a list of methods or subsets"
    for name, given in spec.get("baselines", {}).items():
        for number in given.values() if isinstance(given, dict) else [given]:
            if isinstance(number, bool) or not isinstance(number, int | float):
                return f"'baselines' of {name}: {number!r} is no number"
    return ""


def read_literal(path: Path, name: str) -> tuple[dict[str, Any], str]:
    """The literal dictionary `name` of a Python file and the first line of its docstring, without running the file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    summary = (ast.get_docstring(tree) or "").split("\n")[0]
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(
            isinstance(t, ast.Name) and t.id == name for t in targets
        ):
            try:
                value = ast.literal_eval(node.value or ast.Constant(None))
            except (ValueError, TypeError, SyntaxError) as error:
                where = f"{path}:{node.lineno}"
                raise InputError(f"{where}: {name} must be a literal (it is read without import)") from error
            if isinstance(value, dict):
                return value, summary
    raise InputError(f"{path}: needs a literal dictionary {name} = {{...}}")


@dataclass(frozen=True)
class Suite:
    """A named list of tasks; `limits` are samples by task id, `limit` those of the others (None: all)."""

    about: str
    tasks: tuple[str, ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    limit: int | None = None


def suites() -> dict[str, Suite]:
    """Suites by name, from `suites.toml` of every content folder."""
    found: dict[str, Suite] = {}
    for root in _roots("tasks"):
        path = root / "suites.toml"
        if path.is_file():
            try:
                tables = tomllib.loads(path.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise InputError(f"{path}: {error}") from error
            found.update({name: _suite(path, name, table) for name, table in tables.items()})
    return found


def _suite(path: Path, name: str, table: Mapping[str, Any]) -> Suite:
    tasks = table.get("tasks")
    if not isinstance(tasks, list | dict) or not tasks:
        raise InputError(f"{path}: suite '{name}' needs tasks: a list of ids, or a table id = limit")
    # Limits go by task and subset: a method or a variant in the name does not matter for them.
    limits = {re.split("[@:]", key)[0]: n for key, n in tasks.items()} if isinstance(tasks, dict) else {}
    for key, number in {**limits, "limit": table.get("limit", 1)}.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InputError(f"{path}: suite '{name}', {key}: {number!r} is no number of samples")
    return Suite(str(table.get("about", "")), tuple(tasks), limits, table.get("limit"))


def find_tasks(names: Sequence[str]) -> list[TaskRef]:
    """Expands names, prefixes and families to tasks, in the order given, each once."""
    refs: dict[str, TaskRef] = {}
    for name in names:
        for ref in _expand(name):
            refs.setdefault(ref.id, ref)
    return list(refs.values())


def _expand(name: str) -> list[TaskRef]:
    known = entries()
    family = [e for e in known.values() if e.family == name]
    if family and name not in known:
        return [TaskRef(e, subset) for e in family for subset in (e.subsets or ("",))]
    stem, _, variant = name.partition(":")
    stem, _, method = stem.partition("@")
    base, _, subset = stem.partition("/")
    entry = known.get(base)
    if base in _broken["tasks"]:
        raise InputError(_broken["tasks"][base])
    if entry is None:
        raise unknown("task", name, [*known, *(i for e in known.values() for i in e.ids()), *FAMILIES])
    if subset and subset not in entry.subsets:
        raise unknown("task", name, [f"{entry.name}/{s}" for s in entry.subsets] or [entry.name])
    if method and method not in entry.methods:
        raise unknown("task", name, [f"{stem}@{m}" for m in entry.methods] or [stem])
    shots = re.fullmatch(r"(\d+)shot", variant)
    if variant and variant not in entry.spec.get("variants", ()) and not shots:
        options = [f"{name.partition(':')[0]}:{v}" for v in entry.spec.get("variants", ())]
        raise unknown("task", name, options or [name.partition(":")[0]])
    if shots and int(shots[1]) and not entry.demonstrates(method, variant):
        raise InputError(f"task {name}: has no demonstrations; leave ':{variant}' out")
    only = entry.methods[0] if len(entry.methods) == 1 else ""
    return [TaskRef(entry, s, method or only, variant) for s in ([subset] if subset else entry.subsets or [""])]


def load_module(path: Path, kind: str) -> ModuleType:
    """Imports a content file under a name of its own. Raises TaskError naming the file where it fails."""
    name = f"evalsuite_{kind}_{abs(hash(str(path.resolve()))):x}_{path.parent.name}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise TaskError(f"{path}: import failed ({what})") from error
    return module


def judges() -> dict[str, tuple[Path, dict[str, Any], str]]:
    """All judges by name: (file, its table JUDGE, summary), from `judge.py` or `judge.toml` of each folder, without
    those that are `broken`."""
    found: dict[str, tuple[Path, dict[str, Any], str]] = {}
    faults = _broken["judges"] = {}
    for root in _roots("judges"):
        files = [p for end in ("py", "toml") for at in ("", "*/") for p in root.glob(f"{at}judge.{end}")]
        for path in sorted(files):
            name = path.parent.name
            found.pop(name, None)
            faults.pop(name, None)
            try:
                found[name] = (path, *_read_judge(path))
            except InputError as error:
                faults[name] = str(error)
    return dict(sorted(found.items()))


def _read_judge(path: Path) -> tuple[dict[str, Any], str]:
    if path.suffix == ".py":
        return read_literal(path, "JUDGE")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    return table, str(table.get("about", ""))
