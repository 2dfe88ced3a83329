"""The logistic model and its threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from crossfix.errors import InputError
from crossfix.locate.confidence import FEATURES, Model, bundled, fit, threshold_for


def samples(seed: int = 0, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal([1, -2, 30], [0.5, 2, 10], (count, 3))
    logit = 2 * (features[:, 0] - 1) + 0.5 * (features[:, 1] + 2) + 0.3
    return features, rng.uniform(size=count) < 1 / (1 + np.exp(-logit))


def test_fit_is_the_minimum_of_the_penalised_likelihood() -> None:
    features, right = samples()
    ridge = 0.02
    intercept, weights = fit(features, right, ridge=ridge)
    mean, deviation = features.mean(axis=0), features.std(axis=0)

    def loss(beta: np.ndarray) -> float:
        logit = beta[0] + ((features - mean) / deviation) @ beta[1:]
        return float(np.sum(np.logaddexp(0, logit) - right * logit) + 0.5 * ridge * len(right) * np.sum(beta[1:] ** 2))

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(weights, best[1:] / deviation, rtol=1e-4, atol=1e-6)
    assert intercept == pytest.approx(best[0] - np.sum(best[1:] * mean / deviation), rel=1e-4)


def test_separable_samples_stay_finite() -> None:
    features = np.concatenate([np.full((20, 1), -1.0), np.full((20, 1), 1.0)])
    intercept, weights = fit(features, features[:, 0] > 0)
    assert np.isfinite(intercept)
    assert 0 < weights[0] < 100


def test_weights_against_their_sense_are_dropped() -> None:
    features, right = samples()
    _, free = fit(features, right)
    intercept, bound = fit(features, right, signs=(1, -1, 1))
    assert free[1] > 0
    assert bound[1] == 0
    alone, weights = fit(features[:, [0, 2]], right, signs=(1, 1))
    np.testing.assert_allclose(bound[[0, 2]], weights, atol=1e-9)
    assert intercept == pytest.approx(alone)


def test_one_kind_of_samples_is_refused() -> None:
    features, _ = samples()
    with pytest.raises(InputError, match="right and wrong"):
        fit(features, np.ones(len(features), bool))


def test_threshold_reaches_the_precision() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(size=2000)
    right = rng.uniform(size=2000) < confidence
    threshold = threshold_for(confidence, right, precision=0.95, margin=0.0)
    assert right[confidence >= threshold].mean() >= 0.95
    assert threshold_for(confidence, right, precision=0.95, margin=0.5) > threshold


def test_threshold_where_nothing_is_precise_accepts_nothing() -> None:
    confidence = np.linspace(0.1, 0.99, 50)
    assert threshold_for(confidence, np.zeros(50, bool)) > 0.999


def test_bundled_model_grows_with_the_evidence() -> None:
    model = bundled()
    nothing = dict.fromkeys(FEATURES, 0.0)
    strong = {
        **nothing,
        "log_inliers": 5.0,
        "inlier_ratio": 0.6,
        "psr": 18.0,
        "psr_margin": 12.0,
        "agreement": 1.0,
        "mass": 1.0,
    }
    assert model.confidence(nothing) < 0.1
    assert model.confidence(strong) > 0.95
    assert 0.5 <= model.threshold < 1
    assert "how" in model.provenance


def test_model_survives_json() -> None:
    model = bundled()
    told = model.to_dict()
    again = Model(told["intercept"], np.array([told["weights"][name] for name in FEATURES]), told["threshold"], told["provenance"])
    assert again.confidence(dict.fromkeys(FEATURES, 0.3)) == model.confidence(dict.fromkeys(FEATURES, 0.3))
