"""The 3D branch: input channels, a point encoder, the multi-expert block; and its typed description.

Axes: B clouds, N points, C channels, T entries of a neighbour table, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.disk import plain
from crossfix.errors import ModelError
from crossfix.models.experts import ExpertKind, MultiExperts
from crossfix.models.point_grid import HeightGrid
from crossfix.models.point_groups import make_table
from crossfix.models.point_input import Height, point_features, turn_clouds
from crossfix.models.point_nn import PointNN
from crossfix.models.point_pn import PointPN

_TUPLES = ("centres", "growth", "blocks", "dilations")


@dataclass(frozen=True)
class PointConfig:
    """What GeoLink's 3D branch is. It is used in training alone and never deployed.

    The defaults are sized for training beside a small encoder on two cores; `published` gives the published code's. Where paper and code
    contradict each other or leave things open:

    * Point-NN or Point-PN: the paper names the first, its code trains the second from random weights. "pn" by default: of two draws of
      points of each of 40 made-up towns, Point-NN finds the same town in 5 to 50 % of cases depending on its sizes, Point-PN trained for
      80 steps on 300 others in 80 to 95 %. It needs those others: trained on 30 procedural places it knew next to none of ten more.
      "nn" with `experts=0` is the paper's word, free of parameters. "grid" is ours, and told places apart best, see `HeightGrid`.
    * Sizes: width 576 makes 121 M parameters for a branch that is thrown away; ours has some 60 thousand.
    * beta is 10 and alpha 100, not 100 and 1000: at 100 radians a code turns over within a few hundredths of a group, which is a
      reconstruction's noise. On the towns above 90 % instead of 80 %.
    * `per_neighbour=False`: norms and residual blocks act on points and centres instead of every neighbour of every centre. Half
      the time at the size first tried, and batch norm still sees thousands of rows at the published batch of 4 to 8.
    * Experts: "linear", because the published convolution over the entries of a vector loses which entry is which, see `MultiExperts`.
    * The descriptor has unit norm: distances and cosines then do not hang on a cloud's length, which no picture tells.

    Attributes:
        kind: "pn" (trained), "nn" or "grid" (no parameters).
        points: points of a cloud, exactly.
        width: channels after the first layer.
        centres: centres of each stage, by farthest-point sampling.
        neighbours: neighbours of a centre.
        growth: factor by which each stage widens ("pn"; "nn" doubles).
        blocks: residual blocks of each stage ("pn").
        per_neighbour: whether norms and blocks act on every neighbour as published ("pn").
        alpha: ratio of the longest wavelength of the position encoding to the shortest, about.
        beta: radians at offset 1 of the highest frequency.
        cells: cells a side ("grid").
        colour: clouds have six channels and the colours (0 to 1) enter too.
        height: a further channel of heights, see `point_input.heights`.
        up: index of the axis that points up.
        experts: weighed experts beside the shared one; 0: no block, the encoder's vector is the descriptor.
        expert_kind: see `MultiExperts`.
        dilations: of the experts' convolutions.
    """

    kind: Literal["pn", "nn", "grid"] = "pn"
    points: int = 1024
    width: int = 12
    centres: tuple[int, ...] = (96, 24, 8)
    neighbours: int = 8
    growth: tuple[int, ...] = (2, 2, 4)
    blocks: tuple[int, ...] = (0, 1, 1)
    per_neighbour: bool = False
    alpha: float = 100.0
    beta: float = 10.0
    cells: int = 16
    colour: bool = False
    height: Height = "above"
    up: int = 2
    experts: int = 3
    expert_kind: ExpertKind = "linear"
    dilations: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (
            self.kind not in ("pn", "nn", "grid")
            or self.height not in ("none", "above", "relative")
            or self.expert_kind not in ("linear", "conv")
        ):
            raise ModelError(f"unknown choice among {self.kind!r}, {self.height!r}, {self.expert_kind!r}", where="point branch")
        if self.up not in (0, 1, 2):
            raise ModelError(f"axis {self.up} cannot point up", where="point branch", mend="give 0, 1 or 2")
        before = (self.points, *self.centres[:-1])
        if not self.centres or any(not 1 <= now <= was or self.neighbours > was for now, was in zip(self.centres, before, strict=True)):
            raise ModelError(
                f"{self.points} points do not give centres {self.centres} of {self.neighbours} neighbours each",
                where="point branch",
                mend="let each stage have fewer centres, and more than the neighbours",
            )
        if self.kind == "pn" and not len(self.centres) == len(self.growth) == len(self.blocks):
            raise ModelError("centres, growth and blocks are not of one length", where="point branch", mend="give one entry a stage")
        if self.neighbours < 1 or min(self.growth, default=1) < 1 or min(self.blocks, default=0) < 0 or self.alpha <= 0 or self.beta <= 0:
            raise ModelError(
                "neighbours, growth, alpha and beta have to be above 0, and blocks not below", where="point branch", mend="correct them"
            )
        if self.cells < 2:
            raise ModelError(f"{self.cells} cells a side are no grid", where="point branch", mend="give 2 or more")
        if self.width < 1 or self.width % 6:
            raise ModelError(f"width {self.width} is no positive multiple of six (sine and cosine of three axes)", where="point branch")
        if self.experts < 0 or (self.dilations is not None and len(self.dilations) != self.experts):
            raise ModelError("dilations are not one an expert", where="point branch", mend="give as many as experts, or none")

    @classmethod
    def published(cls) -> PointConfig:
        """The published code's branch for descriptors of 4,096 entries: 121 M parameters in the encoder."""
        return cls(
            width=576,
            centres=(512, 256, 128, 64),
            neighbours=40,
            growth=(2, 2, 2, 1),
            blocks=(2, 1, 1, 1),
            per_neighbour=True,
            alpha=1000.0,
            beta=100.0,
            expert_kind="conv",
            dilations=(1, 1, 1),
        )

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values: tuples as lists."""
        return plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointConfig:
        """Read what `to_dict` wrote.

        Raises:
            ModelError: for unknown entries or values that make no sense.
        """
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ModelError(f"unknown entries: {', '.join(unknown)}", where="point branch", mend="update crossfix")
        try:
            rest: dict[str, Any] = {
                name: tuple(value) if name in _TUPLES and value is not None else value for name, value in values.items()
            }
            return cls(**rest)
        except TypeError as error:
            raise ModelError(f"entries of the wrong kind ({error})", where="point branch", mend="write the config again") from error


class PointBranch(nn.Module):
    """Clouds to unit-norm descriptors.

    Args:
        config: what it is.
        dim: D, the pictures' descriptor's length; with `experts=0` it is the encoder's own instead.
    """

    def __init__(self, config: PointConfig, dim: int) -> None:
        super().__init__()
        self.config = config
        channels = 3 + (config.height != "none") + 3 * config.colour
        scales = {"alpha": config.alpha, "beta": config.beta}
        self.encoder: PointPN | PointNN | HeightGrid
        if config.kind == "pn":
            self.encoder = PointPN(
                channels,
                config.width,
                config.centres,
                config.neighbours,
                config.growth,
                config.blocks,
                per_neighbour=config.per_neighbour,
                **scales,
            )
        elif config.kind == "grid":
            self.encoder = HeightGrid(config.cells, up=config.up)
        else:
            self.encoder = PointNN(config.width, config.centres, config.neighbours, **scales)
        self.experts = None
        if config.experts:
            self.experts = MultiExperts(self.encoder.out_dim, dim, config.experts, kind=config.expert_kind, dilations=config.dilations)
        self.out_dim = dim if config.experts else self.encoder.out_dim

    def table(self, pts_BNC: torch.Tensor) -> torch.Tensor:
        """Neighbour tables (B, T) int16 of clouds, to be made once and kept beside them; a grid needs none, and T is 0."""
        self._check(pts_BNC)
        if self.config.kind == "grid":
            return torch.empty(len(pts_BNC), 0, dtype=torch.int16, device=pts_BNC.device)
        return make_table(pts_BNC[..., :3].float(), self.config.centres, self.config.neighbours)

    def forward(self, pts_BNC: torch.Tensor, table_BT: torch.Tensor | None = None, turn_B: torch.Tensor | None = None) -> torch.Tensor:
        """Describe clouds.

        Args:
            pts_BNC: positions, then colours from 0 to 1 if the config wants them; further channels are not looked at. Positions are
                expected between -1 and 1: in the unit sphere about their mean as published or, which keeps where things stand and how
                large they are, in metres about the place divided by one length for all clouds.
            table_BT: what `table` gave for these clouds, also if they are turned now; None: it is made anew.
            turn_B: angles in radians by which clouds are turned first, see `turn_clouds`; None: they stay north-up.

        Returns:
            (B, D) float32 of unit norm.

        Raises:
            ModelError: for clouds of another number of points or channels, or with values that are not finite.
        """
        self._check(pts_BNC)
        if table_BT is None:
            table_BT = self.table(pts_BNC)
        if turn_B is not None:
            pts_BNC = turn_clouds(pts_BNC, turn_B, up=self.config.up)
        feature_BNC = point_features(pts_BNC, colour=self.config.colour, height=self.config.height, up=self.config.up)
        # In float32 even under autocast: its matrices are too narrow to gain from bfloat16, and casting costs a fifth of its time.
        with torch.autocast(pts_BNC.device.type, enabled=False):
            vector_BV = self.encoder(feature_BNC, table_BT)
            if self.experts is not None:
                # Vectors without learning have no scale of their own: Point-NN's grow with the stages, grids are small.
                vector_BV = self.experts(F.layer_norm(vector_BV, vector_BV.shape[1:]) if self.config.kind != "pn" else vector_BV)
            return F.normalize(vector_BV, dim=1)

    def _check(self, pts_BNC: torch.Tensor) -> None:
        wanted = 6 if self.config.colour else 3
        if pts_BNC.ndim != 3 or pts_BNC.shape[1] != self.config.points or pts_BNC.shape[2] < wanted:
            raise ModelError(
                f"clouds of shape {tuple(pts_BNC.shape)} do not fit, the branch takes (clouds, {self.config.points}, {wanted})",
                where="point branch",
                mend="sample clouds to that number of points" + (", with their colours" if self.config.colour else ""),
            )
        if bad := (~pts_BNC[..., :wanted].isfinite().flatten(1).all(1)).nonzero().flatten().tolist():
            raise ModelError(f"clouds {bad[:5]} of the batch hold values that are not finite", where="point branch", mend="rebuild them")
