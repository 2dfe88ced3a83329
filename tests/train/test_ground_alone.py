"""An encoder of their own for pictures from the ground, which learns beside the others or alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.errors import InputError
from crossfix.losses.contrastive import InfoNCE
from crossfix.losses.correspondence import Correspondence
from crossfix.losses.geolink import TermsConfig
from crossfix.models.describe import Describer
from crossfix.models.folder import load_model
from crossfix.models.gengeo import ArchConfig, SaladConfig, build
from crossfix.models.geolink import GeoLinkBatch, GeoLinkConfig, build_geolink
from crossfix.models.overhead import overhead
from crossfix.models.point_branch import PointConfig
from crossfix.models.registry import load
from crossfix.train.augment import AugmentConfig, WarpConfig
from crossfix.train.config import OptimConfig, SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.ground import GroundViews
from crossfix.train.loop import train
from crossfix.train.panoramas import PanoramaAugment
from crossfix.train.prepare import Points, Prepared
from crossfix.train.siamese import Siamese
from lab_clouds import write_lab_with_clouds

ALONE = TrainConfig(
    recipe="alone",
    arch=ArchConfig(
        "test_resnet", 32, SaladConfig(clusters=4, cluster_dim=8, token_dim=8, hidden=16, dropout=0.0), stride=8, ground_encoder=True
    ),
    data=SetData("worlds-v1", "train", "d2s", (48, 48), 48, draw="place"),
    steps=4,
    batch=4,
    held_out=4,
    optim=OptimConfig(learning_rate=2e-3, warmup_steps=2),
    augment=AugmentConfig(satellite=WarpConfig(rotate_deg=10.0), upright=True),
    precision="32-true",
    validate_every=2,
    checkpoint_every=2,
    log_every=1,
    ground=GroundViews(
        (32, 128), share=1.0, alone=True, augment=PanoramaAugment(jitter=0.0, sharpness=0.0, cut=0.0, fov_deg=(90.0, 360.0))
    ),
)
SHARED = dataclasses.replace(ALONE.arch, ground_encoder=False)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory whose pictures say where they look."""
    return write_lab_with_clouds(tmp_path_factory.mktemp("told"), headings=True)


@pytest.fixture(scope="module")
def drones(tmp_path_factory: pytest.TempPathFactory, told: Path) -> Path:
    """A model that knows drone pictures."""
    run = tmp_path_factory.mktemp("drones") / "run"
    train(dataclasses.replace(ALONE, arch=SHARED, ground=None), run, root=told, workers=1)
    return run


def test_panoramas_learn_alone_and_nothing_else_changes(tmp_path: Path, told: Path, drones: Path):
    train(ALONE, tmp_path / "run", root=told, workers=1, start=drones)
    (before, _), (after, card) = load_model(drones), load_model(tmp_path / "run")
    was, now = before.state_dict(), after.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in was.items()), "running averages too"
    moved = {name for name in now if name.startswith("ground_encoder.") and not torch.equal(now[name], was[name.removeprefix("ground_")])}
    assert {"ground_encoder.net.layer1.0.conv1.weight", "ground_encoder.net.bn1.running_mean"} <= moved
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8))
    one, other = load(drones), Describer(after, card)
    np.testing.assert_array_equal(one.describe(pictures), other.describe(pictures))
    np.testing.assert_array_equal(one.describe_query(pictures), other.describe_query(pictures))
    assert one.sha256 != other.sha256


def test_the_describer_takes_the_encoder_of_the_kind(tmp_path: Path, told: Path, drones: Path):
    train(ALONE, tmp_path / "run", root=told, workers=1, start=drones)
    model, card = load_model(tmp_path / "run")
    panorama = np.random.default_rng(1).integers(0, 256, (32, 128, 3), dtype=np.uint8)
    found = Describer(model, card, precision="float32").describe_query([panorama], kind="ground")[0]
    assert found.shape == (12, model.dim)
    red, green, blue = (round(255 * value) for value in card.preprocessing.mean)
    drawn = overhead(panorama, 32, (red, green, blue), middle_deg=90.0)
    mean, std = torch.tensor(card.preprocessing.mean), torch.tensor(card.preprocessing.std)
    img_BCHW = ((torch.from_numpy(drawn).float() / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.no_grad():
        own, shared = model(img_BCHW, "ground")[0].numpy(), model(img_BCHW, "query")[0].numpy()
    np.testing.assert_allclose(found[3], own, atol=1e-4)
    assert np.abs(own - shared).max() > 1e-3


def test_a_killed_training_of_panoramas_alone_goes_on_to_the_same_weights(tmp_path: Path, told: Path, drones: Path):
    whole = train(ALONE, tmp_path / "whole", root=told, workers=1, start=drones)

    class KilledError(Exception):
        pass

    def kill(done: int, _: int) -> None:
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train(ALONE, tmp_path / "killed", kill, root=told, workers=1, start=drones)
    again = train(ALONE, tmp_path / "killed", root=told, workers=1, start=drones)
    assert again.results["sha256"] == whole.results["sha256"]


def test_an_own_encoder_may_learn_beside_the_other(tmp_path: Path, told: Path):
    assert ALONE.ground is not None
    config = dataclasses.replace(ALONE, ground=dataclasses.replace(ALONE.ground, alone=False))
    torch.manual_seed(0)
    model = build(config.arch)
    module = Siamese(model, InfoNCE(), None, 0.0, InfoNCE(), 0.5).eval()
    satellite, drone, ground = torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32), torch.randn(2, 3, 32, 32)
    place, row = torch.tensor([3, 1, 4, 5]), torch.tensor([3, 1])
    found = module(Prepared(satellite, drone, place, None, None, None, ground, row))
    drones, panoramas = (
        InfoNCE()(model(drone), model(satellite), place),
        InfoNCE()(model(ground, "ground"), model(satellite)[row], place[row]),
    )
    torch.testing.assert_close(found, drones + 0.5 * panoramas)
    assert train(config, tmp_path / "run", root=told, workers=1).results["steps"] == 4


def test_alone_it_learns_from_matched_tokens_too():
    torch.manual_seed(0)
    model = build(ALONE.arch)
    tokens = Correspondence(model.encoder.dim)
    satellite, ground, row = torch.randn(4, 3, 32, 32), torch.randn(2, 3, 32, 32), torch.tensor([3, 1])
    points = Points(torch.rand(2, 6, 2), torch.rand(2, 6, 2), torch.ones(2, 6).bool())
    batch = Prepared(satellite, satellite[:0], torch.tensor([3, 1, 4, 5]), None, None, None, ground, row, ground_points=points)
    module = Siamese(model, InfoNCE(), tokens, 3.0, InfoNCE(), ground_alone=True).eval()
    found, without = module(batch), module(batch._replace(ground_points=None))
    assert model.ground_encoder is not None
    with torch.no_grad():
        both = model.ground_encoder(ground)[0], model.encoder(satellite[row])[0]
        expected = tokens(*both, points.query_BT2, points.satellite_BT2, points.seen_BT)
    torch.testing.assert_close(found - without, 3.0 * expected)
    found.backward()
    learns = {name.split(".")[0] for name, one in model.named_parameters() if one.grad is not None}
    assert learns == {"ground_encoder"}
    assert tokens.project.weight.grad is not None


def test_an_own_encoder_may_learn_beside_one_that_clouds_teach():
    torch.manual_seed(0)
    terms = TermsConfig(intra=0.0, mi=0.0, relation=0.0, points=0.0, ground=0.5)
    link = build_geolink(GeoLinkConfig(ALONE.arch, PointConfig()), terms.build).eval()
    model = link.deployed()
    satellite, drone, ground = torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32), torch.randn(2, 3, 32, 32)
    place, row = torch.tensor([3, 1, 4, 5]), torch.tensor([3, 1])
    losses = link(GeoLinkBatch(drone, satellite, place, ground_GCHW=ground, ground_row_G=row))
    panoramas = InfoNCE()(model(ground, "ground"), model(satellite)[row], place[row])
    torch.testing.assert_close(losses.parts["ground"], panoramas.detach())
    losses.objective.backward()
    for encoder in (model.encoder, model.ground_encoder):
        assert encoder is not None
        assert any(bool(one.grad is not None and one.grad.any()) for one in encoder.parameters())


def test_own_encoders_without_a_use_are_one_sentence(tmp_path: Path, told: Path):
    with pytest.raises(InputError, match="this training begins with the weights of a model; say which: --start MODEL"):
        train(ALONE, tmp_path / "run", root=told, workers=1)
    with pytest.raises(InputError, match="have no encoder of their own to train alone"):
        dataclasses.replace(ALONE, arch=SHARED)
    with pytest.raises(InputError, match="an encoder for pictures from the ground has none to learn from"):
        dataclasses.replace(ALONE, ground=None)
    with pytest.raises(InputError, match="3D teaches drone pictures, which learn nothing"):
        dataclasses.replace(ALONE, geolink=GeoLinkTraining())
