"""`crossfix map build --head vlad`, and locating on what it builds."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from crossfix.cli import main
from crossfix.maps.raster import GeoMap
from rasters import town


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    return town(tmp_path_factory.mktemp("map") / "town.tif", size=300)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), path)
    return path


def command(raster, weights, out, *more):
    fixed = ["map", "build", raster, "-o", out, "--model", "test_vit", "--head", "vlad", "--weights", weights, "--px", "64"]
    return [str(word) for word in [*fixed, "--side-m", "60", "--clusters", "4", "--dim", "8", *more]]


@pytest.fixture(scope="module")
def index(raster, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("index") / "town.cfx"
    assert main(command(raster, weights, out)) == 0
    return out


def test_build_and_info(index, capsys):
    assert main(["map", "info", str(index), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["dim"], told["carried_model"]) == ("test_vit-vlad", 8, "model")
    assert main(["map", "info", str(index)]) == 0
    assert "fitted on this map" in capsys.readouterr().out
    assert main(["model", "info", str(index / "model"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["architecture"]["head"] == {"clusters": 4, "dim": 8, "sharpness": 20.0, "kind": "vlad"}
    assert card["recipe"]["encoder"]["file"] == "vit.safetensors"
    assert card["recipe"]["fitted"]["plan"]["sides_m"] == [60.0]


def test_a_build_tells_its_two_steps(raster, weights, tmp_path, capsys):
    assert main(command(raster, weights, tmp_path / "a.cfx", "--json")) == 0
    told = capsys.readouterr()
    assert told.err.index("Fitting the head") < told.err.index("Indexing the map")
    assert json.loads(told.out)["model"] == "test_vit-vlad"


def test_locate_uses_the_head_that_the_index_carries(index, raster, tmp_path, capsys):
    with GeoMap.open([raster]) as geomap:
        west, south, east, north = geomap.bounds_lonlat
        lon, lat = (west + east) / 2, (south + north) / 2
        Image.fromarray(geomap.read_square(lon, lat, 60.0, 256).pixels).save(tmp_path / "photo.png")
    asked = ["locate", str(tmp_path / "photo.png"), "--map", str(index), "--height-m", "52", "--fov-deg", "60", "--pitch-deg", "-90"]
    assert main([*asked, "--json"]) == 0
    assert "candidates" in capsys.readouterr().out
    assert main([*asked, "--model", "gengeo-tiny"]) == 2
    assert "it carries its own" in capsys.readouterr().err


def test_any_model_folder_lends_its_encoder(index, raster, tmp_path):
    out = tmp_path / "b.cfx"
    build = ["map", "build", str(raster), "-o", str(out), "--model", str(index / "model"), "--side-m", "100"]
    assert main([*build, "--head", "vlad", "--clusters", "2", "--dim", "0"]) == 0
    assert json.loads((out / "manifest.json").read_text())["model"]["dim"] == 2 * 64


def refused(capsys, words):
    assert main([str(word) for word in words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    assert "\n" not in told.err.strip()
    return told.err


def test_what_cannot_be(raster, weights, tmp_path, capsys):
    out = tmp_path / "a.cfx"
    plain = ["map", "build", raster, "-o", out, "--side-m", "60"]
    assert "--weights: is for a head that is fitted" in refused(capsys, [*plain, "--weights", weights])
    assert "no head gem" in refused(capsys, [*plain, "--head", "gem"])
    assert "did you mean test_vit" in refused(capsys, [*plain, "--head", "vlad", "--model", "test_vitt"])
    assert "not weights of resnet10t" in refused(capsys, [*plain, "--head", "vlad", "--model", "resnet10t", "--weights", weights])
    assert "is a whole model" in refused(capsys, [*plain, "--head", "vlad", "--model", "gengeo-tiny", "--weights", weights])
    assert "no setting" in refused(capsys, command(raster, weights, out, "--timm", "mean"))
    assert "cannot be built" in refused(capsys, command(raster, weights, out, "--timm", "nonsense=1"))
    assert "too few for 4000 clusters" in refused(capsys, command(raster, weights, out, "--clusters", "4000"))
    assert not (out / "model").exists()
