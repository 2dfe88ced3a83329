"""DenseUAV's tree: neighbouring places 20 m apart, seen straight down from three heights, six satellite images each, with positions."""

from __future__ import annotations

from functools import partial
from typing import Any

from crossfix.data.denseuav import (
    DRONE_FILES,
    GALLERY_DRONE,
    GALLERY_SATELLITE,
    GPS_ALL,
    GPS_TEST,
    GPS_TRAIN,
    HEIGHTS_M,
    QUERY_DRONE,
    QUERY_SATELLITE,
    SATELLITE_FILES,
    TRAIN_DRONE,
    TRAIN_SATELLITE,
)
from crossfix.worlds.sets.plan import Rows, SetWriter
from crossfix.worlds.sites import Ground, Site, Studio

DRONE_PX = (1440, 1080)
SATELLITE_PX = 512
_FOV_DEG = 70.0
_REACH_M = 60.0  # the sites of a world stay together, so that neighbours are 20 m apart and more
_SIDE_A_HEIGHT = 1.4  # of the satellite square: what the drone sees across


class DenseUavWriter(SetWriter):
    """Nadir photographs from 80, 90 and 100 m; satellite squares of two days at three scales. The gallery holds the training places too."""

    name = "denseuav"

    def ground(self, half: str) -> Ground:
        """Sites of a world within 120 m, at least 20 m apart."""
        return Ground(self.plan.regions, 400.0, 20.0, reach_m=_REACH_M)

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """All pictures of a place, and its line's position."""
        place = f"{site.number + (self.plan.places if half == 'test' else 0):06d}"
        drone = [TRAIN_DRONE, GALLERY_DRONE] if half == "train" else [QUERY_DRONE, GALLERY_DRONE]
        satellite = [TRAIN_SATELLITE, GALLERY_SATELLITE] if half == "train" else [QUERY_SATELLITE, GALLERY_SATELLITE]
        for height, name in zip(HEIGHTS_M, DRONE_FILES, strict=True):
            camera = studio.camera(site, self.plan.size(DRONE_PX), float(height), -90.0, (137 * site.number) % 360, _FOV_DEG)
            self.pictures([f"{folder}/{place}/{name}" for folder in drone], partial(studio.drone, site, name, camera))
        for name in SATELLITE_FILES:
            side, day = int(name[1:].split(".")[0].split("_")[0]) * _SIDE_A_HEIGHT, int("_old" in name)
            names = [f"{folder}/{place}/{name}" for folder in satellite]
            self.pictures(names, partial(studio.satellite, site, side, self.plan.px(SATELLITE_PX), day=day))
        return {"place": place, "lon": site.lon, "lat": site.lat}

    def lists(self, rows: dict[str, Rows]) -> None:
        """The position files: a line a place, for its satellite image ``H80``, as in the release."""
        lines = {half: "".join(_line(half, row) for row in found) for half, found in rows.items()}
        for half, name in (("train", GPS_TRAIN), ("test", GPS_TEST)):
            if half in lines:
                self.text(name, lines[half])
        self.text(GPS_ALL, "".join(lines.values()))


def _line(half: str, row: dict[str, Any]) -> str:
    folder = TRAIN_SATELLITE if half == "train" else GALLERY_SATELLITE
    return f"{folder}/{row['place']}/H80.tif E{row['lon']:.9f} N{row['lat']:.9f} 80.0\n"
