"""A square canvas of ground labels in world metres. Row 0 is the south, column 0 the west."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates
Points = npt.NDArray[np.float64]


def rectangle(x: float, y: float, w: float, d: float, angle: float) -> Points:
    """Corners (4, 2) of a rectangle of w by d about (x, y), turned by ``angle`` radians from east to north."""
    c, s = np.cos(angle), np.sin(angle)
    corners = np.array([[-w, -d], [w, -d], [w, d], [-w, d]]) / 2
    return np.asarray(corners @ np.array([[c, s], [-s, c]]) + (x, y))


class Canvas:
    """Labels of ground.

    Args:
        half_m: half the side of the square.
        texel_m: side of a texel.
    """

    def __init__(self, half_m: float, texel_m: float) -> None:
        self.half_m, self.texel_m = half_m, texel_m
        n = int(np.ceil(2 * half_m / texel_m))
        self.label: npt.NDArray[np.uint8] = np.zeros((n, n), np.uint8)

    def pixels(self, points: Points) -> npt.NDArray[np.int32]:
        """World points (n, 2) as OpenCV's fixed-point pixel-centre coordinates."""
        return np.asarray(np.round(((points + self.half_m) / self.texel_m - 0.5) * (1 << _SHIFT)), np.int32)

    def fill(self, ring: Points, value: int) -> None:
        """Fills a polygon (n, 2)."""
        self.fill_into(self.label, ring, value)

    def fill_into(self, plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], ring: Points, value: int) -> None:
        """Fills a polygon on another plane of the same grid."""
        cv2.fillPoly(plane, [self.pixels(ring)[:, None]], value, shift=_SHIFT)

    def fill_over(self, ring: Points, value: int, only: int) -> None:
        """Fills the part of a polygon (n, 2) that has one label so far."""
        pixels = self.pixels(ring)
        low = np.maximum((pixels.min(0) >> _SHIFT) - 1, 0)
        high = (pixels.max(0) >> _SHIFT) + 2
        window = self.label[low[1] : high[1], low[0] : high[0]]
        if window.size:
            mask = np.zeros_like(window)
            cv2.fillPoly(mask, [(pixels - (low << _SHIFT).astype(np.int32))[:, None]], 1, shift=_SHIFT)
            window[(mask > 0) & (window == only)] = value

    def line(self, line: Points, width_m: float, value: int) -> None:
        """Draws a polyline (n, 2) of the given width, at least one texel."""
        cv2.polylines(self.label, [self.pixels(line)[:, None]], False, value, max(1, round(width_m / self.texel_m)), cv2.LINE_8, _SHIFT)

    def dashes(self, line: Points, on_m: float, off_m: float, width_m: float, value: int) -> None:
        """Draws a dashed polyline."""
        legs = np.hypot(*np.diff(line, axis=0).T)
        ends = np.concatenate([[0], np.cumsum(legs)])
        starts = np.arange(8.0, ends[-1] - 8.0, on_m + off_m)
        for a, b in zip(starts, starts + on_m, strict=True):
            points = np.stack([np.interp([a, b], ends, line[:, i]) for i in (0, 1)], -1)
            self.line(points, width_m, value)

    def index(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Row and column of world points, clipped to the canvas."""
        last = len(self.label) - 1
        rows = np.clip(np.floor((np.asarray(y) + self.half_m) / self.texel_m), 0, last).astype(np.int64)
        cols = np.clip(np.floor((np.asarray(x) + self.half_m) / self.texel_m), 0, last).astype(np.int64)
        return rows, cols

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Labels at world points."""
        return np.asarray(self.label[self.index(x, y)])

    def mask_at(self, mask: npt.NDArray[np.bool_], x: float, y: float) -> bool:
        """Whether a mask of the same grid holds at a world point."""
        return bool(mask[self.index(x, y)])

    def free(self, ring: Points) -> bool:
        """Whether no labelled texel lies in a polygon (n, 2)."""
        pixels = self.pixels(ring)
        low = np.maximum((pixels.min(0) >> _SHIFT) - 1, 0)
        high = (pixels.max(0) >> _SHIFT) + 2
        window = self.label[low[1] : high[1], low[0] : high[0]]
        if not window.size:
            return False
        mask = np.zeros_like(window)
        cv2.fillPoly(mask, [(pixels - (low << _SHIFT).astype(np.int32))[:, None]], 1, shift=_SHIFT)
        return not bool((window[mask > 0]).any())
