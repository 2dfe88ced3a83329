"""Hard negatives: for every training pair the places that are most like its own, or nearest to it on the ground.

A table of neighbours is int32, (N, K): the numbers of K places for each of N pairs, nearest first, -1 where there are no more. It is all
that a sampler keeps between epochs, and what a killed run finds again on disk.

Axes: N pairs, P places, D entries of a descriptor, X axes of a position (2 in a plane, 3 in space), K neighbours, S places left out.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from crossfix.disk import write_bytes
from crossfix.errors import InputError, RunError
from crossfix.geo.geodesy import WGS84
from crossfix.index.nearest import Nearest
from crossfix.index.similarity import Similarity, View

Table = npt.NDArray[np.int32]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

_TIE_M = 1e-6  # distances nearer to each other than the arithmetic is good for
_MOST_TIES = 4096
_CHUNK = 1 << 20  # neighbours looked up at a time


def most_similar(
    query_ND: Floats, place_PD: Floats, left_out_NS: Ints, k: int, *, progress: Callable[[int, int], None] | None = None
) -> Table:
    """The places most like each query by cosine, exactly: as a full sort in float64 would have them.

    The matrix of cosines passes by in blocks; what is kept grows with N K. Of places that are equally similar (to 1e-9) the one with the
    lower number stands first. Only a collapsed model can spoil this: where more than 4,096 places beyond k are so alike that a float32
    product need not tell them from the k-th, the best of the float32 products are looked at.

    Args:
        query_ND: descriptors, of any length but zero.
        place_PD: likewise.
        left_out_NS: places not to be found for each query, such as its own; -1 stands for none.
        k: how many neighbours.
        progress: told the queries done and all of them.

    Returns:
        The table of neighbours, (N, k).

    Raises:
        InputError: where k or a shape makes no sense.
        RunError: where a descriptor is NaN, infinite or zero.
    """
    _check(query_ND, place_PD, left_out_NS, k)
    similarity = Similarity(query_ND, place_PD)
    for name, norm in (("query", similarity.query_norm_QR[:, 0]), ("place", similarity.gallery_norm_G)):
        bad = np.flatnonzero(~(np.isfinite(norm) & (norm > 0)))
        if len(bad):
            mend = "lower the learning rate, or look at its pictures"
            raise RunError(f"the descriptor of {name} {bad[0]} is NaN, infinite or zero", where="mining", mend=mend)
    nearest = Nearest(View(similarity, unit=True), k + left_out_NS.shape[1], lambda query_N, row_N: -row_N)
    for block in similarity.blocks(progress):
        nearest.take(block)
    return _without(nearest.rows(), left_out_NS, k)


def nearest_on_ground(query_NX: Floats, place_PX: Floats, left_out_NS: Ints, k: int) -> Table:
    """The places nearest to each query by straight distance.

    Of places equally far (to a micrometre) the one with the lower number stands first; of more than 4,096 beyond k at one distance, any.

    Args:
        query_NX: positions in metres, in a plane (N, 2) or, from `in_space`, (N, 3).
        place_PX: likewise.
        left_out_NS: places not to be found for each query, such as its own; -1 stands for none.
        k: how many neighbours.

    Returns:
        The table of neighbours, (N, k).

    Raises:
        InputError: where k or a shape makes no sense, or a position is not finite.
    """
    _check(query_NX, place_PX, left_out_NS, k)
    for name, position in (("query", query_NX), ("place", place_PX)):
        bad = np.flatnonzero(~np.isfinite(position).all(axis=1))
        if len(bad):
            raise InputError(f"the position of {name} {bad[0]} is not finite", where="mining", mend="take it out or give its position")
    tree = cKDTree(np.asarray(place_PX, np.float64))
    wanted = min(k + left_out_NS.shape[1], len(place_PX))
    found_NK = np.empty((len(query_NX), wanted), np.int64)
    todo, width = np.arange(len(query_NX)), min(wanted + 8, len(place_PX))
    widest = min(wanted + _MOST_TIES, len(place_PX))
    while len(todo):
        late = []
        step = max(1, _CHUNK // width)
        for first in range(0, len(todo), step):
            part = todo[first : first + step]
            distance_CW, row_CW = tree.query(np.asarray(query_NX[part], np.float64), k=np.arange(1, width + 1))
            # the tree cuts ties as it likes: look farther until the last one found lies behind all that count
            settled_C = (distance_CW[:, -1] > distance_CW[:, wanted - 1] + 2 * _TIE_M) | (width == widest)
            order = np.lexsort((row_CW, np.round(distance_CW / _TIE_M)), axis=1)[:, :wanted]
            found_NK[part] = np.take_along_axis(row_CW, order, axis=1)
            late.append(part[~settled_C])
        todo, width = np.concatenate(late), min(2 * width, widest)
    return _without(found_NK, left_out_NS, k)


def in_space(lonlat_N2: Floats) -> npt.NDArray[np.float64]:
    """Positions on the ellipsoid in metres from the Earth's middle, (N, 3).

    Straight distances between them put neighbours in the order of geodesic ones, but for differences under a millimetre within 30 km.

    Args:
        lonlat_N2: lon and lat in degrees, WGS 84.
    """
    lon_N, lat_N = np.radians(np.asarray(lonlat_N2, np.float64)).T
    across_N = WGS84.a / np.sqrt(1 - WGS84.es * np.sin(lat_N) ** 2)
    flat_N = across_N * np.cos(lat_N)
    return np.stack([flat_N * np.cos(lon_N), flat_N * np.sin(lon_N), across_N * (1 - WGS84.es) * np.sin(lat_N)], axis=1)


def write_neighbours(path: Path, near_NK: Table) -> None:
    """Write a table of neighbours as npy, atomically.

    Raises:
        DiskError: where the disk is full or the folder cannot be written.
    """
    content = io.BytesIO()
    np.save(content, near_NK.astype("<i4"), allow_pickle=False)
    write_bytes(path, content.getvalue())


def read_neighbours(path: Path, pairs: int, k: int, places: int) -> Table:
    """Read a table of neighbours.

    Args:
        path: of the file.
        pairs: N that it must have.
        k: likewise.
        places: that there are.

    Raises:
        RunError: where it is missing, damaged, or of another run.
    """
    mend = "start again in an empty folder"
    try:
        with path.open("rb") as file:
            table = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"cannot be read ({error})", where=path, mend=mend) from error
    if table.dtype != np.dtype("<i4") or table.shape != (pairs, k):
        raise RunError(f"is no table of {k} neighbours for {pairs} pairs", where=path, mend=mend)
    if table.size and (int(table.min()) < -1 or int(table.max()) >= places):
        raise RunError(f"names places that are none of the {places}", where=path, mend=mend)
    return table.astype(np.int32)


def _check(query: Floats, place: Floats, left_out_NS: Ints, k: int) -> None:
    if k < 1:
        raise InputError(f"{k} neighbours cannot be searched", where="mining", mend="ask for at least one")
    if query.ndim != 2 or place.ndim != 2 or query.shape[1] != place.shape[1] or not len(place):
        raise InputError(f"queries {query.shape} and places {place.shape} do not fit", where="mining", mend="give (N, D) and (P, D)")
    if left_out_NS.ndim != 2 or len(left_out_NS) != len(query):
        raise InputError(f"left_out_NS of shape {left_out_NS.shape} for {len(query)} queries", where="mining", mend="give (N, S)")


def _without(found_NW: npt.NDArray[np.int64], left_out_NS: Ints, k: int) -> Table:
    """The first k of each row that are not to be left out, padded with -1."""
    keep_NW = np.ones(found_NW.shape, bool)
    for column_N in left_out_NS.T:
        keep_NW &= found_NW != column_N[:, None]
    place_NW = np.cumsum(keep_NW, axis=1) - 1
    keep_NW &= place_NW < k
    table_NK = np.full((len(found_NW), k), -1, np.int32)
    row_M, column_M = np.nonzero(keep_NW)
    table_NK[row_M, place_NW[row_M, column_M]] = found_NW[row_M, column_M]
    return table_NK
