import cv2
import numpy as np
import pytest
import torch

from crossfix.train.augment import ColourConfig, WarpConfig, augment
from crossfix.train.overlap import Poses, ground_points, points_on_map
from crossfix.worlds.pairs import SATELLITE_MARGIN, BankPlan, PairBank, draw_camera

PLAN = BankPlan(("suburb",), 12, 0)
NO_COLOUR = ColourConfig(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def drawn(count, seed=0):
    """Cameras as the banks draw them about chips at the origin, and their poses."""
    rng = np.random.default_rng(seed)
    sides = rng.uniform(90, 560, count).astype(np.float32)
    cameras, rows = zip(*(draw_camera(PLAN, np.zeros(2), float(side), rng) for side in sides), strict=True)
    return cameras, Poses(torch.from_numpy(sides), *torch.tensor(rows, dtype=torch.float32).T)


def to_xy(uv, size):
    """Pixel coordinates of pixel centres to -1 ... 1 between the outer edges."""
    return (uv + 0.5) / size * 2 - 1


def test_ground_points_are_those_that_the_camera_projects_there():
    cameras, poses = drawn(40)
    rng = np.random.default_rng(1)
    ground = rng.uniform(-100, 100, (len(cameras), 30, 2))
    uv = np.stack([camera.project(np.pad(points, ((0, 0), (0, 1))))[0] for camera, points in zip(cameras, ground, strict=True)])
    inside = (np.abs(to_xy(uv, PLAN.drone_px)) < 1).all(2)
    assert inside.sum() > 300
    xy = torch.from_numpy(np.where(inside[..., None], to_xy(uv, PLAN.drone_px), 0)).float()
    back, falls = ground_points(xy, poses)
    assert falls[torch.from_numpy(inside)].all()
    assert np.abs(back.numpy() - ground)[inside].max() < 0.05  # metres; float32 and oblique rays


def test_rays_above_the_horizon_are_left_out():
    low = Poses(*(torch.tensor([value]) for value in (100.0, 0.0, 0.0, 0.0, -20.0, 50.0, 90.0)))
    _, falls = ground_points(torch.tensor([[[0.0, -0.9], [0.0, 0.9]]]), low)
    assert falls.tolist() == [[False, True]]


@pytest.mark.parametrize("mirrored", [False, True])
def test_points_follow_the_ground_through_both_augmentations(mirrored):
    """A painted plane seen by the camera and from above: both augmented pictures show the same paint at corresponding points."""
    px, cameras, poses = 128, *drawn(12, seed=3)
    rng = np.random.default_rng(0)
    satellite, drone = [], []
    for camera, side in zip(cameras, poses.side_m.tolist(), strict=True):
        reach = 4 * side
        paint = cv2.GaussianBlur(rng.uniform(0, 255, (800, 800, 3)).astype(np.float32), (0, 0), 8)
        paint = np.clip((paint - 127) * 12 + 127, 0, 255).astype(np.uint8)

        def look(east, north, reach=reach, paint=paint):
            column, row = ((east / reach + 0.5) * 800 - 0.5).astype(np.float32), ((0.5 - north / reach) * 800 - 0.5).astype(np.float32)
            return cv2.remap(paint, column, row, cv2.INTER_LINEAR)

        half = side * SATELLITE_MARGIN / 2
        step = (np.arange(PLAN.satellite_px) + 0.5) / PLAN.satellite_px * 2 - 1
        satellite.append(look(*np.meshgrid(step * half, -step * half)))
        rays = camera.directions()
        length = -camera.up_m / rays[..., 2]
        drone.append(look(camera.east_m + length * rays[..., 0], camera.north_m + length * rays[..., 1]))
    generator = torch.Generator().manual_seed(0)
    mirror_B = torch.full((12,), mirrored)
    satellite_warp, drone_warp = WarpConfig(180, 0.05, (0.85, 1.18)), WarpConfig(10, 0.03, (1 / 1.3, 1.0))
    sat, sat_B23 = augment(
        torch.from_numpy(np.stack(satellite)), px, satellite_warp, NO_COLOUR, generator, margin=SATELLITE_MARGIN, mirror_B=mirror_B
    )
    dro, dro_B23 = augment(torch.from_numpy(np.stack(drone)), px, drone_warp, NO_COLOUR, generator, mirror_B=mirror_B)
    xy = torch.rand(12, 200, 2, generator=generator) * 2 - 1
    on_map, seen = points_on_map(xy, poses, dro_B23, sat_B23)
    assert 0.4 < seen.float().mean() < 0.95

    def at(picture, points):
        return torch.nn.functional.grid_sample(picture, points[:, None], align_corners=False)[:, :, 0].mT[seen]

    gap = (at(dro, xy) - at(sat, on_map)).abs().mean()
    elsewhere = (at(dro, xy) - at(sat, on_map.roll(1, 0))).abs().mean()
    assert gap < 0.2 * elsewhere


def test_poses_are_those_of_the_views():
    truth = {name: np.arange(6, dtype=np.float32).reshape(3, 2) + 10 * i for i, name in enumerate(
        ("offset_east_m", "offset_north_m", "heading_deg", "pitch_deg", "height_m", "fov_deg")
    )} | {"side_m": np.array([1, 2, 3], np.float32), "region": np.zeros(3, int)}  # fmt: skip
    bank = PairBank(np.empty((3, 1)), np.empty((3, 2)), truth, PLAN)
    poses = Poses.of(bank, np.array([2, 0]), np.array([1, 0]))
    assert poses.side_m.tolist() == [3, 1]
    assert poses.east_m.tolist() == [5, 0]
    assert poses.fov_deg.tolist() == [55, 50]
