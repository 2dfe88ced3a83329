"""Tiling plans: which squares of a map are worth describing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossfix.errors import InputError, RasterError
from crossfix.maps.chip import ChipTable, Floats
from crossfix.maps.raster import GeoMap, metres_per_degree

DEFAULT_OVERLAP = 0.5
SIDE_RANGE_M = (40.0, 800.0)
SIDE_FACTOR = math.sqrt(2)
# A chip of fewer raster pixels along its side shows nothing that could be told apart.
MIN_PIXELS = 64
MIN_VALID = 1 / 3
# Chips are listed in blocks of about this many sides across, which are read at once (see `GeoMap.read_squares`).
BLOCK_SIDES = 8
SAMPLES = 5
SAMPLED_CHIPS = 65536


@dataclass(frozen=True)
class TilingPlan:
    """Squares of several sides, laid in rows of latitude with a given overlap.

    Args:
        sides_m: metres, each side once.
        overlap: the share of a side by which neighbours overlap at least, 0 to below 1.

    Raises:
        InputError: a side is not positive or the overlap is out of range.
    """

    sides_m: tuple[float, ...]
    overlap: float = DEFAULT_OVERLAP

    def __post_init__(self) -> None:
        if not self.sides_m:
            raise InputError("a tiling plan needs at least one side", mend="give --side-m")
        for side_m in self.sides_m:
            if not (math.isfinite(side_m) and side_m > 0):
                raise InputError(f"a chip cannot be {side_m:g} m wide", where="--side-m", mend="give a positive number of metres")
        if not 0 <= self.overlap <= 0.9:
            raise InputError(f"an overlap of {self.overlap:g} makes no sense", where="--overlap", mend="give a share from 0 to 0.9")
        object.__setattr__(self, "sides_m", tuple(sorted({float(side_m) for side_m in self.sides_m})))

    @classmethod
    def default(cls, geomap: GeoMap, overlap: float = DEFAULT_OVERLAP) -> TilingPlan:
        """A ladder of sides by factors of the square root of two that suits a map.

        Sides run from 40 to 800 m, never below 64 raster pixels nor above what fits into the map; a map too coarse for that gets
        sides of 64 to 128 raster pixels. There is always at least one.

        Args:
            geomap: the map.
            overlap: see the class.
        """
        finest = max(SIDE_RANGE_M[0], MIN_PIXELS * geomap.gsd_m)
        widest = min(max(SIDE_RANGE_M[1], 2 * finest), min(geomap.size_m))
        rungs = max(0, math.floor(math.log(widest / finest, SIDE_FACTOR) + 1e-9)) if widest > finest else 0
        if widest < finest:
            finest = widest
        return cls(tuple(round(finest * SIDE_FACTOR**rung, 1) for rung in range(rungs + 1)), overlap)

    def chips(self, geomap: GeoMap) -> ChipTable:
        """The squares of a map that hold data on at least a third of their area.

        Rows of squares run along latitudes so that each is north-up where it lies; they are spread evenly so that the outermost ones
        touch the map's bounds.

        Args:
            geomap: the map.

        Returns:
            Rows in a stable order: by side, then by blocks that can be read at once, in a block from north to south and west to east.

        Raises:
            RasterError: no square fits, or a raster cannot be read.
        """
        tables = [self._with_data(geomap, self._grid(geomap, side_m)) for side_m in self.sides_m]
        table = ChipTable(*(np.concatenate([getattr(part, name) for part in tables]) for name in ("lon", "lat", "side_m")))
        if len(table) == 0:
            width, height = geomap.size_m
            sides = ", ".join(f"{side_m:g}" for side_m in self.sides_m)
            raise RasterError(
                f"no square of {sides} m holds enough of this map of {width:.0f} x {height:.0f} m",
                where=geomap.paths[0],
                mend="give a smaller --side-m, or a raster with data",
            )
        return table

    def _grid(self, geomap: GeoMap, side_m: float) -> ChipTable:
        west, south, east, north = geomap.unwrapped_bounds
        _, per_lat = metres_per_degree(np.array([(south + north) / 2]))
        lats = _spread(south, north, side_m / per_lat[0], self.overlap)[::-1]
        per_lon, _ = metres_per_degree(lats)
        rows_in_block = max(1, round(BLOCK_SIDES / (1 - self.overlap)))
        lon_parts, lat_parts, orders = [], [], []
        for row, (lat, scale) in enumerate(zip(lats, per_lon, strict=True)):
            lons = _spread(west, east, side_m / max(scale, 1.0), self.overlap)
            # Blocks are columns of equal width in degrees, the same for all rows of a block, so that they line up.
            block_scale = max(float(per_lon[row // rows_in_block * rows_in_block]), 1.0)
            block = np.floor((lons - west) * block_scale / (BLOCK_SIDES * side_m))
            lon_parts.append(lons)
            lat_parts.append(np.full(len(lons), lat))
            orders.append(np.stack([np.full(len(lons), row // rows_in_block), block, np.full(len(lons), row), np.arange(len(lons))]))
        keys = np.concatenate(orders, axis=1)
        order = np.lexsort(keys[::-1])
        lon = (np.concatenate(lon_parts)[order] + 180) % 360 - 180
        return ChipTable(lon, np.concatenate(lat_parts)[order], np.full(len(order), side_m))

    @staticmethod
    def _with_data(geomap: GeoMap, table: ChipTable) -> ChipTable:
        keep = [_share_with_data(geomap, part) >= MIN_VALID for part in _parts(table)]
        return table[np.concatenate(keep)]


def _spread(low: float, high: float, side: float, overlap: float) -> Floats:
    """Centres of sides over a span, evenly, the outermost flush with its ends; one in the middle of a span shorter than a side."""
    if high - low <= side:
        return np.array([(low + high) / 2])
    count = 1 + math.ceil((high - low - side) / (side * (1 - overlap)) - 1e-9)
    return np.linspace(low + side / 2, high - side / 2, count)


def _parts(table: ChipTable) -> Iterator[ChipTable]:
    for start in range(0, len(table), SAMPLED_CHIPS):
        yield table[start : start + SAMPLED_CHIPS]


def _share_with_data(geomap: GeoMap, table: ChipTable) -> Floats:
    """The share of each square's area that holds data, from a lattice of points."""
    per_lon, per_lat = metres_per_degree(table.lat)
    at = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    across, down = (axis.ravel() for axis in np.meshgrid(at, at))
    lon = table.lon[:, None] + across * (table.side_m / np.maximum(per_lon, 1.0))[:, None]
    lat = np.clip(table.lat[:, None] + down * (table.side_m / per_lat)[:, None], -90.0, 90.0)
    return np.asarray(geomap.covers(lon, lat).mean(axis=1), dtype=np.float64)
