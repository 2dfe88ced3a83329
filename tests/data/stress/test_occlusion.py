from __future__ import annotations

import numpy as np
import pytest

from crossfix.data.stress.draws import Draws
from crossfix.data.stress.occlusion import blob, blob_mask, rectangles
from crossfix.errors import InputError

BLACK = np.zeros((60, 80, 3), np.uint8)


@pytest.mark.parametrize("cover", [rectangles, blob])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 1.0])
def test_the_share_is_covered_to_the_pixel_and_in_grey(cover, share):
    out = cover(BLACK, share, Draws("a"))
    covered = (out > 0).all(axis=2)
    assert covered.sum() == share * 60 * 80
    assert (out[covered] == out[covered][:, :1]).all()
    assert (out[~covered] == 0).all()


@pytest.mark.parametrize("cover", [rectangles, blob])
def test_more_covers_what_less_covered(cover):
    less, more = (cover(BLACK, share, Draws("a")) > 0 for share in (0.2, 0.4))
    assert more[less].all()


@pytest.mark.parametrize("cover", [rectangles, blob])
def test_tiny_pictures(cover):
    for shape in ((1, 1, 3), (1, 7, 3), (32, 2, 3)):
        assert cover(np.zeros(shape, np.uint8), 0.5, Draws("a")).shape == shape


def test_a_blob_is_one_piece_without_holes():
    for number in range(20):
        mask = blob_mask(60, 80, 0.2, Draws("a", number))
        assert pieces(mask) == 1, number


def test_blobs_of_different_keys_lie_elsewhere():
    first, second = (blob_mask(60, 80, 0.2, Draws(key)) for key in "ab")
    assert (first & second).sum() < 0.9 * first.sum()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_makes_no_sense(share):
    with pytest.raises(InputError, match="share"):
        rectangles(BLACK, share, Draws("a"))


def pieces(mask: np.ndarray) -> int:
    """Connected pieces, by flooding."""
    left, count = set(map(tuple, np.argwhere(mask))), 0
    while left:
        count += 1
        stack = [left.pop()]
        while stack:
            y, x = stack.pop()
            for neighbour in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if neighbour in left:
                    left.remove(neighbour)
                    stack.append(neighbour)
    return count
