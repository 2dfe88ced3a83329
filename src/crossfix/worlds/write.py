"""Writes a world as files: its map as a GeoTIFF, photos of it as cameras store them, and the truth beside them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import Affine
from rasterio.warp import transform as reproject
from rasterio.windows import Window

from crossfix.errors import InputError
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.scene import Scene
from crossfix.worlds.sensor import Sensor
from crossfix.worlds.world import World

Report = Callable[[int, int], None]
Rgb = npt.NDArray[np.uint8]

TRUTH_COLUMNS = (
    "photo", "kind", "lat", "lon", "centre_lat", "centre_lon", "height_m", "heading_deg", "pitch_deg", "fov_deg", "side_m", "epoch",
)  # fmt: skip
"""Columns of truth.csv: `lat, lon` is the camera, `centre_*` the ground in the middle of the picture; what does not apply is empty."""

TILE_PX = 512
GPS_NOISE_M = {"drone": 1.5, "ground": 4.0}
COMPASS_NOISE_DEG = {"drone": 2.0, "ground": 8.0}
GROUND_MSL_M = 400.0
"""Height above sea level of the plane z = 0."""

_PAD_PX = 4  # around a block, so that the sensor's blur does not show where blocks meet
_SENSOR_MM = 36.0 / 6.4  # long side of a sensor of a 1/2.3-inch camera relative to 35 mm film
_THREADS = os.cpu_count() or 1


def utm_epsg(lon: float, lat: float) -> int:
    """EPSG code of the WGS 84 UTM zone of a position.

    Args:
        lon: degrees.
        lat: degrees.

    Raises:
        InputError: too near to a pole for UTM.
    """
    if not -80 <= lat <= 84:
        raise InputError(f"latitude {lat:g} is outside the UTM zones", mend="choose one between -80 and 84")
    return (32600 if lat >= 0 else 32700) + int((lon + 180) % 360 // 6) + 1


def write_map(world: World, scene: Scene, path: Path, *, gsd_m: float = 0.5, progress: Report | None = None) -> Path:
    """Write a world's square seen from above as a GeoTIFF in its UTM zone.

    A true orthophoto: roofs stand over their footprints. The raster is aligned with the UTM grid, centred on the world and as wide as it.
    It is rendered and written tile by tile (8 bit RGB, deflate), each turned and scaled from the grid to the world's frame, which
    places every pixel within millimetres. The file appears when it is whole.

    Args:
        world: the world.
        scene: the world at an epoch.
        path: the GeoTIFF; replaced if it exists.
        gsd_m: side of a pixel in metres of the grid.
        progress: told the tiles done and in all.

    Returns:
        The path.

    Raises:
        InputError: a resolution that makes no sense, or a world too near to a pole.
        DiskError: the file cannot be written.
    """
    if not 0.02 <= gsd_m <= world.size_m / 16:
        raise InputError(
            f"a resolution of {gsd_m:g} m makes no map of {world.size_m:g} m", mend="choose 0.02 m or more, and 16 pixels or more"
        )
    crs = f"EPSG:{utm_epsg(world.frame.lon, world.frame.lat)}"
    (east,), (north,) = reproject("EPSG:4326", crs, [world.frame.lon], [world.frame.lat])
    px = round(world.size_m / gsd_m)
    corner_east, corner_north = (round((v + sign * px * gsd_m / 2) / gsd_m) * gsd_m for v, sign in ((east, -1), (north, 1)))
    grid = Affine(gsd_m, 0, corner_east, 0, -gsd_m, corner_north)
    sensor = Sensor.draw(int(keyed_rng(scene.epoch.seed, "map").integers(2**31)))
    windows = [
        Window(column, row, min(TILE_PX, px - column), min(TILE_PX, px - row)) for row in range(0, px, TILE_PX) for column in range(0, px, TILE_PX)
    ]  # fmt: skip

    def render(window: Window) -> Rgb:
        rows, columns = window.height + 2 * _PAD_PX, window.width + 2 * _PAD_PX
        x, y, side, heading = _in_frame(world, crs, grid, window, columns * gsd_m)
        where = (int(window.row_off), int(window.col_off))
        shot = scene.ortho(x, y, side, (rows, columns), heading, sensor=sensor, where=where)
        return shot.rgb[_PAD_PX:-_PAD_PX, _PAD_PX:-_PAD_PX]

    profile = {
        "driver": "GTiff", "width": px, "height": px, "count": 3, "dtype": "uint8", "crs": crs, "transform": grid, "photometric": "RGB",
        "tiled": True, "blockxsize": TILE_PX, "blockysize": TILE_PX, "compress": "deflate", "predictor": 2, "bigtiff": "if_safer",
    }  # fmt: skip
    with _whole_file(path) as temporary, ThreadPoolExecutor(_THREADS) as pool, rasterio.open(temporary, "w", **profile) as raster:
        raster.update_tags(TIFFTAG_SOFTWARE="crossfix", WORLD=_provenance(world, scene))
        for start in range(0, len(windows), _THREADS):
            part = windows[start : start + _THREADS]
            for window, rgb in zip(part, pool.map(render, part), strict=True):
                raster.write(np.moveaxis(rgb, -1, 0), window=window)
            if progress:
                progress(start + len(part), len(windows))
    return path


def _in_frame(world: World, crs: str, grid: Affine, window: Window, width: float) -> tuple[float, float, float, float]:
    """East, north, width in metres and bearing of the upper edge in the world's frame, of a window that is `width` wide on the grid."""
    east, north = (
        grid @ (window.col_off + window.width / 2, window.row_off + window.height / 2)
        if hasattr(grid, "__matmul__")
        else grid
        * (
            window.col_off + window.width / 2,
            window.row_off + window.height / 2,
        )
    )
    arm = width / 2
    lon, lat = reproject(crs, "EPSG:4326", [east, east, east], [north, north - arm, north + arm])
    x, y = world.frame.to_local(np.array(lon), np.array(lat))
    across, along = x[2] - x[1], y[2] - y[1]
    return float(x[0]), float(y[0]), math.hypot(across, along), math.degrees(math.atan2(across, along))
