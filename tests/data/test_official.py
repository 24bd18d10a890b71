"""Official prompt texts come from the user's copy, in any of the shapes that benchmarks and harnesses keep them in."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.data.official import official_text
from evalsuite.errors import InputError

TEXT = "Q: What do bees make?\nA: Bees make honey."


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _presets(path: Path) -> Path:
    return _write(path, json.dumps({"preset_map": {"qa": "PRIMER"}, "text": {"PRIMER": TEXT, "OTHER": "x"}}))


def test_json_presets_by_short_and_long_name(tmp_path: Path) -> None:
    path = _presets(tmp_path / "presets.json")
    assert official_text(path, "bench", "qa") == TEXT
    assert official_text(path, "bench", "PRIMER") == TEXT


def test_json_object_of_strings(tmp_path: Path) -> None:
    assert official_text(_write(tmp_path / "p.json", json.dumps({"qa": TEXT})), "bench", "qa") == TEXT


def test_python_constants_are_read_without_running_the_file(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = (
        f"import pathlib\npathlib.Path({str(marker)!r}).touch()\nraise SystemExit\n"
        f'PRIMER = ("Q: What do bees make?\\n"\n    "A: Bees make honey.")\npresets = {{"qa": PRIMER, "other": "x"}}\n'
    )
    path = _write(tmp_path / "repo" / "bench" / "presets.py", code)
    assert official_text(path, "bench", "qa") == TEXT
    assert official_text(tmp_path / "repo", "bench", "PRIMER") == TEXT
    assert official_text(tmp_path / "repo", "bench", "other") == "x"
    assert not marker.exists()


def test_txt_by_name_also_where_folders_were_flattened(tmp_path: Path) -> None:
    plain = _write(tmp_path / "a" / "bench" / "qa" / "judge_instruction.txt", TEXT)
    _write(tmp_path / "b" / "bench" / "instructions" / "evaluation__qa__judge_instruction.txt", TEXT)
    for source in (plain, tmp_path / "a", tmp_path / "b"):
        assert official_text(source, "bench", "judge_instruction") == TEXT
    with pytest.raises(InputError):  # only a whole name counts
        official_text(tmp_path / "a", "bench", "instruction")


@pytest.mark.parametrize(
    "template",
    [
        "{{'" + TEXT + "\n\nQ: ' + question + '\nA:'}}",
        '{% set primer = "' + TEXT + '" %}{{ primer + question }}',
    ],
)
def test_harness_yaml_gives_the_templates_first_string(tmp_path: Path, template: str) -> None:
    path = _write(tmp_path / "bench" / "mc.yaml", f"doc_to_text: {json.dumps(template)}\nprocess: !function utils.f\n")
    assert official_text(path, "bench", "qa", "doc_to_text").startswith(TEXT)


def test_the_benchmarks_own_folder_wins_and_case_does_not_matter(tmp_path: Path) -> None:
    _write(tmp_path / "another" / "presets.json", json.dumps({"qa": "wrong"}))
    _presets(tmp_path / "deep" / "Bench" / "presets.json")
    assert official_text(tmp_path, "bench", "qa") == TEXT


def test_earlier_keys_win_over_nearer_files(tmp_path: Path) -> None:
    _write(tmp_path / "near.json", json.dumps({"second": "x"}))
    _write(tmp_path / "far" / "p.json", json.dumps({"first": TEXT}))
    assert official_text(tmp_path, "bench", "first", "second") == TEXT


def test_installed_package_by_name() -> None:
    with pytest.raises(InputError, match=r"^pytest: has no official prompt of bench"):
        official_text(Path("pytest"), "bench", "no_such_key_anywhere")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", '{"qa": ', r"p\.json:1: not JSON .*looked for 'qa'"),
        ("p.json", '["qa"]', r"p\.json: has no official prompt of bench \(looked for qa"),
        ("p.json", '{"qa": 3}', r"p\.json: has no official prompt"),
        ("p.py", "qa = (", r"p\.py:1: not Python"),
        ("p.py", 'qa = f"{1}"', r"p\.py: has no official prompt"),
        ("p.yaml", "qa: [", r"p\.yaml: not YAML"),
        ("p.md", "qa", r"p\.md: official prompts are read from"),
    ],
)
def test_errors_are_one_line_with_path_and_key(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        official_text(_write(tmp_path / name, content), "bench", "qa")
    assert "\n" not in str(caught.value)


def test_no_source_and_absent_source() -> None:
    with pytest.raises(InputError, match=r"--prompts official=PATH"):
        official_text(None, "bench", "qa")
    with pytest.raises(InputError, match=r"^/no/such/place: no such file"):
        official_text(Path("/no/such/place"), "bench", "qa")


def test_the_real_copies(public_data: Callable[[str], Path]) -> None:
    root = public_data("truthfulqa/presets.json").parent.parent
    primer = official_text(root, "truthfulqa", "qa")
    assert (primer.count("Q: "), primer.count("\nA: ")) == (6, 6)
    assert primer == official_text(root / "truthfulqa" / "presets.json", "truthfulqa", "QA_PRIMER")
    instruction = official_text(root, "halueval", "qa_evaluation_instruction")
    assert instruction.count("#Your Judgement#:") == 7
