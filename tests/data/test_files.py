"""Rows from every format, as they come from the field; bad lines are named by file and line."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data import fingerprint, read_rows
from evalsuite.errors import InputError

ROWS = [{"id": "1", "text": "plain"}, {"id": "2", "text": 'line\u2028separator\x85next\x0cpage "quoted", ünï'}]


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.jsonl", _lines),
        ("rows.json", lambda rows: json.dumps(rows, indent=1, ensure_ascii=False)),
        ("lines.json", _lines),  # JSON Lines under a .json name, as HaluEval ships it
        ("rows.csv", _csv),
        ("rows.jsonl", lambda rows: "\ufeff" + _lines(rows).replace("\n", "\r\n") + "\n\n"),
    ],
    ids=["jsonl", "json", "lines.json", "csv", "bom-crlf-blank"],
)
def test_every_format_gives_the_same_rows(
    tmp_path: Path, name: str, write: Callable[[list[dict[str, Any]]], str], packed: bool
) -> None:
    path = tmp_path / (name + ".gz" if packed else name)
    content = write(ROWS).encode("utf-8")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_rows(path) == ROWS


def test_parquet(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pd.DataFrame(ROWS).to_parquet(tmp_path / "rows.parquet")
    assert read_rows(tmp_path / "rows.parquet") == ROWS


def test_one_object_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"a": 1}')
    assert read_rows(tmp_path / "one.json") == [{"a": 1}]


def test_csv_drops_cells_without_a_heading(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2,3\n")
    assert read_rows(tmp_path / "rows.csv") == [{"a": "1", "b": "2"}]


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), max_size=4))
def test_json_lines_keep_every_string(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(_lines(rows).encode("utf-8"))
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"x": 1}\n{"x": \n', r"a\.jsonl:2: not JSON \(.* at column \d+\)"),
        ("a.jsonl", b'{"x": 1}\n\n[1]\n', r"a\.jsonl:3: expected an object, found list"),
        ("a.json", b'[{"x": 1}, 2]', r"a\.json: item 2: expected an object, found int"),
        ("a.json", b'[{"x": 1},\n 2', r"a\.json:2: not JSON"),
        ("a.json", b'{"x": 1}\n{"x" 2}\n', r"a\.json:2: not JSON"),
        ("a.jsonl", b'{"x": "\xff"}', r"a\.jsonl: not UTF-8 at byte 7"),
        ("a.jsonl.gz", b"not gzip", r"a\.jsonl\.gz: cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"x": 1}')[:-4], r"a\.jsonl\.gz: cannot be read"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.jsonl: cannot be read"):
        read_rows(tmp_path / "no.jsonl")


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=2))
def test_fingerprints_follow_content_not_key_order(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert fingerprint(value) == fingerprint(turned)
    assert fingerprint(value) != fingerprint({**value, "\0new": 1})
    assert len(fingerprint(value)) == 16


def test_fingerprints_take_lone_surrogates() -> None:
    assert fingerprint("\ud800") != fingerprint("\ud801")


def test_nan_in_json_is_absent(tmp_path: Path) -> None:
    """pandas writes NaN where a value is not there; no JSON that we write may hold it."""
    for name in ("a.jsonl", "a.json"):
        (tmp_path / name).write_text('{"a": NaN, "b": [1, Infinity]}')
        assert read_rows(tmp_path / name) == [{"a": None, "b": [1, None]}]
