"""Where the pictures of a world are taken from: drones that look down, people on open ground, satellites.

Every pose is keyed by (seed, kind, number): a photo stays the same when more of them are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.geo.camera import Camera
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.scene import Scene
from crossfix.worlds.world import World

Kind = Literal["drone", "ground", "satellite"]

HEIGHT_M = (80.0, 300.0)
PITCH_DEG = (-90.0, -50.0)
DRONE_FOCAL35_MM = (24, 28, 35)
PHONE_FOCAL35_MM = 26
EYE_M = 1.7
SATELLITE_SIDE_M = (80.0, 400.0)

_NEAR_M = (15.0, 40.0)
_TRIES = 200
_CLEARANCE_M = 3  # from a ground camera to the next wall, trunk or car
_FREE_VIEW_M = 12.0


@dataclass(frozen=True)
class Pose:
    """A picture to be taken.

    Attributes:
        camera: where it is taken from, in the world's frame; its height is above the plane z = 0, not above ground. For satellite images
            the camera stands for the square alone: straight down, at no particular height.
        height_m: of the camera above the ground below it; None for satellite images.
        centre: east and north of the ground in the middle of the picture; None where the middle shows no ground.
        focal35_mm: focal length in 35 mm terms, 0 for satellite images.
        side_m: of the square of a satellite image.
    """

    camera: Camera
    height_m: float | None
    centre: tuple[float, float] | None
    focal35_mm: int = 0
    side_m: float | None = None


def fov_deg(focal35_mm: float) -> float:
    """Horizontal field of view of a picture whose long side is 36 mm in 35 mm terms.

    Args:
        focal35_mm: focal length in those terms.
    """
    return math.degrees(2 * math.atan(18 / focal35_mm))


def drone_pose(world: World, seed: int, index: int, size: tuple[int, int]) -> Pose:
    """A drone 80 to 300 m up, pitched -90 to -50 degrees, any heading, over and looking at the world's square.

    The ground in the middle of the picture keeps 15 % of the square's side from its edges.

    Args:
        world: the world.
        seed: of the set of photos.
        index: number in the set.
        size: width and height in pixels.
    """
    rng = keyed_rng(seed, "drone", index)
    reach = 0.35 * world.size_m
    for attempt in range(1, _TRIES + 1):
        centre_east, centre_north = (float(v) for v in rng.uniform(-reach, reach, 2))
        height, pitch = float(rng.uniform(*HEIGHT_M)), float(rng.uniform(*PITCH_DEG))
        heading, focal = float(rng.uniform(0, 360)), int(rng.choice(DRONE_FOCAL35_MM))
        back = height / math.tan(math.radians(-pitch))
        east, north = centre_east - back * math.sin(math.radians(heading)), centre_north - back * math.cos(math.radians(heading))
        if max(abs(east), abs(north)) <= world.size_m / 2 or attempt == _TRIES:
            break
    up = height + float(world.ground_height(centre_east, centre_north))
    camera = Camera(east, north, up, heading, pitch, fov_deg(focal), *size)
    return Pose(camera, up - float(world.ground_height(east, north)), (centre_east, centre_north), focal)


class OpenGround:
    """Where a person can stand: level with the ground, some metres from anything higher.

    Args:
        world: the world.
        scene: the world at an epoch.
    """

    def __init__(self, world: World, scene: Scene) -> None:
        self._world, self._scene = world, scene
        px = round(world.size_m)
        shot = scene.ortho(0.0, 0.0, world.size_m, px, samples=1)
        surface = shot.origins[..., 2] - shot.depth
        x, y = shot.origins[..., 0], shot.origins[..., 1]
        low = np.abs(surface - world.ground_height(x, y)) < 0.5
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _CLEARANCE_M + 1, 2 * _CLEARANCE_M + 1))
        rows, columns = np.nonzero(cv2.erode(low.astype(np.uint8), disc))
        if not len(rows):
            raise InputError("this world has no open ground to stand on", mend="choose another region or seed")
        self._spots: npt.NDArray[np.float64] = np.stack([x[rows, columns], y[rows, columns]], -1).astype(np.float64)

    def pose(self, seed: int, index: int, size: tuple[int, int]) -> Pose:
        """Somebody's photo at eye height, any heading, looking about level and not straight at a wall.

        Args:
            seed: of the set of photos.
            index: number in the set.
            size: width and height in pixels.
        """
        rng = keyed_rng(seed, "ground", index)
        for _ in range(_TRIES):
            east, north = self._spots[rng.integers(len(self._spots))] + rng.uniform(-0.5, 0.5, 2)
            up = float(self._world.ground_height(east, north)) + EYE_M
            heading, pitch = float(rng.uniform(0, 360)), float(rng.normal(1.0, 2.0))
            camera = Camera(float(east), float(north), up, heading, pitch, fov_deg(PHONE_FOCAL35_MM), *size)
            glance = Camera(camera.east_m, camera.north_m, up, heading, 0.0, camera.fov_deg, 24, 8)
            if np.median(self._scene.perspective(glance, samples=1).depth) > _FREE_VIEW_M:
                break
        return Pose(camera, EYE_M, None, PHONE_FOCAL35_MM)

    def near(self, east: float, north: float, seed: int, index: int, size: tuple[int, int]) -> Camera:
        """Somebody's photo towards a place, from open ground 15 to 40 m away from it, or the nearest there is.

        Args:
            east: of the place, metres.
            north: of the place, metres.
            seed: of the set of photos.
            index: number in the set.
            size: width and height in pixels.
        """
        rng = keyed_rng(seed, "near", index)
        away = np.hypot(*(self._spots - (east, north)).T)
        ring = np.flatnonzero((away > _NEAR_M[0]) & (away < _NEAR_M[1]))
        spot = self._spots[rng.choice(ring)] if len(ring) else self._spots[np.argmin(np.abs(away - _NEAR_M[0]))]
        up = float(self._world.ground_height(*spot)) + EYE_M
        heading = math.degrees(math.atan2(east - spot[0], north - spot[1])) % 360
        return Camera(float(spot[0]), float(spot[1]), up, heading, float(rng.normal(4.0, 2.0)), fov_deg(PHONE_FOCAL35_MM), *size)

    def around(self, east: float, north: float, within_m: float, rng: np.random.Generator) -> tuple[float, float] | None:
        """A spot drawn from those no further than a distance from a point, (east, north); None where there is none."""
        close = np.flatnonzero(np.hypot(*(self._spots - (east, north)).T) <= within_m)
        if not len(close):
            return None
        spot = self._spots[rng.choice(close)]
        return float(spot[0]), float(spot[1])

    def choose(self, count: int, spacing: float, reach: float, seed: int) -> list[tuple[float, float]]:
        """Spots of open ground that keep a distance from each other, (east, north), at most so many.

        Args:
            count: how many are wanted.
            spacing: least distance of two, metres.
            reach: no further than this from the world's centre, east and north.
            seed: of the set.
        """
        taken: list[tuple[float, float]] = []
        for row in keyed_rng(seed, "spots").permutation(len(self._spots)):
            east, north = (float(v) for v in self._spots[row])
            far = all(math.hypot(east - x, north - y) >= spacing for x, y in taken)
            if far and max(abs(east), abs(north)) <= reach:
                taken.append((east, north))
            if len(taken) == count:
                break
        return taken


def satellite_pose(world: World, seed: int, index: int, size: tuple[int, int]) -> Pose:
    """A north-up square of 80 to 400 m within the world's square.

    Args:
        world: the world.
        seed: of the set of images.
        index: number in the set.
        size: width and height in pixels; the side is the width's.
    """
    rng = keyed_rng(seed, "satellite", index)
    low, high = (math.log(min(side, world.size_m)) for side in SATELLITE_SIDE_M)
    side = math.exp(float(rng.uniform(low, high)))
    reach = max(0.0, (world.size_m - side) / 2)
    east, north = (float(v) for v in rng.uniform(-reach, reach, 2))
    return Pose(Camera(east, north, 1000.0, 0.0, -90.0, 1.0, *size), None, (east, north), side_m=side)
