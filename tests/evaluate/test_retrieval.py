from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.errors import DataError
from crossfix.evaluate import retrieval
from crossfix.evaluate.retrieval import METRICS, bootstrap_places, evaluate_pairs, rank_queries


def slow(query, query_place, gallery, gallery_place):
    """Rank and AP of each query, image by image in plain Python."""
    ranks, aps = [], []
    for one, place in zip(query, query_place, strict=True):
        several = one if one.ndim == 2 else one[None]
        scores = []
        for other, other_place in zip(gallery, gallery_place, strict=True):
            best = max(
                sum(float(a) * float(b) for a, b in zip(turn, other, strict=True))
                / float(np.linalg.norm(turn.astype(float)) * np.linalg.norm(other.astype(float)))
                for turn in several
            )
            scores.append((round(best, 10), other_place == place))
        # descending score; among equal scores the wrong ones first
        scores.sort(key=lambda item: (-item[0], item[1]))
        found, precision = 0, []
        rank = None
        for position, (_, right) in enumerate(scores, start=1):
            if right:
                found += 1
                precision.append(found / position)
                rank = rank or position
        ranks.append(rank)
        aps.append(sum(precision) / len(precision))
    return np.array(ranks), np.array(aps)


def draw(seed: int, queries: int = 25, gallery: int = 60, dim: int = 3, places: int = 9, levels: int = 3):
    """Descriptors of few levels, so that many scores tie; every place is in the gallery."""
    generator = np.random.default_rng(seed)
    query = generator.integers(1, levels + 1, (queries, dim)).astype(np.float32)
    wall = generator.integers(1, levels + 1, (gallery, dim)).astype(np.float32)
    gallery_place = np.concatenate([np.arange(places), generator.integers(0, places + 4, gallery - places)])
    return query, generator.integers(0, places, queries), wall, gallery_place


@pytest.mark.parametrize("seed", range(6))
def test_against_a_slow_reference_with_ties(seed: int):
    query, query_place, gallery, gallery_place = draw(seed)
    rank, ap = rank_queries(query[:, None], query_place, gallery, gallery_place)
    want_rank, want_ap = slow(query, query_place, gallery, gallery_place)
    np.testing.assert_array_equal(rank, want_rank)
    np.testing.assert_allclose(ap, want_ap, atol=1e-12)


def test_several_descriptors_a_query_against_the_reference():
    query, query_place, gallery, gallery_place = draw(3)
    turned = np.stack([query, query[:, ::-1], np.roll(query, 1, axis=1)], axis=1)
    rank, ap = rank_queries(turned, query_place, gallery, gallery_place)
    want_rank, want_ap = slow(turned, query_place, gallery, gallery_place)
    np.testing.assert_array_equal(rank, want_rank)
    np.testing.assert_allclose(ap, want_ap, atol=1e-12)


def test_blocks_change_nothing(monkeypatch):
    data = draw(1, queries=40, gallery=130, dim=5, levels=9)
    whole = evaluate_pairs(*data)
    monkeypatch.setattr(retrieval, "_BLOCK_BYTES", 8 * 5 * 7)
    seen: list[tuple[int, int]] = []
    blocks = evaluate_pairs(*data, progress=lambda done, total: seen.append((done, total)))
    assert blocks == whole
    assert seen[-1] == (40, 40)
    assert len(seen) > 3


def test_convention_ties_count_against_the_query():
    query = np.array([[1.0, 0.0]])
    gallery = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scores = evaluate_pairs(query, ["a"], gallery, ["a", "b", "c"]).scores
    assert scores["R@1"].value == 0.0
    assert scores["AP"].value == 0.5


def test_equal_scores_tie_although_their_sums_round_differently():
    generator = np.random.default_rng(0)
    one = generator.normal(size=4099).astype(np.float32)
    gallery = np.concatenate([one[None] * 3, generator.normal(size=(333, 4099)).astype(np.float32), one[None]])
    rank, _ = rank_queries(one[None, None], np.array([0]), gallery, np.arange(335))
    assert rank[0] == 2


def test_known_values():
    angle = np.deg2rad([0, 10, 20, 30, 40])
    gallery = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    result = evaluate_pairs(gallery[:1], ["a"], gallery, ["x", "a", "y", "a", "z"])
    assert result.scores["R@1"].value == 0.0
    assert result.scores["R@5"].value == 1.0
    assert result.scores["AP"].value == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (result.queries, result.places, result.gallery, result.gallery_places, result.top_percent) == (1, 1, 5, 4, 1)


def test_r1_percent_looks_at_one_image_in_a_hundred():
    generator = np.random.default_rng(0)
    gallery = generator.normal(size=(350, 8))
    order = np.argsort(-(gallery / np.linalg.norm(gallery, axis=1, keepdims=True)) @ gallery[0])
    names = np.arange(350)
    third = evaluate_pairs(gallery[:1], [names[order[2]]], gallery, names)
    fourth = evaluate_pairs(gallery[:1], [names[order[3]]], gallery, names)
    assert third.top_percent == 3
    assert (third.scores["R@1%"].value, fourth.scores["R@1%"].value) == (1.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), order_seed=st.integers(0, 2**31))
def test_the_gallery_s_order_never_matters(seed: int, order_seed: int):
    query, query_place, gallery, gallery_place = draw(seed, queries=8, gallery=30)
    order = np.random.default_rng(order_seed).permutation(30)
    one = evaluate_pairs(query, query_place, gallery, gallery_place, draws=20)
    other = evaluate_pairs(query, query_place, gallery[order], gallery_place[order], draws=20)
    assert one == other


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), extra=st.integers(1, 20))
def test_a_distractor_never_raises_a_score(seed: int, extra: int):
    """R@1 % is left out: it may rise, as a larger gallery lets it look at more images."""
    query, query_place, gallery, gallery_place = draw(seed, queries=8, gallery=30)
    more = np.random.default_rng(seed + 1).integers(1, 4, (extra, 3)).astype(np.float32)
    before = evaluate_pairs(query, query_place, gallery, gallery_place, draws=20)
    after = evaluate_pairs(
        query, query_place, np.concatenate([gallery, more]), np.concatenate([gallery_place, np.full(extra, 99)]), draws=20
    )
    for name in ("R@1", "R@5", "R@10", "AP"):
        assert after.scores[name].value <= before.scores[name].value + 1e-12


def test_intervals_resample_places_not_queries():
    place = np.repeat(np.arange(20), 50)
    hit = (place % 2 == 0).astype(float)[:, None]  # queries of a place stand or fall together
    low, high = bootstrap_places(hit, place, seed=0, draws=2000)
    spread = 1.96 * np.sqrt(0.25 / 20)  # of 20 independent places, not of 1000 queries
    assert low[0] == pytest.approx(0.5 - spread, abs=0.04)
    assert high[0] == pytest.approx(0.5 + spread, abs=0.04)
    again = bootstrap_places(hit, place, seed=0, draws=2000)
    np.testing.assert_array_equal((low, high), again)


def test_every_metric_has_an_interval_around_it():
    scores = evaluate_pairs(*draw(5)).scores
    assert tuple(scores) == METRICS
    for score in scores.values():
        assert 0 <= score.low <= score.value <= score.high <= 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda query, gallery: query.__setitem__((3, 1), np.nan), "query: the descriptor of image 3 is NaN"),
        (lambda query, gallery: gallery.__setitem__((5, 0), np.inf), "gallery: the descriptor of image 5 is NaN"),
        (lambda query, gallery: gallery.__setitem__(7, 0.0), "gallery: the descriptor of image 7 is NaN, infinite or zero"),
        (lambda query, gallery: query.__setitem__(slice(None), 2.0), "query: all descriptors are the same"),
        (lambda query, gallery: gallery.__setitem__(slice(None), 2.0), "gallery: all descriptors are the same"),
    ],
)
def test_descriptors_that_say_nothing_are_refused(spoil, said: str):
    query, query_place, gallery, gallery_place = draw(0)
    spoil(query, gallery)
    with pytest.raises(DataError, match=said):
        evaluate_pairs(query, query_place, gallery, gallery_place)


def test_queries_without_a_positive_are_named():
    query, _, gallery, _ = draw(0, queries=3, gallery=12, places=9)
    with pytest.raises(DataError, match=r"2 queries have no image of their place in the gallery \(places: q, z\)"):
        evaluate_pairs(query, ["q", "a", "z"], gallery, list("abcdefghijkl"))


def test_shapes_that_do_not_agree():
    query, query_place, gallery, gallery_place = draw(0)
    with pytest.raises(DataError, match="3 entries"):
        evaluate_pairs(query, query_place, gallery[:, :2], gallery_place)
    with pytest.raises(DataError, match="25 descriptors, but 24 places"):
        evaluate_pairs(query, query_place[:-1], gallery, gallery_place)
    with pytest.raises(DataError, match="no descriptors"):
        evaluate_pairs(query[:0], query_place[:0], gallery, gallery_place)
