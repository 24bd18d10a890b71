"""`evalsuite preferences` as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalsuite.cli import main

ROWS = [
    {
        "prompt": f"Question {i}?",
        "chosen": f"A long answer number {i} with [b]markup[/b] and more words",
        "rejected": f"No {i}",
    }
    for i in range(60)
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_describe_prints_sections_and_writes_json(data: Path, tmp_path: Path, capsys) -> None:
    assert main(["preferences", "describe", str(data), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "train: 60 pairs, 60 labelled, 0 ties" in out
    assert "the longer is preferred, by words" in out
    assert "100.0% [94.0, 100.0]" in out
    assert "what this can and cannot tell" in out
    written = json.loads((tmp_path / "out" / "describe.json").read_text())
    assert (written["n"], written["format"]) == (60, "TRL (standard)")


def test_describe_json_is_one_object_and_nothing_else(data: Path, capsys) -> None:
    assert main(["preferences", "describe", str(data), "--json", "--limit", "50"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["n"] == 50
    assert "only the first 50 pairs" in captured.err


def test_describe_is_the_same_twice(data: Path, tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        main(["preferences", "describe", str(data), "--out", str(tmp_path / name), "--json"])
        written.append((tmp_path / name / "describe.json").read_bytes())
    assert written[0] == written[1]


def test_consistency_prints_the_published_figures(public_data, tmp_path: Path, capsys) -> None:
    folder = public_data("sparse_feedback")
    assert main(["preferences", "consistency", str(folder), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "66/117 = 56.41% [47.4, 65.1]" in out
    assert "45/61 = 73.77% [61.6, 83.2]" in out
    assert [line.split()[-3:] for line in out.splitlines()[2:5]] == [
        ["19", "10", "8"],
        ["6", "26", "9"],
        ["11", "7", "21"],
    ]
    assert json.loads((tmp_path / "consistency.json").read_text())["repeated"] == 2
    files = [str(next(folder.glob(f"*{word}*"))) for word in ("ratings", "rankings")]
    assert main(["preferences", "consistency", "--ratings", files[0], "--rankings", files[1], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agreement"]["n"] == 117


def test_consistency_says_who_wins_by_which(tmp_path: Path, capsys) -> None:
    rated = [
        {"prompt": f"q{i}", "output": m, "rating": r, "model": m} for i in range(9) for m, r in (("m", 5), ("n", 3))
    ]
    ranked = [
        {"prompt": f"q{i}", "output_1": "m", "output_2": "n", "verdict": "b", "model_1": "m", "model_2": "n"}
        for i in range(9)
    ]
    for name, rows in (("ratings.jsonl", rated), ("rankings.jsonl", ranked)):
        (tmp_path / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert main(["preferences", "consistency", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "same verdict             0/9 = 0.00%" in out
    assert (
        "m over n: by rating 100.00% [70.1, 100.0] (n 9), by ranking 0.00% [0.0, 29.9] (n 9): the winner changes" in out
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["describe", "absent.jsonl"], "no such file or folder"),
        (["describe", "DATA", "--limit", "0"], "--limit 0: must be at least 1"),
        (["describe", "DATA", "--sample", "0"], "must be at least 1"),
        (["describe", "DATA", "--where", "aspect"], "expected KEY=VALUE"),
        (["describe", "DATA", "--where", "aspect=x"], "holds no pairs where aspect=x"),
        (["describe", "DATA", "--out", "DATA"], "is a file; give a folder"),
        (["describe", "DATA", "--profiles", "DATA"], "a profile needs one of annotator"),
        (["consistency"], "give a FOLDER, or both"),
        (["consistency", "--ratings", "DATA"], "give a FOLDER, or both"),
    ],
)
def test_bad_input_is_one_line_and_status_two(data: Path, capsys, words: list[str], message: str) -> None:
    assert main(["preferences", *(str(data) if w == "DATA" else w for w in words)]) == 2
    err = capsys.readouterr().err.splitlines()
    assert message in err[-1]
    assert err[-1].startswith("evalsuite: ")


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, evalsuite.cli as c\ntry: c.main(['preferences', '--help'])\nexcept SystemExit: pass\n"
        "print(*(m for m in ('numpy', 'pyarrow', 'sklearn', 'scipy', 'rich', 'torch') if m in sys.modules), '.')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(verb in done for verb in ("describe", "explain", "curate", "personalize", "consistency", "strength"))
    assert done.splitlines()[-1].strip() == "."


def test_without_a_verb_help_is_shown(capsys) -> None:
    assert main(["preferences"]) == 2
    assert "describe" in capsys.readouterr().out
