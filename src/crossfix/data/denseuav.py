"""DenseUAV: campuses photographed every 20 m by a drone, with positions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import ClassVar

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.places import (
    REFETCH,
    Places,
    Survey,
    all_right,
    check_asked,
    check_root,
    full_places,
    read_places,
    relative,
)
from crossfix.data.view import View, ViewKind
from crossfix.errors import CrossfixError, DataError
from crossfix.geo.geodesy import check_lonlat

TRAIN_DRONE, TRAIN_SATELLITE = "train/drone", "train/satellite"
QUERY_DRONE, QUERY_SATELLITE = "test/query_drone", "test/query_satellite"
GALLERY_DRONE, GALLERY_SATELLITE = "test/gallery_drone", "test/gallery_satellite"
#: Every folder of places and what looks there.
FOLDERS: dict[str, ViewKind] = {
    TRAIN_DRONE: "drone",
    TRAIN_SATELLITE: "satellite",
    QUERY_DRONE: "drone",
    QUERY_SATELLITE: "satellite",
    GALLERY_DRONE: "drone",
    GALLERY_SATELLITE: "satellite",
}
HEIGHTS_M = (80, 90, 100)
DRONE_FILES = tuple(f"H{height}.JPG" for height in HEIGHTS_M)
#: Three scales, of two years.
SATELLITE_FILES = tuple(f"H{height}{epoch}.tif" for height in HEIGHTS_M for epoch in ("", "_old"))
GPS_ALL, GPS_TRAIN, GPS_TEST = "Dense_GPS_ALL.txt", "Dense_GPS_train.txt", "Dense_GPS_test.txt"
#: Places and images of a folder, as published.
OFFICIAL: dict[str, tuple[int, int]] = {
    TRAIN_DRONE: (2_256, 6_768),
    TRAIN_SATELLITE: (2_256, 13_536),
    QUERY_DRONE: (777, 2_331),
    QUERY_SATELLITE: (777, 4_662),
    GALLERY_DRONE: (3_033, 9_099),
    GALLERY_SATELLITE: (3_033, 18_198),
}
_PAIRS: dict[tuple[str, str], tuple[str, str]] = {
    ("train", "d2s"): (TRAIN_DRONE, TRAIN_SATELLITE),
    ("train", "s2d"): (TRAIN_SATELLITE, TRAIN_DRONE),
    ("test", "d2s"): (QUERY_DRONE, GALLERY_SATELLITE),
    ("test", "s2d"): (QUERY_SATELLITE, GALLERY_DRONE),
}
#: What the authors' script copies a folder of the test together from, for copies that lack it.
_MADE_FROM = {QUERY_SATELLITE: (GALLERY_SATELLITE,), GALLERY_DRONE: (TRAIN_DRONE, QUERY_DRONE)}
_TITLE = "DenseUAV"
_MARKS = (GPS_ALL, GPS_TRAIN, "train", "test")
_LINE = re.compile(r"(?P<path>\S.*?)\s+(?P<ew>[EW])(?P<lon>[\d.]+)\s+(?P<ns>[NS])(?P<lat>[\d.]+)(?:\s+(?P<height>-?[\d.]+))?\s*")


class DenseUav:
    """DenseUAV (Dai et al., IEEE TIP 2024): 14 university campuses in Hangzhou on a grid of 20 m.

    Source: photographs of a drone that looks straight down from 80, 90 and 100 m; satellite images of each place at three scales from two
    years (``H80.tif`` and ``H80_old.tif``, likewise 90 and 100).

    Counts: training 2,256 places of 10 campuses, 6,768 drone and 13,536 satellite images; test query 777 places of 4 other campuses, 2,331
    drone and 4,662 satellite images; gallery 3,033 places, 9,099 drone and 18,198 satellite images: those of the training too.

    Licence: Apache 2.0 is given for the project; data on Hugging Face, from the authors' repository. Ground resolution: not published.

    Positions: ``Dense_GPS_*.txt``, a line an image: ``PATH E<lon> N<lat> HEIGHT``. What we assume: a line speaks for the whole place, which
    is the folder that its file lies in, as in the authors' evaluation; the released files have lines for ``H80`` satellite images alone.
    Whatever stands before the place in a path (another root, ``newdata``, backslashes) and the file's suffix are no matter, W and S count
    as negative, and of two lines of a place the later one holds. The height is the GPS altitude of the drone at ``H80``, not one above
    ground, and is not used: ``height_m`` of drone views is 80, 90 or 100 by their file names.

    Known faults: neighbouring places are 20 m apart and look alike by construction, yet only the same place counts as right; SDM@K and MA@K
    look at distances instead. The release may lack ``query_satellite`` and ``gallery_drone``, which are copies: they are then put together
    from the folders that the authors' script copies.
    """

    name: ClassVar[str] = "denseuav"
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    directions: ClassVar[tuple[Direction, ...]] = ("d2s", "s2d")

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, split: str, direction: Direction) -> Task:
        """A split as a retrieval task, every view with its place's position; six satellite images of a place are right.

        Raises:
            InputError: for another split or direction.
            DataError: where folders or images are missing, or a place has no position.
        """
        check_asked(self, split, direction)
        check_root(self.root, _TITLE, _MARKS)
        positions = self.positions()
        first, second = _PAIRS[split, direction]
        query, gallery = self._views(first, positions), self._views(second, positions)
        positives = same_place(query, gallery)
        all_right(query, self.root / second, positives)
        return Task(self.name, split, direction, query, gallery, positives, None, "denseuav")

    def positions(self) -> dict[str, tuple[float, float]]:
        """Longitude and latitude of every place, in degrees, from ``Dense_GPS_ALL.txt`` or else from the two files of the halves.

        Raises:
            DataError: where there is no such file, or naming the line that cannot be understood.
        """
        files = [GPS_ALL] if (self.root / GPS_ALL).is_file() else [name for name in (GPS_TRAIN, GPS_TEST) if (self.root / name).is_file()]
        if not files:
            raise DataError(f"there is neither {GPS_ALL} nor {GPS_TRAIN}", where=self.root, mend=REFETCH)
        found: dict[str, tuple[float, float]] = {}
        for name in files:
            found.update((place, (lon, lat)) for _, place, lon, lat in read_positions(self.root / name))
        return found

    def inspect(self) -> Iterator[Finding | Count]:
        """Missing folders and images, foreign files, lines and places without counterpart, and the official counts."""
        try:
            check_root(self.root, _TITLE, _MARKS)
        except DataError as error:
            yield Finding("missing", ".", error.what, error.mend or "")
            return
        survey = Survey(self.root)
        for folder, kind in FOLDERS.items():
            if folder in _MADE_FROM and not (self.root / folder).is_dir():
                made = " and ".join(_MADE_FROM[folder])
                yield Finding("missing", folder, f"is missing; its images are taken from {made}", "nothing, unless you want the copies")
                continue
            yield from survey.faults(folder)
            yield from _incomplete(folder, survey.places(folder), DRONE_FILES if kind == "drone" else SATELLITE_FILES)
        yield from survey.unpaired(_PAIRS.values())
        yield from self._inspect_positions(survey)
        for folder, (places, images) in OFFICIAL.items():
            found = survey.counts(folder)
            yield Count(f"places of {folder}", places, found[0])
            yield Count(f"images of {folder}", images, found[1])

    def images(self) -> list[View]:
        """Every image of the folders that are there; galleries and queries are files of their own. Without positions."""
        check_root(self.root, _TITLE, _MARKS)
        there = [(self.root / folder, kind) for folder, kind in FOLDERS.items() if (self.root / folder).is_dir()]
        return [_with_height(view) for folder, kind in there for view in read_places(folder).views(kind)]

    def _views(self, folder: str, positions: dict[str, tuple[float, float]]) -> list[View]:
        views = []
        for view in self._places(folder).views(FOLDERS[folder]):
            if view.place not in positions:
                raise DataError("no line of the Dense_GPS files gives its position", where=self.root / folder / view.place, mend=REFETCH)
            lon, lat = positions[view.place]
            views.append(replace(_with_height(view), lon=lon, lat=lat))
        return views

    def _places(self, folder: str) -> Places:
        if folder not in _MADE_FROM or (self.root / folder).is_dir():
            return full_places(self.root / folder)
        images: dict[str, list[Path]] = {}
        for part in _MADE_FROM[folder]:
            images.update(full_places(self.root / part).images)
        if folder == QUERY_SATELLITE:
            asked = full_places(self.root / QUERY_DRONE).images
            images = {place: paths for place, paths in images.items() if place in asked}
        return Places(self.root / folder, images, [])

    def _inspect_positions(self, survey: Survey) -> Iterator[Finding]:
        for name in (GPS_ALL, GPS_TRAIN, GPS_TEST):
            if not (self.root / name).is_file():
                yield Finding("missing", name, "is missing", REFETCH)
                continue
            try:
                lines = list(read_positions(self.root / name))
            except DataError as error:
                yield Finding("split", relative(self.root, error.where), error.what, error.mend or "")
                continue
            first: dict[str, tuple[float, float]] = {}
            for number, place, lon, lat in lines:
                if first.setdefault(place, (lon, lat)) != (lon, lat):
                    what = f"gives {place} another position than a line before it"
                    yield Finding("split", f"{name} line {number}", what, "the later line holds")
        try:
            positions = self.positions()
        except DataError:
            return
        there = {place for folder in FOLDERS if (places := survey.places(folder)) for place in places.images}
        for place in sorted(there - set(positions)):
            yield Finding("split", GPS_ALL, f"has no line of place {place}", REFETCH)
        for place in sorted(set(positions) - there):
            yield Finding("split", GPS_ALL, f"has a line of place {place}, which has no folder", REFETCH)


def read_positions(path: Path) -> Iterator[tuple[int, str, float, float]]:
    """Read a file of positions.

    Yields:
        Number of the line, place, longitude and latitude in degrees.

    Raises:
        DataError: where it cannot be read, or naming the line that cannot be understood.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend=REFETCH) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where, mend = f"{path} line {number}", "a line is PATH E<lon> N<lat> HEIGHT"
        found = _LINE.fullmatch(line.strip())
        # Windows' rules take both kinds of slash.
        place = PureWindowsPath(found["path"]).parent.name if found else ""
        if found is None or not place:
            raise DataError("cannot be understood", where=where, mend=mend)
        try:
            lon = float(found["lon"]) * (-1 if found["ew"] == "W" else 1)
            lat = float(found["lat"]) * (-1 if found["ns"] == "S" else 1)
            check_lonlat(lon, lat, where)
        except (ValueError, CrossfixError) as error:
            raise DataError("gives no position on Earth", where=where, mend=mend) from error
        yield number, place, lon, lat


def _incomplete(folder: str, places: Places | None, names: tuple[str, ...]) -> Iterator[Finding]:
    """Files that every place of a folder should have, by name whatever the suffix and its case; empty places are told of elsewhere."""
    for place, paths in places.images.items() if places else ():
        there = {path.stem.casefold() for path in paths}
        for name in names:
            if paths and Path(name).stem.casefold() not in there:
                yield Finding("missing", f"{folder}/{place}/{name}", "is missing", REFETCH)


def _with_height(view: View) -> View:
    height = re.fullmatch(r"[hH](\d+)", view.path.stem)
    return replace(view, height_m=float(height[1])) if height and view.kind == "drone" else view
