from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfix.cli import main
from crossfix.models.gengeo import ArchConfig, GemConfig
from crossfix.train import recipes
from crossfix.train.config import TrainConfig
from crossfix.worlds.pairs import BankPlan


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
