"""Where what a drone picture shows lies in the map picture beside it: ground points followed through both pictures' augmentation.

Picture coordinates (x, y) run from -1 to 1 between a picture's outer edges, x right and y down, as ``affine_grid`` has them with
``align_corners=False``; the ground is the plane z = 0 in metres about the chip's centre, (east, north). Axes: B pairs, T points of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank

EDGE = 0.95
"""Points of a picture beyond it, between its middle (0) and its edge (1), are left out."""
_STEEPEST = -0.1  # rays must fall by a tenth of their length: beyond, the flat ground says too little


@dataclass(frozen=True)
class Poses:
    """How the drone pictures of a batch were taken; degrees and metres, each (B,) float32.

    Attributes:
        side_m: of the chip.
        east_m: of the ground in the middle of the picture, from the chip's centre.
        north_m: likewise.
        heading_deg: clockwise from north.
        pitch_deg: -90 straight down.
        height_m: above the plane.
        fov_deg: field of view along a side of the square picture.
    """

    side_m: torch.Tensor
    east_m: torch.Tensor
    north_m: torch.Tensor
    heading_deg: torch.Tensor
    pitch_deg: torch.Tensor
    height_m: torch.Tensor
    fov_deg: torch.Tensor

    @staticmethod
    def of(bank: PairBank, place_B: npt.NDArray[np.int64], view_B: npt.NDArray[np.int64]) -> Poses:
        """The poses of some views of a bank."""
        truth = bank.truth
        names = ("offset_east_m", "offset_north_m", "heading_deg", "pitch_deg", "height_m", "fov_deg")
        return Poses(torch.from_numpy(truth["side_m"][place_B]), *(torch.from_numpy(truth[name][place_B, view_B]) for name in names))


def ground_points(xy_BT2: torch.Tensor, poses: Poses) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the rays through points of the drone pictures meet the ground.

    Args:
        xy_BT2: points in the stored drone pictures.
        poses: of these.

    Returns:
        (B, T, 2) east and north in metres about the chip's centre, and (B, T) bool: whether the ray falls steeply enough to trust it.
    """
    heading_B, pitch_B = poses.heading_deg.deg2rad(), poses.pitch_deg.deg2rad()
    sin, cos, zero = heading_B.sin(), heading_B.cos(), torch.zeros_like(heading_B)
    forward_B3 = torch.stack([sin * pitch_B.cos(), cos * pitch_B.cos(), pitch_B.sin()], 1)
    right_B3 = torch.stack([cos, -sin, zero], 1)
    down_B3 = torch.linalg.cross(forward_B3, right_B3)
    reach_B11 = (poses.fov_deg.deg2rad() / 2).tan()[:, None, None]
    ray_BT3 = forward_B3[:, None] + reach_B11 * (xy_BT2[..., :1] * right_B3[:, None] + xy_BT2[..., 1:] * down_B3[:, None])
    falls_BT = ray_BT3[..., 2] / ray_BT3.norm(dim=2) < _STEEPEST
    middle_B2 = torch.stack([poses.east_m, poses.north_m], 1)
    camera_B2 = middle_B2 + forward_B3[:, :2] * (poses.height_m / forward_B3[:, 2])[:, None]
    length_BT1 = poses.height_m[:, None, None] / -torch.where(falls_BT, ray_BT3[..., 2], -1.0)[..., None]
    return camera_B2[:, None] + length_BT1 * ray_BT3[..., :2], falls_BT


def points_on_map(
    xy_BT2: torch.Tensor, poses: Poses, drone_B23: torch.Tensor, satellite_B23: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where points of augmented drone pictures lie in the augmented satellite pictures beside them, on flat ground.

    Args:
        xy_BT2: points in the augmented drone pictures.
        poses: of the drone pictures.
        drone_B23: similarities from the augmented to the stored drone pictures.
        satellite_B23: the same of the satellite pictures, whose stored square spans ``SATELLITE_MARGIN`` sides.

    Returns:
        (B, T, 2) points in the augmented satellite pictures, and (B, T) bool: whether both pictures show them.
    """
    stored_BT2 = xy_BT2 @ drone_B23[:, :, :2].mT + drone_B23[:, None, :, 2]
    ground_BT2, falls_BT = ground_points(stored_BT2, poses)
    metres_B11 = (poses.side_m * SATELLITE_MARGIN / 2)[:, None, None]
    square_BT2 = ground_BT2 * torch.tensor([1.0, -1.0]) / metres_B11
    map_BT2 = unwarped(square_BT2, satellite_B23)
    seen_BT = falls_BT
    for point_BT2 in (stored_BT2, square_BT2, map_BT2):
        seen_BT = seen_BT & (point_BT2.abs().amax(2) <= EDGE)
    return map_BT2, seen_BT


def unwarped(stored_BT2: torch.Tensor, warp_B23: torch.Tensor) -> torch.Tensor:
    """Where points of stored pictures, (B, T, 2), lie in augmented ones, given the similarities from these to the stored ones."""
    at_BT2: torch.Tensor = torch.linalg.solve(warp_B23[:, :, :2], (stored_BT2 - warp_B23[:, None, :, 2]).mT).mT
    return at_BT2
