"""Pictures: what is in front hides what is behind, colours are the cloud's, heights go from dark to bright."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.draw import draw, draw_sheet
from crossfix.errors import InputError


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def slab(z: float, colour: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    xyz = np.random.default_rng(seed).uniform(-50, 50, (20_000, 3)) * (1, 1, 0)
    return xyz + np.array([0, 0, z]), np.full((20_000, 3), colour, np.uint8)


def test_from_above_the_upper_slab_hides_the_lower() -> None:
    (low, red), (high, blue) = slab(0, (200, 0, 0)), slab(30, (0, 0, 200), 1)
    png = draw(Cloud(np.concatenate([high, low]), np.concatenate([blue, red]), "enu"), px=200)
    picture = pixels(png)
    assert picture.shape == (220, 400, 3)
    above = picture[60:180, 240:360].reshape(-1, 3)
    upper = (above[:, 2] > 60) & (above[:, 0] < 60)
    assert upper.mean() > 0.85  # the rest is seen between points
    swapped = pixels(draw(Cloud(np.concatenate([low, high]), np.concatenate([red, blue]), "enu"), px=200))
    np.testing.assert_array_equal(swapped, picture)  # the order of the points says nothing
    oblique = picture[20:, :200].reshape(-1, 3)
    assert ((oblique[:, 0] > 100) & (oblique[:, 2] < 60)).sum() > 300  # the lower one shows below the other


def test_north_is_up_and_east_is_right_from_above() -> None:
    xyz, rgb = slab(0, (90, 90, 90))
    rgb[(xyz[:, 0] > 20) & (xyz[:, 1] > 20)] = (0, 200, 0)
    above = pixels(draw(Cloud(xyz, rgb, "enu"), px=200))[20:, 200:]
    rows, columns = np.nonzero((above[..., 1] > 150) & (above[..., 0] < 60))
    assert rows.max() < 100 < columns.min()


def test_heights_are_brighter_the_higher() -> None:
    xyz = np.random.default_rng(0).uniform((-50, -50, 0), (50, 50, 1), (30_000, 3))
    xyz[:, 2] = xyz[:, 0] / 10 + 5
    above = pixels(draw(Cloud(xyz, None, "enu"), px=200))[60:180, 220:380].sum(axis=-1)
    bright = [above[:, part].mean() for part in (slice(10, 40), slice(60, 90), slice(120, 150))]
    assert bright[0] < bright[1] < bright[2]


def test_true_colours_need_colours() -> None:
    cloud = Cloud(slab(0, (0, 0, 0))[0], None, "level")
    assert pixels(draw(cloud, px=64)).shape == (84, 128, 3)
    with pytest.raises(InputError, match="no colours"):
        draw(cloud, shade="true")
    for px in (10, 10_000):
        with pytest.raises(InputError, match="64 to 8192"):
            draw(cloud, px=px)


def test_clouds_of_a_point_or_two_are_drawn_too() -> None:
    assert draw(Cloud(np.zeros((1, 3))), px=64)
    assert draw(Cloud(np.array([[0, 0, 0], [1.0, 0, 0]])), px=64)


def test_a_sheet_has_four_to_a_row() -> None:
    cloud = Cloud(*slab(0, (9, 9, 9)), "enu")
    assert pixels(draw_sheet([("a", cloud)] * 5)).shape == (420, 1200, 3)
    assert pixels(draw_sheet([("a", cloud)])).shape == (210, 300, 3)
