"""One map from one or more georeferenced rasters, and north-up squares of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from crossfix.errors import InputError
from crossfix.geo.geodesy import WGS84, LocalFrame, check_lonlat, distance_m
from crossfix.maps.chip import Chip, ChipTable, Floats
from crossfix.maps.source import Patch, Source

Bounds: TypeAlias = tuple[float, float, float, float]

# The mapping from chip to raster is exact on this lattice and linear between its points: a tenth of a chip is flat to far below a pixel.
LATTICE = 9
# Reduction is by whole steps, the rest by interpolation, which reduces by 1.66 or enlarges by 1.25 at most beside whole steps.
STEP_BIAS = 0.34
# Chips that follow each other share one read of at most this many pixels a side, at the chips' own resolution.
SHARED_READ_PX = 2304
MAX_SHARED_CHIPS = 1024
AREA_LATTICE = 512


class GeoMap:
    """Georeferenced rasters as one map; later rasters fill the holes of earlier ones.

    Make one with :meth:`open`. Reads come in windows, so that memory stays bounded for any size of raster.

    Args:
        sources: opened rasters, the first on top.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)

    @classmethod
    def open(cls, paths: Sequence[str | Path]) -> GeoMap:
        """Opens rasters as one map.

        Args:
            paths: GeoTIFF, MBTiles, or JPEG or PNG with a world file and a `.prj`. Any coordinate reference system that is tied to Earth,
                rotated or mirrored, control points instead of a transform, 8 bit or more (stretched to 8 bit between the 2nd and 98th
                percentile of each band), nodata, alpha or mask. Bands are red, green, blue by name, else the first three, else the first.

        Raises:
            InputError: no path is given.
            RasterError: a file cannot be read or is not placed on Earth.
        """
        if not paths:
            raise InputError("no raster is given", mend="name at least one georeferenced raster")
        sources: list[Source] = []
        try:
            for path in paths:
                sources.append(Source(Path(path)))
        except BaseException:
            for source in sources:
                source.close()
            raise
        return cls(sources)

    def close(self) -> None:
        """Lets go of the files."""
        for source in self.sources:
            source.close()

    def __enter__(self) -> GeoMap:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def paths(self) -> list[Path]:
        """The rasters' files, in the order given."""
        return [source.path for source in self.sources]

    @cached_property
    def bounds_lonlat(self) -> Bounds:
        """West, south, east, north in degrees, around all rasters.

        East is less than west where the map crosses the antimeridian, as in RFC 7946.
        """
        west, south, east, north = self.unwrapped_bounds
        return (west, south, east if east <= 180 else east - 360, north)

    @cached_property
    def unwrapped_bounds(self) -> Bounds:
        """As :attr:`bounds_lonlat`, but east is never less than west: it goes on beyond 180 across the antimeridian."""
        boxes = [_bounds(source) for source in self.sources]
        first = boxes[0]
        middle = (first[0] + first[2]) / 2
        shifted = [(box, 360 * round((middle - (box[0] + box[2]) / 2) / 360)) for box in boxes]
        west = min(box[0] + turn for box, turn in shifted)
        east = max(box[2] + turn for box, turn in shifted)
        turn = 360 * math.floor((west + 180) / 360)
        east = min(east, west + 360)
        return (west - turn, min(box[1] for box in boxes), east - turn, max(box[3] for box in boxes))

    @cached_property
    def frame(self) -> LocalFrame:
        """The local frame at the middle of the bounds."""
        west, south, east, north = self.unwrapped_bounds
        return LocalFrame(_wrapped((west + east) / 2), (south + north) / 2)

    @cached_property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the bounds in metres, through the middle."""
        west, south, east, north = self.unwrapped_bounds
        per_lon, per_lat = metres_per_degree(np.array([(south + north) / 2]))
        return float((east - west) * per_lon[0]), float((north - south) * per_lat[0])

    @cached_property
    def gsd_m(self) -> float:
        """Metres on the ground a pixel, of the finest raster, in its middle."""
        return min(_gsd_m(source) for source in self.sources)

    @cached_property
    def area_m2(self) -> float:
        """Ground with data in square metres, from a lattice of 512 x 512 points: good to about one percent."""
        west, south, east, north = self.unwrapped_bounds
        at = (np.arange(AREA_LATTICE) + 0.5) / AREA_LATTICE
        lat = np.repeat(south + at * (north - south), AREA_LATTICE)
        lon = np.tile(west + at * (east - west), AREA_LATTICE)
        per_lon, per_lat = metres_per_degree(lat)
        cell = per_lon * per_lat * ((east - west) / AREA_LATTICE) * ((north - south) / AREA_LATTICE)
        return float(cell[self.covers(lon, lat)].sum())

    def covers(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Whether any raster has data at positions, looked up in pictures of 2048 pixels at most.

        Args:
            lon: degrees, any shape.
            lat: degrees, of the same shape.

        Returns:
            bool, of the same shape.
        """
        found = np.zeros(np.shape(lon), dtype=bool)
        for source in self.sources:
            found |= source.covers(lon, lat)
        return found

    def read_square(self, lon: float, lat: float, side_m: float, px: int) -> Chip:
        """A north-up square around a position.

        Args:
            lon: degrees, the centre.
            lat: degrees.
            side_m: metres on the ground.
            px: pixels along a side; averaged from the rasters where they are finer, interpolated where they are coarser.

        Returns:
            The square; `valid` is False throughout where it lies off the map.

        Raises:
            InputError: the position is none, or side or px is not positive.
            RasterError: a raster cannot be read.
        """
        check_lonlat(lon, lat)
        if not (math.isfinite(side_m) and side_m > 0 and px > 0):
            raise InputError(f"a square of {side_m} m in {px} pixels cannot be cut", mend="give a positive side and number of pixels")
        table = ChipTable(np.array([lon]), np.array([lat]), np.array([float(side_m)]))
        return next(self.read_squares(table, px))

    def read_squares(self, chips: ChipTable, px: int) -> Iterator[Chip]:
        """Many squares; neighbours in the table share reads, so that overlap does not decode the rasters again.

        Args:
            chips: the squares, best in the order of a tiling plan.
            px: pixels along a side.

        Yields:
            The squares in the order of the table, as :meth:`read_square` would read them.

        Raises:
            RasterError: a raster cannot be read.
        """
        for start, stop in _groups(chips, px):
            yield from self._read_group(chips[start:stop], px)

    def _read_group(self, chips: ChipTable, px: int) -> Iterator[Chip]:
        lon, lat = _lattices(chips, px)
        views: list[tuple[Floats, Floats, Patch]] = []
        for source in self.sources:
            x, y = source.georeference.to_pixel(lon, lat)
            patch = _shared_patch(source, x, y, px)
            if patch is not None:
                views.append((*patch.from_pixel(x, y), patch))
        weights = _lattice_weights(px)
        for row, (chip_lon, chip_lat, side_m) in enumerate(chips):
            pixels = np.zeros((px, px, 3), dtype=np.uint8)
            valid = np.zeros((px, px), dtype=bool)
            for x, y, patch in views:
                if valid.all():
                    break
                if not (np.isfinite(x[row]).all() and np.isfinite(y[row]).all()):
                    continue
                rgb, known = _resample(patch, weights @ x[row] @ weights.T, weights @ y[row] @ weights.T)
                new = known & ~valid
                pixels[new] = rgb[new]
                valid |= known
            yield Chip(pixels, valid, chip_lon, chip_lat, side_m)


def metres_per_degree(lat: Floats) -> tuple[Floats, Floats]:
    """Length of a degree on the ellipsoid.

    Args:
        lat: degrees, any shape.

    Returns:
        Metres per degree of longitude and per degree of latitude.
    """
    e2 = WGS84.es
    radians = np.radians(lat)
    bend = 1 - e2 * np.sin(radians) ** 2
    per_lon = np.radians(WGS84.a * np.cos(radians) / np.sqrt(bend))
    return np.maximum(per_lon, 0.0), np.radians(WGS84.a * (1 - e2) / bend**1.5)


def _wrapped(lon: float) -> float:
    return (lon + 180) % 360 - 180


def _bounds(source: Source) -> Bounds:
    """West, south, east, north of the raster's outline; the poles count as inside where they are."""
    along = np.linspace(0.0, 1.0, 65)
    across, down = (
        np.concatenate([along, np.ones(65), along[::-1], np.zeros(65)]),
        np.concatenate([np.zeros(65), along, np.ones(65), along[::-1]]),
    )
    lon, lat = source.georeference.to_lonlat(across * source.width - 0.5, down * source.height - 0.5)
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.unwrap(lon[known], period=360), lat[known]
    west, south, east, north = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
    for pole in (-90.0, 90.0):
        x, y = source.georeference.to_pixel(np.array([0.0]), np.array([pole]))
        if 0 < x[0] < source.width - 1 and 0 < y[0] < source.height - 1 and east - west > 300:
            west, east, south, north = -180.0, 180.0, min(south, pole), max(north, pole)
    return west, south, east, north


def _gsd_m(source: Source) -> float:
    x, y = (source.width - 1) / 2, (source.height - 1) / 2
    lon, lat = source.georeference.to_lonlat(np.array([x - 0.5, x + 0.5, x, x]), np.array([y, y, y - 0.5, y + 0.5]))
    return math.sqrt(distance_m(lon[0], lat[0], lon[1], lat[1]) * distance_m(lon[2], lat[2], lon[3], lat[3]))


def _groups(chips: ChipTable, px: int) -> Iterator[tuple[int, int]]:
    """Spans of rows of one side that fit into one shared read."""
    start = 0
    reach = max(1.0, SHARED_READ_PX / px)
    west = east = south = north = 0.0
    per_lon, per_lat = metres_per_degree(chips.lat)
    for row, (lon, lat, side_m) in enumerate(chips):
        dx = ((lon - chips.lon[start] + 180) % 360 - 180) * per_lon[start]
        dy = (lat - chips.lat[start]) * per_lat[start]
        box = (min(west, dx), max(east, dx), min(south, dy), max(north, dy))
        spread = max(box[1] - box[0], box[3] - box[2]) + side_m
        if side_m != chips.side_m[start] or row - start == MAX_SHARED_CHIPS or (row > start and spread > (reach + 1e-6) * side_m):
            yield start, row
            start, box = row, (0.0, 0.0, 0.0, 0.0)
        west, east, south, north = box
    if start < len(chips):
        yield start, len(chips)


def _lattices(chips: ChipTable, px: int) -> tuple[Floats, Floats]:
    """Positions of a lattice over each chip, from its first pixel's centre to its last: (N, LATTICE, LATTICE) lon and lat.

    A chip's pixels lie in the azimuthal equidistant frame of its centre: each is a bearing and a distance from there.
    """
    reach = 0.5 * (px - 1) / px
    along = np.linspace(-reach, reach, LATTICE)
    east, north = np.meshgrid(along, -along)
    bearing = np.broadcast_to(np.degrees(np.arctan2(east, north)), (len(chips), LATTICE, LATTICE))
    distance = np.hypot(east, north) * chips.side_m[:, None, None]
    shape = distance.shape
    lon0, lat0 = (np.broadcast_to(axis[:, None, None], shape).ravel() for axis in (chips.lon, chips.lat))
    lon, lat, _ = WGS84.fwd(lon0, lat0, bearing.ravel(), distance.ravel())
    return np.asarray(lon).reshape(shape), np.asarray(lat).reshape(shape)


def _lattice_weights(px: int) -> Floats:
    """(px, LATTICE) weights that spread a lattice linearly over pixels."""
    at = np.linspace(0.0, LATTICE - 1.0, px) if px > 1 else np.array([(LATTICE - 1) / 2])
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(LATTICE)[None]))


def _shared_patch(source: Source, x: Floats, y: Floats, px: int) -> Patch | None:
    """What the chips need of a raster, reduced to about their resolution."""
    known = np.isfinite(x).all(axis=(1, 2)) & np.isfinite(y).all(axis=(1, 2))
    known &= (
        (x.max(axis=(1, 2)) > -1) & (x.min(axis=(1, 2)) < source.width) & (y.max(axis=(1, 2)) > -1) & (y.min(axis=(1, 2)) < source.height)
    )
    if not known.any():
        return None
    x, y = x[known], y[known]
    cell = max(px - 1, 1) / (LATTICE - 1)
    steps = []
    for axis in (x, y):
        across, down = np.diff(axis[:, :1], axis=2).mean(), np.diff(axis[:, :, :1], axis=1).mean()
        steps.append(max(1, int(math.hypot(across, down) / cell + STEP_BIAS)))
    return source.read((float(x.min()), float(x.max())), (float(y.min()), float(y.max())), steps[0], steps[1])


def _resample(patch: Patch, x: Floats, y: Floats) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bilinear samples of a patch, and where at least half of their weight is on data."""
    height, width = patch.rgb.shape[:2]
    inside = x.min() >= 0 and y.min() >= 0 and x.max() <= width - 1 and y.max() <= height - 1
    left, top = max(0, math.floor(x.min())), max(0, math.floor(y.min()))
    right, bottom = min(width, math.ceil(x.max()) + 2), min(height, math.ceil(y.max()) + 2)
    if left >= right or top >= bottom:
        return np.zeros((*x.shape, 3), np.uint8), np.zeros(x.shape, bool)
    window = np.s_[top:bottom, left:right]
    rgb = patch.rgb[window]
    map_x, map_y = (x - left).astype(np.float32), (y - top).astype(np.float32)
    if inside and (patch.valid is None or patch.valid[window].all()):
        return cv2.remap(rgb, map_x, map_y, cv2.INTER_LINEAR).astype(np.uint8, copy=False), np.ones(x.shape, bool)
    known = (np.ones(rgb.shape[:2], bool) if patch.valid is None else patch.valid[window]).astype(np.float32)
    layered = np.dstack([rgb * known[..., None], known])
    out = cv2.remap(layered, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    weight = out[..., 3]
    colours = out[..., :3] / np.maximum(weight, 1e-3)[..., None]
    return np.clip(colours + 0.5, 0, 255).astype(np.uint8), weight >= 0.499
