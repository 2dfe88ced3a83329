"""Similarities that are known beforehand must be found again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from crossfix.clouds.align import Similarity, level, umeyama, upright
from crossfix.clouds.cloud import Cloud
from crossfix.errors import DataError
from lab_clouds import camera_axes


def some(seed: int) -> Similarity:
    rng = np.random.default_rng(seed)
    return Similarity(float(rng.uniform(0.1, 9)), Rotation.random(random_state=seed).as_matrix(), rng.normal(0, 100, 3))


@pytest.mark.parametrize("seed", range(5))
def test_an_exact_similarity_is_found(seed: int) -> None:
    true, points = some(seed), np.random.default_rng(seed).normal(size=(12, 3))
    got = umeyama(points, true.apply(points))
    assert got.scale == pytest.approx(true.scale)
    np.testing.assert_allclose(got.rotation_33, true.rotation_33, atol=1e-9)
    np.testing.assert_allclose(got.shift_3, true.shift_3, atol=1e-8)


def test_points_in_a_plane_are_enough_and_are_not_mirrored() -> None:
    true, points = some(1), np.random.default_rng(0).normal(size=(6, 3)) * (1, 1, 0)
    got = umeyama(points, true.apply(points))
    np.testing.assert_allclose(got.rotation_33, true.rotation_33, atol=1e-9)


def test_a_mirror_image_gets_a_rotation() -> None:
    points = np.random.default_rng(0).normal(size=(30, 3))
    got = umeyama(points, points * (1, 1, -1))
    assert np.linalg.det(got.rotation_33) == pytest.approx(1)


def test_no_similarity_nearby_fits_noisy_points_better() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    noisy = some(2).apply(points) + rng.normal(0, 0.3, (40, 3))
    got = umeyama(points, noisy)
    best = ((got.apply(points) - noisy) ** 2).sum()
    for seed in range(200):
        nudge = np.random.default_rng(seed)
        turn = Rotation.from_rotvec(nudge.normal(0, 0.01, 3)).as_matrix()
        other = Similarity(got.scale * float(nudge.normal(1, 0.01)), turn @ got.rotation_33, got.shift_3 + nudge.normal(0, 0.05, 3))
        assert ((other.apply(points) - noisy) ** 2).sum() > best


def test_a_weight_of_zero_leaves_a_point_out_and_one_of_two_counts_twice() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    weights = np.array([1, 1, 2, 1, 1, 1, 0, 1.0])
    rows = [0, 1, 2, 2, 3, 4, 5, 7]
    got, want = umeyama(source, target, weights), umeyama(source[rows], target[rows])
    np.testing.assert_allclose(got.rotation_33, want.rotation_33, atol=1e-12)
    assert got.scale == pytest.approx(want.scale)


def test_the_inverse_leads_back() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(some(3).inverse().apply(some(3).apply(points)), points, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (np.zeros((2, 3)), "2 matched points"),
        (np.arange(9.0).reshape(3, 3), "line"),
        (np.full((4, 3), np.nan), "NaN"),
    ],
)
def test_what_does_not_determine_a_rotation_is_refused(points: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        umeyama(points, points)


def town(rng: np.random.Generator) -> np.ndarray:
    ground = rng.uniform(-100, 100, (4000, 3)) * (1, 1, 0.002)
    towers = rng.uniform(-1, 1, (600, 3)) * (6, 6, 12) + (30, -20, 12)
    return np.concatenate([ground, towers])


@pytest.mark.parametrize("with_cameras", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_town_turned_any_way_is_laid_level_with_its_towers_up(seed: int, with_cameras: bool) -> None:
    rng = np.random.default_rng(seed)
    true, points = some(seed), town(rng)
    cameras = rng.uniform(-80, 80, (6, 3)) + np.array([0, 0, 200])
    turn = level(true.apply(points), true.apply(cameras) if with_cameras else None)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)
    up = turn @ true.rotation_33 @ [0, 0, 1]
    assert np.degrees(np.arccos(up[2])) < 0.5


def test_a_level_cloud_keeps_its_heading() -> None:
    turn = level(town(np.random.default_rng(0)))
    np.testing.assert_allclose(turn, np.eye(3), atol=0.01)


@pytest.mark.parametrize("down_deg", [35, 60, 90])
def test_a_cloud_in_a_cameras_axes_is_laid_level_and_others_stay(down_deg: float):
    own = Cloud(town(np.random.default_rng(3)), None, "enu")
    turned = upright(dataclasses.replace(own, xyz_N3=own.xyz_N3 @ camera_axes(down_deg).T, frame="free"))
    assert turned.frame == "level"
    assert np.corrcoef(turned.xyz_N3[:, 2], own.xyz_N3[:, 2])[0, 1] > 0.98
    assert upright(own) is own
