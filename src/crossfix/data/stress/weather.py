"""The ten conditions of the multi-weather protocol for drone pictures, from its published parameters.

Source: WeatherPrompt (NeurIPS 2025), weather.py, a list of augmenters of the library imgaug. What those augmenters do is written anew here
from their definitions, in real numbers and rounded once; pictures are like the published ones and not equal to them:

* A published augmenter is seeded once and then runs on, so that a picture's weather hangs on all that came before it. Here everything is
  drawn from the picture's own key (or from one key for all, see ``dials.stress``).
* The published brightness changes happen in a colour space drawn anew each time. Here it is the luma, and the colour differences stay.
* The protocol has one strength, which is level 3 here (``PUBLISHED``). The other levels scale it by ``STRENGTHS``: the optical depth of
  fog, the number of drops and flakes, the change of brightness; the length of the blur is in ``WIND_PX``.
* In pictures with a side beyond 1024 px drops and flakes are drawn for 1024 px and enlarged, so that they do not thin out to nothing.

Fog, drops and flakes are maps of a brightness x to max(keep * x + add, least), pixel by pixel, and so is any sequence of them: a sequence
is multiplied out before the picture is touched. Axes: H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crossfix.data.stress.choices import SEVERITIES, choose
from crossfix.data.stress.draws import Draws
from crossfix.data.stress.pixels import Floats, Picture, each_channel, filtered, gaussian, luma, resize, to_bytes

PUBLISHED = 3
STRENGTHS = (0.3, 0.6, 1.0, 1.3, 1.6)
WIND_PX = (5, 9, 15, 19, 25)
_RENDER_PX = 1024
_GATE = 8
_DROP_COLOUR = 240.0

Range = tuple[float, float]


@dataclass(frozen=True)
class Fog:
    """A layer of cloud before the picture (imgaug's CloudLayer).

    Attributes:
        intensity: mean brightness of the cloud.
        coarse: deviation of its brightness on a grid of 8 by 8.
        alpha_least: opacity before ``sparsity`` and ``density`` where the cloud is thinnest.
        alpha_range: how much is added to it where the cloud is thickest.
        sparsity: exponent of the opacity.
        density: factor of the opacity after that.
        cells: size of the noise of the opacity, in cells along the longer side.
        exponent: of the noise's spectrum, by frequency.
    """

    intensity: float = 225.0
    coarse: float = 2.0
    alpha_least: float = 1.0
    alpha_range: float = 0.9
    sparsity: float = 0.9
    density: float = 0.5
    cells: int = 10
    exponent: float = -2.0


@dataclass(frozen=True)
class Fall:
    """One to three sheets of falling things (imgaug's Rain and Snowflakes).

    Attributes:
        snow: flakes, which add light; or drops, which cover.
        size: of a thing: drawn at 1 - size of the resolution.
        speed: length of its streak, as a share of the picture's longer side.
        density: share of the coarse pixels that hold one.
        uniformity: how evenly they are spread: 1 is evenly.
        angle_deg: of the streak from the vertical.
    """

    snow: bool
    size: Range
    speed: Range
    density: Range
    uniformity: Range
    angle_deg: Range


def rain(size: Range) -> Fall:
    """Rain as the protocol has it, of a drop size."""
    return Fall(snow=False, size=size, speed=(0.04, 0.06), density=(0.03, 0.14), uniformity=(0.8, 1.0), angle_deg=(-15, 15))


def snow(size: Range) -> Fall:
    """Snow as the protocol has it, of a flake size."""
    return Fall(snow=True, size=size, speed=(0.007, 0.03), density=(0.005, 0.075), uniformity=(0.3, 0.9), angle_deg=(-30, 30))


LAYERS: dict[str, tuple[Fog | Fall, ...]] = {
    "fog": (Fog(),),
    "rain": (rain((0.05, 0.1)), rain((0.05, 0.1)), rain((0.1, 0.2)), rain((0.1, 0.2)), rain((0.05, 0.2))),
    "snow": (snow((0.5, 0.8)), snow((0.5, 0.8)), snow((0.6, 0.9)), snow((0.6, 0.9)), snow((0.5, 0.9))),
    "fog_rain": (Fog(), rain((0.05, 0.2)), rain((0.05, 0.2))),
    "fog_snow": (Fog(), snow((0.5, 0.9)), snow((0.5, 0.9))),
    "rain_snow": (snow((0.5, 0.8)), rain((0.05, 0.1)), rain((0.1, 0.2)), rain((0.05, 0.2)), snow((0.6, 0.9))),
}
CONDITIONS = ("normal", "fog", "rain", "snow", "fog_rain", "fog_snow", "rain_snow", "dark", "light", "wind")


@dataclass(frozen=True)
class Sheet:
    """The map of a brightness x to max(keep * x + add, least), a number or (H, W) each."""

    keep: Floats
    add: Floats
    least: Floats

    def then(self, after: Sheet) -> Sheet:
        """This map followed by another one."""
        covered = after.keep * self.least + after.add
        return Sheet(after.keep * self.keep, after.keep * self.add + after.add, np.maximum(covered, after.least))


def condition(picture: Picture, name: str, level: float, key: str) -> Picture:
    """A picture in one of ``CONDITIONS`` at a level.

    Args:
        picture: (H, W, 3).
        name: of the condition.
        level: 1 to 5; 3 is the published strength.
        key: everything random is drawn from it.

    Raises:
        InputError: for another name or level.
    """
    choose("weather", name, CONDITIONS)
    number = choose("level", level, SEVERITIES)
    strength = STRENGTHS[number]
    if name == "normal":
        return picture.copy()
    if name == "dark":
        return dark(picture, strength, Draws(key, name))
    if name == "light":
        return light(picture, strength, Draws(key, name))
    if name == "wind":
        return wind(picture, WIND_PX[number], Draws(key, name))
    height, width = picture.shape[:2]
    shrink = max(1.0, max(height, width) / _RENDER_PX)
    small = max(1, round(height / shrink)), max(1, round(width / shrink))
    zero = np.zeros(small)
    whole = Sheet(zero + 1, zero, zero)
    for place, layer in enumerate(LAYERS[name]):
        for sheet in sheets(layer, *small, strength, Draws(key, name, place)):
            whole = whole.then(sheet)
    if small != (height, width):
        whole = Sheet(*(resize(field, height, width) for field in (whole.keep, whole.add, whole.least)))
    return np.stack([to_bytes(np.maximum(whole.keep * c + whole.add, whole.least)) for c in each_channel(picture)], axis=-1)


def sheets(layer: Fog | Fall, height: int, width: int, strength: float, draws: Draws) -> list[Sheet]:
    """The sheets of a layer, (height, width) each."""
    if isinstance(layer, Fog):
        return [_fog(layer, height, width, strength, draws)]
    return [_falling(layer, height, width, strength, draws) for _ in range(draws.integer(1, 3))]


def _fog(layer: Fog, height: int, width: int, strength: float, draws: Draws) -> Sheet:
    noise = spectral(height, width, layer.cells, layer.exponent, draws)
    alpha = np.clip((layer.alpha_least + layer.alpha_range * noise) ** layer.sparsity * layer.density, 0, 1)
    keep = (1 - alpha) ** strength  # light that passes falls off exponentially with the depth of the fog
    coarse = resize(layer.coarse * draws.normal(_GATE, _GATE).astype(np.float64), height, width, cubic=True)
    fine = layer.intensity * (2 * spectral(height, width, max(height, width), layer.exponent, draws) - 1) / 5
    cloud = np.clip(layer.intensity + coarse + fine, 0, 255)
    return Sheet(keep, (1 - keep) * cloud, np.zeros_like(keep))


def _falling(layer: Fall, height: int, width: int, strength: float, draws: Draws) -> Sheet:
    speed, longer = draws.uniform(*layer.speed), max(height, width)
    coarse = 1 - draws.uniform(*layer.size)
    share = min(1.0, strength * draws.uniform(*layer.density))
    rows, columns = max(1, int(height * coarse)), max(1, int(width * coarse))
    # Most things are as bright as can be, none less than half (imgaug's salt).
    things = np.where(draws.field(rows, columns) < share, 0.5 + 0.5 * np.abs(np.cos(np.pi * draws.field(rows, columns))), 0.0)
    things *= np.clip(resize(_gate(layer.uniformity, draws), rows, columns, cubic=True), 0, 1)
    things = np.clip(resize(things, height, width, cubic=True), 0, 1)
    if layer.snow:
        things = gaussian(things, float(np.clip(longer * draws.uniform(0.0001, 0.001), 0.5, 3.75)))
    angle_deg, length = draws.uniform(*layer.angle_deg), int(speed * longer)
    if length > 1:
        things = np.clip(filtered(things, streak(max(length, 3), angle_deg, 1.0, 0.0)), 0, 1)
    if not layer.snow:
        alpha = np.clip(1.3 * things, 0, 1)
        return Sheet(1 - alpha, alpha * _DROP_COLOUR, np.zeros_like(alpha))
    uneven = 1 - draws.uniform(0.4, 0.8)
    light = 255 * things ** (1 + 2 * uneven) * (1 + 5 * uneven)
    return Sheet(np.ones_like(light), (0.1 + 20 * speed) * light, (1 + 20 * speed) * light)


def _gate(uniformity: Range, draws: Draws) -> Floats:
    """How many things pass where, on a grid of 8 by 8: from Beta(1, 1 - uniformity), by its inverse."""
    low, high = uniformity
    beta = np.maximum(1e-3, 1 - (low + (high - low) * draws.field(_GATE, _GATE)))
    return np.asarray(1 - (1 - draws.field(_GATE, _GATE)) ** (1 / beta), np.float64)


def spectral(height: int, width: int, cells: int, exponent: float, draws: Draws) -> Floats:
    """Noise from 0 to 1 whose amplitudes are a power of the frequency.

    Args:
        height: of the field.
        width: of the field.
        cells: number of independent values along the longer side, enlarged from there; at least 4 along the shorter one.
        exponent: of the power.
        draws: the source.
    """
    shrink = min(1.0, cells / max(height, width))
    rows, columns = max(4, int(height * shrink)), max(4, int(width * shrink))
    down, across = np.minimum(np.arange(rows), rows - np.arange(rows)), np.minimum(np.arange(columns), columns - np.arange(columns))
    frequency = np.sqrt(down[:, None] ** 2.0 + across**2.0)
    frequency[0, 0] = 1.0
    amplitude = draws.field(rows, columns) * frequency**exponent
    amplitude[0, 0] = 0.0
    noise = np.fft.ifft2(amplitude * np.exp(2j * np.pi * draws.field(rows, columns))).real
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return np.clip(noise if noise.shape == (height, width) else resize(noise, height, width, cubic=True), 0, 1)


def streak(length: int, angle_deg: float, first: float, last: float) -> Floats:
    """A motion blur's kernel: ``length`` taps a pixel apart on a line through the middle, each split among the four pixels about it.

    Args:
        length: in pixels.
        angle_deg: of the line, clockwise from straight up.
        first: weight of the tap at its lower end, before all are divided by their sum.
        last: of the one at its upper end, with even steps between.
    """
    radius = (length + 1) // 2 + 1
    along = np.arange(length) - (length - 1) / 2
    x = radius + along * math.sin(math.radians(angle_deg))
    y = radius - along * math.cos(math.radians(angle_deg))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    weight = np.linspace(first, last, length)
    for right, lower in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = np.abs(1 - right - (x - left)) * np.abs(1 - lower - (y - top))
        np.add.at(kernel, (top + lower, left + right), weight * share)
    return np.asarray(kernel / kernel.sum(), np.float64)


def dark(picture: Picture, strength: float, draws: Draws) -> Picture:
    """Night: contrast to 0.6, brightness up by 50, then a fifth of the luma less 15 to 30, the last two in either order.

    A strength below 1 goes so much of the way to the first step, and by that power of the factor in the second. The published strength
    leaves little but differences of colour of all that was not bright; beyond it these fade too, by the square of the strength.
    """
    first, colour = min(1.0, strength), min(1.0, strength**-2)
    paler = [(1 - first) * c + first * (0.5 * np.minimum(c + 100, 255) + 0.1 * c) for c in each_channel(picture)]
    factor, add, order = 0.2**strength, -first * draws.uniform(15, 30), draws.integer(0, 1)
    bright = 0.299 * paler[0] + 0.587 * paler[1] + 0.114 * paler[2]
    target = factor * bright + add if order == 0 else factor * (bright + add)
    return np.stack([to_bytes(colour * (c - bright) + np.maximum(target, 0)) for c in paler], axis=-1)


def light(picture: Picture, strength: float, draws: Draws) -> Picture:
    """Glare: the luma 1.6-fold and up to 30 more, both changes times the strength."""
    bright, add = luma(picture), strength * draws.uniform(0, 30)
    more = np.minimum((1 + 0.6 * strength) * bright + add, 255) - bright
    return np.stack([to_bytes(c + more) for c in each_channel(picture)], axis=-1)


def wind(picture: Picture, length_px: int, draws: Draws) -> Picture:
    """A motion blur of so many pixels, at any angle, stronger towards one of its ends."""
    towards = draws.uniform()
    kernel = streak(length_px, draws.uniform(0, 360), towards, 1 - towards)
    return np.stack([to_bytes(filtered(c, kernel)) for c in each_channel(picture)], axis=-1)
