"""Chips: north-up squares cut from a map, one at a time with pixels or many at once without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chip:
    """A square of ground, seen from above with true north up at its centre.

    Args:
        pixels: (px, px, 3) uint8 RGB; black where there is no data. Row 0 is the northern edge.
        valid: (px, px) bool, where the map has data.
        lon: degrees, the centre of the square (the corner between the four middle pixels for an even `px`).
        lat: degrees.
        side_m: metres on the ground from the outer edge of the first pixel to that of the last.
    """

    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    lon: float
    lat: float
    side_m: float

    @property
    def px(self) -> int:
        """Pixels along a side."""
        return int(self.pixels.shape[0])

    @property
    def gsd_m(self) -> float:
        """Metres on the ground from one pixel's centre to the next."""
        return self.side_m / self.px

    def filled(self) -> NDArray[np.uint8]:
        """The pixels with the holes in the mean colour of the rest, so that the shape of a hole is no strong feature.

        Returns:
            (px, px, 3) uint8; the pixels themselves where nothing is missing or nothing is there.
        """
        if self.valid.all() or not self.valid.any():
            return self.pixels
        mean = self.pixels[self.valid].mean(axis=0)
        return np.where(self.valid[..., None], self.pixels, np.round(mean).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class ChipTable:
    """The geometry of many chips, row by row.

    Args:
        lon: (N,) degrees, the centres.
        lat: (N,) degrees.
        side_m: (N,) metres.
    """

    lon: Floats
    lat: Floats
    side_m: Floats

    def __len__(self) -> int:
        return int(self.lon.shape[0])

    def __getitem__(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> ChipTable:
        """The chosen rows as a table of their own."""
        return ChipTable(self.lon[rows], self.lat[rows], self.side_m[rows])

    def __iter__(self) -> Iterator[tuple[float, float, float]]:
        """Rows as (lon, lat, side_m)."""
        return zip(self.lon.tolist(), self.lat.tolist(), self.side_m.tolist(), strict=True)
