from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossfix.evaluate.paired import Difference
from crossfix.evaluate.paired import differences as every_difference


def differences(one: np.ndarray, other: np.ndarray, place_Q: np.ndarray, **options: Any) -> list[Difference]:
    return every_difference([one, other], place_Q, **options)[0, 1]


def test_the_interval_is_that_of_a_loop_over_resampled_places():
    rng = np.random.default_rng(0)
    place_Q = np.repeat(np.arange(9), rng.integers(1, 6, 9))
    one, other = (rng.random((len(place_Q), 1)) < share for share in (0.4, 0.6))
    found = differences(one.astype(float), other.astype(float), place_Q, seed=1)[0]
    means = []
    for _ in range(10_000):
        drawn = rng.integers(0, 9, 9)
        rows = np.concatenate([np.flatnonzero(place_Q == place) for place in drawn])
        means.append(other[rows].mean() - one[rows].mean())
    assert found.value == pytest.approx(other.mean() - one.mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)


def test_with_a_query_a_place_it_is_the_textbook_interval():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 2000, 1))
    other = other + one  # much of what they do is common to both and must cancel
    found = differences(one, other, np.arange(2000))[0]
    half = 1.96 * (other - one).std() / np.sqrt(2000)
    assert [found.low, found.high] == pytest.approx([found.value - half, found.value + half], abs=0.1 * half)


def test_it_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(300):
        luck = rng.random((120, 1))  # what makes a query easy for both
        one, other = luck < 0.5, np.where(rng.random((120, 1)) < 0.7, luck, rng.random((120, 1))) < 0.6
        found = differences(one.astype(float), other.astype(float), np.arange(120), seed=seed, draws=1000)[0]
        hits += found.low <= 0.1 <= found.high
    assert 0.91 <= hits / 300 <= 0.985


def test_equal_answers_differ_by_nothing_and_a_clear_lead_is_seen():
    same = np.ones((5, 1))
    alike = differences(same, same, np.arange(5))[0]
    assert (alike.value, alike.low, alike.high, alike.excludes_zero) == (0.0, 0.0, 0.0, False)
    assert differences(np.zeros((5, 1)), same, np.arange(5))[0].excludes_zero
    told: list[tuple[int, int]] = []
    differences(same, same, np.arange(5), draws=100, progress=lambda done, total: told.append((done, total)))
    assert told == [(64, 100), (100, 100)]


def test_of_three_every_pair_is_what_it_is_alone():
    tables = list(np.random.default_rng(4).random((3, 30, 2)))
    place_Q = np.arange(30) // 3
    found = every_difference(tables, place_Q, draws=200)
    assert list(found) == [(0, 1), (0, 2), (1, 2)]
    for one, other in found:
        alone = differences(tables[one], tables[other], place_Q, draws=200)
        for together, single in zip(found[one, other], alone, strict=True):
            assert (together.low, together.high) == pytest.approx((single.low, single.high))
