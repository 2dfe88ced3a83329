"""Trees: where they stand, and their triangles."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossfix.worlds.noise import keyed_rng, smooth_noise
from crossfix.worlds.raster import Canvas
from crossfix.worlds.region import Region
from crossfix.worlds.streets import Network

F32 = npt.NDArray[np.float32]
LEAFY, CONIFER, PALM = range(3)


@dataclass
class Trees:
    """Trees, one row each.

    Attributes:
        x: east. y: north. radius: of the crown. height: of the top above ground. kind: LEAFY, CONIFER or PALM.
        tint: individual shade in [0, 1]. lone: stands apart (drawn in detail, with a trunk). base: height of the ground.
    """

    x: F32
    y: F32
    radius: F32
    height: F32
    kind: npt.NDArray[np.int8]
    tint: F32
    lone: npt.NDArray[np.bool_]
    base: F32

    def where(self, keep: npt.NDArray[np.bool_]) -> Trees:
        """The rows that are kept."""
        return Trees(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.x)


def draw_trees(
    region: Region, network: Network, uses: list[str], canvas: Canvas, taken: Canvas, seed: int, soft: tuple[int, ...], wood: int
) -> Trees:
    """Trees of woods, gardens, parks, streets and hedges.

    Args:
        region: whose dials to follow.
        network: streets and cells.
        uses: what each cell is used for.
        canvas: ground labels.
        taken: ground that is taken.
        seed: of the world.
        soft: labels a garden tree can stand on.
        wood: the label of woodland.
    """
    rng = keyed_rng(seed, "trees")
    hectares = (2 * canvas.half_m) ** 2 / 1e4
    spots: list[npt.NDArray[np.float64]] = []
    sizes: list[npt.NDArray[np.float64]] = []
    lone: list[npt.NDArray[np.bool_]] = []

    def add(points: npt.NDArray[np.float64], low: float, high: float, alone: bool) -> None:
        spots.append(points)
        sizes.append(rng.uniform(low, high, len(points)))
        lone.append(np.full(len(points), alone))

    points = rng.uniform(-canvas.half_m, canvas.half_m, (int(region.forest_trees * hectares), 2))
    label = canvas.at(points[:, 0], points[:, 1])
    free = taken.at(points[:, 0], points[:, 1]) == 0
    add(points[(label == wood) & free], 2.6, 5.0, False)
    # Gardens and wild ground: trees come in clumps.
    points = rng.uniform(-canvas.half_m, canvas.half_m, (int(2.5 * region.garden_trees * hectares), 2))
    label = canvas.at(points[:, 0], points[:, 1])
    free = taken.at(points[:, 0], points[:, 1]) == 0
    clump = 0.4 + 0.5 * smooth_noise(points[:, 0], points[:, 1], 45.0, 3) > rng.random(len(points))
    add(points[np.isin(label, soft) & (label != wood) & free & clump], 1.6, 5.2, True)
    if region.street_tree_m:
        rows = []
        for street in network.streets:
            legs = np.diff(street.line, axis=0)
            ends = np.concatenate([[0], np.cumsum(np.hypot(legs[:, 0], legs[:, 1]))])
            if rng.random() < 0.3:
                continue
            for side in (-1, 1):
                s = np.arange(6.0, ends[-1] - 6, region.street_tree_m * rng.uniform(0.7, 1.4))
                middle = np.stack([np.interp(s, ends, street.line[:, i]) for i in (0, 1)], -1)
                ahead = np.stack([np.interp(s + 1, ends, street.line[:, i]) for i in (0, 1)], -1) - middle
                out = np.stack([-ahead[:, 1], ahead[:, 0]], -1) / np.maximum(np.hypot(*ahead.T), 1e-6)[:, None]
                rows.append(middle + side * out * (street.width_m / 2 + max(region.sidewalk_m * 0.6, 1.0)))
        if rows:
            points = np.concatenate(rows)
            add(points[rng.random(len(points)) < 0.8], 2.2, 4.4, True)
    for ring, use in zip(network.cells, uses, strict=True):
        if use in ("field", "wild") and rng.random() < region.hedges:
            closed = np.vstack([ring, ring[:1]])
            ends = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
            s = np.arange(0, ends[-1] * rng.uniform(0.3, 1), 3.2)
            points = np.stack([np.interp(s, ends, closed[:, i]) for i in (0, 1)], -1) + rng.normal(0, 0.6, (len(s), 2))
            add(points[taken.at(points[:, 0], points[:, 1]) == 0], 1.2, 2.6, False)
    at, radius = np.concatenate(spots), np.concatenate(sizes)
    inside = np.abs(at).max(1) < canvas.half_m
    at, radius, alone = at[inside], radius[inside], np.concatenate(lone)[inside]
    species = rng.random(len(at)) + 0.25 * smooth_noise(at[:, 0], at[:, 1], 90.0, 4)
    kind = np.where(species < region.conifers, CONIFER, np.where((species > 1 - region.palms) & (region.palms > 0), PALM, LEAFY)).astype(
        np.int8
    )
    height = radius * np.where(kind == CONIFER, 3.4, np.where(kind == PALM, 2.6, 2.3)) * rng.uniform(0.8, 1.2, len(at))
    return Trees(
        at[:, 0].astype(np.float32), at[:, 1].astype(np.float32), radius.astype(np.float32), height.astype(np.float32), kind,
        rng.random(len(at)).astype(np.float32), alone, np.zeros(len(at), np.float32),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _blob(detail: int, variant: int) -> F32:
    """A lumpy ball of unit radius, (t, 3, 3)."""
    g = (1 + 5**0.5) / 2
    v = np.array(
        [
            [-1, g, 0],
            [1, g, 0],
            [-1, -g, 0],
            [1, -g, 0],
            [0, -1, g],
            [0, 1, g],
            [0, -1, -g],
            [0, 1, -g],
            [g, 0, -1],
            [g, 0, 1],
            [-g, 0, -1],
            [-g, 0, 1],
        ]
    )
    f = np.array([[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2], [10, 7, 6], [7, 1, 8],
                  [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5], [2, 4, 11], [6, 2, 10],
                  [8, 6, 7], [9, 8, 1]])  # fmt: skip
    tri = v[f] / np.linalg.norm(v[0])
    for _ in range(detail):
        a, b, c = tri[:, 0], tri[:, 1], tri[:, 2]
        ab, bc, ca = (p / np.linalg.norm(p, axis=-1, keepdims=True) for p in (a + b, b + c, c + a))
        tri = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    # The same point must move the same way in every triangle that shares it: the lump is a function of the point.
    lump = 1 + 0.22 * np.sin(tri @ keyed_rng(variant, "lump").normal(0, 3.2, (3, 3))).sum(-1, keepdims=True) / 1.7
    return np.asarray(tri * lump, np.float32)


@lru_cache(maxsize=1)
def _cone() -> F32:
    """A two-tiered cone of unit radius and height 2 about the origin, (t, 3, 3)."""
    angles = np.linspace(0, 2 * np.pi, 8)
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    tris = []
    for r, low, top in ((1.0, -1.0, 0.35), (0.62, -0.1, 1.0)):
        for a, b in pairwise(ring):
            tris.append([[*(a * r), low], [*(b * r), low], [0, 0, top]])
    return np.asarray(tris, np.float32)


@lru_cache(maxsize=1)
def _fronds() -> F32:
    """A palm's drooping fronds of unit radius, (t, 3, 3)."""
    tris = []
    for angle in np.linspace(0, 2 * np.pi, 10)[:-1]:
        out, side = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0]) * 0.16
        mid, tip = out * 0.6 + np.array([0, 0, 0.15]), out + np.array([0, 0, -0.35])
        tris += [[np.zeros(3), mid - side, mid + side], [mid - side, tip, mid + side]]
    return np.asarray(tris, np.float32)


def triangles(trees: Trees) -> tuple[F32, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Triangles of all trees.

    Returns:
        Corners (t, 3, 3) in world metres; whether each is trunk, (t,); the row of its tree, (t,).
    """
    soups, trunks, owners = [np.zeros((0, 3, 3), np.float32)], [np.zeros(0, bool)], [np.zeros(0, np.int64)]

    def add(shape: F32, rows: npt.NDArray[np.int64], scale: F32, centre_z: F32, trunk: bool = False, turn: bool = True) -> None:
        angle = trees.tint[rows] * 40.0 if turn else np.zeros(len(rows), np.float32)
        c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        p = shape[None]
        x = (p[..., 0] * c - p[..., 1] * s) * scale[:, 0, None, None] + trees.x[rows, None, None]
        y = (p[..., 0] * s + p[..., 1] * c) * scale[:, 0, None, None] + trees.y[rows, None, None]
        z = p[..., 2] * scale[:, 1, None, None] + centre_z[:, None, None]
        soups.append(np.stack([x, y, z], -1).reshape(-1, 3, 3).astype(np.float32))
        trunks.append(np.full(len(rows) * len(shape), trunk))
        owners.append(np.repeat(rows, len(shape)))

    variant = (trees.tint * 64).astype(np.int64) % 4
    for which in range(4):
        for alone in (True, False):
            rows = np.nonzero((trees.kind == LEAFY) & (variant == which) & (trees.lone == alone))[0]
            r, h = trees.radius[rows], trees.height[rows]
            tall = np.minimum(0.42 * h, r)
            add(_blob(1 if alone else 0, which), rows, np.stack([r, tall], -1), trees.base[rows] + h - tall)
    rows = np.nonzero(trees.kind == CONIFER)[0]
    r, h = trees.radius[rows] * 0.8, trees.height[rows]
    add(_cone(), rows, np.stack([r, 0.45 * h], -1), trees.base[rows] + 0.55 * h)
    rows = np.nonzero(trees.kind == PALM)[0]
    add(_fronds(), rows, np.stack([trees.radius[rows], trees.radius[rows]], -1), trees.base[rows] + trees.height[rows])
    rows = np.nonzero(trees.lone)[0]
    post = np.array(
        [[[a, b, 0], [c, d, 0], [c, d, 1]] for a, b, c, d in ((1, 0, -0.5, 0.87), (-0.5, 0.87, -0.5, -0.87), (-0.5, -0.87, 1, 0))],
        np.float32,
    )
    girth = 0.06 * trees.radius[rows] + 0.05
    add(post, rows, np.stack([girth, trees.height[rows] * 0.95], -1), trees.base[rows], trunk=True)
    return np.concatenate(soups), np.concatenate(trunks), np.concatenate(owners)
