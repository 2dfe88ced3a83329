from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.errors import InputError, RunError
from crossfix.geo.geodesy import distance_m
from crossfix.train.mining import in_space, most_similar, nearest_on_ground, read_neighbours, write_neighbours


def own(count):
    return np.arange(count)[:, None]


def by_sorting(distance_NP, left_out_NS, k, tie):
    """All places of each pair sorted by distance, ties by number, one pair after the other."""
    table = []
    for distance_P, left_out in zip(distance_NP, left_out_NS, strict=True):
        keys = sorted((round(distance / tie), row) for row, distance in enumerate(distance_P) if row not in left_out)
        rows = [row for _, row in keys[:k]]
        table.append(rows + [-1] * (k - len(rows)))
    return np.array(table)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), pairs=st.integers(1, 40), places=st.integers(1, 60), dim=st.integers(2, 9), k=st.integers(1, 70))
def test_the_most_similar_are_those_of_a_full_sort(seed, pairs, places, dim, k):
    generator = np.random.default_rng(seed)
    # few different numbers make many ties
    query, place = (generator.integers(-2, 3, size=(count, dim)).astype(np.float32) for count in (pairs, places))
    query[:, 0], place[:, 0] = 3, 3
    left_out = generator.integers(-1, places, size=(pairs, 3))
    wide_query, wide_place = query.astype(float), place.astype(float)
    cosine = wide_query @ wide_place.T / np.linalg.norm(wide_query, axis=1)[:, None] / np.linalg.norm(wide_place, axis=1)
    assert (most_similar(query, place, left_out, k) == by_sorting(-cosine, left_out, k, 1e-9)).all()


def test_the_same_holds_for_descriptors_as_models_make_them():
    generator = np.random.default_rng(2)
    place = generator.normal(size=(300, 64)).astype(np.float32) + 2
    query = place + generator.normal(size=place.shape).astype(np.float32)
    wide_query, wide_place = query.astype(float), place.astype(float)
    cosine = wide_query @ wide_place.T / np.linalg.norm(wide_query, axis=1)[:, None] / np.linalg.norm(wide_place, axis=1)
    assert (most_similar(query, place, own(300), 33) == by_sorting(-cosine, own(300), 33, 1e-12)).all()


def test_a_descriptor_that_says_nothing_is_refused_by_number():
    place = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    for value in (0.0, np.nan, np.inf):
        spoilt = place.copy()
        spoilt[5] = value
        with pytest.raises(RunError, match="descriptor of place 5 is NaN, infinite or zero"):
            most_similar(place, spoilt, own(9), 3)
        with pytest.raises(RunError, match="descriptor of query 5"):
            most_similar(spoilt, place, own(9), 3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), places=st.integers(1, 60), axes=st.integers(2, 3), k=st.integers(1, 70))
def test_the_nearest_on_a_grid_are_those_of_a_full_sort_ties_and_all(seed, places, axes, k):
    generator = np.random.default_rng(seed)
    place = generator.integers(0, 4, size=(places, axes)) * 10.0
    query = generator.integers(0, 4, size=(25, axes)) * 10.0
    left_out = generator.integers(-1, places, size=(25, 2))
    distance = np.sqrt(((query[:, None] - place[None]) ** 2).sum(axis=2))
    assert (nearest_on_ground(query, place, left_out, k) == by_sorting(distance, left_out, k, 1e-6)).all()


def test_far_more_ties_than_neighbours_still_go_by_number():
    place = np.zeros((500, 2))
    place[::2, 0] = 1.0
    query = np.array([[0.0, 0.0], [1.0, 0.0]])
    found = nearest_on_ground(query, place, np.array([[1], [-1]]), 5)
    assert found.tolist() == [[3, 5, 7, 9, 11], [0, 2, 4, 6, 8]]


@pytest.mark.parametrize(("lon", "lat", "span"), [(-87.65, 41.9, 0.3), (151.2, -33.9, 0.3), (179.99, 64.0, 0.1), (20.0, 89.9, 0.09)])
def test_convention_neighbours_on_earth_are_those_by_geodesic_distance(lon, lat, span):
    generator = np.random.default_rng(1)
    lonlat = np.array([lon, lat]) + generator.uniform(-span, span, size=(120, 2)) * (1, 0.5)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    geodesic = np.array([distance_m(a, b, lonlat[:, 0], lonlat[:, 1]) for a, b in lonlat])
    found = nearest_on_ground(in_space(lonlat), in_space(lonlat), own(120), 20)
    distance = np.take_along_axis(geodesic, found.astype(np.int64), axis=1)
    np.fill_diagonal(geodesic, np.inf)
    np.testing.assert_allclose(distance, np.sort(geodesic, axis=1)[:, :20], atol=1e-3)


def test_positions_in_space_are_those_of_proj():
    from pyproj import Transformer

    lonlat = np.array([[0.0, 0.0], [-122.4, 37.8], [179.9, -89.0], [12.0, 90.0]])
    want = np.stack(Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True).transform(*lonlat.T, np.zeros(4)), axis=1)
    np.testing.assert_allclose(in_space(lonlat), want, atol=1e-6)


@pytest.mark.parametrize("mine", [most_similar, nearest_on_ground])
def test_shapes_that_make_no_sense_are_refused(mine):
    place = np.ones((4, 3))
    for arguments in (
        (place, place, own(4), 0),
        (place, place[:, :2], own(4), 1),
        (place, place[:0], own(4), 1),
        (place, place, own(3), 1),
    ):
        with pytest.raises(InputError):
            mine(*arguments)


def test_a_position_that_is_none_is_named():
    place = np.zeros((4, 2))
    place[2, 1] = np.nan
    with pytest.raises(InputError, match="position of place 2 is not finite"):
        nearest_on_ground(np.zeros((4, 2)), place, own(4), 1)


def test_a_table_comes_back_from_disk_and_a_damaged_one_does_not(tmp_path):
    path = tmp_path / "deep" / "neighbours.npy"
    table = np.array([[1, 2], [0, -1], [0, 1]], np.int32)
    write_neighbours(path, table)
    back = read_neighbours(path, 3, 2, 3)
    assert back.dtype == np.int32
    assert (back == table).all()
    for pairs, k, places in ((4, 2, 3), (3, 3, 3), (3, 2, 2)):
        with pytest.raises(RunError):
            read_neighbours(path, pairs, k, places)
    content = path.read_bytes()
    for damaged in (content[:-5], content[:40], b"", b"PK\x03\x04", np.array([[1.0]]).tobytes()):
        path.write_bytes(damaged)
        with pytest.raises(RunError):
            read_neighbours(path, 3, 2, 3)
    with pytest.raises(RunError, match="cannot be read"):
        read_neighbours(tmp_path / "none.npy", 3, 2, 3)
