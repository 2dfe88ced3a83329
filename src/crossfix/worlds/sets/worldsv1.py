"""worlds-v1's tree: training regions, new places of theirs, and three regions nobody trained on."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from crossfix.data.table import TABLE
from crossfix.data.worldsv1 import DRONE, FIRST_TRAIN, GROUND, HEIGHTS_M, LATER, PARTS, SATELLITE, SHOTS, TESTS
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.sets.plan import Rows, TreeWriter
from crossfix.worlds.sites import LATER as LATER_DAY
from crossfix.worlds.sites import PHOTO, SITES_A_WORLD, Ground, Site, Studio

TRAINING_REGIONS = ("suburb", "town", "downtown", "farmland", "industrial", "valley")
UNSEEN_REGIONS = {"near": "terraces", "middle": "delta", "far": "desert"}
DISTRACTORS_A_WORLD = 4
SIDE_M = 180.0
_SEED = 1
_SIZE_M = 700.0
_SPACING_M = 60.0
_REACH_M = 250.0
_LON_APART = 12.0  # of the parts on Earth
_PITCH_DEG = (-90.0, -50.0)
_FOV_DEG = (50.0, 75.0)
_OFF_M = 8.0  # a drone does not hang just above the place
_COLUMNS = ("file", "role", "place", "kind", "lat", "lon", "height_m", "heading_deg", "pitch_deg")


class WorldsV1Writer(TreeWriter):
    """The laboratory, in full or small; both from one seed, so that there is one of each.

    Args:
        root: the folder.
        small: fewer places and smaller pictures, for two cores and ten minutes.
    """

    name = "worlds-v1"

    def __init__(self, root: Path, *, small: bool = False) -> None:
        super().__init__(root, _SEED, PARTS)
        self.small = small
        self.px = 128 if small else 224

    def provenance(self) -> dict[str, Any]:
        """Which of the two it is."""
        return {"small": self.small}

    def ground(self, half: str) -> Ground:
        """Open ground, 60 m apart and more; parts lie far apart on Earth."""
        region = UNSEEN_REGIONS.get(half.removesuffix("-train"))
        regions = TRAINING_REGIONS if region is None else (region,)
        return Ground(regions, _SIZE_M, _SPACING_M, _REACH_M, on_foot=True, lon=-50.0 + _LON_APART * PARTS.index(half))

    def worlds(self, half: str) -> list[int]:
        """Twelve sites each."""
        tested = half in TESTS
        count = (12 if tested else 20) if self.small else (30 if tested else 80)
        return [SITES_A_WORLD] * count

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """All pictures of a place; of a distractor, the last four sites of each test world, the satellite image alone."""
        place = f"{site.number + 1:05d}"
        files = [self._satellite(studio, site, half, place)]
        if half not in TESTS:
            files += [self._drone(studio, site, half, place, f"{FIRST_TRAIN[:-1]}{shot + 1}", None) for shot in range(SHOTS)]
            files.append(self._panorama(studio, site, half, place))
        elif site.number % SITES_A_WORLD < SITES_A_WORLD - DISTRACTORS_A_WORLD:
            files += [self._drone(studio, site, half, place, f"{DRONE}-{height}m", height) for height in HEIGHTS_M]
            files.append(self._drone(studio, site, half, place, f"{DRONE}-{LATER}", 150))
            files.append(self._panorama(studio, site, half, place))
        return {"files": files}

    def lists(self, rows: dict[str, Rows]) -> None:
        """Each part's table."""
        for half, found in rows.items():
            text = io.StringIO()
            table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(file for row in found for file in row["files"])
            self.text(f"{half}/{TABLE}", text.getvalue())

    def _satellite(self, studio: Studio, site: Site, half: str, place: str) -> dict[str, Any]:
        file = f"{SATELLITE}/{place}.jpg"
        self.picture(f"{half}/{file}", lambda: studio.satellite(site, SIDE_M, self.px))
        return _row(file, "gallery", place, "satellite", site.lon, site.lat)

    def _drone(self, studio: Studio, site: Site, half: str, place: str, folder: str, height_m: int | None) -> dict[str, Any]:
        rng = keyed_rng(self.seed, "lab", half, site.number, folder)
        height = float(rng.uniform(HEIGHTS_M[0], HEIGHTS_M[-1])) if height_m is None else float(height_m)
        heading, pitch, fov = float(rng.uniform(0, 360)), float(rng.uniform(*_PITCH_DEG)), float(rng.uniform(*_FOV_DEG))
        away, towards = _OFF_M * math.sqrt(float(rng.uniform())), float(rng.uniform(0, 2 * math.pi))
        camera = studio.camera(site, (self.px, self.px), height, pitch, heading, fov)
        camera = replace(camera, east_m=camera.east_m + away * math.sin(towards), north_m=camera.north_m + away * math.cos(towards))
        file = f"{folder}/{place}.jpg"
        day = LATER_DAY if folder.endswith(LATER) else PHOTO
        self.picture(f"{half}/{file}", partial(studio.drone, site, folder, camera, day=day))
        lon, lat = studio.world.frame.to_lonlat(camera.east_m, camera.north_m)
        return _row(file, "query", place, "drone", float(lon), float(lat), height_m=height, heading_deg=heading, pitch_deg=pitch)

    def _panorama(self, studio: Studio, site: Site, half: str, place: str) -> dict[str, Any]:
        heading = float(keyed_rng(self.seed, "lab", half, site.number, GROUND).uniform(0, 360))
        file = f"{GROUND}/{place}.jpg"
        self.picture(f"{half}/{file}", lambda: studio.panorama(site, (2 * self.px, self.px // 2), heading_deg=heading))
        return _row(file, "query", place, "ground", site.lon, site.lat, heading_deg=heading)


def _row(file: str, role: str, place: str, kind: str, lon: float, lat: float, **known: float) -> dict[str, Any]:
    numbers = {name: f"{value:.2f}" for name, value in known.items()}
    return {"file": file, "role": role, "place": place, "kind": kind, "lat": f"{lat:.8f}", "lon": f"{lon:.8f}", **numbers}


DIGESTS = {
    "small": "5cd07e4ba00bae83601acf62f09acb78ced95afce57baabd79315347972910e6",
    "full": "b7bcbc47edbe89c391d307d5bb4660da5b2523b7ef7e186381319dabb002d85d",
}
"""What `digest` gives on the machine that the published figures come from."""


def digest(root: Path) -> str:
    """SHA-256 over every image and table of a finished laboratory: their paths and contents, in the order of the paths."""
    found = hashlib.sha256()
    for path in sorted(path for part in PARTS for path in (root / part).rglob("[!.]*") if path.is_file()):
        found.update(f"{path.relative_to(root).as_posix()}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
