"""The plain order of training pairs: an epoch is a permutation cut into batches, keyed by (seed, epoch)."""

from __future__ import annotations

import sys
from collections import deque

import numpy as np

from crossfix.errors import InputError
from crossfix.train.keys import numpy_generator
from crossfix.train.source import Embed, Rows


class RandomOrder:
    """A `Sampler` that draws pairs at random.

    An epoch's remainder is dropped. A batch never holds a place twice; a pair whose place the batch has already waits for the next one.
    Where an epoch's last pairs are all of places that their batch has, pairs from earlier in the epoch fill it.

    Args:
        place_N: place of each training pair.
        batch: pairs of a micro-batch.
        seed: keys every draw.
        together: pairs of one world that enter a batch together: 1 draws pairs one by one, more makes neighbours each other's negatives, as
            a map does.
        world_N: world of each training pair; needed where ``together`` is above 1.

    Raises:
        InputError: where there are fewer places than pairs in a batch, or nobody knows the worlds that it needs.
    """

    known = sys.maxsize

    def __init__(self, place_N: Rows, batch: int, seed: int, together: int = 1, world_N: Rows | None = None) -> None:
        self._distinct = len(np.unique(place_N))
        if self._distinct < batch:
            raise InputError(
                f"{self._distinct} training places cannot fill a batch of {batch}",
                where="training config",
                mend="take more places or lower batch",
            )
        if together > 1 and world_N is None:
            raise InputError("nobody knows which places of this set lie together", where="training config", mend="give together = 1")
        self.place_N, self.batch, self.seed, self.together, self._world_N = place_N, batch, seed, together, world_N
        self.batches_per_epoch = len(place_N) // batch
        self._epoch = -1
        self._order = place_N

    def begin(self, epoch: int, embed: Embed) -> None:
        """Nothing to get ready."""

    def rows(self, number: int) -> Rows:
        """The pairs of micro-batch ``number``, shape (B,)."""
        epoch, place = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            order = self._shuffle(numpy_generator(self.seed, epoch, "places"))
            self._order = order if self._distinct == len(self.place_N) else self._parted(order)
            self._epoch = epoch
        return self._order[place * self.batch : (place + 1) * self.batch]

    def _shuffle(self, generator: np.random.Generator) -> Rows:
        order = generator.permutation(len(self.place_N))
        if self.together > 1 and self._world_N is not None:
            by_world = order[np.argsort(self._world_N[order], kind="stable")]
            # Cut each world's shuffled pairs into groups, and shuffle the groups.
            worlds = np.split(by_world, np.flatnonzero(np.diff(self._world_N[by_world])) + 1)
            groups = [world[i : i + self.together] for world in worlds for i in range(0, len(world), self.together)]
            order = np.concatenate([groups[i] for i in generator.permutation(len(groups))])
        return order

    def _parted(self, order: Rows) -> Rows:
        """The order with pairs put off until a batch that lacks their place."""
        chosen: list[int] = []
        waiting: deque[int] = deque()
        coming = deque(order.tolist())
        for _ in range(self.batches_per_epoch):
            places: set[int] = set()

            def take(row: int, places: set[int] = places) -> bool:
                place = int(self.place_N[row])
                if place in places:
                    return False
                places.add(place)
                chosen.append(row)
                return True

            for _ in range(len(waiting)):
                row = waiting.popleft()
                if len(places) == self.batch or not take(row):
                    waiting.append(row)
            while coming and len(places) < self.batch:
                row = coming.popleft()
                if not take(row):
                    waiting.append(row)
            for row in order.tolist():
                if len(places) == self.batch:
                    break
                take(row)
        return np.array(chosen, np.int64)
