"""How sure a fix is: a logistic model of the evidence, fitted on worlds, with a threshold for acceptance.

The coefficients lie in `confidence.json` beside this module, with how they were fitted; `benchmarks/fit_confidence.py` writes them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError

Floats = npt.NDArray[np.float64]

FEATURES = (
    "log_inliers",
    "inlier_ratio",
    "psr",
    "psr_margin",
    "agreement",
    "margin",
    "mass",
    "scale_off",
    "heading_off",
)
"""Names of the evidence, in the order of the coefficients.

log_inliers: natural logarithm of 1 + inliers of the winning place's registration (0 without one). inlier_ratio: inliers to matches.
psr: peak to side lobes of its correlation, psr_margin: the same less the best at another place. agreement: 1 if registration and
correlation put the photo's centre at one point. margin: cosine of the best candidate less that of the next one elsewhere (the cosine
itself is left out: each model has a range of its own). mass: share of the posterior at the winning place. scale_off: absolute logarithm
of measured to expected scale (0 if unknown). heading_off: absolute difference of measured to believed heading or its opposite, in units
of 10 degrees (0 if unknown).
"""
COEFFICIENTS = Path(__file__).with_name("confidence.json")
_RIDGE = 1e-2


@dataclass(frozen=True)
class Model:
    """A logistic model.

    Attributes:
        intercept: log odds where all features are zero.
        weights: by the order of :data:`FEATURES`.
        threshold: confidence from which a fix is accepted.
        provenance: how it was fitted.
    """

    intercept: float
    weights: Floats
    threshold: float
    provenance: dict[str, Any]

    def confidence(self, features: dict[str, float]) -> float:
        """Probability, 0 to 1, that a fix of these features is right."""
        logit = self.intercept + float(self.weights @ as_vector(features))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "intercept": self.intercept,
            "weights": dict(zip(FEATURES, self.weights.tolist(), strict=True)),
            "threshold": self.threshold,
            "provenance": self.provenance,
        }


@cache
def bundled() -> Model:
    """The model that comes with the package."""
    told = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    weights = np.array([float(told["weights"][name]) for name in FEATURES])
    return Model(float(told["intercept"]), weights, float(told["threshold"]), told["provenance"])


def as_vector(features: dict[str, float]) -> Floats:
    """Features in the order of :data:`FEATURES`."""
    return np.array([features[name] for name in FEATURES], dtype=np.float64)


def fit(
    features_NF: Floats, right_N: npt.NDArray[np.bool_], *, ridge: float = _RIDGE, signs: tuple[int, ...] | None = None
) -> tuple[float, Floats]:
    """Logistic regression by iteratively reweighted least squares with an L2 penalty on standardised weights.

    Args:
        features_NF: (N, F) evidence.
        right_N: (N,) whether the fix was right.
        ridge: penalty a sample; it keeps separable data finite.
        signs: by feature +1 or -1 where only that direction makes sense; a weight of the other sign is set to zero and the rest refitted.

    Returns:
        The intercept and the (F,) weights, for features as they are.

    Raises:
        InputError: fewer than two samples of either kind, or values that are not finite.
    """
    if right_N.sum() < 2 or (~right_N).sum() < 2:
        raise InputError("a confidence cannot be fitted without right and wrong fixes", mend="take more or harder photos")
    if not np.all(np.isfinite(features_NF)):
        raise InputError("the evidence to fit holds values that are not finite")
    mean, deviation = features_NF.mean(axis=0), features_NF.std(axis=0)
    deviation = np.where(deviation < 1e-9, 1.0, deviation)
    standard = (features_NF - mean) / deviation
    active = np.ones(features_NF.shape[1], dtype=bool)
    while True:
        weights = np.zeros(features_NF.shape[1])
        solved = _irls(standard[:, active], right_N.astype(np.float64), ridge)
        weights[active] = solved[1:]
        against = active & (weights * np.array(signs) < 0) if signs is not None else np.zeros_like(active)
        if not against.any():
            break
        active &= ~against
    weights = weights / deviation
    return float(solved[0] - weights @ mean), weights


def threshold_for(confidence_N: Floats, right_N: npt.NDArray[np.bool_], *, precision: float = 0.99, margin: float = 0.5) -> float:
    """The lowest threshold whose accepted fixes reach a precision, moved towards 1 by a safety margin.

    Args:
        confidence_N: (N,) of the fitted model.
        right_N: (N,) whether the fix was right.
        precision: of the accepted among the samples.
        margin: added to the threshold's log odds.

    Returns:
        A confidence; 0.5 at least.
    """
    order = np.argsort(-confidence_N, kind="stable")
    precise = np.cumsum(right_N[order]) / np.arange(1, len(order) + 1) >= precision
    lowest = float(confidence_N[order][np.flatnonzero(precise)[-1]]) if precise.any() else 1.0 - 1e-9
    lowest = min(max(lowest, 0.5), 1.0 - 1e-9)
    return 1.0 / (1.0 + math.exp(-(math.log(lowest / (1.0 - lowest)) + margin)))


def _irls(design: Floats, right: Floats, ridge: float) -> Floats:
    x = np.column_stack([np.ones(len(design)), design])
    penalty = np.diag([0.0, *[ridge * len(design)] * design.shape[1]]) + 1e-9 * np.eye(design.shape[1] + 1)
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = np.maximum(p * (1 - p), 1e-9)
        step = np.linalg.solve(x.T @ (x * slope[:, None]) + penalty, x.T @ (right - p) - penalty @ beta)
        beta = beta + np.clip(step, -3, 3)
        if float(np.abs(step).max()) < 1e-9:
            break
    return np.asarray(beta)
