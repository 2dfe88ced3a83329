"""The camera behind a registration: where it stood and where it looked, from the ground points in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEEP_PITCH_DEG = -45.0


@dataclass(frozen=True)
class Pose:
    """A camera over flat ground.

    Attributes:
        east_m: in the frame of the ground points.
        north_m: in the frame of the ground points.
        up_m: above the ground.
        heading_deg: bearing of the view direction, or of the picture's upper edge when it looks steeply down (equal unless rolled).
        pitch_deg: 0 level, -90 straight down.
        residual_px: root mean square distance of the points in the picture.
    """

    east_m: float
    north_m: float
    up_m: float
    heading_deg: float
    pitch_deg: float
    residual_px: float


def solve_pose(pixels: Floats, ground: Floats, fov_deg: float, width: int, height: int) -> Pose | None:
    """Solves the camera from points of flat ground.

    Args:
        pixels: (N, 2) photo pixels, at least 4.
        ground: (N, 2) their east and north in metres near the origin of a local frame.
        fov_deg: horizontal field of view.
        width: of the photo.
        height: of the photo.

    Returns:
        The better of the two planar solutions (IPPE, Collins and Bartoli 2014), refined; None if there is none above the ground.
    """
    focal = width / 2 / math.tan(math.radians(fov_deg) / 2)
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    points = np.column_stack([ground, np.zeros(len(ground))])
    try:
        _, rotations, translations, _ = cv2.solvePnPGeneric(points, pixels, intrinsics, None, flags=cv2.SOLVEPNP_IPPE)
    except cv2.error:
        return None
    best: Pose | None = None
    for rotation, translation in zip(rotations, translations, strict=True):
        refined_r, refined_t = cv2.solvePnPRefineLM(points, pixels, intrinsics, None, rotation.copy(), translation.copy())
        to_camera = cv2.Rodrigues(refined_r)[0]
        place = (-to_camera.T @ refined_t).ravel()
        if not np.all(np.isfinite(place)) or place[2] <= 0:
            continue
        projected = cv2.projectPoints(points, refined_r, refined_t, intrinsics, None)[0].reshape(-1, 2)
        residual = float(np.sqrt(np.mean(np.sum((projected - pixels) ** 2, axis=1))))
        if best is not None and best.residual_px <= residual:
            continue
        up, forward = -to_camera[1], to_camera[2]
        pitch = math.degrees(math.asin(float(np.clip(forward[2], -1, 1))))
        along = up if pitch < _STEEP_PITCH_DEG else forward
        heading = math.degrees(math.atan2(along[0], along[1])) % 360.0
        best = Pose(float(place[0]), float(place[1]), float(place[2]), heading, pitch, residual)
    return best


def upper_edge_bearing(pixels_to_ground: Floats, width: int, height: int) -> float:
    """Bearing of the picture's upper edge at its centre.

    Args:
        pixels_to_ground: 3x3 homography from photo pixels to east and north in metres.
        width: of the photo.
        height: of the photo.
    """
    x, y = (width - 1) / 2, (height - 1) / 2
    step = height / 50
    ends = np.array([[x, y + step, 1.0], [x, y - step, 1.0]]) @ pixels_to_ground.T
    ends = ends[:, :2] / ends[:, 2:]
    east, north = ends[1] - ends[0]
    return math.degrees(math.atan2(east, north)) % 360.0
