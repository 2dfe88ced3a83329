"""ImageNet MobileNetV2 with GeM pooling as a describer: the plain baseline that stands beside the bundled model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray


def shared() -> Path:
    """The folder of real imagery and weights: CROSSFIX_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("CROSSFIX_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
    if not (folder / "data" / "README.md").is_file():
        raise SystemExit(f"{folder}: no real imagery there; set CROSSFIX_SHARED")
    return folder


class MobileNetGem:
    """Final feature map of MobileNetV2 1.0, generalised mean with exponent 3, unit norm.

    Args:
        weights: `mobilenetv2_100.imagenet.safetensors`.
        input_px: side of the pictures.
    """

    model_id = "mobilenetv2-gem"
    dim = 1280

    def __init__(self, weights: Path, input_px: int = 128) -> None:
        self.input_px = input_px
        self.sha256 = hashlib.sha256(weights.read_bytes() + b"gem3" + str(input_px).encode()).hexdigest()
        overlay = {"file": str(weights), "num_classes": 1001, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
        self._net = timm.create_model(
            "mobilenetv2_100", pretrained=True, pad_type="same", num_classes=0, pretrained_cfg_overlay=overlay
        ).eval()

    def describe(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Descriptors (B, 1280) of pictures of `input_px` a side."""
        img_BCHW = torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        if img_BCHW.shape[-1] != self.input_px:
            img_BCHW = torch.nn.functional.interpolate(img_BCHW, (self.input_px, self.input_px), mode="bilinear", antialias=True)
        with torch.inference_mode():
            map_BCHW = self._net.forward_features(img_BCHW).clamp(min=1e-6)
            desc_BD = map_BCHW.pow(3).mean(dim=(2, 3)).pow(1 / 3)
            return torch.nn.functional.normalize(desc_BD, dim=1).numpy().astype(np.float32)
