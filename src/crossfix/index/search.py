"""Exact search: every descriptor is compared, in blocks of bounded memory, and equal scores never fall out at random.

Axes: B queries, N chips, D entries of a descriptor, K hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossfix.errors import InputError, MapIndexError, ModelError
from crossfix.geo.geodesy import check_lonlat, distance_m
from crossfix.index.shards import MEND
from crossfix.index.store import MapIndex
from crossfix.maps.chip import ChipTable

Rows: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float32]

BLOCK_ROWS = 8192
# Matrix products round differently by position in the matrix; rows this close to the last hit are compared again, each by itself.
ROUNDING = 1e-4
MAX_NEAR_TIES = 4096
METRES_PER_DEGREE_LAT = 110_500.0


@dataclass(frozen=True, eq=False)
class Hits:
    """The best chips of queries.

    Args:
        rows_BK: int64 rows of the index, best first; of equal scores the lower row first.
        scores_BK: float32 cosines. K is less than was asked for where fewer chips passed the filters.
    """

    rows_BK: Rows
    scores_BK: Scores


def search(
    index: MapIndex,
    query_BD: NDArray[np.floating],
    k: int,
    *,
    near: tuple[float, float, float] | None = None,
    sides_m: tuple[float, float] | None = None,
) -> Hits:
    """The chips most like some queries, by cosine.

    Args:
        index: the map.
        query_BD: (B, D) descriptors of unit norm.
        k: how many hits.
        near: lon, lat and radius in metres: only chips whose square can hold a point within the radius.
        sides_m: least and greatest side of the chips, in metres, both included.

    Returns:
        The hits; with K = 0 where no chip passes the filters.

    Raises:
        InputError: k, the position or the radius makes no sense.
        ModelError: a query is not finite or of another length than the index's descriptors.
        MapIndexError: the index is damaged.
    """
    query = np.ascontiguousarray(query_BD, dtype=np.float32)
    dim = index.descriptors.shape[1]
    if query.ndim != 2 or query.shape[1] != dim:
        raise ModelError(f"queries of shape {query.shape} do not fit descriptors of {dim} numbers", where=index.path)
    if not np.isfinite(query).all():
        raise ModelError("a query's descriptor is not finite", mend="leave that photo out")
    if k < 1:
        raise InputError(f"{k} hits cannot be searched", mend="ask for at least one")
    rows = _allowed(index.chips, near, sides_m)
    k = min(k, len(rows))
    best = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in query]
    if k == 0:
        return Hits(np.empty((len(query), 0), np.int64), np.empty((len(query), 0), np.float32))
    for start, desc_ND in index.descriptors.blocks():
        of_shard = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(desc_ND))]
        for at in range(0, len(of_shard), BLOCK_ROWS):
            block = of_shard[at : at + BLOCK_ROWS]
            scores_BN = query @ desc_ND[block - start].astype(np.float32).T
            if not np.isfinite(scores_BN).all():
                raise MapIndexError("a descriptor is not finite", where=index.path, mend=MEND)
            for number, scores in enumerate(scores_BN):
                best[number] = _merged(best[number], block, scores, k)
    hits = [_exact(index, one, found, k) for one, (found, _) in zip(query, best, strict=True)]
    return Hits(np.stack([found for found, _ in hits]), np.stack([scores for _, scores in hits]))


def _allowed(chips: ChipTable, near: tuple[float, float, float] | None, sides_m: tuple[float, float] | None) -> Rows:
    """Rows that pass the filters, ascending."""
    keep = np.ones(len(chips), dtype=bool)
    if sides_m is not None:
        keep &= (chips.side_m >= sides_m[0]) & (chips.side_m <= sides_m[1])
    if near is not None:
        lon, lat, radius_m = near
        check_lonlat(lon, lat)
        if not radius_m >= 0:
            raise InputError(f"a radius of {radius_m} m makes no sense", mend="give a positive number of metres")
        reach = radius_m + chips.side_m / np.sqrt(2)
        keep &= np.abs(chips.lat - lat) * METRES_PER_DEGREE_LAT <= reach
        inside = np.flatnonzero(keep)
        keep[inside] = distance_m(lon, lat, chips.lon[inside], chips.lat[inside]) <= reach[inside]
    return np.flatnonzero(keep).astype(np.int64)


def _merged(best: tuple[Rows, Scores], rows: Rows, scores: Scores, k: int) -> tuple[Rows, Scores]:
    """The k best so far and whatever rounding may have put behind them, in no order."""
    rows, scores = np.concatenate([best[0], rows]), np.concatenate([best[1], scores])
    if len(rows) <= k:
        return rows, scores
    kept = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k] - ROUNDING)
    if len(kept) > k + MAX_NEAR_TIES:
        kept = kept[np.lexsort((rows[kept], -scores[kept]))[: k + MAX_NEAR_TIES]]
    return rows[kept], scores[kept]


def _exact(index: MapIndex, query_D: NDArray[np.float32], rows: Rows, k: int) -> tuple[Rows, Scores]:
    rows = np.sort(rows)
    desc_ND = index.descriptors[rows].astype(np.float64)
    scores = (desc_ND * query_D.astype(np.float64)).sum(axis=1).astype(np.float32)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
