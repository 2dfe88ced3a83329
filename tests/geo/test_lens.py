from __future__ import annotations

import math

import pytest

from crossfix.geo.lens import horizontal_fov

FOCAL, FOCAL35, WIDTH, HEIGHT, ZOOM, PER_UNIT, UNIT = 37386, 41989, 40962, 40963, 41988, 41486, 41488


def fov(width=4000, height=2250, turned=False, model="", exif=None, xmp=None):
    return horizontal_fov(width, height, turned=turned, model=model, exif=exif or {}, xmp=xmp or {})


def test_known_sensor():
    reading = fov(model="FC300S", exif={FOCAL: 3.61, FOCAL35: 20})
    assert reading.value == pytest.approx(82.37, abs=0.01)
    assert reading.source == "exif:FocalLength on the sensor of FC300S"
    # A picture of the sensor's own shape spans the same width; a square one keeps the sensor's height.
    assert fov(4000, 3000, model="FC300S", exif={FOCAL: 3.61}).value == pytest.approx(reading.value, abs=0.01)
    assert fov(3000, 3000, model="FC300S", exif={FOCAL: 3.61}).value == pytest.approx(2 * math.degrees(math.atan(4.738 / 2 / 3.61)))


def test_convention_35_mm_means_a_long_side_of_36_mm():
    across = 2 * math.degrees(math.atan(18 / 28))
    assert fov(exif={FOCAL35: 28}).value == pytest.approx(across)
    assert fov(2250, 4000, turned=True, exif={FOCAL35: 28}).value == pytest.approx(across)
    assert fov(4000, 3000, turned=True, exif={FOCAL35: 28}).value == pytest.approx(2 * math.degrees(math.atan(18 * 0.75 / 28)))


def test_focal_plane_resolution():
    # Parrot Sequoia RGB: calibrated 4.81 mm and 65.3 degrees
    reading = fov(4608, 3456, exif={FOCAL: 4.88, PER_UNIT: 746.26866, UNIT: 4, WIDTH: 4608, HEIGHT: 3456})
    assert reading.value == pytest.approx(64.6, abs=0.1)
    # Canon ELPH 300, in inches; the picture was reduced from 4000 to 3600 pixels
    canon = {FOCAL: 4.3, PER_UNIT: 16393.443, UNIT: 2, WIDTH: 4000, HEIGHT: 3000}
    assert fov(3600, 2700, exif=canon).value == pytest.approx(71.56, abs=0.01)


def test_calibrated_focal_length_comes_first_and_scales_with_the_picture():
    exif = {WIDTH: 5472, HEIGHT: 3648, FOCAL: 8.8, FOCAL35: 24}
    xmp = {"drone-dji:CalibratedFocalLength": "3666.666504"}
    expected = 2 * math.degrees(math.atan(5472 / 2 / 3666.666504))
    for width, height in [(5472, 3648), (1368, 912)]:
        reading = fov(width, height, model="FC6310R", exif=exif, xmp=xmp)
        assert reading.value == pytest.approx(expected)
        assert reading.source == "xmp:drone-dji:CalibratedFocalLength"


def test_a_cropped_picture_has_no_known_field_of_view():
    recorded = {WIDTH: 4000, HEIGHT: 2250, FOCAL: 3.61, FOCAL35: 20}
    assert fov(2000, 2000, model="FC300S", exif=recorded) is None
    assert fov(1000, 562, model="FC300S", exif=recorded).value == pytest.approx(82.37, abs=0.01)
    assert fov(2250, 4000, turned=True, model="FC300S", exif=recorded).value == pytest.approx(82.37, abs=0.01)


def test_digital_zoom_narrows_the_view():
    assert fov(model="FC300S", exif={FOCAL: 3.61, ZOOM: 2.0}).value == pytest.approx(2 * math.degrees(math.atan(6.317 / 4 / 3.61)))
    assert fov(model="FC300S", exif={FOCAL: 3.61, ZOOM: math.nan}).value == pytest.approx(82.37, abs=0.01)


@pytest.mark.parametrize(
    "exif",
    [{}, {FOCAL: 4.3}, {FOCAL35: 0}, {FOCAL35: "wide"}, {FOCAL: 4.3, PER_UNIT: 0}, {FOCAL: 4.3, PER_UNIT: 9.0, UNIT: 77}, {FOCAL35: 1e-9}],
)
def test_nothing_usable_gives_nothing(exif):
    assert fov(exif=exif) is None
