"""GTA-UAV's tree: one large map cut into tiles of four zooms, photos anywhere over it, lists of which photo sees which tiles."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.data.gtauav import DRONE_FOLDER, PAIRS, SATELLITE_FOLDER
from crossfix.data.gtauav_pairs import TILE_PX, tile_centre, tile_side_m
from crossfix.errors import InputError
from crossfix.geo.camera import Camera
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.sets.plan import Rows, SetPlan, SetWriter
from crossfix.worlds.sites import SITES_A_WORLD, Ground, Site, Studio

DRONE_PX = (512, 384)
ZOOMS = (4, 5, 6, 7)
SHOTS = 4
POSITIVE_IOU = 0.39
SEMI_POSITIVE_IOU = 0.14

_CELL_M = tile_side_m(ZOOMS[0])
_WORLD_M = 960.0  # photos near the edge of a cell see what goes on beyond it
_SPACING_M = 60.0
_REACH_M = 300.0
_CELLS = 2 ** ZOOMS[0]
_STRIDE = 2  # between cells with a world: no photo's ground reaches the next one's tiles
_WORLDS = (_CELLS // _STRIDE) ** 2 // 2  # to a half
_HEIGHT_M = (80.0, 650.0)
_FOV_DEG = 55.0
_PITCH_DEG = 3.0  # standard deviation about straight down
_SHIFT_M = 40.0
_TRIES = 60


class GtaUavWriter(SetWriter):
    """Every world fills a tile of the lowest zoom, with all the tiles in it; the halves begin at opposite corners of the map.

    Four photos a place from 80 to 650 m, of which three have a positive tile and the last one at least a semi-positive one.
    ``cross-area`` lists hold a half each, ``same-area`` ones every other place of both. The gallery is every tile, as published.
    """

    name = "gtauav"

    def __init__(self, root: Path, plan: SetPlan) -> None:
        super().__init__(root, plan)
        most = _WORLDS * SITES_A_WORLD
        if plan.places > most:
            raise InputError(
                f"the map of GTA-UAV has room for {most} places a half, not {plan.places}", mend=f"give --places at most {most}"
            )

    def ground(self, half: str) -> Ground:
        """Places 60 m apart and more, within the world's tile."""
        return Ground(self.plan.regions, _WORLD_M, _SPACING_M, reach_m=_REACH_M)

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """The photos of a place and their entries; with a world's first place all tiles of the world."""
        cell = _cell(half, studio.number)
        names = _tiles(cell)
        if site.number % SITES_A_WORLD == 0:
            for name in names:
                east, north = (at - own for at, own in zip(_local(name, cell), (site.east_m, site.north_m), strict=True))
                side = tile_side_m(int(name.partition("_")[0]))
                tile = partial(studio.satellite, site, side, self.plan.px(TILE_PX), east_m=east, north_m=north)
                self.picture(f"{SATELLITE_FOLDER}/{name}", tile)
        entries = []
        for shot in range(SHOTS):
            camera, height, spot = self._camera(studio, site, shot, cell, names)
            number = SHOTS * (site.number + (self.plan.places if half == "test" else 0)) + shot
            name = f"{max(100, 100 * round(height / 100))}_{site.number:04d}_{number:010d}.png"
            self.picture(f"{DRONE_FOLDER}/{name}", partial(studio.drone, site, name, camera))
            entries.append(_entry(name, camera, height, spot, cell, names))
        return {"entries": entries}

    def lists(self, rows: dict[str, Rows]) -> None:
        """The four lists; those of a half that is not written are left out."""
        every = [row for found in rows.values() for row in found]
        chosen = {f"cross-area-{half}": found for half, found in rows.items()}
        chosen |= {"same-area-train": every[::2], "same-area-test": every[1::2]}
        for split, found in chosen.items():
            self.text(PAIRS[split], json.dumps([entry for row in found for entry in row["entries"]], indent=1))

    def _camera(self, studio: Studio, site: Site, shot: int, cell: tuple[int, int], names: list[str]) -> tuple[Camera, float, Site]:
        """The first draw that sees a tile well enough, its height above ground, and what it looks at."""
        rng = keyed_rng(studio.seed, "gtauav", site.number, shot)
        least = SEMI_POSITIVE_IOU if shot == SHOTS - 1 else POSITIVE_IOU
        best: tuple[float, Camera, float, Site] | None = None
        for _ in range(_TRIES):
            height = float(math.exp(rng.uniform(*np.log(_HEIGHT_M))))
            east, north = (float(np.clip(at + rng.uniform(-_SHIFT_M, _SHIFT_M), -_REACH_M, _REACH_M)) for at in (site.east_m, site.north_m))
            lon, lat = studio.world.frame.to_lonlat(east, north)
            spot = replace(site, east_m=east, north_m=north, lon=float(lon), lat=float(lat))
            pitch, heading = -90.0 + float(rng.normal(0, _PITCH_DEG)), float(rng.uniform(0, 360))
            camera = studio.camera(spot, self.plan.size(DRONE_PX), height, pitch, heading, _FOV_DEG)
            overlap = max(_overlaps(camera, height, cell, names).values())
            if best is None or overlap > best[0]:
                best = overlap, camera, height, spot
            if overlap > least:
                break
        assert best is not None
        return best[1:]


def _cell(half: str, number: int) -> tuple[int, int]:
    """Column and row of a world's tile of the lowest zoom, from the map's north-west."""
    row, column = (_STRIDE * at for at in divmod(number, _CELLS // _STRIDE))
    return (column, row) if half == "train" else (_CELLS - 1 - column, _CELLS - 1 - row)


def _tiles(cell: tuple[int, int]) -> list[str]:
    """Names of all tiles in a tile of the lowest zoom."""
    names = []
    for zoom in ZOOMS:
        parts = 2 ** (zoom - ZOOMS[0])
        names += [f"{zoom}_0_{parts * cell[0] + x}_{parts * cell[1] + y}.png" for y in range(parts) for x in range(parts)]
    return names


def _on_map(east: float, north: float, cell: tuple[int, int]) -> tuple[float, float]:
    """From a world's frame to the metres of the lists: x to the east, y to the south."""
    return (cell[0] + 0.5) * _CELL_M + east, (cell[1] + 0.5) * _CELL_M - north


def _local(name: str, cell: tuple[int, int]) -> tuple[float, float]:
    """Middle of a tile in its world's frame: east and north."""
    centre = tile_centre(name)
    assert centre is not None
    return centre[0] - (cell[0] + 0.5) * _CELL_M, (cell[1] + 0.5) * _CELL_M - centre[1]


def _overlaps(camera: Camera, height: float, cell: tuple[int, int], names: list[str]) -> dict[str, float]:
    """Intersection over union of each tile and of what a camera sees of level ground."""
    seen = replace(camera, up_m=height).footprint()
    return {name: _iou(seen, *_local(name, cell), tile_side_m(int(name.partition("_")[0]))) for name in names}


def _iou(seen: npt.NDArray[np.float64], east: float, north: float, side: float) -> float:
    corners = side / 2 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    shape = (seen - (east, north)).astype(np.float32)
    common = float(cv2.intersectConvexConvex(shape, corners.astype(np.float32))[0])
    return common / (float(cv2.contourArea(shape)) + side * side - common)


def _entry(name: str, camera: Camera, height: float, spot: Site, cell: tuple[int, int], names: list[str]) -> dict[str, Any]:
    """A photo's entry; as the authors have it, the second list holds the positive tiles too."""
    overlap = _overlaps(camera, height, cell, names)
    entry: dict[str, Any] = {
        "drone_img_dir": DRONE_FOLDER,
        "drone_img_name": name,
        "drone_loc_x_y": list(_on_map(spot.east_m, spot.north_m, cell)),
        "sate_img_dir": SATELLITE_FOLDER,
    }
    for which, least in (("pos", POSITIVE_IOU), ("pos_semipos", SEMI_POSITIVE_IOU)):
        chosen = [tile for tile in names if overlap[tile] > least]
        entry[f"pair_{which}_sate_img_list"] = chosen
        entry[f"pair_{which}_sate_weight_list"] = [overlap[tile] for tile in chosen]
        entry[f"pair_{which}_sate_loc_x_y_list"] = [tile_centre(tile) for tile in chosen]
    yaw = 180.0 - (camera.heading_deg + 180.0) % 360.0  # the game's, to the left
    attitude = {"cam_roll": camera.pitch_deg, "cam_pitch": 0.0, "cam_yaw": yaw}
    return {**entry, "drone_metadata": {"height": height, "drone_roll": 0.0, "drone_pitch": 0.0, "drone_yaw": yaw, **attitude}}
