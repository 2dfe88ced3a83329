"""A data set's training split as a source of pairs.

Axes: N training pairs, J pairs of a batch, B those whose pictures are read, Q validation queries, G validation gallery.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Dataset, Task
from crossfix.data.stress.geometry import turned_panorama
from crossfix.data.view import View
from crossfix.errors import DataError
from crossfix.geo.geodesy import WGS84
from crossfix.train.config import SetData
from crossfix.train.ground import GroundViews
from crossfix.train.keys import numpy_generator
from crossfix.train.mining import in_space
from crossfix.train.reading import Reader
from crossfix.train.source import WHOLE, Bytes, PairBatch, Part, Rows, Side, Validation
from crossfix.worlds.poses import EYE_M

if TYPE_CHECKING:
    from crossfix.train.training_clouds import CloudDraw

_VIEWS_HELD = 4  # queries of a held-out place that are validated with, at most


class DatasetSource:
    """The pairs of a data set's split as a `PairSource`.

    Queries for which nothing is right are left out. The places that are held out are those whose names have the smallest hashes. They may
    border on training places, and VIGOR's tiles overlap: their scores choose weights, and say nothing of unseen places.

    Args:
        dataset: the copy.
        data: which split, and how it is read.
        held_out: places kept for validation.
        seed: keys every draw.
        reader: reads the pictures.
        ground: panoramas of the same places besides, of the same split.

    Attributes:
        fingerprint: digest of the names of the split's files and of which belong together: a copy at another place has the same.
        knows_headings: whether the set says of every query where its camera looked.
        places: names of the places by their number.

    Raises:
        InputError: for a split or direction that the set does not have.
        DataError: where the copy is not whole, or has too few places.
    """

    def __init__(
        self, dataset: Dataset, data: SetData, held_out: int, seed: int, reader: Reader, ground: GroundViews | None = None
    ) -> None:
        self.data, self.seed, self._reader, self._ground_views = data, seed, reader, ground
        self._task = task = dataset.task(data.split, data.direction)
        self.fingerprint = fingerprint(task, dataset.root)
        asked = [row for row, right in enumerate(task.positives) if len(right)]
        number_of = {place: number for number, place in enumerate(dict.fromkeys(task.query[row].place for row in asked))}
        if held_out >= len(number_of):
            raise DataError(
                f"{held_out} places are to be held out of {len(number_of)}", where=dataset.root, mend="hold out fewer, or take more places"
            )
        by_hash = sorted(number_of, key=lambda place: hashlib.blake2b(place.encode()).digest())
        held = {number_of[place] for place in by_hash[:held_out]}
        of_place: dict[int, list[int]] = {number: [] for number in number_of.values()}
        for row in asked:
            of_place[number_of[task.query[row].place]].append(row)
        self._held = [of_place[place] for place in sorted(held)]
        train = [(place, rows) for place, rows in of_place.items() if place not in held]
        if data.draw == "query":
            train = sorted(((place, [row]) for place, rows in train for row in rows), key=lambda pair: pair[1])
        self.places = tuple(number_of)
        self.clouds: CloudDraw | None = None
        self._queries = [rows for _, rows in train]
        self.place_N = np.array([place for place, _ in train], np.int64)
        self._ground_task = None if ground is None else dataset.task(data.split, "g2s")
        self._panoramas = self._by_place()
        self._eyes: dict[int, npt.NDArray[np.float32]] | None = None
        self.world_N: Rows | None = None
        self.apart_NS = self._apart(number_of)
        self.position_N3 = self._positions()
        self.satellite_margin = 1.0
        self.knows_headings = all(task.query[row].heading_deg is not None for row in asked)
        self.validation = self._validation(task, self._held, "query")
        held_panoramas = [self._panoramas.get(task.query[rows[0]].place, []) for rows in self._held]
        self.ground: Validation | None = None
        if self._ground_task is not None and any(held_panoramas):
            self.ground = self._validation(self._ground_task, [rows for rows in held_panoramas if rows], "ground")
        self.about = self._about()

    def read(self, row_J: Rows, number: int, part: Part = WHOLE) -> PairBatch:
        """The pairs of micro-batch ``number``, with the pictures of a part of them."""
        task = self._task
        draw_J2 = numpy_generator(self.seed, number, "pictures").random((len(row_J), 2))
        query_J = np.array([_pick(self._queries[row], share) for row, share in zip(row_J, draw_J2[:, 0], strict=True)], np.int64)
        gallery_J = np.array([_pick(task.positives[row], share) for row, share in zip(query_J, draw_J2[:, 1], strict=True)], np.int64)
        ids = tuple(f"{task.query[q].path.name} with {task.gallery[g].path.name}" for q, g in zip(query_J, gallery_J, strict=True))
        neutral_JJ = None
        if task.semi_positives is not None and self.data.semi_positives == "neutral":
            neutral_JJ = np.stack([np.isin(gallery_J, task.semi_positives[row]) for row in query_J])
        query_B, gallery_B = (rows_J[part[0] :][: part[1]] for rows_J in (query_J, gallery_J))
        pictures = self._read("query", query_B), self._read("satellite", gallery_B)
        heading_B = np.array([task.query[row].heading_deg for row in query_B], np.float32) if self.knows_headings else None
        ground_GHWC, row_G, eye_G3 = None, None, None
        if self._ground_views is not None and self._ground_task is not None:
            asked = [self._panoramas[task.query[row].place] for row in query_J]
            row_G = np.flatnonzero([len(panoramas) > 0 for panoramas in asked])[: self._ground_views.of(len(row_J))]
            share_J = numpy_generator(self.seed, number, "panoramas").random(len(row_J))
            ground_G = np.array([_pick(asked[row], share_J[row]) for row in row_G], np.int64)
            ground_GHWC, row_G = (self._read("ground", ground_G), row_G) if len(row_G) > 1 else (None, None)
            if self._eyes is not None:
                eye_G3 = np.stack([self._eyes[row] for row in ground_G]) if len(ground_G) > 1 else None
        query_BHWC, satellite_BHWC = pictures
        place_J = self.place_N[row_J]
        known = heading_B, None, neutral_JJ, part[0], ground_GHWC, row_G
        camera_B34 = None
        if self.clouds is not None:
            camera_B34 = self.clouds.cameras_of(place_J[part[0] :][: part[1]], [task.query[row].path for row in query_B])
        return PairBatch(query_BHWC, satellite_BHWC, place_J, ids, *known, camera_B34, eye_G3)

    def pictures(self, side: Side, row_B: Rows) -> Bytes:
        """The first query of training pairs, or its first satellite picture."""
        query_B = np.array([self._queries[row][0] for row in row_B], np.int64)
        return self._read(side, query_B if side == "query" else np.array([self._task.positives[row][0] for row in query_B], np.int64))

    def leave_out(self, places: Collection[int]) -> None:
        """Train without some places, by number; those held out for validation stay."""
        kept_K = np.flatnonzero(~np.isin(self.place_N, sorted(places)))
        self._queries = [self._queries[row] for row in kept_K]
        self.place_N = self.place_N[kept_K]
        self.apart_NS = None if self.apart_NS is None else self.apart_NS[kept_K]
        self.position_N3 = None if self.position_N3 is None else self.position_N3[kept_K]
        self.about = self._about()

    def find_eyes(self) -> None:
        """Find out where each panorama was taken, and tell it with every batch.

        Raises:
            DataError: where the set tells it of none.
        """
        assert self._ground_task is not None
        task, first = self._ground_task, {view.place: view for view in reversed(self._task.gallery)}
        self._eyes = {row: eye_of(task.query[row], first[place]) for place in self.places for row in self._panoramas[place]}
        if not any(np.isfinite(eye_3).all() for eye_3 in self._eyes.values()):
            what = f"no panorama of {self.data.name} {self.data.split} tells where it was taken"
            raise DataError(what, mend="leave the term ground_tokens out")

    def _about(self) -> str:
        return f"{len(self.place_N)} {'pairs' if self.data.draw == 'query' else 'places'} of {self.data.name} {self.data.split}"

    def _apart(self, number_of: dict[str, int]) -> Rows | None:
        """Places whose satellite pictures are semi-positive for a query of each training pair."""
        task = self._task
        if task.semi_positives is None:
            return None
        near = [{task.gallery[tile].place for row in rows for tile in task.semi_positives[row]} for rows in self._queries]
        found = [sorted(number_of[place] for place in places if place in number_of) for places in near]
        apart_NS = np.full((len(found), max(1, max(map(len, found), default=0))), -1, np.int64)
        for line, numbers in zip(apart_NS, found, strict=True):
            line[: len(numbers)] = numbers
        return apart_NS

    def _positions(self) -> npt.NDArray[np.float64] | None:
        """Where the training pairs are, in metres: of the query where it is known, else of the satellite picture."""
        task = self._task
        pairs = [(task.query[rows[0]], task.gallery[int(task.positives[rows[0]][0])]) for rows in self._queries]
        on_earth = [next((lonlat for view in pair if (lonlat := _lonlat(view)) is not None), None) for pair in pairs]
        if all(lonlat is not None for lonlat in on_earth):
            return in_space(np.array(on_earth, np.float64))
        in_plane = [next((view.xy_m for view in pair if view.xy_m is not None), None) for pair in pairs]
        if all(xy_m is not None for xy_m in in_plane):
            return np.pad(np.array(in_plane, np.float64), ((0, 0), (0, 1)))
        return None

    def _by_place(self) -> dict[str, list[int]]:
        """Panoramas of each place by its name; a place may have none.

        Raises:
            DataError: where none has any.
        """
        if self._ground_task is None:
            return {}
        found: dict[str, list[int]] = {place: [] for place in self.places}
        for row, view in enumerate(self._ground_task.query):
            if view.place in found:
                found[view.place].append(row)
        if not any(found.values()):
            raise DataError("no place has drone pictures and a panorama", where=self.data.split, mend="train without ground views")
        asked = [self._ground_task.query[row] for rows in found.values() for row in rows]
        overhead = self._ground_views is not None and self._ground_views.fit == "overhead"
        if overhead and (unknown := [view for view in asked if view.heading_deg is None]):
            raise DataError(
                f"{len(unknown)} of {len(asked)} panoramas do not say where they look, and those redrawn from above must",
                where=unknown[0].path,
                mend="tell their headings, or choose another fit",
            )
        return found

    def _validation(self, task: Task, held: list[list[int]], side: Side) -> Validation:
        """Up to four queries of each held-out place, among the satellite pictures that are right for one of them."""
        queries = [row for rows in held for row in _spread(rows, _VIEWS_HELD)]
        gallery = np.unique(np.concatenate([task.positives[row] for row in queries]))
        own_QG = np.stack([np.isin(gallery, task.positives[row]) for row in queries])

        def read(asked: Side, rows: Rows) -> Bytes:
            rows = gallery[rows] if asked == "satellite" else np.asarray(queries, np.int64)[rows]
            return self._read(asked, rows, north=side != "ground")  # a model of any heading is not told

        return Validation(own_QG, len(held), read, side, side == "ground" or self.data.panoramas)

    def _read(self, side: Side, rows: Rows, *, north: bool = True) -> Bytes:
        """Pictures as they are stored; panoramas turned until they show north in their middle, like satellite pictures have it up."""
        data, ground = self.data, self._ground_views
        if side == "satellite":
            return self._reader.read([self._task.gallery[row] for row in rows], (data.satellite_px, data.satellite_px))
        if side == "ground" and ground is not None and self._ground_task is not None:
            views, hw, how = [self._ground_task.query[row] for row in rows], ground.hw, ground.fit
        else:
            views, hw, how = [self._task.query[row] for row in rows], data.query_hw, data.ground_fit
            if not data.panoramas:
                return self._reader.read(views, hw)
        pictures_BHWC = self._reader.read(views, hw, how)
        for row, view in enumerate(views):
            if north and view.heading_deg:
                pictures_BHWC[row] = turned_panorama(pictures_BHWC[row], -view.heading_deg)
        return pictures_BHWC


def eye_of(panorama: View, satellite: View) -> npt.NDArray[np.float32]:
    """Where a panorama was taken: metres east and north of the middle of a satellite picture, and above ground; NaN where not known.

    Where the set does not tell the height it is that of eyes.
    """
    at, middle = _lonlat(panorama), _lonlat(satellite)
    if at is None or middle is None:
        return np.full(3, np.nan, np.float32)
    bearing_deg, _, away_m = WGS84.inv(*middle, *at)
    bearing = math.radians(bearing_deg)
    height_m = EYE_M if panorama.height_m is None else panorama.height_m
    return np.array([away_m * math.sin(bearing), away_m * math.cos(bearing), height_m], np.float32)


def fingerprint(task: Task, root: Path) -> str:
    """Digest of a split: its files' names relative to the root, and which are right for which."""
    digest = hashlib.sha256()
    for views in (task.query, task.gallery):
        digest.update("".join(f"{view.path.relative_to(root).as_posix()}\n" for view in views).encode() + b"\0")
    for right in task.positives:
        digest.update(np.asarray(right, "<i8").tobytes() + b"\0")
    return digest.hexdigest()


def _pick(rows: Sequence[int] | Rows, share: float) -> int:
    return int(rows[int(share * len(rows))])


def _spread(rows: list[int], most: int) -> list[int]:
    """At most so many of a list, evenly over it."""
    return [rows[number * len(rows) // min(most, len(rows))] for number in range(min(most, len(rows)))]


def _lonlat(view: View) -> tuple[float, float] | None:
    return None if view.lon is None or view.lat is None else (view.lon, view.lat)
