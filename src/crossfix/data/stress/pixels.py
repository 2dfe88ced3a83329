"""Picture arithmetic that gives the same bytes on every machine.

Processors and library versions differ in the last bits of a floating-point sum. Fields are therefore float64, whose last bits are far from
mattering to a byte, and are rounded with ties moved off the half; pictures are sampled in whole numbers.

Axes: H rows, W columns, C = 3 RGB channels.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
MAX_SIDE = 16_000  # positions in 16 bits, and room beyond the border
_OFF_TIE = 2.0**-12  # sums that are exactly a half come out a last bit above or below it
_FRACTIONS = 32
REFLECT, WRAP = cv2.BORDER_REFLECT_101, cv2.BORDER_WRAP
HOLD, MIRROR = cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT


def as_picture(picture: npt.NDArray[np.uint8]) -> Picture:
    """A picture as (H, W, 3); grey ones, (H, W) or (H, W, 1), get three equal channels.

    Raises:
        InputError: where it is no picture of bytes, is empty, or has a side beyond 16,000 px.
    """
    found = np.asarray(picture)
    if found.ndim == 2:
        found = found[..., None]
    if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] not in (1, 3):
        raise InputError(f"an array of shape {np.shape(picture)} and type {found.dtype} is no RGB picture", mend="give (H, W, 3) uint8")
    if not 0 < min(found.shape[:2]) <= max(found.shape[:2]) <= MAX_SIDE:
        raise InputError(f"a picture of {found.shape[1]} x {found.shape[0]} px cannot be stressed", mend=f"give 1 to {MAX_SIDE} px a side")
    return np.ascontiguousarray(np.repeat(found, 3, axis=2) if found.shape[2] == 1 else found)


def to_bytes(values: npt.NDArray[np.floating]) -> Picture:
    """Values on the scale of 0 to 255 rounded and clipped; what lies at a half, or just below, goes up."""
    return np.asarray(np.clip(np.floor(values + (0.5 + _OFF_TIE)), 0, 255), np.uint8)


def each_channel(picture: Picture) -> list[Floats]:
    """The channels as fields, 0 to 255, one at a time to spare memory in what follows."""
    return [picture[..., channel].astype(np.float64) for channel in range(3)]


def luma(picture: Picture) -> Floats:
    """Brightness by ITU-R BT.601, 0 to 255, (H, W)."""
    red, green, blue = each_channel(picture)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def sample(picture: Picture, x_HW: Floats, y_HW: Floats, border: int = REFLECT) -> Picture:
    """The picture's colours at positions given in pixels of it, bilinear, positions rounded to 1/32 px.

    Args:
        picture: (H, W, 3).
        x_HW: columns, of any (H', W'); a pixel's centre is a whole number.
        y_HW: rows.
        border: what lies beyond the picture: REFLECT (mirrored about the outermost pixels' centres) or WRAP (repeated).
    """
    fixed = np.stack([x_HW, y_HW], -1)
    fixed = np.floor(np.clip(fixed, -MAX_SIDE, 2 * MAX_SIDE) * _FRACTIONS + (0.5 + _OFF_TIE)).astype(np.int32)
    whole, part = fixed // _FRACTIONS, fixed % _FRACTIONS
    weights = (part[..., 1] * _FRACTIONS + part[..., 0]).astype(np.uint16)
    return np.asarray(cv2.remap(picture, whole.astype(np.int16), weights, cv2.INTER_LINEAR, borderMode=border), np.uint8)


def resize(field: Floats, height: int, width: int, *, cubic: bool = False) -> Floats:
    """A field (H, W) at another size, pixel areas matched; linear (averaging where it shrinks) or cubic (for growing only)."""
    rows = np.arange(height) * (field.shape[0] / height) + (field.shape[0] / height - 1) / 2
    columns = np.arange(width) * (field.shape[1] / width) + (field.shape[1] / width - 1) / 2
    return stretch(field, rows, columns, cubic=cubic)


def stretch(field: Floats, rows: Floats, columns: Floats, *, cubic: bool = False) -> Floats:
    """A field at evenly spaced rows and columns; beyond its border the outermost values hold."""
    tall = _along(field, rows, cubic)
    return np.ascontiguousarray(_along(np.ascontiguousarray(tall.T), columns, cubic).T)


def _along(field: Floats, centres: Floats, cubic: bool) -> Floats:
    width = 1.0 if cubic or len(centres) < 2 else max(1.0, abs(float(centres[1] - centres[0])))
    reach = 2.0 if cubic else width
    first = np.ceil(centres - reach).astype(np.int64)
    index = first[:, None] + np.arange(int(2 * reach) + 1)
    away = np.abs(index - centres[:, None]) / width
    if cubic:  # Catmull-Rom
        near, far = (1.5 * away - 2.5) * away**2 + 1, ((-0.5 * away + 2.5) * away - 4) * away + 2
        weight = np.where(away <= 1, near, np.where(away < 2, far, 0.0))
    else:
        weight = np.maximum(0.0, 1 - away)
    weight /= weight.sum(axis=1, keepdims=True)
    index = np.clip(index, 0, len(field) - 1)
    out = np.zeros((len(centres), field.shape[1]))
    for tap in range(index.shape[1]):
        out += field[index[:, tap]] * weight[:, tap, None]
    return out


def filtered(field: Floats, kernel: Floats) -> Floats:
    """The correlation of a field with a kernel of odd sides, mirrored beyond the border."""
    return np.asarray(cv2.filter2D(field, cv2.CV_64F, kernel, borderType=cv2.BORDER_REFLECT_101), np.float64)


def gaussian(field: Floats, sigma_px: float, *, reach: float = 4.0, border: int = HOLD) -> Floats:
    """A Gaussian blur, cut at so many sigmas; beyond the border the outermost values hold (HOLD), or the field is mirrored (MIRROR)."""
    radius = int(reach * sigma_px + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    taps /= taps.sum()
    return np.asarray(cv2.sepFilter2D(field, cv2.CV_64F, taps, taps, borderType=border), np.float64)
