from __future__ import annotations

import numpy as np
import pytest

from crossfix.errors import InputError
from crossfix.train.pairs import BankSource, split_places


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


def test_pictures_do_not_depend_on_what_was_read_before(bank):
    one, other = (BankSource(bank, 8, seed=1) for _ in range(2))
    rows = np.arange(3, 11)
    for number in range(7):
        one.read(rows, number)
    first, again = one.read(rows, 7), other.read(rows, 7)
    np.testing.assert_array_equal(first.satellite_BHWC, again.satellite_BHWC)
    np.testing.assert_array_equal(first.query_BHWC, again.query_BHWC)
    assert first.ids == again.ids
    assert first.ids != one.read(rows, 8).ids, "another day or view"


def test_both_pictures_are_of_the_place_and_of_none_that_is_held_out(bank):
    source = BankSource(bank, 8, seed=1)
    batch = source.read(np.arange(len(source.place_N)), 0)
    assert len(batch.place_J) == 32
    assert not set(batch.place_J) & set(source.held_rows)
    for row, place in enumerate(batch.place_J):
        np.testing.assert_array_equal(batch.satellite_BHWC[row], bank.satellite[place, 0])
        np.testing.assert_array_equal(batch.query_BHWC[row], bank.drone[place, 0])
        assert batch.ids[row].startswith(f"place {place} ")
    np.testing.assert_array_equal(source.pictures("query", np.array([3])), bank.drone[source.place_N[[3]], 0])
    np.testing.assert_array_equal(source.pictures("satellite", np.array([3])), bank.satellite[source.place_N[[3]], 0])


def test_validation_shows_every_view_of_the_held_out_places(bank):
    source = BankSource(bank, 8, seed=1)
    held = source.validation
    assert held.own_QG.shape == (16, 8)
    assert held.places == 8
    for query in range(16):
        (own,) = np.flatnonzero(held.own_QG[query])
        place = source.held_rows[own]
        np.testing.assert_array_equal(held.read("query", np.array([query]))[0], bank.drone[place, query // 8])
        np.testing.assert_array_equal(held.read("satellite", np.array([own]))[0], bank.satellite[place, 0])
