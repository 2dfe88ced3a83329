import originals
import pytest
import random_checkpoints as published
import torch

from crossfix.errors import ModelError
from crossfix.models.folder import load_model
from crossfix.models.importers.registry import import_model


def both(tmp_path, kind, tensors, original, px):
    torch.save(tensors, tmp_path / "theirs.pth")
    card = import_model(tmp_path / "theirs.pth", kind, tmp_path / "ours")
    model, _ = load_model(tmp_path / "ours")
    assert card.preprocessing.px == px
    img = torch.randn(2, 3, px, px)
    with torch.no_grad():
        ours, theirs = model(img), original(img)
    torch.testing.assert_close(ours, theirs, atol=1e-4 / ours.shape[1] ** 0.5, rtol=0)
    return card


@pytest.mark.parametrize("prefix", ["model.", ""])
def test_convention_cvcities_and_dino_mix(tmp_path, prefix):
    tensors = published.draw(published.cvcities(width=128, prefix=prefix, hidden=50))
    card = both(tmp_path, "cvcities", tensors, lambda img: originals.cvcities(tensors, img, prefix), px=84)
    assert card.architecture.timm_kwargs["final_norm"] is False
    assert card.licence == "LicenseRef-unknown"


@pytest.mark.parametrize(("depths", "bottleneck", "name"), [((2, 2, 2), False, "resnet18"), ((3, 4, 6), True, "resnet50")])
def test_convention_mixvpr_behind_a_resnet(tmp_path, depths, bottleneck, name):
    tensors = published.draw(published.resnet_mixvpr(depths, bottleneck, depth=4))
    card = both(tmp_path, "mixvpr", tensors, lambda img: originals.resnet_mixvpr(tensors, img), px=64)
    assert (card.architecture.encoder, card.architecture.stride) == (name, 16)


def test_what_some_versions_lack(tmp_path):
    tensors = published.draw(published.resnet_mixvpr())
    tensors["aggregator.row_proj.bias"] = torch.zeros(4)
    few = {name: t for name, t in tensors.items() if "num_batches_tracked" not in name and name != "aggregator.row_proj.bias"}
    torch.save(few, tmp_path / "few.pth")
    import_model(tmp_path / "few.pth", "mixvpr", tmp_path / "few")
    both(tmp_path, "mixvpr", tensors, lambda img: originals.resnet_mixvpr(tensors, img), px=64)
    img = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(load_model(tmp_path / "few")[0](img), load_model(tmp_path / "ours")[0](img))


@pytest.mark.parametrize(
    ("kind", "shapes", "change", "says"),
    [
        (
            "mixvpr",
            published.resnet_mixvpr(),
            {"backbone.model.layer1.2.conv1.weight": torch.zeros(1)},
            "no ResNet that we know .layers of 3, 2, 2",
        ),
        ("mixvpr", published.resnet_mixvpr(), {"backbone.model.layer4.x": torch.zeros(1)}, r"1 unexpected \(backbone.model.layer4.x\)"),
        ("cvcities", published.cvcities(), {"model.aggregator.row_proj.weight": torch.zeros(4, 37)}, "37 tokens, which are no square map"),
        ("cvcities", published.cvcities(), {"model.aggregator.mix.1.mix.1.weight": torch.zeros(9, 9)}, "is of shape 9 x 9, .*36 x 36"),
    ],
)
def test_tensors_that_are_not_as_published(tmp_path, kind, shapes, change, says):
    torch.save(published.draw(shapes) | change, tmp_path / "theirs.pth")
    with pytest.raises(ModelError, match=says):
        import_model(tmp_path / "theirs.pth", kind, tmp_path / "ours")


def test_mixers_fix_the_input_size(tmp_path):
    torch.save(published.draw(published.cvcities()), tmp_path / "theirs.pth")
    assert import_model(tmp_path / "theirs.pth", "cvcities", tmp_path / "ours", px=84).preprocessing.px == 84
    with pytest.raises(ModelError, match="made for pictures of 84 px; leave --px away"):
        import_model(tmp_path / "theirs.pth", "cvcities", tmp_path / "ours", px=98)
