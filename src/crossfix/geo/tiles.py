"""Web-Mercator tiles: the arithmetic of z/x/y pyramids.

Tiles are square, 2^z by 2^z of them cover the world between 85.05 degrees south and north, x counts from the antimeridian eastwards and
y from the north (XYZ, as Google and OpenStreetMap count; MBTiles and TMS count rows from the south, see :func:`flip_row`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from crossfix.errors import InputError
from crossfix.geo.geodesy import check_lonlat

MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""Where the square world ends, degrees: 85.0511..."""

HALF_WORLD_M = math.pi * 6_378_137.0
"""Half the width of the world in EPSG:3857 units."""

MAX_ZOOM = 30


class Tile(NamedTuple):
    """One tile: zoom, column from the west, row from the north."""

    z: int
    x: int
    y: int


class Bounds(NamedTuple):
    """West, south, east and north edges, degrees. West is greater than east where the box crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float


def tile_at(lon: float, lat: float, zoom: int) -> Tile:
    """The tile that holds a position; one on an edge belongs to the tile east or south of it.

    Args:
        lon: degrees.
        lat: degrees; beyond the pyramid's edge the outermost tile is meant.
        zoom: 0 to 30.

    Raises:
        InputError: no position on Earth, or a zoom that does not exist.
    """
    check_lonlat(lon, lat)
    x, y = _fractional(lon, lat, zoom)
    last = 2**zoom - 1
    return Tile(zoom, min(max(math.floor(x), 0), last), min(max(math.floor(y), 0), last))


def tile_bounds(tile: Tile) -> Bounds:
    """The edges of a tile, degrees.

    Raises:
        InputError: the tile does not exist.
    """
    _check(tile)
    return Bounds(_lon(tile.x, tile.z), _lat(tile.y + 1, tile.z), _lon(tile.x + 1, tile.z), _lat(tile.y, tile.z))


def tile_bounds_mercator(tile: Tile) -> Bounds:
    """The edges of a tile in EPSG:3857 units, which are metres only on the equator.

    Raises:
        InputError: the tile does not exist.
    """
    _check(tile)
    side = 2 * HALF_WORLD_M / 2**tile.z
    west, north = -HALF_WORLD_M + tile.x * side, HALF_WORLD_M - tile.y * side
    return Bounds(west, north - side, west + side, north)


def tiles_in(bounds: Bounds, zoom: int) -> Iterator[Tile]:
    """The tiles that a box touches, row by row from the north-west; those beyond the antimeridian last in each row.

    Args:
        bounds: degrees; west greater than east means across the antimeridian.
        zoom: 0 to 30.

    Raises:
        InputError: no box on Earth, or a zoom that does not exist.
    """
    if bounds.south > bounds.north:
        raise InputError(f"box from {bounds.south:g} up to {bounds.north:g} degrees latitude is upside down")
    first, last = tile_at(bounds.west, bounds.north, zoom), tile_at(bounds.east, bounds.south, zoom)
    if bounds.west <= bounds.east:
        columns = list(range(first.x, last.x + 1))
    else:
        columns = list(dict.fromkeys([*range(first.x, 2**zoom), *range(0, last.x + 1)]))
    for y in range(first.y, last.y + 1):
        for x in columns:
            yield Tile(zoom, x, y)


def flip_row(tile: Tile) -> Tile:
    """The same tile with its row counted from the other side: XYZ to TMS (MBTiles) and back."""
    _check(tile)
    return tile._replace(y=2**tile.z - 1 - tile.y)


def ground_resolution_m(lat: float, zoom: int, tile_px: int = 256) -> float:
    """Ground size of a pixel, metres: the map unit shrinks with the cosine of the latitude.

    Args:
        lat: degrees.
        zoom: 0 to 30.
        tile_px: pixels along a tile.
    """
    _check_zoom(zoom)
    return 2 * HALF_WORLD_M * math.cos(math.radians(lat)) / (tile_px * 2.0**zoom)


def zoom_for(lat: float, gsd_m: float, tile_px: int = 256) -> int:
    """The lowest zoom whose pixels are no larger on the ground than asked for.

    Args:
        lat: degrees, within the pyramid.
        gsd_m: metres per pixel.
        tile_px: pixels along a tile.

    Raises:
        InputError: no ground resolution, or finer than zoom 30.
    """
    if not (math.isfinite(gsd_m) and gsd_m > 0 and abs(lat) <= MAX_LATITUDE):
        raise InputError(f"no zoom has {gsd_m:g} m per pixel at latitude {lat:g}")
    # The small allowance keeps a resolution that is exactly a zoom's from being taken as finer by rounding.
    zoom = max(0, math.ceil(math.log2(ground_resolution_m(lat, 0, tile_px) / gsd_m) - 1e-9))
    _check_zoom(zoom)
    return zoom


def _fractional(lon: float, lat: float, zoom: int) -> tuple[float, float]:
    _check_zoom(zoom)
    sine = math.sin(math.radians(min(max(lat, -MAX_LATITUDE), MAX_LATITUDE)))
    return (lon / 360 + 0.5) * 2**zoom, (0.5 - math.atanh(sine) / (2 * math.pi)) * 2**zoom


def _lon(x: float, zoom: int) -> float:
    return x / 2.0**zoom * 360 - 180


def _lat(y: float, zoom: int) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / 2.0**zoom))))


def _check_zoom(zoom: int) -> None:
    if not 0 <= zoom <= MAX_ZOOM:
        raise InputError(f"zoom {zoom} is not between 0 and {MAX_ZOOM}")


def _check(tile: Tile) -> None:
    _check_zoom(tile.z)
    if not (0 <= tile.x < 2**tile.z and 0 <= tile.y < 2**tile.z):
        raise InputError(f"tile {tile.z}/{tile.x}/{tile.y} does not exist")
