"""Similarities between clouds: the least-squares one of matched points, and the turn that lays a cloud level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossfix.clouds.cloud import Cloud, Points
from crossfix.errors import DataError

_ROUNDS = 5
_KEEP_SIGMAS = 2.5


@dataclass(frozen=True, eq=False)
class Similarity:
    """``to = scale * rotation @ from + shift``.

    Attributes:
        scale: positive.
        rotation_33: a proper rotation.
        shift_3: in the units of the target.
    """

    scale: float
    rotation_33: Points
    shift_3: Points

    def apply(self, xyz_N3: npt.NDArray[np.floating]) -> Points:
        """Points in the target's frame, (N, 3)."""
        return np.asarray(self.scale * (xyz_N3 @ self.rotation_33.T) + self.shift_3)

    def inverse(self) -> Similarity:
        """The way back."""
        back = self.rotation_33.T
        return Similarity(1 / self.scale, back, -(back @ self.shift_3) / self.scale)


def umeyama(
    from_N3: npt.NDArray[np.floating], to_N3: npt.NDArray[np.floating], weight_N: npt.NDArray[np.floating] | None = None
) -> Similarity:
    """The similarity that takes points nearest to their partners, in least squares.

    Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, IEEE TPAMI 13(4), 1991, eq. 34-43;
    with weights, means and covariances are the weighted ones. Never a reflection.

    Args:
        from_N3: (N, 3) points.
        to_N3: (N, 3) their partners.
        weight_N: (N,) not negative; all the same if none are given.

    Raises:
        DataError: fewer than three points, or all on one line: the rotation is not determined.
    """
    source, target = np.asarray(from_N3, np.float64), np.asarray(to_N3, np.float64)
    weight = np.ones(len(source)) if weight_N is None else np.asarray(weight_N, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3 or weight.shape != (len(source),):
        raise DataError(f"points of shapes {source.shape} and {target.shape} cannot be aligned")
    if (weight > 0).sum() < 3 or not (np.isfinite(source).all() and np.isfinite(target).all() and np.isfinite(weight).all()):
        raise DataError(
            f"{int((weight > 0).sum())} matched points, some perhaps NaN, cannot be aligned", mend="three finite ones are needed"
        )
    weight = weight / weight.sum()
    source_mean, target_mean = weight @ source, weight @ target
    source_c, target_c = source - source_mean, target - target_mean
    covariance = (target_c * weight[:, None]).T @ source_c
    left, singular, right = np.linalg.svd(covariance)
    if singular[1] <= 1e-9 * singular[0]:
        raise DataError("the matched points lie on a line", mend="match points that span a plane")
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = (left * sign) @ right
    scale = float(singular @ sign / (weight @ (source_c**2).sum(axis=1)))
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def level(xyz_N3: Points, seen_from_N3: Points | None = None) -> Points:
    """The rotation that lays a cloud's main plane level, z up.

    The plane is fitted to the points by least squares, again and again without those that lie far off it. Where the ground slopes, "level"
    is along the slope. The heading stays as near to the cloud's as it can.

    Args:
        xyz_N3: (N, 3) a cloud of a place seen from above.
        seen_from_N3: (C, 3) cameras, which are above; without them up is where the fewer, taller things are: a town is flat with towers,
            not with pits.

    Returns:
        (3, 3) from the cloud's axes to level ones.
    """
    kept = xyz_N3
    normal, middle = np.array([0.0, 0.0, 1.0]), np.median(xyz_N3, axis=0)
    for _ in range(_ROUNDS):
        middle = kept.mean(axis=0)
        centred = kept - middle
        normal = np.linalg.eigh(centred.T @ centred)[1][:, 0]
        height = (xyz_N3 - middle) @ normal
        spread = 1.4826 * float(np.median(np.abs(height - np.median(height))))
        near = np.abs(height - np.median(height)) <= _KEEP_SIGMAS * spread
        if near.sum() < 3:
            break
        kept = xyz_N3[near]
    if seen_from_N3 is not None and len(seen_from_N3):
        up = float(np.median((seen_from_N3 - middle) @ normal))
    else:
        height = (xyz_N3 - middle) @ normal
        low, mid, high = np.quantile(height, [0.02, 0.5, 0.98])
        up = float((high - mid) - (mid - low))
    z = -normal if up < 0 else normal
    axis = np.eye(3)[int(np.argmin(np.abs(z)))] if abs(z[0]) > 0.9 else np.array([1.0, 0.0, 0.0])
    x = axis - (axis @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def upright(cloud: Cloud) -> Cloud:
    """A cloud whose z points up: one of frame "free" is laid level, see `level`, without cameras; others are as they are."""
    return replace(cloud, xyz_N3=cloud.xyz_N3 @ level(cloud.xyz_N3).T, frame="level") if cloud.frame == "free" else cloud
