from __future__ import annotations

import json

import pytest
import torch
from affine import Affine

from crossfix.cli import main
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build
from rasters import texture, town, write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    net = build(ArchConfig("resnet10t", 64, GemConfig(dim=16), stride=8))
    folder = tmp_path_factory.mktemp("model") / "small"
    save_model(folder, net, ModelCard("small", net.config, Preprocessing(64)))
    return folder


@pytest.fixture
def raster(tmp_path):
    return town(tmp_path / "town.tif", size=300)


def test_build_and_info(raster, model, tmp_path, capsys):
    out = tmp_path / "town.cfx"
    assert main(["map", "build", str(raster), "-o", str(out), "--model", str(model), "--side-m", "100", "--side-m", "150", "--json"]) == 0
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert "Indexing the map" in told.err
    assert summary["sides_m"] == [100.0, 150.0]
    assert summary["model"] == "small"
    assert summary["dim"] == 16
    assert summary["area_km2"] == pytest.approx(0.09, rel=0.02)
    assert summary["rasters"] == [str(raster)]
    assert main(["map", "info", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == summary
    assert main(["map", "info", str(out)]) == 0
    text = capsys.readouterr().out
    assert f"{summary['chips']} of 100, 150 m" in text
    assert str(raster) in "".join(line.strip("│ ").removeprefix("raster").strip("│ ") for line in text.splitlines())


def test_same_again_other_and_overwrite(raster, model, tmp_path, capsys):
    command = ["map", "build", str(raster), "-o", str(tmp_path / "a.cfx"), "--model", str(model), "--side-m"]
    assert main([*command, "100"]) == 0
    assert "use it with --map" in capsys.readouterr().out
    assert main([*command, "100"]) == 0
    assert main([*command, "150"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "150", "--overwrite"]) == 0


def test_default_sides_suit_the_map(raster, model, tmp_path, capsys):
    assert main(["map", "build", str(raster), "-o", str(tmp_path / "a.cfx"), "--model", str(model), "--overlap", "0", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["sides_m"][0] == pytest.approx(64, abs=1)
    assert summary["sides_m"][-1] < 300
    assert summary["overlap"] == 0


def refused(capsys, *command):
    assert main(["map", *map(str, command)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    sentence = told.err.strip()
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def test_what_cannot_be(raster, model, tmp_path, capsys):
    out = tmp_path / "a.cfx"
    common = ("-o", out, "--model", model)
    nowhere = write(tmp_path / "nowhere.tif", texture(40), None, Affine(1, 0, 500000, 0, -1, 5600000))
    assert "no coordinate reference system" in refused(capsys, "build", nowhere, *common)
    assert "no such file" in refused(capsys, "build", tmp_path / "none.tif", *common)
    assert "no raster of a kind" in refused(capsys, "build", __file__, *common)
    assert "cannot be -3 m wide" in refused(capsys, "build", raster, *common, "--side-m", "-3")
    assert "overlap" in refused(capsys, "build", raster, *common, "--overlap", "2")
    assert "smaller --side-m" in refused(capsys, "build", raster, *common, "--side-m", "9000")
    assert "gengeo-tiny" in refused(capsys, "build", raster, "-o", tmp_path / "b.cfx", "--model", "gengeo-tny")
    assert "other things" in refused(capsys, "build", raster, "-o", tmp_path, "--model", model)
    assert "no such map index" in refused(capsys, "info", tmp_path / "none.cfx")
    assert "no finished map index" in refused(capsys, "info", tmp_path)


def test_damaged_index_is_told_and_mended(raster, model, tmp_path, capsys):
    out = tmp_path / "a.cfx"
    command = ["map", "build", str(raster), "-o", str(out), "--model", str(model), "--side-m", "100"]
    assert main(command) == 0
    capsys.readouterr()
    shard = out / "descriptors" / "000000.npy"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    assert "damaged" in refused(capsys, "info", out)
    assert "--overwrite" in refused(capsys, *command[1:])
    (out / "manifest.json").write_text("{")
    assert "--overwrite" in refused(capsys, *command[1:])
    assert main([*command, "--overwrite"]) == 0
    assert main(["map", "info", str(out)]) == 0


def test_help_has_examples(capsys):
    for verb in ("build", "info"):
        assert main(["map", verb, "--help"]) == 0
        assert f"crossfix map {verb}" in capsys.readouterr().out
