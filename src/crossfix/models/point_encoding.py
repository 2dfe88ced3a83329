"""Trigonometric encoding of positions: sines and cosines of each axis at wavelengths in geometric steps.

Axes: A axes of the input, F frequencies, C channels.
"""

from __future__ import annotations

import torch


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
    frequency_F = beta * alpha ** -(torch.arange(count, device=value_XA.device, dtype=torch.float32) / max(count, 1))
    angle = (value_XA.float()[..., None] * frequency_F).flatten(-2)
    half = axes * count
    code = angle.new_empty(*angle.shape[:-1], channels)  # filled in place: on large clouds every copy counts
    torch.sin(angle, out=code[..., :half])
    torch.cos(angle, out=code[..., half : 2 * half])
    code[..., 2 * half :] = 0
    return code
