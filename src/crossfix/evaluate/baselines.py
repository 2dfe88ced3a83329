"""Two baselines without learning that a model must beat: colours, and gradients in twelve headings.

Both describe as models do, so that every measurement can take them in a model's place. Axes: B pictures, R headings, D entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.models.describe import Kind

Picture = npt.NDArray[np.uint8]
_BINS = 8
_SIDE = 64
_CELL = 8
_ANGLES = 9


class ColourHistogram:
    """Histogram of 8 x 8 x 8 colours after grey-world white balance, under the Hellinger kernel. It knows no heading and no layout."""

    model_id = "colour-histogram"
    input_px = 128
    dim = _BINS**3
    sha256 = hashlib.sha256(b"colour-histogram 1").hexdigest()

    def prepare(self, image: Picture, kind: Kind = "query") -> Picture:
        """A picture that is large, shrunk, which is what `describe` does first."""
        return _shrunk(image, self.input_px) if min(image.shape[:2]) > self.input_px else image

    def describe(self, images: Sequence[Picture] | Picture, *, kind: Kind = "satellite", fov_deg: float = 360.0) -> npt.NDArray[np.float32]:
        """Pictures (H, W, 3) uint8 of any size to (B, 512) float32 of unit norm; whatever they show is described alike."""
        return np.stack([self._one(image) for image in images])

    def describe_query(
        self, images: Sequence[Picture] | Picture, *, kind: Kind = "query", fov_deg: float = 360.0
    ) -> npt.NDArray[np.float32]:
        """The same as (B, 1, 512): a histogram is the same at every heading."""
        return self.describe(images)[:, None]

    def _one(self, image: Picture) -> npt.NDArray[np.float32]:
        small = _shrunk(image, self.input_px).reshape(-1, 3).astype(np.float32)
        balanced = small * (0.5 / np.maximum(small.mean(axis=0), 1.0))
        level = np.clip(balanced * _BINS, 0, _BINS - 1).astype(np.int64)
        count = np.bincount(level @ np.array([_BINS * _BINS, _BINS, 1]), minlength=self.dim)
        root: npt.NDArray[np.float32] = np.sqrt(count / count.sum()).astype(np.float32)
        return root


class RotatedHog:
    """Histograms of oriented gradients (Dalal and Triggs, CVPR 2005) inside the picture's inner circle, queries in twelve headings.

    The circle makes a turned query see what the gallery image sees: the corners leave the picture when it turns.
    """

    model_id = "rotated-hog"
    input_px = _SIDE
    dim = (_SIDE // _CELL - 1) ** 2 * 4 * _ANGLES
    turns = 12
    sha256 = hashlib.sha256(b"rotated-hog 1").hexdigest()

    def prepare(self, image: Picture, kind: Kind = "query") -> Picture:
        """A picture that is large, shrunk, which is what `describe` does first."""
        return _shrunk(image, _SIDE) if min(image.shape[:2]) > _SIDE else image

    def describe(self, images: Sequence[Picture] | Picture, *, kind: Kind = "satellite", fov_deg: float = 360.0) -> npt.NDArray[np.float32]:
        """Pictures (H, W, 3) uint8 of any size, as they stand, to (B, D) float32 of unit norm; all kinds alike."""
        return np.stack([_hog(_small_grey(image)) for image in images])

    def describe_query(
        self, images: Sequence[Picture] | Picture, *, kind: Kind = "query", fov_deg: float = 360.0
    ) -> npt.NDArray[np.float32]:
        """Pictures turned by 0, 30, ... 330 degrees to (B, 12, D) float32 of unit norm, for `evaluate_pairs`."""
        turned_BRD = np.empty((len(images), self.turns, self.dim), np.float32)
        for row, image in enumerate(images):
            grey = _small_grey(image)
            for turn in range(self.turns):
                turned_BRD[row, turn] = _hog(_turn(grey, 360.0 * turn / self.turns))
        return turned_BRD


def _shrunk(image: Picture, px: int) -> Picture:
    small: Picture = cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return small


def _small_grey(image: Picture) -> npt.NDArray[np.float32]:
    grey: npt.NDArray[np.float32] = cv2.cvtColor(_shrunk(image, _SIDE), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey


def _turn(grey: npt.NDArray[np.float32], degrees: float) -> npt.NDArray[np.float32]:
    """Turn about the centre, counter-clockwise; what comes in at the corners lies outside the circle."""
    centre = (_SIDE - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), degrees, 1.0)
    turned: npt.NDArray[np.float32] = cv2.warpAffine(grey, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
    return turned


def _disc() -> npt.NDArray[np.float32]:
    axis = np.arange(_SIDE) - (_SIDE - 1) / 2
    disc: npt.NDArray[np.float32] = (np.hypot(axis[:, None], axis[None]) <= _SIDE / 2 - 1).astype(np.float32)
    return disc


_DISC = _disc()


def _hog(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Blocks of 2 x 2 cells of 8 x 8 pixels with 9 unsigned orientations, each block normed, clipped at 0.2 and normed again."""
    down, right = np.gradient(grey)
    strength = np.hypot(down, right) * _DISC
    angle = np.arctan2(down, right) % np.pi * (_ANGLES / np.pi)
    lower = np.floor(angle).astype(np.int64)
    upper_share = angle - lower
    cells = _SIDE // _CELL
    rows, columns = np.indices(grey.shape) // _CELL
    base = (rows * cells + columns) * _ANGLES
    total = np.zeros(cells * cells * _ANGLES)
    for bins, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        total += np.bincount((base + bins % _ANGLES).ravel(), (strength * share).ravel(), minlength=len(total))
    cell = total.reshape(cells, cells, _ANGLES)
    block = np.concatenate([cell[:-1, :-1], cell[:-1, 1:], cell[1:, :-1], cell[1:, 1:]], axis=2)
    for _ in range(2):  # L2-Hys
        block = np.minimum(block / (np.linalg.norm(block, axis=2, keepdims=True) + 1e-3), 0.2)
    flat = block.ravel()
    norm = float(np.linalg.norm(flat))
    if norm == 0.0:  # no gradient anywhere: as far from one picture as from any other
        return np.full(len(flat), len(flat) ** -0.5, np.float32)
    return (flat / norm).astype(np.float32)


BASELINES: dict[str, type[ColourHistogram] | type[RotatedHog]] = {
    ColourHistogram.model_id: ColourHistogram,
    RotatedHog.model_id: RotatedHog,
}
