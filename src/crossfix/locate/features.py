"""Local features of a picture and their matches: SIFT by default, XFeat where its weights are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError, ModelError

Floats = npt.NDArray[np.float32]

RATIO = 0.9
_EDGE_PX = 4


@dataclass(frozen=True)
class Features:
    """Local features.

    Attributes:
        xy: (N, 2) pixel positions.
        descriptors: (N, D) unit norm.
        angle_deg: (N,) own direction, clockwise from the picture's right; all zero if the kind has none.
        size: (N,) own size in pixels; all one if the kind has none.
    """

    xy: Floats
    descriptors: Floats
    angle_deg: Floats
    size: Floats


@dataclass(frozen=True)
class Matches:
    """Mutual nearest neighbours that pass the ratio test, from a picture to another.

    Attributes:
        source: (M, 2) positions in the first picture.
        target: (M, 2) positions in the second.
        turn_deg: (M,) direction of the second feature less that of the first, -180 to 180.
        log_scale: (M,) natural logarithm of the ratio of their sizes, second to first.
    """

    source: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    turn_deg: npt.NDArray[np.float64]
    log_scale: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.source)


class Extractor(Protocol):
    """A kind of local feature."""

    upright: bool
    """True if the features carry no direction or size of their own, so that pictures must be turned and scaled alike before."""

    def extract(self, pixels: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_], limit: int) -> Features:
        """Features of a picture where it is valid, the `limit` strongest."""
        ...


class Sift:
    """SIFT through OpenCV, descriptors square-rooted (RootSIFT, Arandjelovic and Zisserman 2012)."""

    upright = False

    def extract(self, pixels: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_], limit: int) -> Features:
        """See :class:`Extractor`."""
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        keypoints, descriptors = cv2.SIFT.create(nfeatures=limit, contrastThreshold=0.015, enable_precise_upscale=True).detectAndCompute(
            grey, _inner(valid)
        )
        if descriptors is None or len(keypoints) == 0:
            return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32))
        keypoints, descriptors = keypoints[:limit], descriptors[:limit]
        roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
        return Features(
            np.array([k.pt for k in keypoints], dtype=np.float32),
            roots.astype(np.float32),
            np.array([k.angle for k in keypoints], dtype=np.float32),
            np.array([k.size for k in keypoints], dtype=np.float32),
        )


class XFeat:
    """XFeat (Potje et al. 2024) through kornia, sparse features only.

    Args:
        weights: a safetensors file under the names of `kornia.feature.XFeat().net`; the semi-dense matcher's may be missing.

    Raises:
        ModelError: kornia is not installed, or the file is missing or of another network.
    """

    upright = True

    def __init__(self, weights: Path) -> None:
        try:
            import kornia.feature
            import torch
            from safetensors.torch import load_file
        except ImportError as error:
            raise ModelError("XFeat needs kornia, which is not installed", mend="pip install crossfix[xfeat]") from error
        if not weights.is_file():
            raise ModelError("there is no such weights file", where=weights, mend="give --matcher-weights")
        self._torch = torch
        self._net: Any = kornia.feature.XFeat(top_k=4096)
        try:
            missing, unexpected = self._net.net.load_state_dict(load_file(str(weights)), strict=False)
        except Exception as error:
            raise ModelError(f"not weights of XFeat ({error})", where=weights) from error
        if unexpected or any(not name.startswith("fine_matcher") for name in missing):
            raise ModelError("the weights are not those of XFeat", where=weights)
        self._net.eval()

    def extract(self, pixels: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_], limit: int) -> Features:
        """See :class:`Extractor`."""
        torch = self._torch
        with torch.inference_mode():
            img_BCHW = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
            found = self._net.detectAndCompute(img_BCHW)[0]
        xy = found["keypoints"].float().numpy()
        descriptors = found["descriptors"].float().numpy()
        inner = _inner(valid)
        columns = np.clip(np.round(xy[:, 0]).astype(int), 0, valid.shape[1] - 1)
        rows = np.clip(np.round(xy[:, 1]).astype(int), 0, valid.shape[0] - 1)
        keep = np.flatnonzero(inner[rows, columns])[:limit]
        return Features(xy[keep], descriptors[keep], np.zeros(len(keep), np.float32), np.ones(len(keep), np.float32))


def extractor(name: str, weights: Path | None = None) -> Extractor:
    """The extractor of a name.

    Args:
        name: ``sift`` or ``xfeat``.
        weights: the weights file, which ``xfeat`` needs.

    Raises:
        InputError: an unknown name, or ``xfeat`` without weights.
        ModelError: see :class:`XFeat`.
    """
    if name == "sift":
        return Sift()
    if name == "xfeat":
        if weights is None:
            raise InputError("the matcher xfeat needs its weights", mend="give --matcher-weights FILE")
        return XFeat(weights)
    raise InputError(f"there is no matcher '{name}'", mend="use sift or xfeat")


def match(first: Features, second: Features, ratio: float = RATIO) -> Matches:
    """Mutual nearest neighbours whose distance is below `ratio` times that to the second nearest.

    Args:
        first: features of the query.
        second: features of the map.
        ratio: of Euclidean distances.
    """
    if len(first.xy) < 2 or len(second.xy) < 2:
        none = np.zeros(0)
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)), none, none)
    similarity = first.descriptors @ second.descriptors.T
    best = similarity.argmax(axis=1)
    rows = np.arange(len(best))
    top = similarity[rows, best]
    back = similarity.argmax(axis=0)
    similarity[rows, best] = -1.0
    runner_up = similarity.max(axis=1)
    # Distances of unit vectors: d^2 = 2 - 2 cos.
    distinct = (1.0 - top) < ratio**2 * (1.0 - runner_up)
    i = np.flatnonzero(distinct & (back[best] == rows))
    j = best[i]
    turns = (second.angle_deg[j] - first.angle_deg[i] + 180.0) % 360.0 - 180.0
    scales = np.log(np.maximum(second.size[j], 1e-3) / np.maximum(first.size[i], 1e-3))
    return Matches(first.xy[i].astype(np.float64), second.xy[j].astype(np.float64), turns.astype(np.float64), scales.astype(np.float64))


def _inner(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Mask without a rim at the border of what is valid, where the edge itself would be the feature."""
    size = 2 * _EDGE_PX + 1
    return np.asarray(cv2.erode(valid.astype(np.uint8), np.ones((size, size), np.uint8), borderValue=1) * 255, dtype=np.uint8)
