"""Recordings for the Rerun viewer, read back by Rerun's own reader."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from rerun.chunk import RrdReader

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.recording import write_recording
from crossfix.errors import DiskError, InputError


def columns(path: Path) -> dict[str, np.ndarray]:
    found = {}
    for chunk in RrdReader(path).stream():
        for name, column in zip(chunk.to_record_batch().schema.names, chunk.to_record_batch().columns, strict=True):
            if str(chunk.entity_path) in ("/", "/cloud") and "(" not in name and name.startswith(("Points3D", "ViewCoordinates")):
                found[name] = np.array(column.flatten().to_pylist())
    return found


def made(off: tuple[float, float, float] = (0.0, 0.0, 0.0), frame: str = "enu") -> Cloud:
    rng = np.random.default_rng(0)
    return Cloud(rng.uniform(-50, 50, (300, 3)) + off, rng.integers(0, 256, (300, 3), dtype=np.uint8), frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("off", [(0.0, 0.0, 0.0), (431_204.0, 5_021_377.0, 82.0)])
def test_points_and_colours_come_back(tmp_path: Path, off: tuple[float, float, float]):
    cloud = made(off)
    shift = write_recording(tmp_path / "new/cloud.rrd", cloud, "here")
    assert any(shift) is (off[0] > 0)
    assert all(value == round(value) for value in shift)
    found = columns(tmp_path / "new/cloud.rrd")
    np.testing.assert_allclose(found["Points3D:positions"] + shift, cloud.xyz_N3, atol=1e-5)
    packed = found["Points3D:colors"].astype(np.uint32)
    assert cloud.rgb_N3 is not None
    np.testing.assert_array_equal(np.stack([packed >> 24, packed >> 16 & 255, packed >> 8 & 255], 1), cloud.rgb_N3)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["cloud.rrd"]


def test_up_is_said_where_it_is_known(tmp_path: Path):
    for frame, told in (("enu", True), ("level", True), ("free", False)):
        write_recording(tmp_path / f"{frame}.rrd", made(frame=frame), frame)
        assert any(name.startswith("ViewCoordinates") for name in columns(tmp_path / f"{frame}.rrd")) is told


def test_what_is_missing_or_forbidden_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DiskError, match="cannot be written"):
        write_recording(tmp_path / "file/cloud.rrd", made(), "here")
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError, match="rerun-sdk is not installed; install crossfix"):
        write_recording(tmp_path / "cloud.rrd", made(), "here")
