"""Datasets with image columns, as `datasets` writes them: a saved folder and a Parquet file."""

from pathlib import Path
from typing import Any

import pytest
from vision_checkpoints import picture

from evalsuite.data import Setup, read_rows
from evalsuite.data.images import image_hashes, pil, read_image, settled
from evalsuite.errors import InputError
from evalsuite.records import Message

datasets = pytest.importorskip("datasets")


def table() -> Any:
    images = [picture(seed, 20 + seed, 12) for seed in range(3)]
    features = datasets.Features({"question": datasets.Value("string"), "image": datasets.Image()})
    rows = {"question": ["a", "b", "c"], "image": images}
    return datasets.Dataset.from_dict(rows, features=features)


def turn(image: Any) -> list[Message]:
    return [Message(role="user", content=[{"type": "image", "image": image}])]


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_image_columns_are_read_as_they_come(form: str, tmp_path: Path) -> None:
    made = table()
    path = tmp_path / "data.parquet" if form == "parquet" else tmp_path / "saved"
    made.to_parquet(str(path)) if form == "parquet" else made.save_to_disk(str(path))
    rows = Setup("t", tmp_path, data=str(path)).rows("data.parquet")
    assert [row["question"] for row in rows] == ["a", "b", "c"]
    for row, decoded in zip(rows, made, strict=True):
        [message] = settled(turn(row["image"]))
        image = read_image(message["content"][0])
        assert pil(image).tobytes() == decoded["image"].convert("RGB").tobytes()
        assert image_hashes(settled(turn(decoded["image"])))  # what `datasets` itself decodes is taken as well


def test_a_folder_of_splits_asks_for_one(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": table(), "test": table()}).save_to_disk(str(tmp_path / "all"))
    with pytest.raises(InputError, match="one of its parts: test, train"):
        read_rows(tmp_path / "all")
    assert len(read_rows(tmp_path / "all" / "test")) == 3
    (file,) = (tmp_path / "all" / "test").glob("*.arrow")
    file.write_bytes(b"no table")
    with pytest.raises(InputError, match="not an Arrow file"):
        read_rows(tmp_path / "all" / "test")
