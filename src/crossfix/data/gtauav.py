"""GTA-UAV: photos of a game's drone anywhere over a map that is cut into tiles of four sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from crossfix.data.dataset import Count, Direction, Finding, Rows, Task
from crossfix.data.gtauav_pairs import Pair, Point, read_pairs, tile_centre, to_xy_m
from crossfix.data.places import REFETCH, check_asked, check_root, list_sorted
from crossfix.data.view import View, is_image, natural_key
from crossfix.errors import DataError

DRONE_FOLDER = "drone/images"
SATELLITE_FOLDER = "satellite"
PAIRS: dict[str, str] = {
    f"{area}-area-{half}": f"{area}-area-drone2sate-{half}.json" for area in ("cross", "same") for half in ("train", "test")
}
OFFICIAL_DRONE_IMAGES = 33_763
OFFICIAL_TILES = 14_640

_TITLE = "GTA-UAV"
_LISTED_TWICE_M = 1.0


class GtaUav:
    """GTA-UAV (Ji et al., Game4Loc, AAAI 2025): 81.3 square kilometres of a game's island.

    Source: images rendered by Grand Theft Auto V from 80 to 650 m with a camera that looks down, more or less; satellite tiles of the
    game's own map in four zooms.

    Counts: 33,763 drone images, 14,640 tiles. ``same-area`` splits draw both halves from the whole map, ``cross-area`` ones from different
    parts of it; their sizes are not published.

    Licence: Apache 2.0, on Hugging Face in low resolution (512 x 384) and high (1920 x 1440). Ground resolution: 0.45 m a pixel of the
    whole map, tiles of zoom z are 11,059.2 / 2^z metres of 256 pixels: 2.7 m a pixel at zoom 4, 0.7 m at zoom 6.

    Layout: ``drone/images/HEIGHT_SEQ_ID.png``, ``satellite/ZOOM_OFFSET_X_Y.png`` (older releases have no OFFSET),
    ``{cross,same}-area-drone2sate-{train,test}.json``.

    Tasks follow Game4Loc. Test: queries are the drone images that have a positive tile, the gallery is every tile on disk, of all zooms and
    areas. Training: every drone image that has a positive or semi-positive tile, and the tiles that are named. Positive are tiles with an
    IoU above 0.39 with what the drone sees, semi-positive those above 0.14, which the published scores count as wrong. From satellite to
    drone the same pairs are turned round.

    Positions: ``xy_m`` is (x, -y) of the lists, as there y grows to the south. It is the middle of the picture on the ground for drone
    views and of the tile for satellite ones, from the list or else from the file name. ``heading_deg`` and ``pitch_deg`` are read from
    ``cam_yaw`` (counter-clockwise, as in the game) and ``cam_roll`` (by which the lists mean the rotation about x, -90 straight down).

    Known faults: metres are the game's, there is no longitude or latitude. SDM@K of this set is in metres and not comparable with
    DenseUAV's in degrees.
    """

    name: ClassVar[str] = "gtauav"
    splits: ClassVar[tuple[str, ...]] = tuple(PAIRS)
    directions: ClassVar[tuple[Direction, ...]] = ("d2s", "s2d")

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, split: str, direction: Direction) -> Task:
        """A split as a retrieval task.

        Raises:
            InputError: for another split or direction.
            DataError: where files are missing, or naming the entry of a list that makes no sense or names a file that is not there.
        """
        check_asked(self, split, direction)
        check_root(self.root, _TITLE, (*PAIRS.values(), SATELLITE_FOLDER))
        path = self.root / PAIRS[split]
        pairs = read_pairs(path)
        drones, tiles = self._files(DRONE_FOLDER), self._files(SATELLITE_FOLDER)
        for where, what in _absent(path, pairs, drones, tiles):
            raise DataError(what, where=where, mend=REFETCH)
        test = split.endswith("test")
        asked = [pair for pair in pairs if pair.positive or (pair.semi_positive and not test)]
        if not asked:
            raise DataError("pairs no drone image with a tile", where=path, mend=REFETCH)
        asked.sort(key=lambda pair: (natural_key(pair.drone), pair.drone))
        named = {name: at for pair in pairs for name, at in pair.tiles.items()}
        searched = list(tiles) if test else [name for name in tiles if name in named]
        drone = [_drone_view(drones[pair.drone], pair) for pair in asked]
        satellite = [_tile_view(tiles[name], named.get(name)) for name in searched]
        row_of = {name: row for row, name in enumerate(searched)}
        right = [_rows(row_of[name] for name in pair.positive) for pair in asked]
        semi = [_rows(row_of[name] for name in pair.semi_positive) for pair in asked]
        if direction == "d2s":
            return Task(self.name, split, direction, drone, satellite, right, semi, "gtauav")
        back, semi_back = _turned(right, len(satellite)), _turned(semi, len(satellite))
        kept = [row for row in range(len(satellite)) if len(back[row]) or (len(semi_back[row]) and not test)]
        query = [satellite[row] for row in kept]
        return Task(self.name, split, direction, query, drone, [back[row] for row in kept], [semi_back[row] for row in kept], "gtauav")

    def inspect(self) -> Iterator[Finding | Count]:
        """Missing and foreign files, lists that make no sense or name what is not there, and the official counts."""
        try:
            check_root(self.root, _TITLE, (*PAIRS.values(), SATELLITE_FOLDER))
        except DataError as error:
            yield Finding("missing", ".", error.what, error.mend or "")
            return
        found: dict[str, dict[str, Path] | None] = {}
        for folder, official in ((DRONE_FOLDER, OFFICIAL_DRONE_IMAGES), (SATELLITE_FOLDER, OFFICIAL_TILES)):
            if not (self.root / folder).is_dir():
                yield Finding("missing", folder, "is missing", REFETCH)
                found[folder] = None
                continue
            files = found[folder] = self._files(folder)
            for path in list_sorted(self.root / folder):
                if path.name not in files:
                    yield Finding("extra", f"{folder}/{path.name}", "is no image", "delete it, or ignore this")
            yield Count(f"images of {folder}", official, len(files))
        for name in PAIRS.values():
            yield from self._inspect_pairs(name, found[DRONE_FOLDER], found[SATELLITE_FOLDER])

    def images(self) -> list[View]:
        """Every drone image, without what the lists know of it, then every tile."""
        check_root(self.root, _TITLE, (*PAIRS.values(), SATELLITE_FOLDER))
        drones = [View(path, path.stem, "drone") for path in self._files(DRONE_FOLDER).values()]
        return [*drones, *(_tile_view(path, None) for path in self._files(SATELLITE_FOLDER).values())]

    def _files(self, folder: str) -> dict[str, Path]:
        return {path.name: path for path in list_sorted(self.root / folder) if is_image(path)}

    def _inspect_pairs(self, name: str, drones: dict[str, Path] | None, tiles: dict[str, Path] | None) -> Iterator[Finding]:
        if not (self.root / name).is_file():
            yield Finding("missing", name, "is missing", REFETCH)
            return
        try:
            pairs = read_pairs(self.root / name)
        except DataError as error:
            # The text before what is wrong, root taken off, names the line or the entry.
            yield Finding("split", (error.where or name).removeprefix(f"{self.root}/"), error.what, error.mend or "")
            return
        for where, what in _absent(Path(name), pairs, drones, tiles):
            yield Finding("split", where, what, REFETCH)
        first: dict[str, int] = {}
        for pair in pairs:
            if first.setdefault(pair.drone, pair.number) != pair.number:
                yield Finding("split", f"{name} entry {pair.number}", f"has the drone image of entry {first[pair.drone]}", "")
            for tile, at in pair.tiles.items():
                centre = tile_centre(tile)
                if centre is not None and math.dist(centre, at) > _LISTED_TWICE_M:
                    yield Finding("split", f"{name} entry {pair.number}", f"puts {tile} where its name does not", "the list holds")


def _absent(path: Path, pairs: list[Pair], drones: dict[str, Path] | None, tiles: dict[str, Path] | None) -> Iterator[tuple[str, str]]:
    """Entries that name files which are not there, each file once; a folder that is None is not looked into."""
    told: set[str] = set()
    for pair in pairs:
        for folder, there, names in ((DRONE_FOLDER, drones, (pair.drone,)), (SATELLITE_FOLDER, tiles, tuple(pair.tiles))):
            for name in names:
                if there is not None and name not in there and name not in told:
                    told.add(name)
                    yield f"{path} entry {pair.number}", f"names {folder}/{name}, which is not there"


def _drone_view(path: Path, pair: Pair) -> View:
    xy = to_xy_m(pair.at)
    return View(path, path.stem, "drone", height_m=pair.height_m, heading_deg=pair.heading_deg, pitch_deg=pair.pitch_deg, xy_m=xy)


def _tile_view(path: Path, at: Point | None) -> View:
    centre = at or tile_centre(path.name)
    return View(path, path.stem, "satellite", xy_m=None if centre is None else to_xy_m(centre))


def _rows(rows: Iterable[int]) -> Rows:
    return np.unique(np.fromiter(rows, np.int64))


def _turned(right: list[Rows], gallery: int) -> list[Rows]:
    """For each row of the gallery the queries that name it, ascending."""
    back: list[list[int]] = [[] for _ in range(gallery)]
    for query, rows in enumerate(right):
        for row in rows:
            back[row].append(query)
    return [np.asarray(queries, np.int64) for queries in back]
