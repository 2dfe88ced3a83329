import originals
import pytest
import random_checkpoints as published
import torch

from crossfix.errors import ModelError
from crossfix.models.folder import load_model
from crossfix.models.importers.registry import import_model


@pytest.mark.parametrize(("clusters", "cluster_dim", "token_dim", "entries"), [(64, 128, 256, 8448), (32, 64, 64, 2112), (16, 32, 32, 544)])
def test_convention_published_sizes(tmp_path, clusters, cluster_dim, token_dim, entries):
    tensors = published.draw(published.salad(clusters, cluster_dim, token_dim, width=128))
    torch.save(tensors, tmp_path / "dino_salad.ckpt")
    card = import_model(tmp_path / "dino_salad.ckpt", "salad", tmp_path / "ours")
    model, _ = load_model(tmp_path / "ours")
    img = torch.randn(2, 3, 126, 168)
    with torch.no_grad():
        ours, theirs = model(img), originals.salad(tensors, img)
    assert ours.shape == (2, entries)
    torch.testing.assert_close(ours, theirs, atol=1e-4 / entries**0.5, rtol=0)
    assert (card.licence, card.preprocessing.px, card.head_trained) == ("GPL-3.0-only", 322, True)
    assert "GSV-Cities" in card.training_data


def test_what_is_not_salad(tmp_path):
    tensors = published.draw(published.salad())
    tensors["aggregator.score.0.weight"] = torch.zeros(512, 64, 3, 3)
    del tensors["backbone.model.norm.bias"], tensors["aggregator.dust_bin"]
    torch.save(tensors, tmp_path / "theirs.ckpt")
    with pytest.raises(
        ModelError, match=r"2 missing \(backbone.model.norm.bias, aggregator.dust_bin\).*score.0.weight is of shape 512 x 64 x 3 x 3"
    ):
        import_model(tmp_path / "theirs.ckpt", "salad", tmp_path / "ours")
    with pytest.raises(ModelError, match="bring their own head"):
        import_model(tmp_path / "theirs.ckpt", "salad", tmp_path / "ours", head="cls")
