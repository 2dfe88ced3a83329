"""Panoramas redrawn as seen from above: the camera in the middle, bearings around it, the horizon a circle.

A map and a panorama have their layouts apart: what is to the east lies to the right on the one and in some column of the other. Redrawn,
both have it to the right, and one network reads both. That panoramas are to be brought to the map's layout is the idea of Ye et al.,
"Cross-view image geo-localization with panorama-BEV co-retrieval network" (ECCV 2024), who draw the ground plane at its scale. Here
objects above the horizon stay in the picture, for a flat ground ends them, and a degree of elevation has a place of its own.

A picture from the ground spans ``fov_deg`` of bearing evenly across its width, with the horizon in its middle row and as many pixels a
degree down as across (equirectangular). In the redrawn square the bearing of its middle column is up and bearings go clockwise. At the
distance r from the middle, in half sides, there is the elevation e in degrees::

    e = -45 (1 - (r / 0.75)^0.7)     up to the horizon at r = 0.75
    e = 108 (r - 0.75)               beyond it: 27 at the edges' middles, 72 in the corners

so that most of the square shows what lies between 2 and 60 m away from eyes 1.7 m up. Rows and columns as in `crossfix.geo.camera`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from crossfix.errors import InputError

PANORAMA_SHAPE = 1.9
"""A spherical panorama is twice as wide as high, flatter cuts of one are wider still; no camera's picture is."""
TURNS = 12
"""At so many turns a picture of unknown heading is drawn: one of them lies within 15 degrees of the map's."""
_HORIZON = 0.75
_LOWEST_DEG = 45.0
_BEND = 0.7
_ABOVE_DEG = 108.0
_PHONE_DEG = 70.0
FINER = 2
"""The square is drawn so many times as large and averaged."""

Floats = NDArray[np.float32]


@lru_cache(maxsize=8)
def overhead_map(px: int, height: int, width: int, fov_deg: float = 360.0) -> tuple[Floats, Floats]:
    """Of every pixel of a square the bearing, and the row of the picture from the ground that shows it.

    Args:
        px: side of the square.
        height: of the picture from the ground.
        width: likewise.
        fov_deg: bearings that it spans.

    Returns:
        bearing_PP: degrees clockwise from up, -180 to 180, (px, px).
        row_PP: rows counted from the middle of the first, (px, px); where the picture does not reach, its nearest one. Neither is to be
            written to.

    Raises:
        InputError: for a picture that spans no bearings, or more than there are.
    """
    if not 0 < fov_deg <= 360:
        raise InputError(f"pictures cannot show {fov_deg:g} degrees of the horizon", mend="give more than 0 and at most 360")
    at_P = (2 * np.arange(px) + 1) / px - 1
    x_PP, y_PP = np.meshgrid(at_P, at_P)
    away_PP = np.hypot(x_PP, y_PP)
    below_PP = -_LOWEST_DEG * (1 - np.minimum(away_PP / _HORIZON, 1) ** _BEND)
    elevation_PP = below_PP + _ABOVE_DEG * np.maximum(away_PP - _HORIZON, 0)
    row_PP = height / 2 - 0.5 - elevation_PP * width / fov_deg
    return np.degrees(np.arctan2(x_PP, -y_PP)).astype(np.float32), np.clip(row_PP, 0, height - 1).astype(np.float32)


def overhead(
    picture_HWC: NDArray[np.uint8], px: int, fill: tuple[int, int, int], fov_deg: float = 360.0, *, middle_deg: float = 0.0
) -> NDArray[np.uint8]:
    """A picture from the ground redrawn as seen from above.

    Args:
        picture_HWC: RGB.
        px: side of the result.
        fill: colour of bearings that the picture does not show.
        fov_deg: bearings that it spans.
        middle_deg: where its middle column is drawn, degrees clockwise from up: its heading, for a picture that is to have north up.

    Returns:
        (px, px, 3).

    Raises:
        InputError: for a picture that spans no bearings, or more than there are.
    """
    fine = FINER * px
    picture_HWC = shrunk(picture_HWC, px, fov_deg)
    height, width = picture_HWC.shape[:2]
    bearing_PP, row_PP = overhead_map(fine, height, width, fov_deg)
    off_PP = (bearing_PP - np.float32(middle_deg) + 180) % 360 - 180
    column_PP = (off_PP / fov_deg + 0.5) * width - 0.5
    if fov_deg == 360:  # the last column's neighbour is the first
        picture_HWC = np.concatenate([picture_HWC[:, -1:], picture_HWC, picture_HWC[:, :1]], axis=1)
        column_PP = column_PP + 1
    drawn = cv2.remap(picture_HWC, column_PP, row_PP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    drawn[np.abs(off_PP) > fov_deg / 2] = fill
    return cv2.resize(drawn, (px, px), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def distance_from_middle(elevation_deg: Floats) -> Floats:
    """Where elevations are drawn: the other way round of what `overhead_map` does.

    Args:
        elevation_deg: above the horizon; lower than 45 degrees below it is not drawn and given as the middle.

    Returns:
        Distances from the middle in half sides, of the same shape.
    """
    below = _HORIZON * np.clip(1 + np.minimum(elevation_deg, 0) / _LOWEST_DEG, 0, 1) ** (1 / _BEND)
    return (below + np.maximum(elevation_deg, 0) / _ABOVE_DEG).astype(np.float32)


def headings(turns: bool) -> list[float]:
    """Where the middle of a picture is drawn whose heading is not known, degrees clockwise from up; up alone without ``turns``."""
    return [360 / TURNS * turn for turn in range(TURNS if turns else 1)]


def fill_of(mean: Sequence[float]) -> tuple[int, int, int]:
    """The colour of bearings that a picture does not show: the mean of a model's pictures, as its card has it, nothing to the network."""
    red, green, blue = (round(255 * value) for value in mean)
    return red, green, blue


def spanned_deg(picture_HWC: NDArray[np.uint8], fov_deg: float = 360.0) -> float:
    """Bearings that a picture from the ground spans: as told, or a phone's where all around is told of a picture too high for that."""
    height, width = picture_HWC.shape[:2]
    return _PHONE_DEG if fov_deg == 360 and width < PANORAMA_SHAPE * height else fov_deg


def shrunk(picture_HWC: NDArray[np.uint8], px: int, fov_deg: float = 360.0) -> NDArray[np.uint8]:
    """A picture from the ground with no more columns than `overhead` needs: as the horizon's circle has pixels in the finer square.

    `overhead` does this itself; whoever draws one picture at several turns does it once before.

    Args:
        picture_HWC: RGB.
        px: side of the square that is to be drawn.
        fov_deg: bearings that the picture spans.

    Returns:
        The picture in its proportions, or itself where it is small enough.
    """
    height, width = picture_HWC.shape[:2]
    least = max(1, round(np.pi * _HORIZON * FINER * px * fov_deg / 360))
    if width <= least:
        return picture_HWC
    smaller = cv2.resize(picture_HWC, (least, max(1, round(height * least / width))), interpolation=cv2.INTER_AREA)
    return smaller.astype(np.uint8, copy=False)
