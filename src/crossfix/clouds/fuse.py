"""From depth maps and cameras to points, with filters for what is sky and what the network does not trust.

Axes: S views, H rows, W columns. Cameras are x right, y down, z forward; pixels are (x, y) of pixel centres, the first at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.clouds.align import level
from crossfix.clouds.cloud import Colours, Points
from crossfix.errors import DataError

F32 = npt.NDArray[np.float32]
_SKY_EDGE = 12.0  # grey levels a pixel: clouds are softer, roofs and trees harder
_SKY_BRIGHT = 90
_BELOW_HORIZON = -0.05  # sine of 3 degrees: hills, and errors of the plane
_SURE, _ENOUGH = 60, 20_000


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of some views of one place, in a frame of its own.

    Attributes:
        depth_SHW: along the view direction (z, not range).
        confidence_SHW: larger is surer; of no particular scale.
        camera_from_world_S34: (S, 3, 4) rotation and shift, as OpenCV has them.
        intrinsics_S33: (S, 3, 3) the usual K, in pixels of the depth maps.
    """

    depth_SHW: F32
    confidence_SHW: F32
    camera_from_world_S34: Points
    intrinsics_S33: Points

    def __post_init__(self) -> None:
        views = len(self.depth_SHW)
        shapes = (self.confidence_SHW.shape, self.camera_from_world_S34.shape, self.intrinsics_S33.shape)
        if self.depth_SHW.ndim != 3 or shapes != (self.depth_SHW.shape, (views, 3, 4), (views, 3, 3)):
            raise DataError(f"depth {self.depth_SHW.shape}, confidence and cameras {shapes} do not go together")

    def eyes(self) -> Points:
        """(S, 3) camera positions in the network's frame."""
        rotation, shift = self.camera_from_world_S34[:, :, :3], self.camera_from_world_S34[:, :, 3]
        return np.asarray(-np.einsum("sji,sj->si", rotation, shift))

    def rays(self) -> Points:
        """(S, H, W, 3) the way from the camera to the point of every pixel at depth 1, in the network's frame."""
        _, rows, columns = self.depth_SHW.shape
        y, x = np.mgrid[:rows, :columns].astype(np.float64)
        pixels_HW3 = np.stack([x, y, np.ones_like(x)], axis=-1)
        to_world = np.einsum("sji,sjk->sik", self.camera_from_world_S34[:, :, :3], np.linalg.inv(self.intrinsics_S33))
        return np.asarray(np.einsum("sij,hwj->shwi", to_world, pixels_HW3))

    def points(self) -> Points:
        """(S, H, W, 3) the point of every pixel, in the network's frame; NaN where the depth is none."""
        depth = np.where(np.isfinite(self.depth_SHW) & (self.depth_SHW > 0), self.depth_SHW, np.nan).astype(np.float64)
        return np.asarray(self.eyes()[:, None, None] + self.rays() * depth[..., None])


def sky_mask(rgb_HW3: Colours) -> npt.NDArray[np.bool_]:
    """Where a picture shows sky: bright or bluish, smooth, and joined to the upper edge by such pixels.

    Needs no weights. Grey roads and white roofs that touch the upper edge look the same: :func:`trusted` asks for more.

    Args:
        rgb_HW3: (H, W, 3) uint8.

    Returns:
        (H, W).
    """
    soft = cv2.GaussianBlur(rgb_HW3, (0, 0), 1.0).astype(np.float32)
    grey = soft.mean(axis=2)
    edge = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8))
    red, green, blue = soft[..., 0], soft[..., 1], soft[..., 2]
    likely = (edge < _SKY_EDGE) & (grey > _SKY_BRIGHT) & (blue >= green - 4) & (green >= red - 4)
    _, labels = cv2.connectedComponents(likely.astype(np.uint8), connectivity=4)
    top = np.unique(labels[0])
    return np.isin(labels, top[top > 0])


def trusted(prediction: Prediction, rgb_SHW3: Colours, *, percentile: float, sky: bool) -> npt.NDArray[np.bool_]:
    """Which pixels become points.

    Args:
        prediction: of the views.
        rgb_SHW3: (S, H, W, 3) uint8 the views.
        percentile: pixels below this percentile of confidence, over all views of the place, are left out; 50 in the exporter that GeoLink's
            folders look to be made with.
        sky: leave out what :func:`sky_mask` finds above the horizon; the horizon is that of the surest points' main plane.

    Returns:
        (S, H, W).
    """
    usable: npt.NDArray[np.bool_] = np.isfinite(prediction.depth_SHW) & (prediction.depth_SHW > 0) & np.isfinite(prediction.confidence_SHW)
    if sky and usable.any():
        sure = usable & (prediction.confidence_SHW >= np.percentile(prediction.confidence_SHW[usable], _SURE))
        points = prediction.points()[sure]
        up = level(points[:: max(1, len(points) // _ENOUGH)], prediction.eyes())[2]
        rays = prediction.rays()
        above = rays @ up > _BELOW_HORIZON * np.linalg.norm(rays, axis=-1)
        usable &= ~(above & np.stack([sky_mask(rgb) for rgb in rgb_SHW3]))
    if not usable.any():
        return usable
    return usable & (prediction.confidence_SHW >= np.percentile(prediction.confidence_SHW[usable], percentile))
