"""From a photo and an indexed map to a fix."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.geo.photo import Photo, Prior
from crossfix.index.store import Describes, MapIndex
from crossfix.locate import confidence
from crossfix.locate.crops import Crops
from crossfix.locate.evidence import Dense, Laid, components, correlate_all, register_all
from crossfix.locate.features import extractor
from crossfix.locate.fix import Candidate, Fix
from crossfix.locate.measure import measure, reason_against
from crossfix.locate.pose import solve_pose, upper_edge_bearing
from crossfix.locate.posterior import Mode, combine, radius95, spread
from crossfix.locate.query import Query
from crossfix.locate.retrieve import Hit, retrieve

Matrix = npt.NDArray[np.float64]

DEFAULT_RADIUS_M = 150.0
NADIR_TOLERANCE_DEG = 5.0
_POSE_HEIGHT_FACTOR = 1.4
_POSE_TILT_DEG = 12.0


class Locator:
    """Locates photos on one map.

    Args:
        index: the map's index; its rasters are read again for registration.
        describer: the model the index was built with.
        top: candidates to look at closely.
        matcher: ``sift`` or ``xfeat``.
        matcher_weights: file with the weights of ``xfeat``.
        model: of the confidence; the bundled one by default.

    Raises:
        MapIndexError: another model built the index, or its rasters are gone.
        InputError: see :func:`crossfix.locate.features.extractor`.
    """

    def __init__(
        self,
        index: MapIndex,
        describer: Describes,
        *,
        top: int = 10,
        matcher: str = "sift",
        matcher_weights: Path | None = None,
        model: confidence.Model | None = None,
    ) -> None:
        if top < 1:
            raise InputError(f"{top} candidates are too few", where="--top", mend="ask for at least 1")
        index.check_model(describer)
        self._index, self._describer, self._top = index, describer, top
        self._map = index.geomap()
        self._extractor = extractor(matcher, matcher_weights)
        self._crops = Crops(self._map, self._extractor)
        self._model = model or confidence.bundled()

    def locate(self, photo: Photo, prior: Prior | None = None) -> Fix:
        """Locates one photo.

        Args:
            photo: the photo.
            prior: what to believe of its camera instead of what the photo says of itself.

        Raises:
            PhotoError: the photo holds nothing to match.
            InputError: no part of the map lies near the position believed.
        """
        start = time.monotonic()
        prior = photo.prior if prior is None else prior
        query = Query.prepare(photo, prior)
        belief = self._believed_centre(query, prior)
        near = None if belief is None else self._near(belief)
        hits = retrieve(query, self._index, self._describer, self._map.frame, top=self._top, near=near)
        if not hits:
            where = "" if near is None else f" within {near[2]:.0f} m of {near[1]:.5f}, {near[0]:.5f} (lat, lon)"
            raise InputError(
                f"the map has no chip{where}", where=photo.name, mend="give another position, a larger --radius-m or --ignore-gps"
            )
        dense = correlate_all(query, hits, self._crops)
        laid = register_all(query, hits, dense, self._crops, self._extractor)
        parts = components(query, hits, dense, laid, self._map.frame, self._map.gsd_m)
        merge = 0.05 * (query.side_m or hits[0].side_m)
        modes = combine(parts, belief, merge)
        return self._conclude(query, prior, hits, dense, laid, modes, time.monotonic() - start)

    def _believed_centre(self, query: Query, prior: Prior) -> tuple[Matrix, Matrix] | None:
        """Mean and covariance of where the prior puts the photo's centre, in the map's frame."""
        if prior.lon is None or prior.lat is None:
            return None
        east, north = self._map.frame.to_local(prior.lon.value, prior.lat.value)
        sigma = (DEFAULT_RADIUS_M if prior.radius_m is None else max(prior.radius_m.value, 1.0)) / 2
        away = reach_m(prior)
        mean = np.array([float(east), float(north)])
        if away is None or away < 1.0:
            side = query.side_m or 0.0
            return mean, (sigma**2 + (0.1 * side) ** 2) * np.eye(2)
        if query.heading_deg is not None:
            bearing = math.radians(query.heading_deg)
            mean = mean + away * np.array([math.sin(bearing), math.cos(bearing)])
            return mean, (sigma**2 + (0.15 * away) ** 2) * np.eye(2)
        return mean, (sigma**2 + away**2) * np.eye(2)

    def _near(self, belief: tuple[Matrix, Matrix]) -> tuple[float, float, float]:
        """Circle in which the centre lies with 95 % by the prior: lon, lat, metres."""
        mean, covariance = belief
        lon, lat = self._map.frame.to_lonlat(float(mean[0]), float(mean[1]))
        return float(lon), float(lat), radius95(covariance)

    def _conclude(
        self,
        query: Query,
        prior: Prior,
        hits: list[Hit],
        dense: list[Dense | None],
        laid: list[Laid | None],
        modes: list[Mode],
        seconds: float,
    ) -> Fix:
        mode = modes[0]
        registered = laid[mode.candidate] if mode.method == "registration" else None
        peak = dense[mode.candidate] if mode.method == "correlation" else None
        features = measure(query, hits, dense, laid, modes, self._map.frame)
        sure = self._model.confidence(features)
        accepted = sure >= self._model.threshold and mode.method != "retrieval"
        covariance = mode.covariance if mode.mass > 0.5 or mode.method != "retrieval" else spread(modes)
        lon, lat = self._map.frame.to_lonlat(float(mode.mean[0]), float(mode.mean[1]))
        camera, heading = self._camera(query, prior, registered, peak, (float(lon), float(lat)))
        if camera == (lon, lat) and prior.height_m is not None:
            covariance = covariance + (prior.height_m.value * math.tan(math.radians(NADIR_TOLERANCE_DEG / 2))) ** 2 * np.eye(2)
        return Fix(
            photo=query.photo.name,
            lon=None if camera is None else camera[0],
            lat=None if camera is None else camera[1],
            centre_lon=float(lon),
            centre_lat=float(lat),
            radius95_m=radius95(covariance),
            covariance_m2=((float(covariance[0, 0]), float(covariance[0, 1])), (float(covariance[1, 0]), float(covariance[1, 1]))),
            heading_deg=heading,
            confidence=sure,
            accepted=accepted,
            reason=None if accepted else reason_against(features, mode, modes),
            method=mode.method,
            candidates=tuple(Candidate(k + 1, hit.lon, hit.lat, hit.side_m, hit.score) for k, hit in enumerate(hits)),
            prior=prior,
            seconds=seconds,
            features=features,
        )

    def _camera(
        self, query: Query, prior: Prior, laid: Laid | None, dense: Dense | None, centre: tuple[float, float]
    ) -> tuple[tuple[float, float] | None, float | None]:
        """The camera's lon and lat, and the heading; None for what is not known."""
        height_px, width_px = query.photo.pixels.shape[:2]
        heading: float | None = None
        if laid is not None:
            heading = upper_edge_bearing(laid.to_local, width_px, height_px)
            if prior.fov_deg is not None:
                pose = solve_pose(laid.pixels, laid.ground, prior.fov_deg.value, width_px, height_px)
                if pose is not None and _believable(pose.up_m, pose.pitch_deg, prior):
                    lon, lat = laid.grid.frame.to_lonlat(pose.east_m, pose.north_m)
                    return (float(lon), float(lat)), pose.heading_deg
        elif dense is not None:
            heading = dense.peak.heading_deg
        if prior.pitch_deg is None:
            return None, heading
        if abs(prior.pitch_deg.value + 90.0) <= NADIR_TOLERANCE_DEG:
            return centre, heading
        away = reach_m(prior)
        if away is None or heading is None or not query.rectified:
            return None, heading
        frame = type(self._map.frame)(*centre)
        lon, lat = frame.to_lonlat(-away * math.sin(math.radians(heading)), -away * math.cos(math.radians(heading)))
        return (float(lon), float(lat)), heading


def reach_m(prior: Prior) -> float | None:
    """Ground distance from below the camera to the photo's centre; None where pitch or height is unknown or the view nearly level."""
    if prior.pitch_deg is None or prior.height_m is None or prior.pitch_deg.value > -5.0:
        return None
    return prior.height_m.value / math.tan(math.radians(min(-prior.pitch_deg.value, 90.0)))


def _believable(up_m: float, pitch_deg: float, prior: Prior) -> bool:
    """Whether a solved pose agrees with the prior; few inliers in a corner of the picture can tilt a camera anywhere."""
    if prior.height_m is not None and not 1 / _POSE_HEIGHT_FACTOR < up_m / prior.height_m.value < _POSE_HEIGHT_FACTOR:
        return False
    return prior.pitch_deg is None or abs(pitch_deg - prior.pitch_deg.value) < _POSE_TILT_DEG
