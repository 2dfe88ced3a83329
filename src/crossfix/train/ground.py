"""Panoramas of the same places beside drone pictures, in one training: a model for every view.

Axes: G panoramas, C = 3 RGB channels, H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from crossfix.errors import InputError
from crossfix.models.card import GroundFit
from crossfix.train.panoramas import PanoramaAugment


@dataclass(frozen=True)
class GroundViews:
    """What a training with drone pictures adds, so that its model describes panoramas too.

    The first places of each batch that have a panorama show it besides, and it is contrasted with their satellite pictures. All pictures of
    a batch pass through the network together; where its architecture encodes panoramas as squares, as one.

    Attributes:
        hw: height and width that panoramas are resized to.
        share: of a batch's places, how many show one at most. A panorama of four squares costs as much as four drone pictures.
        weight: of their contrast with satellite pictures.
        fit: see `Preprocessing.ground_fit`.
        augment: how they are changed. Their heading is always drawn anew, and they are mirrored with the place's other pictures: of
            ``heading``, ``turn`` and ``mirror`` nothing is read, nor of what concerns satellite pictures.
    """

    hw: tuple[int, int] = (64, 256)
    share: float = 0.5
    weight: float = 1.0
    fit: GroundFit = "whole"
    augment: PanoramaAugment = field(default_factory=lambda: PanoramaAugment(heading="free"))

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}", where="ground views", mend="give more than 0 and at most 1")
        if not 0 < self.weight < math.inf:
            raise InputError(f"weight is {self.weight}", where="ground views", mend="give more than 0")

    def of(self, batch: int) -> int:
        """How many of a batch's places show a panorama at most: two or more, for one has no negatives."""
        return min(batch, max(2, round(self.share * batch)))


def rolled(ground_GCHW: torch.Tensor, mirror_G: torch.Tensor, generators: Iterable[torch.Generator]) -> torch.Tensor:
    """Panoramas with any bearing in their middle, some of them mirrored.

    Args:
        ground_GCHW: 360 degrees wide.
        mirror_G: bool, which are mirrored left to right.
        generators: on the CPU, one for each.
    """
    width = ground_GCHW.shape[3]
    turned = []
    for ground_CHW, mirror, generator in zip(ground_GCHW, mirror_G.tolist(), generators, strict=True):
        by = int(torch.randint(width, (), generator=generator))
        turned.append((ground_CHW.flip(2) if mirror else ground_CHW).roll(by, 2))
    return torch.stack(turned)
