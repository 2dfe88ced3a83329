"""The renderer against geometry that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.geo.camera import Camera
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.scene import GROUND, ROOF, Scene, Surface
from crossfix.worlds.sensor import Sensor

HALF = 60.0
BOX_HEIGHT = 10.0


def box_scene(azimuth: float = 180.0, elevation: float = 45.0, haze: float = 0.0) -> Scene:
    """Level grey ground with one black-sided white box of 10 m from (10, 20) to (20, 30)."""
    flat = np.array([[[-HALF, -HALF, 0], [HALF, -HALF, 0], [HALF, HALF, 0]], [[-HALF, -HALF, 0], [HALF, HALF, 0], [-HALF, HALF, 0]]])
    x0, x1, y0, y1, z = 10.0, 20.0, 20.0, 30.0, BOX_HEIGHT
    ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    faces = [[[x0, y0, z], [x1, y0, z], [x1, y1, z]], [[x0, y0, z], [x1, y1, z], [x0, y1, z]]]
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        faces += [[[ax, ay, 0], [bx, by, 0], [bx, by, z]], [[ax, ay, 0], [bx, by, z], [ax, ay, z]]]
    corners = np.concatenate([flat, np.array(faces)]).astype(np.float32)
    kind = np.array([GROUND] * 2 + [ROOF] * len(faces), np.uint8)
    rgb = np.full((len(corners), 3), 0.8, np.float32)
    ground = np.full((240, 240, 3), int(255 * 0.3**0.5), np.uint8)
    epoch = Epoch(1, azimuth, elevation, 0.3, haze, 0.8)
    shade, slopes = np.ones((64, 64), np.float32), np.zeros((16, 16, 2), np.float32)
    return Scene(Surface(corners, kind, rgb, np.zeros(len(corners), np.float32)), ground, shade, slopes, HALF, epoch)


def test_convention_ortho_is_north_up_and_east_right() -> None:
    shot = box_scene().ortho(0, 0, 100, 100, samples=1)
    rows, cols = np.nonzero(shot.depth < shot.depth.max() - 1)
    # The box lies east and north of the middle: right of it and above it, at one pixel a metre.
    assert (cols.min(), cols.max()) == (60, 69)
    assert (rows.min(), rows.max()) == (20, 29)


def test_convention_ortho_heading_turns_the_upper_edge() -> None:
    shot = box_scene().ortho(0, 0, 100, 100, heading_deg=90, samples=1)
    rows, cols = np.nonzero(shot.depth < shot.depth.max() - 1)
    # East is up: the box, 10 to 20 east and 20 to 30 north, is 10 to 20 above the middle and 20 to 30 to the left of it.
    assert (rows.min(), rows.max()) == (30, 39)
    assert (cols.min(), cols.max()) == (20, 29)


def test_depth_is_exact() -> None:
    shot = box_scene().ortho(15, 25, 60, 60, samples=1)
    assert shot.depth.max() - shot.depth[30, 30] == pytest.approx(BOX_HEIGHT, abs=1e-3)
    points = shot.points()
    assert set(np.round(np.unique(points[:, 2]), 3)) <= {0.0, BOX_HEIGHT}


@pytest.mark.parametrize(("azimuth", "dx", "dy"), [(180, 0, 1), (90, -1, 0), (270, 1, 0)])
def test_convention_shadows_fall_away_from_the_sun_by_height_over_tangent(azimuth: float, dx: int, dy: int) -> None:
    shot = box_scene(azimuth, 45.0).ortho(15, 25, 80, 160, samples=1)
    grey = shot.rgb.mean(-1)
    on_ground = shot.depth > shot.depth.min() + 5
    dark = on_ground & (grey < np.median(grey[on_ground]) * 0.8)
    rows, cols = np.nonzero(dark)
    x, y = (cols + 0.5) / 2 - 40, 40 - (rows + 0.5) / 2
    reach = (x * dx + y * dy).max() - 5  # beyond the box's face, 5 m from its middle
    assert reach == pytest.approx(BOX_HEIGHT, abs=0.6)
    assert len(rows) / 4 == pytest.approx(BOX_HEIGHT * 10, rel=0.06)


def test_perspective_agrees_with_the_cameras_projection() -> None:
    camera = Camera(-12.0, -8.0, 40.0, 33.0, -63.0, 62.0, 64, 48)
    shot = box_scene().perspective(camera, samples=1)
    seen = np.isfinite(shot.depth)
    rows, cols = np.nonzero(seen)
    uv, _ = camera.project(shot.points().astype(np.float64))
    np.testing.assert_allclose(uv, np.stack([cols, rows], -1), atol=2e-3)


def test_convention_panorama_middle_column_looks_along_the_heading() -> None:
    shot = box_scene().panorama(15, 0, 2.0, 360, 90, heading_deg=0, samples=1)
    near = np.nonzero(shot.depth[40] < 30)[0]  # just above the horizon only the box, due north at 20 m, is hit
    assert near.mean() == pytest.approx(179.5, abs=0.5)
    assert shot.depth[40, 180] == pytest.approx(20.0, rel=0.02)
    turned = box_scene().panorama(15, 0, 2.0, 360, 90, heading_deg=90, samples=1)
    assert np.nonzero(turned.depth[40] < 30)[0].mean() == pytest.approx(89.5, abs=0.5)


def test_supersampling_keeps_the_place_of_things() -> None:
    scene = box_scene()
    coarse, fine = scene.ortho(0, 0, 100, 100, samples=1), scene.ortho(0, 0, 100, 100, samples=3)
    assert coarse.rgb.shape == fine.rgb.shape
    assert np.abs(coarse.rgb.astype(int) - fine.rgb).mean() < 2.0


def test_haze_pales_what_is_far() -> None:
    camera = Camera(0, -50, 60, 0, -30, 40, 32, 32)
    clear, hazy = (box_scene(haze=h).perspective(camera, samples=1).rgb.astype(float) for h in (0.0, 0.004))
    assert hazy.std() < clear.std()


def test_blocks_of_a_picture_join_without_seams() -> None:
    scene, sensor = box_scene(), Sensor()
    whole = scene.ortho(0, 0, 80, 80, samples=2, sensor=sensor).rgb
    left = scene.ortho(-20, 0, 40, (80, 40), samples=2, sensor=sensor).rgb
    right = scene.ortho(20, 0, 40, (80, 40), samples=2, sensor=sensor).rgb
    assert np.abs(np.hstack([left, right]).astype(int) - whole).max() <= 1
