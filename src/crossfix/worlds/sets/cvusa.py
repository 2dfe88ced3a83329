"""CVUSA's tree: panoramas with the satellite image around each, two lists, and a table of positions."""

from __future__ import annotations

from typing import Any

from crossfix.data.cvusa import ANNOTATION_NAME, ANNOTATIONS, IMAGE_NAME, LISTS, LOCATIONS, PANORAMA_PX, PANORAMAS, SATELLITE_PX, SATELLITES
from crossfix.worlds.sets.plan import Rows, SetWriter
from crossfix.worlds.sites import Ground, Site, Studio

_SIDE_M = 170.0
_SPACING_M = 70.0


class CvusaWriter(SetWriter):
    """Panoramas 360 degrees around, cut to 65 degrees of height about the horizon, north in the middle column."""

    name = "cvusa"

    def ground(self, half: str) -> Ground:
        """Open ground, 70 m apart and more."""
        return Ground(self.plan.regions, 600.0, _SPACING_M, on_foot=True)

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """Both pictures of a pair, and its positions."""
        number = site.number + 1 + (self.plan.places if half == "test" else 0)
        self.picture(f"{PANORAMAS}/{IMAGE_NAME.format(number)}", lambda: studio.panorama(site, self.plan.size(PANORAMA_PX)))
        self.picture(f"{SATELLITES}/{IMAGE_NAME.format(number)}", lambda: studio.satellite(site, _SIDE_M, self.plan.px(SATELLITE_PX)))
        return {"number": number, "lon": site.lon, "lat": site.lat}

    def lists(self, rows: dict[str, Rows]) -> None:
        """The lists of both halves, and the positions of all pairs: line N is pair N."""
        for half, found in rows.items():
            names = ((IMAGE_NAME.format(row["number"]), ANNOTATION_NAME.format(row["number"])) for row in found)
            self.text(LISTS[half], "".join(f"{SATELLITES}/{image},{PANORAMAS}/{image},{ANNOTATIONS}/{label}\n" for image, label in names))
        known = {row["number"]: f"{row['lat']:.8f},{row['lon']:.8f}" for found in rows.values() for row in found}
        lines = (f"{at},{at},0\n" for at in (known.get(number, "0,0") for number in range(1, max(known) + 1)))
        self.text(LOCATIONS, "".join(lines))
