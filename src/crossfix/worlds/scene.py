"""A world at an epoch: triangles, light, and the views of it.

Rays are cast with Embree. Frame: local (east, north, up) metres about the world's centre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from crossfix.geo.camera import Camera
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.noise import noise, speckle
from crossfix.worlds.sensor import Sensor

F32 = npt.NDArray[np.float32]
(GROUND, ROOF, WALL, LEAF, BARK, CAR) = range(6)
_RAYS = 1 << 18  # rays a batch: bounds the memory
_SUN_TINT, _SKY_TINT = np.array([1.07, 1.0, 0.88], np.float32), np.array([0.84, 0.98, 1.2], np.float32)
_HAZE = np.array([0.72, 0.78, 0.86], np.float32)
_MAP_HEIGHT_M = 900.0  # satellite rays start here; haze counts this far


@dataclass(frozen=True)
class Shot:
    """A rendered view.

    Attributes:
        rgb: (h, w, 3) uint8.
        depth: (h, w) float32, metres along the ray, infinite for sky.
        origins: (h, w, 3) or (3,), where the rays start, world metres.
        directions: (h, w, 3) or (3,), unit vectors.
    """

    rgb: npt.NDArray[np.uint8]
    depth: F32
    origins: F32
    directions: F32

    def points(self) -> F32:
        """The exact points seen, (n, 3) world metres."""
        seen = np.isfinite(self.depth)
        points = self.origins + self.directions * np.where(seen, self.depth, 0)[..., None]
        return np.asarray(points[seen], np.float32)


@dataclass(frozen=True)
class Surface:
    """The triangles of a scene and what they are made of.

    Attributes:
        corners: (t, 3, 3) world metres.
        kind: (t,) GROUND to CAR.
        rgb: (t, 3) reflectance.
        base: (t,) height of the ground under the object.
    """

    corners: F32
    kind: npt.NDArray[np.uint8]
    rgb: F32
    base: F32


class Scene:
    """Renders a world at an epoch.

    Args:
        surface: all triangles.
        ground: reflectance of the ground, (n, n, 3) uint8, coded as its square root, row 0 south.
        shade: share of the sky the ground sees, (m, m) float32 over the same square.
        slopes: gradient of the ground, (k, k, 2) float32 over the same square.
        half_m: half the side of that square.
        epoch: the light.
    """

    def __init__(self, surface: Surface, ground: npt.NDArray[np.uint8], shade: F32, slopes: F32, half_m: float, epoch: Epoch) -> None:
        self.epoch = epoch
        self._surface = surface
        self._half_m = half_m
        self._shade, self._slopes = shade, slopes
        self._levels: list[npt.NDArray[Any]] = [ground]
        while len(self._levels[-1]) > 64 and len(self._levels) < 5:
            self._levels.append(cv2.pyrDown(self._levels[-1]))
        self._tracer = rtcore_scene.EmbreeScene()
        TriangleMesh(self._tracer, surface.corners)
        mean = (self._levels[-1].astype(np.float32) / 255) ** 2
        self._exposure = np.float32(0.30 / max(float(mean.mean()), 0.03))

    def ortho(
        self,
        east_m: float,
        north_m: float,
        side_m: float,
        px: int | tuple[int, int],
        heading_deg: float = 0.0,
        samples: int = 2,
        sensor: Sensor | None = None,
        where: tuple[int, int] = (0, 0),
    ) -> Shot:
        """A map view from straight above.

        Args:
            east_m: centre, east.
            north_m: centre, north.
            side_m: side of the square; with a (rows, columns) ``px``, the width, pixels staying square.
            px: pixels a side, or (rows, columns).
            heading_deg: bearing of the upper edge.
            samples: rays a pixel and axis.
            sensor: the camera's response, neutral if none.
            where: row and column of this block in a larger picture (for its noise).
        """
        rows, cols = (px, px) if isinstance(px, int) else px
        gsd = side_m / cols / samples
        u = (np.arange(cols * samples, dtype=np.float64) + 0.5) * gsd - side_m / 2
        v = side_m * rows / cols / 2 - (np.arange(rows * samples, dtype=np.float64) + 0.5) * gsd
        c, s = np.cos(np.radians(heading_deg)), np.sin(np.radians(heading_deg))
        x = u[None, :] * c + v[:, None] * s + east_m
        y = -u[None, :] * s + v[:, None] * c + north_m
        origins = np.stack([x, y, np.full_like(x, _MAP_HEIGHT_M)], -1).astype(np.float32)
        return self._shoot(origins, np.array([0, 0, -1], np.float32), samples, gsd * samples, None, sensor, where)

    def perspective(self, camera: Camera, samples: int = 2, sensor: Sensor | None = None) -> Shot:
        """What a camera sees.

        Args:
            camera: its pose in world metres and its picture size.
            samples: rays a pixel and axis.
            sensor: the camera's response, neutral if none.
        """
        fine = replace(camera, width=camera.width * samples, height=camera.height * samples)
        origin = np.array([camera.east_m, camera.north_m, camera.up_m], np.float32)
        return self._shoot(origin, fine.directions(), samples, None, 1.0 / camera.focal_px, sensor)

    def panorama(
        self, east_m: float, north_m: float, up_m: float, width: int, height: int, heading_deg: float = 0.0, samples: int = 2,
        sensor: Sensor | None = None,
    ) -> Shot:  # fmt: skip
        """A full turn about a point, equirectangular; the middle column looks along the heading.

        Args:
            east_m: camera, east.
            north_m: camera, north.
            up_m: camera, up.
            width: columns: 360 degrees.
            height: rows: 360 * height / width degrees about the horizon.
            heading_deg: bearing of the middle column.
            samples: rays a pixel and axis.
            sensor: the camera's response, neutral if none.
        """
        cols, rows = width * samples, height * samples
        bearing = np.radians(heading_deg) + ((np.arange(cols) + 0.5) / cols - 0.5) * 2 * np.pi
        pitch = (0.5 - (np.arange(rows) + 0.5) / rows) * 2 * np.pi * height / width
        flat, up = np.cos(pitch)[:, None], np.broadcast_to(np.sin(pitch)[:, None], (rows, cols))
        directions = np.stack([flat * np.sin(bearing), flat * np.cos(bearing), up], -1).astype(np.float32)
        origin = np.array([east_m, north_m, up_m], np.float32)
        return self._shoot(origin, directions, samples, None, 2 * np.pi / width, sensor)

    def _shoot(
        self, origins: F32, directions: F32, samples: int, gsd_m: float | None, pixel_rad: float | None, sensor: Sensor | None,
        where: tuple[int, int] = (0, 0),
    ) -> Shot:  # fmt: skip
        shape = origins.shape[:-1] if origins.ndim == 3 else directions.shape[:-1]
        count = shape[0] * shape[1]
        light, depth = np.empty((count, 3), np.float32), np.empty(count, np.float32)
        flat_o = origins.reshape(-1, 3) if origins.ndim == 3 else None
        flat_d = directions.reshape(-1, 3) if directions.ndim == 3 else None
        for start in range(0, count, _RAYS):
            part = slice(start, min(start + _RAYS, count))
            n = part.stop - part.start
            o = np.broadcast_to(origins, (n, 3)) if flat_o is None else flat_o[part]
            d = np.broadcast_to(directions, (n, 3)) if flat_d is None else flat_d[part]
            light[part], depth[part] = self._trace(np.ascontiguousarray(o), np.ascontiguousarray(d), gsd_m, pixel_rad)
        picture = light.reshape(*shape, 3)
        distance = depth.reshape(shape)
        if samples > 1:
            picture = cv2.resize(picture, None, fx=1 / samples, fy=1 / samples, interpolation=cv2.INTER_AREA)
            middle = samples // 2
            distance = distance[middle::samples, middle::samples]
            origins = origins[middle::samples, middle::samples] if origins.ndim == 3 else origins
            directions = directions[middle::samples, middle::samples] if directions.ndim == 3 else directions
        rgb = (sensor or Sensor()).develop(picture * self._exposure, where)
        return Shot(rgb, distance, origins, directions)

    def _trace(self, origins: F32, directions: F32, gsd_m: float | None, pixel_rad: float | None) -> tuple[F32, F32]:
        """Light (n, 3) and distance (n,) along rays."""
        hit = self._tracer.run(origins, directions, output=1)
        triangle = hit["primID"]
        rays = np.nonzero(triangle >= 0)[0]
        light = np.empty((len(origins), 3), np.float32)
        missed = np.nonzero(triangle < 0)[0]
        light[missed] = self._sky(directions[missed])
        depth = np.full(len(origins), np.inf, np.float32)
        if not len(rays):
            return light, depth
        triangle, far = triangle[rays], hit["tfar"][rays]
        depth[rays] = far
        view = directions[rays]
        at = origins[rays] + view * far[:, None]
        normal = hit["Ng"][rays]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        normal *= np.where((normal * view).sum(1) > 0, -1, 1)[:, None].astype(np.float32)
        kind = self._surface.kind[triangle]
        footprint = gsd_m if gsd_m is not None else float(np.median(far)) * (pixel_rad or 0.0)
        albedo, open_sky = self._materials(at, normal, kind, triangle, footprint)
        sun = self.epoch.sun
        facing = normal @ sun
        lit = np.nonzero(facing > 0)[0]
        beam = np.zeros(len(rays), np.float32)
        start = at[lit] + normal[lit] * np.float32(0.05) + sun * np.float32(0.02)
        clear = self._tracer.run(start, np.broadcast_to(sun, start.shape).copy(), query="OCCLUDED") != 0
        beam[lit] = facing[lit] * clear
        sun_light = np.float32(self.epoch.sun_share / max(float(sun[2]), 0.2))
        dome = (1 - self.epoch.sun_share) * (0.6 + 0.4 * normal[:, 2]) * open_sky
        shaded = albedo * ((beam * sun_light)[:, None] * _SUN_TINT + dome.astype(np.float32)[:, None] * _SKY_TINT)
        clearness = np.exp(-self.epoch.haze_per_m * far)[:, None].astype(np.float32)
        light[rays] = shaded * clearness + (_HAZE * np.float32(0.45) / self._exposure) * (1 - clearness)
        return light, depth

    def _sky(self, directions: F32) -> F32:
        up = np.clip(directions[:, 2:3], 0, 1) ** 0.6
        low, high = np.array([0.80, 0.86, 0.93], np.float32), np.array([0.28, 0.46, 0.82], np.float32)
        return np.asarray((low * (1 - up) + high * up) / self._exposure, np.float32)

    def _materials(
        self, at: F32, normal: F32, kind: npt.NDArray[np.uint8], triangle: npt.NDArray[np.int32], footprint_m: float
    ) -> tuple[F32, F32]:
        """Reflectance (n, 3) and share of the sky seen (n,); bends the normals of leaves and of rolling ground in place."""
        albedo = self._surface.rgb[triangle].copy()
        open_sky = np.ones(len(at), np.float32)
        x, y, z = at[:, 0], at[:, 1], at[:, 2]
        ground = np.nonzero(kind == GROUND)[0]
        if len(ground):
            gx, gy = _fold(x[ground], self._half_m), _fold(y[ground], self._half_m)
            level = self._levels[int(np.clip(np.log2(max(footprint_m, 1e-3) / self._texel_m), 0, len(self._levels) - 1))]
            albedo[ground] = (_lookup(level, gx, gy, self._half_m).astype(np.float32) / 255) ** 2
            open_sky[ground] = _lookup(self._shade, gx, gy, self._half_m)
            slope = _lookup(self._slopes, gx, gy, self._half_m)
            bent = np.concatenate([-slope, np.ones((len(ground), 1), np.float32)], 1)
            normal[ground] = bent / np.linalg.norm(bent, axis=1, keepdims=True)
            if footprint_m < 0.2:
                albedo[ground] *= (1 + 0.16 * noise(gx, gy, 0.25, 0) + 0.1 * noise(gx, gy, 0.06, 1))[:, None]
        roof = np.nonzero(kind == ROOF)[0]
        if len(roof):
            rx, ry = x[roof], y[roof]
            albedo[roof] *= (1 + 0.06 * noise(rx, ry, 6.0, 3) + 0.12 * noise(rx, ry, 0.9, 4))[:, None]
        wall = np.nonzero(kind == WALL)[0]
        if len(wall):
            along = x[wall] * -normal[wall, 1] + y[wall] * normal[wall, 0]
            up = z[wall] - self._surface.base[triangle[wall]]
            pane = (np.abs((along / 2.7) % 1 - 0.5) < 0.22) & (np.abs((up / 3.0) % 1 - 0.55) < 0.24)
            albedo[wall[pane]] = (0.07, 0.09, 0.11)
            open_sky[wall] = 0.75 + 0.25 * np.clip(up / 8, 0, 1)
        leaf = np.nonzero(kind == LEAF)[0]
        if len(leaf):
            lx, ly, lz = x[leaf], y[leaf], z[leaf]
            bump = np.stack([noise(lx + lz, ly, 1.5, 0), noise(lx, ly + lz, 1.5, 1), noise(lx - lz, ly, 1.1, 2)], 1)
            bent = normal[leaf] + 0.75 * bump + np.array([0, 0, 0.25], np.float32)
            normal[leaf] = bent / np.maximum(np.linalg.norm(bent, axis=1, keepdims=True), 1e-6)
            albedo[leaf] *= (0.85 + 0.45 * speckle(lx / 0.45 + lz, ly / 0.45 - lz))[:, None]
            open_sky[leaf] = 0.9 + 0.1 * bump[:, 2]
        return np.clip(albedo, 0.01, 0.95), open_sky

    @property
    def _texel_m(self) -> float:
        return 2 * self._half_m / len(self._levels[0])


def _fold(p: F32, half_m: float) -> F32:
    """Coordinates mirrored into the square: beyond its edge the ground goes on as its own reflection."""
    return np.asarray(p if np.abs(p).max() <= half_m else half_m - np.abs((p + half_m) % (4 * half_m) - 2 * half_m), np.float32)


def _lookup(plane: npt.NDArray[Any], x: F32, y: F32, half_m: float) -> npt.NDArray[Any]:
    """Bilinear values of a plane (n, n, ...) at points of its square."""
    scale = np.float32(len(plane) / (2 * half_m))
    u = (x + np.float32(half_m)) * scale - np.float32(0.5)
    v = (y + np.float32(half_m)) * scale - np.float32(0.5)
    width = 1 << 14  # OpenCV wants pictures narrower than 32,768
    out = np.empty((len(x), *plane.shape[2:]), plane.dtype)
    for start in range(0, len(x), width):
        part = slice(start, start + width)
        out[part] = cv2.remap(plane, u[None, part], v[None, part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return out
