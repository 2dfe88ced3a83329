"""The published VGGT package and weights behind :class:`~crossfix.clouds.from_vggt.Network`. Neither is part of crossfix.

What is used of its output: ``pose_enc`` (B, S, 9), shift and quaternion (x, y, z, w) of camera from world, vertical and horizontal field of
view in radians; ``depth`` (B, S, H, W, 1) and ``depth_conf`` (B, S, H, W).
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
import torch

from crossfix.clouds.cloud import Colours, Points
from crossfix.clouds.fuse import Prediction
from crossfix.errors import InputError, ModelError

WEIGHTS = "facebook/VGGT-1B"
LICENCE = (
    "VGGT's code is under Meta's VGGT licence (no military use, among other terms); of its weights VGGT-1B is for non-commercial use only "
    "and VGGT-1B-Commercial for commercial use too. Read the terms before you use or publish what it makes"
)
# Measured by its authors: about 0.2 GB a view in the trunk; the heads and the outputs need more than that again.
_BYTES_A_VIEW, _BYTES_BESIDE = 0.5e9, 2e9
_PIXELS_A_VIEW = 518 * 392


class VggtNetwork:
    """A module with VGGT's interface.

    Args:
        model: takes (1, S, 3, H, W) float32 in [0, 1] and returns the dictionary described above.
        device: where it runs.
    """

    def __init__(self, model: torch.nn.Module, device: str = "cpu") -> None:
        self._model, self._device = model.to(device).eval(), torch.device(device)

    def views_at_once(self, height: int, width: int) -> int:
        """What is free on the device over what a view of this size needs."""
        if self._device.type == "cuda":
            free = float(torch.cuda.mem_get_info(self._device)[0])
        elif "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
            free = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        else:
            free = 8e9
        return max(1, int((free - _BYTES_BESIDE) / (_BYTES_A_VIEW * height * width / _PIXELS_A_VIEW)))

    def __call__(self, rgb_SHW3: Colours) -> Prediction:
        """Depth and cameras, the confidence as the network gives it.

        Raises:
            MemoryError: the device has not enough memory.
            ModelError: the output is not VGGT's.
        """
        try:
            # In bfloat16 where that is fast; the heads run in float32 by themselves.
            half = self._device.type == "cuda"
            with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=half):
                images = torch.from_numpy(rgb_SHW3).to(self._device).permute(0, 3, 1, 2)[None].float() / 255
                found = self._model(images)
                arrays = {name: found[name][0].float().cpu().numpy() for name in ("pose_enc", "depth", "depth_conf")}
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise MemoryError(str(error)) from error
        except RuntimeError as error:
            if "not enough memory" in str(error):  # torch's words on a CPU
                raise MemoryError(str(error)) from error
            raise
        except (KeyError, TypeError, IndexError) as error:
            raise ModelError(f"the network's output is not VGGT's ({error!r})", mend="install the published vggt package") from error
        camera, intrinsics = decode_poses(arrays["pose_enc"], rgb_SHW3.shape[1], rgb_SHW3.shape[2])
        return Prediction(arrays["depth"][..., 0], arrays["depth_conf"], camera, intrinsics)


def decode_poses(pose_S9: np.ndarray[Any, Any], height: int, width: int) -> tuple[Points, Points]:
    """Cameras from VGGT's numbers.

    Args:
        pose_S9: (S, 9) shift (3), quaternion x, y, z, w (4) of camera from world, vertical and horizontal field of view in radians.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Returns:
        (S, 3, 4) camera from world and (S, 3, 3) intrinsics, the principal point in the middle of the picture.
    """
    pose = np.asarray(pose_S9, np.float64)
    x, y, z, w = (pose[:, 3:7] / np.linalg.norm(pose[:, 3:7], axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    rotation = np.moveaxis(np.array(rows), -1, 0)
    intrinsics = np.zeros((len(pose), 3, 3))
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = width / 2 / np.tan(pose[:, 8] / 2), height / 2 / np.tan(pose[:, 7] / 2)
    intrinsics[:, 0, 2], intrinsics[:, 1, 2], intrinsics[:, 2, 2] = (width - 1) / 2, (height - 1) / 2, 1
    return np.concatenate([rotation, pose[:, :3, None]], axis=-1), intrinsics


def load_vggt(weights: str = WEIGHTS, device: str | None = None) -> VggtNetwork:
    """The published network, if the user has installed it.

    Args:
        weights: name of the published weights, or a folder that holds them.
        device: such as "cuda" or "cpu"; the accelerator if there is one.

    Raises:
        InputError: the vggt package is not installed.
        ModelError: the weights cannot be had.
    """
    try:
        vggt = importlib.import_module("vggt.models.vggt")
    except ImportError as error:
        mend = "install it from its authors' repository, facebookresearch/vggt, or choose --backend colmap"
        raise InputError("the vggt package is not installed", mend=mend) from error
    try:
        model = vggt.VGGT.from_pretrained(weights)
    except Exception as error:  # the hub's errors are many
        raise ModelError(f"VGGT's weights cannot be loaded ({error})", where=weights, mend="download them and give their folder") from error
    return VggtNetwork(model, device or ("cuda" if torch.cuda.is_available() else "cpu"))
