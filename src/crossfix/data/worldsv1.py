"""worlds-v1: the project's own laboratory of generalisation, as a data set on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.places import check_asked
from crossfix.data.table import TABLE, read_table
from crossfix.data.view import View
from crossfix.errors import DataError

#: Where training and testing happen. ``seen`` holds other places of the training regions, the next three other regions.
TRAINED = "train"
UNSEEN = ("near", "middle", "far")
TESTS = ("seen", *UNSEEN)
#: Training sets of the unseen regions' own style, for oracles.
OWN = tuple(f"{name}-train" for name in UNSEEN)
PARTS = (TRAINED, *TESTS, *OWN)

HEIGHTS_M = (80, 150, 220, 300)
LATER = "later"
#: Folders of drone views in the tests: four heights, and 150 m years later.
DRONE_CONDITIONS = (*(f"{height}m" for height in HEIGHTS_M), LATER)
SATELLITE, GROUND, DRONE = "satellite", "ground", "drone"
FIRST_TRAIN, SHOTS = f"{DRONE}-1", 4  # of a training place: drone-1 to drone-4, each at its own height

_MAKE = "make it with: crossfix lab make ROOT"


class WorldsV1:
    """worlds-v1: procedural places in training regions and in three unseen ones, from drones, from the ground and from above.

    Source: ``crossfix lab make``, from seeds; nothing is downloaded and the same bytes come out on every machine that computes alike.

    Counts: full (small): 960 (240) places to train on in six regions; for testing 240 (96) places, and 120 (48) more satellite images as
    distractors, in each of four parts: ``seen`` (new places of the training regions), ``near`` (terraces: a new mix of known parts),
    ``middle`` (delta: other roofs, canals, palms) and ``far`` (desert: other ground, plots and vegetation besides); 960 (240) places of
    each unseen region's own style for oracles. A place has one satellite image of 180 m a side, one panorama of 360 degrees, in the tests
    drone views from 80, 150, 220 and 300 m and one years later, in training four from drawn heights. Headings are drawn at random.

    Licence: as this program. Ground resolution: 0.8 m a pixel (small: 1.4 m).

    Known faults: what it is not: rendered, not photographed. It orders methods and shows shifts; it predicts no figure on real imagery.

    Layout: each part is a folder with ``images.csv``, which ``folder:ROOT/PART`` reads as well. Splits are the parts; a test part's drone
    queries of one condition are ``PART-80m``, ``PART-150m``, ``PART-220m``, ``PART-300m`` and ``PART-later``.
    """

    name: ClassVar[str] = "worlds-v1"
    splits: ClassVar[tuple[str, ...]] = (*TESTS, *(f"{part}-{one}" for part in TESTS for one in DRONE_CONDITIONS), TRAINED, *OWN)
    directions: ClassVar[tuple[Direction, ...]] = ("d2s", "s2d", "g2s", "s2g")

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, split: str, direction: Direction) -> Task:
        """A part, or one condition of it.

        Raises:
            InputError: for another split or direction.
            DataError: where the part is missing or its table is damaged.
        """
        check_asked(self, split, direction)
        part, _, condition = split.partition("-") if split not in OWN else (split, "", "")
        taken, satellite = self._read(part)
        kind = DRONE if "d" in direction else GROUND
        taken = [view for view in taken if view.kind == kind and condition in ("", _condition(view))]
        if not condition and part in TESTS:
            taken = [view for view in taken if _condition(view) != LATER]
        if not taken:
            raise DataError(f"holds no {kind} views for {split}", where=self.root / part, mend=_MAKE)
        query, gallery = (taken, satellite) if direction.endswith("2s") else (satellite, taken)
        if direction.startswith("s"):  # a distractor has nothing to find
            known = {view.place for view in taken}
            query = [view for view in query if view.place in known]
        return Task(self.name, split, direction, query, gallery, same_place(query, gallery), None, None)

    def inspect(self) -> Iterator[Finding | Count]:
        """Parts that are missing or damaged."""
        for part in PARTS:
            try:
                self._read(part)
            except DataError as error:
                yield Finding("missing", part, error.what, error.mend or "")

    def images(self) -> list[View]:
        """Every image of every part."""
        return [view for part in PARTS for half in self._read(part) for view in half]

    def table(self, part: str) -> Path:
        """The table of a part's images.

        Raises:
            DataError: where it is missing.
        """
        path = self.root / part / TABLE
        if not path.is_file():
            raise DataError("is missing", where=path, mend=_MAKE)
        return path

    def _read(self, part: str) -> tuple[list[View], list[View]]:
        """Views from below and satellite images of a part, places named by their part as well."""
        halves = read_table(self.table(part).parent)[:2]
        return tuple([replace(view, place=f"{part}-{view.place}") for view in half] for half in halves)  # type: ignore[return-value]


def _condition(view: View) -> str:
    """The condition under which a view was taken: its folder's name without the kind."""
    return view.path.parent.name.partition("-")[2]
