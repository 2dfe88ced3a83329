"""Where a raster's pixels lie on Earth: by its transform and coordinate reference system, or by control points.

This is the one place that knows of the half pixel: rasterio's transforms and control points count from the outer corner of the first
pixel, everything of ours from its centre.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from scipy.interpolate import RBFInterpolator

from crossfix.errors import InputError, RasterError
from crossfix.geo.geodesy import LocalFrame
from crossfix.maps.chip import Floats

HALF_PIXEL = 0.5
MAX_PRJ_BYTES = 65536


class Georeference(Protocol):
    """Maps between positions and pixels of one raster, vectorised."""

    def to_pixel(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Pixel coordinates of positions.

        Args:
            lon: degrees, any shape.
            lat: degrees, of the same shape.

        Returns:
            x and y of pixel centres, (0, 0) being the centre of the top left pixel; not finite where the position cannot be expressed.
        """

    def to_lonlat(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Positions of pixel coordinates, the inverse of :meth:`to_pixel`.

        Args:
            x: pixels, any shape.
            y: pixels, of the same shape.

        Returns:
            lon and lat in degrees.
        """

    def describe(self) -> str:
        """A text that changes when the raster is placed elsewhere."""


class AffineGeoreference:
    """A transform (north-up or rotated) in a coordinate reference system.

    Args:
        transform: rasterio's affine transform from pixel corners to the system's x, y.
        crs: any coordinate reference system that is tied to Earth.
        size: width and height in pixels.
        where: the file, for messages.

    Raises:
        RasterError: the system cannot be tied to Earth, or the transform cannot be inverted.
    """

    def __init__(self, transform: Any, crs: CRS, size: tuple[int, int], where: Path) -> None:  # noqa: ANN401 - affine has no types
        self._transform = transform
        self._crs = crs
        if transform.determinant == 0 or not np.isfinite(list(transform[:6])).all():
            raise RasterError("its geotransform is degenerate", where=where, mend="georeference the raster again")
        self._inverse = ~transform
        try:
            self._from_lonlat = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
            self._from_crs = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        except ProjError as error:
            raise RasterError(
                f"its coordinate reference system ({crs.name}) cannot be tied to Earth",
                where=where,
                mend="set the right one with gdal_translate -a_srs EPSG:...",
            ) from error
        self._period = _period(crs)
        self._middle = _apply(transform, size[0] / 2, size[1] / 2)[0]
        lon, lat = self.to_lonlat(np.array([size[0] / 2]), np.array([size[1] / 2]))
        if not (np.isfinite(lon).all() and np.isfinite(lat).all() and np.abs(lat).max() <= 90):
            raise RasterError(
                f"its middle is no position on Earth in its coordinate reference system ({crs.name})",
                where=where,
                mend="set the right one with gdal_translate -a_srs EPSG:...",
            )

    def to_pixel(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """See :class:`Georeference`."""
        x, y = self._from_lonlat.transform(lon, lat)
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if self._period:
            with np.errstate(invalid="ignore"):
                x = x - self._period * np.round((x - self._middle) / self._period)
        with np.errstate(invalid="ignore"):
            column, row = _apply(self._inverse, x, y)
        return column - HALF_PIXEL, row - HALF_PIXEL

    def to_lonlat(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See :class:`Georeference`."""
        east, north = _apply(self._transform, x + HALF_PIXEL, y + HALF_PIXEL)
        lon, lat = self._from_crs.transform(east, north)
        return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)

    def describe(self) -> str:
        """See :class:`Georeference`."""
        return f"{list(self._transform[:6])} {self._crs.to_wkt()}"


class ControlPoints:
    """Ground control points, joined by thin-plate splines in a local frame in metres.

    The splines go through every point, are exact for any affine placement, and know neither the antimeridian nor mirrored columns.

    Args:
        points: rasterio's ground control points: row, col (from the corner), x, y.
        crs: what x, y are given in.
        where: the file, for messages.

    Raises:
        RasterError: fewer than three points, points on one line or twice in one place, or points that are no positions on Earth.
    """

    def __init__(self, points: list[Any], crs: CRS, where: Path) -> None:
        pixels = np.array([(p.col - HALF_PIXEL, p.row - HALF_PIXEL) for p in points], dtype=np.float64).reshape(-1, 2)
        try:
            lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform([p.x for p in points], [p.y for p in points])
            lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
            frame = LocalFrame(float(lon[0]), float(lat[0]))
            middle = [float(np.mean(axis)) for axis in frame.to_local(lon, lat)]
            self._frame = LocalFrame(*frame.to_lonlat(*middle))
            metres = np.stack(self._frame.to_local(lon, lat), axis=1)
            self._reach_m = float(np.hypot(metres[:, 0], metres[:, 1]).max())
            self._to_pixel, self._to_metres = _spline(metres, pixels), _spline(pixels, metres)
        except (ProjError, InputError, IndexError, ValueError, np.linalg.LinAlgError) as error:
            raise RasterError(
                f"its {len(points)} ground control points do not place it on Earth",
                where=where,
                mend="give at least three points that do not lie on one line, in a known coordinate reference system",
            ) from error
        self._key = np.concatenate([pixels, metres], axis=1)

    def to_pixel(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """See :class:`Georeference`."""
        east, north = (np.asarray(axis, dtype=np.float64) for axis in self._frame.to_local(lon, lat))
        # Far from its points a spline may fold back into the picture.
        far = ~(np.hypot(east, north) < 2 * self._reach_m)
        return self._bend(self._to_pixel, np.where(far, np.nan, east), np.where(far, np.nan, north))

    def to_lonlat(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See :class:`Georeference`."""
        return self._frame.to_lonlat(*self._bend(self._to_metres, x, y))

    def describe(self) -> str:
        """See :class:`Georeference`."""
        return f"{self._frame} {np.round(self._key, 6).tolist()}"

    @staticmethod
    def _bend(spline: RBFInterpolator, a: Floats, b: Floats) -> tuple[Floats, Floats]:
        shape = np.shape(a)
        points = np.stack([np.ravel(a), np.ravel(b)], axis=1)
        out = spline(np.where(np.isfinite(points), points, 0.0))
        out[~np.isfinite(points).all(axis=1)] = np.nan
        return out[:, 0].reshape(shape), out[:, 1].reshape(shape)


def read_georeference(dataset: Any, path: Path) -> Georeference:  # noqa: ANN401 - rasterio has no types
    """Where an opened raster lies, from what is in it or beside it.

    A `.prj` file beside a raster without a coordinate reference system is read too: GDAL takes a JPEG's world file but not its `.prj`.

    Args:
        dataset: an open rasterio data set.
        path: its file.

    Raises:
        RasterError: it is not placed on Earth; the message says how to mend that.
    """
    crs = None if dataset.crs is None else _parse_crs(dataset.crs.to_wkt(), path)
    points, points_crs = dataset.gcps
    if dataset.transform.is_identity:
        if not points:
            model = "only a camera model (RPC)" if dataset.rpcs is not None else "no georeference"
            raise RasterError(
                f"has {model}, so nobody knows where it lies",
                where=path,
                mend="give a GeoTIFF, or a picture with a world file (.jgw, .pgw, .tfw) and a .prj",
            )
        if points_crs is None:
            raise RasterError("its ground control points have no coordinate reference system", where=path, mend=_mend(path))
        return ControlPoints(points, _parse_crs(points_crs.to_wkt(), path), path)
    crs = crs or _read_prj(path)
    if crs is None:
        raise RasterError("has a geotransform but no coordinate reference system", where=path, mend=_mend(path))
    return AffineGeoreference(dataset.transform, crs, (dataset.width, dataset.height), path)


def _mend(path: Path) -> str:
    return f"put the system's WKT into {path.with_suffix('.prj').name} beside it, or set it with gdal_translate -a_srs EPSG:..."


def _read_prj(path: Path) -> CRS | None:
    for beside in (path.with_suffix(".prj"), path.with_suffix(".PRJ")):
        try:
            with beside.open("rb") as file:
                text = file.read(MAX_PRJ_BYTES).decode("utf-8-sig", errors="replace").strip()
        except OSError:
            continue
        return _parse_crs(text, beside)
    return None


def _parse_crs(text: str, where: Path) -> CRS:
    try:
        return CRS.from_wkt(text) if "[" in text else CRS.from_user_input(text)
    except ProjError as error:
        raise RasterError("its coordinate reference system makes no sense", where=where, mend="write it as WKT or EPSG:...") from error


def _period(crs: CRS) -> float | None:
    """How far apart in x a place lies again after a whole turn (rasters may run past the antimeridian); None where it never does."""
    if crs.is_geographic:
        return 2 * np.pi / float(crs.axis_info[0].unit_conversion_factor)
    method = "" if crs.coordinate_operation is None else crs.coordinate_operation.method_name.lower()
    if crs.geodetic_crs is None or "mercator" not in method or "transverse" in method or "oblique" in method:
        return None
    x, _ = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform([0.0, 1.0], [0.0, 0.0])
    return 360.0 * abs(float(x[1] - x[0]))


def _apply(transform: Any, x: Any, y: Any) -> tuple[Any, Any]:  # noqa: ANN401 - affine has no types
    # Not affine's own product: its operator changes between the versions in use.
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _spline(source: NDArray[np.float64], target: NDArray[np.float64]) -> RBFInterpolator:
    return RBFInterpolator(source, target, kernel="thin_plate_spline", degree=1)
