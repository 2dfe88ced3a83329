from __future__ import annotations

import numpy as np

from crossfix.evaluate.positives import RowLists, last_of, of_ids, of_pairs, of_table, within


def test_positives_from_ids_tables_and_positions():
    gallery_ids = np.array([7, 5, 7, -1, 9])

    def lists(found: RowLists) -> list[list[int]]:
        return [found.row_P[a:b].tolist() for a, b in zip(found.start_S[:-1], found.start_S[1:], strict=True)]

    assert lists(of_ids(np.array([7, 8, 9]), gallery_ids)) == [[0, 2], [], [4]]
    assert lists(last_of(of_ids(np.array([7, 8, 9]), gallery_ids))) == [[2], [], [4]]
    assert lists(of_table(np.array([[9, 7, 7], [-1, -1, -1], [5, -1, -1]]), gallery_ids)) == [[0, 2, 4], [], [1]]
    spots = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.001], [0.1, 0.0]])
    assert lists(within(spots[:1] + 1e6, spots + 1e6, 5.0)) == [[0, 1, 3]]
    assert lists(of_pairs(np.array([2, 0, 2, 2]), np.array([4, 1, 3, 4]), 4)) == [[1], [], [3, 4], []]
    assert lists(within(spots[:1] - 100, spots, 5.0)) == [[]]
