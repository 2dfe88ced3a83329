"""The best few gallery images of every query, while blocks of the gallery stream by.

Axes: Q queries, G gallery images, B and C those of a block, K best, N candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.similarity import LEFT_OUT, TIE, Block, View

Rows = npt.NDArray[np.int64]
Scores32 = npt.NDArray[np.float32]
Before = Callable[[Rows, Rows], npt.NDArray[np.floating[Any] | np.integer[Any]]]
_MOST_TIES = 4096


class Nearest:
    """Keeps, block by block, the K best gallery images of each query.

    Args:
        view: of the scores.
        k: how many; fewer come back where the view shows fewer.
        before: of images with equal scores, which stands first: given queries and gallery rows, (N,) each, the greater number. By default
            the later row, as a stable sort from the smallest score read backwards has it. Of more than 4,096 images beyond K that score the
            same only the last rows are asked about.
    """

    def __init__(self, view: View, k: int, before: Before | None = None) -> None:
        self.view = view
        norm_G = view.similarity.gallery_norm_G
        seen = len(norm_G) if view.left_out_G is None else int(np.count_nonzero(~view.left_out_G))
        self.k = min(k, seen)
        self._before: Before = before or (lambda query_N, row_N: row_N)
        queries = len(view.similarity.query_QRD)
        self._rows: list[Rows] = [np.empty(0, np.int64)] * queries
        self._scores: list[Scores32] = [np.empty(0, np.float32)] * queries
        self._rounding = np.zeros(queries)

    def take(self, block: Block) -> None:
        """Look through one block; every block must come once, the gallery's in order."""
        sim_BC, rounding = self.view.fast(block)
        for query, score_C in zip(range(block.queries.start, block.queries.stop), sim_BC, strict=True):
            self._rounding[query] = max(rounding, self._rounding[query])
            self._merge(query, score_C, block.gallery.start)

    def rows(self) -> Rows:
        """The best rows of each query, best first, (Q, K)."""
        best_QK = np.empty((len(self._rows), self.k), np.int64)
        for query, row_N in enumerate(self._rows):
            query_N = np.full(len(row_N), query)
            score_N = self.view.exact(query_N, row_N)
            order = np.argsort(-score_N, kind="stable")
            # scores within the rounding of their neighbour form a group, whose order the rule decides
            group_N = np.concatenate([[0], np.cumsum(-np.diff(score_N[order]) > TIE)])
            inside = np.lexsort((-row_N[order], -self._before(query_N, row_N[order]), group_N))
            best_QK[query] = row_N[order][inside][: self.k]
        return best_QK

    def _merge(self, query: int, score_C: Scores32, start: int) -> None:
        score_N, row_N = self._scores[query], self._rows[query]
        floor = self._floor(score_N, query)
        column = np.flatnonzero(score_C >= floor) if floor > LEFT_OUT else np.flatnonzero(score_C > LEFT_OUT)
        if not len(column):
            return
        score_N = np.concatenate([score_N, score_C[column]])
        row_N = np.concatenate([row_N, column + start])
        floor = self._floor(score_N, query)
        keep = np.flatnonzero(score_N >= floor)
        if len(keep) > self.k + _MOST_TIES:
            keep = keep[np.lexsort((-row_N[keep], -score_N[keep]))[: self.k + _MOST_TIES]]
        self._scores[query], self._rows[query] = score_N[keep], row_N[keep]

    def _floor(self, score_N: Scores32, query: int) -> float:
        """Scores below this are not among the best, whatever the rounding."""
        if len(score_N) < max(self.k, 1):
            return LEFT_OUT
        kth = np.partition(score_N, len(score_N) - self.k)[len(score_N) - self.k]
        return max(LEFT_OUT, float(kth) - 2 * float(self._rounding[query]))
