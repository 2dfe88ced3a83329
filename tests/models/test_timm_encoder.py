"""Encoders of timm with weights that the test itself writes."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from crossfix.errors import ModelError
from crossfix.models.timm_encoder import open_encoder


def weights(path, name, **kwargs):
    torch.manual_seed(1)
    net = timm.create_model(name, **kwargs).eval()
    for module in net.modules():  # statistics that are not the ones every network starts with
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    save_file(net.state_dict(), path)
    return net


def test_a_transformer_gives_the_tokens_of_timm(tmp_path, caplog):
    net = weights(tmp_path / "vit.safetensors", "test_vit", dynamic_img_size=True)
    model, card = open_encoder("test_vit", weights=tmp_path / "vit.safetensors", px=64)
    img = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.encoder(img)[0], net.forward_features(img)[:, net.num_prefix_tokens :], atol=1e-5, rtol=1e-4)
    assert card.preprocessing.mean == (0.5, 0.5, 0.5)  # as timm notes for test_vit
    assert (card.preprocessing.px, card.query_turns, card.recipe["encoder"]["file"]) == (64, 4, "vit.safetensors")
    assert caplog.text == ""


def test_a_convolutional_network_is_cut_and_settings_reach_timm(tmp_path, caplog):
    net = weights(tmp_path / "m.safetensors", "mobilenetv2_035", pad_type="same", num_classes=11)
    settings = {"pad_type": "same", "mean": 0.5, "std": [0.5, 0.25, 0.5]}
    model, card = open_encoder("mobilenetv2_035", weights=tmp_path / "m.safetensors", px=96, stride=32, settings=settings)
    img = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        wanted = net.blocks(net.bn1(net.conv_stem(img))).flatten(2).transpose(1, 2)
        torch.testing.assert_close(model.encoder(img)[0], wanted, atol=1e-5, rtol=1e-4)
    assert card.preprocessing.mean == (0.5, 0.5, 0.5)
    assert card.preprocessing.std == (0.5, 0.25, 0.5)
    assert model.config.timm_kwargs == {"pad_type": "same"}
    assert caplog.text == ""
    assert open_encoder("mobilenetv2_035", weights=tmp_path / "m.safetensors")[0].config.stride == 16


def test_half_precision_and_a_tag(tmp_path):
    net = weights(tmp_path / "vit.safetensors", "test_vit")
    save_file({name: tensor.half() for name, tensor in net.state_dict().items()}, tmp_path / "half.safetensors")
    model, card = open_encoder("test_vit.r160_in1k", weights=tmp_path / "half.safetensors")
    assert card.name == "test_vit.r160_in1k"
    torch.testing.assert_close(model.encoder.net.norm.weight, net.norm.weight, atol=1e-3, rtol=1e-3)
    assert model.encoder.net.norm.weight.dtype == torch.float32


def refused(name, **options):
    with pytest.raises(ModelError) as told:
        open_encoder(name, **options)
    sentence = str(told.value)
    assert "\n" not in sentence
    return sentence


def test_weights_of_another_architecture_are_refused(tmp_path):
    file = tmp_path / "vit.safetensors"
    weights(file, "test_vit")
    assert "not weights of resnet10t: they lack" in refused("resnet10t", weights=file)
    assert "they lack blocks.0.ls1.gamma" in refused("test_vit2", weights=file)
    net = weights(file, "test_vit")
    part = {key: value for key, value in net.state_dict().items() if not key.startswith("blocks.3")}
    save_file(part, file)
    assert "they lack blocks.3" in refused("test_vit", weights=file)
    save_file({**net.state_dict(), "extra.weight": torch.ones(2)}, file)
    assert "hold unknown extra.weight" in refused("test_vit", weights=file)
    weights(file, "test_vit", patch_size=32)
    assert "other sizes of patch_embed.proj.weight, pos_embed" in refused("test_vit", weights=file)


def test_what_cannot_be(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no tensors")
    assert "no safetensors file" in refused("test_vit", weights=tmp_path / "x.safetensors")
    assert "no safetensors file" in refused("test_vit", weights=tmp_path / "none.safetensors")
    assert "did you mean resnet18" in refused("resnet_18")
    assert "no weights of this tag" in refused("test_vit.nope", weights=tmp_path / "x.safetensors")
    assert "no mean of red" in refused("test_vit", settings={"mean": [1, 2]})
    assert "cannot be built" in refused("test_vit", settings={"nonsense": 3})
    assert "may not set checkpoint_path" in refused("test_vit", settings={"checkpoint_path": "x"})
    assert "no stride to choose" in refused("test_vit", stride=8)
    weights(tmp_path / "v.safetensors", "test_vit")
    assert "do not divide into patches of 16" in refused("test_vit", weights=tmp_path / "v.safetensors", px=70)
