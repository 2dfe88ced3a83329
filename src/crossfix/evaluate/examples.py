"""The queries that a model answers best and worst, with the images it found: what to look at before believing a score.

Axes: Q queries, G gallery images, D entries, B and C the queries and gallery images of a block, N queries looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.arrays import DescriptorSet
from crossfix.evaluate.distances import geodesic_m, plane_m
from crossfix.evaluate.positives import RowLists, of_pairs
from crossfix.index.nearest import Nearest
from crossfix.index.similarity import LEFT_OUT, Similarity, View

TOP = 5
_LOOKED_AT = 2048
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """An image found for a query.

    Attributes:
        row: of the gallery.
        rank: in the order shown, from 1; of a right image beyond the first five, one more than the wrong ones before it.
        right: whether it is.
        similarity: cosine.
        distance_m: from where the query is, where both are known.
    """

    row: int
    rank: int
    right: bool
    similarity: float
    distance_m: float | None


@dataclass(frozen=True)
class Example:
    """A query, the first five images found, and its best right one where that is not among them.

    Attributes:
        query: its row.
        rank: of its best right image, from 1.
        found: the first five, best first.
        missed: the best right image, if none of the five is.
    """

    query: int
    rank: int
    found: tuple[Found, ...]
    missed: Found | None


def pick(
    queries: DescriptorSet,
    gallery: DescriptorSet,
    right: RowLists,
    rank_Q: npt.NDArray[Any],
    which: Literal["best", "worst"],
    count: int,
) -> list[Example]:
    """Some of the queries that went best or worst, at most one a place.

    Best is who ranks its right image first with the widest lead, in cosine, over the first wrong one; worst whose right image stands
    farthest back, by the most. Where more than 2,048 queries rank alike, the lead is looked at of so many.

    Args:
        queries: the queries.
        gallery: what was searched.
        right: the right rows of each query, at least one each.
        rank_Q: rank of each query's best right image, from 1.
        which: end.
        count: how many at most.
    """
    sign = 1 if which == "best" else -1
    looked = np.argsort(sign * np.asarray(rank_Q), kind="stable")[:_LOOKED_AT].astype(np.int64)
    found = _Search(queries, gallery, right, looked)
    chosen: list[int] = []
    places: set[int] = set()
    for number in np.lexsort((-sign * found.lead(), sign * np.asarray(rank_Q)[looked])):
        place = int(queries.ids[looked[number]])
        if place not in places and len(chosen) < count:
            places.add(place)
            chosen.append(int(number))
    return _Search(queries, gallery, right, looked[np.array(chosen, np.int64)]).examples(rank_Q)


class _Search:
    """Some of the queries in the whole gallery."""

    def __init__(self, queries: DescriptorSet, gallery: DescriptorSet, right: RowLists, looked_N: Rows) -> None:
        self.queries, self.gallery, self.looked_N = queries, gallery, looked_N
        self.similarity = Similarity(queries.features[looked_N], gallery.features)
        self.view = View(self.similarity, unit=True)
        starts, counts = right.start_S[looked_N], right.count_Q[looked_N]
        rows = [right.row_P[start : start + count] for start, count in zip(starts, counts, strict=True)]
        self.right = of_pairs(np.repeat(np.arange(len(looked_N)), counts), np.concatenate(rows), len(looked_N))

    def lead(self) -> npt.NDArray[np.float64]:
        """Cosine of the best right image less that of the best wrong one, (N,)."""
        wrong_N = np.full(len(self.looked_N), LEFT_OUT)
        for block in self.similarity.blocks():
            sim_BC = block.sim_BC
            for number in range(block.queries.start, block.queries.stop):
                rows = self._rows(number)
                rows = rows[(rows >= block.gallery.start) & (rows < block.gallery.stop)]
                sim_BC[number - block.queries.start, rows - block.gallery.start] = LEFT_OUT
            wrong_N[block.queries] = np.maximum(wrong_N[block.queries], sim_BC.max(axis=1))
        best_N = np.full(len(self.looked_N), LEFT_OUT)
        np.maximum.at(best_N, self.right.query_P, self.view.exact(self.right.query_P, self.right.row_P))
        lead_N: npt.NDArray[np.float64] = best_N - wrong_N
        return lead_N

    def examples(self, rank_Q: npt.NDArray[Any]) -> list[Example]:
        pairs = self.right.query_P * len(self.gallery.ids) + self.right.row_P
        nearest = Nearest(self.view, TOP, lambda query_N, row_N: ~np.isin(query_N * len(self.gallery.ids) + row_N, pairs) * 1)
        for block in self.similarity.blocks():
            nearest.take(block)
        found = []
        for number, rows in enumerate(nearest.rows()):
            right = self._rows(number)
            first = tuple(self._found(number, int(row), place + 1, right) for place, row in enumerate(rows))
            rank = int(rank_Q[self.looked_N[number]])
            missed = None
            if not any(one.right for one in first):
                score = self.view.exact(np.full(len(right), number), right)
                missed = self._found(number, int(right[score.argmax()]), rank, right)
            found.append(Example(int(self.looked_N[number]), rank, first, missed))
        return found

    def _rows(self, number: int) -> Rows:
        return self.right.row_P[self.right.start_S[number] : self.right.start_S[number + 1]]

    def _found(self, number: int, row: int, rank: int, right: Rows) -> Found:
        similarity = float(self.view.exact(np.array([number]), np.array([row]))[0])
        return Found(row, rank, bool((right == row).any()), similarity, self._distance_m(int(self.looked_N[number]), row))

    def _distance_m(self, query: int, row: int) -> float | None:
        for name, by in (("lonlat", geodesic_m), ("xy_m", plane_m)):
            one, other = getattr(self.queries, name), getattr(self.gallery, name)
            if one is not None and other is not None:
                return float(by(np.asarray(one[[query]], np.float64), np.asarray(other[[row]], np.float64))[0])
        return None
