"""A share of a picture covered: by grey rectangles or by one blob, to the exact number of pixels. Axes: H rows, W columns."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from crossfix.data.stress.draws import Draws
from crossfix.data.stress.pixels import Picture, resize
from crossfix.errors import InputError

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
Mask = npt.NDArray[np.bool_]
_GREYS = (64, 192)
_SIDES = (0.1, 0.35)
_BLOB_PX = 128
_WAVES = (2, 3, 4, 5, 6)


def rectangles(picture: Picture, share: float, draws: Draws) -> Picture:
    """Rectangles of 10 to 35 % of the sides, each of one grey, over a share of the picture; the last one ends where that is reached.

    Raises:
        InputError: where the share is not between 0 and 1.
    """
    height, width = picture.shape[:2]
    covered, left = np.zeros((height, width), bool), _pixels(share, height, width)
    out = picture.copy()
    while left > 0:
        tall, wide = (max(1, round(side * draws.uniform(*_SIDES))) for side in (height, width))
        # Up to half of it may lie outside: the borders are covered as often as the middle.
        top, start = draws.integer(-(tall // 2), height - (tall + 1) // 2), draws.integer(-(wide // 2), width - (wide + 1) // 2)
        tall, wide, top, start = min(tall, tall + top), min(wide, wide + start), max(0, top), max(0, start)
        window = covered[top : top + tall, start : start + wide]
        new = np.flatnonzero(~window)[:left]
        grey = np.uint8(draws.integer(*_GREYS))
        rows, columns = top + new // window.shape[1], start + new % window.shape[1]
        covered[rows, columns] = True
        out[rows, columns] = grey
        left -= len(new)
    return out


def blob(picture: Picture, share: float, draws: Draws) -> Picture:
    """One rounded thing of one grey over a share of the picture, about any place of it; the border may cut it.

    Raises:
        InputError: where the share is not between 0 and 1.
    """
    out = picture.copy()
    out[blob_mask(picture.shape[0], picture.shape[1], share, draws)] = np.uint8(draws.integer(*_GREYS))
    return out


def blob_mask(height: int, width: int, share: float, draws: Draws) -> Mask:
    """Which pixels a blob covers: those nearest to its middle, distances stretched by a few waves around it."""
    count = _pixels(share, height, width)
    rows, columns = min(height, _BLOB_PX), min(width, _BLOB_PX)
    middle_y, middle_x = draws.uniform(), draws.uniform()
    y, x = (np.arange(rows) + 0.5) / rows - middle_y, (np.arange(columns) + 0.5) / columns - middle_x
    around = np.arctan2(y[:, None], x[None, :])
    edge = np.ones((rows, columns))
    for wave in _WAVES:
        edge += 0.4 / wave * draws.uniform(-1, 1) * np.cos(wave * around + draws.uniform(0, 2 * math.pi))
    distance = resize(np.hypot(y[:, None], x[None, :]) / edge, height, width)
    mask = np.zeros(height * width, bool)
    if count:
        mask[np.argsort(distance, axis=None, kind="stable")[:count]] = True
    return mask.reshape(height, width)


def _pixels(share: float, height: int, width: int) -> int:
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share:g} cannot be covered", mend="give a number between 0 and 1")
    return math.floor(share * height * width + 0.5)
