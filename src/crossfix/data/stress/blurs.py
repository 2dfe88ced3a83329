"""The four blurs of ImageNet-C, by its published severities.

Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (ICLR 2019), and its
script. Lengths are pixels of the picture at hand, whatever its size. Axes: H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from crossfix.data.stress.draws import Draws
from crossfix.data.stress.pixels import Floats, Picture, each_channel, filtered, gaussian, sample, to_bytes

DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius of the disk, sigma that smooths its edge
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # sigma, reach of a swap, rounds
MOTION = ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0))  # radius, sigma
ZOOM = ((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))  # number of zooms, step between them


def defocus(picture: Picture, number: int, draws: Draws) -> Picture:
    """A lens out of focus: the mean over a disk."""
    radius, sigma = DEFOCUS[number]
    # The published table is 17 wide for small disks, and its edge is smoothed by 3 or 5 taps.
    half, taps = (8, 1) if radius <= 8 else (radius, 2)
    steps = np.arange(-half, half + 1)
    disk = np.pad((steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.float64), taps)
    edge = np.exp(-0.5 * (np.arange(-taps, taps + 1) / sigma) ** 2)
    kernel = filtered(disk, np.outer(edge, edge))
    return _by_channel(picture, lambda c: filtered(c, kernel / kernel.sum()))


def glass(picture: Picture, number: int, draws: Draws) -> Picture:
    """Frosted glass: pixels swapped with neighbours between two Gaussian blurs.

    The published loop swaps pixel after pixel along the rows. Here pixels too far apart to meet swap at once; a border of the reach of a
    swap stays in place as there.
    """
    sigma, reach, rounds = GLASS[number]
    mixed = _by_channel(picture, lambda c: gaussian(c, sigma))
    height, width = picture.shape[:2]
    step = 2 * reach + 1
    for _ in range(rounds):
        for phase in range(step * step):
            y, x = np.meshgrid(
                np.arange(reach + phase // step, height - reach, step), np.arange(reach + phase % step, width - reach, step), indexing="ij"
            )
            # From -reach to reach - 1, as published.
            other_y = y + np.floor(draws.field(*y.shape) * 2 * reach).astype(np.int64) - reach
            other_x = x + np.floor(draws.field(*x.shape) * 2 * reach).astype(np.int64) - reach
            here = mixed[y, x]
            mixed[y, x] = mixed[other_y, other_x]
            mixed[other_y, other_x] = here
    return _by_channel(mixed, lambda c: gaussian(c, sigma))


def motion(picture: Picture, number: int, draws: Draws) -> Picture:
    """A moving camera: a trail along a line within 45 degrees of level, its weights one side of a Gaussian (ImageMagick's motion blur)."""
    radius, sigma = MOTION[number]
    kernel = trail(radius, sigma, draws.uniform(-45, 45))
    return _by_channel(picture, lambda c: filtered(c, kernel))


def zoom(picture: Picture, number: int, draws: Draws) -> Picture:
    """A lens zoomed while the shutter is open: the mean of the picture and its enlargements about the middle."""
    count, step = ZOOM[number]
    total = picture.astype(np.uint32)
    for turn in range(count):
        total += enlarged(picture, 1 + turn * step)
    return np.asarray((total + (count + 1) // 2) // (count + 1), np.uint8)


def enlarged(picture: Picture, factor: float) -> Picture:
    """The middle of a picture, so many times as large, at the picture's size."""
    height, width = picture.shape[:2]
    y = (np.arange(height) - (height - 1) / 2) / factor + (height - 1) / 2
    x = (np.arange(width) - (width - 1) / 2) / factor + (width - 1) / 2
    return sample(picture, *np.meshgrid(x, y))


def trail(radius: int, sigma: float, angle_deg: float) -> Floats:
    """The kernel of a trail: 2 * radius + 1 whole-pixel taps from the middle outwards, weighted by a Gaussian of their distance.

    Args:
        radius: in pixels.
        sigma: in pixels.
        angle_deg: clockwise from the picture's right.
    """
    along = np.arange(2 * radius + 1)
    # A hair is added because a whole number and a half, where the line is steep, would go either way.
    x = np.floor(along * math.cos(math.radians(angle_deg)) + 0.5 + 1e-9).astype(int)
    y = np.floor(along * math.sin(math.radians(angle_deg)) + 0.5 + 1e-9).astype(int)
    kernel = np.zeros((4 * radius + 1, 4 * radius + 1))
    np.add.at(kernel, (2 * radius + y, 2 * radius + x), np.exp(-0.5 * (along / sigma) ** 2))
    return np.asarray(kernel / kernel.sum(), np.float64)


def _by_channel(picture: Picture, change: Callable[[Floats], Floats]) -> Picture:
    return np.stack([to_bytes(change(channel)) for channel in each_channel(picture)], axis=-1)
