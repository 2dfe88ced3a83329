"""What a reconstruction does to a cloud, as dials: noise, holes, outliers, how far it reaches."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.sampling import thin
from crossfix.errors import InputError

_HOLE_RADIUS = 0.06  # of the cloud's horizontal extent


@dataclass(frozen=True)
class Dials:
    """How a cloud is to be spoilt.

    Attributes:
        noise: standard deviation of each coordinate's error, in the cloud's units.
        holes: share of the points that is missing, in round pieces.
        outliers: share of the points that lies anywhere in the cloud's box.
        reach: no point further than this from the origin, measured level, in the cloud's units; None for all of them.
    """

    noise: float = 0.0
    holes: float = 0.0
    outliers: float = 0.0
    reach: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.noise < np.inf:
            raise InputError(f"noise of {self.noise:g}", mend="give a number of metres, 0 or more")
        for name, share in (("holes", self.holes), ("outliers", self.outliers)):
            if not 0 <= share < 1:
                raise InputError(f"{name} of {share:g}", mend="give a share from 0 to below 1")
        if self.reach is not None and not self.reach > 0:
            raise InputError(f"a reach of {self.reach:g}", mend="give a positive number of metres")

    def to_dict(self) -> dict[str, object]:
        """JSON values."""
        return asdict(self)


def degrade(cloud: Cloud, dials: Dials, points: int, rng: np.random.Generator) -> Cloud:
    """Crop, tear holes, thin, throw outliers in, shake; in this order.

    Args:
        cloud: exact.
        dials: how much of each.
        points: at most so many are left, outliers among them.
        rng: of all draws.

    Returns:
        A cloud in the same frame.

    Raises:
        DataError: nothing is left within the reach.
    """
    if dials.reach is not None:
        cloud = cloud.take(np.hypot(*cloud.xyz_N3[:, :2].T) <= dials.reach)
    if dials.holes:
        cloud = _torn(cloud, dials.holes, rng)
    cloud = thin(cloud, points, rng)
    xyz = cloud.xyz_N3.copy()
    if dials.outliers:
        low, high = xyz.min(axis=0), xyz.max(axis=0)
        stray = rng.choice(len(xyz), round(dials.outliers * len(xyz)), replace=False)
        xyz[stray] = rng.uniform(low, high, (len(stray), 3))
    if dials.noise:
        xyz += rng.normal(0, dials.noise, xyz.shape)
    return Cloud(xyz, cloud.rgb_N3, cloud.frame)


def _torn(cloud: Cloud, share: float, rng: np.random.Generator) -> Cloud:
    flat = cloud.xyz_N3[:, :2]
    tree = cKDTree(flat)
    radius = _HOLE_RADIUS * float(np.ptp(flat, axis=0).max())
    left, wanted = np.ones(len(cloud), bool), round(share * len(cloud))
    for middle in rng.permutation(len(cloud)):
        gone = int((~left).sum())
        if gone >= wanted:
            break
        if left[middle]:
            hole = np.asarray(tree.query_ball_point(flat[middle], radius))
            hole = hole[left[hole]]
            # The last hole is smaller, so that exactly the share is gone.
            nearest = np.argsort(((flat[hole] - flat[middle]) ** 2).sum(axis=1), kind="stable")
            left[hole[nearest[: wanted - gone]]] = False
    return cloud.take(left)
