from __future__ import annotations

import numpy as np
import pytest

from crossfix.data.stress.geometry import field_of_view, perspective, quarter_turned, scaled, shifted, turned, turned_panorama
from crossfix.errors import InputError

WIDTH, HEIGHT = 720, 360


def panorama_with(bearing_deg: float, elevation_deg: float = 0.0) -> np.ndarray:
    """A black panorama with a white spot at a bearing from the middle column and an elevation."""
    x, y = (np.arange(WIDTH) + 0.5) / WIDTH * 360 - 180, 90 - (np.arange(HEIGHT) + 0.5) / HEIGHT * 180
    off = np.abs((x - bearing_deg + 180) % 360 - 180)[None, :] ** 2 + (y - elevation_deg)[:, None] ** 2
    return np.repeat(np.where(off < 1.5**2, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def spot(picture: np.ndarray) -> tuple[float, float]:
    """Where the light lies, as x and y from the middle, in pixels."""
    weight = picture[..., 0].astype(float)
    y, x = np.indices(weight.shape)
    middle_y, middle_x = (np.array(weight.shape) - 1) / 2
    return (weight * x).sum() / weight.sum() - middle_x, (weight * y).sum() / weight.sum() - middle_y


@pytest.mark.parametrize("heading", [0.0, 30.0, 90.0, -120.0, 179.0, 180.0, 400.0])
def test_convention_the_column_of_a_heading_comes_to_the_middle(heading):
    panorama = panorama_with(heading)
    assert spot(turned_panorama(panorama, heading)) == pytest.approx((0, 0), abs=1)
    seen = perspective(panorama, heading_deg=heading, pitch_deg=0, fov_deg=80, width=200, height=150)
    assert spot(seen) == pytest.approx((0, 0), abs=1)


def test_convention_perspective_angles():
    focal = 200 / 2 / np.tan(np.radians(80) / 2)
    right = perspective(panorama_with(50), heading_deg=30, pitch_deg=0, fov_deg=80, width=200, height=150)
    assert spot(right) == pytest.approx((focal * np.tan(np.radians(20)), 0), abs=1)
    above = perspective(panorama_with(30, 15), heading_deg=30, pitch_deg=0, fov_deg=80, width=200, height=150)
    assert spot(above) == pytest.approx((0, -focal * np.tan(np.radians(15))), abs=1)
    looked_up = perspective(panorama_with(30, 15), heading_deg=30, pitch_deg=15, fov_deg=80, width=200, height=150)
    assert spot(looked_up) == pytest.approx((0, 0), abs=1)


def test_perspective_across_the_seam_has_no_seam():
    x = np.arange(WIDTH)
    smooth = np.repeat(np.broadcast_to((128 + 100 * np.cos(2 * np.pi * x / WIDTH))[None, :, None], (HEIGHT, WIDTH, 1)), 3, 2).astype(
        np.uint8
    )
    seen = perspective(smooth, heading_deg=180, pitch_deg=0, fov_deg=90).astype(int)
    assert np.abs(np.diff(seen, axis=1)).max() <= 2


def test_perspective_is_as_fine_as_the_panorama_by_default():
    seen = perspective(panorama_with(0), heading_deg=0, pitch_deg=0, fov_deg=70)
    focal = seen.shape[1] / 2 / np.tan(np.radians(35))
    assert focal == pytest.approx(WIDTH / (2 * np.pi), rel=0.01)
    assert seen.shape[0] == round(0.75 * seen.shape[1])


def test_turned_panorama_keeps_every_column(picture):
    out = turned_panorama(picture, 77.0)
    assert sorted(map(bytes, out.transpose(1, 0, 2).copy())) == sorted(map(bytes, picture.transpose(1, 0, 2).copy()))
    np.testing.assert_array_equal(turned_panorama(picture, 360.0), picture)


@pytest.mark.parametrize(("fov", "width"), [(360, 64), (180, 32), (90, 16), (70, 12), (1, 1)])
def test_field_of_view_keeps_the_middle(picture, fov, width):
    out = field_of_view(picture, fov)
    left = (64 - width) // 2
    np.testing.assert_array_equal(out, picture[:, left : left + width])


def test_convention_a_turn_is_of_the_upper_edge(picture):
    square = picture[:48, :48]
    # Turned to face east, the picture shows above what was at its right.
    np.testing.assert_array_equal(quarter_turned(square, 1)[0], square[:, -1])
    for quarters in range(4):
        np.testing.assert_array_equal(turned(square, 90.0 * quarters), quarter_turned(square, quarters))


def test_a_turn_there_and_back(picture):
    smooth = np.repeat(np.repeat(picture[::8, ::8], 24, 0), 24, 1)
    smooth = sum(np.roll(smooth.astype(int), (a, b), (0, 1)) for a in range(-6, 7, 3) for b in range(-6, 7, 3)) // 25
    back = turned(turned(smooth.astype(np.uint8), 25.0), -25.0)
    inner = np.s_[50:-50, 60:-60]
    assert np.abs(back[inner].astype(int) - smooth[inner]).mean() < 3


def test_convention_a_shift_has_a_bearing(picture):
    north, east = shifted(picture, 0.25, 0.0), shifted(picture, 0.25, 90.0)
    np.testing.assert_array_equal(north[12:], picture[:-12])
    np.testing.assert_array_equal(north[:12], picture[1:13][::-1])  # mirrored beyond the border
    np.testing.assert_array_equal(east[:, :-16], picture[:, 16:])


def test_a_wider_picture_replaces_the_mirror(picture):
    chip = picture[12:36, 16:48]
    np.testing.assert_array_equal(shifted(chip, 0.5, 90.0, picture), picture[12:36, 32:64])
    np.testing.assert_array_equal(turned(chip, 180.0, picture), chip[::-1, ::-1])
    np.testing.assert_array_equal(shifted(chip, 0.0, 0.0, picture), chip)
    double = scaled(chip, 2.0, picture)
    plain = picture.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(double - plain).mean() < 8
    assert np.abs(scaled(chip, 2.0) - plain).mean() > 20


def test_a_scale_is_of_the_side():
    row = np.repeat(np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 3, 48, 0), 3, 2)
    half = scaled(row, 0.5)[20, :, 0].astype(float)
    np.testing.assert_allclose(half, 3 * ((np.arange(64) - 31.5) * 0.5 + 31.5), atol=0.6)
    double = scaled(row, 2.0)[20, :, 0].astype(float)
    inside = slice(17, 47)
    np.testing.assert_allclose(double[inside], (3 * ((np.arange(64) - 31.5) * 2 + 31.5))[inside], atol=0.6)
    np.testing.assert_array_equal(scaled(row, 1.0), row)


def test_what_makes_no_sense(picture):
    calls = [
        lambda: field_of_view(picture, 0),
        lambda: field_of_view(picture, 361),
        lambda: perspective(picture, heading_deg=0, pitch_deg=0, fov_deg=180),
        lambda: perspective(picture, heading_deg=0, pitch_deg=0, fov_deg=90, width=100_000, height=2),
        lambda: perspective(picture, heading_deg=0, pitch_deg=0, fov_deg=90, width=0),
        lambda: scaled(picture, 9.0),
        lambda: scaled(picture, float("nan")),
        lambda: shifted(picture, 0.1, 0.0, picture[:20]),
        lambda: shifted(picture[:-1], 0.1, 0.0, picture),
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()
