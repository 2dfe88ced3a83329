"""From pictures to descriptors, as fast as the machine allows.

Axes: B batch, H and W rows and columns, C channels, D entries of a descriptor.
"""

from __future__ import annotations

import copy
import hashlib
import math
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
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
from crossfix.models.overhead import fill_of, headings, overhead, shrunk, spanned_deg
from crossfix.models.precision import has_bfloat16
from crossfix.models.salad import Salad
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
        self._kept = threading.local()
        self._widths: dict[float, int] = {}
        self._device = _device(device)
        # VLAD sums small differences between tokens and centres: bfloat16 would leave cosines down to 0.91.
        robust = not isinstance(model.head, Vlad)
        self._bfloat16 = precision == "bfloat16" or (precision == "auto" and robust and has_bfloat16(self._device))
        mean, std = torch.tensor(card.preprocessing.mean), torch.tensor(card.preprocessing.std)
        self._scale, self._shift = (1 / (255 * std)).to(self._device), (-mean / std).to(self._device)
        levels = torch.arange(256, dtype=torch.float32)[:, None]
        self._levels = levels.mul(1 / (255 * std)).add_(-mean / std).numpy()[None]
        self._net = self._ready(GenGeo(model.encoder, model.head, model.config, model.satellite_head))
        self._ground_net = self._net if model.ground_encoder is None else self._ready(model.from_ground())

    def _ready(self, model: GenGeo) -> GenGeo:
        """A copy of a network for inference."""
        net = copy.deepcopy(model).eval().requires_grad_(False).cpu()
        if not net.encoder.is_transformer:
            example = torch.randn(2, 3, self.input_px, self.input_px, generator=torch.Generator().manual_seed(0))
            net = folded(net, example).to(memory_format=torch.channels_last)
            if self._bfloat16:
                net.encoder.bfloat16()
        return net.to(self._device)

    def describe(self, images: Images, *, kind: Kind = "satellite", fov_deg: float = 360.0) -> NDArray[np.float32]:
        """Describe pictures.

        Args:
            images: RGB pictures (H, W, 3) uint8 of any sizes, or one array (B, H, W, 3). Each is resized as a whole to the model's square
                input: where proportions matter, crop before.
            kind: from where they look, all of them. Pictures from the ground have a size of their own in models of panoramas; some models
                have a head of their own for satellite pictures.
            fov_deg: how much of the horizon pictures from the ground show: a model of panoramas takes those of less at a narrower size (but
                for MixVPR heads, which know one size), not so narrow that its head has too few tokens.

        Returns:
            (B, D) float32 of unit norm, rows in the pictures' order.

        Raises:
            ModelError: for an array that is no such picture, or a descriptor that is not finite.
        """
        return self._described(self.tensors(images, kind=kind, fov_deg=fov_deg), len(images), kind)

    def _described(self, batches: Iterator[tuple[int, torch.Tensor]], count: int, kind: Kind) -> NDArray[np.float32]:
        """Descriptors (count, D) of pictures of a kind that are made ready."""
        desc_BD = np.empty((count, self.dim), np.float32)
        for start, img_BCHW in batches:
            desc_BD[start : start + len(img_BCHW)] = self._forward(img_BCHW, kind)
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
            (B, R, D) float32 of unit norm; a picture's score is its best turn's. Pictures from the ground stand upright: R is 1, but 12 for
            models that redraw them as seen from above and ask for turns at all.
        """
        if self._overhead(kind):
            turns_of = self._laid_out(images, fov_deg, headings(self.card.query_turns > 1))
            return np.stack([self._described(self.tensors(drawn), len(drawn), "ground") for drawn in turns_of], axis=1)
        turns = range(1 if kind == "ground" else self.card.query_turns)
        turned = [self.describe([np.rot90(image, turn) for image in images], kind=kind, fov_deg=fov_deg) for turn in turns]
        return np.stack(turned, axis=1)

    def prepare(self, image: NDArray[np.uint8], kind: Kind = "query") -> NDArray[np.uint8]:
        """A picture resized to the model's input, which is what `describe` does first; one from the ground stays as it is.

        Raises:
            ModelError: for an array that is no picture (H, W, 3) uint8.
        """
        return _checked(image, 0) if kind == "ground" else fit(_checked(image, 0), self.input_px)

    def tensors(self, images: Images, *, kind: Kind = "query", fov_deg: float = 360.0) -> Iterator[tuple[int, torch.Tensor]]:
        """Pictures as the network takes them, a batch at a time.

        Args:
            images: as for `describe`.
            kind: likewise.
            fov_deg: likewise.

        Yields:
            Number of the batch's first picture, and img_BCHW (B, 3, H, W) float32, normalised, channels-last, on the device; the next one
            takes its place in memory.

        Raises:
            ModelError: for an array that is no such picture.
        """
        if self._overhead(kind):
            (images,), kind = self._laid_out(images, fov_deg, [0.0]), "query"
        hw, how = self._size(kind, fov_deg)
        on_cpu = self._device.type == "cpu"
        values_BHWC = self._room(min(self._batch, len(images)), hw, np.float32 if on_cpu else np.uint8)
        for start in range(0, len(images), self._batch):
            count = min(self._batch, len(images) - start)
            for i in range(count):
                fitted_HWC = fit(_checked(images[start + i], start + i), hw, how)
                if on_cpu:
                    cv2.LUT(fitted_HWC, self._levels, dst=values_BHWC[i])
                else:
                    values_BHWC[i] = fitted_HWC
            img_BHWC = torch.from_numpy(values_BHWC[:count])
            if not on_cpu:
                img_BHWC = img_BHWC.to(self._device).float().mul_(self._scale).add_(self._shift)
            yield start, img_BHWC.permute(0, 3, 1, 2)  # channels-last already

    def _overhead(self, kind: Kind) -> bool:
        """Whether pictures of a kind are redrawn as seen from above."""
        return kind == "ground" and self.card.preprocessing.ground_fit == "overhead"

    def _laid_out(self, images: Images, fov_deg: float, middles: Sequence[float]) -> list[list[NDArray[np.uint8]]]:
        """Pictures from the ground as seen from above: for each heading of their middle columns, in degrees, all of them."""
        fill = fill_of(self.card.preprocessing.mean)
        drawn: list[list[NDArray[np.uint8]]] = [[] for _ in middles]
        for row, image in enumerate(images):
            shown_deg = spanned_deg(_checked(image, row), fov_deg)
            small = shrunk(image, self.input_px, shown_deg)
            for heading, drawings in zip(middles, drawn, strict=True):
                drawings.append(overhead(small, self.input_px, fill, shown_deg, middle_deg=heading))
        return drawn

    def _room(self, count: int, hw: tuple[int, int], kind: type[np.float32 | np.uint8]) -> NDArray[Any]:
        """Memory for a batch, a thread's own and kept: fresh pages for every batch would take as long as the arithmetic."""
        room: NDArray[Any] | None = getattr(self._kept, "room", None)
        if room is None or len(room) < count or room.shape[1:3] != hw:
            room = self._kept.room = np.empty((count, *hw, 3), kind)
        return room

    def _size(self, kind: Kind, fov_deg: float) -> tuple[tuple[int, int], GroundFit]:
        """Height and width of the input for pictures of a kind, and how they are fitted."""
        preprocessing = self.card.preprocessing
        if kind != "ground" or preprocessing.ground_hw is None:
            return (self.input_px, self.input_px), "whole"
        if not 0 < fov_deg <= 360:
            raise ModelError(f"pictures cannot show {fov_deg:g} degrees of the horizon", mend="give more than 0 and at most 360")
        height, width = preprocessing.ground_hw
        if fov_deg < 360 and not isinstance(self._net.head, MixVpr):
            width = self._width(height, width, fov_deg)
        return (height, width), preprocessing.ground_fit

    def _width(self, height: int, whole: int, fov_deg: float) -> int:
        """Width of a picture of a part of the horizon: what the encoder takes, and as many tokens as the head needs."""
        if fov_deg not in self._widths:
            encoder, head = self._net.encoder, self._net.head
            step, least = encoder.step(height), head.least_tokens if isinstance(head, Salad) else 1
            width = max(1, round(whole * fov_deg / 360 / step)) * step
            while width + step <= whole and math.prod(encoder.grid(height, width)) < least:
                width += step
            self._widths[fov_deg] = width
        return self._widths[fov_deg]

    @torch.inference_mode()
    def _forward(self, img_BCHW: torch.Tensor, kind: Kind) -> NDArray[np.float32]:
        net = self._ground_net if kind == "ground" else self._net
        view: ViewKind = "satellite" if kind == "satellite" else "query"
        # Transformers keep their residual stream in float32 (autocast): outlier features would lose too much in bfloat16.
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            if self._bfloat16 and not net.encoder.is_transformer:
                img_BCHW = img_BCHW.bfloat16()
            desc_BD: NDArray[np.float32] = net(img_BCHW, view).float().cpu().numpy()
        return desc_BD


def fit(pixels_HWC: NDArray[np.uint8], size: int | tuple[int, int], how: GroundFit = "whole") -> NDArray[np.uint8]:
    """Resize a picture: averaging over areas where it shrinks, linear where it grows.

    Args:
        pixels_HWC: the picture.
        size: height and width, or the side of a square.
        how: "whole", or the middle of a picture that is too high, see `Preprocessing.ground_fit`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if how != "whole":
        kept = min(pixels_HWC.shape[0], max(1, round(pixels_HWC.shape[1] * height / width)))
        top = (pixels_HWC.shape[0] - kept) // 2
        pixels_HWC = pixels_HWC[top : top + kept]
    small = (min(pixels_HWC.shape[1], width), min(pixels_HWC.shape[0], height))
    out_HWC: Any = pixels_HWC
    if 3 * out_HWC.shape[0] == 3 * out_HWC.shape[1] == 4 * height == 4 * width:
        out_HWC = cv2.remap(out_HWC, *_three_of_four(height), cv2.INTER_LINEAR)
    elif small != out_HWC.shape[1::-1]:
        out_HWC = cv2.resize(out_HWC, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        out_HWC = cv2.resize(out_HWC, (width, height), interpolation=cv2.INTER_LINEAR)
    return cast("NDArray[np.uint8]", out_HWC)


@lru_cache(maxsize=4)
def _three_of_four(px: int) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Where to look between the pixels of a picture 4/3 as large, so that two linear weights are those of the areas: 3 + 1, 2 + 2, 1 + 3.

    The benchmarks' 512 pixels to the usual 384 in half the time; one value in twenty rounds the other way.
    """
    number = np.arange(px)
    at = (number // 3 * 4 + np.array([0.25, 1.5, 2.75])[number % 3]).astype(np.float32)
    across, down = np.meshgrid(at, at)
    return cast("tuple[NDArray[np.int16], NDArray[np.uint16]]", cv2.convertMaps(across, down, cv2.CV_16SC2))


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


def _state_digest(model: GenGeo) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
