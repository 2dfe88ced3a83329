from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossfix.errors import DiskError, InputError
from crossfix.geo.drone_exif import write_drone_jpeg
from crossfix.geo.metadata import read_metadata, read_photo
from crossfix.geo.tags import degrees_minutes_seconds

PIXELS = np.full((30, 40, 3), (200, 100, 50), np.uint8)
FLIGHT = {
    "lon": -91.99357867,
    "lat": 46.84262928,
    "altitude_msl_m": 198.51,
    "relative_altitude_m": 40.0,
    "gimbal_yaw_deg": 44.7,
    "gimbal_pitch_deg": -89.9,
    "flight_yaw_deg": 43.5,
    "focal_mm": 4.5,
    "focal35_mm": 24.0,
}


@settings(max_examples=60)
@given(
    lon=st.floats(-180, 180).filter(lambda lon: abs(lon) > 1e-9),
    lat=st.floats(-90, 90),
    altitude_msl_m=st.floats(-400, 9000),
    relative_altitude_m=st.floats(1, 500),
    gimbal_yaw_deg=st.floats(-180, 180),
    gimbal_pitch_deg=st.floats(-90, 30),
    gimbal_roll_deg=st.floats(-180, 180),
    focal35_mm=st.floats(10, 200) | st.integers(10, 200).map(float),
)
def test_what_is_written_is_read_back(tmp_path_factory, **values):
    path = tmp_path_factory.getbasetemp() / "drone.jpg"
    write_drone_jpeg(path, PIXELS, **{**FLIGHT, **values})
    prior, metadata = read_photo(path).prior, read_metadata(path)
    assert prior.lon.value == pytest.approx(values["lon"], abs=1e-11)
    assert prior.lat.value == pytest.approx(values["lat"], abs=1e-11)
    assert prior.height_m.value == pytest.approx(values["relative_altitude_m"], abs=1e-6)
    assert metadata.altitude_m.value == pytest.approx(values["altitude_msl_m"], abs=1e-6)
    assert metadata.heading_deg.value == pytest.approx(values["gimbal_yaw_deg"], abs=1e-6)
    assert prior.pitch_deg.value == pytest.approx(values["gimbal_pitch_deg"], abs=1e-6)
    assert prior.roll_deg.value == pytest.approx(values["gimbal_roll_deg"], abs=1e-6)
    assert prior.fov_deg.value == pytest.approx(2 * np.degrees(np.arctan(18 / values["focal35_mm"])), rel=1e-5)


@settings(max_examples=40)
@given(st.floats(-180, 180), st.floats(-90, 90))
def test_exif_says_the_same_as_xmp(tmp_path_factory, lon, lat):
    path = tmp_path_factory.getbasetemp() / "drone.jpg"
    write_drone_jpeg(path, PIXELS, **{**FLIGHT, "lon": lon, "lat": lat})
    with Image.open(path) as image:
        gps = image.getexif().get_ifd(0x8825)
    assert degrees_minutes_seconds(gps[2], gps[1], "S") == pytest.approx(lat, abs=2e-11)
    assert degrees_minutes_seconds(gps[4], gps[3], "W") == pytest.approx(lon, abs=2e-11)
    assert gps[2][1] < 60
    assert gps[2][2] < 60


def test_the_picture_and_the_plain_tags(tmp_path):
    write_drone_jpeg(tmp_path / "a.jpg", PIXELS, **FLIGHT, model="FC330", taken="2024:05:06 07:08:09")
    photo, metadata = read_photo(tmp_path / "a.jpg"), read_metadata(tmp_path / "a.jpg")
    assert np.abs(photo.pixels.astype(int) - PIXELS).max() <= 3
    assert (metadata.make, metadata.model, metadata.orientation, metadata.focal35_mm.value) == ("DJI", "FC330", 1, 24.0)
    assert photo.prior.heading_deg.source == "xmp:drone-dji:GimbalYawDegree"
    assert photo.prior.heading_may_be_reversed
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[306] == "2024:05:06 07:08:09"


def test_the_same_call_writes_the_same_bytes_and_leaves_nothing_beside_them(tmp_path):
    for _ in range(2):
        write_drone_jpeg(tmp_path / "a.jpg", PIXELS, **FLIGHT)
    write_drone_jpeg(tmp_path / "b.jpg", PIXELS, **FLIGHT)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "b.jpg"]


def test_a_folder_that_is_not_there_is_a_disk_error(tmp_path):
    with pytest.raises(DiskError, match="cannot be written"):
        write_drone_jpeg(tmp_path / "missing" / "a.jpg", PIXELS, **FLIGHT)


def test_no_position_on_earth_is_refused(tmp_path):
    with pytest.raises(InputError):
        write_drone_jpeg(tmp_path / "a.jpg", PIXELS, **{**FLIGHT, "lat": 91.0})
    assert not list(tmp_path.iterdir())
