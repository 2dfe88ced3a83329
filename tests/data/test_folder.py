from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.folder import natural_key, read_folder
from crossfix.errors import DataError


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (10, 200, 30)).save(path)


def test_places_and_files_in_natural_order(tmp_path: Path):
    put(tmp_path, "query/p10/a.jpg", "query/p2/b10.png", "query/p2/b9.JPG", "gallery/p2/x.tif", "gallery/p10/x.webp", "gallery/p3/x.bmp")
    (tmp_path / "query/p2/notes.txt").write_text("not an image")
    (tmp_path / "query/p2/.hidden.jpg").write_text("not an image")
    benchmark = read_folder(tmp_path)
    assert [(view.place, view.path.name) for view in benchmark.query] == [("p2", "b9.JPG"), ("p2", "b10.png"), ("p10", "a.jpg")]
    assert [view.place for view in benchmark.gallery] == ["p2", "p3", "p10"]
    pixels = benchmark.query[1].read()
    assert pixels.shape == (10, 20, 3)
    np.testing.assert_array_equal(pixels[0, 0], (10, 200, 30))


def test_natural_key_orders_mixed_names():
    assert sorted(["b", "10", "a2", "2", "a10"], key=natural_key) == ["2", "10", "a2", "a10", "b"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "there is no such folder"),
        (["query/1/a.jpg"], r"gallery: the folder is missing"),
        (["gallery/1/a.jpg"], r"query: the folder is missing"),
        (["gallery/1/a.jpg", "query/a.jpg"], r"query: holds no folder of a place"),
    ],
)
def test_folders_that_are_not_laid_out_so(tmp_path: Path, names: list[str], said: str):
    put(tmp_path / "data", *names)
    with pytest.raises(DataError, match=f"{said}; lay the images out as"):
        read_folder(tmp_path / "data")


def test_a_place_without_images_is_named(tmp_path: Path):
    put(tmp_path, "query/1/a.jpg", "gallery/1/a.jpg")
    (tmp_path / "gallery/7").mkdir()
    with pytest.raises(DataError, match=r"gallery/7: holds no image"):
        read_folder(tmp_path)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path):
    put(tmp_path, "query/1/a.jpg", "gallery/1/a.jpg")
    (tmp_path / "query/1/a.jpg").write_bytes(b"\xff\xd8 half a picture")
    with pytest.raises(DataError, match=r"query/1/a\.jpg: .*; replace the file"):
        read_folder(tmp_path).query[0].read()
