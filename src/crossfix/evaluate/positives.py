"""Which rows of a gallery are right for each query, from ids, from tables of ids, or from positions.

Axes: Q queries, G gallery images, K ids a query, P pairs of a query and a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Ints = npt.NDArray[np.integer[Any]]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowLists:
    """For each query a list of gallery rows, one list after the other.

    Attributes:
        start_S: where each query's rows begin in ``row_P``, (Q + 1,); the last entry is P.
        row_P: the rows, ascending within a query.
    """

    start_S: Rows
    row_P: Rows

    @property
    def count_Q(self) -> Rows:  # noqa: N802
        """How many rows each query has, (Q,)."""
        return np.diff(self.start_S)

    @property
    def query_P(self) -> Rows:  # noqa: N802
        """The query of each row, (P,)."""
        return np.repeat(np.arange(len(self.start_S) - 1), self.count_Q)


def of_pairs(query_P: Ints, row_P: Ints, queries: int) -> RowLists:
    """Lists from pairs in any order; a pair that stands twice counts once.

    Args:
        query_P: query of each pair.
        row_P: gallery row of each pair.
        queries: number of queries.
    """
    pairs = np.unique(np.stack([query_P, row_P], axis=1).astype(np.int64), axis=0)
    start = np.searchsorted(pairs[:, 0], np.arange(queries + 1))
    return RowLists(start.astype(np.int64), np.ascontiguousarray(pairs[:, 1]))


def of_ids(query_ids: Ints, gallery_ids: Ints) -> RowLists:
    """The rows that bear the query's id.

    Args:
        query_ids: (Q,).
        gallery_ids: (G,).
    """
    order = np.argsort(gallery_ids, kind="stable").astype(np.int64)
    first_Q = np.searchsorted(gallery_ids, query_ids, side="left", sorter=order)
    count_Q = np.searchsorted(gallery_ids, query_ids, side="right", sorter=order) - first_Q
    start_S = np.concatenate([[0], np.cumsum(count_Q)]).astype(np.int64)
    within_P = np.arange(start_S[-1]) - np.repeat(start_S[:-1], count_Q)
    return RowLists(start_S, order[np.repeat(first_Q, count_Q) + within_P])


def of_table(ids_QK: Ints, gallery_ids: Ints) -> RowLists:
    """The rows that bear one of the query's ids; -1 in the table means nothing.

    Args:
        ids_QK: (Q, K), padded with -1.
        gallery_ids: (G,).
    """
    query, column = np.nonzero(ids_QK != -1)
    found = of_ids(ids_QK[query, column], gallery_ids)
    return of_pairs(query[found.query_P], found.row_P, len(ids_QK))


def last_of(lists: RowLists) -> RowLists:
    """Each query's last row alone: what a script sees that looks ids up in a dictionary of rows."""
    there = lists.count_Q > 0
    start_S = np.concatenate([[0], np.cumsum(there)]).astype(np.int64)
    return RowLists(start_S, lists.row_P[lists.start_S[1:][there] - 1])


def within(query_xy: npt.NDArray[np.floating[Any]], gallery_xy: npt.NDArray[np.floating[Any]], metres: float) -> RowLists:
    """The rows no farther than some metres in the plane.

    Args:
        query_xy: (Q, 2) metres.
        gallery_xy: (G, 2) metres.
        metres: included.
    """
    query_xy, gallery_xy = np.asarray(query_xy, np.float64), np.asarray(gallery_xy, np.float64)
    # the tree's own sums may round the limit away: it looks a little farther, and the distance is taken again
    near = cKDTree(gallery_xy).query_ball_point(query_xy, metres * (1 + 1e-9) + 1e-9)
    query_P = np.repeat(np.arange(len(query_xy)), [len(rows) for rows in near])
    row_P = np.fromiter((row for rows in near for row in rows), np.int64, len(query_P))
    offset = query_xy[query_P] - gallery_xy[row_P]
    keep = np.sqrt(offset[:, 0] ** 2 + offset[:, 1] ** 2) <= metres
    return of_pairs(query_P[keep], row_P[keep], len(query_xy))
