"""Position embeddings of vision transformers at run time, for any grid of patches.

Axes: B batch, N tokens, D channels, H and W rows and columns of patches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def resample_positions(pos_1ND: torch.Tensor, stored: tuple[int, int], wanted: tuple[int, int], *, offset: float | None) -> torch.Tensor:
    """Resample a grid of position embeddings, bicubic in float32.

    Args:
        pos_1ND: embeddings of the stored grid, row by row, without those of prefix tokens.
        stored: rows and columns the embeddings were trained for.
        wanted: rows and columns of the picture at hand.
        offset: None resamples to the exact size with antialiasing, as DINOv2 with registers and timm do. A number is DINOv2 without
            registers: no antialiasing, and the sampling step is stored / (wanted + offset), so that the pattern lies slightly off the
            exact size (0.1 in the published code; parity with its features needs it).

    Returns:
        (1, rows * columns, D) in the embeddings' dtype. The stored grid itself comes back untouched.
    """
    if stored == wanted:
        return pos_1ND
    grid_1DHW = pos_1ND.float().reshape(1, *stored, -1).permute(0, 3, 1, 2)
    if offset is None:
        out_1DHW = F.interpolate(grid_1DHW, size=wanted, mode="bicubic", antialias=True)
    else:
        scale = ((wanted[0] + offset) / stored[0], (wanted[1] + offset) / stored[1])
        out_1DHW = F.interpolate(grid_1DHW, scale_factor=scale, mode="bicubic", antialias=False)
    return out_1DHW.permute(0, 2, 3, 1).reshape(1, wanted[0] * wanted[1], -1).to(pos_1ND.dtype)
