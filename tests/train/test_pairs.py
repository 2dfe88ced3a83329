from __future__ import annotations

import numpy as np
import pytest

from crossfix.errors import InputError
from crossfix.train.pairs import PairSampler, split_places
from crossfix.worlds.pairs import PairBank


def test_split_is_whole_disjoint_and_fair():
    region = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    train, held = split_places(region, 20)
    assert sorted([*train, *held]) == list(range(100))
    names = np.array(region)[held].tolist()
    assert [names.count(name) for name in "abc"] == [12, 6, 2]
    assert held.tolist() == [*range(48, 60), *range(84, 90), 98, 99], "the tail of each region"


@pytest.mark.parametrize("held", [0, 100, 200])
def test_split_refuses_to_leave_nothing(held: int):
    with pytest.raises(InputError, match="held out"):
        split_places(["a"] * 100, held)


def test_no_place_twice_in_a_batch_and_all_equally_often(bank):
    rows = np.arange(3, 40)
    sampler = PairSampler(bank, rows, 6, seed=1)
    assert sampler.batches_per_epoch == 6
    for epoch in range(3):
        seen = np.concatenate([sampler.places(epoch * 6 + batch) for batch in range(6)])
        assert len(set(seen.tolist())) == 36
        assert set(seen.tolist()) <= set(rows.tolist())


def test_batches_do_not_depend_on_what_was_read_before(bank):
    one, other = (PairSampler(bank, np.arange(40), 8, seed=1) for _ in range(2))
    for number in range(7):
        one.read(number)
    first, again = one.read(7), other.read(7)
    np.testing.assert_array_equal(first.place_B, again.place_B)
    np.testing.assert_array_equal(first.satellite_BHWC, again.satellite_BHWC)
    np.testing.assert_array_equal(first.drone_BHWC, again.drone_BHWC)
    assert not np.array_equal(first.place_B, PairSampler(bank, np.arange(40), 8, seed=2).places(7))


def test_both_pictures_are_of_the_place(bank):
    batch = PairSampler(bank, np.arange(40), 8, seed=1).read(0)
    for row, place in enumerate(batch.place_B):
        np.testing.assert_array_equal(batch.satellite_BHWC[row], bank.satellite[place, 0])
        np.testing.assert_array_equal(batch.drone_BHWC[row], bank.drone[place, 0])


def test_too_few_places_for_a_batch(bank):
    with pytest.raises(InputError, match="cannot fill a batch"):
        PairSampler(bank, np.arange(5), 6, seed=1)


def test_neighbours_enter_a_batch_together(bank: PairBank) -> None:
    rows = np.arange(40)
    bank.truth["world_seed"] = np.repeat(np.arange(5), 8)[: len(bank.region)]
    sampler = PairSampler(bank, rows, 8, seed=1, together=4)
    worlds = bank.truth["world_seed"]
    places = np.concatenate([sampler.places(n) for n in range(5)])
    assert sorted(places) == list(rows)
    for group in places.reshape(-1, 4):
        assert len(set(worlds[group])) == 1
