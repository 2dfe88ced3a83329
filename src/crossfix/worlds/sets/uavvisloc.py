"""UAV-VisLoc's tree: flights that look straight down, and under each a satellite map whose pixels are square in degrees."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.data.uavvisloc import COORDINATE_COLUMNS, COORDINATES_RELEASED, DRONE_FOLDER, FLIGHT_COLUMNS, NUMBERS
from crossfix.errors import InputError
from crossfix.geo.camera import Camera
from crossfix.worlds.devices import GROUND_MSL_M
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.scene import Scene
from crossfix.worlds.sensor import Sensor
from crossfix.worlds.sets.plan import Rows, SetPlan, SetWriter
from crossfix.worlds.sites import MAP, PHOTO, SITES_A_WORLD, Ground, Site, Studio
from crossfix.worlds.world import World

DRONE_PX = (3976, 2652)
MAP_GSD_M = 0.3

_FLIGHTS = {"train": NUMBERS[:5], "test": NUMBERS[5:]}
_WORLD_M = 1000.0
_SPACING_M = 60.0
_REACH_M = 300.0
_HEIGHT_M = (400.0, 520.0)
_FOV_DEG = 53.0
_BLOCK_PX = 512
_LARGE_PX = 1024  # wider photos take one ray a pixel: four would take gigabytes, and are not seen once a photo is shrunk


class UavVisLocWriter(SetWriter):
    """A world is a flight: twelve photos and its map. The set has no halves: flights 01 to 05 are the training, 06 to 11 the test.

    Photos look straight down from 400 to 520 m on headings there and back. Positions are the true ones: the faults of the real tables are
    not imitated.
    """

    name = "uavvisloc"

    def __init__(self, root: Path, plan: SetPlan) -> None:
        super().__init__(root, plan)
        most = min(len(_FLIGHTS[half]) for half in plan.halves) * SITES_A_WORLD
        if plan.places > most:
            raise InputError(f"UAV-VisLoc has flights for {most} places a half, not {plan.places}", mend=f"give --places at most {most}")

    def ground(self, half: str) -> Ground:
        """Flights over eastern China, photos 60 m apart and more."""
        return Ground(self.plan.regions, _WORLD_M, _SPACING_M, reach_m=_REACH_M, lon=116.0 + (half == "test"), lat=32.0)

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """A photo and its line; with the flight's first photo its map."""
        flight = _FLIGHTS[half][studio.number]
        frame = _Frame(studio.world, self.plan.px(round(_WORLD_M / MAP_GSD_M)))
        self.picture(f"{flight}/satellite{flight}.tif", lambda: frame.render(studio.day(MAP, 0), studio.sensor(studio.sites[0], "map")))
        rng = keyed_rng(studio.seed, "uavvisloc", studio.number)
        height, course = float(rng.uniform(*_HEIGHT_M)), float(rng.uniform(0, 360))
        number = site.number % SITES_A_WORLD + 1
        own = keyed_rng(studio.seed, "uavvisloc", studio.number, number)
        heading = course + 180 * (number % 2) + float(own.normal(0, 3))
        camera = studio.camera(site, self.plan.size(DRONE_PX), height, -90.0, heading % 360, _FOV_DEG)
        name = f"{flight}_{number:04}.JPG"
        self.picture(f"{flight}/{DRONE_FOLDER}/{name}", lambda: _photo(studio, site, name, camera))
        yaw = [round((angle + 180) % 360 - 180, 4) for angle in (heading, heading + float(own.normal(0, 2)))]
        line = [number, name, f"2018-10-23T10:{number:02}:00", site.lat, site.lon, round(GROUND_MSL_M + camera.up_m, 3), 0.0, 0.0, *yaw]
        return {"flight": flight, "line": line, "corners": [frame.north, frame.west, frame.south, frame.east], "region": site.region}

    def lists(self, rows: dict[str, Rows]) -> None:
        """Each flight's table, and the corners of all maps."""
        flights: dict[str, Rows] = {}
        for row in (row for found in rows.values() for row in found):
            flights.setdefault(row["flight"], []).append(row)
        for flight, found in flights.items():
            self.text(f"{flight}/{flight}.csv", _table(FLIGHT_COLUMNS, [row["line"] for row in found]))
        maps = [[f"satellite{flight}.tif", *found[0]["corners"], found[0]["region"]] for flight, found in sorted(flights.items())]
        self.text(COORDINATES_RELEASED, _table(COORDINATE_COLUMNS, maps))


def _table(columns: tuple[str, ...], lines: list[list[Any]]) -> str:
    return "".join(",".join(str(value) for value in line) + "\n" for line in [list(columns), *lines])


def _photo(studio: Studio, site: Site, name: str, camera: Camera) -> npt.NDArray[np.uint8]:
    if camera.width <= _LARGE_PX:
        return studio.drone(site, name, camera)
    return studio.day(PHOTO, 0).perspective(camera, samples=1, sensor=studio.sensor(site, name)).rgb


class _Frame:
    """Where a world's map lies: its square, some rows high, and as many columns as make pixels square in degrees.

    Args:
        world: the world.
        rows: of the map.
    """

    def __init__(self, world: World, rows: int) -> None:
        half = world.size_m / 2
        frame = world.frame
        self.south, self.north = (frame.to_lonlat(0.0, along)[1] for along in (-half, half))
        side_deg = (self.north - self.south) / rows
        widest = 2 * (frame.to_lonlat(half, 0.0)[0] - frame.lon)
        self.rows, self.columns = rows, math.floor(widest / side_deg)
        self.west, self.east = (frame.lon + sign * self.columns * side_deg / 2 for sign in (-1, 1))
        self.middle = frame.to_local(frame.lon, (self.north + self.south) / 2)[1]
        self.gsd_m = world.size_m / rows
        self.width_m = 2 * frame.to_local(self.east, frame.lat)[0]

    def render(self, scene: Scene, sensor: Sensor) -> npt.NDArray[np.uint8]:
        """The map, (rows, columns, 3), from blocks whose pixels are square in metres."""
        across = math.ceil(self.width_m / self.gsd_m)
        square = np.empty((self.rows, across, 3), np.uint8)
        for top in range(0, self.rows, _BLOCK_PX):
            for left in range(0, across, _BLOCK_PX):
                size = min(_BLOCK_PX, self.rows - top), min(_BLOCK_PX, across - left)
                east = (left + size[1] / 2 - across / 2) * self.gsd_m
                north = self.middle + (self.rows / 2 - top - size[0] / 2) * self.gsd_m
                shot = scene.ortho(east, north, size[1] * self.gsd_m, size, sensor=sensor, where=(top, left))
                square[top : top + size[0], left : left + size[1]] = shot.rgb
        scale = self.width_m / self.columns / self.gsd_m
        shift = across / 2 - self.columns / 2 * scale
        # Half a pixel on either side: what is scaled are the pixels' edges.
        matrix = np.array([[scale, 0.0, shift + scale / 2 - 0.5], [0.0, 1.0, 0.0]])
        flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        warped: Any = cv2.warpAffine(square, matrix, (self.columns, self.rows), flags=flags, borderMode=border)
        return np.asarray(warped, np.uint8)
