"""The plane of a photo and the pictures drawn from it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from crossfix.errors import InputError, PhotoError
from crossfix.geo.camera import Camera
from crossfix.geo.photo import Photo, Prior, Sourced
from crossfix.locate.query import Query, Reduced, transform, turn
from places import ground, motion


def prior(**values: float) -> Prior:
    return Prior(**{name: Sourced(value, "test") for name, value in values.items()})


def photo(pixels: np.ndarray) -> Photo:
    return Photo("photo.jpg", None, pixels)


def test_convention_turn_brings_the_bearing_up() -> None:
    """A thing due north in the north-up picture lies, if the plane's upper edge bears 90 (east), to the plane's left."""
    north = np.array([0.0, -1.0, 1.0])
    np.testing.assert_allclose(turn(90) @ north, [-1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turn(0), np.eye(3), atol=1e-12)


def test_side_is_that_of_the_shorter_edge_on_flat_ground() -> None:
    camera = Camera(0, 0, 100, 0, -90, 60, 400, 300)
    query = Query.prepare(photo(ground(400)[:300]), prior(height_m=100, fov_deg=60, pitch_deg=-90))
    corners = camera.footprint()
    assert query.side_m == pytest.approx(np.linalg.norm(corners[3] - corners[0]), rel=1e-9)
    assert query.steep
    assert not query.rectified


@pytest.mark.parametrize("missing", ["height_m", "fov_deg"])
def test_scale_is_unknown_without_height_or_field_of_view(missing: str) -> None:
    known = {"height_m": 100.0, "fov_deg": 60.0, "pitch_deg": -90.0}
    del known[missing]
    assert Query.prepare(photo(ground(200)), prior(**known)).side_m is None


def test_view_and_photo_share_their_centre() -> None:
    query = Query.prepare(photo(ground(400)[:300]), Prior())
    for turned in (0, 33, 180):
        view = query.view(150, turned)
        np.testing.assert_allclose(transform(view.to_photo, [view.centre_xy])[0], [199.5, 149.5], atol=1e-9)


def test_turned_view_is_the_photo_turned_north_up() -> None:
    """Checked against OpenCV's own rotation, a quarter turn being exact."""
    pixels = ground(300)
    view = Query.prepare(photo(pixels), Prior()).view(300, 90)
    assert view.valid.all()
    assert np.abs(view.pixels.astype(int) - cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE).astype(int)).max() <= 1


def test_reduction_keeps_positions_to_a_fraction_of_a_pixel() -> None:
    picture = np.zeros((600, 800, 3), np.uint8)
    cv2.circle(picture, (500, 230), 12, (255, 255, 255), -1)
    to_source = motion(0, 4.7, (0, 0), (3.3, 2.1))
    drawn, valid = Reduced(picture).warp(to_source, (165, 120))
    weights = drawn[..., 0].astype(float)
    rows, columns = np.indices(weights.shape)
    spot = [(weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()]
    np.testing.assert_allclose(transform(to_source, [spot])[0], [500, 230], atol=0.35)
    assert valid.all()


@pytest.mark.parametrize("pitch", [-75, -60, -45, -30])
def test_oblique_photo_is_drawn_from_above(pitch: float) -> None:
    """Ground points go through the camera into the photo, and through the query into the plane; both must put them alike."""
    camera = Camera(0, 0, 80, 0, pitch, 70, 800, 600)
    query = Query.prepare(photo(ground(800)[:600]), prior(height_m=80, fov_deg=70, pitch_deg=pitch, heading_deg=123))
    assert query.rectified
    assert query.side_m is not None
    centre = np.array(camera.centre_on_ground())
    plane = np.array([[0, 0], [0.3, 0.2], [-0.4, 0.45], [0.1, -0.5]])
    points = np.column_stack([centre[0] + plane[:, 0] * query.side_m, centre[1] - plane[:, 1] * query.side_m, np.zeros(4)])
    np.testing.assert_allclose(transform(query.to_photo, plane), camera.project(points)[0], atol=1e-6)
    x0, y0, x1, y1 = query.extent
    assert x0 < -0.49
    assert x1 > 0.49
    assert y1 >= 0.499
    assert y0 <= -0.499


def test_far_edge_of_an_oblique_view_is_capped() -> None:
    query = Query.prepare(photo(ground(800)[:600]), prior(height_m=80, fov_deg=70, pitch_deg=-30))
    assert query.side_m is not None
    reach = -query.extent[1] * query.side_m
    assert reach <= 1.5 * 80 + 1e-6


def test_view_towards_the_horizon_is_taken_as_it_is() -> None:
    query = Query.prepare(photo(ground(400)[:300]), prior(height_m=2, fov_deg=70, pitch_deg=0))
    assert not query.rectified
    assert query.side_m is None


def test_squares_fit_inside_the_picture() -> None:
    query = Query.prepare(photo(ground(400)[:225]), Prior())
    straight, slanted = query.squares(64, [0.0, 45.0])
    assert straight.share == pytest.approx(1.0)
    assert slanted.share == pytest.approx(math.sqrt(0.5))
    assert straight.pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("pixels", [np.full((200, 300, 3), 90, np.uint8), np.zeros((64, 64, 3), np.uint8)])
def test_photo_without_texture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PhotoError, match=r"photo\.jpg: the photo shows no texture"):
        Query.prepare(photo(pixels), Prior())


def test_smooth_gradient_is_no_texture() -> None:
    ramp = np.linspace(0, 255, 400).astype(np.uint8)
    with pytest.raises(PhotoError, match="texture"):
        Query.prepare(photo(np.repeat(np.tile(ramp, (300, 1))[..., None], 3, axis=2)), Prior())


def test_tiny_photo_is_refused() -> None:
    with pytest.raises(PhotoError, match="16 x 16 pixels"):
        Query.prepare(photo(ground(16)), Prior())


def test_impossible_height_is_refused() -> None:
    with pytest.raises(InputError, match="height"):
        Query.prepare(photo(ground(100)), prior(height_m=-3.0, fov_deg=60))
