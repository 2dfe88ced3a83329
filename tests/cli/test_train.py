from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from crossfix.cli import main
from crossfix.models.gengeo import ArchConfig, GemConfig
from crossfix.models.point_branch import PointConfig
from crossfix.train import recipes
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.worlds.pairs import BankPlan
from lab_clouds import town, write_lab_with_clouds, write_town


def tiny() -> TrainConfig:
    """Two worlds of one region, a test network, two steps."""
    return TrainConfig(
        recipe="tiny",
        arch=ArchConfig("test_resnet", 32, GemConfig(16), stride=8),
        data=BankPlan(("farmland",), places=6, seed=0, px=32, epochs=1, views=1),
        steps=2,
        batch=2,
        held_out=2,
    )


@pytest.fixture
def _tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)


@pytest.mark.usefixtures("_tiny_recipe")
def test_train_renders_trains_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    command = ["train", "tiny", "-o", str(run), "--steps", "3", "--seed", "5", "--json"]
    assert main(command) == 0
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results["steps"] == 3
    assert "Rendering worlds" in captured.err
    assert "Training: 3 of 3" in captured.err
    assert "Automatic Mixed Precision" not in captured.err
    assert json.loads((run / "config.json").read_text())["seed"] == 5
    assert (run / "bank" / "satellite.npy").is_file()

    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == results
    assert main([*command[:-2], "6"]) == 2
    assert "another seed: 5 there, 6 now" in " ".join(capsys.readouterr().err.split())

    again = tmp_path / "again"
    assert main(["train", "tiny", "-o", str(again), "--bank", str(run / "bank"), "--steps", "3", "--seed", "5"]) == 0
    assert "Use it with --model" in capsys.readouterr().out
    assert (again / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()

    further = tmp_path / "further"
    assert main(["train", "tiny", "-o", str(further), "--bank", str(run / "bank"), "--steps", "1", "--start", str(run)]) == 0
    assert json.loads((further / "config.json").read_text())["start"] == results["sha256"]


def test_an_unknown_recipe_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "nonsense", "-o", str(tmp_path / "run")]) == 2
    assert "there is no such recipe; choose one of gengeo-tiny" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "this recipe trains on cvusa; say where it is: --data cvusa:ROOT"),
        (("--data", "cvact:somewhere"), "gengeo-cvusa trains on cvusa; give --data cvusa:ROOT"),
        (("--data", "somewhere"), "is not written NAME:ROOT"),
        (("--data", "cvusa:nowhere"), "there is no such folder"),
        (("--data", "cvusa:nowhere", "--encoder", "resnet18/half"), "write it like resnet18/16"),
    ],
)
def test_data_that_does_not_fit_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str):
    assert main(["train", "gengeo-cvusa", "-o", str(tmp_path / "run"), *options]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def linked() -> TrainConfig:
    """Training with clouds on a laboratory of textures."""
    return TrainConfig(
        recipe="linked",
        arch=ArchConfig("test_resnet", 32, GemConfig(16), stride=8),
        data=SetData("worlds-v1", "train", "d2s", (32, 32), 32, draw="place"),
        steps=2,
        batch=2,
        held_out=2,
        geolink=GeoLinkTraining(points=PointConfig(points=64, centres=(16, 8, 4), neighbours=4)),
    )


def test_clouds_lie_beside_the_pictures_or_where_the_command_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(recipes.RECIPES, "linked", linked)
    lab = write_lab_with_clouds(tmp_path / "lab", trained=6, groups=1)
    write_town(lab / "clouds/train", "train-00003", 0, town(2, 0, 20))
    asked = ["train", "linked", "--data", f"worlds-v1:{lab}", "--workers", "1", "-o"]
    assert main([*asked, str(tmp_path / "run")]) == 0
    captured = capsys.readouterr()
    said = " ".join(captured.out.split())
    assert "clouds of 5 of 6 places; 1 of 6 clouds cannot be used, the first: train-00003_group0/points3D.txt: has 20 points" in said
    assert "Reading clouds: 6 of 6" in captured.err

    (lab / "clouds").rename(tmp_path / "elsewhere")
    assert main([*asked, str(tmp_path / "again")]) == 2
    assert "there is no folder of clouds; build them with: crossfix clouds build" in " ".join(capsys.readouterr().err.split())
    assert main([*asked, str(tmp_path / "again"), "--clouds", str(tmp_path / "elsewhere/train")]) == 0
    same = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("run", "again")]
    assert same[0] == same[1]

    monkeypatch.setitem(recipes.RECIPES, "linked", lambda: replace(linked(), geolink=None))
    assert main([*asked, str(tmp_path / "flat"), "--clouds", str(tmp_path / "elsewhere/train")]) == 2
    assert "this recipe trains on pictures alone; leave --clouds out" in " ".join(capsys.readouterr().err.split())
