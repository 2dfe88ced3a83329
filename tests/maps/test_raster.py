from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from crossfix.errors import InputError, RasterError
from crossfix.geo.geodesy import LocalFrame
from crossfix.maps.chip import ChipTable
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from rasters import GEOD, blobs, corner_to_system, pixel_positions, placed, texture, town, write

# system, lon, lat, pixel in the system's units, turn of the grid; convergence is 6 degrees in the second, 65 in the last but two.
PLACES = [
    ("EPSG:32633", 15.2, 50.1, 1.0, 0.0),
    ("EPSG:32633", 23.0, 63.0, 1.0, 0.0),
    ("EPSG:3857", -91.99, 46.84, 1.5, 0.0),
    ("EPSG:4326", -74.4, -8.4, 1e-5, 0.0),
    ("EPSG:28992", 4.99, 51.84, 1.0, 0.0),
    ("EPSG:26914", -99.15, 47.02, 1.0, 30.0),
    ("EPSG:3413", 20.0, 75.0, 1.0, 0.0),
    ("EPSG:32660", 180.0, 52.0, 1.0, 0.0),
    ("EPSG:3031", -120.0, -82.0, 1.0, 200.0),
]


def centroid(picture: np.ndarray, x: float, y: float, reach: float) -> tuple[float, float]:
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    weight = np.maximum(picture.astype(float) - 60, 0) * (np.hypot(columns - x, rows - y) < reach)
    return float((weight * columns).sum() / weight.sum()), float((weight * rows).sum() / weight.sum())


@pytest.mark.parametrize(("crs", "lon", "lat", "gsd", "turn"), PLACES)
@pytest.mark.parametrize("px", [64, 150, 300])
def test_convention_half_pixel_and_north_up(tmp_path, crs, lon, lat, gsd, turn, px):
    """Spots drawn at known positions are found there, to a fifth of a pixel, whether the chip reduces or enlarges the raster."""
    transform = placed(crs, lon, lat, gsd, 400, turn)
    spots = [GEOD.fwd(lon, lat, bearing, away)[:2] for bearing, away in ((10.0, 50.0), (95.0, 45.0), (200.0, 25.0), (310.0, 52.0))]
    picture = blobs(*pixel_positions(crs, transform, 400, 400), spots, 4.0)
    path = write(tmp_path / "map.tif", picture[None], crs, transform, tiled=True, blockxsize=128, blockysize=128)
    middle = GEOD.fwd(lon, lat, 60.0, 7.3)[:2]
    with GeoMap.open([path]) as geomap:
        chip = geomap.read_square(*middle, 150.0, px)
    assert chip.valid.all()
    frame = LocalFrame(*middle)
    for spot in spots:
        east, north = frame.to_local(*spot)
        x, y = (east + 75.0) / chip.gsd_m - 0.5, (75.0 - north) / chip.gsd_m - 0.5
        found = centroid(chip.pixels[..., 0], x, y, 14 / chip.gsd_m)
        assert math.dist(found, (x, y)) < 0.2


def test_chip_of_the_rasters_own_grid_is_the_raster(tmp_path):
    """Where chip and raster share their grid, resampling changes nothing."""
    # On the central meridian at the equator UTM is north-up and 0.9996 in scale.
    data = texture(64)
    path = write(tmp_path / "map.tif", data, "EPSG:32631", Affine(0.9996, 0, 500000 - 32 * 0.9996, 0, -0.9996, 32 * 0.9996))
    with GeoMap.open([path]) as geomap:
        chip = geomap.read_square(3.0, 0.0, 64.0, 64)
    assert chip.valid.all()
    np.testing.assert_allclose(chip.pixels.astype(int), np.moveaxis(data, 0, -1).astype(int), atol=2)


def test_reduction_averages(tmp_path):
    """A checkerboard of single pixels becomes its mean, not one of its colours."""
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 200 + 20).astype(np.uint8)
    path = write(tmp_path / "map.tif", board[None], "EPSG:32631", Affine(1, 0, 500000, 0, -1, 300))
    with GeoMap.open([path]) as geomap:
        chip = geomap.read_square(*geomap.frame.to_lonlat(0.0, 0.0), 400.0, 32)
    assert np.abs(chip.pixels.astype(int) - 120).max() <= 3


def test_many_squares_equal_single_ones(tmp_path):
    path = town(tmp_path / "map.tif")
    with GeoMap.open([path]) as geomap:
        table = TilingPlan((60.0, 100.0, 130.0)).chips(geomap)
        for chip, row in zip(geomap.read_squares(table, 32), table, strict=True):
            alone = geomap.read_square(*row, 32)
            assert (chip.lon, chip.lat, chip.side_m) == row
            np.testing.assert_array_equal(chip.pixels, alone.pixels)
            np.testing.assert_array_equal(chip.valid, alone.valid)


def test_neighbours_share_reads(tmp_path, monkeypatch):
    """Half-overlapping chips decode each block of the raster about once, not four times."""
    path = town(tmp_path / "map.tif", size=800)
    with GeoMap.open([path]) as geomap:
        table = TilingPlan((40.0,)).chips(geomap)
        source, read = geomap.sources[0], []
        original = source.read

        def counting(*args):
            patch = original(*args)
            read.append(patch.rgb.shape[0] * patch.rgb.shape[1] * patch.step_x * patch.step_y)
            return patch

        monkeypatch.setattr(source, "read", counting)
        assert sum(1 for _ in geomap.read_squares(table, 40)) == len(table)
    assert sum(read) < 1.7 * 800 * 800


def test_nodata_alpha_and_mask_leave_holes(tmp_path):
    data = texture(200)
    hole = np.s_[:, 60:120, 80:140]
    transform = placed("EPSG:32633", 15.0, 50.0, 1.0, 200)
    with_nodata = data.copy()
    with_nodata[hole] = 0
    nodata = write(tmp_path / "nodata.tif", with_nodata, "EPSG:32633", transform, nodata=0)
    alpha_band = np.full((1, 200, 200), 255, np.uint8)
    alpha_band[hole] = 0
    alpha = write(tmp_path / "alpha.tif", np.concatenate([data, alpha_band]), "EPSG:32633", transform, photometric="RGB", alpha="yes")
    mask = write(tmp_path / "mask.tif", data, "EPSG:32633", transform)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(mask, "r+") as file:
        file.write_mask(alpha_band[0])
    for path in (nodata, alpha, mask):
        for px in (30, 120):
            with GeoMap.open([path]) as geomap:
                chip = geomap.read_square(15.0, 50.0, 120.0, px)
                assert 0.24 < (~chip.valid).mean() < 0.26, path
                assert not chip.pixels[~chip.valid].any()
                # No dark seam: pixels beside the hole keep the raster's range, which never goes below 20.
                assert chip.pixels[chip.valid].min() >= 19, path
                assert geomap.area_m2 == pytest.approx(200 * 200 - 60 * 60, rel=0.01)


def test_dark_pixel_is_no_nodata_while_a_band_is_bright(tmp_path):
    data = np.stack([np.zeros((50, 50)), np.full((50, 50), 90), np.zeros((50, 50))]).astype(np.uint8)
    path = write(tmp_path / "map.tif", data, "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, 1.0, 50), nodata=0)
    with GeoMap.open([path]) as geomap:
        chip = geomap.read_square(15.0, 50.0, 30.0, 30)
    assert chip.valid.all()
    assert (chip.pixels == (0, 90, 0)).all()


def test_plain_collar_without_a_mask_gets_no_chips(tmp_path):
    for value in (0, 255, 77):
        data = np.full((3, 400, 400), value, np.uint8)
        data[:, 100:300, 100:300] = texture(200)
        path = write(tmp_path / f"{value}.tif", data, "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, 1.0, 400))
        with GeoMap.open([path]) as geomap:
            assert geomap.area_m2 == pytest.approx(200 * 200, rel=0.03)
            assert 16 <= len(TilingPlan((50.0,), 0.0).chips(geomap)) <= 25  # of 81


def test_later_rasters_fill_holes_of_earlier_ones(tmp_path):
    data = texture(200)
    transform = placed("EPSG:32633", 15.0, 50.0, 1.0, 200)
    with_hole = data.copy()
    with_hole[:, :, 100:] = 0
    first = write(tmp_path / "first.tif", with_hole, "EPSG:32633", transform, nodata=0)
    second = write(tmp_path / "second.tif", 255 - data, "EPSG:32633", transform)
    with GeoMap.open([first, second]) as both, GeoMap.open([first]) as one, GeoMap.open([second]) as other:
        chip, west, east = (geomap.read_square(15.0, 50.0, 100.0, 100) for geomap in (both, one, other))
    assert chip.valid.all()
    assert 0.49 < west.valid.mean() < 0.51
    np.testing.assert_array_equal(chip.pixels[west.valid], west.pixels[west.valid])
    np.testing.assert_array_equal(chip.pixels[~west.valid], east.pixels[~west.valid])


def test_sixteen_bit_is_stretched_once_for_the_raster(tmp_path):
    eight = texture(300)
    path = write(tmp_path / "map.tif", eight.astype(np.uint16) * 37 + 4000, "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, 1.0, 300))
    reference = write(tmp_path / "eight.tif", eight, "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, 1.0, 300))
    with GeoMap.open([path]) as geomap, GeoMap.open([reference]) as plain:
        chip, same = geomap.read_square(15.0, 50.0, 200.0, 200), plain.read_square(15.0, 50.0, 200.0, 200)
    for band in range(3):
        low, high = np.percentile(eight[band], (2, 98))
        expected = np.clip((same.pixels[..., band] - low) * 255 / (high - low), 0, 255)
        assert np.abs(chip.pixels[..., band] - expected).mean() < 2


def test_bands_by_name_then_the_first_three(tmp_path):
    data = np.stack([np.full((40, 40), value) for value in (10, 20, 30, 40)]).astype(np.uint8)
    transform = placed("EPSG:32633", 15.0, 50.0, 1.0, 40)
    named, plain = tmp_path / "named.tif", tmp_path / "plain.tif"
    for path in (named, plain):
        write(path, data, "EPSG:32633", transform, photometric="MINISBLACK")
    with rasterio.open(named, "r+") as file:
        file.colorinterp = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    for path, expected in ((named, (40, 30, 20)), (plain, (10, 20, 30))):
        with GeoMap.open([path]) as geomap:
            assert tuple(geomap.read_square(15.0, 50.0, 20.0, 8).pixels[4, 4]) == expected


def test_palette_becomes_colours(tmp_path):
    data = (np.indices((1, 60, 60))[2] // 30).astype(np.uint8)
    path = write(tmp_path / "map.tif", data, "EPSG:32633", placed("EPSG:32633", 15.0, 50.0, 1.0, 60), photometric="PALETTE")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (200, 10, 20, 255), 1: (5, 100, 250, 255)})
    with GeoMap.open([path]) as geomap:
        chip = geomap.read_square(15.0, 50.0, 40.0, 16)
    assert tuple(chip.pixels[8, 1]) == (200, 10, 20)
    assert tuple(chip.pixels[8, 14]) == (5, 100, 250)


def test_control_points_place_like_the_transform_they_came_from(tmp_path):
    data, crs = texture(200), "EPSG:32633"
    transform = placed(crs, 15.0, 50.0, 1.0, 200, turn_deg=20)
    plain = write(tmp_path / "plain.tif", data, crs, transform)
    points = [
        GroundControlPoint(row, column, *corner_to_system(transform, column, row)) for row in (0, 90, 200) for column in (0, 120, 200)
    ]
    path = tmp_path / "gcps.tif"
    with rasterio.open(path, "w", driver="GTiff", count=3, height=200, width=200, dtype="uint8", gcps=points, crs=crs) as file:
        file.write(data)
    with GeoMap.open([path]) as one, GeoMap.open([plain]) as other:
        np.testing.assert_allclose(one.bounds_lonlat, other.bounds_lonlat, atol=1e-7)
        a, b = one.read_square(15.0, 50.0, 120.0, 100), other.read_square(15.0, 50.0, 120.0, 100)
    assert a.valid.all()
    assert np.abs(a.pixels.astype(int) - b.pixels).max() <= 3


@pytest.mark.parametrize("columns", [[(0, 0)], [(0, 0), (100, 100), (200, 200)]])
def test_too_few_control_points_are_refused(tmp_path, columns):
    points = [GroundControlPoint(row, column, 15 + column / 1e5, 50 - row / 1e5) for row, column in columns]
    path = tmp_path / "gcps.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=200, width=200, dtype="uint8", gcps=points, crs="EPSG:4326") as file:
        file.write(texture(200, bands=1))
    with pytest.raises(RasterError, match="control points"):
        GeoMap.open([path])


@pytest.mark.parametrize(("crs", "gsd"), [("EPSG:4326", 0.01), ("EPSG:3857", 1100.0), ("EPSG:32601", 1000.0)])
def test_maps_across_the_antimeridian(tmp_path, crs, gsd):
    lon, lat = -179.7, 30.0
    transform = placed(crs, lon, lat, gsd, 200)
    spots = [(179.6, 30.1), (-179.2, 29.7)]
    path = write(tmp_path / "map.tif", blobs(*pixel_positions(crs, transform, 200, 200), spots, 3000.0)[None], crs, transform)
    with GeoMap.open([path]) as geomap:
        west, _, east, _ = geomap.bounds_lonlat
        assert west > 178
        assert east < -178
        assert geomap.frame.lon == pytest.approx(lon, abs=0.02)
        for spot in spots:
            chip = geomap.read_square(*spot, 40000.0, 64)
            assert chip.valid.all()
            assert math.dist(centroid(chip.pixels[..., 0], 31.5, 31.5, 20), (31.5, 31.5)) < 0.3
        table = TilingPlan((20000.0,)).chips(geomap)
        assert (table.lon > 179).any()
        assert (table.lon < -179).any()


def test_measures_of_a_map(tmp_path):
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap:
        assert geomap.gsd_m == pytest.approx(1.0, rel=2e-3)
        assert geomap.area_m2 == pytest.approx(160000, rel=0.01)
        assert (geomap.frame.lon, geomap.frame.lat) == pytest.approx((15.2, 50.1), abs=1e-5)
        assert min(geomap.size_m) == pytest.approx(401, abs=2)


def test_square_off_the_map_is_empty(tmp_path):
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap:
        for lon, lat in ((15.3, 50.1), (-165.0, -50.0), (105.0, 0.0)):
            chip = geomap.read_square(lon, lat, 100.0, 16)
            assert not chip.valid.any()
            assert not chip.pixels.any()


@pytest.mark.parametrize("arguments", [(200.0, 50.0, 100.0, 16), (15.2, 50.1, -5.0, 16), (15.2, 50.1, math.nan, 16), (15.2, 50.1, 10.0, 0)])
def test_senseless_squares_are_refused(tmp_path, arguments):
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap, pytest.raises(InputError):
        geomap.read_square(*arguments)


def test_no_raster_is_refused():
    with pytest.raises(InputError, match="no raster"):
        GeoMap.open([])


def test_filled_puts_the_mean_into_holes(tmp_path):
    with GeoMap.open([town(tmp_path / "map.tif")]) as geomap:
        west, south, _, _ = geomap.bounds_lonlat
        chip = geomap.read_square(west, south, 100.0, 20)
    filled = chip.filled()
    np.testing.assert_array_equal(filled[chip.valid], chip.pixels[chip.valid])
    assert np.abs(filled[~chip.valid] - chip.pixels[chip.valid].mean(axis=0)).max() <= 0.5


def test_table_rows(tmp_path: Path):
    table = ChipTable(np.arange(3.0), np.arange(3.0) + 10, np.full(3, 5.0))
    assert list(table[1:]) == [(1.0, 11.0, 5.0), (2.0, 12.0, 5.0)]
    assert len(table[np.array([True, False, True])]) == 2
