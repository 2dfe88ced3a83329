"""One raster file: opened by an allow-list of drivers, read in windows as 8-bit RGB with a mask.

Memory is bounded whatever the file's size: what is read is reduced while it is read, tile by tile, through the file's overviews if it
has any.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from crossfix.errors import RasterError
from crossfix.maps.chip import Floats
from crossfix.maps.georeference import Georeference, read_georeference

# First bytes -> driver. The content decides, never the name: GDAL would take a file that calls other files or addresses (VRT) by any name.
DRIVERS = (
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),
    (b"MM\0+", "GTiff"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"SQLite format 3\0", "MBTiles"),
)
GDAL_CACHE_BYTES = 128 * 2**20
MAX_BLOCK_BYTES = 256 * 2**20
MAX_PATCH_PIXELS = 32 * 2**20
TILE = 4096
COARSE_PX = 2048
JPEG_NOISE = 8
STRETCH_PERCENTILES = (2.0, 98.0)
FINGERPRINT_PIECES = 16
FINGERPRINT_PIECE_BYTES = 65536


@dataclass(frozen=True, eq=False)
class Patch:
    """A window of a raster, reduced.

    Args:
        rgb: (h, w, 3) uint8.
        valid: (h, w) bool, or None where everything is valid.
        x0: pixels of the raster, the outer left edge of the first column.
        y0: pixels, the outer upper edge of the first row.
        step_x: raster pixels per column.
        step_y: raster pixels per row.
    """

    rgb: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None
    x0: int
    y0: int
    step_x: int
    step_y: int

    def from_pixel(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """The raster's pixel-centre coordinates as those of the patch."""
        return (x + 0.5 - self.x0) / self.step_x - 0.5, (y + 0.5 - self.y0) / self.step_y - 0.5


@dataclass(frozen=True, eq=False)
class Coarse:
    """What a whole raster looks like from afar: where it has data, and the range of its values.

    Args:
        valid: (h, w) bool; a plain collar without a mask counts as no data.
        low: (bands,) values shown black.
        high: (bands,) values shown at full brightness.
    """

    valid: NDArray[np.bool_]
    low: Floats
    high: Floats


@contextmanager
def gdal(path: Path) -> Iterator[None]:
    """GDAL with a bounded cache, its errors turned into ours.

    Args:
        path: the file that is at fault if anything goes wrong.

    Raises:
        RasterError: GDAL could not open or read it.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except (RasterioError, OSError, ValueError, rasterio._err.CPLE_BaseError) as error:
        reason = str(error.__cause__ or error).strip().rstrip(".").replace(str(path), path.name)
        raise RasterError(
            f"cannot be read as a raster ({reason})", where=path, mend="the file is damaged or cut short: copy or make it again"
        ) from error


class Source:
    """An opened raster.

    Args:
        path: its file.

    Raises:
        RasterError: there is no such file, it is no raster of an accepted kind, it is damaged, or it is not placed on Earth.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        driver = _driver(path)
        with gdal(path):
            self._dataset: Any = rasterio.open(path.resolve(), driver=driver)
            try:
                self._refuse_unusable()
                self.georeference: Georeference = read_georeference(self._dataset, path)
                self.width, self.height = int(self._dataset.width), int(self._dataset.height)
                self._bands = _bands(self._dataset)
                self._palette = _palette(self._dataset, self._bands)
                flags = [self._dataset.mask_flag_enums[band - 1] for band in self._bands]
            except BaseException:
                self.close()
                raise
        self._masked = any(MaskFlags.all_valid not in flag for flag in flags)
        self._mask_bands = self._bands if any(MaskFlags.nodata in flag for flag in flags) else self._bands[:1]
        self._coarse_step = max(1, math.ceil(max(self.width, self.height) / COARSE_PX))
        self._eight_bit = self._dataset.dtypes[self._bands[0] - 1] == "uint8"

    def close(self) -> None:
        """Lets go of the file."""
        self._dataset.close()

    def fingerprint(self) -> dict[str, str | int]:
        """What tells whether a file is still the one it was.

        Returns:
            size in bytes, a SHA-256 over pieces of the content, and one over the georeference (which may lie beside the file).

        Raises:
            RasterError: the file cannot be read.
        """
        size = self.path.stat().st_size
        digest = hashlib.sha256()
        with gdal(self.path), self.path.open("rb") as file:
            for piece in range(FINGERPRINT_PIECES):
                file.seek(max(0, size - FINGERPRINT_PIECE_BYTES) * piece // (FINGERPRINT_PIECES - 1))
                digest.update(file.read(FINGERPRINT_PIECE_BYTES))
        place = hashlib.sha256(self.georeference.describe().encode()).hexdigest()
        return {"bytes": size, "content": digest.hexdigest(), "georeference": place}

    @cached_property
    def coarse(self) -> Coarse:
        """The whole raster in at most 2048 pixels a side; reads all of it once, through overviews if there are any."""
        data, valid = self._read_reduced(0, 0, self.width, self.height, self._coarse_step, self._coarse_step)
        known = np.ones(data.shape[1:], bool) if valid is None else valid
        if not self._masked:
            known = known & ~_collar(data)
        samples = data[:, known]
        if self._eight_bit or samples.size == 0:
            return Coarse(known, np.zeros(len(self._bands)), np.full(len(self._bands), 255.0))
        low, high = np.percentile(samples.astype(np.float64), STRETCH_PERCENTILES, axis=1)
        return Coarse(known, low, np.where(high > low, high, low + 1))

    def covers(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Whether there is data at positions, to the resolution of :attr:`coarse`.

        Args:
            lon: degrees, any shape.
            lat: degrees, of the same shape.

        Returns:
            bool, of the same shape.
        """
        x, y = self.georeference.to_pixel(lon, lat)
        with np.errstate(invalid="ignore"):
            inside = (x >= -0.5) & (y >= -0.5) & (x <= self.width - 0.5) & (y <= self.height - 0.5)
        height, width = self.coarse.valid.shape
        column = np.where(inside, (x + 0.5) / self._coarse_step, 0).astype(np.int64).clip(0, width - 1)
        row = np.where(inside, (y + 0.5) / self._coarse_step, 0).astype(np.int64).clip(0, height - 1)
        return np.asarray(inside & self.coarse.valid[row, column])

    def read(self, x: tuple[float, float], y: tuple[float, float], step_x: int, step_y: int) -> Patch | None:
        """A window as 8-bit RGB, averaged over whole steps.

        The steps are aligned with the raster's first pixel, so that the same ground gets the same values whatever the window.

        Args:
            x: pixel-centre coordinates, the leftmost and rightmost that are needed.
            y: the same downwards.
            step_x: raster pixels that become one column.
            step_y: raster pixels that become one row.

        Returns:
            The part of the window that lies on the raster with a margin of one step, or None if none does.

        Raises:
            RasterError: the file is damaged.
        """
        while (x[1] - x[0]) / step_x * ((y[1] - y[0]) / step_y) > MAX_PATCH_PIXELS:
            step_x, step_y = 2 * step_x, 2 * step_y
        x0, x1 = _aligned(x, step_x, self.width)
        y0, y1 = _aligned(y, step_y, self.height)
        if x0 >= x1 or y0 >= y1:
            return None
        data, valid = self._read_reduced(x0, y0, x1, y1, step_x, step_y)
        return Patch(self._to_rgb(data), valid, x0, y0, step_x, step_y)

    def _read_reduced(self, x0: int, y0: int, x1: int, y1: int, step_x: int, step_y: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        width, height = math.ceil((x1 - x0) / step_x), math.ceil((y1 - y0) / step_y)
        data = np.empty((len(self._bands), height, width), dtype=self._dataset.dtypes[self._bands[0] - 1])
        valid = np.ones((height, width), dtype=bool)
        resampling = Resampling.nearest if self._palette is not None else Resampling.average
        with gdal(self.path):
            for top, bottom in _tiles(y1 - y0, step_y):
                for left, right in _tiles(x1 - x0, step_x):
                    xa, ya = x0 + left * step_x, y0 + top * step_y
                    window = Window(xa, ya, min(x1, x0 + right * step_x) - xa, min(y1, y0 + bottom * step_y) - ya)
                    shape = (bottom - top, right - left)
                    out = np.s_[top:bottom, left:right]
                    data[:, *out] = self._dataset.read(
                        self._bands, window=window, out_shape=(len(self._bands), *shape), resampling=resampling
                    )
                    if self._masked:
                        mask = self._dataset.read_masks(
                            self._mask_bands, window=window, out_shape=(len(self._mask_bands), *shape), resampling=resampling
                        )
                        valid[out] = (mask >= 128).any(axis=0)
        if data.dtype.kind == "f":
            finite = np.isfinite(data).all(axis=0)
            valid &= finite
            data[:, ~finite] = 0
        return data, None if valid.all() else valid

    def _to_rgb(self, data: NDArray[Any]) -> NDArray[np.uint8]:
        if self._palette is not None:
            return np.asarray(self._palette[data[0]])
        if not self._eight_bit:
            low = self.coarse.low.astype(np.float32)[:, None, None]
            high = self.coarse.high.astype(np.float32)[:, None, None]
            data = np.clip((data.astype(np.float32) - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
        if data.shape[0] == 1:
            data = np.repeat(data, 3, axis=0)
        return np.ascontiguousarray(np.moveaxis(data, 0, -1), dtype=np.uint8)

    def _refuse_unusable(self) -> None:
        dataset, path = self._dataset, self.path
        names = [band.name for band in dataset.colorinterp]
        if dataset.count == 0:
            raise RasterError("holds no picture", where=path, mend="give a raster with at least one band")
        if any(dtype.startswith("complex") for dtype in dataset.dtypes):
            raise RasterError("holds complex numbers, no picture", where=path, mend="convert it to an amplitude picture first")
        if "cyan" in names:
            raise RasterError("holds print colours (CMYK)", where=path, mend="convert it to RGB first")
        for (rows, columns), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True):
            if rows * columns * np.dtype(dtype).itemsize > MAX_BLOCK_BYTES:
                raise RasterError(
                    f"is stored in blocks of {columns} x {rows} pixels, which cannot be read piece by piece",
                    where=path,
                    mend="rewrite it with gdal_translate -co TILED=YES -co COMPRESS=DEFLATE",
                )


def _driver(path: Path) -> str:
    kinds = "give a GeoTIFF, an MBTiles file, or a JPEG or PNG with a world file and a .prj"
    if path.is_dir():
        raise RasterError("is a folder, not a raster", where=path, mend=f"{kinds}; pack a folder of tiles into one of them first")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError as error:
        raise RasterError("there is no such file", where=path, mend=kinds) from error
    except OSError as error:
        raise RasterError(f"cannot be opened ({error.strerror})", where=path, mend="check its permissions") from error
    if not head:
        raise RasterError("is empty", where=path, mend="copy or make it again")
    for magic, driver in DRIVERS:
        if head.startswith(magic):
            return driver
    raise RasterError("is no raster of a kind that is accepted", where=path, mend=kinds)


def _bands(dataset: Any) -> list[int]:  # noqa: ANN401 - rasterio has no types
    """Red, green, blue by name; else the first three that are no alpha; else the first as grey."""
    names = [band.name for band in dataset.colorinterp]
    if {"red", "green", "blue"} <= set(names):
        return [names.index(colour) + 1 for colour in ("red", "green", "blue")]
    plain = [band + 1 for band, name in enumerate(names) if name != "alpha"]
    if not plain:
        raise RasterError("has only an alpha band", where=dataset.name, mend="give a raster with a picture")
    return plain[:3] if len(plain) >= 3 else plain[:1]


def _palette(dataset: Any, bands: list[int]) -> NDArray[np.uint8] | None:  # noqa: ANN401 - rasterio has no types
    if dataset.colorinterp[bands[0] - 1].name != "palette":
        return None
    colours = dataset.colormap(bands[0])
    table = np.zeros((65536 if dataset.dtypes[bands[0] - 1] == "uint16" else 256, 3), dtype=np.uint8)
    for value, colour in colours.items():
        table[value] = colour[:3]
    return table


def _collar(data: NDArray[Any]) -> NDArray[np.bool_]:
    """What warping and mosaicking leave around the picture of a raster without a mask.

    That is what reaches in from the border and is black or, in 8 bit, white (give or take what JPEG does to it), or has the very value
    of a corner.
    """
    plain = (data <= (JPEG_NOISE if data.dtype == np.uint8 else 0)).all(axis=0)
    if data.dtype == np.uint8:
        plain |= (data >= 255 - JPEG_NOISE).all(axis=0)
    for corner in (data[:, :1, :1], data[:, :1, -1:], data[:, -1:, :1], data[:, -1:, -1:]):
        plain |= (data == corner).all(axis=0)
    framed = np.pad(plain, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(framed, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] == labels[0, 0])


def _tiles(size: int, step: int) -> Iterator[tuple[int, int]]:
    """Spans of steps that are read at once; what is less than a step at the end comes by itself, so that all others are whole."""
    whole, at_once = size // step, max(1, TILE // step)
    for start in range(0, whole, at_once):
        yield start, min(whole, start + at_once)
    if size % step:
        yield whole, whole + 1


def _aligned(span: tuple[float, float], step: int, size: int) -> tuple[int, int]:
    first = math.floor((span[0] + 0.5) / step) - 1
    last = math.ceil((span[1] + 0.5) / step) + 1
    return max(0, first * step), min(size, last * step)
