import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from crossfix.errors import ModelError
from crossfix.models import registry
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build


def saved(folder, name="small"):
    torch.manual_seed(0)
    model = build(ArchConfig("resnet10t", 64, GemConfig(dim=16), stride=8))
    return save_model(folder, model, ModelCard(name, model.config, Preprocessing(64), dtype="float16"))


def test_named_models():
    models = {model.name: model for model in registry.list_models()}
    assert list(models) == ["gengeo-tiny", "gengeo-small", "gengeo-base"]
    assert [m.weights for m in models.values()] == ["bundled", "hub", "hub"]
    assert models["gengeo-base"].dim == 8448
    assert all(m.licence == "Apache-2.0" for m in models.values())


@pytest.mark.parametrize("name", ["gengeo-small", "gengeo-base"])
def test_hub_models_are_declared_as_they_would_be_built(name):
    card = registry.info(name)
    info = next(m for m in registry.list_models() if m.name == name)
    model = build(card.architecture)
    assert (model.dim, card.architecture.px) == (info.dim, info.px)
    assert sum(p.numel() for p in model.encoder.parameters()) * 4 / 1e6 == pytest.approx(info.size_mb, abs=0.2)
    assert not card.head_trained


def test_a_model_folder(tmp_path):
    card = saved(tmp_path / "m")
    describer = registry.load(tmp_path / "m")
    assert (describer.model_id, describer.dim, describer.input_px) == ("small", 16, 64)
    assert registry.load(str(tmp_path / "m")).sha256 == describer.sha256
    assert registry.info(tmp_path / "m") == card
    assert describer.describe([np.zeros((90, 70, 3), np.uint8)]).shape == (1, 16)


@pytest.mark.parametrize("call", [registry.load, registry.info])
def test_unknown_names_get_the_nearest(call):
    with pytest.raises(ModelError, match=r"gengeo-bse: no model and no folder of this name; did you mean gengeo-base\?"):
        call("gengeo-bse")
    with pytest.raises(ModelError, match="did you mean"):
        call("")
    with pytest.raises(ModelError, match=r"card.json is missing"):
        call("/")


def test_the_bundled_model(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_BUNDLED", tmp_path)
    for call in (registry.load, registry.info):
        with pytest.raises(ModelError, match="this installation lacks the bundled model; install"):
            call("gengeo-tiny")
    assert registry.list_models()[0].dim is None
    saved(tmp_path / "gengeo-tiny", "gengeo-tiny")
    assert registry.load("gengeo-tiny").model_id == "gengeo-tiny"
    listed = registry.list_models()[0]
    assert (listed.dim, listed.px) == (16, 64)
    assert 0 < listed.size_mb < 16


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_hub_models_without_a_network(hub_cache):
    with pytest.raises(ModelError, match=r"hub cannot be reached.*hf download timm/vit_base_patch14_dinov2.lvd142m model.safetensors"):
        registry.load("gengeo-base")


def test_hub_models_from_the_cache(hub_cache):
    """Real loading, from a cache that holds a file as the hub keeps it; its weights are random."""
    name = "vit_small_patch14_dinov2.lvd142m"
    torch.manual_seed(1)
    net = timm.create_model(name, num_classes=0)
    snapshot = hub_cache / f"models--timm--{name}" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    save_file(net.state_dict(), snapshot / "model.safetensors")
    with pytest.warns(registry.UntrainedHeadWarning, match="head of gengeo-small is untrained"):
        model, card = registry.open_model("gengeo-small")
    assert not card.head_trained
    for key, value in net.state_dict().items():
        assert torch.equal(model.encoder.net.state_dict()[key], value), key
    state = torch.get_rng_state()
    with pytest.warns(registry.UntrainedHeadWarning):
        describer = registry.load("gengeo-small")
    assert torch.equal(torch.get_rng_state(), state)  # the head's random numbers are its own, and the same every time
    with pytest.warns(registry.UntrainedHeadWarning):
        assert registry.load("gengeo-small").sha256 == describer.sha256
    assert describer.describe([np.zeros((90, 70, 3), np.uint8)]).shape == (1, 8448)
