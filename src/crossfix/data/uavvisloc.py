"""UAV-VisLoc: flights of fixed-wing and other drones over large satellite maps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from crossfix.data.csv_rows import number_of, position_of, read_rows
from crossfix.data.dataset import Count, Direction, Finding, Rows, Task
from crossfix.data.map_chips import CutChip, DegreeMap, check_chips, count_chips, cut_map, read_chips
from crossfix.data.places import REFETCH, check_asked, check_root, list_sorted, relative
from crossfix.data.view import View, is_image
from crossfix.errors import DataError

NUMBERS = tuple(f"{number:02}" for number in range(1, 12))
#: Corners of the maps. The released file has a blank in its name; both names are read.
COORDINATES = "satellite_coordinates_range.csv"
COORDINATES_RELEASED = "satellite_ coordinates_range.csv"
COORDINATE_COLUMNS = ("mapname", "LT_lat_map", "LT_lon_map", "RB_lat_map", "RB_lon_map", "region")
#: Of ``NUMBER/NUMBER.csv``; flight 07 has the first six alone.
FLIGHT_COLUMNS = ("num", "filename", "date", "lat", "lon", "height", "Omega", "Kappa", "Phi1", "Phi2")
DRONE_FOLDER = "drone"
#: Where chips are cut to and looked for, below the root, unless another folder is given.
CHIPS = "chips"
OFFICIAL_FLIGHTS = 11
OFFICIAL_DRONE_IMAGES = 6_742

_TITLE = "UAV-VisLoc"
_PART = re.compile(r"satellite\d+_(\d+)-(\d+)\.tif", re.IGNORECASE)


@dataclass(frozen=True)
class Flight:
    """A flight and its map.

    Attributes:
        number: "01" to "11".
        map: its files and corners.
        views: the photos in the order of the flight's table, with lon and lat, and the heading where the table has one.
    """

    number: str
    map: DegreeMap
    views: list[View]


class UavVisLoc:
    """UAV-VisLoc (Xu et al., 2024): 11 flights over China at 400 to 2,000 m, and a satellite map under each.

    Source: photos of drones that look straight down, fixed-wing for the most part; maps from Google Maps.

    Counts: 11 flights and maps, 6,742 photos; an example with flight 03 alone is offered too. The flights that the table of corners names
    are read.

    Licence: none is stated. The links stand in the authors' repository, IntelliSensing/UAV-VisLoc. Ground resolution: photos 0.1 to 0.2 m a
    pixel, maps 0.3 m from north to south; their pixels are square in degrees, so less from west to east.

    Layout: ``NUMBER/drone/NUMBER_0001.JPG``, ``NUMBER/NUMBER.csv``, ``NUMBER/satelliteNUMBER.tif``, and ``satellite_coordinates_range.csv``
    with the corners (its released name has a blank after the first underscore). The map of flight 09 is four files, ``_ROW-COLUMN`` behind
    its number; the corners are those of the whole.

    Tasks: there are no tiles, so ``crossfix data chips ROOT`` cuts some. Right are all chips that hold the photo's position, neither right
    nor wrong those that end less than half a side away from it. No published protocol scores this; Game4Loc's numbers rest on tiles and
    pairs of its own.

    Positions: the authors call ``lat`` and ``lon`` the middle of the photo on the ground. ``heading_deg`` is ``Phi1``, of two yaws the one
    that they trust more, clockwise from north and taken as that of the photo's upper edge. ``Omega`` and ``Kappa``, pitch and roll of the
    aircraft, are not used.

    Known faults: ``height`` is above the sea, not above ground, so views have no height. Positions seem to be those of the flight plan;
    users measured them to be 24 to 48 m off on flights 02, 04, 10 and 11. The table of flight 07 has no angles, its map is a strip of
    170 rows, and whether it shows what the photos do is disputed; photos off their maps are left out of tasks. On the maps of flights 01
    and 08 matchers found nothing.
    """

    name: ClassVar[str] = "uavvisloc"
    splits: ClassVar[tuple[str, ...]] = ("all", *NUMBERS)
    directions: ClassVar[tuple[Direction, ...]] = ("d2s",)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.chips = root / CHIPS

    def flights(self, numbers: Sequence[str] | None = None) -> list[Flight]:
        """The flights, in the order of their numbers.

        Args:
            numbers: of some flights, or None for all that the table of corners names.

        Raises:
            DataError: where files are missing, or naming the line of a table that cannot be understood or names a missing photo.
        """
        corners = self._corners()
        for number in numbers or ():
            if number not in corners:
                raise DataError(f"has no line of flight {number}", where=self._coordinates(), mend=REFETCH)
        return [self._flight(number, corners[number]) for number in numbers or corners]

    def cut_chips(
        self,
        folder: Path | None = None,
        side_px: int = 512,
        overlap: float = 0.5,
        numbers: Sequence[str] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[CutChip]:
        """Cut the maps into the chips that tasks search; from now on they are looked for in that folder. Goes on where it was killed.

        Args:
            folder: to write to, or None for the one named ``chips`` below the root. To use it later on, set ``chips`` to it.
            side_px: of a chip, in rows of the map.
            overlap: of neighbours, as a part of the side.
            numbers: of some flights, or None for all.
            progress: told the chips done and in all.

        Raises:
            InputError: where side or overlap make no sense.
            DataError: where flights or maps cannot be read.
            DiskError: where the chips cannot be written.
        """
        check_chips(side_px, overlap)
        flights = self.flights(numbers)
        self.chips = folder or self.root / CHIPS
        total = sum(count_chips(flight.map, side_px, overlap) for flight in flights)
        chips: list[CutChip] = []

        def told(done: int, _: int) -> None:
            if progress is not None:
                progress(len(chips) + done, total)

        for flight in flights:
            chips += cut_map(flight.number, flight.map, self.chips, side_px, overlap, told)
        return chips

    def task(self, split: str, direction: Direction) -> Task:
        """The photos of a flight among the chips of its map, or those of all flights among all chips; without those that no chip holds.

        Raises:
            InputError: for another split or direction.
            DataError: where files are missing or make no sense, no chips are cut, or no photo lies on them.
        """
        check_asked(self, split, direction)
        flights = self.flights(None if split == "all" else [split])
        query = [view for flight in flights for view in flight.views]
        chips = [chip for flight in flights for chip in read_chips(flight.number, self.chips)]
        gallery = [_chip_view(self.chips, chip) for chip in chips]
        positives, semi_positives = _held(query, chips)
        kept = [row for row, right in enumerate(positives) if len(right)]  # the others have nothing to find
        if not kept:
            raise DataError("no photo lies on its map", where=self.root, mend="see: crossfix data check uavvisloc ROOT")
        query, positives, semi_positives = (
            [query[row] for row in kept],
            [positives[row] for row in kept],
            [semi_positives[row] for row in kept],
        )
        return Task(self.name, split, direction, query, gallery, positives, semi_positives, None)

    def inspect(self) -> Iterator[Finding | Count]:
        """Missing files, lines that make no sense, photos without a line or off the map, and the official counts."""
        try:
            corners = self._corners()
        except DataError as error:
            yield self._finding(error)
            return
        photos = 0
        for number, box in corners.items():
            try:
                source = DegreeMap(self._maps(number), *box)
            except DataError as error:
                yield self._finding(error)
                source = None
            folder = self.root / number / DRONE_FOLDER
            try:
                there = {path.name for path in list_sorted(folder) if is_image(path)}
                photos += len(there)
                views = list(self._photos(number))
            except DataError as error:
                yield self._finding(error)
                continue
            named = {view.path.name for _, view in views}
            for line, view in views:
                if view.path.name not in there:
                    where = f"{number}/{number}.csv line {line}"
                    yield Finding("split", where, f"names {number}/{DRONE_FOLDER}/{view.path.name}, which is not there", REFETCH)
            for name in sorted(there - named):
                yield Finding("extra", f"{number}/{DRONE_FOLDER}/{name}", "is a photo without a line in the table", "it is not used")
            off = sum(1 for _, view in views if source and not source.covers(view.lon or 0.0, view.lat or 0.0))
            if off:
                yield Finding("split", f"{number}/{number}.csv", f"{off} photos lie off the map", "they are left out of tasks")
        yield Count("flights", OFFICIAL_FLIGHTS, len(corners))
        yield Count("drone images", OFFICIAL_DRONE_IMAGES, photos)

    def images(self) -> list[View]:
        """Every photo on disk, without its position, and the chips that are cut; the maps are rasters, too large to be pictures."""
        check_root(self.root, _TITLE, (COORDINATES, COORDINATES_RELEASED, *NUMBERS))
        folders = [self.root / number / DRONE_FOLDER for number in NUMBERS]
        photos = [path for folder in folders if folder.is_dir() for path in list_sorted(folder) if is_image(path)]
        cut = [number for number in NUMBERS if (self.chips / f"{number}.json").is_file()]
        chips = [_chip_view(self.chips, chip) for number in cut for chip in read_chips(number, self.chips)]
        return [*(View(path, path.stem, "drone") for path in photos), *chips]

    def _coordinates(self) -> Path:
        released = self.root / COORDINATES_RELEASED
        return released if released.is_file() else self.root / COORDINATES

    def _corners(self) -> dict[str, tuple[float, float, float, float]]:
        """West, north, east and south of every map."""
        check_root(self.root, _TITLE, (COORDINATES, COORDINATES_RELEASED, *NUMBERS))
        path = self._coordinates()
        corners = {}
        for line, row in read_rows(path, COORDINATE_COLUMNS[:5]):
            found = re.fullmatch(r"(?:satellite)?(\d+)(?:\.tif)?", row["mapname"], re.IGNORECASE)
            if found is None:
                raise DataError(f"{row['mapname']!r} is no map", where=f"{path} line {line}", mend=REFETCH)
            north, west = position_of(path, line, row, "LT_lat_map", "LT_lon_map")
            south, east = position_of(path, line, row, "RB_lat_map", "RB_lon_map")
            if not (west < east and south < north):
                raise DataError("the corners of the map are not north-west and south-east", where=f"{path} line {line}", mend=REFETCH)
            corners[f"{int(found[1]):02}"] = (west, north, east, south)
        if not corners:
            raise DataError("names no map", where=path, mend=REFETCH)
        return dict(sorted(corners.items()))

    def _flight(self, number: str, box: tuple[float, float, float, float]) -> Flight:
        source = DegreeMap(self._maps(number), *box)
        there = {path.name for path in list_sorted(self.root / number / DRONE_FOLDER)}
        views = []
        for line, view in self._photos(number):
            if view.path.name not in there:
                raise DataError(
                    f"names {DRONE_FOLDER}/{view.path.name}, which is not there",
                    where=f"{self.root / number / f'{number}.csv'} line {line}",
                    mend=REFETCH,
                )
            views.append(view)
        return Flight(number, source, views)

    def _maps(self, number: str) -> tuple[tuple[Path, ...], ...]:
        whole = self.root / number / f"satellite{number}.tif"
        if whole.is_file():
            return ((whole,),)
        parts: dict[int, dict[int, Path]] = {}
        for path in list_sorted(self.root / number):
            if found := _PART.fullmatch(path.name):
                parts.setdefault(int(found[1]), {})[int(found[2])] = path
        if not parts:
            raise DataError("is missing", where=whole, mend=REFETCH)
        columns = {column for row in parts.values() for column in row}
        for at in range(1, max(parts) + 1):
            for column in range(1, max(columns) + 1):
                if column not in parts.get(at, {}):
                    part = f"satellite{number}_{at:02}-{column:02}.tif"
                    raise DataError("this part of the map is missing", where=self.root / number / part, mend=REFETCH)
        return tuple(tuple(path for _, path in sorted(parts[at].items())) for at in sorted(parts))

    def _photos(self, number: str) -> Iterator[tuple[int, View]]:
        path = self.root / number / f"{number}.csv"
        for line, row in read_rows(path, ("filename", "lat", "lon")):
            lat, lon = position_of(path, line, row, "lat", "lon")
            heading = number_of(path, line, row, "Phi1") % 360 if row.get("Phi1") else None
            photo = self.root / number / DRONE_FOLDER / row["filename"]
            yield line, View(photo, photo.stem, "drone", lon, lat, heading_deg=heading)

    def _finding(self, error: DataError) -> Finding:
        where = relative(self.root, error.where)
        return Finding("split" if " line " in where else "missing", where, error.what, error.mend or "")


def _chip_view(folder: Path, chip: CutChip) -> View:
    path = folder / chip.file
    return View(path, path.stem, "satellite", chip.lon, chip.lat)


def _held(query: Sequence[View], chips: Sequence[CutChip]) -> tuple[list[Rows], list[Rows]]:
    """For each photo the chips that hold its position, and those that end less than half a side away."""
    lon, lat, width, height = (np.array([getattr(chip, name) for chip in chips]) for name in ("lon", "lat", "width_deg", "height_deg"))
    inside, near = [], []
    for view in query:
        # In sides of the chip, from its middle.
        away = np.maximum(np.abs(lon - (view.lon or 0.0)) / width, np.abs(lat - (view.lat or 0.0)) / height)
        inside.append(np.flatnonzero(away <= 0.5).astype(np.int64))
        near.append(np.flatnonzero((away > 0.5) & (away < 1)).astype(np.int64))
    return inside, near
