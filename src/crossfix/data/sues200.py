"""SUES-200: one campus from a drone at four heights, as downloaded or as split by its authors' script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.places import (
    REFETCH,
    Places,
    Survey,
    all_right,
    check_asked,
    check_root,
    full_places,
    list_sorted,
    read_places,
)
from crossfix.data.view import View, ViewKind, is_image
from crossfix.errors import DataError

HEIGHTS_M = (150, 200, 250, 300)
PLACES = tuple(f"{number:04}" for number in range(1, 201))
_TRAIN_NUMBERS = (
    "1 2 3 4 5 6 7 9 10 11 13 15 16 20 21 24 25 26 27 28 29 30 31 32 33 34 36 37 39 43 44 45 51 55 56 57 58 60 64 66 67 69 "
    "70 73 74 76 77 80 81 82 84 85 86 87 88 89 90 91 94 96 97 100 101 102 103 104 105 106 113 116 118 119 120 123 125 126 "
    "127 129 132 134 137 139 141 142 145 146 147 148 149 151 152 155 156 157 158 159 160 163 166 167 168 169 171 174 179 "
    "180 182 183 184 185 186 187 191 192 193 196 197 198 199 200"
)
#: The places to train on; the other 80 are tested on. Chance of the authors' file system, published as it fell out.
TRAIN_PLACES = tuple(f"{int(number):04}" for number in _TRAIN_NUMBERS.split())
TEST_PLACES = tuple(place for place in PLACES if place not in TRAIN_PLACES)

#: As downloaded: ``DRONE_VIEW/PLACE/HEIGHT/*.jpg`` and ``SATELLITE_VIEW/PLACE/0.png``.
DRONE_VIEW = "drone_view_512"
SATELLITE_VIEW = "satellite-view"
SHOTS = 50
#: As split: ``TRAINING/HEIGHT/{drone,satellite}/PLACE`` and ``TESTING/HEIGHT/{query,gallery}_{drone,satellite}/PLACE``.
TRAINING = "Training"
TESTING = "Testing"

_TITLE = "SUES-200"
_MARKS = (TRAINING, TESTING, DRONE_VIEW, SATELLITE_VIEW)


class Sues200:
    """SUES-200 (Zhu et al., IEEE TCSVT 2023): 200 places in and around a university of Shanghai.

    Source: a drone at 150, 200, 250 and 300 m above ground, 50 images of each place at each height; one satellite image a place.

    Counts: 200 places, 40,000 drone images of 512 x 512 pixels, 200 satellite images; 120 places to train on, 80 to test. At each height
    the test has query_drone 4,000 images and query_satellite 80; both galleries hold all 200 places (gallery_drone 10,000,
    gallery_satellite 200), those trained on as well.

    Licence: academic research only; the links stand in the authors' benchmark repository. Ground resolution: not published; neither are
    positions. Heights are those of the flight plan.

    Layout: as downloaded (``drone_view_512``, ``satellite-view``) or as the authors' script splits it (``Training``, ``Testing``); where
    both are there, the split one is read. The same images fall into the same halves in either.

    Known faults: the script takes the first 120 places in the order in which a folder happens to be listed, so a run of it elsewhere
    splits differently; the published 120 are used here, and `inspect` tells of a split copy that has others. Galleries with all 200 places
    are the authors' protocol; Sample4Geo and its descendants rank among the 80 alone.
    """

    name: ClassVar[str] = "sues200"
    splits: ClassVar[tuple[str, ...]] = tuple(f"{half}-{height}" for half in ("train", "test") for height in HEIGHTS_M)
    directions: ClassVar[tuple[Direction, ...]] = ("d2s", "s2d")

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def is_split(self) -> bool:
        """Whether the copy is as the authors' script leaves it, rather than as downloaded."""
        return (self.root / TRAINING).is_dir() or (self.root / TESTING).is_dir()

    def task(self, split: str, direction: Direction) -> Task:
        """One height as a retrieval task.

        Args:
            split: ``train-`` or ``test-`` and the height in metres.
            direction: d2s or s2d.

        Raises:
            InputError: for another split or direction.
            DataError: where folders, places or images are missing.
        """
        check_asked(self, split, direction)
        check_root(self.root, _TITLE, _MARKS)
        half, height = split.split("-")
        kinds = ("drone", "satellite") if direction == "d2s" else ("satellite", "drone")
        roles = ("", "") if half == "train" else ("query_", "gallery_")
        query, gallery = (self._views(height, role, cast(ViewKind, kind)) for role, kind in zip(roles, kinds, strict=True))
        positives = same_place(query, gallery)
        all_right(query, self.root / self._folder(height, roles[1], kinds[1]), positives)
        return Task(self.name, split, direction, query, gallery, positives, None, "sues200")

    def inspect(self) -> Iterator[Finding | Count]:
        """Missing folders, places and images, another split than the published one, foreign files, and the official counts."""
        try:
            check_root(self.root, _TITLE, _MARKS)
        except DataError as error:
            yield Finding("missing", ".", error.what, error.mend or "")
            return
        yield from self._inspect_split() if self.is_split else self._inspect_downloaded()

    def images(self) -> list[View]:
        """Every image: of a split copy every file, of which many are copies of each other."""
        check_root(self.root, _TITLE, _MARKS)
        if self.is_split:
            folders = [folder for folder in self._split_folders() if (self.root / folder).is_dir()]
            return [view for folder in folders for view in self._read_split(folder)]
        drone = [view for height in HEIGHTS_M for view in _at(self._drone(str(height)).views("drone"), height)]
        return [*drone, *read_places(self.root / SATELLITE_VIEW).views("satellite")]

    def _folder(self, height: str, role: str, kind: str) -> str:
        if self.is_split:
            return f"{TESTING if role else TRAINING}/{height}/{role}{kind}"
        return DRONE_VIEW if kind == "drone" else SATELLITE_VIEW

    def _views(self, height: str, role: str, kind: ViewKind) -> list[View]:
        if self.is_split:
            views = full_places(self.root / self._folder(height, role, kind)).views(kind)
        else:
            places = self._drone(height) if kind == "drone" else full_places(self.root / SATELLITE_VIEW)
            chosen = {"": TRAIN_PLACES, "query_": TEST_PLACES, "gallery_": PLACES}[role]
            for place in chosen:
                if not places.images.get(place):
                    where = places.folder / place / height if kind == "drone" else places.folder / place
                    raise DataError("holds no image", where=where, mend=REFETCH)
            views = places.views(kind, chosen)
        return _at(views, int(height)) if kind == "drone" else views

    def _drone(self, height: str) -> Places:
        """A height's folders of the downloaded form, as if there were no other."""
        folder = self.root / DRONE_VIEW
        places = [path for path in list_sorted(folder) if path.is_dir()]
        inside = {path.name: list_sorted(path / height) if (path / height).is_dir() else [] for path in places}
        images = {place: [path for path in paths if is_image(path)] for place, paths in inside.items()}
        return Places(folder, images, [path for paths in inside.values() for path in paths if not is_image(path)])

    def _split_folders(self) -> dict[str, tuple[tuple[str, ...], int]]:
        """Folders of the split form, with the places that they should hold and the images of a place."""
        folders = {}
        for height in HEIGHTS_M:
            for kind, images in (("drone", SHOTS), ("satellite", 1)):
                folders[f"{TRAINING}/{height}/{kind}"] = (TRAIN_PLACES, images)
                folders[f"{TESTING}/{height}/query_{kind}"] = (TEST_PLACES, images)
                folders[f"{TESTING}/{height}/gallery_{kind}"] = (PLACES, images)
        return folders

    def _read_split(self, folder: str) -> list[View]:
        if not folder.endswith("drone"):
            return read_places(self.root / folder).views("satellite")
        return _at(read_places(self.root / folder).views("drone"), int(folder.split("/")[1]))

    def _inspect_split(self) -> Iterator[Finding | Count]:
        official, survey = self._split_folders(), Survey(self.root)
        for folder, (places, images) in official.items():
            yield from survey.faults(folder)
            found = survey.places(folder)
            if found is None:
                continue
            for place in found.images:
                if place not in places:
                    yield Finding(
                        "split", f"{folder}/{place}", "is not in this half of the published split", "split the downloaded form anew"
                    )
            yield from _absent(found, folder, places)
            yield Count(f"images of {folder}", len(places) * images, found.count)
        queries = [folder for folder in official if "query" in folder]
        yield from survey.unpaired((folder, folder.replace("query", "gallery")) for folder in queries)

    def _inspect_downloaded(self) -> Iterator[Finding | Count]:
        survey = Survey(self.root)
        yield from survey.faults(SATELLITE_VIEW)
        if satellite := survey.places(SATELLITE_VIEW):
            yield from _absent(satellite, SATELLITE_VIEW, PLACES)
            yield Count(f"images of {SATELLITE_VIEW}", len(PLACES), satellite.count)
        if not (self.root / DRONE_VIEW).is_dir():
            yield Finding("missing", DRONE_VIEW, "is missing", REFETCH)
            return
        for path in list_sorted(self.root / DRONE_VIEW):
            if not path.is_dir():
                yield Finding("extra", f"{DRONE_VIEW}/{path.name}", "is no folder of a place", "delete it, or ignore this")
        for number, height in enumerate(HEIGHTS_M):
            places = self._drone(str(height))
            # A place that is missing altogether is told of once.
            yield from _absent(places, DRONE_VIEW, PLACES) if number == 0 else ()
            for place, paths in places.images.items():
                if not paths:
                    yield Finding("missing", f"{DRONE_VIEW}/{place}/{height}", "holds no image", REFETCH)
            for path in places.extra:
                yield Finding("extra", path.relative_to(self.root).as_posix(), "is no image", "delete it, or ignore this")
            yield Count(f"images of {DRONE_VIEW} at {height} m", len(PLACES) * SHOTS, places.count)


def _at(views: list[View], height_m: int) -> list[View]:
    return [replace(view, height_m=float(height_m)) for view in views]


def _absent(found: Places, folder: str, places: tuple[str, ...]) -> Iterator[Finding]:
    for place in places:
        if place not in found.images:
            yield Finding("missing", f"{folder}/{place}", "is missing", REFETCH)
