"""Points that a bank's panoramas and satellite squares both show."""

from __future__ import annotations

import numpy as np

from crossfix.worlds.pair_panoramas import sighted
from crossfix.worlds.scene import Shot

EYE = np.array([10.0, -5.0, 2.0], np.float32)
CENTRE, SIDE_M = np.array([20.0, 0.0]), 120.0


def shot(wall_m: float | None = None) -> Shot:
    """A panorama of a plain below the eye, with a wall all around if one is asked for."""
    bearing = np.radians(np.arange(0, 360, 3.0))[None]
    pitch = np.radians(np.arange(40, -60, -2.0))[:, None]
    way = np.stack(np.broadcast_arrays(np.cos(pitch) * np.sin(bearing), np.cos(pitch) * np.cos(bearing), np.sin(pitch)), -1)
    with np.errstate(divide="ignore"):
        depth = np.where(way[..., 2] < -1e-6, EYE[2] / -way[..., 2], np.inf)
    if wall_m is not None:
        depth = np.minimum(depth, wall_m / np.hypot(way[..., 0], way[..., 1]))
    return Shot(np.zeros((*depth.shape, 3), np.uint8), depth.astype(np.float32), EYE, way.astype(np.float32))


def test_convention_points_are_where_rays_meet_the_plain():
    points = sighted(shot(), CENTRE, SIDE_M, 300, np.random.default_rng(0))
    bearing, elevation = np.radians(points[:, 0]), np.radians(points[:, 1])
    away = -EYE[2] / np.tan(elevation)
    east, north = EYE[0] + away * np.sin(bearing), EYE[1] + away * np.cos(bearing)
    np.testing.assert_allclose(points[:, 2], (east - 20) / 60, atol=1e-4)
    np.testing.assert_allclose(points[:, 3], -north / 60, atol=1e-4)
    assert np.abs(points[:, 2:]).max() <= 1
    assert points[:, 1].min() >= -44
    assert len(np.unique(points, axis=0)) == 300


def test_a_wall_ends_what_is_seen():
    points = sighted(shot(wall_m=30.0), CENTRE, SIDE_M, 2000, np.random.default_rng(0))
    points = points[np.isfinite(points).all(1)]
    east, north = 60 * points[:, 2] + 20, -60 * points[:, 3]
    away = np.hypot(east - EYE[0], north - EYE[1])
    assert away.max() < 30.01
    walls = points[:, 1] > 0
    assert walls.sum() > 100
    np.testing.assert_allclose(away[walls], 30, atol=1e-3)


def test_the_ground_at_the_feet_does_not_crowd_out_the_rest():
    points = sighted(shot(), CENTRE, SIDE_M, 200, np.random.default_rng(0))
    away = EYE[2] / np.tan(np.radians(-points[:, 1]))
    every = EYE[2] / np.tan(np.radians(np.arange(2, 44, 2.0)))
    assert np.median(away) > 2 * np.median(every)


def test_where_nothing_is_seen_there_are_no_points():
    sky = Shot(np.zeros((1, 4, 3), np.uint8), np.full((1, 4), np.inf, np.float32), EYE, shot().directions[:1, :4])
    assert np.isnan(sighted(sky, CENTRE, SIDE_M, 5, np.random.default_rng(0))).all()
    few = sighted(shot(), np.array([0.0, 50.0]), 96.0, 3000, np.random.default_rng(0))
    assert np.isnan(few).any()
    assert np.isfinite(few).any()
