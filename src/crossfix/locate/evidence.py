"""What the map says about each candidate: a dense correlation, a registration, and the components they add to the posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfix.geo.geodesy import LocalFrame
from crossfix.locate import correlate
from crossfix.locate.correlate import Peak
from crossfix.locate.crops import Crops, Grid
from crossfix.locate.features import Extractor, Features
from crossfix.locate.posterior import TEMPERATURE, Component
from crossfix.locate.query import Query, View, transform
from crossfix.locate.register import Expectation, Registration, register
from crossfix.locate.retrieve import Hit, supposed_headings

Matrix = npt.NDArray[np.float64]

VIEW_FEATURES = 2000
SCANNED = 6
REFINED = 4
REGISTERED = 5
CLEAR_CASE = 2
CLEAR_FACTOR = 2.0
SURE_INLIERS = 45
_TURN_TOLERANCE_DEG = 20.0
_KNOWN_SCALE_FACTOR = 1.5
_UNKNOWN_SCALE_FACTOR = 2.2


@dataclass(frozen=True)
class Dense:
    """A correlation peak on the ground.

    Attributes:
        peak: as measured.
        grid: of the crop.
        side_m: ground side the query square was supposed to have at scale 1.
    """

    peak: Peak
    grid: Grid
    side_m: float


@dataclass(frozen=True)
class Laid:
    """A registration on the ground.

    Attributes:
        registration: as measured.
        grid: of the crop.
        to_local: 3x3 homography from photo pixels to east and north in metres from the crop's centre.
        pixels: (n, 2) inliers in photo pixels.
        ground: (n, 2) the same on the ground, metres from the crop's centre.
        middle: the photo's centre in the view that was registered.
        turned_deg: heading by which that view had been turned.
    """

    registration: Registration
    grid: Grid
    to_local: Matrix
    pixels: Matrix
    ground: Matrix
    middle: tuple[float, float]
    turned_deg: float


def scan(query: Query, crops: Crops, lon: float, lat: float, reach_m: float) -> list[tuple[float, float]]:
    """Places of a whole region where the photo's edges fall well: what retrieval missed, where the region is small enough to look.

    Args:
        query: the photo.
        crops: of the map.
        lon: the region's middle, degrees.
        lat: the region's middle, degrees.
        reach_m: half of its side.

    Returns:
        Lon and lat of the best places; empty where the scale is unknown or the region too large.
    """
    if query.side_m is None:
        return []
    region = crops.region(lon, lat, reach_m, query.side_m, correlate.COARSE_PX)
    if region is None:
        return []
    grid, target = region
    headings = None if query.heading_deg is None else supposed_headings(query)
    scales = (1.0,) if headings is None else (0.96, 1.04)
    found = correlate.strongest(query, target, correlate.trials(headings, scales), SCANNED)
    local = grid.local(np.array([(x, y) for x, y, _ in found]).reshape(-1, 2))
    return [grid.frame.to_lonlat(float(east), float(north)) for east, north in local]


def correlate_all(query: Query, hits: list[Hit], crops: Crops) -> list[Dense | None]:
    """Correlates the photo with all candidates coarsely and with the best of them finely.

    Args:
        query: the photo.
        hits: the candidates.
        crops: of the map.

    Returns:
        One result a candidate, None where too little of the map lies there.
    """
    headings = None if query.heading_deg is None else supposed_headings(query)
    scales = correlate.SCALES if query.side_m is not None else (correlate.WIDE_SCALES if headings is not None else (0.87, 1.0, 1.15))
    sides = [query.side_m or hit.side_m for hit in hits]
    coarse = [crops.target(hit.lon, hit.lat, side, correlate.COARSE_PX) for hit, side in zip(hits, sides, strict=True)]
    peaks = correlate.correlate(query, [target for _, target in coarse], correlate.trials(headings, scales))
    found: list[Dense | None] = [
        None if peak is None else Dense(peak, grid, side) for peak, (grid, _), side in zip(peaks, coarse, sides, strict=True)
    ]
    order = sorted((k for k, peak in enumerate(peaks) if peak is not None), key=lambda k: -_strength(found[k]))
    for k in order[:REFINED]:
        before = found[k]
        assert before is not None
        grid, target = crops.target(hits[k].lon, hits[k].lat, sides[k], correlate.TEMPLATE_PX)
        fine = correlate.correlate(query, [target], correlate.refinements(before.peak))[0]
        if fine is not None:
            found[k] = Dense(fine, grid, sides[k])
    # Sharper pictures have other scores; peaks of candidates that were not looked at finely are not comparable with those that were.
    return [dense if k in order[:REFINED] else None for k, dense in enumerate(found)]


def register_all(query: Query, hits: list[Hit], dense: list[Dense | None], crops: Crops, extractor: Extractor) -> list[Laid | None]:
    """Registers the photo on the most promising candidates until one is beyond doubt.

    Args:
        query: the photo.
        hits: the candidates.
        dense: their correlations, which give the order and, to features without direction, the heading.
        crops: of the map.
        extractor: of local features.

    Returns:
        One result a candidate, None where not tried or not found.
    """
    laid: list[Laid | None] = [None] * len(hits)
    views: dict[tuple[int, int], tuple[View, Features]] = {}
    order = sorted(range(len(hits)), key=lambda k: (-_strength(dense[k]), k))
    for k in order[: _tries([_strength(dense[k]) for k in order])]:
        side = query.side_m or hits[k].side_m
        peak = dense[k]
        if query.side_m is None and peak is not None:
            side *= peak.peak.scale
        grid, features = crops.features(hits[k].lon, hits[k].lat, side)
        headings = None if query.heading_deg is None else tuple(supposed_headings(query))
        turned = 0.0
        if extractor.upright:
            turned = peak.peak.heading_deg if peak is not None else hits[k].heading_deg
            headings = (0.0,)
        key = (round(side / grid.gsd_m), round(turned))
        if key not in views:
            view = query.view(*key)
            views[key] = view, extractor.extract(view.pixels, view.valid, VIEW_FEATURES)
        view, own = views[key]
        expected = Expectation(
            headings,
            _TURN_TOLERANCE_DEG,
            1.0,
            _KNOWN_SCALE_FACTOR if query.side_m is not None else _UNKNOWN_SCALE_FACTOR,
            query.rectified or query.steep,
        )
        size = (view.pixels.shape[1], view.pixels.shape[0])
        made = register(own, features, expected, size, view.centre_xy)
        if made is None:
            continue
        to_local = grid.to_local() @ made.to_target @ np.linalg.inv(view.to_photo)
        laid[k] = Laid(made, grid, to_local, transform(view.to_photo, made.source), grid.local(made.target), view.centre_xy, float(key[1]))
        if made.inliers >= SURE_INLIERS and made.inliers > 0.15 * made.matches:
            break
    return laid


def components(
    query: Query, hits: list[Hit], dense: list[Dense | None], laid: list[Laid | None], frame: LocalFrame, map_gsd_m: float
) -> list[Component]:
    """All evidence in the map's frame.

    Args:
        query: the photo.
        hits: the candidates.
        dense: their correlations.
        laid: their registrations.
        frame: the map's.
        map_gsd_m: ground length of a map pixel, below which no position is believed.
    """
    parts: list[Component] = []
    for k, hit in enumerate(hits):
        looks = (hit.score - hits[0].score) / TEMPERATURE
        sigma = 0.35 * hit.side_m
        parts.append(Component(np.array([hit.east_m, hit.north_m]), sigma**2 * np.eye(2), looks, "retrieval", k))
        peak, registered = dense[k], laid[k]
        if peak is not None:
            sigma = max(peak.peak.sigma_px * peak.grid.gsd_m, map_gsd_m, 0.02 * peak.side_m)
            weight = 0.25 * looks + min(max(1.2 * (peak.peak.psr - 6.0), -4.0), 12.0)
            place = in_frame(peak.grid, peak.grid.local(np.array([peak.peak.xy])), frame)[0]
            parts.append(Component(place, sigma**2 * np.eye(2), weight, "correlation", k))
        if registered is not None:
            covariance = centre_covariance(registered, map_gsd_m)
            weight = 0.25 * looks + 4.0 + min(0.4 * (registered.registration.inliers - 8), 20.0)
            place = in_frame(registered.grid, transform(registered.to_local, [photo_centre(query)]), frame)[0]
            parts.append(Component(place, covariance, weight, "registration", k))
    return parts


def centre_covariance(laid: Laid, map_gsd_m: float) -> Matrix:
    """Covariance (2, 2) of the registered photo centre, east and north in square metres."""
    covariance = laid.registration.covariance_px2(laid.middle, map_gsd_m / laid.grid.gsd_m)
    flip = np.diag([laid.grid.gsd_m, -laid.grid.gsd_m])
    return np.asarray(flip @ covariance @ flip)


def photo_centre(query: Query) -> tuple[float, float]:
    """The middle of the picture in photo pixels."""
    height, width = query.photo.pixels.shape[:2]
    return (width - 1) / 2, (height - 1) / 2


def in_frame(grid: Grid, local_n2: Matrix, frame: LocalFrame) -> Matrix:
    """Points (n, 2) from a crop's local metres to those of another frame."""
    lon, lat = grid.frame.to_lonlat(local_n2[:, 0], local_n2[:, 1])
    east, north = frame.to_local(lon, lat)
    return np.column_stack([east, north])


def _tries(strengths: list[float]) -> int:
    """How many candidates to register: few where one stands out, for each costs the features of a crop."""
    clear = strengths[0] > 0 and all(other < strengths[0] / CLEAR_FACTOR for other in strengths[1:])
    return CLEAR_CASE if clear else REGISTERED


def _strength(dense: Dense | None) -> float:
    """Order of promise: normalised correlation times its peak's standing."""
    return -math.inf if dense is None else dense.peak.score * dense.peak.psr
