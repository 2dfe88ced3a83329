"""LAS and LAZ: with laspy as they should be, without it a clear sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.files import read_cloud, write_cloud
from crossfix.errors import DataError, InputError


def test_without_laspy_the_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "laspy", None)  # importing it fails as where it is not installed
    (tmp_path / "a.laz").write_bytes(b"LASF")
    with pytest.raises(InputError, match=r"a\.laz: LAS and LAZ files need the laspy package; install crossfix\[las\]"):
        read_cloud(tmp_path / "a.laz")
    with pytest.raises(InputError, match="laspy"):
        write_cloud(tmp_path / "b.las", Cloud(np.zeros((2, 3)), None, "enu"))


def test_a_cloud_without_metres_is_not_written_as_las(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without metres"):
        write_cloud(tmp_path / "a.laz", Cloud(np.zeros((2, 3)), None, "level"))


@pytest.mark.parametrize("name", ["a.las", "a.laz"])
def test_there_and_back_to_a_tenth_of_a_millimetre(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cloud = Cloud(rng.normal(0, 50, (500, 3)) + np.array([576_700, 5_188_150, 160]), rng.integers(0, 256, (500, 3), dtype=np.uint8), "enu")
    write_cloud(tmp_path / name, cloud)
    found = read_cloud(tmp_path / name)
    assert np.abs(found.xyz_N3 - cloud.xyz_N3).max() < 0.6e-4
    assert found.frame == "enu"
    np.testing.assert_array_equal(found.rgb_N3, cloud.rgb_N3)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.laz").write_bytes(b"LASF" + bytes(100))
    with pytest.raises(DataError, match="LAS"):
        read_cloud(tmp_path / "a.laz")
