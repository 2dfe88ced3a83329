from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import rasterio.crs
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from crossfix.errors import InputError
from crossfix.geo.geodesy import LocalFrame, check_lonlat, distance_m, offset

lons = st.floats(-180, 180)
lats = st.floats(-89.9, 89.9)


def test_convention_lon_comes_before_lat():
    east, north = LocalFrame(10.0, 50.0).to_local(10.01, 50.0)
    assert east == pytest.approx(716.8, abs=0.5)
    assert north == pytest.approx(0.0, abs=0.1)
    assert offset(10.0, 50.0, 90.0, 1000.0)[0] > 10.0
    with pytest.raises(InputError, match="swapped"):
        check_lonlat(46.8, -91.99)


def test_convention_headings_run_clockwise_from_north():
    lon, lat = offset(0.0, 0.0, 0.0, 1000.0)
    assert lat > 0
    assert lon == pytest.approx(0.0)
    lon, lat = offset(0.0, 0.0, 270.0, 1000.0)
    assert lon < 0
    assert lat == pytest.approx(0.0)


@pytest.mark.parametrize(("lon", "lat"), [(math.nan, 0.0), (0.0, math.inf), (181.0, 0.0), (0.0, 90.1), (-200.0, 95.0)])
def test_no_position_is_refused(lon, lat):
    with pytest.raises(InputError):
        check_lonlat(lon, lat, where="--near")
    with pytest.raises(InputError):
        LocalFrame(lon, lat)


def test_edges_of_the_world_are_positions():
    for lon, lat in [(180.0, 0.0), (-180.0, 90.0), (0.0, -90.0)]:
        check_lonlat(lon, lat)


def test_distance_on_the_ellipsoid():
    assert distance_m(0.0, 0.0, 1.0, 0.0) == pytest.approx(math.radians(6378137.0))
    assert distance_m(0.0, 0.0, 0.0, 90.0) == pytest.approx(10_001_965.729, abs=0.01)  # the meridian quadrant of WGS 84


def test_distance_takes_arrays_and_broadcasts():
    lon = np.array([0.0, 1.0, 2.0])
    metres = distance_m(lon, np.zeros(3), 0.0, 0.0)
    assert metres.shape == (3,)
    assert metres[0] == 0
    assert metres[2] == pytest.approx(2 * metres[1], rel=1e-9)
    assert distance_m(0.0, 0.0, lon, np.zeros(3)) == pytest.approx(metres)


@given(lons, lats, st.floats(-50_000, 50_000), st.floats(-50_000, 50_000))
def test_local_frame_round_trip(lon, lat, east, north):
    frame = LocalFrame(lon, lat)
    back = frame.to_local(*frame.to_lonlat(east, north))
    assert back == pytest.approx((east, north), abs=1e-3)


@given(lons, lats, st.floats(0, 359.99), st.floats(0.01, 100_000))
def test_local_frame_agrees_with_the_geodesic(lon, lat, bearing, metres):
    there = Geod(ellps="WGS84").fwd(lon, lat, bearing, metres)
    east, north = LocalFrame(lon, lat).to_local(there[0], there[1])
    assert math.hypot(east, north) == pytest.approx(metres, abs=1e-3, rel=1e-9)
    assert east == pytest.approx(metres * math.sin(math.radians(bearing)), abs=1e-3)
    assert north == pytest.approx(metres * math.cos(math.radians(bearing)), abs=1e-3)


def test_local_frame_keeps_the_scale_it_promises():
    frame = LocalFrame(-91.99, 46.84)
    corners = [frame.to_lonlat(10_000.0 + d, 0.0 + e) for d, e in [(0, 0), (0, 100.0)]]
    assert distance_m(*corners[0], *corners[1]) == pytest.approx(100.0, rel=1e-6)


def test_local_frame_crosses_the_antimeridian():
    east, north = LocalFrame(179.999, -17.0).to_local(-179.999, -17.0)
    assert 0 < east < 300
    assert abs(north) < 1
    lon, _ = LocalFrame(179.999, -17.0).to_lonlat(1000.0, 0.0)
    assert lon < -179.9


def test_local_frame_takes_arrays():
    east, north = LocalFrame(0.0, 45.0).to_local(np.array([0.0, 0.001]), np.array([45.0, 45.001]))
    assert east.shape == north.shape == (2,)
    assert (east[0], north[0]) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_local_frame_crs_is_understood_by_both_libraries():
    text = LocalFrame(-91.987654321, 46.123456789).crs
    assert pyproj.CRS.from_user_input(text).is_projected
    assert rasterio.crs.CRS.from_user_input(text).is_projected
