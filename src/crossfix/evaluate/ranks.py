"""Ranks and average precision, from counts of wrong images above each right one while blocks of the gallery stream by.

A query's rank needs no sorting: it follows from how many wrong images score above its best positive, and AP from the same number for every
positive. Ties are counted apart, so that each protocol can settle them by its own rule.

Axes: Q queries, G gallery images, B and C those of a block, P positives of all queries, one query's after the other, N pairs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.positives import RowLists
from crossfix.index.similarity import LEFT_OUT, NOT_A_NUMBER, Block, View

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Scores32 = npt.NDArray[np.float32]

TieRule = Literal["for", "against", "later"]
NEVER = np.iinfo(np.int64).max
_FEW = 4  # up to so many positives are compared one by one; beyond, sorting the row is cheaper
_BINS = 1 << 14  # a unit of score
_COARSE = 0.25  # beyond, float32 says nothing: some descriptors are beyond its range
_PART = 2048


@dataclass(frozen=True)
class Counts:
    """For every positive, how many wrong images stand where.

    Attributes:
        lists: the positives.
        above_P: wrong images that score higher.
        tied_P: wrong images that score the same.
        later_P: those of the tied that stand in a later row of the gallery than the positive.
    """

    lists: RowLists
    above_P: Rows
    tied_P: Rows
    later_P: Rows

    def wrong(self, ties: TieRule) -> Rows:
        """Wrong images before each positive, (P,).

        Args:
            ties: "for" the query: none of the tied; "against": all; "later": those of later rows, as a stable sort from the smallest
                score read backwards has it.
        """
        return self.above_P + {"for": np.zeros_like(self.tied_P), "against": self.tied_P, "later": self.later_P}[ties]

    def best(self, ties: TieRule) -> Rows:
        """Wrong images before the best positive of each query, (Q,); `NEVER` where it has none."""
        least = np.full(len(self.lists.start_S) - 1, NEVER)
        np.minimum.at(least, self.lists.query_P, self.wrong(ties))
        return least

    def average_precision(self, ties: TieRule, form: Literal["step", "trapezoid"]) -> Doubles:
        """AP of each query, (Q,); 0 where it has no positive.

        Args:
            ties: see `wrong`.
            form: "step": the mean, over a query's positives, of the precision at each; "trapezoid": the mean of that and of the precision
                just before it (1 before the first rank), as University-1652's evaluation has it.
        """
        query_P, start_S = self.lists.query_P, self.lists.start_S
        wrong_P = self.wrong(ties)
        wrong_P = wrong_P[np.lexsort((wrong_P, query_P))]
        right_P = np.arange(len(wrong_P)) - start_S[query_P]  # right ones before this one
        before_P = wrong_P + right_P
        precision_P = (right_P + 1) / (before_P + 1)
        if form == "trapezoid":
            precision_P = (precision_P + np.where(before_P > 0, right_P / np.maximum(before_P, 1), 1.0)) / 2
        queries = len(start_S) - 1
        return np.bincount(query_P, precision_P, minlength=queries) / np.maximum(self.lists.count_Q, 1)


class WrongAbove:
    """Counts, block by block, the wrong images above every positive.

    Args:
        view: of the scores.
        positives: right rows of each query; those the view leaves out must not be among them.
        neutral: rows that are neither right nor wrong for a query.
    """

    def __init__(self, view: View, positives: RowLists, neutral: RowLists | None = None) -> None:
        self.view = view
        self.lists = positives
        self.query_P = positives.query_P
        self.score_P = view.exact_kept(positives.query_P, positives.row_P)
        self.tie_P = view.tie_of(positives.row_P)
        self._hidden = [positives] if neutral is None else [positives, neutral]
        digest = hashlib.sha256(view.digest())
        for lists in self._hidden:
            digest.update(lists.start_S.tobytes() + lists.row_P.tobytes())
        self._key = digest.hexdigest()
        self._above_P, self._tied_P, self._later_P = (np.zeros(len(positives.row_P), np.int64) for _ in range(3))

    def take(self, block: Block) -> None:
        """Count in one block; every block must come once."""
        first, last = self.lists.start_S[block.queries.start], self.lists.start_S[block.queries.stop]
        if first == last:
            return
        pairs = slice(int(first), int(last))
        sim_BC, rounding = self.view.fast(block)
        self._hide(sim_BC, block.queries, block.gallery)
        high_P = (self.score_P[pairs] + rounding).astype(np.float32)
        low_P = (self.score_P[pairs] - rounding).astype(np.float32)
        start_S = self.lists.start_S[block.queries.start : block.queries.stop + 1] - first
        above_P, reach_P = self._reached(block, sim_BC, start_S, high_P, low_P)
        if rounding > _COARSE or (reach_P - above_P).sum() > sim_BC.size // 64 + 64:
            self._count_exactly(block, pairs)
            return
        self._above_P[pairs] += above_P
        self._settle(block, sim_BC, pairs, start_S, high_P, low_P, reach_P > above_P)

    def counts(self) -> Counts:
        """What was counted."""
        return Counts(self.lists, self._above_P, self._tied_P, self._later_P)

    def _hide(self, sim_BC: npt.NDArray[Any], queries: slice, gallery: slice) -> None:
        for lists in self._hidden:
            first, last = lists.start_S[queries.start], lists.start_S[queries.stop]
            row_N = lists.row_P[first:last]
            query_N = np.repeat(np.arange(queries.stop - queries.start), lists.count_Q[queries])
            inside = (row_N >= gallery.start) & (row_N < gallery.stop)
            sim_BC[query_N[inside], row_N[inside] - gallery.start] = LEFT_OUT

    def _settle(
        self, block: Block, sim_BC: Scores32, pairs: slice, start_S: Rows, high_P: Scores32, low_P: Scores32, open_P: npt.NDArray[np.bool_]
    ) -> None:
        """Compare again, exactly, what the block's rounding leaves open."""
        found: list[tuple[Rows, Rows]] = []
        open_pairs = np.flatnonzero(open_P)
        row_of = np.searchsorted(start_S, open_pairs, side="right") - 1
        for row, begin, end in _runs(row_of):
            pair_N = open_pairs[begin:end]
            which, column = _near(sim_BC[row], low_P[pair_N], high_P[pair_N])
            found.append((pair_N[which] + pairs.start, column + block.gallery.start))
        if not found:
            return
        pair_N, gallery_N = (np.concatenate(part) for part in zip(*found, strict=True))
        difference_N = self.view.exact(self.query_P[pair_N], gallery_N) - self.score_P[pair_N]
        above = difference_N > self.tie_P[pair_N]
        tied = np.abs(difference_N) <= self.tie_P[pair_N]
        later = tied & (gallery_N > self.lists.row_P[pair_N])
        for total, counted in ((self._above_P, above), (self._tied_P, tied), (self._later_P, later)):
            np.add.at(total, pair_N[counted], 1)

    def _count_exactly(self, block: Block, pairs: slice) -> None:
        """All of a block in float64: descriptors so alike that float32 tells few of them apart."""
        for start in range(block.gallery.start, block.gallery.stop, _PART):
            part = slice(start, min(start + _PART, block.gallery.stop))
            sim_BC = self.view.exact_part(block.queries, part)
            if self.view.left_out_G is not None:
                sim_BC[:, self.view.left_out_G[part]] = LEFT_OUT
            self._hide(sim_BC, block.queries, part)
            for pair in range(pairs.start, pairs.stop):
                difference_C = sim_BC[self.query_P[pair] - block.queries.start] - self.score_P[pair]
                tied_C = np.abs(difference_C) <= self.tie_P[pair]
                self._above_P[pair] += np.count_nonzero(difference_C > self.tie_P[pair])
                self._tied_P[pair] += np.count_nonzero(tied_C)
                self._later_P[pair] += np.count_nonzero(tied_C[max(0, int(self.lists.row_P[pair]) + 1 - start) :])

    def _reached(self, block: Block, sim_BC: Scores32, start_S: Rows, high_P: Scores32, low_P: Scores32) -> tuple[Rows, Rows]:
        """For each pair, how many of its query's scores are above ``high``, and how many at least ``low``."""
        above_P, reach_P = np.zeros(len(high_P), np.int64), np.zeros(len(high_P), np.int64)
        count_B = np.diff(start_S)
        few = count_B <= _FEW
        for slot in range(min(_FEW, int(count_B.max()))):
            rows = np.flatnonzero(few & (count_B > slot))
            if not len(rows):
                break
            part, pair_N = sim_BC if len(rows) == len(sim_BC) else sim_BC[rows], start_S[rows] + slot
            above_P[pair_N] = (part > high_P[pair_N, None]).sum(axis=1, dtype=np.int32)
            reach_P[pair_N] = (part >= low_P[pair_N, None]).sum(axis=1, dtype=np.int32)
        many = np.flatnonzero(~few)
        if len(many):
            # a sorted row answers for all its positives at once, both bounds in one search: above is at least the next number
            bound_2P = np.stack([np.nextafter(high_P, np.float32(np.inf)), low_P])
            begin_N, end_N = start_S[many].tolist(), start_S[many + 1].tolist()
            for sorted_X, begin, end in zip(self._sorted(block, sim_BC, many, low_P, start_S), begin_N, end_N, strict=True):
                below_2N = sorted_X.searchsorted(bound_2P[:, begin:end])
                above_P[begin:end], reach_P[begin:end] = len(sorted_X) - below_2N[0], len(sorted_X) - below_2N[1]
        return above_P, reach_P

    def _sorted(self, block: Block, sim_BC: Scores32, many: npt.NDArray[np.intp], low_P: Scores32, start_S: Rows) -> list[Scores32]:
        """Of the rows with many positives the scores that reach the lowest of these, sorted.

        Made once for all who see the same scores, such as both sides of most protocols.
        """
        if self._key not in block.kept:
            reaching: list[Scores32] = []
            for row in many:
                row_C, least = sim_BC[row], low_P[start_S[row] : start_S[row + 1]].min()
                reaching.append(np.sort(row_C[row_C >= least]))
            block.kept[self._key] = reaching
        return block.kept[self._key]


def _near(sim_C: Scores32, low_N: Scores32, high_N: Scores32) -> tuple[Rows, Rows]:
    """The scores of a row that lie in some intervals: numbers of the interval and of the column, a pair each."""
    offset = np.float32(-LEFT_OUT)
    bin_low = ((low_N + offset) * _BINS).astype(np.int32)
    bin_high = ((high_N + offset) * _BINS).astype(np.int32)
    # a table of coarse bins leaves few columns to look at, however many intervals there are
    touched = np.zeros(int(-LEFT_OUT + NOT_A_NUMBER) * _BINS + 2 * _BINS, np.bool_)
    touched[bin_low] = touched[bin_high] = True
    for first, last in zip(bin_low[bin_high - bin_low > 1], bin_high[bin_high - bin_low > 1], strict=True):
        touched[first:last] = True
    column_M = np.flatnonzero(touched[((sim_C + offset) * _BINS).astype(np.int32)])
    score_M = sim_C[column_M]
    order = score_M.argsort()
    score_M = score_M[order]
    begin_N = score_M.searchsorted(low_N, side="left")
    count_N = score_M.searchsorted(high_N, side="right") - begin_N
    which = np.repeat(np.arange(len(low_N)), count_N)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count_N) - count_N, count_N)
    return which, column_M[order[begin_N[which] + within]].astype(np.int64)


def _runs(values: npt.NDArray[np.integer[Any]]) -> list[tuple[int, int, int]]:
    """Runs of equal neighbours: value, begin, end."""
    edges = np.flatnonzero(np.diff(values, prepend=-1, append=-1)) if len(values) else np.zeros(1, np.int64)
    return [(int(values[begin]), int(begin), int(end)) for begin, end in pairwise(edges)]
