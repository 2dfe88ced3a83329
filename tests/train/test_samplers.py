from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.errors import InputError, RunError
from crossfix.train.samplers import Neighbourhood, NeighbourOrder, neighbour_batches

SMALL = Neighbourhood(pool=8, drawn=4, nearest=2, mine_every=3)


def slow_batches(place, near, batch, generator, how, apart):
    """The same order said with lists alone, one pair after the other."""
    waiting = generator.permutation(len(place)).tolist()
    first_order, done, batches, current = list(waiting), [], [], []

    def fits(pair):
        apart_from = (other for other in current if place[other] in apart[pair] or place[pair] in apart[other])
        taken = pair in done or pair in current or place[pair] in [place[other] for other in current]
        return not taken and len(current) < batch and not any(True for _ in apart_from)

    while any(fits(pair) for pair in waiting):
        pair = waiting.pop(0)
        if pair in done or pair in current:
            continue
        if not fits(pair):
            waiting.append(pair)
            continue
        current.append(pair)
        pool = [other for other in near[pair][: how.pool] if other != -1]
        for neighbour in pool[: how.nearest] + generator.permutation(pool[how.nearest :])[: how.drawn - how.nearest].tolist():
            candidates = [other for other in first_order if place[other] == neighbour and fits(other)]
            current += candidates[:1]
        if len(current) == batch:
            batches.append(current)
            done += current
            current = []
    return batches


@st.composite
def cases(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    pairs, places, batch = draw(st.integers(1, 60)), draw(st.integers(1, 40)), draw(st.integers(1, 12))
    place = generator.integers(places, size=pairs)
    near = np.stack([generator.permutation(places + 3)[:10] if places > 6 else np.arange(10) for _ in range(pairs)]) - 3
    near = np.where((near >= places) | (near < 0) | (near == place[:, None]), -1, near).astype(np.int32)
    apart = np.where(generator.random((pairs, 3)) < draw(st.sampled_from([0.0, 0.3, 1.0])), generator.integers(places, size=(pairs, 3)), -1)
    apart[apart == place[:, None]] = -1
    return seed, place, near, batch, apart


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_pair_at_most_once_batches_full_no_place_twice_and_what_is_to_be_apart_is_apart(case):
    seed, place, near, batch, apart = case
    found = neighbour_batches(place, near, batch, np.random.default_rng(seed), SMALL, apart)
    assert found.shape[1] == batch
    assert len(np.unique(found)) == found.size
    for rows in found:
        assert len(set(place[rows])) == batch
        for row in rows:
            assert not set(apart[row].tolist()) & set(place[rows].tolist())


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_order_is_the_one_described(case):
    seed, place, near, batch, apart = case
    found = neighbour_batches(place, near, batch, np.random.default_rng(seed), SMALL, apart)
    assert found.tolist() == slow_batches(place, near, batch, np.random.default_rng(seed), SMALL, apart)


@settings(max_examples=50, deadline=None)
@given(cases())
def test_no_pair_is_left_out_that_could_have_filled_a_batch_with_others(case):
    seed, place, _, batch, _ = case
    place = np.arange(len(place))
    assert len(neighbour_batches(place, None, batch, np.random.default_rng(seed), SMALL)) == len(place) // batch


def test_neighbours_share_batches_far_more_often_than_chance(tmp_path):
    generator = np.random.default_rng(0)
    position = generator.uniform(0, 1000, size=(2000, 2))
    order = NeighbourOrder(np.arange(2000), 50, 7, tmp_path, Neighbourhood(40, 20, 10), position_NX=position)
    order.begin(0, None)
    rows = np.stack([order.rows(number) for number in range(order.batches_per_epoch)])
    batch_of = np.empty(2000, int)
    batch_of[rows] = np.arange(40)[:, None]
    distance = np.linalg.norm(position[:, None] - position[None], axis=2)
    nearest = np.argsort(distance, axis=1)[:, 1:6]
    together = (batch_of[nearest] == batch_of[:, None]).mean()
    assert together > 0.3 > 10 * (49 / 1999)


def test_the_nearest_are_always_drawn_and_others_of_the_pool_at_random():
    near = np.tile(np.arange(1, 101, dtype=np.int32), (101, 1))
    how = Neighbourhood(pool=60, drawn=30, nearest=20)
    seen = []
    for seed in range(3000):
        if np.random.default_rng(seed).permutation(101)[0] == 0:
            batch = neighbour_batches(np.arange(101), near, 31, np.random.default_rng(seed), how)[0]
            assert batch[:21].tolist() == list(range(21))
            seen.append(batch[21:])
    drawn = np.concatenate(seen)
    assert set(drawn.tolist()) <= set(range(21, 61))
    assert len(set(drawn.tolist())) > 35


def test_an_epoch_is_decided_by_seed_and_epoch_alone(tmp_path):
    position = np.random.default_rng(0).uniform(0, 9, size=(90, 3))

    def epoch(number, seed=1):
        order = NeighbourOrder(np.arange(90), 8, seed, tmp_path, SMALL, position_NX=position)
        order.begin(number, None)
        return [order.rows(number * order.batches_per_epoch + i).tolist() for i in range(order.batches_per_epoch)]

    assert epoch(2) == epoch(2)
    assert epoch(2) != epoch(1)
    assert epoch(2) != epoch(2, seed=2)


def embedding(seed, count=90):
    query = np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)
    return lambda: (query, query + 0.01)


def never():
    raise AssertionError("it is no time to mine")


def batches_of(order, epoch):
    return [order.rows(epoch * order.batches_per_epoch + number).tolist() for number in range(order.batches_per_epoch)]


def test_similarity_takes_over_when_it_was_mined_and_a_killed_run_goes_on_the_same(tmp_path):
    position = np.random.default_rng(0).uniform(0, 9, size=(90, 2))
    whole = NeighbourOrder(np.arange(90), 8, 1, tmp_path / "a", SMALL, position_NX=position)
    want = []
    for epoch in range(10):
        whole.begin(epoch, embedding(epoch) if epoch and epoch % 3 == 0 else never)
        want.append(batches_of(whole, epoch))
        assert whole.known == (epoch + 1) * whole.batches_per_epoch
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["neighbours-0006.npy", "neighbours-0009.npy"]
    for epoch in (9, 8, 7, 6):
        killed = NeighbourOrder(np.arange(90), 8, 1, tmp_path / "a", SMALL, position_NX=position)
        killed.begin(epoch, never)
        assert batches_of(killed, epoch) == want[epoch]
    # a run that is begun anew mines anew
    killed.begin(0, never)
    assert not list((tmp_path / "a").iterdir())
    alone = NeighbourOrder(np.arange(90), 8, 1, tmp_path / "b", SMALL, position_NX=position)
    with pytest.raises(RunError, match="cannot be read"):
        alone.begin(4, never)
    with pytest.raises(RunError, match="begin the epoch first"):
        whole.rows(0)


def test_mined_neighbours_are_other_places_even_where_a_place_has_several_pairs(tmp_path):
    place = np.repeat(np.arange(40) * 7, 3)
    order = NeighbourOrder(place, 10, 0, tmp_path, Neighbourhood(5, 5, 5, 1))
    order.begin(1, embedding(0, 120))
    table = np.load(order.path(1))
    assert table.shape == (120, 5)
    assert (table != np.repeat(np.arange(40), 3)[:, None]).all()
    for rows in batches_of(order, 1):
        assert len(set(place[rows])) == 10


def test_an_epoch_has_always_as_many_batches_where_pairs_crowd_on_few_places(tmp_path):
    place = np.array([0] * 50 + list(range(1, 12)))
    order = NeighbourOrder(place, 10, 0, tmp_path, SMALL)
    order.begin(0, never)
    assert order.batches_per_epoch == 6
    for rows in batches_of(order, 0):
        assert len(set(place[rows])) == 10


def test_semi_positives_go_by_the_names_of_places(tmp_path):
    place = np.arange(30) * 10
    apart = np.stack([(np.arange(30) + 1) % 30 * 10, np.full(30, 5)], axis=1)  # 5 is the name of no place
    order = NeighbourOrder(place, 6, 0, tmp_path, SMALL, position_NX=np.stack([place, place], axis=1).astype(float), apart_NS=apart)
    order.begin(0, never)
    for rows in batches_of(order, 0):
        assert not set(apart[rows, 0].tolist()) & set(place[rows].tolist())
    free = NeighbourOrder(place, 6, 0, tmp_path, SMALL, position_NX=np.stack([place, place], axis=1).astype(float))
    free.begin(0, never)
    assert any(set(apart[rows, 0].tolist()) & set(place[rows].tolist()) for rows in batches_of(free, 0))


def test_batches_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(InputError, match="3 training places cannot fill a batch of 4"):
        NeighbourOrder(np.array([1, 1, 5, 9]), 4, 0, tmp_path)
    everywhere = NeighbourOrder(np.arange(4), 3, 0, tmp_path, apart_NS=np.tile(np.arange(4), (4, 1)) * (1 - 2 * np.eye(4, dtype=int)))
    with pytest.raises(InputError, match="no batch of 3 pairs"):
        everywhere.begin(0, never)
    for numbers in ((4, 5, 1, 1), (4, 2, 3, 1), (0, 0, 0, 1), (4, 2, 1, 0)):
        with pytest.raises(InputError):
            Neighbourhood(*numbers)


def test_the_first_epochs_go_by_position():
    assert [Neighbourhood().mined_at(epoch) for epoch in range(10)] == [None] * 4 + [4] * 4 + [8] * 2


def test_an_epoch_of_a_benchmark_s_size_takes_a_moment():
    near = np.random.default_rng(0).integers(35532, size=(35532, 128)).astype(np.int32)
    start = time.process_time()
    found = neighbour_batches(np.arange(35532), near, 128, np.random.default_rng(0), Neighbourhood())
    assert len(found) == 277
    assert time.process_time() - start < 5
