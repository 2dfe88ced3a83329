"""VIGOR: street panoramas of four cities, and satellite tiles that cover these without gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from crossfix.data.dataset import Count, Direction, Finding, Rows, Task
from crossfix.data.disk import list_images, look_up, read_lines, refuse
from crossfix.data.places import check_asked
from crossfix.data.view import View
from crossfix.errors import InputError
from crossfix.geo.geodesy import check_lonlat

CITIES = ("Chicago", "NewYork", "SanFrancisco", "Seattle")
SPLITS = {
    "train-same": (CITIES, "same_area_balanced_train"),
    "test-same": (CITIES, "same_area_balanced_test"),
    "train-cross": (("NewYork", "Seattle"), "pano_label_balanced"),
    "test-cross": (("Chicago", "SanFrancisco"), "pano_label_balanced"),
}
"""Cities and label file (without its ending) of each split."""
SATELLITE_LIST = "satellite_list.txt"
ORIGINAL, CORRECTED = ("splits", ".txt"), ("splits__corrected", "__corrected.txt")
"""Folder of the labels, and what their files' names end in."""
TREE = ("{city}/panorama", "{city}/satellite")
REARRANGED_TREE = ("ground/{city}", "satellite/{city}")
"""Folders of panoramas and tiles as published, and as Sample4Geo wants them."""
PANORAMA_NAME = "{name},{lat:.6f},{lon:.6f},.jpg"
SATELLITE_NAME = "satellite_{lat!r}_{lon!r}.png"
TILES = {"Chicago": 22_308, "NewYork": 23_279, "SanFrancisco": 24_255, "Seattle": 20_776}
PANORAMAS = {"Chicago": 25_479, "NewYork": 27_769, "SanFrancisco": 28_215, "Seattle": 23_751}
LABELS = {"train-same": 52_609, "test-same": 52_605, "train-cross": 51_520, "test-cross": 53_694}
GSD_M = {"Chicago": 0.111262, "NewYork": 0.113248, "SanFrancisco": 0.118141, "Seattle": 0.100817}
"""Metres a pixel of the tiles (CCVPE); the original labels took 0.114 everywhere."""
SATELLITE_PX = 640
PANORAMA_PX = (2048, 1024)
"""Width and height."""

_PUBLISHED = "replace it by the published one"


@dataclass(frozen=True)
class Label:
    """A line of the labels: a panorama, the tile that is right for it, and three that show its place off their middle.

    Attributes:
        city: of the panorama.
        panorama: name of its file.
        tiles: names of the right tile's file and of the three semi-positive ones.
        offsets_px: for each tile its middle as seen from the panorama, (north, east) in pixels of a tile of 640.
        corrected: whether the offsets are those of SliceMatch, true to each city's ground resolution.
    """

    city: str
    panorama: str
    tiles: tuple[str, ...]
    offsets_px: tuple[tuple[float, float], ...]
    corrected: bool

    def position_px(self, tile: int = 0) -> tuple[float, float]:
        """Where the panorama stands on one of its tiles: (x, y) of a tile of 640 x 640; off the tile for some semi-positives."""
        north, east = self.offsets_px[tile]
        middle = (SATELLITE_PX - 1) / 2
        return middle - east, middle + north


class Vigor:
    """VIGOR (Zhu, Yang and Chen, VIGOR: Cross-View Image Geo-localization beyond One-to-one Retrieval, CVPR 2021).

    Source: Google panoramas of Chicago, New York, San Francisco and Seattle, and satellite tiles that cover the cities and overlap by half.
    Each panorama has one tile whose middle is near (its positive) and three that show its place nearer to their edges (semi-positive).
    Tiles are 640 x 640, north up. Panoramas are 2048 x 1024, the whole sphere; the middle column looks north.

    Counts: train-same 52,609 and test-same 52,605 panoramas of all four cities; train-cross 51,520 of New York and Seattle; test-cross
    53,694 of Chicago and San Francisco. The gallery is every tile of the split's cities: 90,618 of all four, 46,563 of test-cross.

    Licence: academic research only, no redistribution. Access by the form in github.com/Jeff-Zilence/VIGOR (data/DATASET.md). Ground
    resolution in metres a pixel: Chicago 0.111262, New York 0.113248, San Francisco 0.118141, Seattle 0.100817.

    Layout: ``CITY/{panorama,satellite}`` and ``splits/CITY/*.txt`` as published, or ``ground/CITY`` and ``satellite/CITY`` as Sample4Geo
    has it; corrected labels in ``splits__corrected/CITY/*__corrected.txt``. Positions are in the names of the files.

    Known faults: the offsets of the published labels take 0.114 m a pixel everywhere and are off by up to an eighth. The corrected ones
    are in github.com/tudelft-iv/SliceMatch; retrieval is the same with both, metric localisation is not. Some who use them count 51,518
    panoramas in train-cross.
    """

    name: ClassVar[str] = "vigor"
    splits: ClassVar[tuple[str, ...]] = tuple(SPLITS)
    directions: ClassVar[tuple[Direction, ...]] = ("g2s", "s2g")

    def __init__(self, root: Path, corrected: bool | None = None) -> None:
        """Open a copy.

        Args:
            root: of the copy.
            corrected: True takes the labels in splits__corrected, False those in splits; None those in splits, and the corrected ones where
                a copy has only these.
        """
        self.root = Path(root)
        self._corrected = corrected

    def task(self, split: str, direction: Direction) -> Task:
        """A split; the gallery of g2s is every tile of its cities, in the order of the lists.

        A place is the name of a tile without its ending; a panorama's is that of its right tile. s2g turns the labels round: its queries
        are the tiles that are right for a panorama (the others have nothing to find), its gallery is the split's panoramas.

        Raises:
            InputError: for a split or direction the set does not have.
            DataError: where a list, the labels or an image is missing or damaged.
        """
        check_asked(self, split, direction)
        labels, findings = self._labels(split)
        tiles, wrong = self._tiles(split)
        row_of = {tile.path.name: row for row, tile in enumerate(tiles)}
        refuse(self.root, findings + (wrong or self._unlisted(split, labels, row_of)))
        panoramas = self._panoramas(labels)
        refuse(self.root, look_up(self.root, [*panoramas, *tiles])[1])
        right = [np.array([row_of[label.tiles[0]]], np.int64) for label in labels]
        near = [np.unique([row_of[tile] for tile in label.tiles[1:] if tile != label.tiles[0]]).astype(np.int64) for label in labels]
        if direction == "g2s":
            return Task(self.name, split, direction, panoramas, tiles, right, near, self.name)
        panoramas_of, panoramas_near = _turned(right, len(tiles)), _turned(near, len(tiles))
        asked = [row for row, found in enumerate(panoramas_of) if len(found)]
        positives, semi = ([rows[row] for row in asked] for rows in (panoramas_of, panoramas_near))
        return Task(self.name, split, direction, [tiles[row] for row in asked], panoramas, positives, semi, self.name)

    def labels(self, split: str) -> list[Label]:
        """The labels of a split; row i belongs to query i of its task g2s.

        Raises:
            InputError: for a split the set does not have.
            DataError: where a label file is missing or damaged.
        """
        check_asked(self, split, "g2s")
        labels, findings = self._labels(split)
        refuse(self.root, findings)
        return labels

    def inspect(self) -> Iterator[Finding | Count]:
        """What is wrong with lists and labels, every image they name that is missing, and the counts a city and a split."""
        told: set[Finding] = set()
        for split, (cities, _) in SPLITS.items():
            labels, findings = self._labels(split)
            tiles, wrong = self._tiles(split)
            findings += wrong or self._unlisted(split, labels, {tile.path.name: row for row, tile in enumerate(tiles)})
            findings += look_up(self.root, self._panoramas(labels) + tiles)[1]
            yield from dict.fromkeys(finding for finding in findings if finding not in told)
            told.update(findings)
            yield Count(f"labels of {split} ({', '.join(cities)})", LABELS[split], len(labels))
        for city in CITIES:
            for what, folder, official in zip(("panoramas", "satellite tiles"), self._folders(city), (PANORAMAS, TILES), strict=True):
                yield Count(f"{what} of {city}", official[city], len(list_images(folder)))

    def images(self) -> list[View]:
        """The panoramas and tiles on disk by city, named in a list or not."""
        place_of: dict[str, str] = {}
        for split in SPLITS:
            place_of.update((label.panorama, Path(label.tiles[0]).stem) for label in self._labels(split)[0])
        views = []
        for city in CITIES:
            ground, satellite = self._folders(city)
            for path in list_images(ground):
                lon, lat = _panorama_lonlat(path.name) or (None, None)
                views.append(View(path, place_of.get(path.name, path.stem), "ground", lon, lat, heading_deg=0.0))
            views += [_tile(path) for path in list_images(satellite)]
        return views

    def _folders(self, city: str) -> tuple[Path, Path]:
        rearranged = any((self.root / name).is_dir() for name in ("ground", "satellite"))
        ground, satellite = (name.format(city=city) for name in (REARRANGED_TREE if rearranged else TREE))
        return self.root / ground, self.root / satellite

    def _source(self) -> tuple[str, str]:
        if self._corrected is None:
            only_corrected = (self.root / CORRECTED[0]).is_dir() and not (self.root / ORIGINAL[0]).is_dir()
            return CORRECTED if only_corrected else ORIGINAL
        return CORRECTED if self._corrected else ORIGINAL

    def _panoramas(self, labels: list[Label]) -> list[View]:
        folders = {city: self._folders(city)[0] for city in CITIES}
        views = []
        for label in labels:
            lon, lat = _panorama_lonlat(label.panorama) or (None, None)
            path = folders[label.city] / label.panorama
            views.append(View(path, Path(label.tiles[0]).stem, "ground", lon, lat, heading_deg=0.0))
        return views

    def _tiles(self, split: str) -> tuple[list[View], list[Finding]]:
        findings: list[Finding] = []
        tiles = []
        for city in SPLITS[split][0]:
            folders = [folder for folder, _ in (self._source(), ORIGINAL, CORRECTED)]
            folder = next((folder for folder in folders if (self.root / folder / city / SATELLITE_LIST).exists()), folders[0])
            name = f"{folder}/{city}/{SATELLITE_LIST}"
            lines, wrong = read_lines(self.root, name)
            findings += wrong
            satellite = self._folders(city)[1]
            for number, text in lines:
                tiles.append(_tile(satellite / text.split()[0]))
                if tiles[-1].lon is None:
                    findings.append(Finding("split", f"{name} line {number}", "is no name of a tile with lat and lon", _PUBLISHED))
        return tiles, findings

    def _labels(self, split: str) -> tuple[list[Label], list[Finding]]:
        cities, stem = SPLITS[split]
        folder, ending = self._source()
        labels, findings = [], []
        for city in cities:
            name = f"{folder}/{city}/{stem}{ending}"
            lines, wrong = read_lines(self.root, name)
            findings += wrong
            for number, text in lines:
                label = _label(city, text.split(), folder == CORRECTED[0])
                if label is None:
                    findings.append(
                        Finding("split", f"{name} line {number}", "is no panorama with four tiles and their offsets", _PUBLISHED)
                    )
                else:
                    labels.append(label)
        return labels, findings

    def _unlisted(self, split: str, labels: list[Label], listed: Mapping[str, int]) -> list[Finding]:
        folder, ending = self._source()
        names = dict.fromkeys((label.city, tile) for label in labels for tile in label.tiles if tile not in listed)
        return [
            Finding(
                "split", f"{folder}/{city}/{SPLITS[split][1]}{ending}", f"names tile {tile}, which {SATELLITE_LIST} does not", _PUBLISHED
            )
            for city, tile in names
        ]


def _tile(path: Path) -> View:
    lon, lat = _lonlat(path.stem.rsplit("_", 2)[1:]) or (None, None)
    return View(path, path.stem, "satellite", lon, lat, heading_deg=0.0)


def _panorama_lonlat(name: str) -> tuple[float, float] | None:
    return _lonlat(name.rsplit(",", 3)[1:3])


def _lonlat(latlon: list[str]) -> tuple[float, float] | None:
    """Longitude and latitude of a name's parts, which stand the other way round; None where these are no position."""
    try:
        lat, lon = (float(part) for part in latlon)
        check_lonlat(lon, lat)
    except (ValueError, InputError):
        return None
    return lon, lat


def _label(city: str, fields: list[str], corrected: bool) -> Label | None:
    if len(fields) != 13 or _panorama_lonlat(fields[0]) is None:
        return None
    try:
        offsets = [(float(fields[at]), float(fields[at + 1])) for at in (2, 5, 8, 11)]
    except ValueError:
        return None
    if not np.isfinite(offsets).all():
        return None
    return Label(city, fields[0], (fields[1], fields[4], fields[7], fields[10]), tuple(offsets), corrected)


def _turned(rows: list[Rows], count: int) -> list[Rows]:
    """For each of so many gallery rows the ascending queries that name it."""
    queries: list[list[int]] = [[] for _ in range(count)]
    for query, named in enumerate(rows):
        for row in named:
            queries[row].append(query)
    return [np.asarray(found, np.int64) for found in queries]
