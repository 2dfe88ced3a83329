"""A bank of world pairs as a source: which places are held out, and which of its pictures a micro-batch takes, keyed by (seed, number).

Axes: J pairs of a batch, B those whose pictures are read, V drone views of a place, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.train.keys import numpy_generator
from crossfix.train.overlap import Poses
from crossfix.train.source import WHOLE, Bytes, PairBatch, Part, Rows, Side, Validation
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
    """

    def __init__(self, bank: PairBank, held_out: int, seed: int) -> None:
        self.bank, self.seed = bank, seed
        self.place_N, self.held_rows = split_places(bank.region, held_out)
        worlds = bank.truth.get("world_seed")
        self.world_N: Rows | None = None if worlds is None else np.asarray(worlds)[self.place_N]
        self.apart_NS: Rows | None = None
        self.ground: Validation | None = None
        self.position_N3: npt.NDArray[np.float64] | None = None
        self.satellite_margin = SATELLITE_MARGIN
        self.clouds: CloudDraw | None = None
        self.validation = self._validation()
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
        return PairBatch(drone_BHWC, satellite_BHWC, place_J, ids, poses.heading_deg.numpy(), poses, first=part[0])

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

    def _first(self, side: Side, place_B: Rows) -> Bytes:
        return np.asarray((self.bank.satellite if side == "satellite" else self.bank.drone)[place_B, 0])
