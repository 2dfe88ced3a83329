"""From a photo and an indexed map to a fix."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.geo.geodesy import LocalFrame
from crossfix.geo.photo import Photo, Prior
from crossfix.index.store import Describes, MapIndex
from crossfix.locate import confidence
from crossfix.locate.crops import Crops
from crossfix.locate.evidence import Dense, Laid, components, correlate_all, in_frame, register_all, scan
from crossfix.locate.features import extractor
from crossfix.locate.fix import Candidate, Fix
from crossfix.locate.measure import measure, reason_against
from crossfix.locate.pose import Pose, solve_pose, upper_edge_bearing
from crossfix.locate.posterior import Mode, combine, radius95, spread
from crossfix.locate.query import Query
from crossfix.locate.retrieve import Described, Hit, describe, hit_at, retrieve, same_place

Matrix = npt.NDArray[np.float64]

DEFAULT_RADIUS_M = 150.0
NADIR_TOLERANCE_DEG = 5.0
_POSE_HEIGHT_FACTOR = 1.4
_POSE_TILT_DEG = 12.0
# Standard deviations of the camera's tilt as a gimbal tells it, and as a plane fitted to uneven ground gives it (both measured on
# Brighton: 1.9 degrees on average, and 3.5).
_GIMBAL_TILT_DEG = 2.0
_PLANE_TILT_DEG = 3.5


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
        described = describe(query, self._describer)
        hits = retrieve(query, described, self._index, self._map.frame, top=self._top, near=near)
        if not hits:
            where = "" if near is None else f" within {near[2]:.0f} m of {near[1]:.5f}, {near[0]:.5f} (lat, lon)"
            raise InputError(
                f"the map has no chip{where}", where=photo.name, mend="give another position, a larger --radius-m or --ignore-gps"
            )
        candidates = tuple(Candidate(k + 1, hit.lon, hit.lat, hit.side_m, hit.score) for k, hit in enumerate(hits))
        hits = hits + self._missed(query, described, hits, near)
        dense = correlate_all(query, hits, self._crops)
        laid = register_all(query, hits, dense, self._crops, self._extractor)
        parts = components(query, hits, dense, laid, self._map.frame, self._map.gsd_m)
        merge = 0.05 * (query.side_m or hits[0].side_m)
        modes = combine(parts, belief, merge)
        return self._conclude(query, prior, candidates, hits, dense, laid, modes, time.monotonic() - start)

    def _missed(self, query: Query, described: Described, hits: list[Hit], near: tuple[float, float, float] | None) -> list[Hit]:
        """Further candidates from looking at the whole map, or the whole of where the prior allows, if that is small."""
        frame = self._map.frame
        width, height = self._map.size_m
        region = (frame.lon, frame.lat, max(width, height) / 2)
        if near is not None and near[2] < region[2]:
            region = near
        further: list[Hit] = []
        for lon, lat in scan(query, self._crops, *region):
            hit = hit_at(query, described, self._index, frame, lon, lat)
            if hit is not None and not any(same_place(hit, other, True) for other in hits + further):
                further.append(hit)
        return further

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
        candidates: tuple[Candidate, ...],
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
        if prior.fov_deg is None and camera is not None and prior.height_m is not None:
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
            candidates=candidates,
            prior=prior,
            seconds=seconds,
            features=features,
            camera_radius95_m=None if camera is None else _camera_radius95(covariance, prior, registered is not None),
        )

    def _camera(
        self, query: Query, prior: Prior, laid: Laid | None, dense: Dense | None, centre: tuple[float, float]
    ) -> tuple[tuple[float, float] | None, float | None]:
        """The camera's lon and lat, and the heading; None for what is not known."""
        height_px, width_px = query.photo.pixels.shape[:2]
        heading = None if dense is None else dense.peak.heading_deg
        solved: Pose | None = None
        if laid is not None:
            heading = upper_edge_bearing(laid.to_local, width_px, height_px)
            if prior.fov_deg is not None:
                solved = solve_pose(laid.pixels, laid.ground, prior.fov_deg.value, width_px, height_px)
                if solved is not None and not _believable(solved, prior):
                    solved = None
        frame = LocalFrame(*centre)
        believed = _from_centre(query, prior, heading)
        if laid is None or solved is None:
            return None if believed is None else _lonlat(frame, believed), heading
        place = in_frame(laid.grid, np.array([[solved.east_m, solved.north_m]]), frame)[0]
        if believed is not None:
            share = _GIMBAL_TILT_DEG**-2 / (_GIMBAL_TILT_DEG**-2 + _PLANE_TILT_DEG**-2)
            place = (1 - share) * place + share * believed
        return _lonlat(frame, place), solved.heading_deg


def _from_centre(query: Query, prior: Prior, heading_deg: float | None) -> Matrix | None:
    """East and north of the camera from the photo's centre by believed pitch and height; None if they do not tell."""
    if prior.pitch_deg is None:
        return None
    away = reach_m(prior)
    if abs(prior.pitch_deg.value + 90.0) <= NADIR_TOLERANCE_DEG and (away is None or heading_deg is None):
        return np.zeros(2)
    if away is None or heading_deg is None:
        return None
    return -away * np.array([math.sin(math.radians(heading_deg)), math.cos(math.radians(heading_deg))])


def _camera_radius95(covariance: Matrix, prior: Prior, registered: bool) -> float | None:
    """Radius in metres of the camera's 95 % circle: the centre's covariance (2, 2) in m2, widened by the tilt; None without a height."""
    if prior.height_m is None:
        return None
    if prior.pitch_deg is None:
        tilt_deg = _PLANE_TILT_DEG
    else:
        tilt_deg = (_GIMBAL_TILT_DEG**-2 + _PLANE_TILT_DEG**-2) ** -0.5 if registered else _GIMBAL_TILT_DEG
    # The ground under the view axis moves by height / sin(pitch)^2 for each radian of tilt.
    steep = math.sin(math.radians(max(-prior.pitch_deg.value, 5.0))) if prior.pitch_deg is not None else 1.0
    slip_m = prior.height_m.value / steep**2 * math.radians(tilt_deg)
    return radius95(covariance + slip_m**2 * np.eye(2))


def _lonlat(frame: LocalFrame, place: Matrix) -> tuple[float, float]:
    lon, lat = frame.to_lonlat(float(place[0]), float(place[1]))
    return float(lon), float(lat)


def reach_m(prior: Prior) -> float | None:
    """Ground distance from below the camera to the photo's centre; None where pitch or height is unknown or the view nearly level."""
    if prior.pitch_deg is None or prior.height_m is None or prior.pitch_deg.value > -5.0:
        return None
    return prior.height_m.value / math.tan(math.radians(min(-prior.pitch_deg.value, 90.0)))


def _believable(pose: Pose, prior: Prior) -> bool:
    """Whether a solved pose agrees with the prior; few inliers in a corner of the picture can tilt a camera anywhere."""
    if prior.height_m is not None and not 1 / _POSE_HEIGHT_FACTOR < pose.up_m / prior.height_m.value < _POSE_HEIGHT_FACTOR:
        return False
    return prior.pitch_deg is None or abs(pose.pitch_deg - prior.pitch_deg.value) < _POSE_TILT_DEG
