"""Street networks: warped grids and organic webs, as centre lines and the cells between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.spatial import Voronoi

from crossfix.worlds.noise import smooth_noise
from crossfix.worlds.region import Region

Line = npt.NDArray[np.float64]
Laid = tuple[list[Line], list[bool], list[Line]]  # lines of street segments, whether each is major, cells


@dataclass(frozen=True)
class Street:
    """A street segment between two crossings.

    Attributes:
        line: centre line, (n, 2) east north metres.
        width_m: of the carriageway.
        major: a through street: wider, always paved, with markings.
    """

    line: Line
    width_m: float
    major: bool


@dataclass(frozen=True)
class Network:
    """Streets and the cells (blocks, fields) between them.

    Attributes:
        streets: all segments.
        cells: polygons (n, 2) that tile the world.
    """

    streets: list[Street]
    cells: list[Line]


def lay_streets(region: Region, half_m: float, rng: np.random.Generator) -> Network:
    """A street network that covers the square of the given half side.

    Args:
        region: whose dials to follow.
        half_m: half the side of the square to cover.
        rng: keyed for this purpose.
    """
    warp = _warp(region, rng)
    lay = _grid if region.pattern == "grid" else _organic
    edges, majors, cells = lay(region, half_m * 1.5 + region.block_m[1], warp, rng)
    keep = rng.random(len(edges)) >= region.thin
    streets = []
    for line, major, kept in zip(edges, majors, keep, strict=True):
        if (kept or major) and _touches(line, half_m):
            streets.append(Street(line, region.street_m[1] if major else region.street_m[0] * float(rng.uniform(0.9, 1.1)), major))
    return Network(streets, [cell for cell in cells if _touches(cell, half_m)])


def _touches(points: Line, half_m: float) -> bool:
    low, high = points.min(0), points.max(0)
    return bool((low < half_m).all() and (high > -half_m).all())


def _warp(region: Region, rng: np.random.Generator) -> Callable[[Line], Line]:
    """The turn and the smooth bending that all points of one world share."""
    angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1e4, 2)
    block = float(np.mean(region.block_m))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def warp(points: Line) -> Line:
        x, y = points[:, 0] + phase[0], points[:, 1] + phase[1]
        shift = np.stack([smooth_noise(x, y, 2.6 * block, 0), smooth_noise(x, y, 2.6 * block, 1)], -1)
        return np.asarray((points + region.bend * block * shift) @ turn.T)

    return warp


def _path(a: Line, b: Line, warp: Callable[[Line], Line], pieces: int = 8) -> Line:
    steps = np.linspace(0, 1, pieces + 1)[:, None]
    return warp(a * (1 - steps) + b * steps)


def _grid(region: Region, reach: float, warp: Callable[[Line], Line], rng: np.random.Generator) -> Laid:
    axes = []
    for stretch in (1.0, float(rng.uniform(0.8, 1.9))):
        steps = rng.uniform(*region.block_m, size=int(2 * reach / (region.block_m[0] * stretch)) + 3) * stretch
        axes.append(np.cumsum(steps) - reach - region.block_m[1] * rng.random())
    us, vs = (axis[axis < reach] for axis in axes)
    every = int(rng.integers(3, 6))
    edges, majors, cells = [], [], []
    for i, u in enumerate(us):
        for j, v in enumerate(vs):
            here = np.array([u, v])
            if i + 1 < len(us):
                edges.append(_path(here, np.array([us[i + 1], v]), warp))
                majors.append(j % every == 0)
            if j + 1 < len(vs):
                edges.append(_path(here, np.array([u, vs[j + 1]]), warp))
                majors.append(i % every == 0)
            if i + 1 < len(us) and j + 1 < len(vs):
                ring = [here, np.array([us[i + 1], v]), np.array([us[i + 1], vs[j + 1]]), np.array([u, vs[j + 1]]), here]
                cells.append(np.concatenate([_path(a, b, warp)[:-1] for a, b in pairwise(ring)]))
    return edges, majors, cells


def _organic(region: Region, reach: float, warp: Callable[[Line], Line], rng: np.random.Generator) -> Laid:
    step = float(np.mean(region.block_m))
    count = int(2 * reach / step) + 1
    grid = np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1).reshape(-1, 2) * step - reach
    web = Voronoi(grid + rng.uniform(-0.38, 0.38, grid.shape) * step)
    angle = rng.uniform(0, np.pi)
    normal = np.array([np.cos(angle), np.sin(angle)])
    offsets = web.points @ normal
    # A through street follows the web's edges between two half planes: they form one connected path across the world.
    sides = np.digitize(offsets, np.sort(rng.uniform(-0.6 * reach, 0.6 * reach, 2)))
    edges, majors = [], []
    for (p, q), ends in zip(web.ridge_points, web.ridge_vertices, strict=True):
        if -1 not in ends:
            a, b = web.vertices[ends[0]], web.vertices[ends[1]]
            if max(np.abs(a).max(), np.abs(b).max()) < 1.3 * reach:
                edges.append(_path(a, b, warp, 5))
                majors.append(bool(sides[p] != sides[q]))
    cells = []
    for index in web.point_region:
        ring = web.regions[index]
        if ring and -1 not in ring:
            corners = web.vertices[ring]
            if np.abs(corners).max() < 1.3 * reach:
                closed = np.vstack([corners, corners[:1]])
                cells.append(np.concatenate([_path(a, b, warp, 5)[:-1] for a, b in pairwise(closed)]))
    return edges, majors, cells
