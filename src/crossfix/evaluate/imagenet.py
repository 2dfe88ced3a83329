"""ImageNet features as a baseline: MobileNetV2 with generalised-mean pooling, from a weights file that the user has."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray

from crossfix.errors import ModelError
from crossfix.models.describe import Images, Kind, fit

PREFIX = "mobilenetv2:"
_TURNS = 4
_CLASSES = 1001  # as trained with TensorFlow, whose padding it needs, too


class MobileNetGem:
    """Final feature map of MobileNetV2 1.0, generalised mean with exponent 3, unit norm; queries at four quarter turns.

    Args:
        weights: of timm's ``mobilenetv2_100`` with 1,001 classes, as safetensors.
        input_px: side of the pictures.

    Raises:
        ModelError: where the file is missing or holds something else.
    """

    model_id = "mobilenetv2-gem"
    dim = 1280

    def __init__(self, weights: Path, input_px: int = 128) -> None:
        self.input_px = input_px
        overlay = {"file": str(weights), "num_classes": _CLASSES, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
        mend = "give mobilenetv2_100 with 1001 classes as a safetensors file"
        if weights.suffix != ".safetensors":  # timm would load others by pickle
            raise ModelError("is no safetensors file", where=weights, mend=mend)
        try:
            self.sha256 = hashlib.sha256(weights.read_bytes() + b"gem3" + str(input_px).encode()).hexdigest()
            self._net: Any = timm.create_model(
                "mobilenetv2_100", pretrained=True, pad_type="same", num_classes=0, pretrained_cfg_overlay=overlay
            ).eval()
        except Exception as error:  # whatever timm and safetensors make of a foreign file
            raise ModelError(
                f"cannot be loaded ({(str(error) or type(error).__name__).splitlines()[0]})", where=weights, mend=mend
            ) from error

    def describe(self, images: Images, *, kind: Kind = "satellite", fov_deg: float = 360.0) -> NDArray[np.float32]:
        """Pictures (H, W, 3) uint8 of any size to (B, 1280) float32 of unit norm; all kinds alike."""
        pixels_BHWC = np.stack([fit(np.ascontiguousarray(image), self.input_px) for image in images])
        img_BCHW = torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with torch.inference_mode():
            map_BCHW = self._net.forward_features(img_BCHW).clamp(min=1e-6)
            desc_BD = map_BCHW.pow(3).mean(dim=(2, 3)).pow(1 / 3)
            described: NDArray[np.float32] = torch.nn.functional.normalize(desc_BD, dim=1).numpy().astype(np.float32)
        return described

    def prepare(self, image: NDArray[np.uint8], kind: Kind = "query") -> NDArray[np.uint8]:
        """A picture resized to the input, which is what `describe` does first."""
        return fit(image, self.input_px)

    def describe_query(self, images: Images, *, kind: Kind = "query", fov_deg: float = 360.0) -> NDArray[np.float32]:
        """The same at four quarter turns, (B, 4, 1280)."""
        return np.stack([self.describe([np.rot90(image, turn) for image in images]) for turn in range(_TURNS)], axis=1)
