"""Distances between clouds that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.clouds.compare import compare
from crossfix.errors import DataError


def test_a_shifted_grid() -> None:
    x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    grid = np.column_stack([x.ravel(), y.ravel(), np.zeros(100)])
    got = compare(grid + np.array([0, 0, 0.3]), grid, (0.2, 0.4))
    assert (got.accuracy, got.completeness, got.chamfer) == pytest.approx((0.3, 0.3, 0.3))
    assert (got.precision, got.recall) == ({0.2: 0, 0.4: 1}, {0.2: 0, 0.4: 1})
    assert (got.f_score(0.2), got.f_score(0.4)) == (0, 1)


def test_half_a_cloud_is_accurate_but_not_complete_and_outliers_the_other_way() -> None:
    true = np.column_stack([np.arange(4.0) * 10, np.zeros((4, 2))])
    half = compare(true[:2], true, (1.0,))
    assert (half.accuracy, half.completeness) == (0, (10 + 20) / 4)
    assert (half.precision[1.0], half.recall[1.0], half.f_score(1.0)) == (1, 0.5, pytest.approx(2 / 3))
    more = compare(np.concatenate([true, [[0, 7, 0]]]), true, (1.0,))
    assert (more.accuracy, more.accuracy_median, more.completeness) == (7 / 5, 0, 0)
    assert more.to_dict()["within"] == {"1": {"precision": 0.8, "recall": 1.0, "f": pytest.approx(8 / 9)}}


def test_against_all_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 3)), rng.normal(size=(90, 3))
    away = np.linalg.norm(a[:, None] - b[None], axis=-1)
    got = compare(a, b)
    assert got.accuracy == pytest.approx(away.min(axis=1).mean())
    assert got.completeness_median == pytest.approx(np.median(away.min(axis=0)))


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(DataError, match="true"):
        compare(np.zeros((1, 3)), np.zeros((0, 3)))
    with pytest.raises(DataError, match="estimated"):
        compare(np.full((1, 3), np.nan), np.zeros((1, 3)))
