"""Places for a data set of worlds: where they lie, on which days they are seen, and what pictures are taken there.

Sites lie several to a world, as places of a town do, and worlds stand apart on Earth, so that positions tell them apart. Everything is
keyed by (seed, site, picture): a picture stays the same when more sites or pictures are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.geo.camera import Camera
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.poses import EYE_M, OpenGround
from crossfix.worlds.regions import region_named
from crossfix.worlds.scene import Scene
from crossfix.worlds.sensor import Sensor
from crossfix.worlds.world import World

Rgb = npt.NDArray[np.uint8]
SITES_A_WORLD = 12
MAP, PHOTO, LATER = "map", "photo", "later"
_TEXEL_M = 0.5
_APART_DEG = 0.02  # between the centres of neighbouring worlds: 1.5 km or more up to 47 degrees from the equator
_YEARS_BUILT, _YEARS_FELLED = 0.12, 0.25  # shares of buildings and trees that are not there years later
_COLUMNS = 24  # of worlds, before a new row begins to the north


@dataclass(frozen=True)
class Ground:
    """Where the sites of a set lie.

    Attributes:
        regions: names of their styles; worlds take them in turn.
        size_m: side of a world; views reach beyond it where they look far.
        spacing_m: least distance of two sites.
        reach_m: no further than this from the middle of their world, east and north; None for all of it.
        on_foot: on open ground, where a person can stand.
        lon: of the first world, degrees.
        lat: of the first world, degrees.
    """

    regions: tuple[str, ...]
    size_m: float
    spacing_m: float
    reach_m: float | None = None
    on_foot: bool = False
    lon: float = 8.0
    lat: float = 46.0

    def __post_init__(self) -> None:
        if not self.regions:
            raise InputError("a set of worlds needs at least one region", mend="give --region")
        for name in self.regions:
            region_named(name)


@dataclass(frozen=True)
class Site:
    """A place to take pictures of.

    Attributes:
        number: among all sites, from 0.
        region: its style's name.
        world: number of its world.
        east_m: in the world's frame.
        north_m: in the world's frame.
        lon: degrees.
        lat: degrees.
    """

    number: int
    region: str
    world: int
    east_m: float
    north_m: float
    lon: float
    lat: float


class Studio:
    """One world of a set, and the means to take pictures of it.

    Args:
        ground: where the set's sites lie.
        seed: of the set.
        number: of the world.

    Attributes:
        world: the world.
        sites: twelve.
    """

    def __init__(self, ground: Ground, seed: int, number: int) -> None:
        region = ground.regions[number % len(ground.regions)]
        lon, lat = ground.lon + _APART_DEG * (number % _COLUMNS), ground.lat + _APART_DEG * (number // _COLUMNS)
        self.seed, self.number = seed, number
        self.world = World(region, int(keyed_rng(seed, "site", number).integers(2**31)), ground.size_m, lon, lat, texel_m=_TEXEL_M)
        self.day = lru_cache(maxsize=3)(self._day)
        reach = (ground.size_m - ground.spacing_m) / 2 if ground.reach_m is None else ground.reach_m
        spots = self._walked(ground.spacing_m, reach) if ground.on_foot else self._spots(ground.spacing_m, reach)
        self.sites = [self._site(row, at) for row, at in enumerate(spots)]

    def _spots(self, spacing_m: float, reach: float) -> list[tuple[float, float]]:
        rng = keyed_rng(self.seed, "spots", self.number)
        taken: list[tuple[float, float]] = []
        for _ in range(20_000):
            east, north = (float(v) for v in rng.uniform(-reach, reach, 2))
            if all(math.hypot(east - x, north - y) >= spacing_m for x, y in taken):
                taken.append((east, north))
            if len(taken) == SITES_A_WORLD:
                return taken
        raise InputError(f"{SITES_A_WORLD} sites {spacing_m:g} m apart do not fit into a world", mend="lower the spacing")

    def _walked(self, spacing_m: float, reach: float) -> list[tuple[float, float]]:
        key = int(keyed_rng(self.seed, "walked", self.number).integers(2**31))
        spots = self.open_ground.choose(SITES_A_WORLD, spacing_m, reach, key)
        if len(spots) < SITES_A_WORLD:
            raise InputError(f"only {len(spots)} places to stand {spacing_m:g} m apart in a world", mend="choose another region")
        return spots

    @cached_property
    def open_ground(self) -> OpenGround:
        """Where a person can stand on the day of the photos."""
        return OpenGround(self.world, self.day(PHOTO, 0))

    def _site(self, row: int, at: tuple[float, float]) -> Site:
        lon, lat = self.world.frame.to_lonlat(*at)
        return Site(self.number * SITES_A_WORLD + row, self.world.region.name, self.number, *at, float(lon), float(lat))

    def _day(self, kind: str, number: int) -> Scene:
        return self.world.scene(self._epoch(kind, number))

    def _epoch(self, kind: str, number: int) -> Epoch:
        epoch = Epoch.draw(int(keyed_rng(self.seed, "day", self.number, kind, number).integers(2**31)), kind)
        if kind != LATER:
            return epoch
        return replace(epoch, season=_unlike(self._epoch(MAP, 0).season), building_change=_YEARS_BUILT, tree_change=_YEARS_FELLED)

    def sensor(self, site: Site, picture: str) -> Sensor:
        """The camera's response in a picture."""
        return Sensor.draw(int(keyed_rng(self.seed, "sensor", site.number, picture).integers(2**31)))

    def satellite(self, site: Site, side_m: float, px: int, *, day: int = 0, east_m: float = 0.0, north_m: float = 0.0) -> Rgb:
        """A north-up square about a site, or about a point so far from it, (px, px, 3)."""
        sensor = self.sensor(site, f"satellite-{day}-{side_m:g}")
        return self.day(MAP, day).ortho(site.east_m + east_m, site.north_m + north_m, side_m, px, sensor=sensor).rgb

    def drone(self, site: Site, name: str, camera: Camera, *, day: str = PHOTO) -> Rgb:
        """A drone's picture, (H, W, 3).

        Args:
            site: the site.
            name: of the picture; keys its sensor.
            camera: in the world's frame; :meth:`camera` makes one that looks at the site.
            day: PHOTO, or LATER: years after, in a season unlike the map's.
        """
        return self.day(day, 0).perspective(camera, sensor=self.sensor(site, name)).rgb

    def camera(self, site: Site, px: tuple[int, int], height_m: float, pitch_deg: float, heading_deg: float, fov_deg: float) -> Camera:
        """A camera in the world's frame with the site in the middle of its picture.

        Args:
            site: the site.
            px: width and height.
            height_m: of the camera above the ground at the site.
            pitch_deg: -90 straight down.
            heading_deg: of the camera.
            fov_deg: horizontal field of view.
        """
        back = height_m / math.tan(math.radians(-pitch_deg))
        heading = math.radians(heading_deg)
        ground = float(self.world.ground_height(site.east_m, site.north_m))
        east, north = site.east_m - back * math.sin(heading), site.north_m - back * math.cos(heading)
        return Camera(east, north, ground + height_m, heading_deg, pitch_deg, fov_deg, *px)

    def panorama(self, site: Site, px: tuple[int, int], *, heading_deg: float = 0.0) -> Rgb:
        """A full turn at eye height on open ground at the site, (H, W, 3); the middle column looks along the heading."""
        up = float(self.world.ground_height(site.east_m, site.north_m)) + EYE_M
        sensor = self.sensor(site, "panorama")
        return self.day(PHOTO, 0).panorama(site.east_m, site.north_m, up, *px, heading_deg, sensor=sensor).rgb

    def street(self, site: Site, index: int, px: tuple[int, int]) -> Rgb:
        """Somebody's photo towards the site from open ground some metres away, (H, W, 3)."""
        camera = self.open_ground.near(site.east_m, site.north_m, self.seed + site.number, index, px)
        return self.day(PHOTO, 0).perspective(camera, sensor=self.sensor(site, f"street-{index}")).rgb


def _unlike(season: float) -> float:
    """The season least like a given one: bare winter, or high summer where that is winter or near it."""
    return 1.0 if season < 0.6 else 0.33
