"""From a photo and an index to a fix: on a synthetic map with exact truth, and on real drone photos."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfix.errors import InputError, MapIndexError
from crossfix.geo.camera import Camera
from crossfix.geo.geodesy import LocalFrame, distance_m
from crossfix.geo.metadata import read_photo
from crossfix.geo.photo import Photo, Prior, Sourced
from crossfix.index.build import build_index
from crossfix.index.store import MapIndex
from crossfix.locate.locator import Locator
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from places import ground, seen
from rasters import placed, write
from shared import SHARED, needs_shared
from toy_describer import ToyDescriber

LON, LAT, GSD, PX = 9.0, 48.5, 0.5, 800


@pytest.fixture(scope="module")
def place() -> np.ndarray:
    return ground(PX, seed=11)


@pytest.fixture(scope="module")
def index(place: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> MapIndex:
    folder = tmp_path_factory.mktemp("synthetic")
    system = LocalFrame(LON, LAT).crs
    raster = write(folder / "map.tif", place.transpose(2, 0, 1), system, placed(system, LON, LAT, GSD, PX))
    with GeoMap.open([raster]) as geomap:
        return build_index(geomap, ToyDescriber(), folder / "map.cfx", TilingPlan((80.0, 113.0, 160.0)))


@pytest.fixture(scope="module")
def locator(index: MapIndex) -> Locator:
    return Locator(index, ToyDescriber())


def shoot(place: np.ndarray, camera: Camera) -> np.ndarray:
    """What a camera over the synthetic map sees, in duller light."""
    to_map = np.array([[1 / GSD, 0, (PX - 1) / 2], [0, -1 / GSD, (PX - 1) / 2], [0, 0, 1]])
    view = seen(place, to_map @ camera.ground_homography(), (camera.width, camera.height))
    return np.clip(view * [0.7, 0.75, 0.65] + 30, 0, 255).astype(np.uint8)


def told(camera: Camera, *hidden: str) -> Prior:
    known = {"height_m": camera.up_m, "heading_deg": camera.heading_deg, "pitch_deg": camera.pitch_deg, "fov_deg": camera.fov_deg}
    return Prior(**{name: Sourced(value, "test") for name, value in known.items() if name not in hidden})


CAMERAS = {
    "nadir": Camera(60.0, -45.0, 90.0, 35.0, -90.0, 60.0, 640, 480),
    "oblique": Camera(-70.0, 10.0, 90.0, 250.0, -60.0, 60.0, 640, 480),
    "reversed": Camera(20.0, 70.0, 90.0, 120.0, -90.0, 60.0, 640, 480),
}


@pytest.mark.parametrize("kind", list(CAMERAS))
def test_camera_and_centre_are_found(place: np.ndarray, locator: Locator, kind: str) -> None:
    camera = CAMERAS[kind]
    prior = told(camera)
    if kind == "reversed":
        prior = replace(prior, heading_deg=Sourced((camera.heading_deg + 180) % 360, "test"))
    fix = locator.locate(Photo("view", None, shoot(place, camera), prior))
    frame = LocalFrame(LON, LAT)
    assert fix.lon is not None
    assert fix.lat is not None
    assert fix.heading_deg is not None
    np.testing.assert_allclose(frame.to_local(fix.centre_lon, fix.centre_lat), camera.centre_on_ground(), atol=0.5)
    np.testing.assert_allclose(frame.to_local(fix.lon, fix.lat), (camera.east_m, camera.north_m), atol=1.0)
    assert abs((fix.heading_deg - camera.heading_deg + 180) % 360 - 180) < 0.5
    assert fix.method == "registration"
    assert fix.accepted
    assert fix.reason is None
    assert 0.5 < fix.radius95_m < 5
    assert [candidate.rank for candidate in fix.candidates] == list(range(1, len(fix.candidates) + 1))


def test_nothing_known_is_no_hindrance_but_leaves_the_camera_unknown(place: np.ndarray, locator: Locator) -> None:
    camera = CAMERAS["nadir"]
    fix = locator.locate(Photo("view", None, shoot(place, camera)))
    np.testing.assert_allclose(LocalFrame(LON, LAT).to_local(fix.centre_lon, fix.centre_lat), camera.centre_on_ground(), atol=0.6)
    assert fix.lon is None
    assert fix.lat is None


def test_convention_camera_of_a_photo_straight_down_is_over_its_centre(place: np.ndarray, locator: Locator) -> None:
    """Without field of view the camera is known only because the photo looks straight down, and the covariance is wide enough for it."""
    camera = CAMERAS["nadir"]
    whole = locator.locate(Photo("view", None, shoot(place, camera), told(camera)))
    fix = locator.locate(Photo("view", None, shoot(place, camera), told(camera, "fov_deg")))
    assert (fix.lon, fix.lat) == (pytest.approx(fix.centre_lon), pytest.approx(fix.centre_lat))
    assert fix.radius95_m > whole.radius95_m + 2


def test_another_place_is_refused_in_plain_words(locator: Locator) -> None:
    camera = CAMERAS["nadir"]
    fix = locator.locate(Photo("elsewhere", None, shoot(ground(PX, seed=12), camera), told(camera)))
    assert not fix.accepted
    assert fix.confidence < 0.5
    assert fix.reason is not None
    assert len(fix.reason.split()) > 5


def test_prior_off_the_map_is_an_error(place: np.ndarray, locator: Locator) -> None:
    camera = CAMERAS["nadir"]
    far = told(camera).merged(Prior(lon=Sourced(10.0, "test"), lat=Sourced(LAT, "test"), radius_m=Sourced(100, "test")))
    with pytest.raises(InputError, match="view: the map has no chip within"):
        locator.locate(Photo("view", None, shoot(place, camera)), far)


def test_prior_near_the_truth_keeps_it(place: np.ndarray, locator: Locator) -> None:
    camera = CAMERAS["nadir"]
    lon, lat = LocalFrame(LON, LAT).to_lonlat(camera.east_m + 30, camera.north_m - 30)
    near = told(camera).merged(Prior(lon=Sourced(lon, "test"), lat=Sourced(lat, "test"), radius_m=Sourced(60, "test")))
    fix = locator.locate(Photo("view", None, shoot(place, camera)), near)
    np.testing.assert_allclose(LocalFrame(LON, LAT).to_local(fix.centre_lon, fix.centre_lat), camera.centre_on_ground(), atol=0.5)
    frame = LocalFrame(lon, lat)
    assert all(np.hypot(*frame.to_local(one.lon, one.lat)) < 60 * 2.5 + one.side_m for one in fix.candidates)


def test_same_photo_gives_the_same_fix(place: np.ndarray, index: MapIndex) -> None:
    photo = Photo("view", None, shoot(place, CAMERAS["oblique"]), told(CAMERAS["oblique"]))
    first, second = (replace(Locator(index, ToyDescriber()).locate(photo), seconds=0.0) for _ in range(2))
    assert first == second


def test_another_model_is_refused(index: MapIndex) -> None:
    with pytest.raises(MapIndexError, match="was built with the model toy"):
        Locator(index, ToyDescriber("other", "1" * 64))


def test_no_candidates_make_no_sense(index: MapIndex) -> None:
    with pytest.raises(InputError, match="at least 1"):
        Locator(index, ToyDescriber(), top=0)


@pytest.fixture(scope="module")
def brighton(tmp_path_factory: pytest.TempPathFactory) -> MapIndex:
    assert SHARED is not None
    with GeoMap.open([SHARED / "data" / "brighton" / "ortho_full.tif"]) as geomap:
        return build_index(geomap, ToyDescriber(), tmp_path_factory.mktemp("brighton") / "map.cfx", TilingPlan.default(geomap))


def brighton_photo(name: str) -> tuple[Photo, dict[str, str], Path]:
    assert SHARED is not None
    folder = SHARED / "data" / "brighton"
    with (folder / "truth.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["file"] == name)
    photo = read_photo(folder / "images" / name)
    return replace(photo, prior=photo.prior.without_position()), row, SHARED


@needs_shared
@pytest.mark.parametrize("name", ["DJI_0026.JPG", "DJI_0034.JPG"])
def test_real_photo_is_found_to_decimetres(brighton: MapIndex, name: str) -> None:
    """DJI_0026 says a heading half a turn off."""
    photo, row, _ = brighton_photo(name)
    fix = Locator(brighton, ToyDescriber()).locate(photo)
    assert distance_m(fix.centre_lon, fix.centre_lat, float(row["match_lon"]), float(row["match_lat"])) < 0.5
    assert fix.lon is not None
    assert fix.lat is not None
    assert fix.heading_deg is not None
    assert fix.camera_radius95_m is not None
    assert distance_m(fix.lon, fix.lat, float(row["cam_lon"]), float(row["cam_lat"])) < min(3.0, fix.camera_radius95_m)
    assert fix.radius95_m < fix.camera_radius95_m < 10.0
    assert abs((fix.heading_deg - float(row["match_yaw_deg"]) + 180) % 360 - 180) < 1.0
    assert fix.accepted


@needs_shared
def test_learned_features_agree(brighton: MapIndex) -> None:
    pytest.importorskip("kornia")
    photo, row, shared = brighton_photo("DJI_0033.JPG")
    fix = Locator(brighton, ToyDescriber(), matcher="xfeat", matcher_weights=shared / "weights" / "xfeat.safetensors").locate(photo)
    assert fix.method == "registration"
    assert distance_m(fix.centre_lon, fix.centre_lat, float(row["match_lon"]), float(row["match_lat"])) < 0.5
