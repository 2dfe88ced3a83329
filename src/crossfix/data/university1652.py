"""University-1652: buildings seen by virtual drones, from satellites and from the street."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.places import REFETCH, Survey, all_right, check_asked, check_root, full_places, read_places
from crossfix.data.view import View, ViewKind
from crossfix.errors import DataError

TRAIN = "train"
TEST = "test"
DRONE = "drone"
SATELLITE = "satellite"
STREET = "street"
GOOGLE = "google"
QUERY_DRONE, QUERY_SATELLITE, QUERY_STREET = "query_drone", "query_satellite", "query_street"
GALLERY_DRONE, GALLERY_SATELLITE, GALLERY_STREET = "gallery_drone", "gallery_satellite", "gallery_street"

#: Every folder of places, relative to the root, and what looks there.
FOLDERS: dict[str, ViewKind] = {
    f"{TRAIN}/{DRONE}": "drone",
    f"{TRAIN}/{SATELLITE}": "satellite",
    f"{TRAIN}/{STREET}": "ground",
    f"{TRAIN}/{GOOGLE}": "ground",
    f"{TEST}/{QUERY_DRONE}": "drone",
    f"{TEST}/{QUERY_SATELLITE}": "satellite",
    f"{TEST}/{QUERY_STREET}": "ground",
    f"{TEST}/{GALLERY_DRONE}": "drone",
    f"{TEST}/{GALLERY_SATELLITE}": "satellite",
    f"{TEST}/{GALLERY_STREET}": "ground",
}
#: Folder of the queries and of the gallery by split and direction.
PAIRS: dict[tuple[str, Direction], tuple[str, str]] = {
    (TRAIN, "d2s"): (f"{TRAIN}/{DRONE}", f"{TRAIN}/{SATELLITE}"),
    (TRAIN, "s2d"): (f"{TRAIN}/{SATELLITE}", f"{TRAIN}/{DRONE}"),
    (TRAIN, "g2s"): (f"{TRAIN}/{STREET}", f"{TRAIN}/{SATELLITE}"),
    (TRAIN, "s2g"): (f"{TRAIN}/{SATELLITE}", f"{TRAIN}/{STREET}"),
    (TEST, "d2s"): (f"{TEST}/{QUERY_DRONE}", f"{TEST}/{GALLERY_SATELLITE}"),
    (TEST, "s2d"): (f"{TEST}/{QUERY_SATELLITE}", f"{TEST}/{GALLERY_DRONE}"),
    (TEST, "g2s"): (f"{TEST}/{QUERY_STREET}", f"{TEST}/{GALLERY_SATELLITE}"),
    (TEST, "s2g"): (f"{TEST}/{QUERY_SATELLITE}", f"{TEST}/{GALLERY_STREET}"),
}
#: Places and images of a folder, as published; None where only the training set's sum is.
OFFICIAL: dict[str, tuple[int, int | None]] = {
    f"{TRAIN}/{DRONE}": (701, None),
    f"{TRAIN}/{SATELLITE}": (701, 701),
    f"{TEST}/{QUERY_DRONE}": (701, 37_855),
    f"{TEST}/{QUERY_SATELLITE}": (701, 701),
    f"{TEST}/{QUERY_STREET}": (701, 2_579),
    f"{TEST}/{GALLERY_DRONE}": (951, 51_355),
    f"{TEST}/{GALLERY_SATELLITE}": (951, 951),
    f"{TEST}/{GALLERY_STREET}": (793, 2_921),
}
OFFICIAL_TRAIN_IMAGES = 50_218


class University1652:
    """University-1652 (Zheng, Wei and Yang, ACM MM 2020): 1,652 buildings of 72 universities.

    Source: drone views are rendered from Google Earth on a spiral around each building, satellite views are Google Maps, street views are
    Google Street View; ``train/google`` holds pictures that an image search found.

    Counts: training 701 buildings of 33 universities, 50,218 images (54 drone and 1 satellite a building). Test, 39 other universities:
    query_drone 37,855 images, query_satellite 701 and query_street 2,579 of 701 buildings; gallery_drone 51,355 and gallery_satellite 951
    of 951 buildings, of which 250 are distractors; gallery_street 2,921 of 793.

    Licence: non-commercial research and education, no redistribution; the images remain their owners'. The authors send a link on request
    (the form is in their baseline repository). Ground resolution: not published; neither are positions, headings or heights.

    Layout: ``train/{drone,satellite,street,google}/ID`` and ``test/{query,gallery}_{drone,satellite,street}/ID``. Training tasks leave
    ``google`` out.

    Known faults: the drone views are renders, not photographs. Twelve folders of ``google`` are empty, by intention. Sample4Geo and its
    descendants drop the distractors before they rank, the authors' own script keeps them.
    """

    name: ClassVar[str] = "university1652"
    splits: ClassVar[tuple[str, ...]] = (TRAIN, TEST)
    directions: ClassVar[tuple[Direction, ...]] = ("d2s", "s2d", "g2s", "s2g")

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, split: str, direction: Direction) -> Task:
        """A split as a retrieval task; galleries of the test hold the distractors.

        Raises:
            InputError: for another split or direction.
            DataError: where folders or images are missing.
        """
        check_asked(self, split, direction)
        check_root(self.root, "University-1652", (TRAIN, TEST))
        first, second = PAIRS[split, direction]
        query, gallery = self._views(first), self._views(second)
        positives = same_place(query, gallery)
        # Only street views are published for fewer places than there are.
        if STREET not in second:
            all_right(query, self.root / second, positives)
        return Task(self.name, split, direction, query, gallery, positives, None, "university1652")

    def inspect(self) -> Iterator[Finding | Count]:
        """Missing and empty folders, places without a counterpart, foreign files, and the official counts."""
        try:
            check_root(self.root, "University-1652", (TRAIN, TEST))
        except DataError as error:
            yield Finding("missing", ".", error.what, error.mend or "")
            return
        survey = Survey(self.root)
        for folder in FOLDERS:
            yield from survey.faults(folder, empty=folder.endswith(GOOGLE))
        yield from survey.unpaired((first, second) for first, second in PAIRS.values() if STREET not in second)
        found = {folder: survey.counts(folder) for folder in FOLDERS}
        for folder, (places, images) in OFFICIAL.items():
            yield Count(f"places of {folder}", places, found[folder][0])
            if images is not None:
                yield Count(f"images of {folder}", images, found[folder][1])
        train = sum(images for folder, (_, images) in found.items() if folder.startswith(f"{TRAIN}/"))
        yield Count(f"images of {TRAIN}", OFFICIAL_TRAIN_IMAGES, train)

    def images(self) -> list[View]:
        """Every image of the folders that are there, in their order; a query is in the gallery too, as a file of its own."""
        check_root(self.root, "University-1652", (TRAIN, TEST))
        there = [(self.root / folder, kind) for folder, kind in FOLDERS.items() if (self.root / folder).is_dir()]
        return [view for folder, kind in there for view in read_places(folder).views(kind)]

    def _views(self, folder: str) -> list[View]:
        path, kind = self.root / folder, FOLDERS[folder]
        views = (read_places(path) if kind == "ground" else full_places(path)).views(kind)
        if not views:
            raise DataError("holds no image", where=path, mend=REFETCH)
        return views
