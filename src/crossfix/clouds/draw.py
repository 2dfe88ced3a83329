"""Pictures of clouds: points as small squares, nearer ones over farther ones, darkened where something nearer is beside them.

The darkening is eye-dome lighting (Boucheny, 2009): it makes shapes readable without normals.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from crossfix.clouds.align import upright
from crossfix.clouds.cloud import Cloud, Colours, Points
from crossfix.errors import InputError

Shade = Literal["true", "height"]
_BACKGROUND = (250, 250, 248)
_INK = (40, 40, 40)
_MARGIN = 0.04
_SIDES_PX = (64, 8192)
#: Low to high: dark blue, teal, green, yellow; brighter all the way, so that it can be read without colours.
_HEIGHTS = np.array([[48, 32, 92], [44, 86, 140], [36, 138, 132], [94, 186, 92], [240, 226, 66]], np.float64)
_TILE_PX, _COLUMNS = (300, 190), 4
_CAPTION_PX = 20
_OBLIQUE = (200.0, 35.0)
_ABOVE = (0.0, 90.0)


def draw(cloud: Cloud, *, px: int = 640, shade: Shade | None = None, title: str = "") -> bytes:
    """A cloud from two sides: obliquely from the south-south-west, and from above with north (or the cloud's y) up.

    A cloud whose directions are not known is laid level first; up is then a guess, see :func:`~crossfix.clouds.align.level`.

    Args:
        cloud: the cloud.
        px: side of each of the two pictures.
        shade: true colours, or by height; true if the cloud has any.
        title: of the picture.

    Returns:
        A PNG file.

    Raises:
        InputError: true colours of a cloud without, or a picture too small or too large.
    """
    least, most = _SIDES_PX
    if not least <= px <= most:
        raise InputError(f"a picture of {px} pixels", mend=f"give {least} to {most}")
    xyz, rgb = upright(cloud).xyz_N3, _colours(cloud, shade)
    sheet = Image.new("RGB", (2 * px, px + _CAPTION_PX), _BACKGROUND)
    for number, side in enumerate((_OBLIQUE, _ABOVE)):
        sheet.paste(Image.fromarray(_view(xyz, rgb, (px, px), *side)), (number * px, _CAPTION_PX))
    size = np.ptp(xyz, axis=0)
    metres = f" {cloud.unit}" if cloud.unit else ", no unit"
    words = f"{title}{': ' if title else ''}{len(cloud):,} points, {size[0]:.4g} x {size[1]:.4g} x {size[2]:.4g}{metres}"
    ImageDraw.Draw(sheet).text((8, 4), words, _INK)
    return _png(sheet)


def draw_sheet(clouds: Sequence[tuple[str, Cloud]]) -> bytes:
    """Several clouds with their names, obliquely, four to a row, in true colours where they have any.

    Args:
        clouds: names and clouds.

    Returns:
        A PNG file.
    """
    columns, rows = min(_COLUMNS, max(1, len(clouds))), max(1, math.ceil(len(clouds) / _COLUMNS))
    wide, high = _TILE_PX[0], _TILE_PX[1] + _CAPTION_PX
    sheet = Image.new("RGB", (columns * wide, rows * high), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for number, (name, cloud) in enumerate(clouds):
        left, top = number % _COLUMNS * wide, number // _COLUMNS * high
        picture = _view(upright(cloud).xyz_N3, _colours(cloud, None), _TILE_PX, *_OBLIQUE)
        sheet.paste(Image.fromarray(picture), (left, top + _CAPTION_PX))
        pen.text((left + 6, top + 4), f"{name}: {len(cloud):,} points", _INK)
    return _png(sheet)


def _colours(cloud: Cloud, shade: Shade | None) -> Colours:
    if shade == "true" and cloud.rgb_N3 is None:
        raise InputError("this cloud has no colours", mend="draw it by height")
    if shade != "height" and cloud.rgb_N3 is not None:
        return cloud.rgb_N3
    height = upright(cloud).xyz_N3[:, 2]
    low, high = np.quantile(height, [0.01, 0.99])
    share = np.clip((height - low) / max(high - low, 1e-12), 0, 1) * (len(_HEIGHTS) - 1)
    return np.stack([np.interp(share, range(len(_HEIGHTS)), channel) for channel in _HEIGHTS.T], axis=1).astype(np.uint8)


def _view(xyz_N3: Points, rgb_N3: Colours, size: tuple[int, int], from_deg: float, down_deg: float) -> Colours:
    """A parallel projection, (height, width, 3): seen from a bearing, so many degrees above the horizon."""
    # A few stray points must not make all the rest small.
    low, high = np.quantile(xyz_N3, [0.005, 0.995], axis=0)
    bearing, down = math.radians(from_deg), math.radians(down_deg)
    right = np.array([-math.cos(bearing), math.sin(bearing), 0.0]) if down_deg < 90 else np.array([1.0, 0.0, 0.0])
    back = np.array([math.sin(bearing) * math.cos(down), math.cos(bearing) * math.cos(down), math.sin(down)])
    up = np.cross(back, right)
    seen = (xyz_N3 - (low + high) / 2) @ np.stack([right, up, back], axis=1)
    box = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]) - (low + high) / 2
    reach = np.maximum(np.abs(box @ np.stack([right, up], axis=1)).max(axis=0), 1e-12)
    scale = float((np.array(size) * (0.5 - _MARGIN) / reach).min())
    inside = (np.abs(seen[:, :2]) * scale < np.array(size) / 2 - 2).all(axis=1)
    seen, colours = seen[inside], rgb_N3[inside]
    order = np.argsort(seen[:, 2], kind="stable")  # far to near: of several points on a pixel the last one stays
    wide, high = size
    column, row = (wide / 2 + seen[order, 0] * scale).astype(int), (high / 2 - seen[order, 1] * scale).astype(int)
    side = int(np.clip(math.ceil(1.2 * math.sqrt(wide * high / max(len(seen), 1))), 1, 6))
    picture = np.full((high, wide, 3), _BACKGROUND, np.uint8)
    depth = np.full((high, wide), -np.inf)
    for dy in range(side):
        for dx in range(side):
            y, x = np.clip(row + dy, 0, high - 1), np.clip(column + dx, 0, wide - 1)
            nearer = seen[order, 2] >= depth[y, x]
            picture[y[nearer], x[nearer]], depth[y[nearer], x[nearer]] = colours[order][nearer], seen[order, 2][nearer]
    return _lit(picture, depth, side / scale)


def _lit(picture: Colours, depth: npt.NDArray[np.float64], pixel: float) -> Colours:
    filled = np.isfinite(depth)
    known = np.where(filled, depth, depth[filled].min() if filled.any() else 0.0)
    nearest = cv2.dilate(known, np.ones((5, 5), np.uint8))
    light = np.exp(-0.12 * np.clip((nearest - known) / (3 * pixel), 0, 6))
    light[~filled] = 1
    return np.asarray(picture * light[..., None], np.uint8)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
