"""Positions on Earth: checks, distances, and the flat local frame all metres are measured in.

Coordinates are WGS 84 degrees in the order lon, lat. Distances and bearings are geodesic (on the ellipsoid), never spherical.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod, Transformer

from crossfix.errors import InputError

Floats: TypeAlias = NDArray[np.float64]

WGS84 = Geod(ellps="WGS84")
"""The ellipsoid all geodesic distances are measured on."""


def check_lonlat(lon: float, lat: float, where: str | Path | None = None) -> None:
    """Refuses what is no position on Earth.

    Args:
        lon: degrees, -180 to 180.
        lat: degrees, -90 to 90.
        where: the option or file that the position comes from, for the message.

    Raises:
        InputError: a coordinate is not finite or out of range.
    """
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise InputError(f"position lat {lat}, lon {lon} is not finite", where=where)
    if abs(lat) > 90 and abs(lon) <= 90 and abs(lat) <= 180:
        raise InputError(f"latitude {lat:g} is beyond the poles", where=where, mend="check that latitude and longitude are not swapped")
    if abs(lat) > 90:
        raise InputError(f"latitude {lat:g} is not between -90 and 90", where=where)
    if abs(lon) > 180:
        raise InputError(f"longitude {lon:g} is not between -180 and 180", where=where)


@overload
def distance_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float: ...
@overload
def distance_m(lon1: Floats, lat1: Floats, lon2: Floats | float, lat2: Floats | float) -> Floats: ...
@overload
def distance_m(lon1: float, lat1: float, lon2: Floats, lat2: Floats) -> Floats: ...
def distance_m(lon1: Floats | float, lat1: Floats | float, lon2: Floats | float, lat2: Floats | float) -> Floats | float:
    """Geodesic distance between two positions.

    Args:
        lon1: degrees, a number or an array; arrays and numbers broadcast.
        lat1: degrees.
        lon2: degrees.
        lat2: degrees.

    Returns:
        Metres along the ellipsoid, a number for numbers and otherwise an array of the broadcast shape.
    """
    if all(np.ndim(value) == 0 for value in (lon1, lat1, lon2, lat2)):
        return float(WGS84.inv(lon1, lat1, lon2, lat2)[2])
    a, b, c, d = (np.array(array, dtype=np.float64) for array in np.broadcast_arrays(lon1, lat1, lon2, lat2))
    return np.asarray(WGS84.inv(a, b, c, d)[2], dtype=np.float64)


def offset(lon: float, lat: float, bearing_deg: float, distance_m: float) -> tuple[float, float]:
    """The position reached by walking a geodesic.

    Args:
        lon: degrees, where the walk starts.
        lat: degrees.
        bearing_deg: degrees clockwise from true north at the start.
        distance_m: metres.

    Returns:
        lon and lat in degrees.
    """
    lon2, lat2, _ = WGS84.fwd(lon, lat, bearing_deg, distance_m)
    return float(lon2), float(lat2)


@lru_cache(maxsize=256)
def _transformers(crs: str) -> tuple[Transformer, Transformer]:
    return (
        Transformer.from_crs("EPSG:4326", crs, always_xy=True),
        Transformer.from_crs(crs, "EPSG:4326", always_xy=True),
    )


@dataclass(frozen=True)
class LocalFrame:
    """A flat frame in metres: azimuthal equidistant about an origin, x east and y true north there.

    Distances and bearings from the origin are exact at any range; between other points the scale is off by less than 1 part in 10^6
    within 10 km of the origin. There and back is good to a millimetre (PROJ snaps what is nearer than that to the
    origin). The antimeridian and the poles are ordinary places.

    Args:
        lon: degrees, the origin.
        lat: degrees.

    Raises:
        InputError: the origin is no position on Earth.
    """

    lon: float
    lat: float

    def __post_init__(self) -> None:
        check_lonlat(self.lon, self.lat)

    @property
    def crs(self) -> str:
        """The frame as a PROJ string that pyproj and rasterio understand."""
        return f"+proj=aeqd +lat_0={self.lat!r} +lon_0={self.lon!r} +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs +type=crs"

    @overload
    def to_local(self, lon: float, lat: float) -> tuple[float, float]: ...
    @overload
    def to_local(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]: ...
    def to_local(self, lon: Floats | float, lat: Floats | float) -> tuple[Floats | float, Floats | float]:
        """Metres east and north of the origin.

        Args:
            lon: degrees, a number or an array.
            lat: degrees, of the same shape.

        Returns:
            east_m and north_m, numbers for numbers and arrays for arrays.
        """
        east, north = _transformers(self.crs)[0].transform(lon, lat)
        return east, north

    @overload
    def to_lonlat(self, east_m: float, north_m: float) -> tuple[float, float]: ...
    @overload
    def to_lonlat(self, east_m: Floats, north_m: Floats) -> tuple[Floats, Floats]: ...
    def to_lonlat(self, east_m: Floats | float, north_m: Floats | float) -> tuple[Floats | float, Floats | float]:
        """The inverse of :meth:`to_local`.

        Args:
            east_m: metres, a number or an array.
            north_m: metres, of the same shape.

        Returns:
            lon and lat in degrees.
        """
        lon, lat = _transformers(self.crs)[1].transform(east_m, north_m)
        return lon, lat
