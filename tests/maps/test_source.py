from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from crossfix.errors import RasterError
from crossfix.maps.raster import GeoMap
from rasters import placed, texture, town, write

CRS = "EPSG:32633"
VRT = """<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>EPSG:32633</SRS><GeoTransform>5e5,1,0,5e6,0,-1</GeoTransform>
<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand>
</VRTDataset>"""


def refused(path):
    with pytest.raises(RasterError) as caught, GeoMap.open([path]) as geomap:
        geomap.read_square(geomap.frame.lon, geomap.frame.lat, min(geomap.size_m), 64)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["map.tif", "map.vrt", "map.mbtiles"])
@pytest.mark.parametrize("content", [VRT, "MEM:::DATAPOINTER=0,PIXELS=10,LINES=10", "<GDAL_WMS></GDAL_WMS>", "hello"])
def test_files_that_call_other_files_are_refused_by_any_name(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert "no raster of a kind that is accepted" in refused(path)


def test_addresses_are_no_files():
    for name in ("https://example.com/map.tif", "/vsicurl/https://example.com/map.tif", "MEM:::DATAPOINTER=0"):
        with pytest.raises(RasterError, match="there is no such file"):
            GeoMap.open([name])


def test_missing_empty_folder_and_truncated(tmp_path):
    assert "there is no such file" in refused(tmp_path / "none.tif")
    assert "is a folder" in refused(tmp_path)
    empty = tmp_path / "empty.tif"
    empty.touch()
    assert "is empty" in refused(empty)
    whole = town(tmp_path / "town.tif").read_bytes()
    for share in (0.0001, 0.3, 0.9):
        cut = tmp_path / f"{share}.tif"
        cut.write_bytes(whole[: max(16, int(share * len(whole)))])
        assert "damaged or cut short" in refused(cut)


def test_picture_without_georeference(tmp_path):
    path = tmp_path / "picture.png"
    with rasterio.open(path, "w", driver="PNG", count=3, height=64, width=64, dtype="uint8") as file:
        file.write(texture(64))
    assert "no georeference" in refused(path)


def test_png_and_jpeg_with_world_file(tmp_path):
    """A world file alone is refused with what to do; doing that mends it."""
    transform = placed(CRS, 15.0, 50.0, 1.0, 64)
    for driver, name, world in (("PNG", "a.png", "a.pgw"), ("JPEG", "b.jpg", "b.jgw")):
        path = tmp_path / name
        with rasterio.open(path, "w", driver=driver, count=3, height=64, width=64, dtype="uint8") as file:
            file.write(texture(64))
        t = transform
        centre = t.c + t.a / 2, t.f + t.e / 2  # world files count from the first pixel's centre
        (tmp_path / world).write_text("\n".join(str(value) for value in (t.a, t.d, t.b, t.e, *centre)))
        assert ".prj" in refused(path)
        path.with_suffix(".prj").write_text(rasterio.CRS.from_epsg(32633).to_wkt(version="WKT1_ESRI"))
        with GeoMap.open([path]) as geomap:
            assert (geomap.frame.lon, geomap.frame.lat) == pytest.approx((15.0, 50.0), abs=1e-5)
        path.with_suffix(".prj").write_text("nonsense")
        with pytest.raises(RasterError, match=r"\.prj.*makes no sense"):
            GeoMap.open([path])


def test_system_that_is_not_tied_to_earth(tmp_path):
    local = 'LOCAL_CS["site grid",UNIT["metre",1]]'
    path = write(tmp_path / "map.tif", texture(32), local, Affine(1, 0, 0, 0, -1, 50))
    assert "tied to Earth" in refused(path)


def test_position_that_is_not_on_earth(tmp_path):
    path = write(tmp_path / "map.tif", texture(32), "EPSG:4326", Affine(1, 0, 5000, 0, -1, 50000))
    assert "no position on Earth" in refused(path)


def test_complex_numbers_are_refused(tmp_path):
    data = np.ones((1, 20, 20), np.complex64)
    assert "complex" in refused(write(tmp_path / "map.tif", data, CRS, placed(CRS, 15.0, 50.0, 1.0, 20)))


def test_floats_with_holes(tmp_path):
    data = texture(100).astype(np.float32) / 7
    data[0, :50] = np.nan
    path = write(tmp_path / "map.tif", data, CRS, placed(CRS, 15.0, 50.0, 1.0, 100))
    with GeoMap.open([path]) as geomap:
        chip = geomap.read_square(15.0, 50.0, 60.0, 30)
    assert 0.45 < chip.valid.mean() < 0.55
    assert chip.pixels[chip.valid].std() > 20


def test_huge_blocks_are_refused(tmp_path):
    path = tmp_path / "map.tif"
    options = {"compress": "deflate", "sparse_ok": True, "tiled": True, "blockxsize": 16400, "blockysize": 16400}
    profile = {"driver": "GTiff", "count": 1, "height": 20000, "width": 20000, "dtype": "uint8", "crs": CRS}
    with rasterio.open(path, "w", transform=Affine(1, 0, 5e5, 0, -1, 5e6), **profile, **options):
        pass
    assert "TILED=YES" in refused(path)


def test_fingerprint_tells_content_and_place(tmp_path):
    one, other = town(tmp_path / "a.tif"), town(tmp_path / "b.tif", seed=1)
    with GeoMap.open([one, other]) as geomap:
        a, b = (source.fingerprint() for source in geomap.sources)
    assert a["content"] != b["content"]
    assert a["georeference"] == b["georeference"]
    other.write_bytes(one.read_bytes())
    with GeoMap.open([other]) as geomap:
        assert geomap.sources[0].fingerprint() == a
