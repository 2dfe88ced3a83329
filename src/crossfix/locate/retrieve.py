"""Candidates: the chips of an index that look most like a photo, no two of them at the same place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True)
class Described:
    """A photo's descriptors.

    Attributes:
        headings_deg: bearing of the plane's upper edge supposed for each.
        descriptors_BD: (B, D) unit norm.
    """

    headings_deg: tuple[float, ...]
    descriptors_BD: npt.NDArray[np.float32]


def describe(query: Query, describer: Describes) -> Described:
    """Describes a photo at all supposed headings.

    Args:
        query: the photo.
        describer: the model that the index was built with.
    """
    squares = query.squares(describer.input_px, supposed_headings(query))
    return Described(tuple(s.heading_deg for s in squares), describer.describe([square.pixels for square in squares], kind="query"))


def retrieve(
    query: Query, described: Described, index: MapIndex, frame: LocalFrame, *, top: int, near: tuple[float, float, float] | None
) -> list[Hit]:
    """The best chips for a photo.

    Args:
        query: the photo.
        described: its descriptors.
        index: the map.
        frame: the map's frame.
        top: how many.
        near: lon, lat and radius in metres that a chip must reach, None for the whole map.

    Returns:
        At most `top` hits, best first. Two hits are at least 0.4 of the smaller side apart, or differ in side by a factor of 1.3
        (where the scale is unknown such chips stand for different scales).
    """
    found = search(index, described.descriptors_BD, top * _DEPTH, near=near, sides_m=side_range(query, index))
    best: dict[int, tuple[float, float]] = {}
    for heading, rows, scores in zip(described.headings_deg, found.rows_BK, found.scores_BK, strict=True):
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            if row not in best or score > best[row][0]:
                best[row] = (float(score), heading)
    taken: list[Hit] = []
    for row in sorted(best, key=lambda row: (-best[row][0], row)):
        hit = _hit(index, frame, row, *best[row])
        if not any(same_place(hit, other, query.side_m is not None) for other in taken):
            taken.append(hit)
        if len(taken) == top:
            break
    return taken


def hit_at(query: Query, described: Described, index: MapIndex, frame: LocalFrame, lon: float, lat: float) -> Hit | None:
    """The chip nearest to a place, of the side nearest to the photo's, as a hit with its score.

    Args:
        query: the photo, of known scale.
        described: its descriptors.
        index: the map.
        frame: the map's frame.
        lon: the place, degrees.
        lat: the place, degrees.

    Returns:
        None if no chip holds the place.
    """
    chips = index.chips
    if query.side_m is None or len(chips) == 0:
        return None
    sides = np.unique(chips.side_m)
    side = float(sides[np.argmin(np.abs(np.log(sides / query.side_m)))])
    rows = np.flatnonzero(chips.side_m == side)
    east, north = LocalFrame(lon, lat).to_local(chips.lon[rows], chips.lat[rows])
    away = np.hypot(east, north)
    nearest = int(np.argmin(away))
    if away[nearest] > 0.75 * side:
        return None
    scores = described.descriptors_BD @ index.descriptors[rows[nearest : nearest + 1]][0].astype(np.float32)
    best = int(np.argmax(scores))
    return _hit(index, frame, int(rows[nearest]), float(scores[best]), described.headings_deg[best])


def _hit(index: MapIndex, frame: LocalFrame, row: int, score: float, heading_deg: float) -> Hit:
    lon, lat = float(index.chips.lon[row]), float(index.chips.lat[row])
    east, north = frame.to_local(lon, lat)
    return Hit(row, lon, lat, float(east), float(north), float(index.chips.side_m[row]), score, heading_deg)


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


def same_place(one: Hit, other: Hit, scale_known: bool) -> bool:
    """Whether two hits are one candidate."""
    ratio = max(one.side_m, other.side_m) / min(one.side_m, other.side_m)
    if not scale_known and ratio > _SIDE_RATIO:
        return False
    apart = float(np.hypot(one.east_m - other.east_m, one.north_m - other.north_m))
    return apart < _SEPARATION * min(one.side_m, other.side_m)
