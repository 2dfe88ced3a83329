"""Panoramas of the same places beside drone pictures, in one training: a model for every view.

Axes: G panoramas, C = 3 RGB channels, H W pixels, P pixels of a side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from crossfix.disk import LATER
from crossfix.errors import InputError
from crossfix.models.card import GroundFit
from crossfix.models.overhead import FINER, overhead_map
from crossfix.train.panoramas import PanoramaAugment


@dataclass(frozen=True)
class GroundViews:
    """What a training with drone pictures adds, so that its model describes panoramas too.

    The first places of each batch that have a panorama show it besides, and it is contrasted with their satellite pictures. All pictures of
    a batch pass through the network together, and as one batch where they have one size: redrawn as seen from above, or encoded as squares.

    Attributes:
        hw: height and width that panoramas are resized to; where they are then redrawn as seen from above, they should be so flat that
            ``hw`` leaves their proportions.
        share: of a batch's places, how many show one at most. A panorama of four squares costs as much as four drone pictures, a redrawn
            one as much as one.
        weight: of their contrast with satellite pictures.
        fit: see `Preprocessing.ground_fit`.
        augment: how they are changed. Their heading is always drawn anew, redrawn ones' within 15 degrees of the satellite picture's (any
            where drone pictures' is any), and they are mirrored with the place's other pictures: of ``heading``, ``turn`` and ``mirror``
            nothing is read, nor of what concerns satellite pictures.
        alone: the panoramas' own encoder (`ArchConfig.ground_encoder`) alone learns, to describe them as the satellite pictures are
            described; all else keeps the weights that the run begins with, and drone pictures teach nothing. (That one of two towers stays
            locked is the idea of Zhai et al., "LiT: zero-shot transfer with locked-image text tuning", CVPR 2022.)
    """

    hw: tuple[int, int] = (64, 256)
    share: float = 0.5
    weight: float = 1.0
    fit: GroundFit = "overhead"
    augment: PanoramaAugment = field(default_factory=lambda: PanoramaAugment(heading="free"))
    alone: bool = field(default=False, metadata=LATER)

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


@dataclass(frozen=True)
class Facing:
    """How panoramas stand that are redrawn as seen from above.

    Attributes:
        warp_G22: from directions in the redrawn picture to those on the ground (x east, y south), of any length: the linear part of a
            satellite picture's similarity, see `augment`.
        away_deg_G: how far each is turned out of that, degrees.
        fov_deg_G: bearings that are shown.
        middle_deg_G: where the middle of what is shown lies, degrees clockwise from up.
    """

    warp_G22: torch.Tensor
    away_deg_G: torch.Tensor
    fov_deg_G: torch.Tensor
    middle_deg_G: torch.Tensor

    @classmethod
    def north(cls, count: int) -> Facing:
        """Whole panoramas with north up."""
        zero_G = torch.zeros(count)
        return cls(torch.eye(2).repeat(count, 1, 1), zero_G, zero_G + 360, zero_G)


def redrawn(ground_GCHW: torch.Tensor, px: int, facing: Facing, fill_C11: torch.Tensor) -> torch.Tensor:
    """Panoramas as `crossfix.models.overhead.overhead` draws them, but turned by any angle in the same go.

    Args:
        ground_GCHW: 360 degrees wide, north in the middle.
        px: side of the result.
        facing: how each is to stand.
        fill_C11: colour of what is not shown.

    Returns:
        (G, C, px, px), channels last.
    """
    height, width = ground_GCHW.shape[2:]
    bearing, row = overhead_map(FINER * px, height, width)
    bearing_PP, row_PP = torch.from_numpy(bearing.copy()).deg2rad(), torch.from_numpy(row.copy())
    way_2PP = torch.stack([bearing_PP.sin(), -bearing_PP.cos()])
    east_GPP, south_GPP = torch.einsum("gij,jpq->igpq", facing.warp_G22, way_2PP)
    true_GPP = torch.atan2(east_GPP, -south_GPP) + facing.away_deg_G.deg2rad()[:, None, None]
    column_GPP = (true_GPP / (2 * math.pi) + 0.5).remainder(1) * width - 0.5
    # The first column stands once more behind the last, and the last before the first.
    around_GCHW = torch.cat([ground_GCHW[..., -1:], ground_GCHW, ground_GCHW[..., :1]], 3)
    x_GPP, y_GPP = (2 * column_GPP + 3) / (width + 2) - 1, ((2 * row_PP + 1) / height - 1).expand_as(column_GPP)
    at_GPP2 = torch.stack([x_GPP, y_GPP], 3).to(ground_GCHW.device)
    drawn_GCPP = F.grid_sample(around_GCHW, at_GPP2, align_corners=False, padding_mode="border")
    from_middle_GPP = (bearing_PP - facing.middle_deg_G.deg2rad()[:, None, None] + math.pi).remainder(2 * math.pi) - math.pi
    hidden_GPP = from_middle_GPP.abs() > facing.fov_deg_G.deg2rad()[:, None, None] / 2 + 1e-4
    drawn_GCPP = torch.where(hidden_GPP[:, None].to(drawn_GCPP.device), fill_C11, drawn_GCPP)
    return F.avg_pool2d(drawn_GCPP, FINER).contiguous(memory_format=torch.channels_last)
