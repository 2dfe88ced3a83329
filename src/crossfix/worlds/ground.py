"""The colour of the ground at an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.worlds import layout as lay
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.noise import keyed_rng, noise_grid
from crossfix.worlds.region import Region

F32 = npt.NDArray[np.float32]
_BAND = 64  # rows painted at a time: the temporaries stay in the cache
_STRAW, _GRASS, _WINTER = np.array([0.33, 0.28, 0.16]), np.array([0.085, 0.14, 0.04]), np.array([0.20, 0.175, 0.105])

#: Strength of coarse (25 m), middle (4 m) and fine (0.9 m) mottling by label.
_MOTTLE = {
    lay.WILD: (0.30, 0.20, 0.22), lay.LAWN: (0.14, 0.12, 0.10), lay.FIELD: (0.14, 0.08, 0.10), lay.WOOD: (0.20, 0.25, 0.30),
    lay.STREET: (0.05, 0.06, 0.08), lay.PAVING: (0.06, 0.09, 0.12), lay.DIRT: (0.12, 0.14, 0.14), lay.WATER: (0.10, 0.03, 0.03),
    lay.PARKING: (0.06, 0.08, 0.06), lay.SOIL: (0.16, 0.14, 0.16), lay.MARKING: (0.05, 0.1, 0.15), lay.POOL: (0.0, 0.03, 0.06),
    lay.PITCH: (0.05, 0.06, 0.06), lay.CONCRETE: (0.05, 0.06, 0.08),
}  # fmt: skip


def vegetation(region: Region, season: float, lushness: float = 1.0) -> npt.NDArray[np.float64]:
    """Reflectance (3,) of grass: straw to green by the region, brown in winter.

    Args:
        region: whose vegetation.
        season: as :attr:`Epoch.season`.
        lushness: 1 for watered lawn, less for wild grass.
    """
    green = region.green * lushness * float(np.interp(season, [0, 0.33, 0.67, 1.0], [1.0, 0.8, 0.65, 0.4]))
    dry = _STRAW * (1 - 0.5 * season) + _WINTER * 0.5 * season
    return np.asarray(dry * (1 - green) + _GRASS * green)


def paint(layout: lay.Layout, region: Region, epoch: Epoch, seed: int) -> npt.NDArray[np.uint8]:
    """The ground's reflectance, (n, n, 3) uint8, the square root of it times 255; row 0 south.

    Args:
        layout: what lies where.
        region: colours of vegetation and soil.
        epoch: season and crops.
        seed: of the world.
    """
    table = _base_colours(region, epoch, keyed_rng(seed, "ground"))
    crops = _Crops.draw(layout, region, epoch, seed)
    n = len(layout.label)
    axis = (np.arange(n) + 0.5) * layout.texel_m - layout.half_m + 5000 + (seed % 4096)
    strengths = np.zeros((len(table), 3), np.float32)
    for which, mottle in _MOTTLE.items():
        strengths[which] = mottle
    coded = np.empty((n, n, 3), np.float32)
    for start in range(0, n, _BAND):
        band = slice(start, min(start + _BAND, n))
        label = layout.label[band]
        rgb = table[label]
        if crops is not None:
            crops.sow(rgb, label, layout, start)
        bright = np.ones(label.shape, np.float32)
        for i, (cell, index) in enumerate(((25.0, 5), (4.0, 6), (0.9, 7))):
            bright += strengths[:, i][label] * noise_grid(axis, axis[band], cell, index)
        # Wild ground is a patchwork of grass and bare soil.
        wild = label == lay.WILD
        patch = noise_grid(axis, axis[band], 14.0, 2)[wild][:, None] + 0.25
        soil = np.asarray(region.soil, np.float32)
        share = np.clip(0.5 - 2.5 * patch, 0, 0.75) * (1 - 0.5 * region.green)
        rgb[wild] = rgb[wild] * (1 - share) + soil * share
        rgb *= np.maximum(bright, 0.25)[..., None]
        coded[band] = np.sqrt(np.clip(rgb, 0.0, 1.0)) * 255
    return np.asarray(cv2.GaussianBlur(coded, (3, 3), 0.5), np.uint8)


def _base_colours(region: Region, epoch: Epoch, rng: np.random.Generator) -> F32:
    """Reflectance by label, (14, 3). The world's own shades last; only what grows follows the season."""
    table = np.zeros((14, 3))
    asphalt = rng.uniform(0.07, 0.16)
    table[lay.STREET] = asphalt * np.array([1.0, 0.99, 0.97])
    table[lay.PARKING] = rng.uniform(0.08, 0.18)
    table[lay.PAVING] = rng.uniform(0.2, 0.34) * np.array([1.03, 1.0, 0.95])
    table[lay.CONCRETE] = rng.uniform(0.3, 0.42) * np.array([1.02, 1.0, 0.96])
    table[lay.DIRT] = np.asarray(region.soil) * rng.uniform(0.9, 1.25)
    table[lay.SOIL] = np.asarray(region.soil) * rng.uniform(0.85, 1.15)
    murk = rng.uniform(0, 1)
    table[lay.WATER] = (1 - murk) * np.array([0.03, 0.05, 0.06]) + murk * np.array([0.09, 0.09, 0.06])
    table[lay.MARKING] = 0.55
    table[lay.POOL] = (0.12, 0.42, 0.5)
    table[lay.PITCH] = vegetation(region, epoch.season * 0.4, 1.2)
    wet = keyed_rng(epoch.seed, "wet").uniform(0.85, 1.15)
    table[lay.LAWN] = vegetation(region, epoch.season, 1.0) * wet
    table[lay.WILD] = vegetation(region, epoch.season, 0.7) * wet
    table[lay.WOOD] = vegetation(region, epoch.season, 0.7) * 0.6 + np.array([0.03, 0.02, 0.01])
    table[lay.FIELD] = table[lay.WILD]
    return table.astype(np.float32)


@dataclass(frozen=True)
class _Crops:
    """Fields: each its own crop, drawn anew at each epoch, in rows whose direction lasts.

    Attributes:
        angle: direction across the rows of a block, radians, (blocks,).
        strip_m: width of a block's fields, (blocks,).
        period: spacing of rows, (fields,), four fields a block.
        colour: of today's crops, (fields, 3).
        contrast: of the rows, (fields,).
    """

    angle: F32
    strip_m: F32
    period: F32
    colour: F32
    contrast: F32

    @staticmethod
    def draw(layout: lay.Layout, region: Region, epoch: Epoch, seed: int) -> _Crops | None:
        """Today's crops, none where there are no fields."""
        blocks = layout.cell[layout.label == lay.FIELD]
        if not len(blocks):
            return None
        count = int(blocks.max()) + 1
        lasting, today = keyed_rng(seed, "fields"), keyed_rng(epoch.seed, "crops")
        angle = lasting.uniform(0, np.pi, count).astype(np.float32)
        strip_m = lasting.uniform(35, 220, count).astype(np.float32)
        period = np.repeat(lasting.uniform(*region.field_rows_m, count), 4).astype(np.float32)
        green, soil = vegetation(region, epoch.season * 0.3, 1.3), np.asarray(region.soil)
        crops = np.array([green, green * 0.75, _STRAW * 1.1, soil * 0.8, soil * 1.1, (green + soil) / 2, (0.40, 0.33, 0.10)])
        late = epoch.season
        weights = np.array([2.2 - 1.6 * late, 1.5 - late, 0.3 + late, 0.4 + 1.2 * late, 0.6 + 0.6 * late, 1.0, 0.35 * (1 - late)])
        crop = today.choice(len(crops), size=4 * count, p=weights / weights.sum())
        colour = (crops[crop] * today.uniform(0.8, 1.2, (4 * count, 1))).astype(np.float32)
        return _Crops(angle, strip_m, period, colour, today.uniform(0.02, 0.16, 4 * count).astype(np.float32))

    def sow(self, rgb: F32, label: npt.NDArray[np.uint8], layout: lay.Layout, start: int) -> None:
        """Colours the fields of a band of rows, in place."""
        rows, cols = np.nonzero(label == lay.FIELD)
        blocks = layout.cell[rows + start, cols].astype(np.int64)
        x, y = (cols * layout.texel_m).astype(np.float32), ((rows + start) * layout.texel_m).astype(np.float32)
        along = x * np.cos(self.angle)[blocks] + y * np.sin(self.angle)[blocks]
        # A block is several fields side by side, each with its own crop.
        fields = blocks * 4 + (np.floor(along / self.strip_m[blocks]).astype(np.int64) & 3)
        wave = np.sin(along * (2 * np.pi / self.period)[fields])
        rgb[rows, cols] = self.colour[fields] * (1 + self.contrast[fields] * wave)[:, None]
