"""`crossfix locate` from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossfix.cli import main
from crossfix.errors import InputError
from crossfix.geo.camera import Camera
from crossfix.geo.drone_exif import write_drone_jpeg
from crossfix.geo.geodesy import LocalFrame, distance_m
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build
from places import ground, seen
from rasters import placed, write

LON, LAT, GSD, PX = 9.0, 48.5, 0.5, 600
CAMERA = Camera(20.0, -30.0, 80.0, 40.0, -90.0, 61.9275, 640, 480)
TRUTH = (20.0, -30.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map, its index, its model and photos, one of them good."""
    folder = tmp_path_factory.mktemp("locate")
    place = ground(PX, seed=21)
    system = LocalFrame(LON, LAT).crs
    write(folder / "map.tif", place.transpose(2, 0, 1), system, placed(system, LON, LAT, GSD, PX))
    torch.manual_seed(0)
    net = build(ArchConfig("resnet10t", 64, GemConfig(dim=16), stride=8))
    save_model(folder / "model", net, ModelCard("small", net.config, Preprocessing(64)))
    photos = folder / "photos"
    photos.mkdir()
    to_map = np.array([[1 / GSD, 0, (PX - 1) / 2], [0, -1 / GSD, (PX - 1) / 2], [0, 0, 1]])
    view = seen(place, to_map @ CAMERA.ground_homography(), (CAMERA.width, CAMERA.height))
    lon, lat = LocalFrame(LON, LAT).to_lonlat(*TRUTH)
    write_drone_jpeg(
        photos / "good.jpg", view, lon=lon, lat=lat, altitude_msl_m=400.0, relative_altitude_m=80.0, gimbal_yaw_deg=40.0,
        gimbal_pitch_deg=-90.0, flight_yaw_deg=40.0, focal_mm=5.4, focal35_mm=30, taken="2026:06:01 12:00:00",
    )  # fmt: skip
    (photos / "empty.jpg").write_bytes(b"")
    Image.fromarray(np.full((200, 300, 3), 128, np.uint8)).save(photos / "sky.jpg")
    assert (
        main(["map", "build", str(folder / "map.tif"), "-o", str(folder / "map.cfx"), "--model", str(folder / "model"), "--side-m", "80"])
        == 0
    )
    return folder


def command(folder: Path, *rest: str, photo: str = "photos/good.jpg") -> list[str]:
    return ["locate", str(folder / photo), "--map", str(folder / "map.cfx"), "--model", str(folder / "model"), *rest]


def test_json_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(command(folder, "--ignore-gps", "--json")) == 0
    told = capsys.readouterr()
    (result,) = json.loads(told.out)
    assert result["photo"] == "good.jpg"
    lon, lat = LocalFrame(LON, LAT).to_lonlat(*TRUTH)
    assert distance_m(result["fix"]["centre_lon"], result["fix"]["centre_lat"], lon, lat) < 1.0
    assert result["prior"]["lat"] is None
    assert result["prior"]["height_m"]["value"] == pytest.approx(80.0)


def test_one_bad_photo_among_many(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    out = tmp_path / "fixes.geojson"
    assert main(command(folder, "-o", str(out), photo="photos")) == 1
    told = capsys.readouterr()
    assert "empty.jpg" in told.err
    assert "sky.jpg: the photo shows no texture" in told.err
    assert "good.jpg" in told.out
    collection = json.loads(out.read_text())
    assert {feature["properties"]["photo"] for feature in collection["features"]} == {"good.jpg"}
    assert {failure["photo"] for failure in collection["failures"]} == {"empty.jpg", "sky.jpg"}


def test_a_page_shows_every_photo(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command(folder, "--ignore-gps", photo="photos"), "--report", str(tmp_path / "new/page")]) == 1
    page = (tmp_path / "new/page/report.html").read_text()
    assert all(name in page for name in ("good.jpg", "sky.jpg", "empty.jpg", "map.tif", "small"))
    assert page.count("data:image/jpeg") >= 2, "the photo and the map at its fix"
    assert "Report: " in capsys.readouterr().out
    assert main([*command(folder, "--ignore-gps", "--json"), "--report", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["photo"] == "good.jpg"


def test_only_bad_photos(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "--json", photo="photos/empty.jpg")) == 2
    assert json.loads(capsys.readouterr().out)[0]["fix"] is None


def test_options_enter_the_prior_with_their_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lon, lat = LocalFrame(LON, LAT).to_lonlat(30.0, -20.0)
    capsys.readouterr()
    options = ["--near", f"{lat},{lon}", "--radius-m", "60", "--height-m", "79", "--heading-deg", "-320", "--pitch-deg", "-89"]
    assert main(command(folder, *options, "--fov-deg", "62", "--top", "3", "--format", "csv", "-o", str(folder / "f.csv"), "--json")) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["prior"]["lat"]["source"] == "flag:--near"
    assert result["prior"]["heading_deg"] == {"value": 40.0, "source": "flag:--heading-deg"}
    assert len(result["candidates"]) <= 3
    assert (folder / "f.csv").read_text().startswith("photo,lat,lon,")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--near", "48.5"], "--near: '48.5' is not a position; give LAT,LON"),
        (["--near", "120,9"], "--near"),
        (["--radius-m", "-5", "--near", "48,9"], "--radius-m: a radius of -5 m"),
        (["--radius-m", "5", "--ignore-gps"], "--radius-m: a radius needs a position"),
        (["--height-m", "0"], "--height-m"),
        (["--fov-deg", "200"], "--fov-deg"),
        (["--pitch-deg", "-91"], "--pitch-deg"),
        (["--format", "kml"], "there is no format 'kml'"),
        (["--matcher", "orb"], "there is no matcher 'orb'"),
        (["--matcher", "xfeat"], "needs its weights"),
        (["--top", "0"], "0 candidates are too few"),
    ],
)
def test_senseless_options(folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str) -> None:
    assert main(command(folder, *options)) == InputError.exit_code
    told = " ".join(capsys.readouterr().err.split())
    assert sentence in told
    assert "Traceback" not in told


def test_folder_without_pictures(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", str(tmp_path), "--map", str(folder / "map.cfx"), "--model", str(folder / "model")]) == 2
    assert "holds no pictures" in " ".join(capsys.readouterr().err.split())


def test_missing_index(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", str(folder / "photos/good.jpg"), "--map", str(tmp_path / "no.cfx")]) == 2
    assert "no.cfx" in " ".join(capsys.readouterr().err.split())
