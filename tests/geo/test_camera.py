from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from crossfix.errors import InputError
from crossfix.geo.camera import Camera

cameras = st.builds(
    Camera,
    east_m=st.floats(-1e4, 1e4),
    north_m=st.floats(-1e4, 1e4),
    up_m=st.floats(1.5, 500),
    heading_deg=st.floats(-360, 360),
    pitch_deg=st.floats(-90, 90),
    roll_deg=st.floats(-180, 180),
    fov_deg=st.floats(10, 150),
    width=st.integers(2, 60),
    height=st.integers(2, 60),
)


def nadir(**changes) -> Camera:
    values = {
        "east_m": 0.0,
        "north_m": 0.0,
        "up_m": 100.0,
        "heading_deg": 0.0,
        "pitch_deg": -90.0,
        "fov_deg": 90.0,
        "width": 401,
        "height": 201,
    }
    return Camera(**{**values, **changes})


def test_convention_level_camera_looks_along_its_heading():
    for heading, direction in [(0, (0, 1, 0)), (90, (1, 0, 0)), (225, (-math.sqrt(0.5), -math.sqrt(0.5), 0))]:
        camera = nadir(pitch_deg=0.0, heading_deg=float(heading))
        assert camera.directions()[100, 200] == pytest.approx(direction, abs=1e-6)


def test_convention_pitch_minus_90_looks_down_and_heading_is_the_upper_edge():
    camera = nadir(heading_deg=90.0)
    assert camera.directions()[100, 200] == pytest.approx((0, 0, -1), abs=1e-6)
    top = camera.directions()[0, 200]
    assert top[0] > 0
    assert abs(top[1]) < 1e-6


@given(st.floats(0, 360))
def test_convention_heading_has_the_same_limit_from_above(heading):
    steep = nadir(heading_deg=heading, pitch_deg=-89.9999).rotation
    assert steep == pytest.approx(nadir(heading_deg=heading).rotation, abs=1e-5)


def test_convention_pixels_are_counted_from_the_centre_of_the_top_left_one():
    camera = nadir(width=4, height=2)
    uv, depth = camera.project(np.array([[0.0, 0.0, 0.0]]))
    assert uv[0] == pytest.approx((1.5, 0.5))
    assert depth[0] == pytest.approx(100)
    east, north = camera.ground_homography()[:2] @ (0, 0, 1) / camera.ground_homography()[2, 2]
    assert (east, north) == pytest.approx((-75.0, 25.0))  # 200 m across 4 pixels: the first one's centre is 1.5 pixels left of the middle


def test_convention_positive_roll_lowers_the_right_side():
    assert nadir(pitch_deg=0.0, roll_deg=10.0).directions()[100, 400][2] < 0
    assert nadir(pitch_deg=0.0, roll_deg=-10.0).directions()[100, 400][2] > 0


def test_convention_roll_adds_to_the_heading_looking_down():
    assert nadir(heading_deg=30.0, roll_deg=15.0).rotation == pytest.approx(nadir(heading_deg=45.0).rotation)


@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_rotation_agrees_with_yaw_pitch_roll_in_north_east_down(yaw, pitch, roll):
    body = Rotation.from_euler("ZYX", [yaw, pitch, roll], degrees=True).as_matrix()  # columns: forward, right, down in NED
    ned_to_enu = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    expected = ned_to_enu @ body[:, [1, 2, 0]]
    assert nadir(heading_deg=yaw, pitch_deg=pitch, roll_deg=roll).rotation == pytest.approx(expected, abs=1e-12)


@given(cameras)
def test_rotation_is_proper(camera):
    assert camera.rotation @ camera.rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(camera.rotation) == pytest.approx(1.0)


@given(cameras, st.floats(0.5, 1000))
def test_project_undoes_directions(camera, metres):
    rays = camera.directions().reshape(-1, 3).astype(np.float64)
    uv, depth = camera.project(rays * metres + (camera.east_m, camera.north_m, camera.up_m))
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    # Rays are float32: at 150 degrees a step of 1e-7 in the ray is far less than a hundredth of a pixel.
    assert uv == pytest.approx(np.column_stack([x.ravel(), y.ravel()]), abs=1e-2)
    assert np.all(depth > 0)
    assert np.all(depth <= metres * (1 + 1e-6))


@given(cameras, st.integers(0, 2**31))
def test_project_agrees_with_opencv(camera, seed):
    points = np.random.default_rng(seed).normal(size=(20, 3)) * 100 + (camera.east_m, camera.north_m, 0)
    uv, depth = camera.project(points)
    turn = camera.rotation.T
    shift = -turn @ (camera.east_m, camera.north_m, camera.up_m)
    expected = cv2.projectPoints(points, cv2.Rodrigues(turn)[0], shift, camera.intrinsics, None)[0][:, 0]
    ahead = depth > 1
    assert uv[ahead] == pytest.approx(expected[ahead], rel=1e-5, abs=1e-4)
    assert np.isnan(uv[depth <= 0]).all()


@given(cameras)
def test_ground_homography_undoes_project(camera):
    homography = camera.ground_homography()
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)])
    ground = pixels @ homography.T
    down = camera.directions().reshape(-1, 3)[:, 2]
    clear = np.abs(down) > 1e-5
    assert np.array_equal(ground[clear, 2] > 0, down[clear] < 0)
    seen = ground[down < -0.01]
    points = np.column_stack([seen[:, :2] / seen[:, 2:], np.zeros(len(seen))])
    assert camera.project(points)[0] == pytest.approx(pixels[down < -0.01][:, :2], abs=1e-5)


def test_footprint_of_a_picture_looking_down():
    corners = nadir(east_m=10.0, north_m=20.0, width=400, height=200).footprint()
    assert corners == pytest.approx(np.array([[-90, 70], [110, 70], [110, -30], [-90, -30]]))  # 200 m wide, half as high
    assert nadir(width=400, height=200).ground_span_m == pytest.approx(math.sqrt(200 * 100))
    assert nadir(east_m=10.0, north_m=20.0).centre_on_ground() == pytest.approx((10.0, 20.0))


def test_footprint_turns_with_the_heading():
    top_left = nadir(width=200, height=200, heading_deg=90.0).footprint()[0]
    assert top_left == pytest.approx((100.0, 100.0))


def test_oblique_footprint_is_a_trapezoid_ahead():
    camera = nadir(pitch_deg=-45.0, heading_deg=90.0, fov_deg=40.0, width=400, height=300)
    far_left, far_right, near_right, near_left = camera.footprint()
    assert far_left[0] > near_left[0] > 0
    assert far_left[1] > 0 > far_right[1]
    assert abs(far_left[1] - far_right[1]) > abs(near_left[1] - near_right[1])
    assert camera.centre_on_ground() == pytest.approx((100.0, 0.0))


def test_a_camera_that_sees_the_horizon_has_no_footprint():
    with pytest.raises(InputError, match="horizon"):
        nadir(pitch_deg=-10.0).footprint()
    with pytest.raises(InputError, match="horizon"):
        nadir(pitch_deg=5.0).centre_on_ground()
    assert nadir(pitch_deg=-10.0).centre_on_ground()[1] == pytest.approx(100 / math.tan(math.radians(10)))


def test_a_camera_below_ground_sees_none():
    with pytest.raises(InputError, match="above the ground"):
        nadir(up_m=0.0).ground_homography()


@pytest.mark.parametrize("changes", [{"fov_deg": 0.0}, {"fov_deg": 180.0}, {"width": 0}, {"up_m": math.nan}, {"heading_deg": math.inf}])
def test_an_impossible_camera_is_refused(changes):
    with pytest.raises(InputError):
        nadir(**changes)


def test_directions_are_float32_unit_vectors():
    rays = nadir(pitch_deg=-30.0).directions()
    assert rays.dtype == np.float32
    assert rays.shape == (201, 401, 3)
    assert np.linalg.norm(rays, axis=-1) == pytest.approx(1.0, abs=1e-6)
    assert nadir().focal_px == pytest.approx(200.5)


@pytest.mark.parametrize(("pitch", "size"), [(-90.0, (224, 224)), (-50.0, (320, 240)), (-20.0, (90, 160))])
def test_convention_the_projection_is_project_between_the_outer_edges(pitch, size):
    camera = Camera(3.0, -7.0, 90.0, 130.0, pitch, 62.0, *size, roll_deg=4.0)
    points = np.random.default_rng(0).uniform(-60, 60, (50, 3)) * (1, 1, 0.2)
    uv, depth = camera.project(points)
    shown = np.column_stack([points, np.ones(50)]) @ camera.projection.T
    np.testing.assert_allclose(shown[:, 2], depth)
    front = depth > 0
    np.testing.assert_allclose((shown[:, :2] / shown[:, 2:])[front], (2 * uv[front] + 1) / size - 1)
