"""The camera behind a picture of flat ground."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.geo.camera import Camera
from crossfix.locate.pose import solve_pose, upper_edge_bearing


@pytest.mark.parametrize(("heading", "pitch"), [(0, -90), (137, -90), (222, -84), (300, -60), (45, -35), (10, -20)])
def test_camera_is_recovered(heading: float, pitch: float) -> None:
    camera = Camera(12.0, -7.0, 95.0, heading, pitch, 62.0, 800, 600)
    x, y = np.meshgrid(np.linspace(0, 799, 7), np.linspace(250, 599, 6))
    pixels = np.column_stack([x.ravel(), y.ravel()])
    mapped = np.column_stack([pixels, np.ones(len(pixels))]) @ camera.ground_homography().T
    ground = mapped[:, :2] / mapped[:, 2:]
    pose = solve_pose(pixels, ground, 62.0, 800, 600)
    assert pose is not None
    np.testing.assert_allclose([pose.east_m, pose.north_m, pose.up_m], [12, -7, 95], atol=0.05)
    assert abs((pose.heading_deg - heading + 180) % 360 - 180) < 0.05
    assert pose.pitch_deg == pytest.approx(pitch, abs=0.05)


@pytest.mark.parametrize("heading", [0, 90, 201])
def test_convention_heading_of_a_photo_straight_down_is_its_upper_edge(heading: float) -> None:
    camera = Camera(0, 0, 50, heading, -90, 60, 400, 300)
    turned = upper_edge_bearing(camera.ground_homography(), 400, 300)
    assert abs((turned - heading + 180) % 360 - 180) < 1e-6


def test_points_on_a_line_tell_nothing() -> None:
    line = np.column_stack([np.linspace(0, 100, 6), np.linspace(0, 100, 6)])
    pose = solve_pose(line, line, 60.0, 400, 300)
    assert pose is None or np.isfinite(pose.up_m)
