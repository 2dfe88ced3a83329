"""The best few gallery images of every query, while blocks of the gallery stream by.

Axes: Q queries, G gallery images, B and C those of a block, K best, N candidates, W room for the candidates of a query.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.index.similarity import LEFT_OUT, TIE, Block, View

Rows = npt.NDArray[np.int64]
Scores32 = npt.NDArray[np.float32]
Before = Callable[[Rows, Rows], npt.NDArray[np.floating[Any] | np.integer[Any]]]
_MOST_TIES = 4096
_LOWEST = np.nextafter(np.float32(LEFT_OUT), np.float32(0))
_UNIT_ROUNDOFF = 2.0**-24


class Nearest:
    """Keeps, block by block, the K best gallery images of each query.

    Candidates are chosen by float32 scores with room for the worst rounding that a product of D terms can have, and put in order by float64
    ones: what comes out is what a full sort would give.

    Args:
        view: of the scores.
        k: how many; fewer come back where the view shows fewer.
        before: of images with equal scores, which stands first: given queries and gallery rows, (N,) each, the greater number. By default
            the later row, as a stable sort from the smallest score read backwards has it. Where more than 4,096 images beyond K lie within
            the rounding of the K-th, only those of the best float32 scores are asked about, of equal ones the last rows.
    """

    def __init__(self, view: View, k: int, before: Before | None = None) -> None:
        self.view = view
        norm_G = view.similarity.gallery_norm_G
        seen = len(norm_G) if view.left_out_G is None else int(np.count_nonzero(~view.left_out_G))
        self.k = min(k, seen)
        self._before: Before = before or (lambda query_N, row_N: row_N)
        # A sum of D float32 products is off by at most D roundoffs in whatever order it is taken (Higham, Accuracy and Stability of
        # Numerical Algorithms, 3.1); the rest is for dividing by norms and for weights.
        self._bound = 1.01 * (view.similarity.query_QRD.shape[2] + 32) * _UNIT_ROUNDOFF
        self._open: tuple[slice, _Candidates] | None = None
        self._closed: list[tuple[slice, npt.NDArray[np.int32], Rows]] = []

    def take(self, block: Block) -> None:
        """Look through one block; every block must come once, in the order of `Similarity.blocks`."""
        if self._open is None or self._open[0] != block.queries:
            self._close()
            self._open = block.queries, _Candidates(block.queries.stop - block.queries.start, self.k)
        sim_BC, rounding = self.view.fast(block)
        self._open[1].merge(sim_BC, block.gallery.start, max(rounding, self._bound))

    def rows(self) -> Rows:
        """The best rows of each query, best first, (Q, K)."""
        self._close()
        best_QK = np.empty((len(self.view.similarity.query_QRD), self.k), np.int64)
        for queries, row_N, count_B in self._closed:
            for query, mine_N in zip(range(queries.start, queries.stop), np.split(row_N, np.cumsum(count_B)[:-1]), strict=True):
                best_QK[query] = self._ordered(query, mine_N.astype(np.int64))[: self.k]
        return best_QK

    def _ordered(self, query: int, row_N: Rows) -> Rows:
        score_N = self.view.exact_row(query, row_N)
        order = np.argsort(-score_N, kind="stable")
        # scores within the rounding of their neighbour form a group, whose order the rule decides
        group_N = np.concatenate([[0], np.cumsum(-np.diff(score_N[order]) > TIE)])
        inside = np.lexsort((-row_N[order], -self._before(np.full(len(row_N), query), row_N[order]), group_N))
        return row_N[order][inside]

    def _close(self) -> None:
        if self._open is not None:
            queries, candidates = self._open
            self._closed.append((queries, *candidates.rows()))
            self._open = None


class _Candidates:
    """What may be among the K best of some queries: all images whose fast scores are not too low for that.

    Rows of the tables are filled from the left; what is not filled scores ``LEFT_OUT``.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.rounding = 0.0
        self._count_B = np.zeros(queries, np.int64)
        self._floor_B = np.full(queries, _LOWEST, np.float32)
        self._score_BW = np.full((queries, 2 * k), LEFT_OUT, np.float32)
        self._row_BW = np.empty((queries, 2 * k), np.int32)

    def merge(self, sim_BC: Scores32, start: int, rounding: float) -> None:
        """Add those of a block that begins at a row of the gallery."""
        if not self.k:
            return
        self.rounding = max(rounding, self.rounding)
        if not self._count_B.any():
            self._raise_floor(sim_BC)
        hit_N = np.flatnonzero(sim_BC >= self._floor_B[:, None])
        query_N, column_N = np.divmod(hit_N, sim_BC.shape[1])
        self._add(query_N, (column_N + start).astype(np.int32), sim_BC.reshape(-1)[hit_N])
        if self._count_B.sum() > 1.5 * self.k * len(self._count_B):  # seldom enough to cost little, often enough to keep the floor high
            self._thin_out()

    def rows(self) -> tuple[npt.NDArray[np.int32], Rows]:
        """All candidates, one query's after the other's, and how many each query has."""
        self._thin_out()
        filled_BW = np.arange(self._row_BW.shape[1]) < self._count_B[:, None]
        return self._row_BW[filled_BW], self._count_B

    def _raise_floor(self, score_BC: Scores32) -> None:
        """Scores below the floor are not among the best, whatever the rounding."""
        width = score_BC.shape[1]
        if self.k <= width:
            kth_B = np.partition(score_BC, width - self.k, axis=1)[:, width - self.k]
            slack = 2 * self.rounding + TIE
            self._floor_B = np.maximum(self._floor_B, np.nextafter((kth_B - slack).astype(np.float32), np.float32(LEFT_OUT)))

    def _thin_out(self) -> None:
        self._raise_floor(self._score_BW[:, : self._count_B.max(initial=0)])
        old_score_BW, old_row_BW = self._score_BW, self._row_BW
        keep_N = np.flatnonzero(old_score_BW >= self._floor_B[:, None])
        query_N = keep_N // old_score_BW.shape[1]
        self._score_BW = np.full_like(old_score_BW, LEFT_OUT)
        self._row_BW = np.empty_like(old_row_BW)
        self._count_B = np.zeros_like(self._count_B)
        self._add(query_N, old_row_BW.reshape(-1)[keep_N], old_score_BW.reshape(-1)[keep_N])
        most = self.k + _MOST_TIES
        for query in np.flatnonzero(self._count_B > most):
            score_N, row_N = (table[query, : self._count_B[query]].copy() for table in (self._score_BW, self._row_BW))
            last = np.sort(np.lexsort((-row_N, -score_N))[:most])
            self._score_BW[query] = LEFT_OUT
            self._score_BW[query, :most], self._row_BW[query, :most] = score_N[last], row_N[last]
            self._count_B[query] = most

    def _add(self, query_N: Rows, row_N: npt.NDArray[np.int32], score_N: Scores32) -> None:
        """Put candidates, those of a query side by side, behind the ones that are there."""
        new_B = np.bincount(query_N, minlength=len(self._count_B))
        place_N = self._count_B[query_N] + np.arange(len(query_N)) - (np.cumsum(new_B) - new_B)[query_N]
        self._count_B = self._count_B + new_B
        missing = int(self._count_B.max(initial=0)) - self._score_BW.shape[1]
        if missing > 0:
            self._score_BW = np.pad(self._score_BW, ((0, 0), (0, missing)), constant_values=LEFT_OUT)
            self._row_BW = np.pad(self._row_BW, ((0, 0), (0, missing)))
        self._score_BW[query_N, place_N] = score_N
        self._row_BW[query_N, place_N] = row_N
