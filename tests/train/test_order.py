from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.errors import InputError
from crossfix.train.order import RandomOrder


def test_no_pair_twice_in_an_epoch_and_all_equally_often():
    order = RandomOrder(np.arange(3, 40), 6, seed=1)
    assert order.batches_per_epoch == 6
    for epoch in range(3):
        seen = np.concatenate([order.rows(epoch * 6 + batch) for batch in range(6)])
        assert len(set(seen.tolist())) == 36
        assert set(seen.tolist()) <= set(range(37)), "rows of the source, not places"


def test_batches_do_not_depend_on_what_was_asked_before():
    one, other = (RandomOrder(np.arange(40), 8, seed=1) for _ in range(2))
    for number in range(7):
        one.rows(number)
    np.testing.assert_array_equal(one.rows(7), other.rows(7))
    np.testing.assert_array_equal(one.rows(2), RandomOrder(np.arange(40), 8, seed=1).rows(2))
    assert not np.array_equal(one.rows(7), RandomOrder(np.arange(40), 8, seed=2).rows(7))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=8, max_size=60), st.integers(2, 6), st.integers(0, 5))
def test_no_place_twice_in_a_batch(places: list[int], batch: int, epoch: int):
    place_N = np.array(places)
    if len(set(places)) < batch:
        with pytest.raises(InputError, match="cannot fill a batch"):
            RandomOrder(place_N, batch, seed=0)
        return
    order = RandomOrder(place_N, batch, seed=0)
    for number in range(epoch * order.batches_per_epoch, (epoch + 1) * order.batches_per_epoch):
        rows = order.rows(number)
        assert len(rows) == batch
        assert len(set(place_N[rows].tolist())) == batch


def test_pairs_that_share_a_place_wait_for_another_batch():
    """Two panoramas a satellite picture, as in VIGOR: every pair still comes once an epoch."""
    place_N = np.repeat(np.arange(30), 2)
    order = RandomOrder(place_N, 6, seed=3)
    seen = np.concatenate([order.rows(number) for number in range(order.batches_per_epoch)])
    assert len(seen) == 60
    assert len(set(seen.tolist())) >= 58, "but for the last few, that found no batch"


def test_too_few_places_for_a_batch():
    with pytest.raises(InputError, match="5 training places cannot fill a batch of 6"):
        RandomOrder(np.repeat(np.arange(5), 3), 6, seed=1)
    with pytest.raises(InputError, match="which places of this set lie together"):
        RandomOrder(np.arange(9), 6, seed=1, together=3)


def test_neighbours_enter_a_batch_together():
    worlds = np.repeat(np.arange(5), 8)
    order = RandomOrder(np.arange(40), 8, seed=1, together=4, world_N=worlds)
    rows = np.concatenate([order.rows(n) for n in range(5)])
    assert sorted(rows) == list(range(40))
    for group in rows.reshape(-1, 4):
        assert len(set(worlds[group])) == 1
