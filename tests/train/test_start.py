"""A training that begins with a model's weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from crossfix.errors import InputError, ModelError
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build
from crossfix.train.config import OptimConfig, TrainConfig
from crossfix.train.loop import train
from crossfix.train.start import Start
from crossfix.worlds.pairs import BankPlan, PairBank

STILL = TrainConfig(  # learns so slowly that a float32 does not move
    recipe="still",
    arch=ArchConfig("test_resnet", 48, GemConfig(16), stride=8),
    data=BankPlan(("suburb", "farmland"), 40, 0, 48, 2, 2),
    steps=2,
    batch=4,
    held_out=8,
    optim=OptimConfig(learning_rate=1e-12, warmup_steps=0),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a licence of its own, on the same network with another arrangement of its inputs."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(5)
    arch = dataclasses.replace(STILL.arch, squares=True)
    card = ModelCard("begun", arch, Preprocessing(48), training_data="some pictures", licence="GPL-3.0-only")
    save_model(folder, build(arch), card)
    return folder


def test_a_run_goes_on_from_the_weights_and_says_so(model: Path, bank: PairBank, tmp_path: Path) -> None:
    train(STILL, tmp_path, bank=bank, start=model)
    begun, about = load_model(model)
    made, card = load_model(tmp_path)
    for (name, was), now in zip(begun.named_parameters(), made.parameters(), strict=True):
        torch.testing.assert_close(now, was, atol=1e-7, rtol=0, msg=name)
    assert not torch.equal(dict(begun.named_buffers())["encoder.net.bn1.running_mean"], made.get_buffer("encoder.net.bn1.running_mean"))
    assert card.recipe["start"] == about.sha256 == json.loads((tmp_path / "config.json").read_text())["start"]
    assert card.training_data.endswith(f"; began with begun ({about.sha256[:8]}), trained on some pictures")
    assert card.licence == "GPL-3.0-only", "what is made of weights stays under their licence"
    before = (tmp_path / "model.safetensors").read_bytes()
    train(STILL, tmp_path, bank=bank, start=model)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    with pytest.raises(InputError, match="say which: --start MODEL"):
        train(STILL, tmp_path, bank=bank)


def test_a_network_that_knows_where_tokens_stand_goes_on_from_one_that_does_not(model: Path, bank: PairBank, tmp_path: Path) -> None:
    config = dataclasses.replace(STILL, arch=dataclasses.replace(STILL.arch, coordinates=True))
    train(config, tmp_path, bank=bank, start=model)
    begun, made = load_model(model)[0].state_dict(), dict(load_model(tmp_path)[0].named_parameters())
    torch.testing.assert_close(made.pop("encoder.where").detach(), torch.zeros(8, 48), atol=1e-7, rtol=0)
    for name, now in made.items():
        torch.testing.assert_close(now.detach(), begun[name], atol=1e-7, rtol=0, msg=name)


def test_no_other_published_weights_are_fetched(model: Path) -> None:
    assert Start.of(model).recorded(dataclasses.replace(STILL, pretrained=True)).pretrained is False


def test_what_cannot_be_begun_with(model: Path, bank: PairBank, tmp_path: Path) -> None:
    other = dataclasses.replace(STILL, arch=dataclasses.replace(STILL.arch, head=GemConfig(8)))
    with pytest.raises(ModelError, match=r"those of another network than the recipe's: head\.\S+ and \d more differ"):
        train(other, tmp_path / "other", bank=bank, start=model)
    assert not (tmp_path / "other").exists(), "the folder is not claimed, nor a bank rendered"
    with pytest.raises(ModelError):
        train(STILL, tmp_path / "none", bank=bank, start=tmp_path / "nothing")
    with pytest.raises(InputError, match="say which: --start MODEL"):
        train(dataclasses.replace(STILL, start="0" * 64), tmp_path / "unsaid", bank=bank)
