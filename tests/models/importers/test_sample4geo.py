import originals
import pytest
import random_checkpoints as published
import torch

from crossfix.errors import ModelError
from crossfix.models.folder import load_model
from crossfix.models.importers.registry import import_model
from crossfix.models.importers.sample4geo import plan


def test_convention_the_original_descriptor(tmp_path):
    tensors = published.draw(published.sample4geo())
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "weights_e40_98.6830.pth")
    card = import_model(tmp_path / "weights_e40_98.6830.pth", "sample4geo", tmp_path / "ours", ground_hw=(140, 768), name="cvusa")
    model, _ = load_model(tmp_path / "ours")
    for size in ((96, 96), (70, 192)):
        img = torch.randn(2, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(model(img), originals.sample4geo(tensors, img), atol=1e-5, rtol=0)
    assert (card.name, card.licence, card.preprocessing.px, card.preprocessing.ground_hw) == (
        "cvusa",
        "LicenseRef-unknown",
        384,
        (140, 768),
    )


def test_published_sizes_get_timms_names():
    shapes = published.sample4geo((3, 3, 27, 3), (128, 256, 512, 1024))
    architecture = plan({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, None, None).architecture
    assert (architecture.encoder, architecture.timm_kwargs, architecture.px, architecture.stride) == ("convnext_base", {}, 384, 32)


def test_tensors_that_are_not_as_published(tmp_path):
    tensors = published.draw(published.sample4geo())
    tensors["model.head.fc.weight"] = torch.zeros(3, 128)
    del tensors["model.stages.1.blocks.1.norm.bias"]
    torch.save(tensors, tmp_path / "theirs.pth")
    with pytest.raises(ModelError, match=r"1 missing \(model.stages.1.blocks.1.norm.bias\), 1 unexpected \(model.head.fc.weight\)"):
        import_model(tmp_path / "theirs.pth", "sample4geo", tmp_path / "ours")
