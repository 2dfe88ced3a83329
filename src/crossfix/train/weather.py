"""Rough weather and bad light over pictures of a drone or from the ground, for training: darkness, glare, veils, flecks and shaking.

Not the conditions that models are examined under (`crossfix.data.stress.weather`), whose parameters are published: these are drawn more
widely and made otherwise, so that a model learns to look through what it has not seen. Every parameter is drawn on the CPU, so that a
resumed run sees the same pictures. Axes: B pictures, C = 3 RGB channels, H W pixels, K a kernel's side.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

_DARK, _BRIGHT = (0.15, 0.65), (1.2, 1.9)  # factors of light
_VEIL = (0.2, 0.85)  # share of a picture that a veil takes
_FLECKS = (0.004, 0.05)  # share of pixels with a fleck
_FLECK_LIGHT = (0.35, 1.0)
_STREAK_PX = (0.0, 9.0)
_SHAKE_PX = (2.0, 7.0)
_KERNEL = 9
_CLOUDS = 4  # cells of a veil's thickness along a side


def weather(img_BCHW: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Put weather on some pictures.

    Each gets any of: other light (half of them: two in three dark, one glaring), a veil of uneven thickness (two in five, none of the
    glaring ones), flecks that are drawn out to streaks (half), a shaken camera (one in four).

    Args:
        img_BCHW: float32 in [0, 1]; left as it is.
        probability: of weather, each picture for itself.
        generator: on the CPU; everything is drawn from it.

    Returns:
        Pictures of the same shape, in [0, 1].
    """
    count, _, height, width = img_BCHW.shape
    chosen_B = _happens(count, probability, generator)
    rows = torch.nonzero(chosen_B).squeeze(1)
    if not len(rows):
        return img_BCHW
    device, some = img_BCHW.device, len(rows)
    img = img_BCHW[rows.to(device)]
    shaken = _happens(some, 0.25, generator)
    img = _streaked(img, torch.where(shaken, _between(some, _SHAKE_PX, generator), 0.0), generator)
    draw = torch.rand(some, generator=generator)
    dark, glaring = draw < 1 / 3, (draw >= 1 / 3) & (draw < 1 / 2)
    light = torch.where(dark, _between(some, _DARK, generator), torch.where(glaring, _between(some, _BRIGHT, generator), 1.0))
    light_B111 = light.to(device)[:, None, None, None]
    thick = torch.where(_happens(some, 0.4, generator) & ~glaring, _between(some, _VEIL, generator), 0.0)
    uneven = F.interpolate(torch.rand(some, 1, _CLOUDS, _CLOUDS, generator=generator), (height, width), mode="bilinear", align_corners=True)
    veil_B1HW = (thick[:, None, None, None] * (0.6 + 0.4 * uneven)).to(device)
    grey_B311 = (0.75 + 0.2 * torch.rand(some, 1, 1, 1, generator=generator) + 0.04 * torch.randn(some, 3, 1, 1, generator=generator)).to(
        device
    )
    img = torch.lerp(img, grey_B311.expand_as(img), veil_B1HW) * light_B111
    rate = torch.where(_happens(some, 0.5, generator), _between(some, _FLECKS, generator), 0.0)
    fleck = (torch.rand(some, 1, height, width, generator=generator) < rate[:, None, None, None]).float().to(device)
    fleck = _streaked(fleck, _between(some, _STREAK_PX, generator), generator, keep=True)
    fleck = (fleck * _between(some, _FLECK_LIGHT, generator).to(device)[:, None, None, None]).clamp_(0, 1)
    img = torch.lerp(img, (0.9 * light_B111.clamp(max=1)).expand_as(img), fleck)
    return img_BCHW.index_copy(0, rows.to(device), img.clamp_(0, 1).to(img_BCHW))


def _streaked(img_BCHW: torch.Tensor, length_B: torch.Tensor, generator: torch.Generator, *, keep: bool = False) -> torch.Tensor:
    """Pictures drawn out along a direction each, about so many pixels; below one pixel they stay. ``keep``: flecks stay as bright."""
    angle_B = math.pi * torch.rand(len(length_B), generator=generator)
    at = torch.arange(_KERNEL) - _KERNEL // 2
    along = at[None, None, :] * angle_B.cos()[:, None, None] + at[None, :, None] * angle_B.sin()[:, None, None]
    across = at[None, :, None] * angle_B.cos()[:, None, None] - at[None, None, :] * angle_B.sin()[:, None, None]
    inside = (length_B[:, None, None] / 2 + 0.5 - along.abs()).clamp(0, 1)
    point = ((at[:, None] == 0) & (at == 0)).float()
    kernel_BKK = torch.where(length_B[:, None, None] < 1, point, inside * (1 - across.abs()).clamp(0, 1))
    kernel_BKK = kernel_BKK / (kernel_BKK.amax((1, 2), keepdim=True) if keep else kernel_BKK.sum((1, 2), keepdim=True))
    batch, channels, height, width = img_BCHW.shape
    half = _KERNEL // 2
    wide = F.pad(img_BCHW, (half, half, half, half), mode="replicate")
    flat = wide.transpose(0, 1)  # channels as a batch, pictures as groups
    kernel = kernel_BKK[:, None].to(img_BCHW)
    return F.conv2d(flat.contiguous(), kernel, groups=batch).transpose(0, 1).reshape(batch, channels, height, width)


def _happens(count: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) < probability


def _between(count: int, bounds: tuple[float, float], generator: torch.Generator) -> torch.Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator)
