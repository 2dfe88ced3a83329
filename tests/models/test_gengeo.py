import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models import gengeo
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.gengeo import ArchConfig, ClsConfig, GemConfig, MeanConfig, MixVprConfig, NetVladConfig, SaladConfig, build

SALAD = SaladConfig(clusters=16, cluster_dim=8, token_dim=12, hidden=32)
VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3}


@pytest.mark.parametrize(
    "config",
    [
        ArchConfig("resnet10t", 64, SALAD, stride=8),
        ArchConfig("resnet10t", 64, GemConfig(dim=32), stride=16),
        ArchConfig("convnext_atto", 64, MeanConfig(), stride=8, timm_kwargs={"drop_path_rate": 0.1}),
        ArchConfig("convnext_atto", 64, MeanConfig(norm=True), stride=32),
        ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, MixVprConfig(24, 3, depth=1), timm_kwargs={**VIT, "final_norm": False}),
        ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, NetVladConfig(4), timm_kwargs=VIT),
        ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, NetVladConfig(4, cluster_dim=9), timm_kwargs=VIT),
        ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, ClsConfig(), timm_kwargs=VIT),
        ArchConfig("vit_small_patch14_reg4_dinov2.lvd142m", 70, SALAD, timm_kwargs=VIT, positions="timm"),
    ],
)
def test_config_to_json_to_model(config):
    again = ArchConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    model = build(again).eval()
    desc = model(torch.randn(2, 3, config.px, config.px))
    assert desc.shape == (2, model.dim)
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(2))


def test_same_seed_same_weights():
    config = ArchConfig("resnet10t", 64, SALAD, stride=8)
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(config).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_one_head_serves_pictures_of_every_shape():
    model = build(ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, SALAD, timm_kwargs=VIT)).eval()
    ground, aerial = model(torch.randn(1, 3, 56, 140)), model(torch.randn(1, 3, 98, 98))
    assert ground.shape == aerial.shape
    (ground @ aerial.T).sum().backward()
    assert model.head.score[0].weight.grad.abs().sum() > 0


def test_a_small_picture_gives_too_few_tokens():
    with pytest.raises(ModelError, match="resnet10t: the input gives 16 tokens, SALAD with 16 clusters needs more; raise px"):
        build(ArchConfig("resnet10t", 64, SALAD, stride=16))
    model = build(ArchConfig("resnet10t", 128, SALAD, stride=16)).eval()
    with pytest.raises(ModelError, match="more tokens than clusters"):
        model(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head": {"kind": "bag of words"}}, "unknown head 'bag of words'"),
        ({"head": {"kind": "cls"}}, "resnet10t: the encoder has no class token"),
        ({"head": "salad"}, "unknown head None"),
        ({"head": {"kind": "gem", "size": 3}}, "unknown entries in the architecture: size"),
        ({"colour": 1}, "unknown entries in the architecture: colour"),
        ({"timm_kwargs": {"checkpoint_path": "/tmp/evil.pth"}}, "may not set checkpoint_path"),
        ({"timm_kwargs": {"no_such_argument": 1}}, "cannot be|gives no feature maps"),
        ({"px": "64"}, "cannot be built"),
        ({"px": None}, "cannot be built"),
        ({"head": {"kind": "salad", "clusters": -1}}, "cannot be built"),
        ({"encoder": "resnet1000"}, "no such architecture"),
    ],
)
def test_architectures_that_cannot_be(change, says):
    with pytest.raises(ModelError, match=says):
        build(ArchConfig.from_dict({**ArchConfig("resnet10t", 64, SALAD, stride=8).to_dict(), **change}))


def test_missing_entries():
    values = ArchConfig("resnet10t", 64, SALAD, stride=8).to_dict()
    del values["encoder"]
    with pytest.raises(ModelError, match=r"incomplete architecture.*encoder"):
        ArchConfig.from_dict(values)


def test_a_later_entry_is_written_only_where_it_says_something():
    """Otherwise the identity of every model made before would change, and every index with it."""
    plain = ArchConfig("resnet10t", 64, MeanConfig(), stride=8)
    assert plain.to_dict()["head"] == {"kind": "mean"}
    assert ArchConfig("resnet10t", 64, MeanConfig(norm=True), stride=8).to_dict()["head"] == {"kind": "mean", "norm": True}
    assert set(plain.to_dict()) == {"encoder", "px", "head", "stride", "timm_kwargs", "positions"}


FIRST_TINY = {
    "encoder": "resnet34",
    "px": 64,
    "head": {
        "clusters": 16,
        "cluster_dim": 32,
        "token_dim": 64,
        "hidden": 256,
        "dropout": 0.0,
        "iterations": 3,
        "kind": "salad",
    },
    "stride": 8,
    "timm_kwargs": {},
    "positions": "original",
}


def test_the_first_gengeo_tiny_keeps_its_identity():
    """Computed by the version that bundled it first."""
    card = ModelCard("gengeo-tiny", ArchConfig.from_dict(FIRST_TINY), Preprocessing(64))
    assert card.architecture.to_dict() == FIRST_TINY
    weights = "fcba38440128e468b483b11495e33d17e319b0911a1323a091de198445841304"
    assert card.identity(weights) == "c0c27aaee0f5e3eba33b0947bc0a6b726d016047af64b21d684ad549f96dfeb7"


def test_the_bundled_card_is_read_and_written_unchanged():
    path = Path(gengeo.__file__).parent / "weights" / "gengeo-tiny" / "card.json"
    values = json.loads(path.read_text())
    assert ModelCard.from_dict(values).to_dict()["architecture"] == values["architecture"]


def test_separate_heads_serve_one_kind_of_view_each():
    config = ArchConfig("resnet10t", 64, SALAD, stride=8, separate_heads=True)
    assert ArchConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.to_dict()["separate_heads"] is True  # the card says so, and the identity differs
    model = build(config).eval()
    img = torch.randn(2, 3, 64, 64)
    tok = model.encoder(img)
    torch.testing.assert_close(model(img, "satellite"), model.satellite_head(*tok))
    torch.testing.assert_close(model(img, "query"), model.head(*tok))
    assert (model(img, "query") - model(img, "satellite")).abs().max() > 1e-3
    model(img, "query").sum().backward()
    assert all(p.grad is None for p in model.satellite_head.parameters())


def test_a_shared_head_serves_every_kind():
    model = build(ArchConfig("resnet10t", 64, SALAD, stride=8)).eval()
    img = torch.randn(2, 3, 64, 64)
    assert model.satellite_head is None
    assert not [name for name in model.state_dict() if "satellite" in name]
    torch.testing.assert_close(model(img, "query"), model(img, "satellite"), atol=0, rtol=0)


def test_trained_blocks_are_part_of_the_architecture():
    config = ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, SALAD, timm_kwargs=VIT, trainable_blocks=1)
    model = build(ArchConfig.from_dict(json.loads(json.dumps(config.to_dict()))))
    model(torch.randn(2, 3, 70, 70)).square()[:, ::2].sum().backward()
    touched = {name for name, p in model.encoder.net.named_parameters() if p.grad is not None}
    assert touched == {name for name, _ in model.encoder.net.named_parameters() if name.startswith(("blocks.1.", "norm."))}
    with pytest.raises(ModelError, match="only transformers"):
        build(ArchConfig("resnet10t", 64, SALAD, stride=8, trainable_blocks=1))


@pytest.mark.parametrize("form", ["none", "relaxed", "column", "partial", "gate"])
def test_dustbins_are_entries_of_the_card(form):
    config = ArchConfig("resnet10t", 64, replace(SALAD, dustbin=form, cluster_weight="mass"), stride=8)
    assert config.to_dict()["head"]["dustbin"] == form
    assert ArchConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert build(config).eval()(torch.randn(2, 3, 64, 64)).isfinite().all()
    with pytest.raises(ModelError, match="knows no dustbin 'bag'"):
        build(replace(config, head=replace(SALAD, dustbin="bag")))
