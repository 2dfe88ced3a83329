"""Is one model better than another? Both answered the same queries, so that their scores are compared query by query.

Axes: Q queries, M scores, N draws, T tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.retrieval import bootstrap_means

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
    tables: Sequence[npt.NDArray[np.float64]],
    place_Q: npt.NDArray[np.integer[Any]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[tuple[int, int], list[Difference]]:
    """By how much each table scores above each one before it, with paired bootstrap intervals over places (percentile).

    A draw takes places with all their queries, the same for all tables: what makes a place hard for all cancels. This is the plain paired
    bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13) with places for units.

    Args:
        tables: of each model the scores, (Q, M), the same queries in the same rows.
        place_Q: number of each query's place, 0 to places - 1.
        seed: of the draws.
        draws: how many.
        progress: told the draws done and all of them.

    Returns:
        By numbers of two tables one difference for each column, the later less the earlier.
    """
    columns = tables[0].shape[1]
    draw_NTM = bootstrap_means(np.concatenate(tables, axis=1), place_Q, seed, draws, progress).reshape(draws, len(tables), columns)
    found = {}
    for one, other in combinations(range(len(tables)), 2):
        value_M = (tables[other] - tables[one]).mean(axis=0)
        low_M, high_M = np.quantile(draw_NTM[:, other] - draw_NTM[:, one], [0.025, 0.975], axis=0)
        found[one, other] = [Difference(float(v), float(a), float(b)) for v, a, b in zip(value_M, low_M, high_M, strict=True)]
    return found
