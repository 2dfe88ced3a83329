from __future__ import annotations

import numpy as np
import pytest

from crossfix.index.nearest import Nearest
from crossfix.index.similarity import Similarity, View


def test_the_nearest_are_those_of_a_full_sort():
    generator = np.random.default_rng(7)
    query, gallery = generator.normal(size=(40, 24)).astype(np.float32), generator.normal(size=(300, 24)).astype(np.float32)
    gallery[generator.choice(300, 90)] = gallery[generator.choice(300, 90)]
    values = Similarity(query, gallery, block_bytes=9000)
    left_out = np.arange(300) % 9 == 0
    nearest = Nearest(View(values, unit=True, left_out_G=left_out), 7)
    for block in values.blocks():
        nearest.take(block)
    rows = nearest.rows()
    wide, norm = gallery.astype(float), np.linalg.norm(gallery.astype(float), axis=1)
    for number, one in enumerate(query.astype(float)):
        cosine = np.round(wide @ one / norm / np.linalg.norm(one), 12)
        want = sorted(np.flatnonzero(~left_out), key=lambda row, cosine=cosine: (-cosine[row], -row))
        assert rows[number].tolist() == want[:7]


def test_of_equal_scores_the_rule_says_which_is_nearest():
    gallery = np.tile(np.eye(2, dtype=np.float32), (20, 1))
    values = Similarity(gallery[:1], gallery, block_bytes=60)
    far = np.random.default_rng(0).permutation(40)
    nearest = Nearest(View(values, unit=True), 4, lambda query, row: far[row])
    for block in values.blocks():
        nearest.take(block)
    assert nearest.rows()[0].tolist() == sorted(range(0, 40, 2), key=lambda row: -far[row])[:4]
    assert Nearest(View(values, unit=True, left_out_G=np.arange(40) > 1), 9).k == 2


@pytest.mark.parametrize(("k", "block_bytes"), [(1, 3000), (40, 3000), (40, 200_000), (260, 20_000)])
def test_scores_nearer_than_float32_can_tell_are_still_put_in_the_right_order(k, block_bytes):
    generator = np.random.default_rng(3)
    query = generator.normal(size=(30, 96)).astype(np.float32)
    middle = generator.normal(size=(6, 96)).astype(np.float32)
    gallery = middle[generator.integers(6, size=260)] + (1e-5 * generator.normal(size=(260, 96))).astype(np.float32)
    values = Similarity(query, gallery, block_bytes=block_bytes)
    nearest = Nearest(View(values, unit=True), k, lambda query, row: -row)
    for block in values.blocks():
        nearest.take(block)
    rows = nearest.rows()
    wide = gallery.astype(float)
    cosine_QG = (
        query.astype(float) @ (wide / np.linalg.norm(wide, axis=1, keepdims=True)).T / np.linalg.norm(query.astype(float), axis=1)[:, None]
    )
    found_QK = np.take_along_axis(cosine_QG, rows, axis=1)
    assert (np.diff(found_QK, axis=1) < 1e-8).all()  # chains of ties are longer than one tie
    assert (found_QK[:, -1] > np.sort(cosine_QG, axis=1)[:, -k] - 1e-8).all()
    assert all(len(set(line)) == k for line in rows.tolist())


def test_a_gallery_of_nothing_but_copies_gives_each_query_its_share():
    gallery = np.ones((9000, 8), np.float32)
    values = Similarity(gallery[:3], gallery, block_bytes=4000)
    nearest = Nearest(View(values, unit=True), 5)
    for block in values.blocks():
        nearest.take(block)
    assert nearest.rows().tolist() == [[8999, 8998, 8997, 8996, 8995]] * 3


def test_one_query_s_exact_scores_are_those_of_the_pairs():
    generator = np.random.default_rng(5)
    query, gallery = generator.normal(size=(4, 3, 12)).astype(np.float32), generator.normal(size=(50, 12)).astype(np.float32)
    view = View(Similarity(query, gallery), unit=False)
    rows = generator.permutation(50)[:20]
    np.testing.assert_allclose(view.exact_row(2, rows), view.exact(np.full(20, 2), rows), rtol=0, atol=1e-14)
