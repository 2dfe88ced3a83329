"""Writes a world as files: its map as a GeoTIFF, photos of it as cameras store them, and the truth beside them."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform as reproject
from rasterio.windows import Window

from crossfix.errors import DiskError, InputError
from crossfix.worlds.devices import store_photo, whole_file, writing
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.poses import Kind, OpenGround, Pose, drone_pose, satellite_pose
from crossfix.worlds.scene import Scene
from crossfix.worlds.sensor import Sensor
from crossfix.worlds.world import World

Report = Callable[[int, int], None]

TRUTH_COLUMNS = (
    "photo", "kind", "lat", "lon", "centre_lat", "centre_lon", "height_m", "heading_deg", "pitch_deg", "fov_deg", "side_m", "epoch",
)  # fmt: skip
"""Columns of truth.csv: `lat, lon` is the camera, `centre_*` the ground in the middle of the picture; what does not apply is empty."""

TILE_PX = 512
_PAD_PX = 4  # around a tile, so that the sensor's blur does not show where tiles meet
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
    px = round(world.size_m / gsd_m) if gsd_m > 0 else 0
    if not 16 <= px <= 100_000:
        raise InputError(f"{gsd_m:g} m a pixel makes no map of {world.size_m:g} m", mend="choose a map of 16 to 100,000 pixels a side")
    crs, grid = _grid(world, px, gsd_m)
    sensor = Sensor.draw(int(keyed_rng(scene.epoch.seed, "map").integers(2**31)))
    corners = [(row, column) for row in range(0, px, TILE_PX) for column in range(0, px, TILE_PX)]
    windows = [Window(column, row, min(TILE_PX, px - column), min(TILE_PX, px - row)) for row, column in corners]

    def render(window: Window) -> npt.NDArray[np.uint8]:
        rows, columns = window.height + 2 * _PAD_PX, window.width + 2 * _PAD_PX
        east, north, side, heading = _in_frame(world, crs, grid, window, columns * gsd_m)
        where = (int(window.row_off), int(window.col_off))
        shot = scene.ortho(east, north, side, (rows, columns), heading, sensor=sensor, where=where)
        return shot.rgb[_PAD_PX:-_PAD_PX, _PAD_PX:-_PAD_PX]

    profile = {
        "driver": "GTiff", "width": px, "height": px, "count": 3, "dtype": "uint8", "crs": crs, "transform": grid, "photometric": "RGB",
        "tiled": True, "blockxsize": TILE_PX, "blockysize": TILE_PX, "compress": "deflate", "predictor": 2, "bigtiff": "if_safer",
    }  # fmt: skip
    made = {"region": world.region.name, "seed": world.seed, "size_m": world.size_m, "epoch": scene.epoch.to_dict()}
    checks: list[int] = []
    with whole_file(path) as temporary:
        with ThreadPoolExecutor(_THREADS) as pool, rasterio.open(temporary, "w", **profile) as raster:
            raster.update_tags(TIFFTAG_SOFTWARE="crossfix", WORLD=json.dumps(made, sort_keys=True))
            for start in range(0, len(windows), _THREADS):
                part = windows[start : start + _THREADS]
                for window, rgb in zip(part, pool.map(render, part), strict=True):
                    raster.write(np.moveaxis(rgb, -1, 0), window=window)
                    checks.append(zlib.crc32(np.moveaxis(rgb, -1, 0).tobytes()))
                if progress:
                    progress(start + len(part), len(windows))
        # GDAL writes the last tiles when it closes the file, and says nothing of a disk that is full by then.
        if _checks(temporary, windows) != checks:
            raise DiskError("cannot be written (not all of it arrived)", where=path, mend="check the free space")
    return path


def _checks(path: Path, windows: list[Window]) -> list[int]:
    try:
        with rasterio.open(path) as raster:
            return [zlib.crc32(raster.read(window=window).tobytes()) for window in windows]
    except RasterioError:
        return []


def _grid(world: World, px: int, gsd_m: float) -> tuple[str, Affine]:
    crs = f"EPSG:{utm_epsg(world.frame.lon, world.frame.lat)}"
    (east,), (north,) = reproject("EPSG:4326", crs, [world.frame.lon], [world.frame.lat])
    left, top = (round((middle + half) / gsd_m) * gsd_m for middle, half in ((east, -px * gsd_m / 2), (north, px * gsd_m / 2)))
    return crs, Affine(gsd_m, 0, left, 0, -gsd_m, top)


def _in_frame(world: World, crs: str, grid: Affine, window: Window, width: float) -> tuple[float, float, float, float]:
    """East, north, width in metres and bearing of the upper edge in the world's frame, of a window that is `width` wide on the grid."""
    east = grid.c + grid.a * (window.col_off + window.width / 2)
    north = grid.f + grid.e * (window.row_off + window.height / 2)
    lon, lat = reproject(crs, "EPSG:4326", [east] * 3, [north, north - width / 2, north + width / 2])
    x, y = world.frame.to_local(np.array(lon), np.array(lat))
    across, along = x[2] - x[1], y[2] - y[1]
    return float(x[0]), float(y[0]), math.hypot(across, along), math.degrees(math.atan2(across, along))


def write_photos(
    world: World,
    scene: Scene,
    folder: Path,
    *,
    kind: Kind,
    count: int,
    seed: int,
    size: tuple[int, int] = (800, 600),
    progress: Report | None = None,
) -> Path:
    """Write photos of a world as JPEG files, and truth.csv beside them.

    Drone photos carry the EXIF and XMP of a DJI drone, ground photos those of a phone, with the errors of such devices; satellite images
    carry none. Each picture draws its own exposure and colours.

    Args:
        world: the world.
        scene: the world at an epoch.
        folder: where they go; made if it does not exist.
        kind: `drone`, `ground` or `satellite`.
        count: how many.
        seed: of the set: the same seed takes the same photos.
        size: width and height in pixels.
        progress: told the photos done and in all.

    Returns:
        The path of truth.csv, which is written last; its columns are :data:`TRUTH_COLUMNS`.

    Raises:
        InputError: a count or a size that makes no sense.
        DiskError: a file cannot be written.
    """
    if count < 1 or min(size) < 16 or max(size) > 8192:
        raise InputError(f"{count} photos of {size[0]} x {size[1]} pixels", mend="choose one photo or more, of 16 to 8192 pixels a side")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    open_ground = OpenGround(world, scene) if kind == "ground" else None

    def take(index: int) -> dict[str, str | float]:
        name = f"{kind}_{index:04d}.jpg"
        if open_ground:
            pose = open_ground.pose(seed, index, size)
        elif kind == "drone":
            pose = drone_pose(world, seed, index, size)
        else:
            pose = satellite_pose(world, seed, index, size)
        rng = keyed_rng(seed, "device", kind, index)
        store_photo(folder / name, _picture(scene, pose, Sensor.draw(int(rng.integers(2**31)))), world, scene.epoch, pose, kind, rng)
        return _truth(name, kind, world, scene, pose)

    rows = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for row in pool.map(take, range(count)):
            rows.append(row)
            if progress:
                progress(len(rows), count)
    table = io.StringIO()
    writer = csv.DictWriter(table, TRUTH_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(folder / "truth.csv") as temporary:
        temporary.write_text(table.getvalue(), encoding="utf-8")
    return folder / "truth.csv"


def _picture(scene: Scene, pose: Pose, sensor: Sensor) -> npt.NDArray[np.uint8]:
    camera = pose.camera
    if pose.side_m is None:
        return scene.perspective(camera, sensor=sensor).rgb
    return scene.ortho(camera.east_m, camera.north_m, pose.side_m, (camera.height, camera.width), sensor=sensor).rgb


def _truth(name: str, kind: Kind, world: World, scene: Scene, pose: Pose) -> dict[str, str | float]:
    camera = pose.camera
    row: dict[str, str | float] = {"photo": name, "kind": kind, "epoch": scene.epoch.seed, "heading_deg": f"{camera.heading_deg:.4f}"}
    row["pitch_deg"] = f"{camera.pitch_deg:.4f}"
    if pose.height_m is not None:
        lon, lat = world.frame.to_lonlat(camera.east_m, camera.north_m)
        row |= {"lat": f"{lat:.9f}", "lon": f"{lon:.9f}", "height_m": f"{pose.height_m:.3f}", "fov_deg": f"{camera.fov_deg:.4f}"}
    if pose.centre is not None:
        lon, lat = world.frame.to_lonlat(*pose.centre)
        row |= {"centre_lat": f"{lat:.9f}", "centre_lon": f"{lon:.9f}"}
    if pose.side_m is not None:
        row["side_m"] = f"{pose.side_m:.3f}"
    return row
