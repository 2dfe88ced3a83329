"""CVUSA, the part used at CVPR: panoramas and satellite images of the United States, one to one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.disk import list_images, look_up, read_lines, refuse
from crossfix.data.places import check_asked
from crossfix.data.view import View, ViewKind
from crossfix.errors import InputError
from crossfix.geo.geodesy import check_lonlat

SATELLITES = "bingmap/19"
PANORAMAS = "streetview/panos"
ANNOTATIONS = "streetview/annotations"
"""Folder of the third column of the lists; nothing here reads it."""
LISTS = {"train": "splits/train-19zl.csv", "test": "splits/val-19zl.csv"}
LOCATIONS = "split_locations/all.csv"
IMAGE_NAME = "{:07d}.jpg"
ANNOTATION_NAME = "{:07d}.png"
KINDS: dict[ViewKind, str] = {"ground": PANORAMAS, "satellite": SATELLITES}
PAIRS = {"train": 35_532, "test": 8_884}
SATELLITE_PX = 750
PANORAMA_PX = (1232, 224)
"""Width and height."""

_PUBLISHED = "replace it by the published one"


_LatLons = tuple[float, float, float, float]  # of the satellite image, of the camera


@dataclass(frozen=True)
class _Pair:
    number: int
    satellite: str
    panorama: str
    line: int


class Cvusa:
    """CVUSA, the subset used at CVPR (Zhai et al., Predicting Ground-Level Scene Layout from Aerial Imagery, CVPR 2017).

    Source: panoramas from all over the United States and the Bing satellite image around each, one to one. Satellite images are 750 x 750,
    north up, centred on the camera. Panoramas are 1232 x 224, all around, with sky and foreground cut away; the middle column looks north.

    Counts: train 35,532 pairs; test 8,884 pairs, the rows of ``val-19zl.csv``; the gallery of the test is their 8,884 satellite images.

    Licence: for research; the images remain their owners'. Access by the request form at mvrl.cse.wustl.edu/datasets/cvusa. Ground
    resolution: not published; zoom 19 is 0.2986 m x cos(latitude) a pixel where the tiles were not resampled.

    Layout: ``bingmap/19/0000001.jpg``, ``streetview/panos/0000001.jpg``, ``splits/{train,val}-19zl.csv``. Positions of camera and satellite
    image come from ``split_locations/all.csv`` where the copy has it.

    Known faults: the full CVUSA is another data set with other files, whose panoramas miss a strip; these do not. Some archives unpack to
    ``bingmap/bingmap`` and ``streetview/streetview``: move the inner folders up. Copies may hold panoramas that no list names.
    """

    name: ClassVar[str] = "cvusa"
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    directions: ClassVar[tuple[Direction, ...]] = ("g2s", "s2g")

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def task(self, split: str, direction: Direction) -> Task:
        """A split as pairs, in the order of its list.

        A place is the number of its satellite image, without leading zeros.

        Raises:
            InputError: for a split or direction the set does not have.
            DataError: where a list, the positions or an image is missing or damaged.
        """
        check_asked(self, split, direction)
        pairs, findings = self._pairs(split)
        positions, wrong = self._positions(pairs)
        refuse(self.root, findings + wrong)
        ground, satellite = self._views(pairs, positions)
        refuse(self.root, look_up(self.root, [*ground, *satellite])[1])
        query, gallery = (ground, satellite) if direction == "g2s" else (satellite, ground)
        return Task(self.name, split, direction, query, gallery, same_place(query, gallery), None, self.name)

    def inspect(self) -> Iterator[Finding | Count]:
        """What is wrong with the lists and the positions, every listed image that is missing, and the number of whole pairs."""
        first_line: dict[int, str] = {}
        for split, name in LISTS.items():
            pairs, findings = self._pairs(split)
            yield from findings
            for pair in pairs:
                where = f"{name} line {pair.line}"
                if pair.number in first_line:
                    yield Finding("split", where, f"pair {pair.number} stands in {first_line[pair.number]} too", _PUBLISHED)
                first_line.setdefault(pair.number, where)
            positions, findings = self._positions(pairs)
            yield from findings
            ground, satellite = self._views(pairs, positions)
            has_ground, lost_ground = look_up(self.root, ground)
            has_satellite, lost_satellite = look_up(self.root, satellite)
            yield from lost_ground + lost_satellite
            whole = sum(both == (True, True) for both in zip(has_ground, has_satellite, strict=True))
            yield Count(f"pairs of {split}", PAIRS[split], whole)

    def images(self) -> list[View]:
        """The panoramas and the satellite images on disk, listed or not, without positions."""
        return [
            View(path, str(int(path.stem)) if path.stem.isdecimal() else path.stem, kind, heading_deg=0.0)
            for kind, folder in KINDS.items()
            for path in list_images(self.root / folder)
        ]

    def _pairs(self, split: str) -> tuple[list[_Pair], list[Finding]]:
        name = LISTS[split]
        lines, findings = read_lines(self.root, name)
        pairs = []
        for line, text in lines:
            fields = [field.strip() for field in text.split(",")]
            stem = Path(fields[0]).stem
            if len(fields) < 2 or not fields[1] or not (stem.isascii() and stem.isdecimal()):
                findings.append(Finding("split", f"{name} line {line}", "names no numbered satellite image and panorama", _PUBLISHED))
            else:
                pairs.append(_Pair(int(stem), fields[0], fields[1], line))
        return pairs, findings

    def _positions(self, pairs: list[_Pair]) -> tuple[dict[int, _LatLons], list[Finding]]:
        """Latitude and longitude of satellite image and camera by pair number: line N of the list is pair N, and the list is optional."""
        if not (self.root / LOCATIONS).exists():
            return {}, []
        try:
            lines, findings = (self.root / LOCATIONS).read_text(encoding="utf-8-sig").splitlines(), []
        except (OSError, UnicodeDecodeError) as error:
            return {}, [Finding("split", LOCATIONS, f"the list cannot be read ({error})", _PUBLISHED)]
        positions: dict[int, _LatLons] = {}
        for pair in pairs:
            where = f"{LOCATIONS} line {pair.number}"
            try:
                fields = lines[pair.number - 1].split(",") if pair.number > 0 else []
                lat, lon, ground_lat, ground_lon = (float(field) for field in fields[:4])
                check_lonlat(lon, lat)
                check_lonlat(ground_lon, ground_lat)
                positions[pair.number] = (lat, lon, ground_lat, ground_lon)
            except IndexError:
                findings.append(Finding("split", where, f"the list ends before pair {pair.number}", _PUBLISHED))
            except (ValueError, InputError):
                findings.append(Finding("split", where, "holds no two positions as lat, lon, lat, lon", _PUBLISHED))
        return positions, findings

    def _views(self, pairs: list[_Pair], positions: dict[int, _LatLons]) -> tuple[list[View], list[View]]:
        ground, satellite = [], []
        for pair in pairs:
            lat, lon, ground_lat, ground_lon = positions.get(pair.number, (None, None, None, None))
            place = str(pair.number)
            ground.append(View(self.root / pair.panorama, place, "ground", ground_lon, ground_lat, heading_deg=0.0))
            satellite.append(View(self.root / pair.satellite, place, "satellite", lon, lat, heading_deg=0.0))
        return ground, satellite
