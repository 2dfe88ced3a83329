"""Rasters made for tests, placed by rasterio alone, so that they are an independent reference for our own placement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Geod
from rasterio.warp import transform as warp_points

GEOD = Geod(ellps="WGS84")


def write(path: Path, data: np.ndarray, crs: str | None, transform: Affine, **options: object) -> Path:
    """A raster of (bands, h, w) data."""
    profile = {"driver": "GTiff", "count": data.shape[0], "height": data.shape[1], "width": data.shape[2], "dtype": data.dtype}
    with rasterio.open(path, "w", crs=crs, transform=transform, **{**profile, **options}) as file:
        file.write(data)
    return path


def placed(crs: str, lon: float, lat: float, gsd: float, size: int, turn_deg: float = 0.0) -> Affine:
    """A transform that puts the middle of size x size pixels on a position; gsd in units of the system."""
    (x,), (y,) = warp_points("EPSG:4326", crs, [lon], [lat])
    cos, sin = gsd * np.cos(np.radians(turn_deg)), gsd * np.sin(np.radians(turn_deg))
    return Affine(cos, sin, x - (cos + sin) * size / 2, sin, -cos, y - (sin - cos) * size / 2)


def corner_to_system(transform: Affine, column: np.ndarray | float, row: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Where corner-based pixel coordinates lie."""
    return transform.a * column + transform.b * row + transform.c, transform.d * column + transform.e * row + transform.f


def pixel_positions(crs: str, transform: Affine, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Lon and lat of every pixel's centre, (h, w)."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = corner_to_system(transform, columns, rows)
    lon, lat = warp_points(crs, "EPSG:4326", x.ravel(), y.ravel())
    return np.reshape(lon, columns.shape), np.reshape(lat, columns.shape)


def blobs(lon: np.ndarray, lat: np.ndarray, at: list[tuple[float, float]], sigma_m: float) -> np.ndarray:
    """Bright spots around positions, (h, w) uint8."""
    out = np.zeros(lon.shape)
    for blob_lon, blob_lat in at:
        _, _, away = GEOD.inv(lon, lat, np.full(lon.shape, blob_lon), np.full(lon.shape, blob_lat))
        out += np.exp(-0.5 * (away / sigma_m) ** 2)
    return np.round(40 + 200 * np.minimum(out, 1)).astype(np.uint8)


def texture(size: int, seed: int = 0, bands: int = 3) -> np.ndarray:
    """Random patches of all sizes, (bands, size, size) uint8, never below 20."""
    rng = np.random.default_rng(seed)
    out = np.zeros((bands, size, size))
    for cell in (64, 32, 16, 8, 4):
        coarse = rng.random((bands, size // cell + 1, size // cell + 1))
        out += np.kron(coarse, np.ones((1, cell, cell)))[:, :size, :size]
    return np.round(20 + 220 * (out - out.min()) / np.ptp(out)).astype(np.uint8)


def town(path: Path, size: int = 400, seed: int = 0) -> Path:
    """A textured map of 1 m pixels in UTM zone 33."""
    return write(path, texture(size, seed), "EPSG:32633", placed("EPSG:32633", 15.2, 50.1, 1.0, size), photometric="RGB")
