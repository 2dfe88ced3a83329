from __future__ import annotations

import numpy as np
import pytest

from crossfix.data.stress import blurs
from crossfix.data.stress.draws import Draws
from crossfix.data.stress.pixels import each_channel, gaussian, to_bytes

POINT = np.zeros((71, 71, 3), np.uint8)
POINT[35, 35] = 255


@pytest.mark.parametrize("number", range(5))
def test_defocus_spreads_a_point_over_a_disk(number):
    out = blurs.defocus(np.full((71, 71, 3), 40, np.uint8), number, Draws("k"))
    assert (out == 40).all()
    edge = np.zeros((71, 71, 3), np.uint8)
    edge[:, 36:] = 255
    row = blurs.defocus(edge, number, Draws("k"))[35, :, 0].astype(float) / 255
    radius = blurs.DEFOCUS[number][0]
    # A straight edge under a disk of radius r: the share of the disk beyond a chord.
    chord = np.clip((np.arange(71) - 35.5) / radius, -1, 1)
    share = 0.5 + (chord * np.sqrt(1 - chord**2) + np.arcsin(chord)) / np.pi
    np.testing.assert_allclose(row, share, atol=0.06)


@pytest.mark.parametrize("angle", [0.0, 45.0, -30.0, -120.0])
def test_convention_a_trail_goes_clockwise_from_the_right_and_fades(angle):
    kernel = blurs.trail(10, 4.0, angle)
    assert kernel.sum() == pytest.approx(1)
    middle = kernel.shape[0] // 2
    y, x = np.nonzero(kernel)
    ends = x - middle, y - middle
    far = np.hypot(*ends).argmax()
    assert np.hypot(*ends)[far] == pytest.approx(20, abs=1)
    assert np.degrees(np.arctan2(ends[1][far], ends[0][far])) == pytest.approx(angle, abs=2)
    assert (
        np.hypot(y[kernel[y, x].argmax()] - middle, x[kernel[y, x].argmax()] - middle) < 1.5
    )  # two taps may share a pixel beside the middle
    assert kernel[y[far], x[far]] == pytest.approx(kernel[middle, middle] * np.exp(-0.5 * 25), rel=1e-9)


def test_motion_keeps_flat_pictures_and_blurs_others(picture):
    flat = np.full((9, 11, 3), 77, np.uint8)
    np.testing.assert_array_equal(blurs.motion(flat, 4, Draws("k")), flat)
    assert blurs.motion(picture, 0, Draws("k")).std() < picture.std()


def test_glass_only_moves_pixels_within_its_reach():
    # Without the two blurs a swap loses no pixel; with them the sum is kept all the same, away from the border.
    out = blurs.glass(POINT, 4, Draws("k"))[..., 0].astype(float)
    y, x = np.nonzero(out)
    assert np.hypot(y - 35, x - 35).max() < 71
    assert np.abs(y - 35).max() <= 2 * 4 * 2 + 2 * 6
    flat = np.full((40, 40, 3), 9, np.uint8)
    np.testing.assert_array_equal(blurs.glass(flat, 2, Draws("k")), flat)


def test_glass_mixes_as_swapping_one_by_one_does(picture):
    """Against the published loop, in its own order: the two move pixels about as far."""
    large = np.repeat(np.repeat(picture[::4, ::4], 6, 0), 6, 1)
    rng = np.random.default_rng(0)

    def blurred(p: np.ndarray) -> np.ndarray:
        return np.stack([to_bytes(gaussian(c, 0.9)) for c in each_channel(p)], -1)

    slow = blurred(large)
    for y in range(large.shape[0] - 2, 2, -1):
        for x in range(large.shape[1] - 2, 2, -1):
            dy, dx = rng.integers(-2, 2, 2)
            slow[[y, y + dy], [x, x + dx]] = slow[[y + dy, y], [x + dx, x]]
    slow = blurred(slow)
    ours = blurs.glass(large, 1, Draws("k"))
    change = [np.abs(p.astype(float) - large).mean() for p in (slow, ours)]
    assert change[1] == pytest.approx(change[0], rel=0.1)


def test_zoom_keeps_the_middle_and_smears_outwards():
    out = blurs.zoom(POINT, 4, Draws("k"))[..., 0]
    assert out[35, 35] == out.max()
    off = np.zeros((71, 71, 3), np.uint8)
    off[35, 55] = 255
    x = np.nonzero(blurs.zoom(off, 4, Draws("k"))[35, :, 0])[0]
    assert x.min() == 55
    assert x.max() == pytest.approx(35 + 20 * 1.3, abs=1)


def test_zoom_is_the_mean_of_the_enlargements(picture):
    count, step = blurs.ZOOM[2]
    parts = [picture.astype(float), *(blurs.enlarged(picture, 1 + n * step).astype(float) for n in range(count))]
    assert np.abs(blurs.zoom(picture, 2, Draws("k")) - np.mean(parts, axis=0)).max() <= 0.5
