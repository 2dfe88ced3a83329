from __future__ import annotations

import zipfile

import numpy as np
import pytest

from crossfix.errors import DataError
from crossfix.evaluate.arrays import DescriptorSet, read_descriptors


def test_what_was_saved_comes_back(tmp_path):
    arrays = {
        "features": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float16),
        "ids": np.arange(5, dtype=np.int32),
        "lonlat": np.full((5, 2), 45.0),
        "xy_m": np.arange(10).reshape(5, 2),
        "positives": np.full((5, 4), -1),
        "semi_positives": np.zeros((5, 1), np.int64),
        "something_else": np.array(["a"]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_descriptors(tmp_path / "a.npz", ("lonlat",))
        assert found.where == str(tmp_path / "a.npz")
        for name in list(arrays)[:-1]:
            np.testing.assert_array_equal(getattr(found, name), arrays[name])
    np.savez(tmp_path / "b.npz", features=arrays["features"], ids=arrays["ids"])
    assert read_descriptors(tmp_path / "b.npz").lonlat is None


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_array_is_mapped_and_not_read(tmp_path, order):
    features = np.asarray(np.random.default_rng(0).normal(size=(5000, 64)).astype(np.float32), order=order)
    np.savez(tmp_path / "a.npz", ids=np.arange(5000), features=features)
    found = read_descriptors(tmp_path / "a.npz")
    assert isinstance(found.features, np.memmap)
    assert not isinstance(found.ids, np.memmap)
    np.testing.assert_array_equal(found.features, features)
    np.savez_compressed(tmp_path / "b.npz", ids=np.arange(5000), features=features)
    np.testing.assert_array_equal(read_descriptors(tmp_path / "b.npz").features, features)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "holds no features and no ids .*but nothing"),
        ({"features": np.ones((2, 3))}, r"holds no ids and no lonlat \(but features\)"),
        ({"features": np.ones((2, 3)), "ids": np.arange(2)}, r"holds no lonlat \(but features, ids\)"),
    ],
)
def test_arrays_that_are_missing_are_named(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        read_descriptors(tmp_path / "a.npz", ("lonlat",))


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_descriptors(tmp_path / "a.npz")
    with pytest.raises(DataError, match="there is no such file"):
        read_descriptors(tmp_path)
    (tmp_path / "text.npz").write_text("features, ids")
    with pytest.raises(DataError, match="is no npz file"):
        read_descriptors(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(DataError, match="is no npz file"):
        read_descriptors(tmp_path / "one.npy")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("features.npy", "no array")
        archive.writestr("ids.npy", "no array")
    with pytest.raises(DataError, match="cannot be read"):
        read_descriptors(tmp_path / "zip.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_that_was_cut_off(tmp_path, save):
    save(tmp_path / "a.npz", features=np.random.default_rng(0).normal(size=(500, 64)), ids=np.arange(500))
    whole = (tmp_path / "a.npz").read_bytes()
    for length in (0, 40, len(whole) // 2, len(whole) - 5):
        (tmp_path / "b.npz").write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_descriptors(tmp_path / "b.npz")
    (tmp_path / "b.npz").write_bytes(whole[:3000] + b"\x00" * 500 + whole[3500:])
    with pytest.raises(DataError):
        read_descriptors(tmp_path / "b.npz")


@pytest.mark.parametrize("count", [3, 1 << 18])
def test_python_objects_are_never_unpacked(tmp_path, count):
    np.savez(tmp_path / "a.npz", features=np.ones((count, 2)), ids=np.array([{"a": 1}] * count, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        read_descriptors(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": np.ones(4)}, r"Q: features have the shape \(4,\) instead of \(N, D\) with N = 4"),
        ({"features": np.ones((0, 4)), "ids": np.arange(0)}, "Q: features are empty"),
        ({"features": np.ones((4, 0))}, "Q: features are empty"),
        ({"features": np.ones((), np.float32)}, r"features have the shape \(\)"),
        ({"features": np.ones((4, 2), int)}, "features are int64, not floating point"),
        ({"features": np.ones((4, 2), complex)}, "features are complex128, not floating point"),
        ({"ids": np.arange(3)}, r"ids have the shape \(3,\) instead of \(N,\) with N = 4"),
        ({"ids": np.arange(4)[:, None]}, r"ids have the shape \(4, 1\)"),
        ({"ids": np.arange(4.0)}, "ids are float64, not integers; store them as integers"),
        ({"ids": np.array(list("abcd"))}, "ids are <U1, not integers"),
        ({"lonlat": np.ones((4, 3))}, r"lonlat have the shape \(4, 3\) instead of \(N, 2\)"),
        ({"lonlat": np.array([[0, 0], [0, 0], [30, 120], [0, 0]])}, "lonlat of image 2: latitude 120 .* check that .* swapped"),
        ({"lonlat": np.array([[0, 0], [np.nan, 0], [0, 0], [0, 0]])}, "lonlat of image 1: .* not finite"),
        ({"xy_m": np.array([[0, 0], [0, 0], [0, 0], [np.inf, 0]])}, "the position of image 3 in xy_m is not finite"),
        ({"positives": np.ones(4, int)}, r"positives have the shape \(4,\) instead of \(N, P\)"),
        ({"semi_positives": np.ones((4, 3))}, "semi_positives are float64, not integers"),
    ],
)
def test_arrays_of_another_shape_or_kind(change, said):
    with pytest.raises(DataError, match=said):
        DescriptorSet("Q", **{"features": np.ones((4, 2)), "ids": np.arange(4), **change})


def test_ids_compare_as_signed_integers():
    found = DescriptorSet("Q", np.ones((2, 2)), np.array([1, 2**62], np.uint64))
    assert found.ids.dtype == np.int64
    with pytest.raises(DataError, match="ids hold numbers beyond 64 bits"):
        DescriptorSet("Q", np.ones((2, 2)), np.array([1, 2**63], np.uint64))
