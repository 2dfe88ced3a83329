"""Consensus, homography and its checks, on views through exact homographies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfix.locate.consensus import agreeing, fit_similarity
from crossfix.locate.features import Features, Matches, Sift, match
from crossfix.locate.query import transform
from crossfix.locate.register import Expectation, Registration, register
from places import ground, motion, seen

ANY = Expectation(None, 20.0, 1.0, 2.2, rigid=False)


def features(pixels: np.ndarray, limit: int = 1500) -> Features:
    return Sift().extract(pixels, np.ones(pixels.shape[:2], bool), limit)


@pytest.fixture(scope="module")
def place() -> np.ndarray:
    return ground(600, seed=1)


@pytest.fixture(scope="module")
def place_features(place: np.ndarray) -> Features:
    return features(place, 3000)


@pytest.mark.parametrize(("turn", "scale"), [(0, 1.0), (47, 0.9), (180, 1.1), (-130, 1.6)])
def test_similarity_is_found_to_a_fraction_of_a_pixel(place: np.ndarray, place_features: Features, turn: float, scale: float) -> None:
    true = motion(turn, scale, (149.5, 109.5), (310.3, 280.7))
    view = seen(place, true, (300, 220))
    expected = Expectation((float(turn),), 20.0, 1.0, 2.2, rigid=True)
    found = register(features(view), place_features, expected, (300, 220), (149.5, 109.5))
    assert found is not None
    np.testing.assert_allclose(transform(found.to_target, [(149.5, 109.5)])[0], [310.3, 280.7], atol=0.3)
    assert found.scale == pytest.approx(scale, rel=0.01)
    assert abs((found.turn_deg - turn + 180) % 360 - 180) < 0.5
    assert found.inliers > 30


def test_perspective_is_found(place: np.ndarray, place_features: Features) -> None:
    true = motion(30, 1.0, (150, 110), (300, 300)) @ np.array([[1, 0, 0], [0, 1, 0], [4e-4, 6e-4, 1]])
    view = seen(place, true, (300, 220))
    found = register(features(view), place_features, ANY, (300, 220), (149.5, 109.5))
    assert found is not None
    assert found.model == "homography"
    corners = [(20, 20), (280, 20), (280, 200), (20, 200)]
    np.testing.assert_allclose(transform(found.to_target, corners), transform(true, corners), atol=1.0)


def test_another_place_is_not_matched(place_features: Features) -> None:
    other = ground(600, seed=2)
    assert register(features(other[100:320, 100:400]), place_features, ANY, (300, 220), (149.5, 109.5)) is None


def test_convention_views_are_never_mirrored(place: np.ndarray, place_features: Features) -> None:
    """Pixel coordinates of view and crop are both x right, y down, so a mirrored view is no view."""
    view = np.ascontiguousarray(place[150:370, 150:450][:, ::-1])
    assert register(features(view), place_features, ANY, (300, 220), (149.5, 109.5)) is None


@pytest.mark.parametrize(
    "expected",
    [Expectation((90.0,), 20.0, 1.0, 2.2, rigid=True), Expectation(None, 20.0, 2.5, 1.5, rigid=True)],
    ids=["turn", "scale"],
)
def test_what_contradicts_the_expectation_is_refused(place: np.ndarray, place_features: Features, expected: Expectation) -> None:
    view = seen(place, motion(0, 1.0, (0, 0), (150, 180)), (300, 220))
    assert register(features(view), place_features, expected, (300, 220), (149.5, 109.5)) is None


def test_the_same_input_gives_the_same_result(place: np.ndarray, place_features: Features) -> None:
    view = features(seen(place, motion(20, 1.0, (150, 110), (300, 300)), (300, 220)))
    first, second = (register(view, place_features, ANY, (300, 220), (149.5, 109.5)) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.to_target, second.to_target)


def test_consensus_finds_five_per_cent_of_right_matches() -> None:
    rng = np.random.default_rng(0)
    right, wrong = 15, 285
    source = rng.uniform(0, 400, (right + wrong, 2))
    target = rng.uniform(0, 900, (right + wrong, 2))
    target[:right] = transform(motion(70, 1.2, (200, 200), (450, 400)), source[:right]) + rng.normal(0, 1, (right, 2))
    turns, scales = rng.uniform(-180, 180, right + wrong), rng.normal(0, 0.5, right + wrong)
    turns[:right], scales[:right] = 70 + rng.normal(0, 6, right), math.log(1.2) + rng.normal(0, 0.1, right)
    chosen = agreeing(
        Matches(source, target, turns, scales),
        turns_deg=None, turn_tolerance_deg=35, log_scale=0.0, log_scale_tolerance=1.0, tolerance_px=12,
    )  # fmt: skip
    assert chosen[:right].sum() >= right - 1
    assert chosen[right:].sum() <= 2


def test_similarity_fit_agrees_with_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    s = rng.normal(size=40) + 1j * rng.normal(size=40)
    t = (1.3 - 0.4j) * s + (2 - 5j) + 0.1 * (rng.normal(size=40) + 1j * rng.normal(size=40))
    design = np.block([
        [s.real[:, None], -s.imag[:, None], np.ones((40, 1)), np.zeros((40, 1))],
        [s.imag[:, None], s.real[:, None], np.zeros((40, 1)), np.ones((40, 1))],
    ])  # fmt: skip
    a, b, x, y = np.linalg.lstsq(design, np.concatenate([t.real, t.imag]), rcond=None)[0]
    slope, shift = fit_similarity(s, t)
    np.testing.assert_allclose([slope.real, slope.imag, shift.real, shift.imag], [a, b, x, y], atol=1e-12)


def test_matches_are_mutual_and_distinct() -> None:
    rng = np.random.default_rng(2)
    descriptors = rng.normal(size=(50, 16)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    zero, one = np.zeros(50, np.float32), np.ones(50, np.float32)
    first = Features(rng.uniform(0, 99, (50, 2)).astype(np.float32), descriptors, zero, one)
    order = rng.permutation(50)
    doubled = np.concatenate([descriptors[order], descriptors[:1]])  # the first feature has two equals: not distinct
    second = Features(rng.uniform(0, 99, (51, 2)).astype(np.float32), doubled, np.zeros(51, np.float32), np.ones(51, np.float32))
    found = match(first, second)
    assert len(found) == 49
    pairs = {tuple(source): tuple(target) for source, target in zip(found.source, found.target, strict=True)}
    assert all(pairs[tuple(first.xy[order[k]].astype(float))] == tuple(second.xy[k].astype(float)) for k in range(50) if order[k] != 0)


@pytest.mark.parametrize("model", ["similarity", "homography"])
def test_covariance_agrees_with_repeated_fits(model: str) -> None:
    """Independent noise: the predicted covariance, freed of its safety factor sqrt(n), is that of fits to fresh noise."""
    rng = np.random.default_rng(3)
    source = rng.uniform([20, 20], [140, 200], (60, 2))  # one side of the view, so the centre is extrapolated
    true = motion(25, 1.1, (150, 110), (300, 300))
    exact = transform(true, source)
    places, predicted = [], []
    for _ in range(60):
        noisy = exact + rng.normal(0, 0.8, exact.shape)
        fitted = fit(source, noisy, model)
        residual = float(np.sqrt(np.mean(np.sum((transform(fitted, source) - noisy) ** 2, axis=1))))
        made = Registration(fitted, model, source, noisy, 60, residual, 0.0, 1.0, 0.5)  # type: ignore[arg-type]
        predicted.append(made.covariance_px2((250.0, 110.0), 0.0) / math.sqrt(60))
        places.append(transform(fitted, [(250.0, 110.0)])[0])
    seen_trace, told_trace = np.trace(np.cov(np.array(places).T)), np.trace(np.mean(predicted, axis=0))
    assert told_trace == pytest.approx(seen_trace, rel=0.45)


def fit(source: np.ndarray, target: np.ndarray, model: str) -> np.ndarray:
    """Independent least squares: scipy on the reprojection error."""
    from scipy.optimize import least_squares

    def matrix(p: np.ndarray) -> np.ndarray:
        if model == "homography":
            return np.append(p, 1).reshape(3, 3)
        return np.array([[p[0], -p[1], p[2]], [p[1], p[0], p[3]], [0, 0, 1]])

    start = motion(25, 1.1, (150, 110), (300, 300))
    first = start.ravel()[:8] if model == "homography" else np.array([start[0, 0], start[1, 0], start[0, 2], start[1, 2]])
    scale = np.maximum(np.abs(first), 1e-3)
    return matrix(least_squares(lambda p: (transform(matrix(p), source) - target).ravel(), first, x_scale=scale, method="lm").x)
