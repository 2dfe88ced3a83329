"""Fits a photo's view onto a map crop: consensus of local features, a robust homography, and checks that it can be a camera's.

All geometry is in pixels of the two pictures, x right and y down in both: coordinates are small, and a true motion never mirrors
(OpenCV's USAC estimators reject samples that change handedness).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.locate.consensus import agreeing, fit_similarity
from crossfix.locate.features import Features, match
from crossfix.locate.query import transform

Matrix = npt.NDArray[np.float64]

MIN_INLIERS = 10
MIN_DISTINCT = 7
HOMOGRAPHY_INLIERS = 18
THRESHOLD_PX = 3.0
_SEED = 7


@dataclass(frozen=True)
class Expectation:
    """What a registration may look like.

    Attributes:
        turns_deg: expected turns from view to crop, None if any is possible.
        turn_tolerance_deg: how far the turn may be from the nearest expected one.
        scale: expected ratio of crop pixels to view pixels.
        scale_factor: the scale may be this many times larger or smaller.
        rigid: the view shows the ground from straight above, so that a similarity is nearly right.
    """

    turns_deg: tuple[float, ...] | None
    turn_tolerance_deg: float
    scale: float
    scale_factor: float
    rigid: bool


@dataclass(frozen=True)
class Registration:
    """A view laid on a map crop.

    Attributes:
        to_target: 3x3 homography from view pixels to crop pixels.
        model: the family it was fitted in.
        source: (n, 2) inliers in the view.
        target: (n, 2) the same in the crop.
        matches: number of matches before the consensus.
        residual_px: root mean square distance of the inliers in the crop.
        turn_deg: turn at the view's middle, clockwise.
        scale: crop pixels a view pixel at the view's middle.
        spread: share of the view's longer side that the inliers span.
    """

    to_target: Matrix
    model: Literal["homography", "similarity"]
    source: Matrix
    target: Matrix
    matches: int
    residual_px: float
    turn_deg: float
    scale: float
    spread: float

    @property
    def inliers(self) -> int:
        """Number of inliers."""
        return len(self.source)

    def covariance_px2(self, point: tuple[float, float], floor_px: float) -> Matrix:
        """Covariance of where a view point comes to lie in the crop, from the residuals.

        Args:
            point: in the view.
            floor_px: standard deviation below which no registration is believed.

        Returns:
            (2, 2) in squared crop pixels. Residuals of neighbouring inliers are not independent (relief, lens, map seams), so their
            number counts as its square root's multiple only: the covariance of the fit is scaled by sqrt(n).
        """
        names = 8 if self.model == "homography" else 4
        params = _params(self.to_target, self.model)
        jacobian = np.empty((2 * len(self.source), names))
        at_point = np.empty((2, names))
        for k in range(names):
            step = np.zeros(names)
            step[k] = 1e-5 * max(abs(params[k]), 1e-4)
            high, low = _matrix(params + step, self.model), _matrix(params - step, self.model)
            jacobian[:, k] = ((transform(high, self.source) - transform(low, self.source)) / (2 * step[k])).ravel()
            at_point[:, k] = ((transform(high, [point]) - transform(low, [point])) / (2 * step[k])).ravel()
        count = len(self.source)
        variance = self.residual_px**2 * count / max(2 * count - names, 1)
        scale = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-12)
        inverse = np.linalg.pinv((jacobian / scale).T @ (jacobian / scale)) / np.outer(scale, scale)
        covariance = variance * math.sqrt(count) * (at_point @ inverse @ at_point.T)
        return np.asarray(covariance + floor_px**2 * np.eye(2))


def register(
    view: Features, crop: Features, expected: Expectation, size: tuple[int, int], middle: tuple[float, float]
) -> Registration | None:
    """Finds how a view lies on a crop.

    Args:
        view: its features.
        crop: the crop's features.
        expected: what is possible.
        size: the view's width and height in pixels.
        middle: view point at which turn and scale are taken, the photo's centre.

    Returns:
        None if nothing passes the checks: at least `MIN_INLIERS` inliers on `MIN_DISTINCT` distinct spots, turn and scale as expected, no
        mirroring, no fold, corners in convex order and not far from where the similarity of the inliers puts them.
    """
    matches = match(view, crop)
    longest = max(size)
    tolerance = (0.02 if expected.rigid else 0.05) * longest * expected.scale + THRESHOLD_PX
    chosen = agreeing(
        matches,
        turns_deg=expected.turns_deg,
        turn_tolerance_deg=expected.turn_tolerance_deg + 15.0,
        log_scale=math.log(expected.scale),
        log_scale_tolerance=math.log(expected.scale_factor) + 0.25,
        tolerance_px=tolerance,
    )
    source, target = matches.source[chosen], matches.target[chosen]
    best: Registration | None = None
    for model in ("homography", "similarity"):
        fitted = _homography(source, target) if model == "homography" else _similarity(source, target)
        if fitted is None:
            continue
        to_target, inside = fitted
        made = _judge(to_target, model, source[inside], target[inside], len(matches), size, middle)
        if made is None or not _allowed(made, expected, size):
            continue
        needed = HOMOGRAPHY_INLIERS if made.model == "homography" and expected.rigid else MIN_INLIERS
        if made.inliers >= needed and (best is None or made.inliers > 1.25 * best.inliers):
            best = made
    return best


def _homography(source: Matrix, target: Matrix) -> tuple[Matrix, npt.NDArray[np.bool_]] | None:
    if len(source) < 8:
        return None
    params = cv2.UsacParams()
    params.randomGeneratorState = _SEED
    params.threshold = THRESHOLD_PX
    params.confidence = 0.9999
    params.maxIterations = 3000
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.sampler = cv2.SAMPLING_UNIFORM
    params.loMethod = cv2.LOCAL_OPTIM_SIGMA
    params.loIterations = 10
    params.loSampleSize = 20
    params.final_polisher = cv2.MAGSAC
    params.final_polisher_iterations = 5
    try:
        found, mask = cv2.findHomography(source.astype(np.float32), target.astype(np.float32), params)
    except cv2.error:
        return None
    if found is None or not np.all(np.isfinite(found)) or abs(found[2, 2]) < 1e-9:
        return None
    inside = mask.ravel().astype(bool)
    if inside.sum() < 4:
        return None
    matrix = np.asarray(found, dtype=np.float64) / found[2, 2]
    return matrix, inside


def _similarity(source: Matrix, target: Matrix) -> tuple[Matrix, npt.NDArray[np.bool_]] | None:
    """Least squares on the members within the threshold, repeated until they stay the same."""
    if len(source) < 3:
        return None
    s, t = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    inside = np.ones(len(s), dtype=bool)
    for threshold in (4 * THRESHOLD_PX, 2 * THRESHOLD_PX, *[1.3 * THRESHOLD_PX] * 6):
        a, b = fit_similarity(s[inside], t[inside])
        error = np.abs(a * s + b - t)
        now = error <= threshold
        if now.sum() < 3:
            return None
        if threshold < 2 * THRESHOLD_PX and np.array_equal(now, inside):
            break
        inside = now
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]]), inside


def _judge(
    to_target: Matrix, model: str, source: Matrix, target: Matrix, matches: int, size: tuple[int, int], middle: tuple[float, float]
) -> Registration | None:
    """Measures a fit; None if it rests on too few distinct spots."""
    spots = len(np.unique(np.round(source / 4.0), axis=0))
    if len(source) < MIN_INLIERS or spots < MIN_DISTINCT:
        return None
    x, y = middle
    a, b, c = transform(to_target, [(x, y), (x + 1, y), (x, y + 1)])
    jacobian = np.column_stack([b - a, c - a])
    determinant = float(np.linalg.det(jacobian))
    if not np.isfinite(determinant) or determinant <= 0:
        return None
    # The turn nearest to a matrix in the least-squares sense.
    turn_deg = math.degrees(math.atan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1]))
    residual = float(np.sqrt(np.mean(np.sum((transform(to_target, source) - target) ** 2, axis=1))))
    centred = source - source.mean(axis=0)
    along = np.linalg.svd(centred, full_matrices=False)[2]
    extents = np.ptp(centred @ along.T, axis=0)
    family: Literal["homography", "similarity"] = "homography" if model == "homography" else "similarity"
    return Registration(
        to_target, family, source, target, matches, residual, turn_deg, math.sqrt(determinant), float(extents.min() / max(size))
    )


def _allowed(made: Registration, expected: Expectation, size: tuple[int, int]) -> bool:
    """Whether a camera could have taken this."""
    if abs(math.log(made.scale / expected.scale)) > math.log(expected.scale_factor):
        return False
    if expected.turns_deg is not None:
        off = min(abs((made.turn_deg - turn + 180.0) % 360.0 - 180.0) for turn in expected.turns_deg)
        if off > expected.turn_tolerance_deg:
            return False
    if made.spread < 0.03:
        return False
    # Part of the picture may lie off the map, so corners can be extrapolated far: shrink to the hull of the inliers, doubled.
    low, high = made.source.min(axis=0), made.source.max(axis=0)
    margin = (high - low) / 2
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, np.array(size) - 1.0)
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    depth = np.column_stack([corners, np.ones(4)]) @ made.to_target[2]
    if np.any(depth * depth[0] <= 0):
        return False
    mapped = transform(made.to_target, corners)
    edges = np.roll(mapped, -1, axis=0) - mapped
    after = np.roll(edges, -1, axis=0)
    if np.any(edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0] <= 0):
        return False
    lengths = np.linalg.norm(edges, axis=1) / np.maximum(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1), 1e-9)
    ratio = float(lengths.max() / max(lengths.min(), 1e-9))
    return ratio < (1.6 if expected.rigid else 6.0)


def _params(matrix: Matrix, model: str) -> Matrix:
    if model == "homography":
        return np.asarray((matrix / matrix[2, 2]).ravel()[:8])
    return np.array([matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]])


def _matrix(params: Matrix, model: str) -> Matrix:
    if model == "homography":
        return np.append(params, 1.0).reshape(3, 3)
    a, b, x, y = params
    return np.array([[a, -b, x], [b, a, y], [0.0, 0.0, 1.0]])
