from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.evaluate import ranks
from crossfix.evaluate.positives import of_ids, of_pairs
from crossfix.evaluate.ranks import NEVER, WrongAbove
from crossfix.index import similarity
from crossfix.index.similarity import Similarity, View


def counted(query, gallery, lists, *, unit=True, left_out=None, neutral=None, **size):
    values = Similarity(query, gallery, **size)
    counter = WrongAbove(View(values, unit=unit, left_out_G=left_out), lists, neutral)
    for block in values.blocks():
        counter.take(block)
    return counter.counts()


def slow_counts(query, gallery, lists, *, left_out=None, neutral=None):
    """Above, tied and later, positive by positive in float64."""
    query, gallery = query.astype(float), gallery.astype(float)
    cosine = (query / np.linalg.norm(query, axis=1, keepdims=True)) @ (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).T
    table = []
    for number, row in zip(lists.query_P, lists.row_P, strict=True):
        wrong = np.ones(len(gallery), bool)
        for other in (lists, neutral):
            if other is not None:
                wrong[other.row_P[other.query_P == number]] = False
        if left_out is not None:
            wrong &= ~left_out
        difference = cosine[number] - cosine[number, row]
        tied = wrong & (abs(difference) < 1e-12)
        table.append((np.count_nonzero(wrong & (difference > 1e-12)), tied.sum(), tied[row + 1 :].sum()))
    return np.array(table).reshape(-1, 3).T


def same(counts, want):
    np.testing.assert_array_equal(counts.above_P, want[0])
    np.testing.assert_array_equal(counts.tied_P, want[1])
    np.testing.assert_array_equal(counts.later_P, want[2])


def problem(seed, queries=40, gallery=300, dim=24, most=9, copies=5):
    """Real numbers, so that rounding matters, with copies of gallery rows (some scaled), and up to ``most`` positives a query."""
    generator = np.random.default_rng(seed)
    wall = generator.normal(size=(gallery, dim)).astype(np.float32)
    for _ in range(copies):
        of, to = generator.choice(gallery, 2, replace=False)
        wall[to] = wall[of] * generator.choice([1, 2, 0.5])
    query = generator.normal(size=(queries, dim)).astype(np.float32)
    pairs = [
        (number, row) for number in range(queries) for row in generator.choice(gallery, generator.integers(0, most + 1), replace=False)
    ]
    return query, wall, of_pairs(*np.array(pairs).T, queries)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [1, 4, 30])
def test_counts_against_float64_with_copies_left_out_and_neutral_rows(seed, most):
    query, gallery, lists = problem(seed, most=most, copies=60)
    generator = np.random.default_rng(seed)
    neutral = of_pairs(generator.integers(0, 40, 90), generator.integers(0, 300, 90), 40)
    left_out = generator.random(300) < 0.2
    left_out[lists.row_P] = False
    same(counted(query, gallery, lists), slow_counts(query, gallery, lists))
    same(
        counted(query, gallery, lists, left_out=left_out, neutral=neutral),
        slow_counts(query, gallery, lists, left_out=left_out, neutral=neutral),
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1.0, 1e-3, 1e-5, 1e-7]), size=st.integers(200, 20000))
def test_descriptors_ever_more_alike_are_counted_exactly(seed, scale, size):
    """Collapsed descriptors: float32 products tell few of them apart, or none."""
    query, gallery, lists = problem(seed, 12, 80, 16)
    query, gallery = (np.float32(1) + np.float32(scale) * part for part in (query, gallery))
    wide = gallery.astype(float)
    # rows that float32 has made equal are equal, all others must differ by more than the tie for the definition to be plain
    cosine = (query.astype(float) / np.linalg.norm(query, axis=1)[:, None]) @ (wide / np.linalg.norm(wide, axis=1)[:, None]).T
    got = counted(query, gallery, lists, block_bytes=size)
    for pair, (number, row) in enumerate(zip(lists.query_P, lists.row_P, strict=True)):
        wrong = np.ones(80, bool)
        wrong[lists.row_P[lists.query_P == number]] = False
        difference = cosine[number] - cosine[number, row]
        clear = np.count_nonzero(wrong & (difference > 1.2e-9)), np.count_nonzero(wrong & (difference > 0.8e-9))
        assert clear[0] <= got.above_P[pair] <= clear[1]


@pytest.mark.parametrize("value", [0.3, 1.0, 1e-20, 3e18])
def test_copies_tie_whatever_their_size_and_wherever_they_stand(value):
    """Terms that are all alike round the same way every time: the worst case of a float32 product."""
    gallery = np.full((533, 300), value, np.float32)
    gallery[::7] *= 0.5
    counts = counted(np.full((3, 300), 0.7, np.float32), gallery, of_ids(np.array([0, 5, 532]), np.arange(533)))
    np.testing.assert_array_equal(counts.above_P, 0)
    np.testing.assert_array_equal(counts.tied_P, 532)
    np.testing.assert_array_equal(counts.later_P, [532, 527, 0])


def test_plain_products_with_one_long_descriptor():
    generator = np.random.default_rng(0)
    gallery = generator.integers(-3, 4, (90, 8)).astype(np.float32)
    gallery[17] = 1e7
    query = generator.integers(-3, 4, (20, 8)).astype(np.float32)
    lists = of_ids(np.arange(20), np.arange(90))
    counts = counted(query, gallery, lists, unit=False)
    product = query.astype(float) @ gallery.T.astype(float)
    own = product[np.arange(20), np.arange(20)][:, None]
    np.testing.assert_array_equal(counts.above_P, (product > own).sum(axis=1))
    np.testing.assert_array_equal(counts.tied_P, (product == own).sum(axis=1) - 1)


def test_blocks_change_nothing_and_are_as_small_as_asked():
    query, gallery, lists = problem(3)
    whole = counted(query, gallery, lists)
    same(counted(query, gallery, lists, block_bytes=2000), (whole.above_P, whole.tied_P, whole.later_P))
    assert max(block.sim_BC.nbytes for block in Similarity(query, gallery, block_bytes=2000).blocks()) <= 2000


def test_the_exact_path_agrees_with_the_fast_one(monkeypatch):
    query, gallery, lists = problem(4, copies=60)
    fast = counted(query, gallery, lists)
    monkeypatch.setattr(ranks, "_COARSE", -1.0)
    same(counted(query, gallery, lists), (fast.above_P, fast.tied_P, fast.later_P))


def test_a_fast_product_that_is_wrong_is_noticed(monkeypatch):
    """Rounding is measured, not trusted: products good to 1e-4 alone (half precision somewhere below) still give exact counts."""
    query, gallery, lists = problem(5)
    want = slow_counts(query, gallery, lists)
    honest = similarity._unit
    monkeypatch.setattr(similarity, "_unit", lambda desc, norm: honest(desc, norm).astype(np.float16).astype(np.float32))
    same(counted(query, gallery, lists), want)


def test_best_and_average_precision_of_queries_without_positives():
    query, gallery, _ = problem(6)
    lists = of_pairs(np.array([1, 1]), np.array([4, 2]), 40)
    counts = counted(query, gallery, lists)
    best = counts.best("against")
    assert best[1] < 300
    assert (np.delete(best, 1) == NEVER).all()
    assert (np.delete(counts.average_precision("against", "step"), 1) == 0).all()


def test_counts_do_not_depend_on_who_else_looks_at_a_block():
    rng = np.random.default_rng(3)
    query, gallery = rng.normal(size=(20, 5)).astype(np.float32), rng.normal(size=(300, 5)).astype(np.float32)
    ids = rng.integers(0, 12, 300)
    right, fewer = of_ids(np.arange(20) % 12, ids), of_ids(np.arange(20) % 12, np.where(rng.random(300) < 0.3, -5, ids))
    out = (rng.random(300) < 0.2) & ~np.isin(np.arange(300), right.row_P)
    similarity = Similarity(query, gallery, block_bytes=4096)

    def counters() -> list[WrongAbove]:
        plain, weighed = View(similarity, unit=True), View(similarity, unit=False)
        shorter = View(similarity, unit=True, left_out_G=out)
        made = [WrongAbove(view, lists) for view in (plain, plain, weighed, shorter) for lists in (right, fewer)]
        return [*made, WrongAbove(plain, fewer, neutral=right)]

    together, alone = counters(), counters()
    for block in similarity.blocks():
        for counter in together:
            counter.take(block)
    for counter in alone:
        for block in similarity.blocks():
            counter.take(block)
    for one, other in zip(together, alone, strict=True):
        for name in ("above_P", "tied_P", "later_P"):
            np.testing.assert_array_equal(getattr(one.counts(), name), getattr(other.counts(), name))
