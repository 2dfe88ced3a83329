"""One posterior over position: what retrieval, registration, correlation and the prior say, as a mixture of Gaussians in metres.

Each piece of evidence is a component: a mean, a covariance and a log weight. The weights are log odds that such evidence is right, so
that a registration of many inliers outweighs any retrieval score, and the prior multiplies every component by how well it agrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Method = Literal["registration", "correlation", "retrieval"]

RADIUS95_PER_SIGMA = 2.4477
TEMPERATURE = 0.03
OUTLIER_LOG_DENSITY = -12.0
_TRUST = {"registration": 3, "correlation": 2, "retrieval": 1}


@dataclass(frozen=True)
class Component:
    """One piece of evidence for where the photo's centre lies.

    Attributes:
        mean: (2,) east and north in the map's frame, metres.
        covariance: (2, 2) square metres.
        log_weight: unnormalised.
        method: which step it comes from.
        candidate: the candidate it belongs to.
    """

    mean: Matrix
    covariance: Matrix
    log_weight: float
    method: Method
    candidate: int


@dataclass(frozen=True)
class Mode:
    """Components that mean the same place.

    Attributes:
        mean: (2,) east and north, metres.
        covariance: (2, 2) square metres.
        mass: its share of the posterior.
        method: the most exact step that is in it.
        candidate: the candidate of its strongest component of that step.
    """

    mean: Matrix
    covariance: Matrix
    mass: float
    method: Method
    candidate: int

    @property
    def radius95_m(self) -> float:
        """Radius of the circle about the mean that holds 95 % of the mode."""
        return radius95(self.covariance)


def radius95(covariance: Matrix) -> float:
    """Radius in metres of the circle that holds 95 % of a centred Gaussian of two dimensions.

    Exact for equal axes and for a line; between them interpolated (error below 1 %, checked by sampling in the tests).
    """
    low, high = (math.sqrt(max(float(value), 0.0)) for value in np.linalg.eigvalsh(covariance))
    if high <= 0:
        return 0.0
    return high * (1.96 + (RADIUS95_PER_SIGMA - 1.96) * float((low / high) ** 2.2))


def combine(components: list[Component], prior: tuple[Matrix, Matrix] | None, merge_m: float) -> list[Mode]:
    """The posterior's modes, heaviest first.

    Args:
        components: the evidence, at least one.
        prior: mean (2,) and covariance (2, 2) of where the centre is believed to lie.
        merge_m: components nearer than this, or than their own spread, to a mode's heaviest belong to it.
    """
    weights = np.array([_log_weight(c, prior) for c in components])
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    left = sorted(range(len(components)), key=lambda k: (-weights[k], k))
    modes: list[Mode] = []
    while left:
        head = components[left[0]]
        members = [k for k in left if _together(head, components[k], merge_m)]
        left = [k for k in left if k not in members]
        trust = max(_TRUST[components[k].method] for k in members)
        exact = [k for k in members if _TRUST[components[k].method] == trust]
        strongest = max(exact, key=lambda k: (weights[k], -k))
        mean, covariance = _moments([components[k] for k in exact], weights[exact], components[strongest])
        if prior is not None and components[strongest].method == "retrieval":
            mean, covariance = _product(mean, covariance, *prior)
        mass = float(weights[members].sum())
        modes.append(Mode(mean, covariance, mass, components[strongest].method, components[strongest].candidate))
    return sorted(modes, key=lambda mode: -mode.mass)


def spread(modes: list[Mode]) -> Matrix:
    """Covariance (2, 2) about the first mode's mean of the whole posterior: the honest one where nothing decided between the modes."""
    total = np.zeros((2, 2))
    for mode in modes:
        away = mode.mean - modes[0].mean
        total += mode.mass * (mode.covariance + np.outer(away, away))
    return total


def _log_weight(component: Component, prior: tuple[Matrix, Matrix] | None) -> float:
    if prior is None:
        return component.log_weight
    mean, covariance = prior
    joint = covariance + component.covariance
    away = component.mean - mean
    density = -0.5 * float(away @ np.linalg.solve(joint, away)) - 0.5 * math.log(float(np.linalg.det(joint) / np.linalg.det(covariance)))
    # A prior can be wrong altogether: it never rules a place out more than an outlier would.
    return float(component.log_weight + np.logaddexp(density, OUTLIER_LOG_DENSITY))


def _together(head: Component, other: Component, merge_m: float) -> bool:
    away = other.mean - head.mean
    if float(np.hypot(*away)) <= merge_m:
        return True
    return float(away @ np.linalg.solve(head.covariance + other.covariance, away)) < 6.0


def _moments(parts: list[Component], weights: Matrix, strongest: Component) -> tuple[Matrix, Matrix]:
    """Mean and covariance of members of one step; of a precise step the strongest speaks alone, the others only repeat it."""
    if strongest.method == "registration":
        return strongest.mean, strongest.covariance
    share = weights / weights.sum()
    mean = sum((s * p.mean for s, p in zip(share, parts, strict=True)), np.zeros(2))
    covariance = np.zeros((2, 2))
    for s, part in zip(share, parts, strict=True):
        away = part.mean - mean
        covariance += s * (part.covariance + np.outer(away, away))
    return mean, covariance


def _product(mean: Matrix, covariance: Matrix, prior_mean: Matrix, prior_covariance: Matrix) -> tuple[Matrix, Matrix]:
    gain = covariance @ np.linalg.inv(covariance + prior_covariance)
    return mean + gain @ (prior_mean - mean), covariance - gain @ covariance
