"""Point-PN: Point-NN's stages with linear layers between.

Source: Zhang et al., "Parameter is Not All You Need", CVPR 2023, section 4, with the variant for scanned objects ("scan": offsets are
divided by the largest of each group) that GeoLink's published code takes.

Axes: B clouds, N points, M centres, K neighbours, C channels, T entries of a neighbour table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.models.point_encoding import encode_positions
from crossfix.models.point_groups import make_table, rows, split_table, take

_EPS = 1e-5


class PointPN(nn.Module):
    """Clouds to descriptors with trained layers: (B, N, C) to (B, out_dim).

    The first layer of a stage sees [neighbour, centre]. Being linear it is applied to all points before they are gathered, which is the
    same sum K times cheaper. Order of the points and other clouds (in evaluation mode) do not matter, up to rounding and ties; position,
    scale and direction do.

    Args:
        channels: of the input; the first three are positions.
        width: channels after the first layer.
        centres: centres of each stage.
        neighbours: neighbours of a centre.
        growth: factor by which each stage widens; widths must be multiples of six, for sine and cosine of three axes.
        blocks: residual blocks of each stage.
        per_neighbour: norms and blocks act on every neighbour of every centre, as published; False: on points and on centres.
        alpha: see `encode_positions`.
        beta: see `encode_positions`.
    """

    def __init__(
        self,
        channels: int = 4,
        width: int = 36,
        centres: Sequence[int] = (512, 256, 128, 64),
        neighbours: int = 40,
        growth: Sequence[int] = (2, 2, 2, 1),
        blocks: Sequence[int] = (2, 1, 1, 1),
        *,
        per_neighbour: bool = True,
        alpha: float = 1000.0,
        beta: float = 100.0,
    ) -> None:
        super().__init__()
        self.centres = tuple(centres)
        self.neighbours = neighbours
        self.first = _Layer(channels, width)
        self.stages = nn.ModuleList()
        for times, count in zip(growth, blocks, strict=True):
            self.stages.append((_PerNeighbour if per_neighbour else _PerPoint)(width, width * times, count, alpha, beta))
            width *= times
        self.out_dim = width

    def forward(self, feature_BNC: torch.Tensor, table_BT: torch.Tensor | None = None) -> torch.Tensor:
        """Describe clouds.

        Args:
            feature_BNC: the first three channels are positions.
            table_BT: what `make_table` gave for these clouds; None: it is made here, which takes longer than all the rest.

        Returns:
            (B, out_dim), not normalised.

        Raises:
            ModelError: if there are too few points, or the table is another config's.
        """
        xyz_BN3 = feature_BNC[..., :3].float()
        if table_BT is None:
            table_BT = make_table(xyz_BN3, self.centres, self.neighbours)
        code_BNC: torch.Tensor = self.first(feature_BNC)
        for stage, (centre_BM, near_BMK) in zip(self.stages, split_table(table_BT, self.centres, self.neighbours), strict=True):
            centre_BM3 = take(xyz_BN3, centre_BM)
            offset_BMK3 = take(xyz_BN3, near_BMK) - centre_BM3[:, :, None]
            offset_BMK3 = offset_BMK3 / (offset_BMK3.abs().amax(2, keepdim=True) + _EPS)
            code_BNC = stage(code_BNC, centre_BM, near_BMK, offset_BMK3)
            xyz_BN3 = centre_BM3
        return code_BNC.amax(1) + code_BNC.mean(1)


class _PerNeighbour(nn.Module):
    """One stage as published: norm, ReLU and residual blocks act on every neighbour of every centre, then they are pooled."""

    def __init__(self, channels: int, out_channels: int, blocks: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.neighbour = nn.Linear(channels, out_channels, bias=False)
        self.centre = nn.Linear(channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)
        self.blocks = nn.Sequential(*(_Block(out_channels) for _ in range(blocks)))

    def forward(self, code_BNC: torch.Tensor, centre_BM: torch.Tensor, near_BMK: torch.Tensor, offset_BMK3: torch.Tensor) -> torch.Tensor:
        own_BMC = self.centre(take(code_BNC, centre_BM))
        near_BMKC = take(self.neighbour(code_BNC), near_BMK) + own_BMC[:, :, None]
        near_BMKC = F.relu(_normed(self.norm, near_BMKC))
        weight_BMKC = encode_positions(offset_BMK3, self.norm.num_features, alpha=self.alpha, beta=self.beta).to(near_BMKC.dtype)
        near_BMKC = self.blocks((near_BMKC + weight_BMKC) * weight_BMKC)
        pooled_BMC: torch.Tensor = near_BMKC.max(2).values + near_BMKC.mean(2)
        return pooled_BMC


class _PerPoint(nn.Module):
    """One stage for small machines: norm and ReLU act on points before they are gathered, residual blocks on centres after pooling."""

    def __init__(self, channels: int, out_channels: int, blocks: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.neighbour = _Layer(channels, out_channels)
        self.centre = _Layer(channels, out_channels)
        self.norm = nn.BatchNorm1d(out_channels)
        self.blocks = nn.Sequential(*(_Block(out_channels) for _ in range(blocks)))

    def forward(self, code_BNC: torch.Tensor, centre_BM: torch.Tensor, near_BMK: torch.Tensor, offset_BMK3: torch.Tensor) -> torch.Tensor:
        batch, points, _ = code_BNC.shape
        row_KY = rows(near_BMK, points).flatten(0, 1).T.contiguous()
        offset_KY3 = offset_BMK3.flatten(0, 1).transpose(0, 1)
        own_YC = self.centre(take(code_BNC, centre_BM)).flatten(0, 1)
        pooled_YC: torch.Tensor = _WeighAndPool.apply(
            self.neighbour(code_BNC).flatten(0, 1), own_YC, row_KY, offset_KY3, (self.alpha, self.beta)
        )
        refined_YC: torch.Tensor = self.blocks(_normed(self.norm, pooled_YC))
        return refined_YC.view(batch, -1, refined_YC.shape[1])


class _WeighAndPool(torch.autograd.Function):
    """Maximum plus mean over the neighbours of (x_near + x_centre + E) * E, one neighbour of all centres at a time.

    So the tensors stay within the processor's cache; nothing of a neighbour's is kept for the backward pass, which works it out again.
    Left to autograd the same takes several times as long.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        near_XC: torch.Tensor,
        own_YC: torch.Tensor,
        row_KY: torch.Tensor,
        offset_KY3: torch.Tensor,
        scales: tuple[float, float],
    ) -> torch.Tensor:
        wide_XC, wide_YC = near_XC.float(), own_YC.float()
        most_YC, total_YC = torch.full_like(wide_YC, -torch.inf), torch.zeros_like(wide_YC)
        for row_Y, offset_Y3 in zip(row_KY, offset_KY3, strict=True):
            value_YC, _ = _weighed(wide_XC, wide_YC, row_Y, offset_Y3, scales)
            torch.maximum(most_YC, value_YC, out=most_YC)
            total_YC.add_(value_YC)
        ctx.save_for_backward(near_XC, own_YC, row_KY, offset_KY3, most_YC)
        ctx.scales = scales
        return total_YC.div_(len(row_KY)).add_(most_YC)

    @staticmethod
    def backward(ctx: Any, grad_YC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:  # noqa: ANN401
        near_XC, own_YC, row_KY, offset_KY3, most_YC = ctx.saved_tensors
        wide_XC, wide_YC = near_XC.float(), own_YC.float()
        grad_near_XC, grad_own_YC = torch.zeros_like(wide_XC), torch.zeros_like(wide_YC)
        part_YC = torch.empty_like(wide_YC)
        for row_Y, offset_Y3 in zip(row_KY, offset_KY3, strict=True):
            value_YC, weight_YC = _weighed(wide_XC, wide_YC, row_Y, offset_Y3, ctx.scales)
            torch.eq(value_YC, most_YC, out=part_YC)  # the same operations give the same bits, so the maximum is found again
            part_YC.add_(1 / len(row_KY)).mul_(weight_YC).mul_(grad_YC)
            grad_own_YC.add_(part_YC)
            grad_near_XC.index_add_(0, row_Y, part_YC)
        return grad_near_XC.to(near_XC.dtype), grad_own_YC.to(own_YC.dtype), None, None, None


def _weighed(
    near_XC: torch.Tensor, own_YC: torch.Tensor, row_Y: torch.Tensor, offset_Y3: torch.Tensor, scales: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(x_near + x_centre + E) * E, and E."""
    weight_YC = encode_positions(offset_Y3, own_YC.shape[1], alpha=scales[0], beta=scales[1])
    return near_XC.index_select(0, row_Y).add_(own_YC).add_(weight_YC).mul_(weight_YC), weight_YC


class _Layer(nn.Module):
    """Linear, batch norm, ReLU."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return F.relu(_normed(self.norm, self.linear(value)))


class _Block(nn.Module):
    """A residual bottleneck of half the width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = _Layer(channels, channels // 2)
        self.up = nn.Linear(channels // 2, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return F.relu(_normed(self.norm, self.up(self.down(value))) + value)


def _normed(norm: nn.Module, value: torch.Tensor) -> torch.Tensor:
    """Batch norm over the last axis, statistics over all others."""
    normed: torch.Tensor = norm(value.flatten(0, -2))
    return normed.view_as(value)
