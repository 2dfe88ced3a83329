"""Farthest points against the definition, written out; the unit sphere; what cannot be sampled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.sampling import farthest_points, keyed_rng, sample, thin, to_unit_sphere
from crossfix.errors import DataError, InputError


def slow_farthest(points: list[list[float]], count: int, start: int) -> list[int]:
    """From the definition: of all points the one whose nearest chosen point is farthest."""
    chosen = [start]
    while len(chosen) < count:
        away = [min(math.dist(point, points[row]) for row in chosen) for point in points]
        chosen.append(max(range(len(points)), key=lambda row: away[row]))
    return chosen


@pytest.mark.parametrize("shape", ["ball", "plane", "line", "clumps", "far away"])
def test_the_same_points_as_by_the_definition(shape: str) -> None:
    rng = np.random.default_rng(3)
    xyz = rng.normal(size=(300, 3)) * {"plane": (5, 5, 0), "line": (1, 0, 0)}.get(shape, (1, 1, 1))
    if shape == "clumps":
        xyz = xyz * 0.01 + rng.normal(size=(6, 3))[rng.integers(0, 6, 300)]
    if shape == "far away":  # map coordinates: float32 about the mean still tells points apart
        xyz = xyz + np.array([576_700, 5_188_150, 160])
    assert farthest_points(xyz, 60, start=17).tolist() == slow_farthest(xyz.tolist(), 60, 17)


def test_of_equally_far_points_the_first_along_the_longest_axis_is_chosen_then_the_first_in_the_cloud() -> None:
    cross = np.array([[0, 0, 0], [5, 0, 0], [-5, 0, 0], [0, 3, 0], [0, -3, 0], [0, 0, 3]], float)
    assert farthest_points(cross, 6, start=0).tolist() == [0, 2, 1, 3, 4, 5]


def test_chosen_points_cover_the_cloud() -> None:
    """Farthest-point sampling is a 2-approximation of the k-centre problem: no two chosen are nearer than the worst covered point."""
    xyz = np.random.default_rng(0).random((4000, 3))
    rows = farthest_points(xyz, 50)
    apart = np.linalg.norm(xyz[rows][:, None] - xyz[rows][None], axis=-1) + 9 * np.eye(50)
    covered = np.linalg.norm(xyz[:, None] - xyz[rows][None], axis=-1).min(axis=1)
    assert apart.min() >= covered.max() - 1e-6
    assert len(set(rows.tolist())) == 50


def test_a_sample_is_centred_in_the_unit_sphere_and_can_be_traced_back() -> None:
    cloud = Cloud(np.random.default_rng(1).normal((500, -20, 7), (80, 60, 5), (5000, 3)))
    got = sample(cloud, seed=4, key="0001_group0")
    assert got.pts_N3.shape == (1024, 3)
    assert got.pts_N3.dtype == np.float32
    np.testing.assert_allclose(got.pts_N3.mean(axis=0), 0, atol=1e-5)
    assert np.linalg.norm(got.pts_N3, axis=1).max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(got.pts_N3 * got.radius + got.centre_3, cloud.xyz_N3[got.rows_N], atol=1e-3)


def test_the_start_is_keyed_by_seed_and_name() -> None:
    cloud = Cloud(np.random.default_rng(1).normal(size=(3000, 3)))
    first = sample(cloud, 64, seed=1, key="a").rows_N
    np.testing.assert_array_equal(first, sample(cloud, 64, seed=1, key="a").rows_N)
    assert first[0] != sample(cloud, 64, seed=1, key="b").rows_N[0]
    assert first[0] != sample(cloud, 64, seed=2, key="a").rows_N[0]


def test_what_cannot_be_sampled_is_told() -> None:
    with pytest.raises(DataError, match="1,000 points, fewer than 1,024"):
        sample(Cloud(np.random.default_rng(0).normal(size=(1000, 3))))
    with pytest.raises(DataError, match="only 8 distinct points"):
        sample(Cloud(np.random.default_rng(0).integers(0, 2, (3000, 3)).astype(float)))
    with pytest.raises(DataError, match="NaN"):
        farthest_points(np.full((10, 3), np.nan), 4)
    with pytest.raises(DataError, match="the same"):
        to_unit_sphere(np.ones((5, 3)))
    with pytest.raises(InputError):
        farthest_points(np.zeros((10, 3)), 1)


def test_exactly_as_many_points_as_asked_for_are_all_of_them() -> None:
    xyz = np.random.default_rng(0).normal(size=(32, 3))
    assert sorted(farthest_points(xyz, 32).tolist()) == list(range(32))


def test_thinning_keeps_order_and_colours() -> None:
    cloud = Cloud(np.arange(300.0).reshape(100, 3), np.arange(100, dtype=np.uint8).repeat(3).reshape(100, 3))
    few = thin(cloud, 10, keyed_rng(0))
    assert len(few) == 10
    assert few.rgb_N3 is not None
    np.testing.assert_array_equal(few.xyz_N3[:, 0], 3.0 * few.rgb_N3[:, 0])
    assert (np.diff(few.xyz_N3[:, 0]) > 0).all()
    assert thin(cloud, 100, keyed_rng(0)) is cloud
