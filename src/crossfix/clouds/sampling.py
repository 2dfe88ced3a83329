"""Clouds of a fixed number of points for a network: farthest-point sampling, and the unit sphere.

GeoLink samples 1,024 points by farthest-point sampling from a random start (Eldar et al., The farthest point strategy for progressive image
sampling, IEEE TIP 1997), subtracts their mean and divides by the largest distance from it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfix.clouds.cloud import Cloud, Points
from crossfix.errors import DataError, InputError

POINTS = 1024


@dataclass(frozen=True, eq=False)
class Sampled:
    """Points for a network.

    Attributes:
        pts_N3: (N, 3) float32, mean zero, the farthest at distance 1; the axes' directions are the cloud's.
        rows_N: (N,) int64, their rows in the cloud, in the order in which they were chosen; for the colours.
        centre_3: (3,) what was subtracted, in the cloud's units.
        radius: what they were divided by, in the cloud's units.
    """

    pts_N3: npt.NDArray[np.float32]
    rows_N: npt.NDArray[np.int64]
    centre_3: Points
    radius: float


def keyed_rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the purpose alone.

    Args:
        seed: of the whole.
        purpose: names and numbers that tell this draw from all others.
    """
    words = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]
    words += [zlib.crc32(part.encode()) if isinstance(part, str) else part & 0xFFFFFFFF for part in purpose]
    return np.random.default_rng(words)


def sample(cloud: Cloud, count: int = POINTS, *, seed: int = 0, key: str = "") -> Sampled:
    """Farthest-point sampling from a start that is drawn, then the unit sphere.

    Args:
        cloud: the cloud.
        count: how many points.
        seed: of the start.
        key: what is sampled, such as place, group and epoch: clouds of one seed start independently.

    Raises:
        DataError: the cloud has fewer points, or fewer distinct ones.
        InputError: less than two points are asked for.
    """
    start = int(keyed_rng(seed, "farthest points", key).integers(len(cloud)))
    rows = farthest_points(cloud.xyz_N3, count, start=start)
    pts, centre, radius = to_unit_sphere(cloud.xyz_N3[rows])
    return Sampled(pts, rows, centre, radius)


def farthest_points(xyz_N3: npt.NDArray[np.floating], count: int, *, start: int = 0) -> npt.NDArray[np.int64]:
    """Choose points one by one, each the farthest from all that are chosen.

    Exact but for rounding: distances are float32 about the cloud's mean. Of equally far points the first along the axis on which the cloud
    is longest is chosen, of those the first in the cloud.

    Args:
        xyz_N3: (N, 3) in any unit.
        count: how many.
        start: row of the first.

    Returns:
        (count,) rows, all different.

    Raises:
        DataError: there are fewer points, or fewer distinct ones.
        InputError: less than two points are asked for, or the start is none of them.
    """
    if count < 2 or not 0 <= start < len(xyz_N3):
        raise InputError(f"{count} points from row {start} of {len(xyz_N3)} cannot be chosen", mend="ask for at least two")
    if len(xyz_N3) < count:
        raise DataError(f"the cloud has {len(xyz_N3):,} points, fewer than {count:,}", mend="build it from more views, or leave it out")
    middle = np.mean(xyz_N3, axis=0, dtype=np.float64)
    if not np.isfinite(middle).all():
        raise DataError("the cloud holds points that are NaN or infinite", mend="leave it out")
    axes = np.argsort(-np.ptp(xyz_N3, axis=0), kind="stable")
    order = np.argsort(xyz_N3[:, axes[0]], kind="stable")
    # Coordinate by coordinate: rows of three would make every step three times as long.
    x, y, z = np.ascontiguousarray((xyz_N3[order] - middle)[:, axes].T.astype(np.float32))
    nearest, squares, terms = np.full(len(x), np.inf, np.float32), np.empty_like(x), np.empty_like(x)
    rows = np.empty(count, np.int64)
    row = int(np.flatnonzero(order == start)[0])
    for number in range(count):
        rows[number] = order[row]
        # A point that is farther than the farthest so far, along x alone, keeps its nearest: most of them do, after some steps.
        reach = np.float32(np.sqrt(nearest[row]) * 1.00001)
        low, high = np.searchsorted(x, x[row] - reach), np.searchsorted(x, x[row] + reach, side="right")
        square, term = squares[: high - low], terms[: high - low]
        np.subtract(x[low:high], x[row], out=square)
        np.multiply(square, square, out=square)
        for axis in (y, z):
            np.subtract(axis[low:high], axis[row], out=term)
            np.multiply(term, term, out=term)
            np.add(square, term, out=square)
        np.minimum(nearest[low:high], square, out=nearest[low:high])
        row = int(nearest.argmax())
        if nearest[row] <= 0 and number + 1 < count:
            raise DataError(f"the cloud has only {number + 1:,} distinct points, fewer than {count:,}", mend="leave it out")
    return rows


def to_unit_sphere(xyz_N3: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float32], Points, float]:
    """Move the mean to the origin and the farthest point to distance 1.

    Args:
        xyz_N3: (N, 3) in any unit.

    Returns:
        The points, float32; what was subtracted, (3,); what they were divided by.

    Raises:
        DataError: all points are the same.
    """
    centre: Points = np.asarray(np.mean(xyz_N3, axis=0, dtype=np.float64))
    moved = xyz_N3 - centre
    radius = float(np.linalg.norm(moved, axis=1).max())
    if not radius > 0:
        raise DataError("all points of the cloud are the same", mend="leave it out")
    return (moved / radius).astype(np.float32), centre, radius


def thin(cloud: Cloud, count: int, rng: np.random.Generator) -> Cloud:
    """At most so many of a cloud's points, drawn without preference, in the cloud's order.

    Args:
        cloud: the cloud.
        count: at most.
        rng: of the draw.
    """
    return cloud if len(cloud) <= count else cloud.take(np.sort(rng.choice(len(cloud), count, replace=False)))
