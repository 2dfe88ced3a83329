from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.errors import DataError
from crossfix.evaluate.arrays import DescriptorSet, read_descriptors
from crossfix.evaluate.score import score
from crossfix.geo.geodesy import distance_m
from crossfix.index import similarity
from slow_scores import denseuav, greater, gtauav, near_recall, strict, university


def whole_numbers(generator, count, dim=6, levels=3):
    """Features of few whole numbers: many exact ties, and products that no order of summation changes."""
    return generator.integers(1, levels + 1, (count, dim)).astype(np.float32)


def draw(seed, queries=30, gallery=70, places=12, junk=6):
    """Queries, and a gallery with several images a place, distractors and junk."""
    generator = np.random.default_rng(seed)
    query_ids = generator.integers(0, places, queries)
    ids = np.concatenate([np.arange(places), generator.integers(0, places + 8, gallery - places)])
    ids[generator.choice(np.arange(places, gallery), junk, replace=False)] = -1
    order = generator.permutation(gallery)
    return (
        DescriptorSet("Q", whole_numbers(generator, queries), query_ids),
        DescriptorSet("G", whole_numbers(generator, gallery), ids[order]),
    )


def located(seed, queries=20, gallery=40):
    """Queries and gallery of some square kilometres at 30 N 120 E, every image of a place at its own spot."""
    one, other = draw(seed, queries, gallery)
    generator = np.random.default_rng(seed)
    spots = np.array([120.3, 30.3]) + generator.uniform(-3e-4, 3e-4, (40, 2))
    return replace(one, lonlat=spots[one.ids]), replace(other, lonlat=spots[other.ids] + generator.uniform(-1e-4, 1e-4, (gallery, 2)))


def paired(seed, queries=25, gallery=60):
    """Queries with their right tiles' ids (none for some) in a plane, and a gallery of tiles."""
    generator = np.random.default_rng(seed)
    table = np.full((queries, 4), -1)
    for row in range(queries):
        chosen = generator.choice(gallery, generator.integers(0 if row else 1, 5), replace=False)
        table[row, : len(chosen)] = chosen + 100
    xy_q, xy_g = generator.uniform(0, 900, (queries, 2)), generator.uniform(0, 900, (gallery, 2))
    query = DescriptorSet("Q", whole_numbers(generator, queries), np.arange(queries), xy_m=xy_q, positives=table)
    return query, DescriptorSet("G", whole_numbers(generator, gallery), np.arange(gallery) + 100, xy_m=xy_g)


def right_rows(query, gallery):
    return [set(np.flatnonzero(gallery.ids == name)) for name in query.ids]


def junk_rows(gallery):
    return np.flatnonzero(gallery.ids == -1)


def agree(got, want):
    assert set(want) <= set(got)
    for name, value in want.items():
        assert got[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "drop"), [("university1652", False), ("sues200", False), ("university1652-sample4geo", True)])
def test_the_university_family_with_ties_distractors_and_junk(name, drop, seed):
    query, gallery = draw(seed)
    scored = score(query, gallery, name)
    want = university(query.features, query.ids, gallery.features, gallery.ids, drop=drop)
    agree(scored.paper, want)
    assert set(scored.paper) == set(want)
    agree(scored.strict, strict(query.features, gallery.features, right_rows(query, gallery), junk_rows(gallery)))


def test_a_query_without_a_positive_scores_zero_and_stays_in_the_mean():
    query, gallery = draw(0)
    lost = replace(query, ids=np.where(np.arange(30) < 9, 999, query.ids))
    scored = score(lost, gallery, "university1652", only="paper")
    agree(scored.paper, university(lost.features, lost.ids, gallery.features, gallery.ids))
    assert scored.strict == {}
    with pytest.raises(DataError, match=r"9 queries have no right image in G \(ids: 999\)"):
        score(lost, gallery, "university1652")


@pytest.mark.parametrize(("gallery", "looked"), [(149, 2), (150, 3), (250, 3), (251, 4)])
def test_one_percent_of_university_is_python_s_round_plus_one(gallery, looked):
    """0.01 * 150 = 1.5 rounds to 2 and 2.5 to 2: half to even; the curve is read at that index from 0."""
    query = DescriptorSet("Q", np.ones((1, 1)), np.array([0]))
    for rank in (looked, looked + 1):
        ids = np.full(gallery, 7)
        ids[rank - 1] = 0
        wall = DescriptorSet("G", np.arange(gallery, 0, -1.0)[:, None], ids)
        scored = score(query, wall, "university1652", only="paper")
        assert scored.paper["R@1%"] == (rank <= looked)
        assert scored.top_percent == {"paper": looked}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["cvusa", "cvact"])
def test_counting_what_scores_strictly_higher(name, seed):
    query, gallery = draw(seed, gallery=230, junk=0)
    scored = score(query, gallery, name)
    want = greater(query.features, query.ids, gallery.features, gallery.ids)
    agree(scored.paper, want)
    assert set(scored.paper) == set(want)
    agree(scored.strict, strict(query.features, gallery.features, right_rows(query, gallery)))


def test_descriptors_that_say_nothing_are_perfect_on_paper_and_refused_strictly():
    generator = np.random.default_rng(0)
    ids = np.arange(150)
    for features, said in ((np.full((150, 5), np.nan), "NaN"), (np.full((150, 5), 0.3), "all descriptors are the same")):
        query, gallery = DescriptorSet("Q", features, ids), DescriptorSet("G", generator.permutation(features), ids)
        assert score(query, gallery, "cvusa", only="paper").paper == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "R@1%": 1.0}
        with pytest.raises(DataError, match=said):
            score(query, gallery, "cvusa")


def test_one_percent_of_fewer_than_a_hundred_images_is_none_on_paper():
    ids = np.arange(40)
    features = np.eye(40)
    scored = score(DescriptorSet("Q", features, ids), DescriptorSet("G", features, ids), "cvusa")
    assert (scored.paper["R@1"], scored.paper["R@1%"]) == (1.0, 0.0)
    assert scored.strict["R@1%"] == 1.0
    assert scored.top_percent == {"paper": 0, "strict": 1}


def test_sorting_scripts_put_what_is_not_a_number_first():
    features = np.eye(4, dtype=np.float32)
    spoiled = features.copy()
    spoiled[2] = np.nan
    query, gallery = DescriptorSet("Q", features[:2], np.arange(2)), DescriptorSet("G", spoiled, np.arange(4))
    scored = score(query, gallery, "university1652", only="paper")
    assert scored.paper["R@1"] == 0.0
    assert scored.paper["AP"] == pytest.approx((0 / 1 + 1 / 2) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_vigor(seed):
    generator = np.random.default_rng(seed)
    gallery = DescriptorSet("G", generator.choice([-1.0, 1.0], (130, 64)), generator.permutation(130) + 5)
    table = np.stack([generator.choice(gallery.ids, 4, replace=False) for _ in range(40)])
    table[3, 2:] = -1
    # a query looks like its true tile and like its first semi-positive, some more like the one and some more like the other
    true, semi = (gallery.features[np.argsort(gallery.ids)[table[:, column] - 5]] for column in (0, 1))
    features = np.where(generator.random((40, 64)) < 0.5, true, semi)
    query = DescriptorSet("Q", features, table[:, 0], semi_positives=table[:, 1:])
    scored = score(query, gallery, "vigor")
    want = greater(query.features, query.ids, gallery.features, gallery.ids, table[:, 1:])
    agree(scored.paper, want)
    assert set(scored.paper) == set(want)
    assert want["hit"] > want["R@1"]
    right = right_rows(query, gallery)
    agree(scored.strict, strict(query.features, gallery.features, right))
    neutral = [good | set(np.flatnonzero(np.isin(gallery.ids, row[1:]))) for good, row in zip(right, table, strict=True)]
    hit = 0
    for one, good, aside in zip(query.features, right, neutral, strict=True):
        cosine = gallery.features @ one / np.linalg.norm(gallery.features, axis=1)
        hit += not any(cosine[row] >= cosine[min(good)] - 1e-6 for row in range(130) if row not in aside)
    assert scored.strict["hit"] == pytest.approx(hit / 40)


@pytest.mark.parametrize("seed", range(4))
def test_cvact_test_by_id_and_within_five_metres(seed):
    generator = np.random.default_rng(seed)
    xy = generator.integers(0, 40, (120, 2)).astype(float)
    xy[:3] = [[0, 0], [3, 4], [3, 4.001]]  # 5 m exactly is near
    query = DescriptorSet("Q", whole_numbers(generator, 120), np.arange(120), xy_m=xy)
    gallery = DescriptorSet("G", whole_numbers(generator, 120), np.arange(120), xy_m=xy)
    scored = score(query, gallery, "cvact-test")
    agree(scored.paper, greater(query.features, query.ids, gallery.features, gallery.ids))
    agree(scored.paper, near_recall(query.features, xy, gallery.features, xy, 5.0))
    near = [set(np.flatnonzero(np.hypot(*(xy - at).T) <= 5)) for at in xy]
    assert scored.strict["R@5<5m"] == pytest.approx(strict(query.features, gallery.features, near)["R@5"])
    assert {"Dis@1", "Dis@3", "Dis@5"} < set(scored.strict)


@pytest.mark.parametrize("seed", range(4))
def test_denseuav(seed):
    query, gallery = located(seed)
    scored = score(query, gallery, "denseuav")
    want = university(query.features, query.ids, gallery.features, gallery.ids)
    want |= denseuav(query.features, query.lonlat, gallery.features, gallery.lonlat, set(junk_rows(gallery)))
    agree(scored.paper, want)
    assert set(scored.paper) == set(want)


def test_twenty_metres_in_both_spatial_distance_metrics():
    """20 m north is 0.41 in DenseUAV's metric and 0.98 in GTA-UAV's: they cannot be compared."""
    eye = np.eye(2, dtype=np.float32)
    spot = np.array([[120.0, 30.0], [120.0, 30.5]])
    north = spot + np.array([0, 20 / 111_000])
    query, gallery = DescriptorSet("Q", eye, np.arange(2), lonlat=spot), DescriptorSet("G", eye, np.arange(2), lonlat=north)
    scored = score(query, gallery, "denseuav")
    assert scored.paper["SDM@1"] == pytest.approx(0.41, abs=0.01)
    assert scored.strict["SDM@1"] == pytest.approx(0.41, abs=0.01)
    assert (scored.paper["MA@20"], scored.paper["MA@21"]) == (0.0, 1.0)
    assert scored.strict["Dis@1"] == pytest.approx(distance_m(120.0, 30.0, 120.0, 30.0 + 20 / 111_000), abs=1e-2)
    assert "SDM@3" not in scored.paper  # the gallery has two images
    metres = spot * 111_000
    query = replace(query, xy_m=metres, positives=np.arange(2)[:, None])
    assert score(query, replace(gallery, xy_m=metres + np.array([0, 20])), "gtauav").paper["SDM@1"] == pytest.approx(math.exp(-0.02))


@pytest.mark.parametrize("seed", range(4))
def test_gtauav(seed):
    query, gallery = paired(seed)
    right = [{name - 100 for name in row if name != -1} for row in query.positives]
    scored = score(query, gallery, "gtauav", only="paper")
    want = gtauav(query.features, query.xy_m, gallery.features, gallery.xy_m, right)
    agree(scored.paper, want)
    assert set(scored.paper) == set(want)
    assert not all(right)
    with pytest.raises(DataError, match=f"{sum(not rows for rows in right)} queries have no right image"):
        score(query, gallery, "gtauav")
    answered = np.array([bool(rows) for rows in right])
    some = DescriptorSet("Q", query.features[answered], query.ids[answered], xy_m=query.xy_m[answered], positives=query.positives[answered])
    agree(score(some, gallery, "gtauav").strict, strict(some.features, gallery.features, [rows for rows in right if rows]))


def test_gtauav_where_no_query_has_a_positive_has_no_average_precision():
    query, gallery = paired(0)
    scored = score(replace(query, positives=np.full((25, 2), -1)), gallery, "gtauav", only="paper")
    assert scored.paper["AP"] is None
    assert scored.paper["R@10"] == 0.0


def test_strict_distances_are_geodesic_and_of_equal_scores_the_farthest_counts():
    one = np.array([[1.0, 0.0], [0.0, 1.0]])
    query = DescriptorSet("Q", one[:1], np.array([0]), lonlat=np.array([[8.0, 50.0]]))
    wall = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    lonlat = np.array([[8.0, 50.0], [8.0, 50.02], [8.0, 50.01], [8.5, 50.0]])
    scored = score(query, DescriptorSet("G", wall, np.arange(4), lonlat=lonlat), "university1652")
    assert scored.strict["Dis@1"] == pytest.approx(distance_m(8.0, 50.0, 8.0, 50.02))
    assert scored.strict["R@1"] == 0.0
    assert "Dis@5" not in scored.strict
    assert "Dis@1" not in scored.paper


def test_every_strict_score_has_an_interval_around_it():
    scored = score(*located(2), "denseuav")
    assert set(scored.intervals95) == set(scored.strict)
    for name, (low, high) in scored.intervals95.items():
        assert low <= scored.strict[name] <= high
    assert score(*located(2), "denseuav") == scored
    assert score(*located(2), "denseuav", seed=1).intervals95 != scored.intervals95


def test_junk_is_no_part_of_the_strict_gallery():
    query, gallery = draw(3, gallery=250, junk=60)
    scored = score(query, gallery, "university1652-sample4geo")
    assert scored.junk == {"paper": int((~np.isin(gallery.ids, query.ids)).sum()), "strict": 60}
    assert scored.top_percent["strict"] == 1
    keep = gallery.ids != -1
    again = score(query, DescriptorSet("G", gallery.features[keep], gallery.ids[keep]), "university1652-sample4geo")
    assert again.strict == scored.strict


def test_paper_takes_plain_products_and_strict_takes_cosines():
    query = DescriptorSet("Q", np.array([[1.0, 0.0]]), np.array([0]))
    gallery = DescriptorSet("G", np.array([[1.0, 0.0], [5.0, 5.0]]), np.array([0, 1]))
    scored = score(query, gallery, "university1652")
    assert (scored.paper["R@1"], scored.strict["R@1"]) == (0.0, 1.0)
    assert not scored.unit_norm
    half = replace(gallery, features=(gallery.features / np.linalg.norm(gallery.features, axis=1)[:, None]).astype(np.float16))
    assert score(query, half, "university1652").unit_norm


@pytest.mark.parametrize("name", ["university1652", "denseuav", "gtauav", "cvact-test"])
def test_blocks_and_half_precision_change_nothing(name, monkeypatch):
    query, gallery = paired(1, 40, 150) if name in ("gtauav", "cvact-test") else located(1, 40, 150)
    if name == "gtauav":
        query = replace(query, positives=np.where((query.positives == -1).all(axis=1, keepdims=True), 100, query.positives))
    if name == "cvact-test":
        query = replace(query, ids=query.ids + 100)
    whole = score(query, gallery, name)
    seen: list[tuple[int, int]] = []
    small = similarity.Similarity.__init__
    monkeypatch.setattr(similarity.Similarity, "__init__", lambda self, one, other: small(self, one, other, block_bytes=450))
    half = [replace(part, features=part.features.astype(np.float16)) for part in (query, gallery)]
    assert score(*half, name, progress=lambda done, total: seen.append((done, total))) == whole
    assert seen[-1] == (40, 40)
    assert len(seen) > 3


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), order_seed=st.integers(0, 2**31), name=st.sampled_from(["university1652", "denseuav", "cvusa"]))
def test_order_never_matters_strictly(seed, order_seed, name):
    query, gallery = located(seed, 10, 30)
    generator = np.random.default_rng(order_seed)
    rows, columns = generator.permutation(10), generator.permutation(30)
    mixed_query = DescriptorSet("Q", query.features[rows], query.ids[rows], lonlat=query.lonlat[rows])
    mixed_gallery = DescriptorSet("G", gallery.features[columns], gallery.ids[columns], lonlat=gallery.lonlat[columns])
    one, other = (score(*sets, name, only="strict", draws=20) for sets in ((query, gallery), (mixed_query, mixed_gallery)))
    for metric, value in one.strict.items():
        assert other.strict[metric] == pytest.approx(value, abs=1e-9)
        assert other.intervals95[metric] == pytest.approx(one.intervals95[metric], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), extra=st.integers(1, 15), name=st.sampled_from(["university1652", "sues200", "cvusa", "cvact"]))
def test_one_more_distractor_never_raises_a_score(seed, extra, name):
    """R@1% is left out: a larger gallery lets it look at more images."""
    query, gallery = draw(seed, 10, 40)
    more = whole_numbers(np.random.default_rng(seed + 1), extra)
    wall = DescriptorSet("G", np.concatenate([gallery.features, more]), np.concatenate([gallery.ids, np.full(extra, 77)]))
    before, after = score(query, gallery, name, draws=10), score(query, wall, name, draws=10)
    for side in ("paper", "strict"):
        for metric, value in getattr(after, side).items():
            assert metric == "R@1%" or value <= getattr(before, side)[metric] + 1e-12


@pytest.mark.parametrize(
    ("spoil", "protocol", "said"),
    [
        (lambda q, g: (replace(q, ids=np.where(q.ids == q.ids[0], -1, q.ids)), g), "university1652", "Q: query 0 has the id -1"),
        (lambda q, g: (q, replace(g, features=g.features[:, :4])), "university1652", "Q: its descriptors have 6 entries, those of G 4"),
        (lambda q, g: (replace(q, ids=q.ids + 500), g), "cvusa", r"Q: 30 queries have no right image in G \(ids: 50"),
        (lambda q, g: (q, g), "denseuav", "Q: holds no lonlat, which denseuav needs"),
        (lambda q, g: (q, g), "gtauav", "Q: holds no xy_m and no positives, which gtauav needs"),
        (lambda q, g: (q, g), "vigor", "Q: holds no semi_positives, which vigor needs"),
        (lambda q, g: (replace(q, semi_positives=np.full((30, 3), 888)), g), "vigor", r"Q: 1 ids in semi_positives .* \(ids: 888\)"),
        (
            lambda q, g: (replace(q, features=np.where(q.features == 1, np.inf, q.features)), g),
            "cvusa",
            "Q: the descriptor of image 0 is NaN",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(spoil, protocol, said):
    query, gallery = draw(0)
    with pytest.raises(DataError, match=said):
        score(*spoil(query, gallery), protocol)


def test_counting_scripts_stop_at_an_id_that_is_missing_and_so_do_we():
    query, gallery = draw(0)
    with pytest.raises(DataError, match="no right image"):
        score(replace(query, ids=query.ids + 500), gallery, "cvusa", only="paper")


def test_memory_is_bounded(tmp_path, monkeypatch):
    """A gallery mapped from its file: neither it nor the matrix of similarities is ever held, nor a copy of either."""
    generator = np.random.default_rng(0)
    ids = np.arange(20_000) % 4000
    np.savez(tmp_path / "G.npz", ids=ids, features=generator.standard_normal((20_000, 256), dtype=np.float32))
    np.savez(tmp_path / "Q.npz", ids=ids[:600], features=generator.standard_normal((600, 256), dtype=np.float32))
    query, gallery = read_descriptors(tmp_path / "Q.npz"), read_descriptors(tmp_path / "G.npz")
    small = similarity.Similarity.__init__
    monkeypatch.setattr(similarity.Similarity, "__init__", lambda self, one, other: small(self, one, other, block_bytes=1 << 19))
    tracemalloc.start()
    score(query, gallery, "university1652", draws=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert gallery.features.nbytes > 20e6
    assert peak < 10e6
