"""Candidates: the chips of an index that look most like a photo, no two of them at the same place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfix.geo.geodesy import LocalFrame
from crossfix.index.search import search
from crossfix.index.store import Describes, MapIndex
from crossfix.locate.query import Query

SIDE_FACTORS = (0.6, 1.7)
HEADINGS_UNKNOWN = (0.0, 90.0, 180.0, 270.0)
_DEPTH = 8
_SEPARATION = 0.4
_SIDE_RATIO = 1.3


@dataclass(frozen=True)
class Hit:
    """A chip that resembles the photo.

    Attributes:
        row: of the index.
        lon: the chip's centre, degrees.
        lat: the chip's centre, degrees.
        east_m: the chip's centre in the map's frame.
        north_m: the chip's centre in the map's frame.
        side_m: the chip's side.
        score: cosine of the descriptors, the best over the headings tried.
        heading_deg: the heading it was reached with.
    """

    row: int
    lon: float
    lat: float
    east_m: float
    north_m: float
    side_m: float
    score: float
    heading_deg: float


def retrieve(
    query: Query,
    index: MapIndex,
    describer: Describes,
    frame: LocalFrame,
    *,
    top: int,
    near: tuple[float, float, float] | None,
) -> list[Hit]:
    """The best chips for a photo.

    Args:
        query: the photo.
        index: the map.
        describer: the model that the index was built with.
        frame: the map's frame.
        top: how many.
        near: lon, lat and radius in metres within which chips must have their centre, None for the whole map.

    Returns:
        At most `top` hits, best first. Two hits are at least 0.4 of the smaller side apart, or differ in side by a factor of 1.3
        (where the scale is unknown such chips stand for different scales).
    """
    squares = query.squares(describer.input_px, supposed_headings(query))
    descriptors_BD = describer.describe([square.pixels for square in squares])
    found = search(index, descriptors_BD, top * _DEPTH, near=near, sides_m=side_range(query, index))
    best: dict[int, tuple[float, float]] = {}
    for square, rows, scores in zip(squares, np.asarray(found.rows_BK), np.asarray(found.scores_BK), strict=True):
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            if row >= 0 and (row not in best or score > best[row][0]):
                best[row] = (float(score), square.heading_deg)
    order = sorted(best, key=lambda row: (-best[row][0], row))
    chips = index.chips
    taken: list[Hit] = []
    for row in order:
        lon, lat, side = float(chips.lon[row]), float(chips.lat[row]), float(chips.side_m[row])
        east, north = frame.to_local(lon, lat)
        hit = Hit(row, lon, lat, float(east), float(north), side, *best[row])
        if not any(_same_place(hit, other, query.side_m is not None) for other in taken):
            taken.append(hit)
        if len(taken) == top:
            break
    return taken


def supposed_headings(query: Query) -> list[float]:
    """Bearings of the plane's upper edge to try: the believed one and its opposite, or quarter turns.

    The opposite is tried because gimbals report a yaw half a turn off when they look straight down.
    """
    if query.heading_deg is None:
        return list(HEADINGS_UNKNOWN)
    if query.rectified:
        return [query.heading_deg]
    return [query.heading_deg, (query.heading_deg + 180.0) % 360.0]


def side_range(query: Query, index: MapIndex) -> tuple[float, float] | None:
    """Sides worth searching, None for all: near the footprint's, or the nearest the index has."""
    if query.side_m is None:
        return None
    sides = np.unique(np.asarray(index.chips.side_m))
    low, high = query.side_m * SIDE_FACTORS[0], query.side_m * SIDE_FACTORS[1]
    if len(sides) == 0 or np.any((sides >= low) & (sides <= high)):
        return low, high
    nearest = float(sides[np.argmin(np.abs(np.log(sides / query.side_m)))])
    return nearest * 0.999, nearest * 1.001


def _same_place(one: Hit, other: Hit, scale_known: bool) -> bool:
    ratio = max(one.side_m, other.side_m) / min(one.side_m, other.side_m)
    if not scale_known and ratio > _SIDE_RATIO:
        return False
    apart = float(np.hypot(one.east_m - other.east_m, one.north_m - other.north_m))
    return apart < _SEPARATION * min(one.side_m, other.side_m)
