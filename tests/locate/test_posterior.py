"""The mixture over position."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.locate.posterior import Component, combine, radius95, spread


def part(east: float, north: float, sigma: float, weight: float, method: str = "retrieval", candidate: int = 0) -> Component:
    return Component(np.array([east, north]), sigma**2 * np.eye(2), weight, method, candidate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("major", "minor", "angle"), [(3.0, 3.0, 0.0), (5.0, 2.0, 0.7), (4.0, 3.2, 2.0), (10.0, 0.5, 1.0), (1.0, 0.0, 0.3)]
)
def test_radius95_holds_95_per_cent(major: float, minor: float, angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([major**2, minor**2]) @ turn.T
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(400_000, 2)) * [major, minor]) @ turn.T
    held = float(np.mean(np.hypot(*points.T) <= radius95(covariance)))
    assert held == pytest.approx(0.95, abs=0.006)


def test_registration_outweighs_retrieval_and_keeps_its_own_covariance() -> None:
    modes = combine([part(0, 0, 40, 0.0), part(300, 0, 40, -0.5, candidate=1), part(290, 5, 0.5, 10, "registration", 1)], None, 5)
    assert modes[0].method == "registration"
    assert modes[0].candidate == 1
    np.testing.assert_allclose(modes[0].mean, [290, 5])
    np.testing.assert_allclose(modes[0].covariance, 0.25 * np.eye(2))
    assert modes[0].mass > 0.99
    assert sum(mode.mass for mode in modes) == pytest.approx(1)


def test_pieces_for_one_place_add_up() -> None:
    apart = combine([part(0, 0, 10, 0.0), part(500, 0, 10, 0.0)], None, 5)
    together = combine([part(0, 0, 10, 0.0), part(3, 0, 10, 0.0), part(500, 0, 10, 0.0)], None, 5)
    assert apart[0].mass == pytest.approx(0.5)
    assert together[0].mass == pytest.approx(2 / 3)
    np.testing.assert_allclose(together[0].mean, [1.5, 0])


def test_prior_chooses_between_twins() -> None:
    prior = (np.array([480.0, 0.0]), 50.0**2 * np.eye(2))
    modes = combine([part(0, 0, 2, 8, "registration"), part(500, 0, 2, 8, "registration", 1)], prior, 5)
    assert modes[0].candidate == 1
    assert modes[0].mass > 0.9
    np.testing.assert_allclose(modes[0].mean, [500, 0])


def test_wrong_prior_does_not_overrule_strong_evidence() -> None:
    prior = (np.array([5000.0, 0.0]), 50.0**2 * np.eye(2))
    modes = combine([part(0, 0, 2, 24, "registration"), part(4990, 0, 40, 0, candidate=1)], prior, 5)
    assert modes[0].candidate == 0


def test_retrieval_alone_is_drawn_to_the_prior() -> None:
    """One Gaussian times another: the product's mean and variance."""
    prior = (np.array([30.0, 0.0]), 20.0**2 * np.eye(2))
    mode = combine([part(0, 0, 40, 0)], prior, 5)[0]
    np.testing.assert_allclose(mode.mean, [30 * 40**2 / (40**2 + 20**2), 0])
    np.testing.assert_allclose(mode.covariance, np.eye(2) / (1 / 40**2 + 1 / 20**2))


def test_spread_covers_undecided_places() -> None:
    modes = combine([part(0, 0, 5, 0), part(400, 0, 5, 0, candidate=1)], None, 5)
    total = spread(modes)
    assert total[0, 0] == pytest.approx(25 + 400**2 / 2)
    assert total[1, 1] == pytest.approx(25)
