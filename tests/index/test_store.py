from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from crossfix.errors import MapIndexError
from crossfix.index.store import MapIndex
from rasters import GEOD, town
from toy_describer import ToyDescriber


def test_opened_again_it_is_the_same(index):
    again = MapIndex.open(index.path)
    assert list(again.chips) == list(index.chips)
    np.testing.assert_array_equal(again.descriptors[:], index.descriptors[:])
    assert (again.model_id, again.model_sha256, again.plan) == ("toy", "0" * 64, index.plan)
    np.testing.assert_array_equal(np.asarray(again.descriptors), np.concatenate([block for _, block in again.descriptors.blocks()]))


def test_rows_of_descriptors(index):
    whole = index.descriptors[:]
    rows = np.array([5, 0, len(index) - 1, 5])
    np.testing.assert_array_equal(index.descriptors[rows], whole[rows])
    np.testing.assert_array_equal(index.descriptors[3:9], whole[3:9])
    assert index.descriptors.shape == whole.shape == (len(index), 64)


@pytest.mark.parametrize("name", ["chips.parquet", "descriptors/000000.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_damage_is_refused(index, name, damage):
    path = index.path / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[0 if name == "manifest.json" else len(data) // 2] ^= 0x55
        path.write_bytes({"flip": bytes(data), "cut": bytes(data[:-40]), "empty": b""}[damage])
    with pytest.raises(MapIndexError) as caught:
        MapIndex.open(index.path).descriptors.check()
    assert caught.value.mend
    assert str(index.path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "something else"}, "no manifest"),
        ({"version": 99}, "update crossfix"),
        ({"version": "1"}, "update crossfix"),
        ({"count": 3}, "equally many"),
        ({"count": None}, "lacks"),
        ({"model": {}}, "lacks"),
        ({"rasters": []}, "lacks"),
        ({"shards": [{"name": "../../x.npy", "rows": 3, "sha256": ""}]}, "outside"),
        ({"shards": 5}, "lacks"),
        ({"plan": 5}, "lacks"),
    ],
)
def test_wrong_manifests_are_refused(index, change, message):
    manifest = json.loads((index.path / "manifest.json").read_text())
    (index.path / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(MapIndexError, match=message):
        MapIndex.open(index.path)


def test_shard_with_objects_is_refused(index):
    """Nothing is ever unpickled."""
    import hashlib

    path = index.path / "descriptors" / "000000.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    manifest = json.loads((index.path / "manifest.json").read_text())
    manifest["shards"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (index.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MapIndexError):
        MapIndex.open(index.path).descriptors.check()


def test_no_index(tmp_path):
    with pytest.raises(MapIndexError, match="no such"):
        MapIndex.open(tmp_path / "none.cfx")
    with pytest.raises(MapIndexError, match="no finished"):
        MapIndex.open(tmp_path)


def test_other_models_are_refused(index):
    index.check_model(ToyDescriber())
    with pytest.raises(MapIndexError, match="built with the model toy, not with big"):
        index.check_model(ToyDescriber("big", "1" * 64))
    with pytest.raises(MapIndexError, match="other weights"):
        index.check_model(ToyDescriber("toy", "1" * 64))


def test_rasters_are_found_where_they_were_or_beside(index, raster, tmp_path):
    with index.geomap() as geomap:
        assert geomap.paths == [raster]
    # Index and raster moved together: the old place is gone, the relative one holds.
    (tmp_path / "elsewhere").mkdir()
    raster.rename(tmp_path / "elsewhere" / "town.tif")
    index.path.rename(tmp_path / "elsewhere" / "town.cfx")
    moved = MapIndex.open(tmp_path / "elsewhere" / "town.cfx")
    with moved.geomap() as geomap:
        row = next(iter(moved.chips))
        assert geomap.read_square(*row, 16).valid.all()


def test_changed_or_lost_rasters_are_refused(index, raster):
    town(raster, seed=9)
    with pytest.raises(MapIndexError, match="not the one"):
        index.geomap()
    raster.unlink()
    with pytest.raises(MapIndexError, match="gone"):
        index.geomap()


def test_chips_are_geoparquet(index):
    """Squares of the right size and place in well-known binary, as the standard's metadata says."""
    table = pq.read_table(index.path / "chips.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    for row in (0, len(index) - 1):
        wkb = table.column("geometry")[row].as_py()
        assert np.frombuffer(wkb[1:13], "<u4").tolist() == [3, 1, 5]
        ring = np.frombuffer(wkb[13:], "<f8").reshape(5, 2)
        np.testing.assert_array_equal(ring[0], ring[4])
        area, _ = GEOD.polygon_area_perimeter(ring[:, 0], ring[:, 1])
        assert area == pytest.approx(index.chips.side_m[row] ** 2, rel=1e-3)  # positive: counter-clockwise
        assert ring[:4].mean(axis=0) == pytest.approx((index.chips.lon[row], index.chips.lat[row]), abs=1e-7)
