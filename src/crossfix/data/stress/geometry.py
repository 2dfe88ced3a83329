"""Heading and field of view of panoramas, turns of pictures that look down, and chips cut off-centre or at a wrong scale.

A panorama spans 360 degrees of bearing from left to right, evenly (equirectangular), with the horizon in its middle row and as many pixels
a degree down as across; it need not reach the zenith. Headings are degrees clockwise from the bearing of its middle column. A heading error
of h turns the camera by h: what was h to the right of the middle is in the middle then. Pictures that look down have the bearing of their
upper edge for a heading. Axes: H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

import math

import numpy as np

from crossfix.data.stress.draws import Draws
from crossfix.data.stress.pixels import WRAP, Floats, Picture, each_channel, sample, stretch, to_bytes
from crossfix.errors import InputError
from crossfix.geo.camera import Camera

HEADINGS = (15.0, 45.0, 90.0, 135.0, 180.0)
FIELDS = (360.0, 180.0, 90.0, 70.0)
PHONE_FIELDS = (110.0, 90.0, 70.0, 60.0, 50.0)
SHIFTS = (0.1, 0.2, 0.3, 0.4, 0.5)
SCALES = (0.5, 0.7, 0.85, 1.2, 1.4, 2.0)
PITCH_DEG = 10.0  # a phone held by hand: up to this to either side


def drawn_heading(most_deg: float, draws: Draws) -> float:
    """A heading error, evenly between -most_deg and most_deg: the first number of its stream, so that it can be drawn again."""
    return draws.uniform(-most_deg, most_deg)


def turned_panorama(picture: Picture, heading_deg: float) -> Picture:
    """A panorama whose middle column looks ``heading_deg`` further clockwise than before; whole columns."""
    width = picture.shape[1]
    return np.roll(picture, -math.floor(heading_deg / 360 * width + 0.5), axis=1)


def field_of_view(picture: Picture, fov_deg: float) -> Picture:
    """The middle ``fov_deg`` of a panorama: (H, W * fov / 360, 3), not resized.

    Raises:
        InputError: where the angle is not above 0 and at most 360 degrees.
    """
    if not 0 < fov_deg <= 360:
        raise InputError(f"a panorama has no field of view of {fov_deg:g} degrees", mend="give more than 0 and at most 360")
    width = picture.shape[1]
    kept = max(1, math.floor(width * fov_deg / 360 + 0.5))
    left = (width - kept) // 2
    return picture[:, left : left + kept].copy()


def perspective(
    picture: Picture, *, heading_deg: float, pitch_deg: float, fov_deg: float, width: int | None = None, height: int | None = None
) -> Picture:
    """What a camera in the panorama's place would take.

    Args:
        picture: panorama.
        heading_deg: of the camera, from the panorama's middle column.
        pitch_deg: of the camera, 0 level. Where it sees beyond the panorama's upper or lower edge, the edge is drawn out.
        fov_deg: across the picture, above 0 and below 180.
        width: of the picture; by default such that its middle is as fine as the panorama.
        height: of the picture; by default three quarters of the width.

    Returns:
        (height, width, 3).

    Raises:
        InputError: where an angle makes no sense, or the picture is empty or huge.
    """
    rows, columns = picture.shape[:2]
    if width is None:
        width = max(1, round(2 * math.tan(math.radians(fov_deg) / 2) * columns / (2 * math.pi))) if 0 < fov_deg < 180 else 1
    camera = Camera(0, 0, 0, heading_deg, pitch_deg, fov_deg, width, max(1, round(0.75 * width)) if height is None else height)
    if max(camera.width, camera.height) > 16_000:
        raise InputError(f"a picture of {camera.width} x {camera.height} px is too large", mend="give a smaller size or field of view")
    rays = camera.directions().astype(np.float64)
    bearing = np.arctan2(rays[..., 0], rays[..., 1])
    elevation = np.arcsin(np.clip(rays[..., 2], -1, 1))
    pixels = columns / (2 * math.pi)
    x = (bearing * pixels + (columns - 1) / 2) % columns
    y = np.clip((rows - 1) / 2 - elevation * pixels, 0, rows - 1)
    return sample(picture, x, y, WRAP)


def turned(picture: Picture, heading_deg: float, wider: Picture | None = None) -> Picture:
    """A picture that looks down, taken again with its upper edge ``heading_deg`` further clockwise: its content turns anticlockwise.

    Args:
        picture: (H, W, 3).
        heading_deg: of the turn.
        wider: the same place about the same middle at the same resolution, from which the corners are filled; they are mirrored without.
    """
    source = _about(picture, wider)
    angle = math.radians(heading_deg)
    x, y = np.meshgrid(_from_middle(picture.shape[1]), _from_middle(picture.shape[0]))
    cos, sin = math.cos(angle), math.sin(angle)
    middle_x, middle_y = (source.shape[1] - 1) / 2, (source.shape[0] - 1) / 2
    return sample(source, cos * x - sin * y + middle_x, sin * x + cos * y + middle_y)


def quarter_turned(picture: Picture, quarters: int) -> Picture:
    """``turned`` by quarters, without resampling; an odd number of them swaps the sides of a picture that is not square."""
    return np.rot90(picture, quarters).copy()


def shifted(picture: Picture, share: float, towards_deg: float, wider: Picture | None = None) -> Picture:
    """A chip cut again with its middle moved by a share of its side; whole pixels.

    Args:
        picture: (H, W, 3).
        share: of each side; 0.5 puts the old middle on the border of the new chip.
        towards_deg: bearing of the move in a chip whose upper edge is north.
        wider: the same place about the same middle at the same resolution; without it what lies beyond the chip is mirrored, so that places
            appear twice.
    """
    source = _about(picture, wider)
    height, width = picture.shape[:2]
    right = math.floor(share * width * math.sin(math.radians(towards_deg)) + 0.5)
    down = math.floor(-share * height * math.cos(math.radians(towards_deg)) + 0.5)
    top, left = (source.shape[0] - height) // 2 + down, (source.shape[1] - width) // 2 + right
    rows, columns = _mirrored(np.arange(top, top + height), source.shape[0]), _mirrored(np.arange(left, left + width), source.shape[1])
    return np.ascontiguousarray(source[rows[:, None], columns])


def scaled(picture: Picture, side: float, wider: Picture | None = None) -> Picture:
    """A chip cut again with so many times its side about the same middle, at the same size in pixels.

    Args:
        picture: (H, W, 3).
        side: below 1 the middle enlarged, above 1 more than the chip, shrunk by averaging.
        wider: the same place about the same middle at the same resolution; without it what lies beyond the chip is mirrored.

    Raises:
        InputError: where the side is not between 1/8 and 8.
    """
    if not 1 / 8 <= side <= 8:
        raise InputError(f"a chip of {side:g} times its side makes no sense", mend="give a number between 1/8 and 8")
    source = _about(picture, wider)
    height, width = picture.shape[:2]
    margin = math.ceil(max(0.0, side - 1) * max(height, width) / 2 + 2 * side)
    rows, columns = (_mirrored(np.arange(-margin, length + margin), length) for length in source.shape[:2])
    y = _from_middle(height) * side + (source.shape[0] - 1) / 2 + margin
    x = _from_middle(width) * side + (source.shape[1] - 1) / 2 + margin
    return np.stack([to_bytes(stretch(channel[rows[:, None], columns], y, x)) for channel in each_channel(source)], axis=-1)


def _from_middle(length: int) -> Floats:
    return np.arange(length, dtype=np.float64) - (length - 1) / 2


def _mirrored(index: np.ndarray[tuple[int], np.dtype[np.int64]], length: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of a row that goes on as its own mirror image beyond its outermost pixels."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = index % period
    return np.minimum(folded, period - folded)


def _about(picture: Picture, wider: Picture | None) -> Picture:
    if wider is None:
        return picture
    if wider.shape[0] < picture.shape[0] or wider.shape[1] < picture.shape[1]:
        raise InputError(f"the wider picture of {wider.shape[1]} x {wider.shape[0]} px is smaller than the chip", mend="give a larger one")
    if (wider.shape[0] - picture.shape[0]) % 2 or (wider.shape[1] - picture.shape[1]) % 2:
        raise InputError("the wider picture's middle lies half a pixel off the chip's", mend="give one larger by an even number of pixels")
    return wider
