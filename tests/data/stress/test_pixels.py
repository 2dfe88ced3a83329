from __future__ import annotations

import numpy as np
import pytest

from crossfix.data.stress.pixels import HOLD, MIRROR, REFLECT, WRAP, as_picture, filtered, gaussian, resize, sample, stretch, to_bytes
from crossfix.errors import InputError


def mirrored(index: np.ndarray, length: int, twice: bool) -> np.ndarray:
    """Folded at the outermost pixels' centres, or at their outer edges, where the outermost one comes twice."""
    order = list(range(length)) + (list(range(length - 1, -1, -1)) if twice else list(range(length - 2, 0, -1)))
    return np.array(order)[index % len(order)]


def test_halves_go_up_whatever_their_last_bit():
    values = np.array([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 0.49, 254.5, -3.0, 300.0])
    assert to_bytes(values).tolist() == [1, 1, 1, 0, 255, 0, 255]


def test_grey_pictures_get_three_channels():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for given in (grey, grey[..., None]):
        assert as_picture(given).shape == (3, 4, 3)
        np.testing.assert_array_equal(as_picture(given)[..., 1], grey)


@pytest.mark.parametrize(
    "given",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((2, 2, 2, 2), np.uint8), np.uint8(1)],
    ids=["float", "four channels", "empty", "four axes", "a number"],
)
def test_what_is_no_picture_is_refused(given):
    with pytest.raises(InputError):
        as_picture(given)


@pytest.mark.parametrize(("border", "fold"), [(REFLECT, lambda i, n: mirrored(i, n, False)), (WRAP, lambda i, n: i % n)])
def test_sampling_is_bilinear_in_whole_numbers(picture, border, fold):
    rng = np.random.default_rng(0)
    height, width = picture.shape[:2]
    x, y = rng.uniform(-90, 150, (20, 30)), rng.uniform(-70, 110, (20, 30))
    fine_x, fine_y = np.round(x * 32).astype(int), np.round(y * 32).astype(int)
    left, top = fine_x // 32, fine_y // 32
    right_share, lower_share = fine_x % 32, fine_y % 32
    total = np.zeros((20, 30, 3), int)
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (lower_share if down else 32 - lower_share) * (right_share if across else 32 - right_share)
        total += weight[..., None] * picture[fold(top + down, height), fold(left + across, width)].astype(int)
    np.testing.assert_array_equal(sample(picture, x, y, border), (total + 512) // 1024)


def test_resizing_to_the_same_size_changes_nothing():
    field = np.random.default_rng(0).random((7, 9))
    for cubic in (False, True):
        np.testing.assert_allclose(resize(field, 7, 9, cubic=cubic), field, atol=1e-12)


def test_resizing_keeps_planes_and_means():
    y, x = np.mgrid[:12, :16] + 0.5
    plane = 3 * y + 2 * x
    for cubic in (False, True):
        large = resize(plane, 24, 48, cubic=cubic)
        rows, columns = (np.mgrid[:24, :48] + 0.5) / np.array([2, 3])[:, None, None]
        inner = np.s_[6:-6, 9:-9]
        np.testing.assert_allclose(large[inner], (3 * rows + 2 * columns)[inner], atol=1e-9)
    noise = np.random.default_rng(1).random((60, 80))
    assert abs(resize(noise, 15, 20).mean() - noise.mean()) < 0.02
    assert resize(noise, 15, 20).std() < 0.5 * noise.std()


def test_stretching_takes_values_where_it_is_told():
    field = np.arange(20.0).reshape(4, 5)
    np.testing.assert_allclose(stretch(field, np.array([1.0, 2.0]), np.array([0.5, 1.5, 2.5])), [[5.5, 6.5, 7.5], [10.5, 11.5, 12.5]])


@pytest.mark.parametrize("side", [5, 31])
def test_filtering_is_a_correlation_mirrored_at_the_border(side):
    rng = np.random.default_rng(0)
    field, kernel = 255 * rng.random((14, 19)), rng.random((side, side))
    kernel /= kernel.sum()
    slow = np.zeros_like(field)
    for y in range(side):
        for x in range(side):
            rows = mirrored(np.arange(14) + y - side // 2, 14, False)
            slow += kernel[y, x] * field[rows][:, mirrored(np.arange(19) + x - side // 2, 19, False)]
    np.testing.assert_allclose(filtered(field, kernel), slow, atol=1e-9)


@pytest.mark.parametrize("border", [HOLD, MIRROR])
def test_gaussian_blur_wider_than_the_field(border):
    field, sigma = np.random.default_rng(0).random((9, 6)), 7.0
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    slow = field
    for axis, length in enumerate(field.shape):
        place = np.arange(length)[:, None] + np.arange(-radius, radius + 1)
        place = np.clip(place, 0, length - 1) if border == HOLD else mirrored(place, length, True)
        slow = np.moveaxis(np.tensordot(np.moveaxis(slow, axis, 0)[place], taps / taps.sum(), axes=(1, 0)), 0, axis)
    np.testing.assert_allclose(gaussian(field, sigma, border=border), slow, atol=1e-12)
