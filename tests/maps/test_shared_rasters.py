"""Every raster of the real imagery: read right, or refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform as warp_points

from crossfix.errors import RasterError
from crossfix.geo.geodesy import offset
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from rasters import corner_to_system
from shared import SHARED, needs_shared

DATA = Path() if SHARED is None else SHARED / "data"
NAIP = "naip/m_4709963_se_14_1_20180716.tif"
SIDECARS = {".jgw", ".prj"}

# name: share of the bounds with data.
READ = {
    "aerial_28992.tif": 0.97,
    "brighton_3395_jpeg.tif": 0.62,
    "brighton_gcps.tif": 0.97,
    "colorado_hro_26913_alpha.tif": 0.89,
    "landsat_2020_32718_alpha.tif": 0.99,
    "landsat_2020_4326.tif": 1.0,
    "landsat_32617_uint16.tif": 0.69,
    "landsat_32660_antimeridian.tif": 0.63,
    "landsat_3857_uint16.tif": 0.2,
    "naip_2018.jpg": 1.0,
    "naip_2018.mbtiles": 1.0,
    "naip_2018_3857_nodata.tif": 1.0,
    "naip_2018_rotated30.tif": 0.54,
    "sentinel1_gcps_only.tif": 0.69,
}
REFUSED = {
    "naip_2018_no_crs.tif": "no coordinate reference system",
    "brighton_xyz": "is a folder",
}

# A raster that shows the same ground as another, sides of chips in metres, pixels, and a shift that must show.
SAME_GROUND = [
    ("rasters/brighton_gcps.tif", "brighton/ortho_full.tif", 20.0, 128, 0.3),
    ("rasters/brighton_3395_jpeg.tif", "brighton/ortho_full.tif", 20.0, 128, 0.3),
    ("rasters/naip_2018_rotated30.tif", NAIP, 600.0, 128, 20.0),
    ("rasters/naip_2018_3857_nodata.tif", NAIP, 600.0, 128, 20.0),
    ("rasters/naip_2018.jpg", NAIP, 600.0, 128, 20.0),
    ("rasters/naip_2018.mbtiles", NAIP, 600.0, 128, 20.0),
    ("rasters/landsat_2020_32718_alpha.tif", "rasters/landsat_2020_4326.tif", 8000.0, 96, 300.0),
]


@needs_shared
def test_every_file_is_spoken_of():
    found = {path.name for path in (DATA / "rasters").iterdir() if path.suffix not in SIDECARS}
    assert found == set(READ) | set(REFUSED)


def bounds_by_rasterio(path: Path) -> tuple[float, float, float, float]:
    """West, south, east, north; of control points, their extremes."""
    with rasterio.open(path) as file:
        points, _ = file.gcps
        if points:
            lon, lat = np.array([(point.x, point.y) for point in points]).T
        else:
            rows, columns = (axis.ravel() for axis in np.mgrid[0 : file.height : 101j, 0 : file.width : 101j])
            x, y = corner_to_system(file.transform, columns, rows)
            lon, lat = warp_points(file.crs or "EPSG:26914", "EPSG:4326", x, y)
    lon = np.asarray(lon) % 360 if np.ptp(lon) > 180 else np.asarray(lon)
    return float(lon.min()), float(np.min(lat)), float((lon.max() + 180) % 360 - 180), float(np.max(lat))


@needs_shared
@pytest.mark.parametrize("name", READ)
def test_read_right(name, capfd):
    share = READ[name]
    expected = bounds_by_rasterio(DATA / "rasters" / name)
    capfd.readouterr()
    with GeoMap.open([DATA / "rasters" / name]) as geomap:
        # The control points of the radar picture do not reach its last rows and columns.
        assert geomap.bounds_lonlat == pytest.approx(expected, abs=3e-3 if "sentinel" in name else 1e-6)
        width, height = geomap.size_m
        assert geomap.area_m2 / (width * height) == pytest.approx(share, abs=0.02)
        table = TilingPlan.default(geomap).chips(geomap)
        assert len(table) > 0
        row = np.argsort(np.hypot(table.lon - geomap.frame.lon, table.lat - geomap.frame.lat))[0]
        chip = geomap.read_square(table.lon[row], table.lat[row], table.side_m[row], 96)
        assert chip.valid.mean() > 0.3
        assert chip.pixels[chip.valid].std() > 4
    assert capfd.readouterr().err == ""


@needs_shared
@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_sentence(name):
    with pytest.raises(RasterError, match=REFUSED[name]) as caught:
        GeoMap.open([DATA / "rasters" / name])
    assert caught.value.mend
    assert "\n" not in str(caught.value)


@needs_shared
def test_world_file_without_a_system_is_refused_with_what_to_do():
    with pytest.raises(RasterError, match=r"no coordinate reference system; put the system's WKT into brighton_beach\.prj"):
        GeoMap.open([DATA / "brighton" / "brighton_beach.jpg"])


@needs_shared
@pytest.mark.parametrize(("name", "parent", "side_m", "px", "shift_m"), SAME_GROUND)
def test_derived_rasters_show_the_same_ground_as_their_parents(name, parent, side_m, px, shift_m):
    rng = np.random.default_rng(0)
    right, wrong = [], []
    with GeoMap.open([DATA / name]) as child, GeoMap.open([DATA / parent]) as original:
        west, south, east, north = child.bounds_lonlat
        while len(right) < 12:
            lon, lat = rng.uniform((west, south), (east, north))
            a = child.read_square(lon, lat, side_m, px)
            b = original.read_square(lon, lat, side_m, px)
            both = a.valid & b.valid
            if both.mean() < 0.95:
                continue
            c = original.read_square(*offset(lon, lat, float(rng.uniform(0, 360)), shift_m), side_m, px)
            right.append(np.abs(a.pixels[both].astype(int) - b.pixels[both]).mean())
            wrong.append(np.abs(a.pixels[both].astype(int) - c.pixels[both]).mean())
    assert np.mean(right) < 5.5
    assert np.mean(wrong) > 1.6 * np.mean(right), (np.mean(right), np.mean(wrong))


@needs_shared
def test_brighton_holes_come_from_alpha_and_mask():
    for name, share in (("ortho.tif", 0.37), ("ortho_full.tif", 0.62)):
        with GeoMap.open([DATA / "brighton" / name]) as geomap:
            width, height = geomap.size_m
            assert geomap.area_m2 / (width * height) == pytest.approx(share, abs=0.03)


@needs_shared
def test_two_dates_as_one_map():
    with GeoMap.open([DATA / "rasters/naip_2018_rotated30.tif", DATA / NAIP]) as both, GeoMap.open([DATA / NAIP]) as one:
        assert both.bounds_lonlat == pytest.approx(one.bounds_lonlat, abs=1e-9)
        assert both.area_m2 == pytest.approx(one.area_m2, rel=0.01)
