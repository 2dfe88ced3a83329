"""A bank of world pairs as a source: which places are held out, and which of its pictures a micro-batch takes, keyed by (seed, number).

Axes: J pairs of a batch, B those whose pictures are read, V drone views of a place, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crossfix.data.stress.geometry import turned_panorama
from crossfix.errors import InputError
from crossfix.train.ground import GroundViews
from crossfix.train.keys import numpy_generator
from crossfix.train.overlap import Poses
from crossfix.train.source import WHOLE, Bytes, PairBatch, Part, Rows, Side, Validation
from crossfix.worlds.pair_panoramas import GROUND_HEADING, GROUND_POINTS
from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank

if TYPE_CHECKING:
    from crossfix.train.training_clouds import CloudDraw


def split_places(region: Sequence[str], held_out: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Part the bank's places into training and validation, every region in the same proportion.

    The held-out places are the last ones of each region: places rendered one after the other may stand near each other, and a tail
    touches the rest in one spot only.

    Args:
        region: name of the region of each place.
        held_out: number of validation places over all regions.

    Returns:
        Rows for training and rows for validation, both ascending.

    Raises:
        InputError: where nothing would be left to train on.
    """
    names = np.asarray(region)
    if not 0 < held_out < len(names):
        raise InputError(
            f"{held_out} places held out of {len(names)}", where="training config", mend="hold out fewer, or render more places"
        )
    held: list[npt.NDArray[np.int64]] = []
    done = 0
    regions = sorted(set(names.tolist()))
    seen = 0
    for name in regions:
        rows = np.flatnonzero(names == name)
        seen += len(rows)
        share = round(held_out * seen / len(names)) - done
        done += share
        held.append(rows[len(rows) - share :])
    held_rows = np.sort(np.concatenate(held)).astype(np.int64)
    return np.setdiff1d(np.arange(len(names), dtype=np.int64), held_rows), held_rows


class BankSource:
    """The pairs of a bank as a `PairSource`: every place is one, and each time one of its days and one of its drone views is drawn.

    Args:
        bank: the pairs.
        held_out: places kept for validation.
        seed: keys every draw.
        ground: panoramas besides, of places that have some.

    Raises:
        InputError: where panoramas are asked for and the bank has none.
    """

    def __init__(self, bank: PairBank, held_out: int, seed: int, ground: GroundViews | None = None) -> None:
        self.bank, self.seed, self._ground_views = bank, seed, ground
        self.place_N, self.held_rows = split_places(bank.region, held_out)
        worlds = bank.truth.get("world_seed")
        self.world_N: Rows | None = None if worlds is None else np.asarray(worlds)[self.place_N]
        self.apart_NS: Rows | None = None
        self.position_N3: npt.NDArray[np.float64] | None = None
        self.satellite_margin = SATELLITE_MARGIN
        self.clouds: CloudDraw | None = None
        self.validation = self._validation()
        self.ground = None if ground is None else self._ground_validation(ground)
        self.about = f"{len(self.place_N)} procedural places of {', '.join(sorted(set(bank.region)))}"

    def read(self, row_J: Rows, number: int, part: Part = WHOLE) -> PairBatch:
        """The pairs of micro-batch ``number``, with the pictures of a part of them."""
        place_J = self.place_N[row_J]
        generator = numpy_generator(self.seed, number, "pictures")
        epoch_J = generator.integers(self.bank.satellite.shape[1], size=len(row_J))
        view_J = generator.integers(self.bank.drone.shape[1], size=len(row_J))
        ids = tuple(f"place {place} (day {epoch}, view {view})" for place, epoch, view in zip(place_J, epoch_J, view_J, strict=True))
        place_B, epoch_B, view_B = (rows_J[part[0] :][: part[1]] for rows_J in (place_J, epoch_J, view_J))
        satellite_BHWC, drone_BHWC = np.asarray(self.bank.satellite[place_B, epoch_B]), np.asarray(self.bank.drone[place_B, view_B])
        poses = Poses.of(self.bank, place_B, view_B)
        ground_GHWC, row_G, sighted_GS4 = None, None, None
        if self._ground_views is not None:
            row_G = np.flatnonzero(self.bank.has_ground[place_J])[: self._ground_views.of(len(row_J))]
            place_G = place_J[row_G]
            if self.bank.plan.sighted and len(row_G) > 1:
                sighted_GS4 = self.bank.truth[GROUND_POINTS][place_G, self._view(place_G, number)]
            ground_GHWC, row_G = (self._panorama(place_G, number), row_G) if len(row_G) > 1 else (None, None)
        known = poses.heading_deg.numpy(), poses, None, part[0], ground_GHWC, row_G
        return PairBatch(drone_BHWC, satellite_BHWC, place_J, ids, *known, sighted_GS4=sighted_GS4)

    def pictures(self, side: Side, row_B: Rows) -> Bytes:
        """The first day's satellite picture or the first drone view of training pairs."""
        return self._first(side, self.place_N[row_B])

    def _validation(self) -> Validation:
        """Every drone view of the held-out places, view by view, among the first day's satellite pictures."""
        views, places = self.bank.drone.shape[1], len(self.held_rows)
        own_QG: npt.NDArray[np.bool_] = np.tile(np.eye(places, dtype=bool), (views, 1))

        def read(side: Side, rows: Rows) -> Bytes:
            if side == "satellite":
                return self._first(side, self.held_rows[rows])
            return np.asarray(self.bank.drone[self.held_rows[rows % places], rows // places])

        return Validation(own_QG, places, read)

    def _panorama(self, place_G: Rows, number: int) -> Bytes:
        """One panorama of each place, north in its middle."""
        assert self.bank.ground is not None
        view_G = self._view(place_G, number)
        found_GHWC = np.asarray(self.bank.ground[place_G, view_G])
        heading_G = self.bank.truth[GROUND_HEADING][place_G, view_G]
        return np.stack([turned_panorama(one, -float(heading)) for one, heading in zip(found_GHWC, heading_G, strict=True)])

    def _view(self, place_G: Rows, number: int) -> Rows:
        """Which of its panoramas each place shows."""
        return numpy_generator(self.seed, number, "panoramas").integers(self.bank.plan.panoramas, size=len(place_G))

    def _ground_validation(self, ground: GroundViews) -> Validation | None:
        """The first panorama of each held-out place that has one, among the first day's satellite pictures of all of them."""
        bank = self.bank
        if bank.ground is None:
            raise InputError("the bank has no panoramas", where="training config", mend="give its plan panoramas, or leave ground out")
        if bank.ground.shape[2:4] != ground.hw:
            what = f"the bank's panoramas are {bank.ground.shape[2]} x {bank.ground.shape[3]}, the config's {ground.hw[0]} x {ground.hw[1]}"
            raise InputError(what, where="training config", mend="make both equal")
        asked = np.flatnonzero(bank.has_ground[self.held_rows])
        own_QG = np.arange(len(self.held_rows)) == asked[:, None]

        def read(side: Side, rows: Rows) -> Bytes:
            if side == "satellite":
                return self._first(side, self.held_rows[rows])
            return np.asarray(self.bank.ground[self.held_rows[asked[rows]], 0])  # type: ignore[index]

        return Validation(own_QG, len(asked), read, "ground", True) if len(asked) else None

    def _first(self, side: Side, place_B: Rows) -> Bytes:
        return np.asarray((self.bank.satellite if side == "satellite" else self.bank.drone)[place_B, 0])
