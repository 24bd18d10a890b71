"""Finding tasks: prefixes, families, methods, typos, plug-ins; nothing is imported to list them."""

import sys

import pytest

from evalsuite import registry
from evalsuite.errors import InputError, TaskError

SOURCE = '''"""Capitals of countries."""
TASK = {"version": 1, "family": "factuality", "primary": "acc", "subsets": {"eu": "Europe", "asia": "Asia"},
        "methods": ("logprob", "letter"), "variants": ("official",), "fewshot": ("logprob",)}
raise RuntimeError("imported")
'''


def ids(*names: str) -> list[str]:
    return [r.id for r in registry.find_tasks(names)]


def test_prefix_expands_subsets_and_family_its_tasks(plugin) -> None:
    plugin("capitals", SOURCE)
    assert ids("capitals") == ["capitals/eu", "capitals/asia"]
    assert ids("capitals/eu", "capitals") == ["capitals/eu", "capitals/asia"]
    assert "capitals/eu" in ids("factuality")


def test_method_is_chosen_by_what_the_model_answers(plugin) -> None:
    plugin("capitals", SOURCE)
    (ref,) = registry.find_tasks(["capitals/eu"])
    assert ref.choose(frozenset({"generate", "loglikelihood"})).id == "capitals/eu@logprob"
    assert ref.choose(frozenset({"generate"})).id == "capitals/eu@letter"
    assert ids("capitals/eu@letter:official") == ["capitals/eu@letter:official"]
    assert ids("capitals/eu:5shot") == ["capitals/eu:5shot"]
    assert ids("capitals/eu@letter:0shot") == ["capitals/eu@letter:0shot"]
    with pytest.raises(InputError, match="capitals/eu@letter:5shot: has no demonstrations; leave ':5shot' out"):
        registry.find_tasks(["capitals/eu@letter:5shot"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("capitls", "capitals"),
        ("capitals/e", "capitals/eu"),
        ("capitals/eu@logprobs", "capitals/eu@logprob"),
        ("capitals:oficial", "capitals:official"),
        ("truthfulqa/mc3", "truthfulqa/mc1"),
        ("ifevall", "ifeval"),
    ],
)
def test_typos_suggest_the_nearest(plugin, name: str, hint: str) -> None:
    plugin("capitals", SOURCE)
    with pytest.raises(InputError, match=hint):
        registry.find_tasks([name])


def test_listing_does_not_import(plugin) -> None:
    plugin("capitals", SOURCE)
    entry = registry.entries()["capitals"]
    assert entry.summary == "Capitals of countries."
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    assert str(entry.folder / "task.py") not in loaded
    with pytest.raises(TaskError, match="imported"):
        registry.load_module(entry.folder / "task.py", "task")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "needs a literal dictionary TASK"),
        ("n = 1\nTASK = {'version': n}", "must be a literal"),
        ("TASK = {'primary': 'acc'}", "needs a 'version'"),
        ("TASK = {", "task.py:1"),
    ],
)
def test_bad_task_files_get_one_clear_line(plugin, source: str, message: str) -> None:
    """Only the broken task is lost, and whoever names it learns why."""
    plugin("capitals", SOURCE)
    plugin("bad", source)
    assert "capitals" in registry.entries()
    assert list(registry.broken()) == ["bad"]
    with pytest.raises(InputError, match=message) as caught:
        registry.find_tasks(["bad"])
    assert "\n" not in str(caught.value)
    assert str(caught.value) == registry.broken()["bad"]
    assert ids("capitals/eu") == ["capitals/eu"]


def test_a_broken_task_hides_ours_of_the_same_name(plugin) -> None:
    """Its owner meant to replace it, and must not get figures of another task."""
    plugin("ifeval", "TASK = {")
    assert "ifeval" not in registry.entries()
    with pytest.raises(InputError, match=r"my_tasks.ifeval.task\.py:1"):
        registry.find_tasks(["ifeval"])


def test_none_of_our_tasks_is_broken() -> None:
    assert registry.broken() == {}


def test_every_task_of_ours_has_a_card_and_a_summary() -> None:
    for entry in registry.entries().values():
        card = entry.folder / "README.md"
        assert card.is_file(), f"{entry.name} has no card"
        assert len(card.read_text(encoding="utf-8")) > 500, f"{entry.name}: the card says too little"
        assert entry.summary, entry.name
        assert entry.family in registry.FAMILIES, entry.name


def test_every_card_says_the_version_and_the_headline_metric() -> None:
    for entry in registry.entries().values():
        head = " ".join((entry.folder / "README.md").read_text(encoding="utf-8").split("\n\n")[1].split())
        assert head.startswith(f"Version {entry.spec['version']}. Metrics: "), entry.name
        primary = entry.spec.get("primary", "acc")
        named = {
            *(primary.values() if isinstance(primary, dict) else [primary]),
            *entry.spec.get("lower_is_better", ()),
        }
        assert all(f"`{name}`" in head for name in named | set(entry.spec.get("baselines", ()))), entry.name


def test_suites_name_tasks_that_exist() -> None:
    for name, suite in registry.suites().items():
        assert registry.find_tasks(suite.tasks), name
        assert set(suite.limits) <= set(suite.tasks)


def test_plugins_that_are_not_there_are_an_error() -> None:
    with pytest.raises(InputError, match="no such folder"):
        registry.add_plugins(["/nonexistent/tasks"])


def test_an_installed_package_brings_tasks_by_entry_point(tmp_path, monkeypatch) -> None:
    """A package with an entry point in `evalsuite.content` adds its tasks/ and judges/; nothing imports it."""
    package = tmp_path / "acme_evals"
    (package / "tasks" / "reasoning" / "acme_sums").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported to list')")
    (package / "tasks" / "reasoning" / "acme_sums" / "task.py").write_text('"""Sums."""\nTASK = {"version": 1}\n')
    info = tmp_path / "acme_evals-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-evals\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[evalsuite.content]\nacme = acme_evals\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.entries.cache_clear()
    try:
        assert registry.entries()["acme_sums"].family == "reasoning"
    finally:
        monkeypatch.undo()
        registry.entries.cache_clear()


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ("{'version': 1, 'subsets': ['a', 'b'], 'primary': {'a': 'acc'}}", "no metric for the subset 'b'"),
        ("{'version': 1, 'methods': 'logprob'}", "'methods' is str"),
        ("{'version': 1, 'lower_is_better': 'acc'}", "'lower_is_better' is str"),
        ("{'version': 1, 'baselines': {'acc': 'x'}}", "'x' is no number"),
        ("{'version': 1, 'unit': 'words'}", "'unit' is str, not dict"),
        ("{'version': 1, 'subsets': {1: 'a'}}", "no text"),
        ("{[]: 1}", "must be a literal"),
    ],
)
def test_a_literal_of_another_shape_is_found_before_any_work(plugin, literal: str, message: str) -> None:
    """Each of these was a traceback, most of them after everything had been generated."""
    plugin("odd", f'"""T."""\nTASK = {literal}\n')
    with pytest.raises(InputError, match=message):
        registry.find_tasks(["odd"])


def test_a_literal_may_be_annotated_and_a_task_that_exits_is_an_error(plugin) -> None:
    plugin("odd", '"""T."""\nTASK: dict[str, int] = {"version": 1}\nimport sys\nsys.exit(3)\n')
    folder = registry.entries()["odd"].folder
    with pytest.raises(TaskError, match=r"import failed .*SystemExit"):
        registry.load_module(folder / "task.py", "task")


def test_limits_of_a_suite_are_numbers_and_go_by_the_tasks_name(plugin) -> None:
    root = plugin("odd", '"""T."""\nTASK = {"version": 1}\n')
    (root / "suites.toml").write_text('[s]\n[s.tasks]\n"odd@letter" = 3\n')
    assert registry.suites()["s"].limits == {"odd": 3}
    (root / "suites.toml").write_text('[s]\n[s.tasks]\nodd = "many"\n')
    with pytest.raises(InputError, match="'many' is no number of samples"):
        registry.suites()
