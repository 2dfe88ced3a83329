"""Panoramas redrawn as seen from above."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfix.errors import InputError
from crossfix.models.overhead import distance_from_middle, overhead, overhead_map

FILL = (1, 2, 3)


def panorama(height: int, width: int, fov_deg: float = 360.0) -> np.ndarray:
    """Red tells the bearing, 0 in the north up to 180 in the south, green whether it is in the east, blue the elevation plus 90."""
    bearing = ((np.arange(width) + 0.5) / width - 0.5) * fov_deg
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * height / width * fov_deg
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.round(np.abs(bearing))[None]
    picture[..., 1] = np.where(bearing > 0, 200, 50)[None]
    picture[..., 2] = np.round(elevation + 90)[:, None]
    return picture


def elevation_at(away: float) -> float:
    """The definition, written out."""
    if away <= 0.75:
        return -45 * (1 - (away / 0.75) ** 0.7)
    return 108 * (away - 0.75)


def test_distances_from_the_middle_are_the_elevations_way_back():
    away = np.linspace(0, 1.4, 57)
    got = distance_from_middle(np.array([elevation_at(one) for one in away], np.float32))
    np.testing.assert_allclose(got, away, atol=1e-5)
    assert distance_from_middle(np.array([-80.0], np.float32))[0] == 0, "not drawn"


@pytest.mark.parametrize("size", [(180, 360), (90, 360), (64, 256), (256, 1024)])
def test_convention_bearings_go_around_and_elevations_outwards(size: tuple[int, int]):
    drawn, px = overhead(panorama(*size), 64, FILL).astype(int), 64
    reach = size[0] / size[1] * 180  # the panorama ends there, above and below
    for row in range(2, 64, 7):
        for column in range(2, 64, 7):
            x, y = (2 * column + 1) / px - 1, (2 * row + 1) / px - 1
            bearing, elevation = math.degrees(math.atan2(x, -y)), elevation_at(math.hypot(x, y))
            if math.hypot(x, y) > 0.25:
                assert drawn[row, column, 0] == pytest.approx(abs(bearing), abs=5)
            if 4 < abs(bearing) < 176:
                assert bool(drawn[row, column, 1] > 125) == (bearing > 0)
            assert drawn[row, column, 2] - 90 == pytest.approx(np.clip(elevation, -reach, reach), abs=4)


def test_the_horizon_is_a_circle_at_three_quarters():
    bearing, row = overhead_map(200, 90, 360)
    away = np.hypot(*np.meshgrid(*[(2 * np.arange(200) + 1) / 200 - 1] * 2))
    assert away[np.abs(row - 44.5) < 0.2] == pytest.approx(0.75, abs=0.01)
    assert (bearing.min(), bearing.max()) == pytest.approx((-180, 180), abs=1)
    assert bearing[99, 199] == pytest.approx(90, abs=1), "east is to the right"


def test_what_the_picture_does_not_show_is_filled():
    drawn = overhead(panorama(60, 90, 90.0), 64, FILL, 90.0)
    bearing, _ = overhead_map(64, 60, 90, 90.0)
    shown = (drawn != FILL).any(2)
    assert shown[np.abs(bearing) < 40].all()
    assert not shown[np.abs(bearing) > 50].any()
    assert drawn[10, 31:33, 0].astype(int) == pytest.approx(0, abs=4), "its middle is up"


def test_the_back_of_a_panorama_has_no_seam():
    grey = np.repeat((100 + 50 * np.cos(np.linspace(-np.pi, np.pi, 256, endpoint=False)))[None, :, None], 64, 0).repeat(3, 2)
    below = overhead(grey.astype(np.uint8), 64, FILL)[40:, :, 0].astype(int)
    assert np.abs(np.diff(below, axis=1)).max() <= 4


def test_a_picture_of_known_heading_is_drawn_with_north_up():
    north_up, facing_east = overhead(panorama(64, 256), 64, FILL), np.roll(panorama(64, 256), -64, axis=1)
    np.testing.assert_allclose(overhead(facing_east, 64, FILL, middle_deg=90.0).astype(int), north_up, atol=1)
    sector = overhead(panorama(64, 64, 90.0), 64, FILL, 90.0, middle_deg=180.0)
    assert (sector[56, 32] != FILL).any()
    assert (sector[8, 32] == FILL).all()


def test_no_bearings_are_refused():
    for wrong in (0.0, 361.0):
        with pytest.raises(InputError, match="degrees of the horizon"):
            overhead(panorama(8, 16), 8, FILL, wrong)
