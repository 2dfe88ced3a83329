"""CVACT's tree: panoramas with the satellite image around each, and a MATLAB index with positions in metres."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.io
from pyproj import Transformer

from crossfix.data.cvact import (
    FOLDERS,
    IDS,
    INDEX,
    PANORAMA_PX,
    PANORAMA_SUFFIX,
    PANORAMAS,
    POSITIONS,
    SATELLITE_PX,
    SATELLITE_SUFFIX,
    SATELLITES,
    SETS,
    UTM_EPSG,
)
from crossfix.worlds.devices import whole_file
from crossfix.worlds.sets.plan import Rows, SetWriter
from crossfix.worlds.sites import Ground, Site, Studio

_SIDE_M = 68.0
_SPACING_M = 50.0
_CANBERRA = (148.9, -35.5)


class CvactWriter(SetWriter):
    """Full panoramas, north in the middle column. The validation pairs are in the test folder too, as published."""

    name = "cvact"

    def ground(self, half: str) -> Ground:
        """Open ground near Canberra, 50 m apart and more; the test lies 0.2 degrees east of the training."""
        return Ground(self.plan.regions, 600.0, _SPACING_M, on_foot=True, lon=_CANBERRA[0] + 0.2 * (half == "test"), lat=_CANBERRA[1])

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """Both pictures of a pair, and its position."""
        name = f"{half}{site.number:07d}"
        folders = (FOLDERS["train"],) if half == "train" else (FOLDERS["val"], FOLDERS["test"])
        self.pictures(
            [f"{folder}/{PANORAMAS}/{name}{PANORAMA_SUFFIX}" for folder in folders],
            lambda: studio.panorama(site, self.plan.size(PANORAMA_PX)),
        )
        self.pictures(
            [f"{folder}/{SATELLITES}/{name}{SATELLITE_SUFFIX}" for folder in folders],
            lambda: studio.satellite(site, _SIDE_M, self.plan.px(SATELLITE_PX)),
        )
        return {"name": name, "lon": site.lon, "lat": site.lat}

    def lists(self, rows: dict[str, Rows]) -> None:
        """The index: ids, UTM positions, and the rows of each split from 1."""
        every = [row for found in rows.values() for row in found]
        east, north = Transformer.from_crs(4326, UTM_EPSG, always_xy=True).transform([r["lon"] for r in every], [r["lat"] for r in every])
        number = {row["name"]: line for line, row in enumerate(every, start=1)}
        of_split = {"train": rows.get("train", []), "val": rows.get("test", []), "test": rows.get("test", [])}
        content: dict[str, Any] = {
            IDS: np.array([row["name"] for row in every], dtype=object)[:, None],
            POSITIONS: np.stack([east, north], axis=1),
        }
        for split, (structure, field) in SETS.items():
            lines = np.array([[number[row["name"]]] for row in of_split[split]], np.float64).reshape(-1, 1)
            content[structure] = {"description": split, field: lines}
        with whole_file(self.root / INDEX) as temporary:
            scipy.io.savemat(temporary, content)
