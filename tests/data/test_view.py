from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.view import View
from crossfix.errors import DataError, PhotoError
from crossfix.geo.metadata import read_photo


def scene() -> Image.Image:
    y, x = np.mgrid[0:75, 0:101]
    noise = np.random.default_rng(0).integers(0, 60, (75, 101, 3))
    return Image.fromarray((np.stack([x, y, 190 - x], -1) + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"quality": 95, "subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2, "progressive": True},
        {"quality": 30, "optimize": True, "restart_marker_rows": 1},
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [None, 1, 6, 9])
def test_jpegs_are_read_as_pillow_reads_them(tmp_path: Path, how: dict[str, int], mode: str, orientation: int | None):
    exif = Image.Exif()
    if orientation is not None:
        exif[274] = orientation
    path = tmp_path / "a.jpg"
    scene().convert(mode).save(path, exif=exif, **how)
    pixels = View(path, "a").read()
    assert pixels.shape == ((101, 75, 3) if orientation == 6 else (75, 101, 3))
    np.testing.assert_array_equal(pixels, read_photo(path).pixels)
    pixels[0] = 0  # whoever reads a picture may write on it


def test_a_jpeg_whose_end_is_missing_is_refused(tmp_path: Path):
    path = tmp_path / "a.jpg"
    scene().save(path)
    whole = path.read_bytes()
    for stored in (whole[: len(whole) // 2], whole[: len(whole) // 2] + bytes(len(whole) // 2), whole[:-2], whole[:40], b""):
        path.write_bytes(stored)
        with pytest.raises(DataError, match=r"a\.jpg"):
            View(path, "a").read()


def test_damaged_jpegs_are_read_or_refused_as_pillow_does(tmp_path: Path):
    path = tmp_path / "a.jpg"
    scene().save(path)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        stored = bytearray(whole)
        for at in rng.integers(2, len(whole) - 2, 3):
            stored[at] = rng.integers(256)
        path.write_bytes(stored)
        try:
            expected, said = read_photo(path).pixels, ""
        except PhotoError as error:
            expected, said = None, error.what
        if expected is None:
            with pytest.raises(DataError) as raised:
                View(path, "a").read()
            assert raised.value.what == said
            refused += 1
        else:
            np.testing.assert_array_equal(View(path, "a").read(), expected)
    assert 10 < refused < 290
