"""Maps and photos of worlds as files: where they lie on Earth, what the photos say of themselves, what the truth says."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject

from crossfix.errors import DiskError, InputError
from crossfix.geo.camera import Camera
from crossfix.geo.geodesy import distance_m
from crossfix.geo.metadata import read_photo, read_prior
from crossfix.worlds import Epoch, Scene, World
from crossfix.worlds.write import TRUTH_COLUMNS, utm_epsg, write_map, write_photos

# Far from the middle of its UTM zone: grid north is 2.1 degrees off true north.
SIZE_M, LON, LAT = 150.0, 11.9, 47.0


@pytest.fixture(scope="module")
def world() -> World:
    return World("suburb", 5, SIZE_M, lon=LON, lat=LAT)


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return world.scene(Epoch.draw(3, "map"))


@pytest.fixture(scope="module")
def map_path(world: World, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_map(world, scene, tmp_path_factory.mktemp("map") / "map.tif", gsd_m=0.25)


@pytest.fixture(scope="module")
def drones(world: World, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(world, scene, tmp_path_factory.mktemp("drones"), kind="drone", count=3, seed=11, size=(160, 120)).parent


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_utm_zones_against_known_places() -> None:
    assert utm_epsg(9.0, 48.5) == 32632
    assert utm_epsg(-0.14, 50.8) == 32630
    assert utm_epsg(151.2, -33.9) == 32756
    assert utm_epsg(-180.0, 10.0) == 32601
    assert utm_epsg(180.0, 10.0) == 32601
    with pytest.raises(InputError, match="UTM"):
        utm_epsg(0.0, 88.0)


def test_convention_a_map_lies_within_a_tenth_of_a_metre(world: World, scene: Scene, map_path: Path) -> None:
    # GDAL brings the map into the world's own frame; the picture must be the one that the scene renders there.
    side, px = 100.0, 400
    target = Affine(side / px, 0, -side / 2, 0, -side / px, side / 2)
    seen = np.zeros((3, px, px), np.uint8)
    with rasterio.open(map_path) as raster:
        assert raster.crs.to_epsg() == 32632
        for band in range(3):
            reproject(
                rasterio.band(raster, band + 1), seen[band], dst_transform=target, dst_crs=world.frame.crs, resampling=Resampling.cubic
            )
    direct = scene.ortho(0.0, 0.0, side, px, samples=3).rgb
    window = cv2.createHanningWindow((px, px), cv2.CV_32F)
    for part in (np.s_[:, :], np.s_[:200, :200], np.s_[200:, 200:], np.s_[:200, 200:]):
        a = np.asarray(seen.mean(axis=0)[part], np.float32)
        b = np.asarray(direct.mean(axis=-1)[part], np.float32)
        (dx, dy), response = cv2.phaseCorrelate(a, b, cv2.resize(window, a.shape[::-1]))
        assert response > 0.3
        assert np.hypot(dx, dy) * side / px < 0.1


def test_a_map_is_tiled_compressed_and_tells_its_origin(map_path: Path) -> None:
    with rasterio.open(map_path) as raster:
        assert raster.profile["tiled"]
        assert raster.profile["compress"] == "deflate"
        assert (raster.count, raster.width, raster.height, raster.dtypes[0]) == (3, 600, 600, "uint8")
        made = json.loads(raster.tags()["WORLD"])
        assert (made["region"], made["seed"], made["size_m"]) == ("suburb", 5, SIZE_M)
        assert made["epoch"] == Epoch.draw(3, "map").to_dict()
        rgb = np.moveaxis(raster.read(), 0, -1).astype(np.float64)
    assert rgb.std() > 15
    # No seam: the step across the border of two tiles is as any other.
    steps = np.abs(np.diff(rgb.mean(axis=-1), axis=1)).mean(axis=0)
    assert steps[511] < 1.5 * np.median(steps)


def test_the_same_map_twice_has_the_same_bytes(world: World, scene: Scene, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    a = write_map(world, scene, tmp_path / "a.tif", gsd_m=1.0, progress=lambda *step: done.append(step))
    b = write_map(world, scene, tmp_path / "b.tif", gsd_m=1.0)
    assert a.read_bytes() == b.read_bytes()
    assert done[-1] == (1, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_a_map_that_cannot_be_is_refused(world: World, scene: Scene, tmp_path: Path) -> None:
    for gsd_m in (0.0, -1.0, 20.0):
        with pytest.raises(InputError, match="pixel"):
            write_map(world, scene, tmp_path / "map.tif", gsd_m=gsd_m)
    with pytest.raises(DiskError, match="cannot be written"):
        write_map(world, scene, tmp_path / "nowhere" / "map.tif")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on file sizes")
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    # The first limit stops a tile, the second only what GDAL writes as it closes the file, when it reports no errors any more.
    script = f"""
import resource, signal
from pathlib import Path
from crossfix.errors import DiskError
from crossfix.worlds import Epoch, World
from crossfix.worlds.write import write_map
world = World("farmland", 1, 50.0)
scene = world.scene(Epoch.draw(1, "map"))
path = Path({str(tmp_path)!r}) / "map.tif"
whole = write_map(world, scene, path, gsd_m=1.0).stat().st_size
path.unlink()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (whole // 4, whole - 20):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_map(world, scene, path, gsd_m=1.0)
    except DiskError as error:
        print("refused", error.where)
    print(sorted(p.name for p in path.parent.iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == [f"refused {tmp_path / 'map.tif'}", "[]"] * 2


def test_drone_photos_say_what_a_drone_knows(drones: Path) -> None:
    rows = rows_of(drones)
    assert list(rows[0]) == list(TRUTH_COLUMNS)
    assert [row["photo"] for row in rows] == ["drone_0000.jpg", "drone_0001.jpg", "drone_0002.jpg"]
    for row in rows:
        photo = read_photo(drones / row["photo"])
        prior = photo.prior
        assert photo.pixels.shape == (120, 160, 3)
        assert photo.pixels.std() > 8
        assert prior.lon
        assert prior.lat
        assert prior.heading_deg
        assert prior.pitch_deg
        assert prior.height_m
        assert prior.fov_deg
        off = distance_m(prior.lon.value, prior.lat.value, float(row["lon"]), float(row["lat"]))
        assert 0.001 < off < 8
        turn = (prior.heading_deg.value - float(row["heading_deg"]) + 180) % 360 - 180
        assert 0 < abs(turn) < 9
        assert abs(prior.pitch_deg.value - float(row["pitch_deg"])) < 1
        assert abs(prior.fov_deg.value - float(row["fov_deg"])) < 0.01
        assert abs(prior.height_m.value - float(row["height_m"])) < 12
        assert "Gimbal" in prior.heading_deg.source
        assert "RelativeAltitude" in prior.height_m.source
        assert -90 <= float(row["pitch_deg"]) <= -50


def test_convention_truth_tells_the_camera_and_the_middle_of_the_picture(world: World, drones: Path) -> None:
    for row in rows_of(drones):
        east, north = world.frame.to_local(float(row["lon"]), float(row["lat"]))
        up = float(world.ground_height(east, north)) + float(row["height_m"])
        camera = Camera(east, north, up, float(row["heading_deg"]), float(row["pitch_deg"]), float(row["fov_deg"]), 160, 120)
        x, y = world.frame.to_local(float(row["centre_lon"]), float(row["centre_lat"]))
        uv, depth = camera.project(np.array([[x, y, float(world.ground_height(x, y))]]))
        assert depth[0] > 0
        assert np.allclose(uv[0], camera.centre_px, atol=0.05)


def test_a_photo_stays_the_same_when_more_are_taken(world: World, scene: Scene, drones: Path, tmp_path: Path) -> None:
    write_photos(world, scene, tmp_path, kind="drone", count=1, seed=11, size=(160, 120))
    assert (tmp_path / "drone_0000.jpg").read_bytes() == (drones / "drone_0000.jpg").read_bytes()
    write_photos(world, scene, tmp_path, kind="drone", count=1, seed=12, size=(160, 120))
    assert (tmp_path / "drone_0000.jpg").read_bytes() != (drones / "drone_0000.jpg").read_bytes()


def test_ground_photos_stand_on_open_ground(world: World, scene: Scene, tmp_path: Path) -> None:
    write_photos(world, scene, tmp_path, kind="ground", count=3, seed=1, size=(96, 72))
    for row in rows_of(tmp_path):
        assert row["height_m"] == "1.700"
        assert row["centre_lat"] == ""
        east, north = world.frame.to_local(float(row["lon"]), float(row["lat"]))
        above = scene.ortho(east, north, 2.0, 4, samples=1)
        top = float((above.origins[..., 2] - above.depth).max())
        assert abs(top - float(world.ground_height(east, north))) < 0.5
        prior = read_prior(tmp_path / row["photo"])
        assert prior.lon
        assert prior.lat
        assert prior.fov_deg
        assert prior.heading_deg
        assert distance_m(prior.lon.value, prior.lat.value, float(row["lon"]), float(row["lat"])) < 20
        assert abs(prior.fov_deg.value - float(row["fov_deg"])) < 0.5


def test_satellite_images_carry_no_metadata_and_show_their_square(world: World, scene: Scene, map_path: Path, tmp_path: Path) -> None:
    write_photos(world, scene, tmp_path, kind="satellite", count=2, seed=1, size=(64, 64))
    for row in rows_of(tmp_path):
        assert row["lat"] == row["height_m"] == ""
        assert 80 <= float(row["side_m"]) <= 150
        with Image.open(tmp_path / row["photo"]) as image:
            assert not image.getexif()
            assert not image.info.get("xmp")
        x, y = world.frame.to_local(float(row["centre_lon"]), float(row["centre_lat"]))
        assert max(abs(x), abs(y)) + float(row["side_m"]) / 2 <= SIZE_M / 2 + 0.01


def test_photos_that_cannot_be_are_refused(world: World, scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 photos"):
        write_photos(world, scene, tmp_path / "a", kind="drone", count=0, seed=1)
    with pytest.raises(InputError, match="4 x 4"):
        write_photos(world, scene, tmp_path / "a", kind="drone", count=1, seed=1, size=(4, 4))
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        write_photos(world, scene, tmp_path / "file" / "a", kind="drone", count=1, seed=1)
