"""Augmentation of panoramas and the satellite pictures around them, with one heading for both.

Source: the augmentation of Sample4Geo (ICCV 2023) as its settings say, written anew with torchvision's v2 functions. Left out is its JPEG
compression at quality 90 to 100, which changes a pixel by about one level in 255.

A satellite picture is north up, a panorama has north in its middle column and bearings clockwise to the right, all 360 degrees of them.
A satellite picture turned anticlockwise by k quarters has bearing 90 k up, and the panorama that belongs to it has that bearing in its
middle: it is rolled to the left by k quarters of its width. Mirroring both left to right keeps them a pair.

Every parameter is drawn on the CPU, each picture's from a generator of its own, so that it does not matter which pictures a process has.
Axes: B pictures, C = 3 RGB channels, H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torchvision.transforms.v2 import functional as tv  # type: ignore[import-untyped]

from crossfix.errors import InputError

_HOLES = (10, 25)
_HOLE_SIDE = (0.1, 0.2)  # of the picture's height, in both directions
_GRID_UNITS = 10
_KERNELS = (3, 5, 7)


@dataclass(frozen=True)
class PanoramaAugment:
    """How pairs of a panorama and a satellite picture are changed.

    Attributes:
        heading: "north" leaves both as they are; "quarters" turns both together by quarter turns; "free" rolls the panorama by any angle of
            its own, too, so that the model knows no heading. Panoramas redrawn from above are then turned by up to 15 degrees, and the
            model describes its queries at twelve turns.
        turn: probability of a quarter turn, of which there are three.
        mirror: probability that both are mirrored left to right.
        fov_deg: least and greatest field of view; of each batch a draw of it is kept, the middle of the panorama, and None keeps it whole.
        jitter: probability of a jitter of brightness, contrast, saturation and hue, each picture for itself.
        strength: of the jitter: factors of 1 - strength to 1 + strength, hue turned by up to so much of a turn.
        sharpness: probability that a picture is blurred or, as often, sharpened.
        cut: probability that parts of a picture are black: a grid of holes or, as often, 10 to 25 rectangles.
        satellite_grid: side of a hole of the grid, as a share of the distance between two, in satellite pictures.
        ground_grid: likewise in panoramas.
    """

    heading: Literal["north", "quarters", "free"] = "quarters"
    turn: float = 0.75
    mirror: float = 0.5
    fov_deg: tuple[float, float] | None = None
    jitter: float = 0.5
    strength: float = 0.15
    sharpness: float = 0.3
    cut: float = 0.3
    satellite_grid: float = 0.4
    ground_grid: float = 0.5

    def __post_init__(self) -> None:
        if self.fov_deg is not None and not 0 < self.fov_deg[0] <= self.fov_deg[1] <= 360:
            raise InputError(f"fov_deg is {self.fov_deg}", where="training config", mend="give two angles above 0 and up to 360")


def spoil(img_BCHW: torch.Tensor, augment: PanoramaAugment, grid: float, generators: Iterable[torch.Generator]) -> torch.Tensor:
    """Jitter, blur or sharpen, and cut holes into pictures, each drawn for itself.

    Args:
        img_BCHW: float32 in [0, 1].
        augment: probabilities and strengths.
        grid: side of a hole of the grid over the distance of two.
        generators: on the CPU, one for each picture.

    Returns:
        The pictures, of the same shape, in [0, 1].
    """
    done = []
    for img_CHW, generator in zip(img_BCHW, generators, strict=True):
        if _chance(augment.jitter, generator):
            img_CHW = _jittered(img_CHW, augment.strength, generator)
        if _chance(augment.sharpness, generator):
            img_CHW = _resharpened(img_CHW, generator)
        if _chance(augment.cut, generator):
            img_CHW = img_CHW * holes(img_CHW.shape[1], img_CHW.shape[2], grid, generator).to(img_CHW)
        done.append(img_CHW)
    return torch.stack(done)


def turn_together(
    ground_BCHW: torch.Tensor, satellite_BCHW: torch.Tensor, augment: PanoramaAugment, generators: Iterable[torch.Generator]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror and turn pairs as the config says.

    Args:
        ground_BCHW: panoramas, 360 degrees wide.
        satellite_BCHW: square.
        augment: which turns, and how often.
        generators: on the CPU, one for each pair.

    Returns:
        New panoramas and satellite pictures, of the same shapes.
    """
    width = ground_BCHW.shape[3]
    grounds, satellites = [], []
    for ground_CHW, satellite_CHW, generator in zip(ground_BCHW, satellite_BCHW, generators, strict=True):
        mirrored, turned = _chance(augment.mirror, generator), _chance(augment.turn, generator)
        quarters, own = int(torch.randint(1, 4, (), generator=generator)), _between(0, 1, generator)
        if mirrored:
            ground_CHW, satellite_CHW = ground_CHW.flip(2), satellite_CHW.flip(2)
        quarters = quarters if turned and augment.heading != "north" else 0
        turn = quarters / 4 + (own if augment.heading == "free" else 0.0)
        grounds.append(ground_CHW.roll(-math.floor(turn * width + 0.5), 2))
        satellites.append(satellite_CHW.rot90(quarters, (1, 2)))
    return torch.stack(grounds), torch.stack(satellites)


def middle(ground_BCHW: torch.Tensor, fov_deg: float, multiple: int) -> torch.Tensor:
    """The middle of panoramas.

    Args:
        ground_BCHW: 360 degrees wide.
        fov_deg: what to keep of it.
        multiple: the width that is kept is a multiple of this, at least one and at most what there is of them.

    Returns:
        A view of the same height.
    """
    width = ground_BCHW.shape[3]
    kept = min(width // multiple, max(1, round(width * fov_deg / 360 / multiple))) * multiple if fov_deg < 360 else width
    left = (width - kept) // 2
    return ground_BCHW[..., left : left + kept]


def holes(height: int, width: int, grid: float, generator: torch.Generator) -> torch.Tensor:
    """A mask (1, H, W) that is 0 in holes and 1 elsewhere: a regular grid of them or some rectangles, one as often as the other."""
    mask = torch.ones(1, height, width)
    if _chance(0.5, generator):
        unit_h, unit_w = max(2, height // _GRID_UNITS), max(2, width // _GRID_UNITS)
        top, left = (int(torch.randint(unit, (), generator=generator)) for unit in (unit_h, unit_w))
        in_rows, in_columns = (
            (torch.arange(length) + first) % unit < round(grid * unit)
            for length, first, unit in ((height, top, unit_h), (width, left, unit_w))
        )
        mask[0, in_rows[:, None] & in_columns] = 0
        return mask
    for _ in range(int(torch.randint(_HOLES[0], _HOLES[1] + 1, (), generator=generator))):
        h, w = (max(1, round(_between(*_HOLE_SIDE, generator) * height)) for _ in range(2))
        y, x = (int(_between(0, max(1, room), generator)) for room in (height - h + 1, width - w + 1))
        mask[0, y : y + h, x : x + w] = 0
    return mask


def _jittered(img_CHW: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Brightness, contrast, saturation and hue, in any order."""
    factor = {name: _between(1 - strength, 1 + strength, generator) for name in ("brightness", "contrast", "saturation")}
    hue = _between(-strength, strength, generator)
    for change in torch.randperm(4, generator=generator).tolist():
        if change == 0:
            img_CHW = tv.adjust_brightness(img_CHW, factor["brightness"])
        elif change == 1:
            img_CHW = tv.adjust_contrast(img_CHW, factor["contrast"])
        elif change == 2:
            img_CHW = tv.adjust_saturation(img_CHW, factor["saturation"])
        else:
            img_CHW = tv.adjust_hue(img_CHW, hue)
    return img_CHW


def _resharpened(img_CHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if _chance(0.5, generator):
        size = _KERNELS[int(torch.randint(len(_KERNELS), (), generator=generator))]
        img_CHW = tv.gaussian_blur(img_CHW, [size, size], [_between(0.2, 1.0, generator)])
    else:
        img_CHW = tv.adjust_sharpness(img_CHW, _between(1.2, 2.0, generator))
    return img_CHW


def _chance(probability: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < probability


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
