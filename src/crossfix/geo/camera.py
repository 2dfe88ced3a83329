"""A pinhole camera over flat ground: rays, projection, footprint.

Frames: the world is (east, north, up) in metres of some :class:`~crossfix.geo.geodesy.LocalFrame` with the ground at z = 0; the camera
is x right, y down, z forward; pixels are (x, y) of pixel centres with the origin in the top-left pixel's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfix.errors import InputError


@dataclass(frozen=True)
class Camera:
    """Where a camera stands, where it looks and what it sees.

    Square pixels, principal point in the middle of the picture, no distortion.

    Args:
        east_m: position in the local frame, metres.
        north_m: position in the local frame, metres.
        up_m: metres above the plane z = 0.
        heading_deg: degrees clockwise from true north: the bearing of the view direction; looking straight down (pitch -90) the bearing
            of the picture's upper edge, which is what the former becomes in the limit.
        pitch_deg: 0 level, -90 straight down, 90 straight up. Values beyond -90 lean over backwards.
        fov_deg: horizontal field of view, above 0 and below 180.
        width: pixels.
        height: pixels.
        roll_deg: turn about the view direction; positive turns the camera clockwise as seen from behind it (its right side goes down),
            so the horizon turns anticlockwise in the picture. Looking straight down it adds to the heading.

    Raises:
        InputError: a number that is not finite, a field of view outside (0, 180), or an empty picture.
    """

    east_m: float
    north_m: float
    up_m: float
    heading_deg: float
    pitch_deg: float
    fov_deg: float
    width: int
    height: int
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.east_m, self.north_m, self.up_m, self.heading_deg, self.pitch_deg, self.roll_deg, self.fov_deg)
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(f"camera holds a number that is not finite: {self}")
        if not 0 < self.fov_deg < 180:
            raise InputError(f"field of view {self.fov_deg:g} degrees is not between 0 and 180")
        if self.width < 1 or self.height < 1:
            raise InputError(f"picture of {self.width} x {self.height} pixels is empty")

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / math.tan(math.radians(self.fov_deg) / 2)

    @property
    def centre_px(self) -> tuple[float, float]:
        """Pixel coordinates (x, y) of the middle of the picture."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) matrix from camera axes (x right, y down, z forward) to (east, north, up); its columns are the camera's axes."""
        heading, pitch, roll = (math.radians(angle) for angle in (self.heading_deg, self.pitch_deg, self.roll_deg))
        forward = np.array([math.sin(heading) * math.cos(pitch), math.cos(heading) * math.cos(pitch), math.sin(pitch)])
        right = np.array([math.cos(heading), -math.sin(heading), 0.0])
        down = np.cross(forward, right)
        turned_right = right * math.cos(roll) + down * math.sin(roll)
        turned_down = down * math.cos(roll) - right * math.sin(roll)
        return np.stack([turned_right, turned_down, forward], axis=1)

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """(3, 3) matrix from camera axes to pixels, the usual K."""
        x, y = self.centre_px
        return np.array([[self.focal_px, 0.0, x], [0.0, self.focal_px, y], [0.0, 0.0, 1.0]])

    @property
    def projection(self) -> NDArray[np.float64]:
        """(3, 4) matrix that takes (east, north, up, 1) to (x w, y w, w), with x and y from -1 to 1 between the picture's outer edges.

        w is the depth in metres along the view direction.
        """
        reach = math.tan(math.radians(self.fov_deg) / 2)
        scale = np.diag([1 / reach, self.width / self.height / reach, 1.0])
        turned = self.rotation.T
        position = np.array([self.east_m, self.north_m, self.up_m])
        matrix_34: NDArray[np.float64] = scale @ np.column_stack([turned, -turned @ position])
        return matrix_34

    def directions(self) -> NDArray[np.float32]:
        """Viewing rays of all pixel centres.

        Returns:
            (height, width, 3) float32 unit vectors in (east, north, up).
        """
        x, y = self.centre_px
        across = (np.arange(self.width) - x) / self.focal_px
        along = (np.arange(self.height) - y) / self.focal_px
        rays = np.empty((self.height, self.width, 3))
        rays[..., 0] = across[None, :]
        rays[..., 1] = along[:, None]
        rays[..., 2] = 1.0
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        return (rays @ self.rotation.T).astype(np.float32)

    def project(self, points_N3: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where points in space appear in the picture.

        Args:
            points_N3: (N, 3) east, north, up in metres.

        Returns:
            uv_N2: (N, 2) pixel coordinates, which may lie outside the picture; NaN for points that are not in front of the camera.
            depth_N: (N,) metres along the view direction (z, not range); not positive behind the camera.
        """
        position = np.array([self.east_m, self.north_m, self.up_m])
        camera_N3 = (np.asarray(points_N3, dtype=np.float64) - position) @ self.rotation
        depth_N = camera_N3[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            uv_N2 = camera_N3[:, :2] / depth_N[:, None] * self.focal_px + np.array(self.centre_px)
        uv_N2[~(depth_N > 0)] = np.nan
        return uv_N2, depth_N

    def ground_homography(self) -> NDArray[np.float64]:
        """From pixels to the ground plane z = 0.

        Returns:
            (3, 3) matrix that takes (x, y, 1) to (east, north, 1) up to scale; the third component is positive exactly for the pixels that
            see the ground.

        Raises:
            InputError: the camera is not above the ground.
        """
        if self.up_m <= 0:
            raise InputError(f"camera at {self.up_m:g} m is not above the ground", mend="give the height above ground")
        # A ray d from C meets z = 0 at C - d * up / d_z; multiplied by -d_z (positive when looking down) that is linear in d.
        plane = np.array([[self.up_m, 0.0, -self.east_m], [0.0, self.up_m, -self.north_m], [0.0, 0.0, -1.0]])
        return plane @ self.rotation @ np.linalg.inv(self.intrinsics)

    def _ground(self, pixels_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        points_N3 = np.column_stack([pixels_N2, np.ones(len(pixels_N2))]) @ self.ground_homography().T
        if not np.all(points_N3[:, 2] > 0):
            raise InputError(
                f"a camera pitched {self.pitch_deg:g} degrees with a field of view of {self.fov_deg:g} degrees sees the horizon",
                mend="only pictures that see nothing but ground have a footprint",
            )
        return points_N3[:, :2] / points_N3[:, 2:]

    def footprint(self) -> NDArray[np.float64]:
        """The ground that the picture covers, to the outer edges of its outermost pixels.

        Returns:
            (4, 2) east and north in metres of the top-left, top-right, bottom-right and bottom-left corners.

        Raises:
            InputError: a corner looks at or above the horizon, or the camera is not above the ground.
        """
        right, bottom = self.width - 0.5, self.height - 0.5
        return self._ground(np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]]))

    def centre_on_ground(self) -> tuple[float, float]:
        """The ground in the middle of the picture; not the point below the camera.

        Returns:
            east and north in metres.

        Raises:
            InputError: the view direction does not meet the ground.
        """
        east, north = self._ground(np.array([self.centre_px]))[0]
        return float(east), float(north)

    @property
    def ground_span_m(self) -> float:
        """Side of the square whose area is the footprint's, metres: what a map chip that shows as much ground measures.

        Raises:
            InputError: as :meth:`footprint`.
        """
        east, north = self.footprint().T
        return math.sqrt(abs(float(np.dot(east, np.roll(north, -1)) - np.dot(north, np.roll(east, -1)))) / 2)
