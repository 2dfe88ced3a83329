"""Distances between where a query is and where the images found for it are, and the published scores made of them.

Axes: Q queries, K images found for a query, best first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.geo.geodesy import distance_m

Doubles = npt.NDArray[np.float64]
Distance = Callable[[Doubles, Doubles], Doubles]
"""Positions (N, 2) and (N, 2) to distances (N,)."""

EQUATOR_M = 6378137.0
METRES_PER_DEGREE = EQUATOR_M * np.pi / 180


def geodesic_m(one_N2: Doubles, other_N2: Doubles) -> Doubles:
    """Metres along the WGS 84 ellipsoid between lon/lat in degrees."""
    return distance_m(one_N2[:, 0], one_N2[:, 1], other_N2[:, 0], other_N2[:, 1])


def plane_m(one_N2: Doubles, other_N2: Doubles) -> Doubles:
    """Metres between points of a plane in metres."""
    offset = other_N2 - one_N2
    distance: Doubles = np.sqrt(offset[:, 0] ** 2 + offset[:, 1] ** 2)
    return distance


def sphere_m(one_N2: Doubles, other_N2: Doubles) -> Doubles:
    """Metres between lon/lat in degrees on a sphere of 6,378,137 m by the haversine formula, as DenseUAV's MA@K has it."""
    (lon1, lat1), (lon2, lat2) = np.radians(one_N2).T, np.radians(other_N2).T
    half = np.sin((lat1 - lat2) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon1 - lon2) / 2) ** 2
    distance: Doubles = EQUATOR_M * 2 * np.arcsin(np.sqrt(half))
    return distance


def flat_degrees(one_N2: Doubles, other_N2: Doubles) -> Doubles:
    """Root of the summed squares of the differences of lon and lat in degrees, in float32, as DenseUAV's SDM@K has it.

    A degree east counts as much as a degree north at every latitude, and float32 holds a longitude of 120 to 0.7 m.
    """
    offset = other_N2.astype(np.float32) - one_N2.astype(np.float32)
    return np.sqrt(offset[:, 0] * offset[:, 0] + offset[:, 1] * offset[:, 1]).astype(np.float64)


def found(query_Q2: npt.NDArray[np.floating[Any]], gallery_G2: npt.NDArray[np.floating[Any]], row_QK: Any, by: Distance) -> Doubles:  # noqa: ANN401
    """Distances of each query to the images found for it.

    Args:
        query_Q2: positions of the queries.
        gallery_G2: positions of the gallery images.
        row_QK: rows of the images found.
        by: how distance is measured.

    Returns:
        (Q, K).
    """
    queries, k = row_QK.shape
    one = np.repeat(np.asarray(query_Q2, np.float64), k, axis=0)
    return by(one, np.asarray(gallery_G2, np.float64)[row_QK.reshape(-1)]).reshape(queries, k)


def sdm(distance_QK: Doubles, k: int, decay: float) -> Doubles:
    """Spatial distance metric: the mean of exp(-decay d) over the first k, the i-th of them (from 0) with the weight k - i.

    Args:
        distance_QK: (Q, K), K at least k.
        k: how many count.
        decay: of one unit of distance: 5000 a degree in DenseUAV's evaluateDistance.py, 0.001 a metre in GTA-UAV's evaluate/gta.py.

    Returns:
        (Q,) in [0, 1].
    """
    weight = np.arange(k, 0, -1, dtype=np.float64)
    score: Doubles = np.exp(-decay * distance_QK[:, :k]) @ weight / weight.sum()
    return score
