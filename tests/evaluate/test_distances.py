from __future__ import annotations

import math

import numpy as np
import pytest

from crossfix.evaluate.distances import flat_degrees, found, geodesic_m, plane_m, sdm, sphere_m


def test_four_ways_to_take_a_distance():
    one, other = np.array([[120.0, 30.0]]), np.array([[120.5, 30.25]])
    assert flat_degrees(one, other)[0] == pytest.approx(math.hypot(0.5, 0.25))
    assert plane_m(one, other)[0] == pytest.approx(math.hypot(0.5, 0.25))
    # 2 R asin sqrt(hav) against the law of cosines, an independent formula on the same sphere
    a, b, c = math.radians(30.0), math.radians(30.25), math.radians(0.5)
    cosine = math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(c)
    assert sphere_m(one, other)[0] == pytest.approx(6378137 * math.acos(cosine), rel=1e-6)
    assert geodesic_m(one, other)[0] == pytest.approx(sphere_m(one, other)[0], rel=3e-3)
    assert geodesic_m(one, other)[0] != pytest.approx(sphere_m(one, other)[0], rel=1e-5)


def test_degrees_are_taken_in_float32():
    """A longitude of 120 moves in steps of 7.6e-6 degrees: less than half of one is no distance at all."""
    one = np.array([[120.0, 30.0]])
    assert flat_degrees(one, one + np.array([[3e-6, 0.0]]))[0] == 0.0
    assert flat_degrees(one, one + np.array([[7.6e-6, 0.0]]))[0] == pytest.approx(2**-17)


def test_distances_stand_in_the_order_found():
    query, gallery = np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0], [10.0, 1.0]])
    np.testing.assert_allclose(found(query, gallery, np.array([[1, 0], [2, 1]]), plane_m), [[0, 5], [1, 10]])


def test_the_first_counts_most_in_the_spatial_distance_metric():
    away = np.array([[0.0, 1e9, 1e9], [1e9, 1e9, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(sdm(away, 3, 0.001), [3 / 6, 1 / 6, 1])
    np.testing.assert_allclose(sdm(away, 1, 0.001), [1, 0, 1])
    assert sdm(np.array([[20.0]]), 1, 0.001)[0] == pytest.approx(0.980, abs=5e-4)
