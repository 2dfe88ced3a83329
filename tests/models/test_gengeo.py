import json

import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig, GemConfig, MeanConfig, SaladConfig, build

SALAD = SaladConfig(clusters=16, cluster_dim=8, token_dim=12, hidden=32)
VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3}


@pytest.mark.parametrize(
    "config",
    [
        ArchConfig("resnet10t", 64, SALAD, stride=8),
        ArchConfig("resnet10t", 64, GemConfig(dim=32), stride=16),
        ArchConfig("convnext_atto", 64, MeanConfig(), stride=8, timm_kwargs={"drop_path_rate": 0.1}),
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
    with pytest.raises(ModelError, match="64 px give 16 tokens, SALAD with 16 clusters needs more; raise px"):
        build(ArchConfig("resnet10t", 64, SALAD, stride=16))
    model = build(ArchConfig("resnet10t", 128, SALAD, stride=16)).eval()
    with pytest.raises(ModelError, match="more tokens than clusters"):
        model(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head": {"kind": "netvlad"}}, "unknown head 'netvlad'"),
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
