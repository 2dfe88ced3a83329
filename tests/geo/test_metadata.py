from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from PIL import Image

from crossfix.geo.camera import Camera
from crossfix.geo.geodesy import LocalFrame, distance_m
from crossfix.geo.metadata import read_metadata, read_photo, read_prior
from crossfix.geo.photo import Prior
from shared import SHARED, needs_shared

PHOTOS = None if SHARED is None else SHARED / "data" / "photos"
BRIGHTON = None if SHARED is None else SHARED / "data" / "brighton"
HEADING_SOURCES = {
    "gimbal_yaw": "xmp:drone-dji:GimbalYawDegree",
    "xmp_camera_yaw": "xmp:Camera:Yaw",
    "xmp_sensefly_heading": "xmp:sensefly:Heading",
    "xmp_img_direction": "xmp:exif:GPSImgDirection",
    "exif_img_direction": "exif:GPSImgDirection",
    "exif_gps_track": "exif:GPSTrack (course over ground)",
}


def rows(path):
    if path is None:
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


PHOTO_ROWS = rows(PHOTOS and PHOTOS / "metadata.csv")
BRIGHTON_ROWS = rows(BRIGHTON and BRIGHTON / "truth.csv")


def value(reading):
    return None if reading is None else reading.value


def agrees(reading, expected: str, tolerance: float) -> bool:
    return reading is None if expected == "" else reading is not None and abs(reading.value - float(expected)) <= tolerance


@needs_shared
@pytest.mark.parametrize("row", PHOTO_ROWS, ids=lambda row: row["file"])
def test_real_photos_say_what_their_table_expects(row):
    metadata = read_metadata(PHOTOS / row["file"])
    assert (metadata.format, metadata.width, metadata.height) == (row["format"], int(row["width"]), int(row["height"]))
    assert metadata.orientation == (int(row["orientation"]) if row["orientation"] else None)
    for reading, column, tolerance in [
        (metadata.lat, "lat", 1e-8),
        (metadata.lon, "lon", 1e-8),
        (metadata.altitude_m, "alt_m", 0.005),
        (metadata.heading_deg, "heading_deg", 0.005),
        (metadata.pitch_deg, "pitch_deg", 0.005),
        (metadata.roll_deg, "roll_deg", 0.005),
        (metadata.relative_altitude_m, "relative_alt_m", 0.005),
        (metadata.focal_mm, "focal_mm", 0.005),
        (metadata.focal35_mm, "focal35_mm", 0.5),
    ]:
        assert agrees(reading, row[column], tolerance), (column, reading, row[column])
    if row["heading_source"]:
        assert metadata.heading_deg.source == HEADING_SOURCES[row["heading_source"]]
    photo = read_photo(PHOTOS / row["file"])
    assert photo.prior == read_prior(PHOTOS / row["file"]) == metadata.prior()
    turned = metadata.orientation in (5, 6, 7, 8)
    assert photo.pixels.shape[:2] == ((metadata.width, metadata.height) if turned else (metadata.height, metadata.width))


@needs_shared
def test_a_turned_photo_equals_its_upright_twin():
    upright, turned = read_photo(PHOTOS / "lund_05.jpg"), read_photo(PHOTOS / "lund_05_orientation6.jpg")
    assert np.abs(upright.pixels.astype(int) - turned.pixels).mean() < 3
    assert turned.prior == upright.prior
    assert upright.prior.fov_deg.value == pytest.approx(54.43, abs=0.01)


@needs_shared
@pytest.mark.parametrize(
    ("name", "heading", "pitch"),
    [("parrot_sequoia_rgb.jpg", 97.30, -83.26), ("parrot_sequoia_green16.tif", 343.20, -84.82), ("sensefly_nir_field.jpg", 232.10, -84.95)],
)
def test_convention_pitch_of_a_camera_under_an_aircraft_is_the_cameras(name, heading, pitch):
    prior = read_prior(PHOTOS / name)
    assert prior.heading_deg.value == pytest.approx(heading, abs=0.005)
    assert prior.pitch_deg.value == pytest.approx(pitch, abs=0.005)
    assert "camera looks down" in prior.pitch_deg.source
    assert prior.roll_deg is None


@needs_shared
def test_a_photo_without_metadata_gives_an_empty_prior():
    assert read_prior(PHOTOS / "no_exif.jpg") == Prior()
    assert read_prior(PHOTOS / "empty_exif.jpg") == Prior()


@needs_shared
@pytest.mark.parametrize("row", BRIGHTON_ROWS, ids=lambda row: row["file"])
def test_brighton_priors_against_the_measured_truth(row):
    prior = read_prior(BRIGHTON / "images" / row["file"])
    assert (prior.lat.value, prior.lon.value) == pytest.approx((float(row["lat"]), float(row["lon"])), abs=1e-8)
    assert prior.height_m.value == pytest.approx(float(row["relative_alt_m"]), abs=0.005)
    assert prior.heading_deg.value == pytest.approx(float(row["gimbal_yaw_deg"]) % 360, abs=0.005)
    assert prior.pitch_deg.value == pytest.approx(float(row["gimbal_pitch_deg"]), abs=0.005)
    assert prior.fov_deg.value == pytest.approx(82.37, abs=0.01)
    assert prior.heading_may_be_reversed
    off = (prior.heading_deg.value - float(row["match_yaw_deg"]) + 180) % 360 - 180
    second_line = "DJI_0024.JPG" <= row["file"] <= "DJI_0029.JPG"
    assert abs(abs(off) - (180 if second_line else 0)) < 4

    frame = LocalFrame(float(row["cam_lon"]), float(row["cam_lat"]))
    camera = Camera(0.0, 0.0, prior.height_m.value, float(row["match_yaw_deg"]), -90.0, prior.fov_deg.value, 4000, 2250)
    pixel_m = camera.ground_span_m / math.sqrt(4000 * 2250)
    assert 1.0 < pixel_m / float(row["match_gsd_m"]) < 1.15  # heights count from the take-off point, below the ground in view
    centre = frame.to_lonlat(*camera.centre_on_ground())
    assert distance_m(*centre, float(row["match_lon"]), float(row["match_lat"])) < 2.1


def save(path, exif=None, xmp=""):
    namespaces = 'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    namespaces += 'xmlns:drone-parrot="http://www.parrot.com/drone-parrot/1.0/"'
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"<rdf:Description {namespaces} {xmp}/></rdf:RDF></x:xmpmeta>"
    )
    Image.new("RGB", (40, 30)).save(path, "JPEG", exif=exif or Image.Exif(), xmp=packet.encode())
    return path


def gps(**tags):
    exif = Image.Exif()
    names = {
        "lat_ref": 1,
        "lat": 2,
        "lon_ref": 3,
        "lon": 4,
        "alt_ref": 5,
        "alt": 6,
        "track": 15,
        "direction_ref": 16,
        "direction": 17,
        "error": 31,
    }
    exif[0x8825] = {names[name]: tag for name, tag in tags.items()}
    return exif


PLACE = {"lat_ref": "N", "lat": (46.0, 30.0, 0.0), "lon_ref": "W", "lon": (92.0, 15.0, 0.0)}


def test_xmp_comes_before_exif(tmp_path):
    path = save(tmp_path / "a.jpg", gps(**PLACE), 'drone-dji:GpsLatitude="+46.6" drone-dji:GpsLongtitude="-92.4"')
    prior = read_prior(path)
    assert (prior.lat.value, prior.lon.value) == (46.6, -92.4)
    assert prior.lon.source == "xmp:drone-dji:GpsLongtitude"


@pytest.mark.parametrize(
    "xmp",
    [
        'drone-dji:GpsLatitude="0.0" drone-dji:GpsLongitude="0.0"',
        'drone-dji:GpsLatitude="200.0" drone-dji:GpsLongitude="10.0"',
        'drone-dji:GpsLatitude="46.6"',
        'drone-dji:GpsLatitude="n/a" drone-dji:GpsLongitude="nan"',
    ],
)
def test_a_position_that_is_none_gives_way_to_the_next(tmp_path, xmp):
    prior = read_prior(save(tmp_path / "a.jpg", gps(**PLACE), xmp))
    assert (prior.lat.value, prior.lon.value) == (46.5, -92.25)
    assert prior.lat.source == "exif:GPSLatitude"


def test_a_position_without_hemisphere_is_none(tmp_path):
    prior = read_prior(save(tmp_path / "a.jpg", gps(**{**PLACE, "lat_ref": ""})))
    assert not prior.has_position


def test_below_sea_level(tmp_path):
    assert value(read_metadata(save(tmp_path / "a.jpg", gps(**PLACE, alt_ref=b"\1", alt=420.0))).altitude_m) == -420.0
    xmp = 'exif:GPSAltitude="420/1" exif:GPSAltitudeRef="1"'
    assert value(read_metadata(save(tmp_path / "b.jpg", xmp=xmp)).altitude_m) == -420.0


def test_accuracy_becomes_the_radius(tmp_path):
    assert value(read_prior(save(tmp_path / "a.jpg", gps(**PLACE, error=4.5))).radius_m) == 4.5
    assert read_prior(save(tmp_path / "b.jpg", gps(**PLACE, error=0.0))).radius_m is None


@pytest.mark.parametrize(
    ("tags", "xmp", "heading", "source"),
    [
        ({"direction": 10.0, "track": 20.0}, 'drone-dji:FlightYawDegree="-90"', 10.0, "exif:GPSImgDirection"),
        ({"direction": 10.0, "direction_ref": "M"}, "", 10.0, "exif:GPSImgDirection (magnetic north)"),
        ({"track": 20.0}, 'drone-dji:FlightYawDegree="-90"', 270.0, "xmp:drone-dji:FlightYawDegree"),
        ({"track": 20.0}, "", 20.0, "exif:GPSTrack (course over ground)"),
        ({"track": 20.0}, 'drone-dji:GimbalYawDegree="+180.00" drone-dji:FlightYawDegree="1"', 180.0, "xmp:drone-dji:GimbalYawDegree"),
        ({}, 'drone-parrot:CameraYawDegree="-10" drone-parrot:CameraPitchDegree="-45"', 350.0, "xmp:drone-parrot:CameraYawDegree"),
    ],
)
def test_the_heading_is_the_cameras_where_anything_knows_it(tmp_path, tags, xmp, heading, source):
    prior = read_prior(save(tmp_path / "a.jpg", gps(**tags), xmp))
    assert (prior.heading_deg.value, prior.heading_deg.source) == (heading, source)


def test_parrots_camera_angles_are_ours(tmp_path):
    xmp = 'drone-parrot:CameraPitchDegree="-45" drone-parrot:CameraRollDegree="2"'
    prior = read_prior(save(tmp_path / "a.jpg", xmp=xmp))
    assert (value(prior.pitch_deg), value(prior.roll_deg)) == (-45.0, 2.0)


def test_a_height_at_or_below_take_off_is_no_height_above_ground(tmp_path):
    path = save(tmp_path / "a.jpg", xmp='drone-dji:RelativeAltitude="-3.20"')
    assert value(read_metadata(path).relative_altitude_m) == -3.2
    assert read_prior(path).height_m is None


def test_absurd_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[274] = 77
    assert read_metadata(save(tmp_path / "a.jpg", exif)).orientation is None
