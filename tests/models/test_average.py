"""The average of two models."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models.average import average_models
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build

ARCH = ArchConfig("resnet10t", 64, GemConfig(dim=16), stride=8)


def saved(folder: Path, seed: int, arch: ArchConfig = ARCH, licence: str = "Apache-2.0") -> Path:
    torch.manual_seed(seed)
    card = ModelCard("m", arch, Preprocessing(64), recipe={"steps": seed}, metrics={"r1": 1.0}, licence=licence)
    save_model(folder, build(arch), card)
    return folder


def test_every_weight_and_running_average_lies_between_the_two(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", 1), saved(tmp_path / "b", 2, licence="MIT")
    model, card = average_models(a, b, 0.25)
    one, other = (load_model(folder)[0].state_dict() for folder in (a, b))
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    assert card.recipe == {"steps": 2, "averaged": {"with": load_model(a)[1].sha256, "share": 0.25}}
    assert not card.metrics, "figures of another model say nothing"
    assert card.licence == "Apache-2.0 AND MIT"
    for share, folder in ((0.0, a), (1.0, b)):
        kept, end = average_models(a, b, share)[0].state_dict(), load_model(folder)[0].state_dict()
        assert all(torch.equal(kept[name], end[name]) for name in end if end[name].is_floating_point())


def test_a_second_stage_may_see_panoramas_where_the_first_did_not(tmp_path: Path) -> None:
    b = saved(tmp_path / "b", 2, dataclasses.replace(ARCH, squares=True))
    assert average_models(saved(tmp_path / "a", 1), b)[1].architecture.squares


def test_a_second_stage_may_know_where_tokens_stand(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", 1), saved(tmp_path / "b", 2, dataclasses.replace(ARCH, coordinates=True))
    before, after = load_model(a)[0], load_model(b)[0]
    with torch.no_grad():
        after.encoder.where += torch.randn(after.encoder.where.shape)
    save_model(b, after, load_model(b)[1])
    torch.testing.assert_close(average_models(a, b, 0.25)[0].encoder.where, 0.25 * after.encoder.where)
    picture = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(average_models(a, b, 0.0)[0](picture), before(picture), msg="where they begin at zero nothing changes")
    with pytest.raises(ModelError, match="different networks"):
        average_models(b, a)


def test_an_own_encoder_for_pictures_from_the_ground_begins_as_the_only_one(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", 1), saved(tmp_path / "b", 2, dataclasses.replace(ARCH, coordinates=True, ground_encoder=True))
    before, begun = load_model(a)[0], average_models(a, b, 0.0)[0]
    picture = torch.randn(1, 3, 64, 64)
    for kind in ("satellite", "query", "ground"):
        torch.testing.assert_close(begun(picture, kind), before(picture, kind))
    assert begun.encoder_of("ground") is not begun.encoder


@pytest.mark.parametrize("other", [dataclasses.replace(ARCH, head=GemConfig(dim=8)), dataclasses.replace(ARCH, encoder="resnet18")])
def test_different_networks_have_no_average(other: ArchConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"different networks.*average a model with its own further training"):
        average_models(saved(tmp_path / "a", 1), saved(tmp_path / "b", 2, other))


def test_the_share_is_a_share(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"share is 1\.5"):
        average_models(tmp_path, tmp_path, 1.5)
