"""Augmentation of a whole batch at once: one warp, one colour transform, then blur, noise and cut-outs where they are drawn.

Every parameter is drawn on the CPU from a generator keyed by (seed, step, view), so that a resumed run sees the same pictures. The pixel
work runs on the pictures' device in float32. Axes: B pictures, C = 3 RGB channels, H W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from crossfix.disk import LATER

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class WarpConfig:
    """How a view is turned, shifted and scaled.

    Attributes:
        rotate_deg: turned by up to this to either side; 180 is any heading.
        shift: centre moved by up to this fraction of the picture's side, along both axes.
        side: the side that is cut, as a fraction of the nominal one: least and greatest, drawn on a log scale.
    """

    rotate_deg: float = 0.0
    shift: float = 0.0
    side: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class ColourConfig:
    """How far a view's colours may stray, drawn anew for each picture.

    Attributes:
        brightness: added, up to this to either side, on a scale where white is 1.
        contrast: scaled about the picture's mean by up to this factor up or down, on a log scale: 0.4 is e**-0.4 to e**0.4.
        saturation: scaled about grey likewise.
        gain: each channel scaled likewise (white balance).
        gamma: the exponent, likewise.
        mixing: up to this share of each channel leaks into the others (a turn of the hue).
        grey: probability of a grey picture.
        haze: up to this share of the picture is replaced by a light veil, in half of the pictures.
        blur: probability of a Gaussian blur of 0.4 to 1.6 pixels.
        noise: probability of Gaussian noise of up to 6 % of white.
        cutout: probability of one to three grey rectangles of 10 to 35 % of the side.
    """

    brightness: float = 0.15
    contrast: float = 0.4
    saturation: float = 0.5
    gain: float = 0.2
    gamma: float = 0.4
    mixing: float = 0.1
    grey: float = 0.1
    haze: float = 0.35
    blur: float = 0.2
    noise: float = 0.2
    cutout: float = 0.2


@dataclass(frozen=True)
class AugmentConfig:
    """The augmentation of both views, each drawn for itself.

    Attributes:
        satellite: the map's view; the default knows no heading.
        drone: the photo's view; its heading is random in the bank already.
        colour: colours of both.
        upright: drone pictures are turned by quarter turns until north is within 45 degrees of up, and then both views by one random
            quarter turn together. The network has far less to learn than with any heading; its queries are to be described at four
            quarter turns, which the card of the model says (``query_turns``).
        mirror: half of the pairs have both views mirrored: a mirrored place is a place too.
        curriculum_steps: over the first so many steps everything but turning grows from ``curriculum_start`` to its full strength.
        curriculum_start: strength at the first step.
        weather: probability that a drone picture, or a panorama beside it, is taken in rough weather or bad light, see `weather`.
    """

    satellite: WarpConfig = field(default_factory=lambda: WarpConfig(rotate_deg=180.0, shift=0.12, side=(0.8, 1.25)))
    drone: WarpConfig = field(default_factory=lambda: WarpConfig(rotate_deg=10.0, shift=0.03, side=(1 / 1.3, 1.0)))
    colour: ColourConfig = field(default_factory=ColourConfig)
    upright: bool = False
    mirror: bool = True
    curriculum_steps: int = 0
    curriculum_start: float = 0.2
    weather: float = field(default=0.0, metadata=LATER)

    def strength(self, step: int) -> float:
        """Strength in [0, 1] at a step."""
        if step >= self.curriculum_steps:
            return 1.0
        return self.curriculum_start + (1.0 - self.curriculum_start) * step / self.curriculum_steps


def augment(
    picture_BHWC: torch.Tensor,
    px: int,
    warp: WarpConfig,
    colour: ColourConfig,
    generator: torch.Generator,
    *,
    margin: float = 1.0,
    strength: float = 1.0,
    mirror_B: torch.Tensor | None = None,
    turn_B: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Warp and colour a batch of stored pictures.

    Args:
        picture_BHWC: uint8, square.
        px: side of the result in pixels.
        warp: bounds of the warp.
        colour: bounds of the colours.
        generator: a CPU generator; everything is drawn from it.
        margin: how many nominal sides the stored picture spans.
        strength: in [0, 1]; scales shift, side and colours.
        mirror_B: bool, pictures to mirror left to right.
        turn_B: angle by which each picture is turned besides, radians, anticlockwise.

    Returns:
        (B, 3, px, px) float32 in [0, 1], channels last, and the (B, 2, 3) similarities from each result to its stored picture.
    """
    theta_B23 = draw_warp(len(picture_BHWC), warp, generator, margin=margin, strength=strength, turn_B=turn_B)
    if mirror_B is not None:
        theta_B23[:, :, 0] *= torch.where(mirror_B, -1.0, 1.0)[:, None]
    img_BCHW = cut(picture_BHWC, theta_B23, px)
    return recolour_(img_BCHW, colour, generator, strength=strength), theta_B23


def plain(picture_BHWC: torch.Tensor, px: int, *, margin: float = 1.0) -> torch.Tensor:
    """The pictures as the model sees them without augmentation: the nominal square about the centre, (B, 3, px, px) in [0, 1]."""
    theta_B23 = torch.tensor([[1 / margin, 0.0, 0.0], [0.0, 1 / margin, 0.0]]).repeat(len(picture_BHWC), 1, 1)
    return cut(picture_BHWC, theta_B23, px)


def draw_warp(
    count: int,
    warp: WarpConfig,
    generator: torch.Generator,
    *,
    margin: float = 1.0,
    strength: float = 1.0,
    turn_B: torch.Tensor | None = None,
) -> torch.Tensor:
    """Draw ``count`` similarities from picture to stored picture, (B, 2, 3) in the coordinates of ``affine_grid``: -1 to 1 over each."""
    angle = math.radians(warp.rotate_deg) * _signed(count, generator)
    if turn_B is not None:
        angle = angle + turn_B
    shift_B2 = strength * warp.shift * 2 / margin * _signed(count, generator, 2)
    low, high = (strength * math.log(bound) for bound in warp.side)
    side = torch.exp(low + (high - low) * torch.rand(count, generator=generator)) / margin
    cos, sin = side * angle.cos(), side * angle.sin()
    return torch.stack([torch.stack([cos, -sin, shift_B2[:, 0]], 1), torch.stack([sin, cos, shift_B2[:, 1]], 1)], 1)


def cut(picture_BHWC: torch.Tensor, theta_B23: torch.Tensor, px: int) -> torch.Tensor:
    """Sample pictures through similarities, bilinear, mirrored beyond their borders.

    Where two and more stored pixels fall on one of the result, blocks of them are averaged first, so that the bilinear sampling has no
    more than two to skip.

    Returns:
        (B, 3, px, px) float32 in [0, 1], channels last.
    """
    img_BCHW = picture_BHWC.permute(0, 3, 1, 2).float()
    scale = float(theta_B23[:, :, 0].norm(dim=1).median())
    block = int(scale * img_BCHW.shape[-1] / px)
    if block >= 2:
        img_BCHW = F.avg_pool2d(img_BCHW, block)
    theta_B23 = theta_B23.to(img_BCHW.device)
    grid_BHW2 = F.affine_grid(theta_B23, [len(img_BCHW), 3, px, px], align_corners=False)
    # grid_sample reads channels-last input several times faster than planes and writes planes: the colour transform wants planes, too.
    return F.grid_sample(img_BCHW, grid_BHW2, padding_mode="reflection", align_corners=False).mul_(1 / 255)


def recolour_(img_BCHW: torch.Tensor, colour: ColourConfig, generator: torch.Generator, *, strength: float = 1.0) -> torch.Tensor:
    """Change the colours, partly in place, and return the pictures channels last, in [0, 1]."""
    count, device = len(img_BCHW), img_BCHW.device
    gamma = torch.exp(strength * colour.gamma * _signed(count, generator))
    img_BCHW = img_BCHW.clamp_(0, 1).pow_(gamma.to(device)[:, None, None, None])
    mean_B3 = img_BCHW[:, :, ::4, ::4].mean(dim=(2, 3)).cpu()
    matrix_B33, offset_B3 = draw_colour(mean_B3, colour, generator, strength)
    img_BCHW = torch.baddbmm(offset_B3[:, :, None].to(device), matrix_B33.to(device), img_BCHW.flatten(2)).view_as(img_BCHW)
    _blur_some_(img_BCHW, strength * colour.blur, generator)
    _noise_some_(img_BCHW, strength * colour.noise, generator)
    img_BCHW.clamp_(0, 1)
    _cut_out_some_(img_BCHW, strength * colour.cutout, generator)
    return img_BCHW.contiguous(memory_format=torch.channels_last)


def draw_colour(
    mean_B3: torch.Tensor, colour: ColourConfig, generator: torch.Generator, strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the affine colour transform of each picture: mixing, gain, saturation, contrast, brightness and haze as one.

    Args:
        mean_B3: mean colour of each picture, about which its contrast is changed.
        colour: bounds.
        generator: a CPU generator.
        strength: in [0, 1].

    Returns:
        matrix (B, 3, 3) and offset (B, 3): a colour c becomes matrix @ c + offset.
    """
    count = len(mean_B3)
    eye = torch.eye(3)
    mixing_B33 = colour.mixing * strength * _signed(count, generator, 3, 3)
    mixing_B33 = eye + mixing_B33 - mixing_B33.mean(dim=2, keepdim=True)  # rows still sum to one: grey stays grey
    gain_B3 = torch.exp(strength * colour.gain * _signed(count, generator, 3))
    saturation = torch.exp(strength * colour.saturation * _signed(count, generator))
    saturation = torch.where(torch.rand(count, generator=generator) < strength * colour.grey, 0.0, saturation)[:, None, None]
    contrast = torch.exp(strength * colour.contrast * _signed(count, generator))[:, None]
    brightness = strength * colour.brightness * _signed(count, generator)[:, None]
    veiled = torch.rand(count, generator=generator) < 0.5
    veil = torch.where(veiled, strength * colour.haze * torch.rand(count, generator=generator), 0.0)[:, None]
    light_B3 = 0.75 + 0.2 * torch.rand(count, 1, generator=generator) + 0.05 * _signed(count, generator, 3)

    luma = torch.tensor(_LUMA)
    grey_33 = luma.expand(3, 3)
    matrix_B33 = (saturation * eye + (1 - saturation) * grey_33) @ (gain_B3[:, :, None] * mixing_B33)
    mean_B1 = torch.einsum("c,bcd,bd->b", luma, matrix_B33, mean_B3)[:, None]
    offset_B3 = (1 - veil) * ((1 - contrast) * mean_B1 + brightness) + veil * light_B3
    return ((1 - veil) * contrast)[:, :, None] * matrix_B33, offset_B3


def _signed(count: int, generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Uniform in [-1, 1], (count, *shape)."""
    return torch.rand(count, *shape, generator=generator) * 2 - 1


def _some(count: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Indices of the pictures that are drawn with a probability."""
    return torch.nonzero(torch.rand(count, generator=generator) < probability).squeeze(1)


def _blur_some_(img_BCHW: torch.Tensor, probability: float, generator: torch.Generator) -> None:
    """Blur some pictures by a Gaussian of 0.4 to 1.6 pixels, cut at three pixels."""
    rows = _some(len(img_BCHW), probability, generator)
    if len(rows) == 0:
        return
    sigma = 0.4 + 1.2 * torch.rand(len(rows), 1, generator=generator)
    tap_NK = torch.exp(-0.5 * (torch.arange(4)[None] / sigma) ** 2)
    tap_NK = tap_NK / (tap_NK[:, :1] + 2 * tap_NK[:, 1:].sum(1, keepdim=True))
    rows, tap_NK = rows.to(img_BCHW.device), tap_NK.to(img_BCHW.device)
    some = img_BCHW[rows]
    for axis in (2, 3):
        length = some.shape[axis]
        wide = F.pad(some, (0, 0, 3, 3) if axis == 2 else (3, 3, 0, 0), mode="replicate")
        some = wide.narrow(axis, 3, length) * tap_NK[:, 0, None, None, None]
        for tap in (1, 2, 3):
            some.addcmul_(wide.narrow(axis, 3 - tap, length) + wide.narrow(axis, 3 + tap, length), tap_NK[:, tap, None, None, None])
    img_BCHW[rows] = some


def _noise_some_(img_BCHW: torch.Tensor, probability: float, generator: torch.Generator) -> None:
    """Add Gaussian noise of up to 6 % of white to some pictures."""
    rows = _some(len(img_BCHW), probability, generator)
    sigma = 0.06 * torch.rand(len(rows), 1, 1, 1, generator=generator)
    noise = torch.randn(len(rows), *img_BCHW.shape[1:], generator=generator).mul_(sigma)
    img_BCHW.index_add_(0, rows.to(img_BCHW.device), noise.to(img_BCHW.device))


def _cut_out_some_(img_BCHW: torch.Tensor, probability: float, generator: torch.Generator) -> None:
    """Cover one to three rectangles of some pictures with a grey."""
    height, width = img_BCHW.shape[2:]
    for row in _some(len(img_BCHW), probability, generator).tolist():
        for _ in range(int(torch.randint(1, 4, (), generator=generator))):
            x, y, w, h, grey = torch.rand(5, generator=generator).tolist()
            w, h = (round((0.1 + 0.25 * length) * side) for length, side in ((w, width), (h, height)))
            left, top = int(x * (width - w)), int(y * (height - h))
            img_BCHW[row, :, top : top + h, left : left + w] = grey
