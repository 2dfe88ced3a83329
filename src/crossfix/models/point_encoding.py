"""Trigonometric encoding of positions: sines and cosines of each axis at wavelengths in geometric steps.

Axes: A axes of the input, F frequencies, C channels.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F


@torch.no_grad()
def encode_positions(value_XA: torch.Tensor, channels: int, *, alpha: float, beta: float) -> torch.Tensor:
    """Encode positions (Point-NN's PosE, Zhang et al., CVPR 2023): sin and cos of beta * x / alpha^(f / F), f = 0 to F - 1, of each axis.

    Runs in float32 whatever comes in, since at beta = 100 the angle of a bfloat16 position near 1 would be off by up to
    0.4 radians, and gives no gradient: clouds are data.

    Args:
        value_XA: (..., A) positions; offsets or colours too.
        channels: length of the code; F is channels // (2 A), and what is left over is zero.
        alpha: ratio of the longest wavelength to the shortest, about.
        beta: angle in radians that a position of 1 has at the highest frequency.

    Returns:
        (..., channels) float32: all sines, axis by axis, then all cosines.
    """
    axes = value_XA.shape[-1]
    count = channels // (2 * axes)
    angle = (value_XA.float()[..., None] * _frequencies(count, alpha, beta, value_XA.device)).flatten(-2)
    code = torch.cat([angle.sin(), angle.cos()], -1)
    left = channels - code.shape[-1]
    return F.pad(code, (0, left)) if left else code


@lru_cache
def _frequencies(count: int, alpha: float, beta: float, device: torch.device) -> torch.Tensor:
    # Kept, since a stage asks for the same ones for each neighbour; made outside of inference mode, so that training may use them too.
    with torch.inference_mode(False):
        return torch.tensor([beta * alpha ** (-f / count) for f in range(count)], device=device)
