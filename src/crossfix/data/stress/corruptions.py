"""The common corruptions of ImageNet-C, by its published severities, as CVUSA-C and CVACT-C apply them to ground pictures.

Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (ICLR 2019), and its
script. Pictures are like the published ones, not equal to them: the numbers drawn are others, results are rounded where the script cuts
off, and its last step, a JPEG of quality 85 of everything, is left out. So are two corruptions: ``frost`` lays photographs over the
picture, which are not ours to ship, and ``spatter`` is a chain of edge detectors that no description pins down.

Lengths are pixels of the picture at hand. Axes: H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from crossfix.data.stress import blurs
from crossfix.data.stress.choices import SEVERITIES, choose
from crossfix.data.stress.draws import Draws
from crossfix.data.stress.pixels import MIRROR, Floats, Picture, each_channel, filtered, gaussian, luma, resize, sample, to_bytes

GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT = (60, 25, 12, 5, 3)
IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
SATURATE = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))
JPEG = (25, 18, 15, 10, 7)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, decay of the detail
# Mean and deviation of the noise, its enlargement, threshold, radius and sigma of the trail, share of the picture that stays.
SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
)
# Height and smoothness of the waves, shift of the corners, as shares of the side.
ELASTIC = ((2.0, 0.7, 0.1), (2.0, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
_ELASTIC_PX = 244 / 224  # published for 224 px with the side mistyped; kept
_WAVES_PX = 256
_PLASMA_PX = 1024


def corrupt(picture: Picture, name: str, level: float, key: str) -> Picture:
    """A picture with one of ``CORRUPTIONS`` at a level.

    Args:
        picture: (H, W, 3).
        name: of the corruption.
        level: 1 to 5.
        key: everything random is drawn from it.

    Raises:
        InputError: for another name or level.
    """
    choose("corruption", name, tuple(CORRUPTIONS))
    return CORRUPTIONS[name](picture, choose("level", level, SEVERITIES), Draws(key, name))


def gaussian_noise(picture: Picture, number: int, draws: Draws) -> Picture:
    """Normal noise of the same strength everywhere."""
    return to_bytes(picture + np.float32(255 * GAUSSIAN[number]) * draws.normal(*picture.shape))


def speckle_noise(picture: Picture, number: int, draws: Draws) -> Picture:
    """Normal noise in proportion to the brightness."""
    return to_bytes(picture * (1 + np.float32(SPECKLE[number]) * draws.normal(*picture.shape)))


def impulse_noise(picture: Picture, number: int, draws: Draws) -> Picture:
    """A share of the values replaced, half by black and half by white."""
    drawn, share = draws.field(*picture.shape), IMPULSE[number]
    return np.where(drawn < share / 2, np.uint8(0), np.where(drawn < share, np.uint8(255), picture))


def shot_noise(picture: Picture, number: int, draws: Draws) -> Picture:
    """Few photons: each value counted as a Poisson number, ``SHOT`` of them making white."""
    white = SHOT[number]
    # All 256 distributions end to end, so that one search inverts them: number k of value v stands at v + P(no more than k).
    count = white + int(12 * math.sqrt(white)) + 12
    steps = np.array([np.cumsum(_poisson(value / 255 * white, count)) for value in range(256)])
    ladder = (np.minimum(steps, 1.0) + np.arange(256)[:, None]).ravel()
    rows = [np.searchsorted(ladder, draws.field(*picture.shape[1:]) + row, side="right") - row * count for row in picture.astype(np.int64)]
    return to_bytes(np.stack(rows) * (255 / white))


def _poisson(mean: float, count: int) -> Floats:
    chance = np.empty(count)
    chance[0] = math.exp(-mean)
    for number in range(1, count):
        chance[number] = chance[number - 1] * mean / number
    return chance


def contrast(picture: Picture, number: int, draws: Draws) -> Picture:
    """Each channel drawn towards its mean."""
    factor = CONTRAST[number]
    channels = [to_bytes((c - (mean := float(c.mean()))) * factor + mean) for c in each_channel(picture)]
    return np.stack(channels, axis=-1)


def brightness(picture: Picture, number: int, draws: Draws) -> Picture:
    """The value of hue, saturation, value raised."""
    most = picture.max(axis=2).astype(np.float64)
    raised = np.minimum(most + 255 * BRIGHTNESS[number], 255)
    factor = raised / np.maximum(most, 1)  # black has no hue: all its channels are raised alike
    return np.stack([to_bytes(np.where(most > 0, c * factor, raised)) for c in each_channel(picture)], axis=-1)


def saturate(picture: Picture, number: int, draws: Draws) -> Picture:
    """The saturation of hue, saturation, value changed: less of it at levels 1 and 2, more from 3 on.

    Grey counts as red without saturation, so that the amount added from level 4 on tints it, as in the published script.
    """
    factor, add = SATURATE[number]
    most, least = picture.max(axis=2).astype(np.float64), picture.min(axis=2).astype(np.float64)
    span = most - least
    saturation = np.clip(span / np.maximum(most, 1) * factor + add, 0, 1)
    grey = span == 0
    changed = []
    for channel, values in enumerate(each_channel(picture)):
        below = np.where(grey, float(channel > 0), (most - values) / np.maximum(span, 1))  # 0 for the strongest channel, 1 for the weakest
        changed.append(to_bytes(most * (1 - saturation * below)))
    return np.stack(changed, axis=-1)


def jpeg(picture: Picture, number: int, draws: Draws) -> Picture:
    """Written as a JPEG of low quality, colours at half the resolution, and read again (libjpeg-turbo)."""
    how = [cv2.IMWRITE_JPEG_QUALITY, JPEG[number], cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _, code = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), how)
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def pixelate(picture: Picture, number: int, draws: Draws) -> Picture:
    """Shrunk by the mean of whole pixels and enlarged by repeating."""
    mean = picture.astype(np.float64)
    for axis in (0, 1):
        length = picture.shape[axis]
        count = max(1, int(length * PIXELATE[number]))
        starts = np.floor(np.arange(count + 1) * (length / count) + 0.5 + 1e-9).astype(int)
        block = np.minimum(((np.arange(length) + 0.5) * (count / length)).astype(int), count - 1)
        sizes = np.diff(starts).reshape(-1, *([1] * (2 - axis)))
        mean = (np.add.reduceat(mean, starts[:-1], axis=axis) / sizes).take(block, axis=axis)
    return to_bytes(mean)


def fog(picture: Picture, number: int, draws: Draws) -> Picture:
    """A plasma fractal added and the sum scaled back to the picture's brightest value."""
    thick, decay = FOG[number]
    height, width = picture.shape[:2]
    most = float(picture.max())
    shrink = max(1.0, max(height, width) / _PLASMA_PX)
    cut = plasma(1 << max(3, math.ceil(math.log2(max(height, width) / shrink))), decay, draws)
    cut = cut[: max(1, round(height / shrink)), : max(1, round(width / shrink))]
    cloud = 255 * thick * (cut if cut.shape == (height, width) else resize(cut, height, width))
    scale = most / (most + 255 * thick)
    return np.stack([to_bytes((c + cloud) * scale) for c in each_channel(picture)], axis=-1)


def plasma(side: int, decay: float, draws: Draws) -> Floats:
    """A cloud by midpoint displacement on a torus (diamond-square), 0 to 1.

    Args:
        side: a power of two.
        decay: the displacement shrinks by its square from one halving of the grid to the next (the published script multiplies the
            shrinking number by itself).
        draws: the source.
    """
    cloud, step, wobble = np.zeros((side, side)), side, 1.0
    while step > 1:
        half = step // 2
        corners = cloud[::step, ::step]
        cloud[half::step, half::step] = _about(corners, np.roll(corners, -1, 0), 1, wobble, draws)
        middles = cloud[half::step, half::step]
        cloud[::step, half::step] = _about(corners, middles, 0, wobble, draws)
        cloud[half::step, ::step] = _about(np.ascontiguousarray(corners.T), np.ascontiguousarray(middles.T), 0, wobble, draws).T
        step, wobble = half, wobble / decay**2
    cloud -= cloud.min()
    return np.asarray(cloud / cloud.max(), np.float64)


def _about(first: Floats, second: Floats, square: int, wobble: float, draws: Draws) -> Floats:
    """Mean of four neighbours on a torus and a displacement: two of ``first``, two of ``second``."""
    if square:
        total = first + second
        total = total + np.roll(total, -1, 1)
    else:
        total = first + np.roll(first, -1, 1) + second + np.roll(second, 1, 0)
    return np.asarray(total / 4 + wobble * (2 * draws.field(*total.shape) - 1), np.float64)


def snow(picture: Picture, number: int, draws: Draws) -> Picture:
    """Two layers of streaks, one of them the other turned by half a circle, over a paler picture."""
    mean, deviation, grow, threshold, radius, sigma, stay = SNOW[number]
    height, width = picture.shape[:2]
    flakes = mean + deviation * draws.normal(height, width).astype(np.float64)
    rows, columns = max(1, math.ceil(height / grow)), max(1, math.ceil(width / grow))
    top, left = (height - rows) // 2, (width - columns) // 2
    flakes = resize(flakes[top : top + rows, left : left + columns], height, width)
    flakes = 255 * np.clip(np.where(flakes < threshold, 0.0, flakes), 0, 1)
    flakes = filtered(flakes, blurs.trail(radius, sigma, draws.uniform(-135, -45)))
    flakes = flakes + flakes[::-1, ::-1]
    pale = 1.5 * luma(picture) + 127.5
    return np.stack([to_bytes(stay * c + (1 - stay) * np.maximum(c, pale) + flakes) for c in each_channel(picture)], axis=-1)


def elastic(picture: Picture, number: int, draws: Draws) -> Picture:
    """A random affine map and waves; levels 1 and 2 are wide waves, 3 to 5 narrow ones.

    Lengths are shares of the shorter side, where the published script has them for 224 px alone.
    """
    high, smooth, shift = (share * _ELASTIC_PX for share in ELASTIC[number])
    height, width = picture.shape[:2]
    side = min(height, width)
    middle, arm = np.array([(width - 1) / 2, (height - 1) / 2]), side / 3
    corners = middle + arm * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = corners + shift * side * (2 * draws.field(3, 2) - 1)
    affine = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)  # from the result's positions to the picture's
    scale = min(1.0, _WAVES_PX / side)
    small = max(1, round(height * scale)), max(1, round(width * scale))
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    waves = [gaussian(2 * draws.field(*small) - 1, smooth * min(small), reach=3.0, border=MIRROR) * high * side for _ in range(2)]
    x, y = x + resize(waves[0], height, width), y + resize(waves[1], height, width)
    return sample(picture, affine[0, 0] * x + affine[1, 0] * y + affine[2, 0], affine[0, 1] * x + affine[1, 1] * y + affine[2, 1])


CORRUPTIONS: dict[str, Callable[[Picture, int, Draws], Picture]] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "speckle_noise": speckle_noise,
    "defocus_blur": blurs.defocus,
    "glass_blur": blurs.glass,
    "motion_blur": blurs.motion,
    "zoom_blur": blurs.zoom,
    "snow": snow,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "saturate": saturate,
    "pixelate": pixelate,
    "jpeg": jpeg,
    "elastic": elastic,
}
