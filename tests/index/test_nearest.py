from __future__ import annotations

import numpy as np

from crossfix.evaluate.nearest import Nearest
from crossfix.evaluate.similarity import Similarity, View


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
