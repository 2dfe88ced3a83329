import originals
import pytest
import random_checkpoints as published
import torch

from crossfix.errors import ModelError
from crossfix.models.folder import load_model
from crossfix.models.importers.registry import import_model


@pytest.mark.parametrize(
    ("depths", "bottleneck", "name"),
    [((2, 2, 2, 2), False, "resnet18"), ((3, 4, 6, 3), False, "resnet34"), ((3, 4, 6, 3), True, "resnet50")],
)
def test_convention_the_original_descriptor(tmp_path, depths, bottleneck, name):
    tensors = published.draw(published.cosplace(depths, bottleneck))
    torch.save(tensors, tmp_path / "ResNet_32_cosplace.pth")
    card = import_model(tmp_path / "ResNet_32_cosplace.pth", "cosplace", tmp_path / "ours")
    model, _ = load_model(tmp_path / "ours")
    img = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(img), originals.cosplace(tensors, img), atol=1e-5, rtol=0)
    assert (card.architecture.encoder, card.preprocessing.px, card.architecture.stride) == (name, 512, 32)


def test_other_backbones(tmp_path):
    tensors = {"backbone.0.weight": torch.zeros(64, 3, 3, 3), "aggregation.1.p": torch.ones(1), "aggregation.3.weight": torch.zeros(8, 512)}
    torch.save(tensors, tmp_path / "VGG16_512_cosplace.pth")
    with pytest.raises(ModelError, match="its backbone is no ResNet that we know"):
        import_model(tmp_path / "VGG16_512_cosplace.pth", "cosplace", tmp_path / "ours")
