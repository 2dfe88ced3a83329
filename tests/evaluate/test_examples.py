from __future__ import annotations

import numpy as np
import pytest

from crossfix.evaluate.arrays import DescriptorSet
from crossfix.evaluate.examples import Example, pick
from crossfix.evaluate.positives import of_ids
from crossfix.evaluate.score import score

RNG = np.random.default_rng(5)


def unit(array: np.ndarray) -> np.ndarray:
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


GALLERY_IDS = np.repeat(np.arange(30), 2)
QUERY_IDS = np.repeat(np.arange(20), 3)
CENTRE = RNG.normal(size=(30, 8))
GALLERY = DescriptorSet("gallery", unit(CENTRE[GALLERY_IDS] + RNG.normal(size=(60, 8))), GALLERY_IDS, xy_m=RNG.random((60, 2)) * 1000)
QUERIES = DescriptorSet(
    "queries", unit(CENTRE[QUERY_IDS][:, None] + 1.3 * RNG.normal(size=(60, 2, 8))), QUERY_IDS, xy_m=RNG.random((60, 2)) * 1000
)
SIM = np.einsum("qrd,gd->qrg", QUERIES.features.astype(float), GALLERY.features.astype(float)).max(axis=1)
RIGHT = QUERY_IDS[:, None] == GALLERY_IDS
WRONG_TOP = np.where(RIGHT, -2, SIM).max(axis=1)
RANK = 1 + (np.where(RIGHT, -2, SIM) >= np.where(RIGHT, SIM, -2).max(axis=1)[:, None]).sum(axis=1)
LEAD = np.where(RIGHT, SIM, -2).max(axis=1) - WRONG_TOP


def picked(which: str, count: int) -> list[Example]:
    return pick(QUERIES, GALLERY, of_ids(QUERY_IDS, GALLERY_IDS), RANK, which, count)  # type: ignore[arg-type]


def test_ranks_are_those_of_the_scores():
    np.testing.assert_array_equal(score(QUERIES, GALLERY, "university1652", only="strict").strict_Q["rank"], RANK)


@pytest.mark.parametrize("which", ["best", "worst"])
def test_the_ends_of_the_list_one_a_place(which: str):
    keys = sorted(range(60), key=lambda q: (RANK[q], -LEAD[q]) if which == "best" else (-RANK[q], LEAD[q]))
    expected: list[int] = []
    for query in keys:
        if QUERY_IDS[query] not in QUERY_IDS[expected]:
            expected.append(query)
    assert [example.query for example in picked(which, 7)] == expected[:7]
    assert len(picked(which, 100)) == 20


def test_what_is_shown_is_what_was_found():
    for example in picked("worst", 20) + picked("best", 20):
        query = example.query
        order = np.argsort(-SIM[query])[:5]
        assert [found.row for found in example.found] == order.tolist()
        assert [found.right for found in example.found] == RIGHT[query, order].tolist()
        assert [found.similarity for found in example.found] == pytest.approx(SIM[query, order].tolist(), abs=1e-6)
        assert example.found[0].distance_m == pytest.approx(np.linalg.norm(QUERIES.xy_m[query] - GALLERY.xy_m[order[0]]))
        assert example.rank == RANK[query]
        if RIGHT[query, order].any():
            assert example.missed is None
        else:
            assert example.missed is not None
            assert example.missed.row == np.where(RIGHT[query], SIM[query], -2).argmax()
            assert example.missed.right


def test_of_equal_images_the_wrong_one_is_shown_first():
    gallery = DescriptorSet("gallery", unit(np.ones((3, 2))), np.array([7, 8, 9]))
    queries = DescriptorSet("queries", unit(np.ones((1, 2))), np.array([8]))
    found = pick(queries, gallery, of_ids(queries.ids, gallery.ids), np.array([3]), "worst", 1)[0]
    assert [one.right for one in found.found] == [False, False, True]
