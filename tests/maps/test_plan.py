from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from crossfix.errors import InputError, RasterError
from crossfix.geo.geodesy import distance_m
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from rasters import placed, texture, town, write


def test_default_sides_fit_the_map(tmp_path):
    for size, gsd, expected in (
        (1000, 0.5, (40, 56.6, 80, 113.1, 160, 226.3, 320, 452.5)),
        (400, 5.0, (320, 452.5, 640)),
        (60, 0.5, (30,)),
    ):
        path = write(tmp_path / f"{size}.tif", texture(size), "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, gsd, size))
        with GeoMap.open([path]) as geomap:
            assert TilingPlan.default(geomap).sides_m == pytest.approx(expected, rel=0.01)


def test_rows_are_stable_and_sides_ascend(tmp_path):
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap:
        one, other = TilingPlan((120.0, 50.0, 120.0)).chips(geomap), TilingPlan((50.0, 120.0)).chips(geomap)
    for name in ("lon", "lat", "side_m"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (np.diff(one.side_m) >= 0).all()
    assert len({*one}) == len(one)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_every_point_lies_near_the_middle_of_a_chip(tmp_path, overlap):
    """Steps never exceed what the overlap says, and the outermost chips touch the border."""
    side_m = 50.0
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap:
        table = TilingPlan((side_m,), overlap).chips(geomap)
        frame = geomap.frame
    east, north = frame.to_local(table.lon, table.lat)
    points = np.random.default_rng(0).uniform(-175, 175, (500, 2))
    away = np.abs(points[:, None] - np.stack([east, north], axis=1)).max(axis=2).min(axis=1)
    assert away.max() <= side_m * (1 - overlap) / 2 + 0.6
    assert east.max() == pytest.approx(-east.min(), abs=2)
    assert 400 - side_m <= np.ptp(east) <= 410 - side_m


def test_turned_map_gets_no_chips_in_its_empty_corners(tmp_path):
    path = write(tmp_path / "map.tif", texture(300), "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, 1.0, 300, turn_deg=45))
    with GeoMap.open([path]) as geomap:
        table = TilingPlan((40.0,)).chips(geomap)
        share = [geomap.read_square(*row, 16).valid.mean() for row in table]
        assert min(share) > 0.2
        assert geomap.area_m2 == pytest.approx(90000, rel=0.02)
    assert len(table) < 0.75 * (1 + np.ceil((300 * np.sqrt(2) - 40) / 20)) ** 2


def test_rows_of_a_map_of_a_continent_keep_their_metres(tmp_path):
    """Spacing is geodesic at every latitude."""
    path = write(tmp_path / "map.tif", texture(300), "EPSG:4326", Affine(0.1, 0, -15, 0, -0.1, 75))
    with GeoMap.open([path]) as geomap:
        table = TilingPlan((100000.0,), 0.0).chips(geomap)
    for lat in np.unique(table.lat):
        lon = np.sort(table.lon[table.lat == lat])
        step = distance_m(lon[:-1], np.full(len(lon) - 1, lat), lon[1:], np.full(len(lon) - 1, lat))
        assert 0.85 * 100000 < step.min() <= step.max() <= 100010


def test_whole_earth(tmp_path):
    path = write(tmp_path / "map.tif", texture(720)[:, :360], "EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, 90))
    with GeoMap.open([path]) as geomap:
        assert geomap.bounds_lonlat == pytest.approx((-180, -90, 180, 90))
        assert geomap.area_m2 == pytest.approx(510.07e12, rel=0.01)
        table = TilingPlan((1e6,), 0.0).chips(geomap)
        lon, lat = np.random.default_rng(0).uniform((-179, -85), (179, 85), (300, 2)).T
        nearest = [distance_m(x, y, table.lon, table.lat).min() for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    assert max(nearest) < 1e6 * 0.75
    assert 400 < len(table) < 700


@pytest.mark.parametrize(
    ("sides_m", "overlap"), [((), 0.5), ((0.0,), 0.5), ((-3.0,), 0.5), ((float("nan"),), 0.5), ((50.0,), 1.0), ((50.0,), -0.1)]
)
def test_senseless_plans_are_refused(sides_m, overlap):
    with pytest.raises(InputError):
        TilingPlan(sides_m, overlap)


def test_too_large_sides_are_refused(tmp_path):
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap, pytest.raises(RasterError, match="smaller --side-m"):
        TilingPlan((5000.0,)).chips(geomap)
