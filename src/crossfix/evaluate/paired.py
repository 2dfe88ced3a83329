"""Is one model better than another? Both answered the same queries, so that their scores are compared query by query.

Axes: Q queries, M scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.retrieval import bootstrap_places

DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """The mean difference of a score, and the interval that holds it with 95 %."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves no doubt which one is better."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"difference": self.value, "interval95": [self.low, self.high], "excludes0": self.excludes_zero}


def differences(
    one_QM: npt.NDArray[np.float64],
    other_QM: npt.NDArray[np.float64],
    place_Q: npt.NDArray[np.integer[Any]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Difference]:
    """By how much the second scores above the first, with paired bootstrap intervals over places (percentile).

    A draw takes places with all their queries, the same for both: what makes a place hard for both cancels. This is the plain paired
    bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13) with places for units.

    Args:
        one_QM: scores of the first, a row a query.
        other_QM: of the second, the same queries in the same rows.
        place_Q: number of each query's place, 0 to places - 1.
        seed: of the draws.
        draws: how many.
        progress: told the draws done and all of them.

    Returns:
        One for each column.
    """
    apart_QM = other_QM - one_QM
    low_M, high_M = bootstrap_places(apart_QM, place_Q, seed, draws, progress)
    return [Difference(float(v), float(a), float(b)) for v, a, b in zip(apart_QM.mean(axis=0), low_M, high_M, strict=True)]
