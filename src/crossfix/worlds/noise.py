"""Keyed random numbers and tileable value noise.

Every draw is keyed by (seed, purpose), so that no draw depends on the order in which others were made.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Floats = npt.NDArray[np.floating]
_TILE = 512


def keyed_rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the purpose alone.

    Args:
        seed: the seed of the whole.
        purpose: names and numbers that tell this draw from all others.
    """
    words = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]
    words += [zlib.crc32(p.encode()) if isinstance(p, str) else p & 0xFFFFFFFF for p in purpose]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


@lru_cache(maxsize=8)
def _tile(index: int) -> npt.NDArray[np.float32]:
    """One of a few tileable noise pictures, (512, 512), in [-1, 1], correlation length about one cell of 8 pixels."""
    raw = np.random.default_rng(1000 + index).standard_normal((_TILE, _TILE))
    smooth = gaussian_filter(raw, 3.0, mode="wrap")
    smooth /= 2.5 * smooth.std()
    return np.asarray(np.clip(smooth, -1, 1), np.float32)


def noise(x: Floats, y: Floats, cell: float, index: int = 0) -> npt.NDArray[np.float32]:
    """Smooth noise in [-1, 1] at the points (x, y).

    Args:
        x: first coordinate, any shape.
        y: second coordinate, the same shape.
        cell: distance over which the noise changes, in the unit of x and y.
        index: which of the noise pictures (0 to 7); different ones are independent.
    """
    scale = 8.0 / cell
    i = np.floor(np.asarray(x) * scale).astype(np.int64) & (_TILE - 1)
    j = np.floor(np.asarray(y) * scale).astype(np.int64) & (_TILE - 1)
    return np.asarray(_tile(index)[j, i])


def smooth_noise(x: Floats, y: Floats, cell: float, index: int = 0) -> npt.NDArray[np.float64]:
    """As :func:`noise`, interpolated bilinearly: for geometry, where steps would show."""
    u, v = np.asarray(x, np.float64) * (8.0 / cell), np.asarray(y, np.float64) * (8.0 / cell)
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    a, b = u - i, v - j
    tile, m = _tile(index), _TILE - 1
    low = tile[j & m, i & m] * (1 - a) + tile[j & m, i + 1 & m] * a
    high = tile[j + 1 & m, i & m] * (1 - a) + tile[j + 1 & m, i + 1 & m] * a
    return np.asarray(low * (1 - b) + high * b, np.float64)


def speckle(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """White noise in [0, 1) of integer cells (floor of x and y), an integer hash."""
    i = np.floor(x).astype(np.int64).astype(np.uint32)
    j = np.floor(y).astype(np.int64).astype(np.uint32)
    h = i * np.uint32(0x9E3779B1) ^ j * np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x2C1B3C6D)
    h ^= h >> np.uint32(12)
    return np.asarray((h & np.uint32(0xFFFF)).astype(np.float32) / np.float32(65536))


def noise_grid(xs: Floats, ys: Floats, cell: float, index: int = 0) -> npt.NDArray[np.float32]:
    """As :func:`noise` on the grid of xs (columns) and ys (rows), (len(ys), len(xs))."""
    scale = 8.0 / cell
    i = np.floor(xs * scale).astype(np.int64) & (_TILE - 1)
    j = np.floor(ys * scale).astype(np.int64) & (_TILE - 1)
    return np.asarray(_tile(index)[np.ix_(j, i)])
