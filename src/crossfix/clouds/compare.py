"""How far two clouds are from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from crossfix.clouds.cloud import Points
from crossfix.errors import DataError


@dataclass(frozen=True)
class CloudDistance:
    """Distances in the units of the clouds.

    Attributes:
        accuracy: mean distance of an estimated point from the nearest true one.
        accuracy_median: likewise, the median, which outliers do not move.
        completeness: mean distance of a true point from the nearest estimated one.
        completeness_median: likewise.
        precision: share of estimated points within each threshold of a true one.
        recall: share of true points within each threshold of an estimated one.
    """

    accuracy: float
    accuracy_median: float
    completeness: float
    completeness_median: float
    precision: dict[float, float]
    recall: dict[float, float]

    @property
    def chamfer(self) -> float:
        """Mean of accuracy and completeness: distances, not their squares."""
        return (self.accuracy + self.completeness) / 2

    def f_score(self, threshold: float) -> float:
        """Harmonic mean of precision and recall (Knapitsch et al., Tanks and Temples, ACM TOG 2017)."""
        precision, recall = self.precision[threshold], self.recall[threshold]
        return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)

    def to_dict(self) -> dict[str, object]:
        """JSON values."""
        shares = {f"{t:g}": {"precision": self.precision[t], "recall": self.recall[t], "f": self.f_score(t)} for t in self.precision}
        names = ("accuracy", "accuracy_median", "completeness", "completeness_median", "chamfer")
        return {**{name: getattr(self, name) for name in names}, "within": shares}


def compare(estimated_N3: Points, true_M3: Points, thresholds: Sequence[float] = ()) -> CloudDistance:
    """Compare a cloud with the true one, in the same frame.

    Args:
        estimated_N3: (N, 3).
        true_M3: (M, 3).
        thresholds: in the units of the clouds.

    Raises:
        DataError: a cloud is empty or holds NaN.
    """
    for name, cloud in (("estimated", estimated_N3), ("true", true_M3)):
        if not len(cloud) or not np.isfinite(cloud).all():
            raise DataError(f"the {name} cloud is empty or holds NaN")
    to_true: npt.NDArray[np.float64] = cKDTree(true_M3).query(estimated_N3)[0]
    to_estimated: npt.NDArray[np.float64] = cKDTree(estimated_N3).query(true_M3)[0]
    return CloudDistance(
        float(to_true.mean()),
        float(np.median(to_true)),
        float(to_estimated.mean()),
        float(np.median(to_estimated)),
        {t: float((to_true <= t).mean()) for t in thresholds},
        {t: float((to_estimated <= t).mean()) for t in thresholds},
    )
