from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from crossfix.data.view import View
from crossfix.errors import DataError
from crossfix.models.describe import fit
from crossfix.train.reading import Ahead, Reader, read_picture


def view(path: Path, number: int, size: tuple[int, int] = (40, 30), **options: object) -> View:
    """A smooth picture of (width, height), written to a file."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)).save(path, **options)  # type: ignore[arg-type]
    return View(path, str(number))


@pytest.fixture
def views(tmp_path: Path) -> list[View]:
    return [view(tmp_path / f"{number}.{suffix}", number) for number, suffix in enumerate(("jpg", "png", "jpg", "JPEG", "jpg"))]


def test_pictures_are_those_that_are_evaluated(tmp_path: Path, views: list[View]):
    """Upright, RGB, the same to a level: training sees what evaluation sees."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = view(tmp_path / "turned.jpg", 9, exif=exif)
    assert turned.read().shape == (40, 30, 3)
    for one in (*views, turned):
        difference = np.abs(read_picture(one).astype(int) - one.read())
        assert difference.max() <= 4
        assert difference.mean() < 0.5
    got = Reader(2).read(views, (12, 28), "middle")
    want = np.stack([fit(read_picture(one), (12, 28), "middle") for one in views])
    np.testing.assert_array_equal(got, want)


def test_what_is_kept_stays_within_the_memory_and_changes_nothing(views: list[View]):
    one = 16 * 16 * 3
    reader = Reader(2, memory_gb=2.5 * one / 1e9)
    first = reader.read(views, (16, 16))
    assert reader.kept_bytes == 2 * one
    for _ in range(2):
        np.testing.assert_array_equal(reader.read(views[::-1], (16, 16)), first[::-1])
    assert reader.kept_bytes == 2 * one
    everything = Reader(2, memory_gb=1.0)
    everything.read(views, (16, 16))
    everything.read(views, (8, 16))
    assert everything.kept_bytes == 5 * one + 5 * one // 2, "each size for itself"
    for each in views:
        each.path.unlink()
    np.testing.assert_array_equal(everything.read(views, (16, 16)), first)


@pytest.mark.parametrize("damage", ["gone", "half", "text"])
def test_a_picture_that_cannot_be_read_is_named(views: list[View], damage: str):
    path = views[2].path
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:400] if damage == "half" else b"no picture \xff\xd9")
    with pytest.raises(DataError, match=r"2\.jpg"):
        Reader(2).read(views, (16, 16))


def test_numbers_are_made_ahead_but_never_beyond_the_limit():
    made: list[int] = []
    done = threading.Event()

    def make(number: int):
        made.append(number)
        return lambda: (done.wait(5), number * number)[1]

    ahead = Ahead(make, 3)
    done.set()
    assert ahead.get(0, limit=100) == 0
    assert made == [0, 1, 2, 3]
    assert ahead.get(1, limit=5) == 1
    assert made == [0, 1, 2, 3, 4]
    assert [ahead.get(number, limit=5) for number in (2, 3, 4)] == [4, 9, 16]
    assert made == [0, 1, 2, 3, 4]
    assert ahead.get(7, limit=0) == 49, "what is asked for is always made"
    ahead.close()


def test_reading_ahead_overlaps_with_work():
    ahead = Ahead(lambda number: lambda: time.sleep(0.05) or number, 2)
    ahead.get(0, limit=100)
    time.sleep(0.15)
    began = time.monotonic()
    assert (ahead.get(1, limit=100), ahead.get(2, limit=100)) == (1, 2)
    assert time.monotonic() - began < 0.04
    ahead.close()


def test_errors_come_when_their_number_is_asked_for():
    def make(number: int):
        def read() -> int:
            if number == 1:
                raise DataError("cannot be read", where="1.jpg")
            return number

        return read

    for depth in (0, 2):
        ahead = Ahead(make, depth)
        assert ahead.get(0, limit=9) == 0
        with pytest.raises(DataError, match=r"1\.jpg"):
            ahead.get(1, limit=9)
        ahead.close()
