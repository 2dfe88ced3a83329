"""A world: one square of Earth, the same on every day but for what an epoch changes."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.geo.geodesy import LocalFrame
from crossfix.worlds import buildings, cars, trees
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.ground import paint, vegetation
from crossfix.worlds.layout import Layout, lay_out
from crossfix.worlds.noise import keyed_rng, smooth_noise, speckle
from crossfix.worlds.raster import Canvas, rectangle
from crossfix.worlds.region import Region
from crossfix.worlds.regions import region_named
from crossfix.worlds.scene import BARK, CAR, GROUND, LEAF, ROOF, WALL, Scene, Surface

F32 = npt.NDArray[np.float32]
_FAR_M = 6000.0
_RELIEF_STEP_M = 10.0


class World:
    """A procedural square of Earth.

    Args:
        region: its style, or the style's name.
        seed: all else that makes it.
        size_m: side of the square that is settled in full; a margin around it is laid out too, for views across the edge.
        lon: longitude of the centre, degrees.
        lat: latitude of the centre, degrees.
        texel_m: side of a ground texel: the finest detail of the ground.
    """

    def __init__(
        self, region: str | Region, seed: int, size_m: float = 600.0, lon: float = 8.0, lat: float = 47.0, texel_m: float = 0.3
    ) -> None:
        self.region = region_named(region) if isinstance(region, str) else region
        if not 50 <= size_m <= 6000:
            raise InputError(f"a world of {size_m:g} m a side", mend="choose a size from 50 to 6000 m")
        self.seed, self.size_m, self.texel_m = seed, size_m, texel_m
        self.frame = LocalFrame(lon, lat)
        self.half_m = size_m / 2 + float(np.clip(0.2 * size_m, 40, 150))
        rng = keyed_rng(seed, "relief", self.region.name)
        self._phase = rng.uniform(0, 1e4, 2)
        self._relief = self.region.relief_m * float(rng.uniform(0.5, 1.3))

    @cached_property
    def layout(self) -> Layout:
        """What lasts: streets, ground, buildings, trees. Drawn at first use."""
        return lay_out(self.region, keyed_seed(self.seed, self.region.name), self.half_m, self.texel_m)

    def ground_height(self, east_m: npt.ArrayLike, north_m: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Height of the bare ground in metres at points of the local frame; zero far outside."""
        x, y = np.asarray(east_m, np.float64), np.asarray(north_m, np.float64)
        cell = self.region.relief_cell_m
        shape = smooth_noise(x + self._phase[0], y + self._phase[1], cell, 0)
        shape = shape + 0.3 * smooth_noise(x - self._phase[1], y + self._phase[0], cell / 2.7, 1)
        edge = np.clip((self.half_m - np.maximum(np.abs(x), np.abs(y))) / 40, 0, 1)
        return np.asarray(self._relief * shape * edge * edge * (3 - 2 * edge))

    def scene(self, epoch: Epoch) -> Scene:
        """The world on one day, ready to be rendered."""
        lay, seed = self.layout, self.seed
        parts = lay.parts.where(speckle(lay.parts.building, np.full(len(lay.parts), epoch.seed % 65521)) >= epoch.building_change)
        wood = lay.trees.where(speckle(np.arange(len(lay.trees)), np.full(len(lay.trees), epoch.seed % 65519)) >= epoch.tree_change)
        parts.base = self._lowest(parts)
        wood.base = self.ground_height(wood.x, wood.y).astype(np.float32)
        surfaces = [self._ground_surface(), _building_surface(parts), self._tree_surface(wood, epoch), self._car_surface(epoch)]
        surface = Surface(*(np.concatenate([getattr(s, name) for s in surfaces]) for name in ("corners", "kind", "rgb", "base")))
        heights = self._height_grid()
        north, east = np.gradient(heights, _RELIEF_STEP_M)
        slopes = np.stack([east, north], -1).astype(np.float32)
        return Scene(surface, paint(lay, self.region, epoch, seed), _open_sky(parts, self.half_m), slopes, self.half_m, epoch)

    def _lowest(self, parts: buildings.Parts) -> F32:
        """The lowest ground under each part's corners."""
        reach = 0.5 * np.maximum(parts.w, parts.d)
        spots = [self.ground_height(parts.x + a * reach, parts.y + b * reach) for a in (-0.7, 0.7) for b in (-0.7, 0.7)]
        lowest = np.min(spots, axis=0)
        # All parts of a building stand on the same floor.
        floor = np.full(int(parts.building.max(initial=0)) + 1, np.inf)
        np.minimum.at(floor, parts.building, lowest)
        return floor[parts.building].astype(np.float32)

    def _height_grid(self) -> npt.NDArray[np.float64]:
        count = max(8, round(2 * self.half_m / _RELIEF_STEP_M))
        axis = (np.arange(count) + 0.5) * (2 * self.half_m / count) - self.half_m
        return self.ground_height(axis[None, :], axis[:, None])

    def _ground_surface(self) -> Surface:
        count = max(8, round(2 * self.half_m / _RELIEF_STEP_M)) + 1
        axis = np.linspace(-self.half_m, self.half_m, count)
        x, y = np.meshgrid(axis, axis)
        vertices = np.stack([x, y, self.ground_height(x, y)], -1).astype(np.float32)
        a, b, c, d = vertices[:-1, :-1], vertices[:-1, 1:], vertices[1:, 1:], vertices[1:, :-1]
        near = np.concatenate([np.stack([a, b, c], 2).reshape(-1, 3, 3), np.stack([a, c, d], 2).reshape(-1, 3, 3)])
        h, f = self.half_m, _FAR_M
        ring = [(-f, -f, f, -h), (-f, h, f, f), (-f, -h, -h, h), (h, -h, f, h)]
        far = np.array(
            [t for x0, y0, x1, y1 in ring for t in ([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0]], [[x0, y0, 0], [x1, y1, 0], [x0, y1, 0]])]
        )
        corners = np.concatenate([near, far.astype(np.float32)])
        n = len(corners)
        return Surface(corners, np.full(n, GROUND, np.uint8), np.zeros((n, 3), np.float32), np.zeros(n, np.float32))

    def _tree_surface(self, wood: trees.Trees, epoch: Epoch) -> Surface:
        corners, trunk, owner = trees.triangles(wood)
        season = epoch.season
        grass = vegetation(self.region, season * 0.7, 1.15)
        summer, autumn, bare = grass * 0.72, np.array([0.24, 0.13, 0.045]), np.array([0.15, 0.125, 0.095])
        turning = float(np.interp(season, [0.4, 0.67, 0.9], [0, 0.75, 0])) * wood.tint[:, None]
        falling = float(np.interp(season, [0.7, 1.0], [0, 0.8]))
        leafy = (summer * (1 - turning) + autumn * turning) * (1 - falling) + bare * falling
        needle = np.array([0.045, 0.075, 0.035])
        palm = grass * 0.6 + np.array([0.02, 0.025, 0.01])
        kind = wood.kind[:, None]
        rgb = np.where(kind == trees.CONIFER, needle, np.where(kind == trees.PALM, palm, leafy)) * (0.7 + 0.6 * wood.tint[:, None])
        colour = np.where(trunk[:, None], np.array([0.16, 0.12, 0.09]), rgb[owner]).astype(np.float32)
        return Surface(corners, np.where(trunk, BARK, LEAF).astype(np.uint8), colour, wood.base[owner])

    def _car_surface(self, epoch: Epoch) -> Surface:
        stalls = self.layout.stalls
        heights = self.ground_height(stalls[:, 0], stalls[:, 1]).astype(np.float32)
        corners, rgb = cars.triangles(stalls, heights, keyed_rng(epoch.seed, "cars"))
        return Surface(corners, np.full(len(corners), CAR, np.uint8), rgb, np.zeros(len(corners), np.float32))


def keyed_seed(seed: int, name: str) -> int:
    """A seed for a world of this style: worlds of one seed in two regions have nothing in common."""
    return int(keyed_rng(seed, "world", name).integers(2**31))


def _building_surface(parts: buildings.Parts) -> Surface:
    corners, roof, owner = buildings.triangles(parts)
    rgb = np.where(roof[:, None], parts.roof_rgb[owner], parts.wall_rgb[owner]).astype(np.float32)
    return Surface(corners, np.where(roof, ROOF, WALL).astype(np.uint8), rgb, parts.base[owner])


def _open_sky(parts: buildings.Parts, half_m: float) -> F32:
    """Share of the sky that the ground sees, (m, m) at 1 m: less along walls."""
    canvas = Canvas(half_m, 1.0)
    for x, y, w, d, angle in zip(parts.x, parts.y, parts.w, parts.d, parts.angle, strict=True):
        canvas.fill(rectangle(float(x), float(y), float(w), float(d), float(angle)), 1)
    return np.asarray(1 - 0.5 * cv2.GaussianBlur(canvas.label.astype(np.float32), (0, 0), 2.5), np.float32)
