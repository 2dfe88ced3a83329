"""The dials do what their numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.degrade import Dials, degrade
from crossfix.errors import InputError


@pytest.fixture(scope="module")
def square() -> Cloud:
    xyz = np.random.default_rng(0).uniform((-100, -100, 0), (100, 100, 5), (20_000, 3))
    return Cloud(xyz, np.random.default_rng(1).integers(0, 256, (20_000, 3), dtype=np.uint8), "enu")


def test_with_all_dials_at_zero_nothing_happens(square: Cloud) -> None:
    got = degrade(square, Dials(), 10**6, np.random.default_rng(0))
    np.testing.assert_array_equal(got.xyz_N3, square.xyz_N3)
    np.testing.assert_array_equal(got.rgb_N3, square.rgb_N3)


def test_noise_has_its_deviation_on_every_axis(square: Cloud) -> None:
    moved = degrade(square, Dials(noise=0.7), 10**6, np.random.default_rng(0)).xyz_N3 - square.xyz_N3
    np.testing.assert_allclose(moved.std(axis=0), 0.7, rtol=0.03)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.02)


def test_holes_take_exactly_their_share_in_round_pieces(square: Cloud) -> None:
    got = degrade(square, Dials(holes=0.3), 10**6, np.random.default_rng(0))
    assert len(got) == 14_000
    # In cells of 10 m about 50 points lie; with 30 % gone at random none would be empty.
    cells = np.unique(np.floor(got.xyz_N3[:, :2] / 10), axis=0)
    assert 250 < len(cells) < 370


def test_outliers_replace_exactly_their_share_within_the_box(square: Cloud) -> None:
    got = degrade(square, Dials(outliers=0.1), 10**6, np.random.default_rng(0))
    strayed = (got.xyz_N3 != square.xyz_N3).any(axis=1)
    assert strayed.sum() == 2000
    assert (got.xyz_N3 >= square.xyz_N3.min(axis=0)).all()
    assert (got.xyz_N3 <= square.xyz_N3.max(axis=0)).all()


def test_the_reach_is_measured_level_and_the_number_of_points_is_a_limit(square: Cloud) -> None:
    got = degrade(square, Dials(reach=40, noise=0.0), 700, np.random.default_rng(0))
    assert len(got) == 700
    assert np.hypot(*got.xyz_N3[:, :2].T).max() <= 40


def test_the_same_draws_give_the_same_cloud(square: Cloud) -> None:
    dials = Dials(1.0, 0.2, 0.1, 80)
    a, b, c = (degrade(square, dials, 5000, np.random.default_rng(seed)).xyz_N3 for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("wrong", [{"noise": -1}, {"noise": np.nan}, {"holes": 1}, {"outliers": -0.1}, {"reach": 0}])
def test_dials_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Dials(**wrong)
