"""Batches of pairs that are hard to tell apart: neighbours on the ground first, what the model itself confuses after.

Source: the sampling of Sample4Geo (ICCV 2023). An epoch goes through the pairs at random. The pair whose turn it is enters the batch and
draws some of its neighbours' pairs in with it: the nearest always, others of a pool at random; then it is the next pair's turn, until the
batch is full. No pair comes twice in an epoch, no place twice in a batch: of VIGOR's panoramas that share a satellite picture one enters,
the others wait for a later batch. Sample4Geo gives an epoch up when 1,024 pairs in a row could not enter; here it ends when none of all
that are left can.

Neighbours are near by position for the first epochs. Every few epochs all pairs are described by the model, and the places most like each
query become its neighbours (dynamic similarity sampling).

Axes: N pairs, P places, D entries of a descriptor, X axes of a position, K neighbours, S places kept apart, M batches, B pairs of a batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError, RunError
from crossfix.train.keys import numpy_generator
from crossfix.train.mining import Table, most_similar, nearest_on_ground, read_neighbours, write_neighbours

Rows = npt.NDArray[np.int64]
Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Neighbourhood:
    """How pairs draw their neighbours in; the numbers are Sample4Geo's.

    Attributes:
        pool: neighbours of a pair that are kept.
        drawn: how many of them enter the batch with it.
        nearest: how many of those are the nearest ones; the others are drawn from the rest of the pool.
        mine_every: epochs between two minings; before the first of them, neighbours are those by position.
    """

    pool: int = 128
    drawn: int = 64
    nearest: int = 32
    mine_every: int = 4

    def __post_init__(self) -> None:
        if not (0 <= self.nearest <= self.drawn <= self.pool and self.pool > 0 and self.mine_every > 0):
            mend = "give 0 <= nearest <= drawn <= pool, and at least 1 for pool and mine_every"
            raise InputError(f"{self} makes no sense", where="training config", mend=mend)

    def mined_at(self, epoch: int) -> int | None:
        """The epoch, from 0, at whose beginning the neighbours for an epoch are mined; None: they are those by position."""
        return epoch // self.mine_every * self.mine_every or None


def neighbour_batches(
    place_N: Ints, near_NK: Table | None, batch: int, generator: np.random.Generator, how: Neighbourhood, apart_NS: Ints | None = None
) -> Rows:
    """An epoch's batches.

    Args:
        place_N: place of each pair, 0 to P - 1.
        near_NK: neighbouring places of each pair, nearest first, padded with -1; None draws all pairs at random.
        batch: pairs of a batch.
        generator: of the draws.
        how: neighbours are drawn in.
        apart_NS: places that never share a batch with a pair, padded with -1: VIGOR's semi-positives, which are neither right nor wrong for
            it. None, as Sample4Geo has it, lets them be its negatives.

    Returns:
        Rows of the pairs, (M, B), all batches full; pairs that fill none are left out.
    """
    batches, open_batch = [], _OpenBatch(place_N, batch, apart_NS)
    order = generator.permutation(len(place_N))
    places = 1 + max(int(place_N.max()), int(near_NK.max(initial=-1)) if near_NK is not None else -1)
    by_place = order[np.argsort(place_N[order], kind="stable")]
    pairs_of = [pairs.tolist() for pairs in np.split(by_place, np.cumsum(np.bincount(place_N, minlength=places))[:-1])]
    queue, waited = deque(order.tolist()), 0
    while waited < len(queue):
        pair = queue.popleft()
        if open_batch.used[pair]:
            continue
        if not open_batch.take(pair):
            queue.append(pair)
            waited += 1
            continue
        waited = 0
        if near_NK is not None:
            for place in _drawn(near_NK[pair, : how.pool], how, generator):
                open_batch.take_one(pairs_of[place])
        if open_batch.full:
            batches.append(open_batch.close())
    return np.array(batches, np.int64).reshape(-1, batch)


def _drawn(near_K: Table, how: Neighbourhood, generator: np.random.Generator) -> list[int]:
    """The nearest neighbours, and some of the rest in any order."""
    near_K = near_K[near_K >= 0]
    rest = generator.permutation(near_K[how.nearest :])[: how.drawn - how.nearest]
    return [*near_K[: how.nearest].tolist(), *rest.tolist()]


class _OpenBatch:
    """The batch that is being filled, and which pairs earlier ones hold."""

    def __init__(self, place_N: Ints, size: int, apart_NS: Ints | None) -> None:
        self._place = place_N.tolist()
        self._apart = [[place for place in line if place >= 0] for line in apart_NS.tolist()] if apart_NS is not None else None
        self._size = size
        self.used = bytearray(len(place_N))
        self._pairs: list[int] = []
        self._places: set[int] = set()
        self._shunned: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether no more can enter."""
        return len(self._pairs) == self._size

    def take(self, pair: int) -> bool:
        """Whether a pair could enter."""
        place = self._place[pair]
        if self.used[pair] or self.full or place in self._places or place in self._shunned:
            return False
        if self._apart is not None:
            if not self._places.isdisjoint(self._apart[pair]):
                return False
            self._shunned.update(self._apart[pair])
        self.used[pair] = 1
        self._pairs.append(pair)
        self._places.add(place)
        return True

    def take_one(self, pairs: list[int]) -> None:
        """Let the first enter that can."""
        for pair in pairs:
            if self.full or self.take(pair):
                return

    def close(self) -> list[int]:
        """The batch; the next one is open."""
        pairs, self._pairs, self._places, self._shunned = self._pairs, [], set(), set()
        return pairs


class NeighbourOrder:
    """The order of training pairs by `neighbour_batches`, keyed by (seed, epoch).

    An epoch always has as many batches as its pairs could fill. Where the last ones cannot be filled, because the pairs that are left are
    of too few places, batches of a second order of the same epoch take their place.

    A killed run goes on with the neighbours that it finds in ``neighbours-EPOCH.npy``, written when they are mined; the last two are kept,
    since the checkpoint may be older than the last. Those of epochs still to come are mined again. Of several processes the first one has
    to begin an epoch alone, and the others after it, when they find its file.

    Args:
        place_N: place of each pair, as whole numbers.
        batch: pairs of a batch.
        seed: keys every draw.
        folder: of the run.
        how: neighbours are drawn in.
        position_NX: of each pair in metres, in a plane or in space; None draws pairs at random until the first mining.
        apart_NS: see `neighbour_batches`, places numbered as in ``place_N``.

    Raises:
        InputError: where there are fewer places than pairs in a batch.
    """

    def __init__(
        self,
        place_N: Ints,
        batch: int,
        seed: int,
        folder: Path,
        how: Neighbourhood | None = None,
        *,
        position_NX: Floats | None = None,
        apart_NS: Ints | None = None,
    ) -> None:
        names_P, self._first_P, place_N = np.unique(place_N, return_index=True, return_inverse=True)
        if len(names_P) < batch:
            what = f"{len(names_P)} training places cannot fill a batch of {batch}"
            raise InputError(what, where="training config", mend="take more places or lower batch")
        self.place_N, self.batch, self.seed, self.folder, self.how = place_N, batch, seed, folder, how or Neighbourhood()
        self._position_NX, self._apart_NS = position_NX, None if apart_NS is None else _renamed(apart_NS, names_P)
        self.batches_per_epoch = len(place_N) // batch
        self._near: tuple[int | None, Table | None] | None = None
        self._epoch = -1
        self._batches_MB = np.empty((0, batch), np.int64)

    @property
    def known(self) -> int:
        """Batches below this number are settled."""
        return (self._epoch + 1) * self.batches_per_epoch

    def begin(self, epoch: int, embed: Callable[[], tuple[Any, Any]]) -> None:
        """Get ready for an epoch: mine, or find what was mined, and put its batches together.

        Args:
            epoch: from 0.
            embed: describes all pairs, (N, D) of the queries and (N, D) of the satellite pictures; called only where it is time to mine.

        Raises:
            RunError: where descriptors say nothing, or the neighbours of a run that goes on are missing or damaged.
            InputError: where no batch can be filled without places that are to be kept apart.
            DiskError: where the neighbours cannot be written.
        """
        mined = self.how.mined_at(epoch)
        for path in self.folder.glob("neighbours-*.npy"):  # left by a run that was begun anew, or went on from before them
            if path > self.path(epoch):
                path.unlink(missing_ok=True)
        if self._near is None or self._near[0] != mined:
            self._near = mined, self._by_position() if mined is None else self._by_similarity(mined, epoch, embed)
        self._batches_MB = self._fill(epoch, self._near[1])
        self._epoch = epoch

    def rows(self, number: int) -> Rows:
        """The pairs of batch ``number`` (from 0) of the epoch that was begun, (B,); no place twice."""
        epoch, place = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            raise RunError(f"batch {number} is of epoch {epoch}, begun is {self._epoch}", where="sampler", mend="begin the epoch first")
        row_B: Rows = self._batches_MB[place]
        return row_B

    def path(self, mined: int) -> Path:
        """The file of the neighbours that were mined at the beginning of an epoch."""
        return self.folder / f"neighbours-{mined:04d}.npy"

    def _fill(self, epoch: int, near_NK: Table | None) -> Rows:
        batches_MB, turn = np.empty((0, self.batch), np.int64), 0
        while len(batches_MB) < self.batches_per_epoch:
            generator = numpy_generator(self.seed, epoch, f"neighbours/{turn}")
            more_MB = neighbour_batches(self.place_N, near_NK, self.batch, generator, self.how, self._apart_NS)
            if not len(more_MB):
                what = f"no batch of {self.batch} pairs can be filled without semi-positive places"
                raise InputError(what, where="training config", mend="lower batch, or let them be negatives")
            batches_MB, turn = np.concatenate([batches_MB, more_MB]), turn + 1
        return batches_MB[: self.batches_per_epoch]

    def _by_position(self) -> Table | None:
        if self._position_NX is None:
            return None
        return nearest_on_ground(self._position_NX, self._position_NX[self._first_P], self.place_N[:, None], self.how.pool)

    def _by_similarity(self, mined: int, epoch: int, embed: Callable[[], tuple[Any, Any]]) -> Table:
        path = self.path(mined)
        if epoch != mined or path.exists():
            return read_neighbours(path, len(self.place_N), self.how.pool, len(self._first_P))
        query_ND, satellite_ND = (np.asarray(desc_ND, np.float32) for desc_ND in embed())
        near_NK = most_similar(query_ND, satellite_ND[self._first_P], self.place_N[:, None], self.how.pool)
        write_neighbours(path, near_NK)
        for old in range(0, mined - self.how.mine_every, self.how.mine_every):
            self.path(old).unlink(missing_ok=True)
        return near_NK


def _renamed(place_NS: Ints, names_P: Ints) -> Rows:
    """Places by their numbers in a sorted list of names; those that are not in it, -1."""
    at_NS = np.minimum(np.searchsorted(names_P, place_NS), len(names_P) - 1)
    known_NS = names_P[at_NS] == place_NS
    number_NS: Rows = np.where(known_NS, at_NS, -1).astype(np.int64)
    return number_NS
