"""Tokens of one view find the tokens of the other that show the same ground.

Axes: B pairs, N tokens of a picture, T points of a pair, C channels, M points of the whole batch.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


class Correspondence(nn.Module):
    """Symmetric cross entropy of each point finding itself in the other view, among all points of all pairs of the batch.

    A head of its own, used in training alone, maps both views' tokens into the space they are compared in. Similarities and softmax run in
    float32 even under autocast.

    Args:
        channels: of the tokens.
        dim: of the space.
        temperature: similarities are divided by it.
    """

    def __init__(self, channels: int, dim: int = 64, temperature: float = 0.1) -> None:
        super().__init__()
        self.project = nn.Linear(channels, dim)
        self.temperature = temperature

    def forward(
        self,
        query_BNC: torch.Tensor,
        gallery_BNC: torch.Tensor,
        query_BT2: torch.Tensor,
        gallery_BT2: torch.Tensor,
        seen_BT: torch.Tensor,
    ) -> torch.Tensor:
        """The loss, a scalar; 0 where fewer than two points are seen.

        Args:
            query_BNC: tokens of one view, a square grid row by row.
            gallery_BNC: tokens of the other.
            query_BT2: points (x, y) in the first view's pictures, -1 to 1 between the outer edges.
            gallery_BT2: where they lie in the other's.
            seen_BT: bool, which of them count.
        """
        query_MC = self._at(query_BNC, query_BT2)[seen_BT]
        gallery_MC = self._at(gallery_BNC, gallery_BT2)[seen_BT]
        if len(query_MC) < 2:
            return query_MC.sum() * 0
        with torch.autocast(query_MC.device.type, enabled=False):
            sim_MM = F.normalize(query_MC.float(), dim=1) @ F.normalize(gallery_MC.float(), dim=1).T / self.temperature
            own_M = torch.arange(len(sim_MM), device=sim_MM.device)
            return (F.cross_entropy(sim_MM, own_M) + F.cross_entropy(sim_MM.T, own_M)) / 2

    def _at(self, tok_BNC: torch.Tensor, xy_BT2: torch.Tensor) -> torch.Tensor:
        """Projected tokens sampled at points, bilinear: (B, T, dim)."""
        side = math.isqrt(tok_BNC.shape[1])
        grid_BCHW = self.project(tok_BNC).mT.unflatten(2, (side, side)).float()
        at_BC1T = F.grid_sample(grid_BCHW, xy_BT2[:, None].to(grid_BCHW.dtype), padding_mode="border", align_corners=False)
        return at_BC1T[:, :, 0].mT
