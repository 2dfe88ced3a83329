from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.dataset import Finding
from crossfix.data.folder import Folder
from crossfix.data.view import natural_key
from crossfix.errors import DataError, InputError


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (10, 200, 30)).save(path)


def test_places_and_files_in_natural_order(tmp_path: Path):
    put(tmp_path, "query/p10/a.jpg", "query/p2/b10.png", "query/p2/b9.JPG", "gallery/p2/x.tif", "gallery/p10/x.webp", "gallery/p3/x.bmp")
    (tmp_path / "query/p2/notes.txt").write_text("not an image")
    (tmp_path / "query/p2/.hidden.jpg").write_text("not an image")
    benchmark = Folder(tmp_path).task()
    assert [(view.place, view.path.name) for view in benchmark.query] == [("p2", "b9.JPG"), ("p2", "b10.png"), ("p10", "a.jpg")]
    assert [view.place for view in benchmark.gallery] == ["p2", "p3", "p10"]
    assert [rows.tolist() for rows in benchmark.positives] == [[0], [0], [2]]
    assert [view.path for view in Folder(tmp_path).images()] == [view.path for view in (*benchmark.query, *benchmark.gallery)]
    assert not list(Folder(tmp_path).inspect())
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
        Folder(tmp_path / "data").task()


def test_a_place_without_images_is_named(tmp_path: Path):
    put(tmp_path, "query/1/a.jpg", "gallery/1/a.jpg")
    (tmp_path / "gallery/7").mkdir()
    with pytest.raises(DataError, match=r"gallery/7: holds no image"):
        Folder(tmp_path).task()


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path):
    put(tmp_path, "query/1/a.jpg", "gallery/1/a.jpg")
    (tmp_path / "query/1/a.jpg").write_bytes(b"\xff\xd8 half a picture")
    with pytest.raises(DataError, match=r"query/1/a\.jpg: .*; replace the file"):
        Folder(tmp_path).task().query[0].read()


def test_places_without_anything_to_find_are_reported(tmp_path: Path):
    put(tmp_path, "query/1/a.jpg", "query/2/a.jpg", "query/2/b.jpg", "gallery/1/a.jpg")
    assert [finding.where for finding in Folder(tmp_path).inspect() if isinstance(finding, Finding)] == ["2"]
    assert [finding.what for finding in Folder(tmp_path / "nowhere").inspect()] == ["there is no such folder"]


def test_other_splits_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no split 'test'"):
        Folder(tmp_path).task("test")
