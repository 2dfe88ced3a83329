"""Batches of world pairs: which places, which map picture and which drone picture, keyed by (seed, step).

Axes: B pairs, H W pixels, C colour channels (RGB), P places of the bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.train.keys import numpy_generator
from crossfix.train.overlap import Poses
from crossfix.worlds.pairs import PairBank


@dataclass(frozen=True)
class PairBatch:
    """One micro-batch as stored.

    Attributes:
        satellite_BHWC: uint8, north-up, wider than the chip by the bank's margin.
        drone_BHWC: uint8.
        place_B: row of the bank of each pair; no row occurs twice.
        poses: of the drone pictures.
    """

    satellite_BHWC: npt.NDArray[np.uint8]
    drone_BHWC: npt.NDArray[np.uint8]
    place_B: npt.NDArray[np.int64]
    poses: Poses


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


class PairSampler:
    """Draws micro-batches; the ``n``-th is the same whenever and wherever it is asked for.

    An epoch is a permutation of the places cut into batches, its remainder dropped, so that a batch never holds a place twice and every
    place comes equally often.

    Args:
        bank: the pairs.
        rows: the bank's rows to draw from.
        batch: pairs of a micro-batch.
        seed: keys every draw.
        together: places of one world that enter a batch together: 1 draws places one by one, more makes neighbours each other's negatives,
            as a map does.

    Raises:
        InputError: where there are fewer places than pairs in a batch.
    """

    def __init__(self, bank: PairBank, rows: npt.NDArray[np.int64], batch: int, seed: int, together: int = 1) -> None:
        if len(rows) < batch:
            raise InputError(
                f"{len(rows)} training places cannot fill a batch of {batch}",
                where="training config",
                mend="render more or lower batch",
            )
        self.bank, self.rows, self.batch, self.seed, self.together = bank, rows, batch, seed, together
        self._world = np.asarray(bank.truth["world_seed"])[rows] if together > 1 else rows
        self.batches_per_epoch = len(rows) // batch
        self._epoch = -1
        self._order = rows

    def places(self, number: int) -> npt.NDArray[np.int64]:
        """The bank's rows in micro-batch ``number`` (0-based), shape (B,)."""
        epoch, place = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            self._order = self._shuffle(numpy_generator(self.seed, epoch, "places"))
            self._epoch = epoch
        return self._order[place * self.batch : (place + 1) * self.batch]

    def _shuffle(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        order = generator.permutation(len(self.rows))
        if self.together > 1:
            by_world = order[np.argsort(self._world[order], kind="stable")]
            # Cut each world's shuffled places into groups, and shuffle the groups.
            worlds = np.split(by_world, np.flatnonzero(np.diff(self._world[by_world])) + 1)
            groups = [world[i : i + self.together] for world in worlds for i in range(0, len(world), self.together)]
            order = np.concatenate([groups[i] for i in generator.permutation(len(groups))])
        return self.rows[order]

    def read(self, number: int) -> PairBatch:
        """Micro-batch ``number`` (0-based)."""
        place_B = self.places(number)
        generator = numpy_generator(self.seed, number, "pictures")
        epoch_B = generator.integers(self.bank.satellite.shape[1], size=self.batch)
        view_B = generator.integers(self.bank.drone.shape[1], size=self.batch)
        satellite_BHWC, drone_BHWC = np.asarray(self.bank.satellite[place_B, epoch_B]), np.asarray(self.bank.drone[place_B, view_B])
        return PairBatch(satellite_BHWC, drone_BHWC, place_B, Poses.of(self.bank, place_B, view_B))
