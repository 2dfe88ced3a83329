from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

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


def test_a_mapped_array_acts_as_the_array(tmp_path):
    features = np.random.default_rng(0).normal(size=(700, 3, 300)).astype(np.float32)
    np.savez(tmp_path / "a.npz", ids=np.arange(700), features=features)
    found = read_descriptors(tmp_path / "a.npz").features
    for key in (3, slice(2, 9), slice(None), (slice(None), None), np.array([5, 2, 5]), (slice(4, 6), 1), (2, 1, 7), features[:, 0, 0] > 0):
        np.testing.assert_array_equal(found[key], features[key])
        assert np.shape(found[key]) == np.shape(features[key])
    np.testing.assert_array_equal(found.reshape(-1, 300)[5:900], features.reshape(-1, 300)[5:900])
    np.testing.assert_array_equal(found.astype(np.float64) / 2, features.astype(np.float64) / 2)
    assert type(found[:9] * 2) is np.ndarray


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_a_pass_over_a_mapped_array_does_not_stay_in_memory(tmp_path):
    shape = (40_000, 1024)  # 160 MB
    np.savez(tmp_path / "a.npz", ids=np.arange(shape[0]), features=np.ones(shape, np.float32))
    program = """if True:
        import sys
        import numpy as np
        from crossfix.evaluate.arrays import read_descriptors
        def peak():
            return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
        features = read_descriptors(__import__("pathlib").Path(sys.argv[1])).features
        before = peak()
        flat = features[:, None].reshape(len(features), -1)
        total = sum(float(flat[at : at + 500].sum()) for at in range(0, len(flat), 500))
        for at in range(0, 40_000, 700):
            total += float(features[np.arange(at, min(at + 700, 40_000), 7)].sum())
        print(total, peak() - before)
    """
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.npz")], capture_output=True, text=True, check=True).stdout
    total, grown_mb = map(float, told.split())
    assert total == 1024 * (40_000 + len(range(0, 40_000, 7)))
    assert grown_mb < 115


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
