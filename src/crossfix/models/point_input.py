"""What of a cloud its encoder is shown: positions, turned or not, colours, and a channel of heights.

Axes: B clouds, N points, C channels.
"""

from __future__ import annotations

from typing import Literal

import torch

Height = Literal["none", "above", "relative"]
_GROUND, _TOP = 0.02, 0.98  # quantiles of the heights: single stray points move minimum and maximum


def turn_clouds(pts_BNC: torch.Tensor, turn_B: torch.Tensor, *, up: int = 2) -> torch.Tensor:
    """Turn clouds about the axis that points up.

    Args:
        pts_BNC: the first three channels are positions; the others come back as they are.
        turn_B: angles in radians, counter-clockwise seen from above (with up = 2: from x towards y).
        up: index of the axis that points up.

    Returns:
        A new tensor of the same shape. A cloud's neighbour table stays right.
    """
    first, second = (up + 1) % 3, (up + 2) % 3
    cos_B1, sin_B1 = turn_B.to(pts_BNC.dtype).cos()[:, None], turn_B.to(pts_BNC.dtype).sin()[:, None]
    turned_BNC = pts_BNC.clone()
    turned_BNC[..., first] = cos_B1 * pts_BNC[..., first] - sin_B1 * pts_BNC[..., second]
    turned_BNC[..., second] = sin_B1 * pts_BNC[..., first] + cos_B1 * pts_BNC[..., second]
    return turned_BNC


def heights(pts_BNC: torch.Tensor, kind: Height, *, up: int = 2) -> torch.Tensor:
    """Heights above each cloud's own ground, which is where 2 % of its points lie below: (B, N, 1).

    The published code subtracts the lowest value of the whole batch, by which a cloud's descriptor depends on the others'.

    Args:
        pts_BNC: clouds.
        kind: "above" in the cloud's unit (its radius is 1), "relative" divided by the height under which 98 % of its points lie, so that a
            flat cloud's small steps count as much as a steep one's large ones.
        up: index of the axis that points up.
    """
    z_BN = pts_BNC[..., up].float()
    low_B1, high_B1 = torch.quantile(z_BN, torch.tensor([_GROUND, _TOP], device=z_BN.device), dim=1)[..., None]
    above_BN = z_BN - low_B1
    height_BN: torch.Tensor = above_BN / (high_B1 - low_B1).clamp(min=1e-6) if kind == "relative" else above_BN
    return height_BN[..., None]


def point_features(pts_BNC: torch.Tensor, *, colour: bool, height: Height, up: int = 2) -> torch.Tensor:
    """The encoder's input: x, y, z, then the height if wanted, then red, green, blue if wanted."""
    parts = [pts_BNC[..., :3].float()]
    if height != "none":
        parts.append(heights(pts_BNC, height, up=up))
    if colour:
        parts.append(pts_BNC[..., 3:6].float())
    return torch.cat(parts, -1)
