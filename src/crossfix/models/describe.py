"""From pictures to descriptors, as fast as the machine allows.

Axes: B batch, H and W rows and columns, C channels, D entries of a descriptor.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from crossfix.errors import ModelError
from crossfix.models.card import GroundFit, ModelCard
from crossfix.models.fold import folded
from crossfix.models.gengeo import GenGeo, ViewKind
from crossfix.models.mixvpr import MixVpr
from crossfix.models.vlad import Vlad

Precision = Literal["auto", "float32", "bfloat16"]
Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
Kind = Literal["satellite", "drone", "ground", "query"]
"""From where pictures look; "query" is any but satellite."""


class Describer:
    """Describes pictures with a model.

    Convolutional encoders run channels-last with their batch norms folded; matrices run in bfloat16 where the machine multiplies it in
    hardware. Descriptors differ from those in plain float32 by a cosine of less than 0.001 and are therefore interchangeable.

    Args:
        model: the network; it is copied.
        card: its card.
        device: a torch device ("cpu", "cuda").
        precision: "auto" takes bfloat16 where hardware has it and the head bears it.
        batch: pictures a forward pass; bounds memory.

    Attributes:
        model_id: the model's name.
        sha256: digest of weights, architecture and preprocessing; two describers of the same digest give comparable descriptors.
        dim: entries of a descriptor.
        input_px: side of the square input.
    """

    def __init__(
        self, model: GenGeo, card: ModelCard, *, device: str | torch.device = "cpu", precision: Precision = "auto", batch: int = 32
    ) -> None:
        self.card = card
        self.model_id = card.name
        self.sha256 = card.identity(card.sha256 or _state_digest(model))
        self.dim = model.dim
        self.input_px = card.preprocessing.px
        self._batch = batch
        self._device = _device(device)
        # VLAD sums small differences between tokens and centres: bfloat16 would leave cosines down to 0.91.
        robust = not isinstance(model.head, Vlad)
        self._bfloat16 = precision == "bfloat16" or (precision == "auto" and robust and _has_bfloat16(self._device))
        mean, std = torch.tensor(card.preprocessing.mean), torch.tensor(card.preprocessing.std)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1).to(self._device)
        self._shift = (-mean / std).view(1, 3, 1, 1).to(self._device)
        net = copy.deepcopy(model).eval().requires_grad_(False).cpu()
        if not net.encoder.is_transformer:
            example = torch.randn(2, 3, self.input_px, self.input_px, generator=torch.Generator().manual_seed(0))
            net = folded(net, example).to(memory_format=torch.channels_last)
            if self._bfloat16:
                net.encoder.bfloat16()
        self._net = net.to(self._device)

    def describe(self, images: Images, *, kind: Kind = "satellite", fov_deg: float = 360.0) -> NDArray[np.float32]:
        """Describe pictures.

        Args:
            images: RGB pictures (H, W, 3) uint8 of any sizes, or one array (B, H, W, 3). Each is resized as a whole to the model's square
                input: where proportions matter, crop before.
            kind: from where they look, all of them. Pictures from the ground have a size of their own in models of panoramas; some models
                have a head of their own for satellite pictures.
            fov_deg: how much of the horizon pictures from the ground show: a model of panoramas takes those of less at a narrower size (but
                for MixVPR heads, which know one size).

        Returns:
            (B, D) float32 of unit norm, rows in the pictures' order.

        Raises:
            ModelError: for an array that is no such picture, or a descriptor that is not finite.
        """
        desc_BD = np.empty((len(images), self.dim), np.float32)
        for start, pixels_BHWC in self._batches(images, kind, fov_deg):
            desc_BD[start : start + len(pixels_BHWC)] = self._forward(pixels_BHWC, "satellite" if kind == "satellite" else "query")
        if not np.isfinite(desc_BD).all():
            row = int(np.flatnonzero(~np.isfinite(desc_BD).all(1))[0])
            raise ModelError(f"the descriptor of picture {row} is not finite", where=self.model_id, mend="check the model's weights")
        return desc_BD

    def describe_query(self, images: Images, *, kind: Kind = "query", fov_deg: float = 360.0) -> NDArray[np.float32]:
        """Describe pictures of unknown heading, at as many quarter turns as the model's card asks for.

        Args:
            images: as for `describe`.
            kind: likewise.
            fov_deg: likewise.

        Returns:
            (B, R, D) float32 of unit norm; a picture's score is its best turn's.
        """
        turns = range(self.card.query_turns)
        turned = [self.describe([np.rot90(image, turn) for image in images], kind=kind, fov_deg=fov_deg) for turn in turns]
        return np.stack(turned, axis=1)

    def _size(self, kind: Kind, fov_deg: float) -> tuple[tuple[int, int], GroundFit]:
        """Height and width of the input for pictures of a kind, and how they are fitted."""
        preprocessing = self.card.preprocessing
        if kind != "ground" or preprocessing.ground_hw is None:
            return (self.input_px, self.input_px), "whole"
        if not 0 < fov_deg <= 360:
            raise ModelError(f"pictures cannot show {fov_deg:g} degrees of the horizon", mend="give more than 0 and at most 360")
        height, width = preprocessing.ground_hw
        if fov_deg < 360 and not isinstance(self._net.head, MixVpr):
            width = max(1, round(width * fov_deg / 360 / self._net.encoder.stride)) * self._net.encoder.stride
        return (height, width), preprocessing.ground_fit

    def _batches(self, images: Images, kind: Kind, fov_deg: float) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        hw, how = self._size(kind, fov_deg)
        for start in range(0, len(images), self._batch):
            rows = range(start, min(start + self._batch, len(images)))
            pixels_BHWC = np.empty((len(rows), *hw, 3), np.uint8)
            for i in rows:
                pixels_BHWC[i - start] = fit(_checked(images[i], i), hw, how)
            yield start, pixels_BHWC

    @torch.inference_mode()
    def _forward(self, pixels_BHWC: NDArray[np.uint8], kind: ViewKind) -> NDArray[np.float32]:
        # The permuted view is channels-last already.
        img_BCHW = torch.from_numpy(pixels_BHWC).to(self._device).permute(0, 3, 1, 2).float().mul_(self._scale).add_(self._shift)
        # Transformers keep their residual stream in float32 (autocast): outlier features would lose too much in bfloat16.
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            if self._bfloat16 and not self._net.encoder.is_transformer:
                img_BCHW = img_BCHW.bfloat16()
            desc_BD: NDArray[np.float32] = self._net(img_BCHW, kind).float().cpu().numpy()
        return desc_BD


def fit(pixels_HWC: NDArray[np.uint8], size: int | tuple[int, int], how: GroundFit = "whole") -> NDArray[np.uint8]:
    """Resize a picture: averaging over areas where it shrinks, linear where it grows.

    Args:
        pixels_HWC: the picture.
        size: height and width, or the side of a square.
        how: "whole", or the "middle" of a picture that is too high, see `Preprocessing.ground_fit`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if how == "middle":
        kept = min(pixels_HWC.shape[0], max(1, round(pixels_HWC.shape[1] * height / width)))
        top = (pixels_HWC.shape[0] - kept) // 2
        pixels_HWC = pixels_HWC[top : top + kept]
    small = (min(pixels_HWC.shape[1], width), min(pixels_HWC.shape[0], height))
    out_HWC: Any = pixels_HWC
    if small != out_HWC.shape[1::-1]:
        out_HWC = cv2.resize(out_HWC, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        out_HWC = cv2.resize(out_HWC, (width, height), interpolation=cv2.INTER_LINEAR)
    return cast("NDArray[np.uint8]", out_HWC)


def _checked(image: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ModelError(f"picture {row} is {got}, expected uint8 (height, width, 3)", mend="convert it to 8-bit RGB")
    return image


def _device(device: str | torch.device) -> torch.device:
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {str(device)!r} is not usable here", mend="use cpu, or install a torch build for your GPU") from error
    return wanted


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
    return bool(torch.cpu._is_avx512_bf16_supported())  # torch before get_capabilities


def _state_digest(model: GenGeo) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
