"""Clouds by VGGT (Wang et al., CVPR 2025): depth and cameras of all views in one pass of a network, joined into points.

Batches: as many views at a time as the memory holds. A batch has a frame of its own, the camera of its first view with a scale that the
network chooses. The first view of the place is therefore in every batch, and a batch is laid on the first by the similarity of its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from crossfix.clouds.align import Similarity, level, umeyama
from crossfix.clouds.backend import Built, NoCloudError, read_view
from crossfix.clouds.cloud import Cloud, Colours
from crossfix.clouds.fuse import Prediction, trusted
from crossfix.clouds.sampling import keyed_rng, thin
from crossfix.errors import DataError, InputError

SIDE_PX = 518
_PATCH_PX = 14
_LEAST = 2
POINTS = 30_000


class Network(Protocol):
    """A network with VGGT's abilities."""

    def views_at_once(self, height: int, width: int) -> int:
        """How many views of this size the memory may hold: a first guess, halved where it was too bold."""
        ...

    def __call__(self, rgb_SHW3: Colours) -> Prediction:
        """Depth and cameras of views.

        Raises:
            MemoryError: there is not enough memory for so many views.
        """
        ...


class VggtBackend:
    """Makes clouds of frame "level": no unit, z up.

    Args:
        network: see :mod:`crossfix.clouds.vggt_network`.
        licence: on what terms.
        confidence: percentile of confidence below which pixels are left out, 0 to below 100.
        sky: leave sky out.
        points: at most so many a cloud.
        seed: of the thinning.
        side_px: the longer side of what the network sees, a multiple of 14.

    Raises:
        InputError: a percentile or a side that makes no sense.
    """

    name = "vggt"

    def __init__(
        self,
        network: Network,
        *,
        licence: str = "",
        confidence: float = 50.0,
        sky: bool = True,
        points: int = POINTS,
        seed: int = 0,
        side_px: int = SIDE_PX,
    ) -> None:
        if not 0 <= confidence < 100:
            raise InputError(f"a confidence percentile of {confidence:g}", mend="give one from 0 to below 100")
        if side_px < _PATCH_PX or side_px % _PATCH_PX:
            raise InputError(f"a side of {side_px} pixels", mend=f"give a multiple of {_PATCH_PX}")
        self._network, self.licence = network, licence
        self.confidence, self.sky, self.points, self.seed, self.side_px = confidence, sky, points, seed, side_px

    def options(self) -> dict[str, object]:
        """The filters, the size and the seed."""
        names = ("confidence", "sky", "points", "seed", "side_px")
        return {name: getattr(self, name) for name in names}

    def reconstruct(self, views: Sequence[Path], key: str) -> Built:
        """Run the network on the views and join what it says.

        Args:
            views: pictures of one place.
            key: names the cloud.

        Raises:
            NoCloudError: not even two views fit into the memory, a view cannot be read, a batch cannot be joined, or nothing is trusted.
        """
        rgb = load_views(views, self.side_px)
        at_once = max(_LEAST, min(len(rgb), self._network.views_at_once(*rgb.shape[1:3])))
        prediction = None
        while prediction is None:
            try:
                prediction = self._all(rgb, at_once)
            except MemoryError as error:
                if at_once <= _LEAST:
                    what = f"not even {_LEAST} views of {rgb.shape[2]} x {rgb.shape[1]} pixels fit into the memory"
                    raise NoCloudError("out of memory", what, mend="use another device, or give fewer pixels with --side") from error
                at_once = max(_LEAST, at_once // 2)
        mask = trusted(prediction, rgb, percentile=self.confidence, sky=self.sky)
        if not mask.any():
            raise NoCloudError("nothing trusted", "no pixel of its views is trusted and no sky", mend="lower the confidence percentile")
        cloud = thin(Cloud(prediction.points()[mask], rgb[mask], "free"), self.points, keyed_rng(self.seed, "thin", key))
        eyes = prediction.eyes()
        turn = level(cloud.xyz_N3, eyes)
        facts = {"trusted": float(mask.mean()), "views_at_once": float(at_once)}
        return Built(Cloud(cloud.xyz_N3 @ turn.T, cloud.rgb_N3, "level"), len(views), len(views), eyes @ turn.T, facts)

    def _all(self, rgb: Colours, at_once: int) -> Prediction:
        whole = self._network(rgb[:at_once])
        parts, first = [whole], _part(whole, slice(0, 1))
        for start in range(at_once, len(rgb), at_once - 1):
            rows = slice(start, min(start + at_once - 1, len(rgb)))
            batch = self._network(np.concatenate([rgb[:1], rgb[rows]]))
            parts.append(_moved(_part(batch, slice(1, None)), _onto(_part(batch, slice(0, 1)), first)))
        return Prediction(
            np.concatenate([part.depth_SHW for part in parts]),
            np.concatenate([part.confidence_SHW for part in parts]),
            np.concatenate([part.camera_from_world_S34 for part in parts]),
            np.concatenate([part.intrinsics_S33 for part in parts]),
        )


def load_views(views: Sequence[Path], side_px: int) -> Colours:
    """Pictures as the network takes them: the longer side so many pixels, both sides multiples of 14, all as the first one.

    A picture of another shape than the first is cut to that shape about its middle.

    Args:
        views: the files.
        side_px: a multiple of 14.

    Returns:
        (S, H, W, 3) uint8 RGB.

    Raises:
        NoCloudError: a picture cannot be read.
    """
    loaded: list[Colours] = []
    for view in views:
        picture = read_view(view)
        rows, columns = picture.shape[:2]
        if not loaded:
            scale = side_px / max(rows, columns)
            size = [max(_PATCH_PX, round(side * scale / _PATCH_PX) * _PATCH_PX) for side in (rows, columns)]
        scale = max(size[0] / rows, size[1] / columns)
        high, wide = min(rows, round(size[0] / scale)), min(columns, round(size[1] / scale))
        top, left = (rows - high) // 2, (columns - wide) // 2
        cut = picture[top : top + high, left : left + wide]
        loaded.append(np.asarray(cv2.resize(cut, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8))
    return np.stack(loaded)


def _part(prediction: Prediction, rows: slice) -> Prediction:
    names = ("depth_SHW", "confidence_SHW", "camera_from_world_S34", "intrinsics_S33")
    return Prediction(*(getattr(prediction, name)[rows] for name in names))


def _onto(batch: Prediction, first: Prediction) -> Similarity:
    """From a batch's frame to the first one's, by the view that is in both; its surer half decides."""
    sure = np.minimum(batch.confidence_SHW / np.median(batch.confidence_SHW), first.confidence_SHW / np.median(first.confidence_SHW))[0]
    source, target = batch.points()[0], first.points()[0]
    usable = np.isfinite(source).all(axis=-1) & np.isfinite(target).all(axis=-1) & np.isfinite(sure)
    usable &= sure >= np.median(sure[usable]) if usable.any() else usable
    try:
        return umeyama(source[usable], target[usable])
    except DataError as error:
        raise NoCloudError("batches not joined", f"two batches of its views cannot be joined ({error.what})") from error


def _moved(prediction: Prediction, onto: Similarity) -> Prediction:
    """The same views in another frame: depths are scaled, and the cameras moved with the points."""
    rotation = prediction.camera_from_world_S34[:, :, :3] @ onto.rotation_33.T
    eyes = onto.apply(prediction.eyes())
    shift = -np.einsum("sij,sj->si", rotation, eyes)
    depth = (prediction.depth_SHW * onto.scale).astype(np.float32)
    return replace(prediction, depth_SHW=depth, camera_from_world_S34=np.concatenate([rotation, shift[..., None]], axis=-1))
