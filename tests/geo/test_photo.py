from __future__ import annotations

import json

import numpy as np
import pytest

from crossfix.errors import PhotoError
from crossfix.geo.photo import Photo, Prior, Sourced

GPS = Prior(lon=Sourced(1.0, "exif"), lat=Sourced(2.0, "exif"), radius_m=Sourced(5.0, "exif"), heading_deg=Sourced(3.0, "exif"))


def test_position_needs_both_coordinates():
    assert GPS.has_position
    assert not Prior(lon=Sourced(1.0, "exif")).has_position
    assert not Prior().has_position


def test_without_position_keeps_the_rest():
    blind = GPS.without_position()
    assert blind == Prior(heading_deg=Sourced(3.0, "exif"))


def test_merged_lets_the_other_win_where_it_says_something():
    flags = Prior(lon=Sourced(9.0, "flag"), height_m=Sourced(80.0, "flag"))
    both = GPS.merged(flags)
    assert (both.lon, both.lat, both.height_m) == (flags.lon, GPS.lat, flags.height_m)
    assert GPS.merged(Prior()) == GPS


def test_to_dict_is_json():
    document = json.loads(json.dumps(GPS.to_dict()))
    assert document["lat"] == {"value": 2.0, "source": "exif"}
    assert document["fov_deg"] is None
    assert len(document) == 8


@pytest.mark.parametrize(
    ("source", "pitch", "reversed_"),
    [
        ("xmp:drone-dji:GimbalYawDegree", -89.9, True),
        ("xmp:drone-dji:GimbalYawDegree", -45.0, False),
        ("exif:GPSImgDirection", -89.9, False),
        ("flag", -90.0, False),
    ],
)
def test_convention_a_gimbals_heading_looking_down_may_be_reversed(source, pitch, reversed_):
    prior = Prior(heading_deg=Sourced(10.0, source), pitch_deg=Sourced(pitch, "x"))
    assert prior.heading_may_be_reversed is reversed_
    assert not Prior(heading_deg=Sourced(10.0, source)).heading_may_be_reversed


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(pixels):
    with pytest.raises(PhotoError, match="camera roll"):
        Photo(name="camera roll", path=None, pixels=pixels)


def test_size_of_a_photo():
    photo = Photo(name="a", path=None, pixels=np.zeros((2, 5, 3), np.uint8))
    assert (photo.width, photo.height, photo.prior) == (5, 2, Prior())
