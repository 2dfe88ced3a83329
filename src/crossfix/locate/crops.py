"""Map crops around candidates, with what is computed from them kept for the photos that follow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from crossfix.geo.geodesy import LocalFrame
from crossfix.locate import correlate
from crossfix.locate.features import Extractor, Features
from crossfix.maps.chip import Chip
from crossfix.maps.raster import GeoMap

Floats = npt.NDArray[np.float64]
Kept = TypeVar("Kept")

FEATURE_LIMIT = 3000
MAX_CROP_PX = 900
FEATURE_SQUARE_PX = 400
FEATURE_SPAN = 1.9
DENSE_SPAN = 2.2
_SIDE_STEP = 1.05
_KEPT_FEATURES = 96
_KEPT_TARGETS = 256
_KEPT_REGIONS = 24
MAX_REGION_PX = 640
MAX_REGION_READ_PX = 8000


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a north-up crop lie.

    Attributes:
        lon: the crop's centre, degrees.
        lat: the crop's centre, degrees.
        px: pixels a side.
        gsd_m: ground length of a pixel.
    """

    lon: float
    lat: float
    px: int
    gsd_m: float

    def local(self, xy_n2: Floats) -> Floats:
        """Pixels (n, 2) to east and north in metres from the crop's centre."""
        middle = (self.px - 1) / 2
        return np.column_stack([(xy_n2[:, 0] - middle) * self.gsd_m, (middle - xy_n2[:, 1]) * self.gsd_m])

    def to_local(self) -> Floats:
        """The same as a 3x3 matrix."""
        middle = (self.px - 1) / 2
        return np.array([[self.gsd_m, 0, -middle * self.gsd_m], [0, -self.gsd_m, middle * self.gsd_m], [0, 0, 1.0]])

    @property
    def frame(self) -> LocalFrame:
        """The frame of :meth:`local`."""
        return LocalFrame(self.lon, self.lat)


class Crops:
    """Reads crops and keeps features and correlation targets of the latest.

    Args:
        geomap: the map.
        extractor: of local features.
    """

    def __init__(self, geomap: GeoMap, extractor: Extractor) -> None:
        self._map = geomap
        self._extractor = extractor
        self._features: OrderedDict[tuple[object, ...], tuple[Grid, Features]] = OrderedDict()
        self._targets: OrderedDict[tuple[object, ...], tuple[Grid, correlate.Target]] = OrderedDict()
        self._regions: OrderedDict[tuple[object, ...], tuple[Grid, correlate.Target]] = OrderedDict()

    def features(self, lon: float, lat: float, side_m: float) -> tuple[Grid, Features]:
        """Local features around a place.

        Args:
            lon: degrees.
            lat: degrees.
            side_m: ground length of the query square's side; the crop is 1.9 times as long, at no finer resolution than 0.7 of the
                map's own and no more than 900 pixels a side.
        """
        # Sides on a ladder, so that photos from nearly the same height share their crops.
        side_m = _SIDE_STEP ** round(np.log(side_m) / np.log(_SIDE_STEP))
        gsd = max(side_m / FEATURE_SQUARE_PX, 0.7 * self._map.gsd_m)
        px = int(min(max(round(FEATURE_SPAN * side_m / gsd), 32), MAX_CROP_PX))

        def make() -> tuple[Grid, Features]:
            chip = self._map.read_square(lon, lat, px * gsd, px)
            return Grid(lon, lat, px, gsd), self._extractor.extract(chip.pixels, chip.valid, FEATURE_LIMIT)

        return _kept(self._features, (lon, lat, px, gsd), make, _KEPT_FEATURES)

    def target(self, lon: float, lat: float, side_m: float, template_px: int) -> tuple[Grid, correlate.Target]:
        """A place prepared for correlation.

        Args:
            lon: degrees.
            lat: degrees.
            side_m: ground length of the query square's side; the crop is 2.2 times as long.
            template_px: pixels along the query square's side.
        """
        gsd = side_m / template_px
        px = round(DENSE_SPAN * template_px)

        def make() -> tuple[Grid, correlate.Target]:
            chip: Chip = self._map.read_square(lon, lat, px * gsd, px)
            return Grid(lon, lat, px, gsd), correlate.prepare(chip.pixels, chip.valid, template_px)

        return _kept(self._targets, (lon, lat, template_px, round(side_m, 3)), make, _KEPT_TARGETS)

    def region(self, lon: float, lat: float, reach_m: float, side_m: float, template_px: int) -> tuple[Grid, correlate.Target] | None:
        """A whole region prepared for correlation.

        Args:
            lon: of its middle, degrees.
            lat: of its middle, degrees.
            reach_m: half of its side.
            side_m: ground length of the query square's side.
            template_px: pixels along the query square's side.

        Returns:
            None if the region is too large for it to be read or correlated quickly.
        """
        gsd = _SIDE_STEP ** round(np.log(side_m) / np.log(_SIDE_STEP)) / template_px
        px = round(2 * reach_m / gsd)
        if px > MAX_REGION_PX or 2 * reach_m > MAX_REGION_READ_PX * self._map.gsd_m:
            return None

        def make() -> tuple[Grid, correlate.Target]:
            chip = self._map.read_square(lon, lat, px * gsd, px)
            return Grid(lon, lat, px, gsd), correlate.prepare(chip.pixels, chip.valid, template_px)

        return _kept(self._regions, (lon, lat, px, gsd), make, _KEPT_REGIONS)


def _kept(store: OrderedDict[tuple[object, ...], Kept], key: tuple[object, ...], make: Callable[[], Kept], limit: int) -> Kept:
    if key not in store:
        store[key] = make()
        if len(store) > limit:
            store.popitem(last=False)
    store.move_to_end(key)
    return store[key]
