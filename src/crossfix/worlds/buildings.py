"""Buildings as rectangular parts with walls and roofs, and their triangles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.worlds.region import ROOFS, WALLS, Build

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]
FLAT, GABLE, HIP, SHED = range(4)
_KINDS = {"flat": FLAT, "gable": GABLE, "hip": HIP, "shed": SHED}
_FLOOR_M = 3.0


@dataclass
class Parts:
    """Rectangular parts of buildings, one row each; overlapping parts make L, U and court shapes.

    Attributes:
        x: centre east. y: centre north. w: length along the ridge. d: across it. angle: of the ridge, radians from east to north.
        height: of the eaves above the base. rise: of the ridge above the eaves. roof: FLAT, GABLE, HIP or SHED.
        roof_rgb: (n, 3). wall_rgb: (n, 3). building: parts of one building share it. base: height of the lowest ground under it.
    """

    x: F32
    y: F32
    w: F32
    d: F32
    angle: F32
    height: F32
    rise: F32
    roof: npt.NDArray[np.int8]
    roof_rgb: F32
    wall_rgb: F32
    building: npt.NDArray[np.int32]
    base: F32

    @staticmethod
    def of(rows: list[tuple[float, ...]]) -> Parts:
        """From rows (x, y, w, d, angle, height, rise, roof, roof r g b, wall r g b, building); the base is zero."""
        table = np.asarray(rows, np.float32).reshape(-1, 15)
        return Parts(
            x=table[:, 0],
            y=table[:, 1],
            w=table[:, 2],
            d=table[:, 3],
            angle=table[:, 4],
            height=table[:, 5],
            rise=table[:, 6],
            roof=table[:, 7].astype(np.int8),
            roof_rgb=table[:, 8:11],
            wall_rgb=table[:, 11:14],
            building=table[:, 14].astype(np.int32),
            base=np.zeros(len(table), np.float32),
        )

    def where(self, keep: npt.NDArray[np.bool_]) -> Parts:
        """The rows that are kept."""
        return Parts(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.x)


def draw_building(
    build: Build, x: float, y: float, front: float, depth: float, angle: float, number: int, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """The parts of one building on the rectangle about (x, y).

    Args:
        build: its kind.
        x: centre of the rectangle, east.
        y: centre of the rectangle, north.
        front: width of the rectangle along the street.
        depth: away from it.
        angle: direction of the street, radians from east to north.
        number: the building's number.
        rng: keyed for this building.

    Returns:
        Rows for :meth:`Parts.of`.
    """
    kinds, weights = zip(*build.roofs, strict=True)
    kind = _KINDS[str(rng.choice(kinds, p=np.asarray(weights) / sum(weights)))]
    shape = int(rng.choice(4, p=np.asarray(build.shapes) / sum(build.shapes)))
    palette = ROOFS[str(rng.choice(build.palette))]
    roof = np.asarray(palette[rng.integers(len(palette))]) * rng.uniform(0.8, 1.2) + rng.normal(0, 0.015, 3)
    wall = np.asarray(WALLS[rng.integers(len(WALLS))]) * rng.uniform(0.8, 1.15)
    height = _FLOOR_M * (int(rng.integers(int(build.floors[0]), int(build.floors[1]) + 1))) + rng.uniform(0, 0.6)
    slope = rng.uniform(0.45, 0.95) if "tile" in build.palette else rng.uniform(0.25, 0.6)
    c, s = np.cos(angle), np.sin(angle)
    rows: list[tuple[float, ...]] = []

    def part(u: float, v: float, w: float, d: float, kind: int = kind, h: float = height, rgb: npt.NDArray[np.float64] = roof) -> None:
        """One rectangle, centre (u, v) in the building's own frame, ridge along its longer side where it stands free."""
        turned = d > w * 1.15 and (build.gap_m[1] > 1 or shape > 0)
        w_, d_, a = (d, w, angle + np.pi / 2) if turned else (w, d, angle)
        rise = 0.0 if kind == FLAT else (0.5 * d_ * slope if kind != SHED else d_ * 0.18)
        rows.append(
            (x + u * c - v * s, y + u * s + v * c, w_, d_, a, h, rise, kind, *np.clip(rgb, 0.03, 0.9), *np.clip(wall, 0.05, 0.9), number)
        )

    if shape == 0:
        part(0, 0, front, depth)
    else:
        arm, wing = depth * rng.uniform(0.45, 0.6), front * rng.uniform(0.32, 0.45)
        side = 1 if rng.random() < 0.5 else -1
        part(0, (arm - depth) / 2, front, arm)
        part(side * (front - wing) / 2, 0, wing, depth)
        if shape >= 2:
            part(-side * (front - wing) / 2, 0, wing, depth)
        if shape == 3:
            part(0, (depth - arm * 0.7) / 2, front, arm * 0.7)
    _furnish(part, kind, shape, front, depth, height, slope, rng)
    return rows


def _furnish(
    part: Callable[..., None], kind: int, shape: int, front: float, depth: float, height: float, slope: float, rng: np.random.Generator
) -> None:
    """Chimneys, plant rooms, machines and skylights: the small things on roofs that both views see."""
    metal, dark, light = np.array([0.5, 0.5, 0.5]), np.array([0.08, 0.09, 0.12]), np.array([0.75, 0.77, 0.78])
    if kind == FLAT and front * depth > 150:
        for _ in range(int(rng.integers(1, int(3 + front * depth / 350)))):
            u, v = rng.uniform(-0.36, 0.36, 2) * (front, depth if shape == 0 else depth * 0.4)
            if shape:
                v -= depth * 0.24
            size = rng.uniform(1.5, 5, 2)
            part(u, v, *size, FLAT, height + rng.uniform(0.8, 3), metal * rng.uniform(0.4, 1.4))
        if front > 35 and shape == 0 and rng.random() < 0.6:
            for u in np.arange(-0.42, 0.43, rng.uniform(0.1, 0.2)):
                part(u * front, 0, 2.0, depth * 0.75, FLAT, height + 0.5, light)
    elif kind in (GABLE, HIP) and shape == 0 and rng.random() < 0.6:
        u = rng.uniform(-0.3, 0.3) * front
        if rng.random() < 0.6:
            part(u, rng.uniform(-0.15, 0.15) * depth, 0.9, 0.7, FLAT, height + 0.5 * min(front, depth) * slope + 0.6, metal * 0.7)
        elif front > 9:
            part(u * 0.5, 0, rng.uniform(2, 4), depth * 0.98, kind, height + 0.35, dark)


def triangles(parts: Parts) -> tuple[F32, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Triangles of all parts.

    Returns:
        Corners (t, 3, 3) in world metres; whether each is roof (else wall), (t,); the row of its part, (t,).
    """
    soups: list[F32] = []
    roofs: list[npt.NDArray[np.bool_]] = []
    owners: list[npt.NDArray[np.int64]] = []
    for kind in (FLAT, GABLE, HIP, SHED):
        index = np.nonzero(parts.roof == kind)[0]
        if not len(index):
            continue
        faces, is_roof = _template(kind, parts.w[index], parts.d[index], parts.height[index], parts.rise[index])
        c, s = np.cos(parts.angle[index])[:, None, None], np.sin(parts.angle[index])[:, None, None]
        x = faces[..., 0] * c - faces[..., 1] * s + parts.x[index, None, None]
        y = faces[..., 0] * s + faces[..., 1] * c + parts.y[index, None, None]
        z = faces[..., 2] + parts.base[index, None, None]
        soups.append(np.stack([x, y, z], -1).reshape(-1, 3, 3).astype(np.float32))
        roofs.append(np.tile(is_roof, len(index)))
        owners.append(np.repeat(index, len(is_roof)))
    if not soups:
        return np.zeros((0, 3, 3), np.float32), np.zeros(0, bool), np.zeros(0, np.int64)
    return np.concatenate(soups), np.concatenate(roofs), np.concatenate(owners)


def _template(kind: int, w: F32, d: F32, h: F32, rise: F32) -> tuple[F32, npt.NDArray[np.bool_]]:
    """Triangles in the part's own frame, (n, t, 3, 3), and which are roof."""
    zero = np.zeros_like(w)
    over = np.where(kind == FLAT, 0, np.minimum(0.45, 0.05 * d)).astype(np.float32)
    top = h + (0.5 if kind == FLAT else 0)

    def point(x: Floats, y: Floats, z: Floats) -> Floats:
        return np.stack([x, y, z], -1)

    tris: list[tuple[Floats, Floats, Floats]] = []
    roof: list[bool] = []

    def quad(a: Floats, b: Floats, c: Floats, e: Floats, is_roof: bool) -> None:
        tris.extend([(a, b, c), (a, c, e)])
        roof.extend([is_roof, is_roof])

    x, y = w / 2, d / 2
    ring = [(-x, -y), (x, -y), (x, y), (-x, y)]
    below = zero - 3.0  # walls reach under the ground, so that slopes leave no gap
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        quad(point(ax, ay, below), point(bx, by, below), point(bx, by, top), point(ax, ay, top), False)
    ex, ey, peak = x + over, y + over, h + rise
    if kind == FLAT:
        quad(point(-x, -y, h), point(x, -y, h), point(x, y, h), point(-x, y, h), True)
    elif kind == SHED:
        quad(point(-ex, -ey, h), point(ex, -ey, h), point(ex, ey, peak), point(-ex, ey, peak), True)
        quad(point(-x, y, h), point(x, y, h), point(x, y, peak), point(-x, y, peak), False)
        for side in (-x, x):
            tris.append((point(side, -y, h), point(side, y, h), point(side, y, peak)))
            roof.append(False)
    else:
        r = ex if kind == GABLE else np.maximum(x - y * 0.9, 0.05 * x)
        for sign in (-1, 1):
            quad(point(-ex, sign * ey, h), point(ex, sign * ey, h), point(r, zero, peak), point(-r, zero, peak), True)
            if kind == HIP:
                tris.append((point(sign * ex, -ey, h), point(sign * ex, ey, h), point(sign * r, zero, peak)))
                roof.append(True)
            else:
                tris.append((point(sign * x, -y, h), point(sign * x, y, h), point(sign * x, zero, peak)))
                roof.append(False)
    return np.stack([np.stack(t, -2) for t in tris], 1).astype(np.float32), np.array(roof)
