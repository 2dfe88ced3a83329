"""VIGOR's tree: four cities, tiles that overlap by half, panoramas anywhere on them, labels with offsets in pixels."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from crossfix.data.vigor import (
    CITIES,
    CORRECTED,
    GSD_M,
    ORIGINAL,
    PANORAMA_NAME,
    PANORAMA_PX,
    SATELLITE_LIST,
    SATELLITE_NAME,
    SATELLITE_PX,
    SPLITS,
    TREE,
)
from crossfix.worlds.sets.plan import Rows, SetWriter
from crossfix.worlds.sites import SITES_A_WORLD, Ground, Site, Studio

_LABELLED_GSD_M = 0.114  # what the published labels take everywhere
_SPACING_M = 40.0
_RING = 1  # tiles beyond the four that show a panorama's place: distractors
_DECIMALS = 8


class VigorWriter(SetWriter):
    """Worlds are shared out among the cities in turn.

    A panorama's tile is the one of the nearest middle; the other three that show its place are semi-positive. The published labels and the
    corrected ones are both written; tiles have each city's own ground resolution.
    """

    name = "vigor"

    def ground(self, half: str) -> Ground:
        """Open ground, 40 m apart and more; the halves lie apart."""
        return Ground(self.plan.regions, 600.0, _SPACING_M, on_foot=True, lon=8.0 + (half == "test"))

    def worlds(self, half: str) -> list[int]:
        """As many panoramas in each city, to one or less."""
        each, rest = divmod(self.plan.places, len(CITIES))
        counts = [each + (city < rest) for city in range(len(CITIES))]
        rounds = -(-max(counts) // SITES_A_WORLD)
        return [max(0, min(SITES_A_WORLD, count - SITES_A_WORLD * turn)) for turn in range(rounds) for count in counts]

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """A panorama, the tiles about it, and its label."""
        city = CITIES[studio.number % len(CITIES)]
        gsd = GSD_M[city]
        step = gsd * SATELLITE_PX / 2
        panoramas, satellites = (folder.format(city=city) for folder in TREE)
        panorama = PANORAMA_NAME.format(name=f"{half}{site.number:06d}", lat=site.lat, lon=site.lon)
        self.picture(f"{panoramas}/{panorama}", partial(studio.panorama, site, self.plan.size(PANORAMA_PX)))
        first = [math.floor(value / step) for value in (site.east_m, site.north_m)]
        shown: list[tuple[float, str, list[float]]] = []
        names = []
        for column in range(first[0] - _RING, first[0] + 2 + _RING):
            for row in range(first[1] - _RING, first[1] + 2 + _RING):
                lon, lat = (round(float(value), _DECIMALS) for value in studio.world.frame.to_lonlat(column * step, row * step))
                name = SATELLITE_NAME.format(lat=lat, lon=lon)
                east, north = column * step - site.east_m, row * step - site.north_m
                tile = partial(studio.satellite, site, 2 * step, self.plan.px(SATELLITE_PX), east_m=east, north_m=north)
                self.picture(f"{satellites}/{name}", tile)
                names.append(name)
                if column - first[0] in (0, 1) and row - first[1] in (0, 1):
                    shown.append((max(abs(east), abs(north)), name, [north, east]))
        shown.sort()
        return {"city": city, "panorama": panorama, "tiles": names, "shown": [[name, *offset] for _, name, offset in shown]}

    def lists(self, rows: dict[str, Rows]) -> None:
        """Lists of tiles and labels of each city, published and corrected."""
        every = [(half, row) for half, found in rows.items() for row in found]
        for city in CITIES:
            here = [(half, row) for half, row in every if row["city"] == city]
            tiles = "".join(f"{name}\n" for name in dict.fromkeys(name for _, row in here for name in row["tiles"]))
            for (folder, ending), gsd in ((ORIGINAL, _LABELLED_GSD_M), (CORRECTED, GSD_M[city])):
                self.text(f"{folder}/{city}/{SATELLITE_LIST}", tiles)
                for split, (_, stem) in SPLITS.items():
                    half, area = split.split("-")
                    chosen = [row for other, row in here if area == "cross" or other == half]
                    if chosen:
                        self.text(f"{folder}/{city}/{stem}{ending}", "".join(_label(row, gsd) for row in chosen))


def _label(row: dict[str, Any], gsd_m: float) -> str:
    tiles = " ".join(f"{name} {north / gsd_m:.6f} {east / gsd_m:.6f}" for name, north, east in row["shown"])
    return f"{row['panorama']} {tiles}\n"
