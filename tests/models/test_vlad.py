"""VLAD against loops over tokens and clusters in float64, and as the head of a saved model."""

import numpy as np
import pytest
import torch

from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import ArchConfig, VladConfig, build
from crossfix.models.vlad import Vlad


def reference(head, tokens):
    """One picture's descriptor; tokens (N, D)."""
    centres = head.centroid.double().numpy()
    total = np.zeros_like(centres)
    for x in tokens:
        x = x / np.linalg.norm(x)
        away = ((x - centres) ** 2).sum(1)
        share = (away == away.min()).astype(float) if head.sharpness is None else np.exp(-head.sharpness * away)
        for j, c in enumerate(centres):
            total[j] += share[j] / share.sum() * (x - c)
    norm = np.linalg.norm(total, axis=1, keepdims=True)
    total = np.divide(total, norm, out=np.zeros_like(total), where=norm > 0)
    out = total.reshape(-1) / np.linalg.norm(total)
    if head.projected:
        out = head.project.double().numpy() @ (out - head.mean.double().numpy())
        out /= np.linalg.norm(out)
    return out


@pytest.mark.parametrize("sharpness", [None, 4.0])
@pytest.mark.parametrize("out_dim", [None, 5])
def test_equals_the_definition(sharpness, out_dim):
    torch.manual_seed(0)
    head = Vlad(6, clusters=4, out_dim=out_dim, sharpness=sharpness)
    if out_dim:
        head.mean.normal_(std=0.1)
    tok = np.random.default_rng(0).normal(size=(2, 9, 6))
    got = head(torch.tensor(tok).float())
    assert got.shape == (2, head.out_dim) == (2, out_dim or 24)
    for row in range(2):
        np.testing.assert_allclose(got[row].numpy(), reference(head, tok[row]), atol=1e-5)


def test_a_centre_without_tokens_is_zero_and_the_order_of_tokens_says_nothing():
    head = Vlad(2, clusters=2, out_dim=None, sharpness=None)
    head.centroid.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    tok = torch.tensor([[[1.0, 0.2], [1.0, -0.1]]])
    assert head(tok)[0, 2:].abs().max() == 0
    torch.testing.assert_close(head(tok), head(3 * tok.flip(1)))


def test_float32_under_autocast_and_nothing_to_train():
    head = Vlad(8, clusters=3, out_dim=4)
    with torch.autocast("cpu", torch.bfloat16):
        desc = head(torch.randn(2, 9, 8, dtype=torch.bfloat16))
    assert desc.dtype == torch.float32
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(2))
    assert list(head.parameters()) == []


@pytest.mark.parametrize("dim", [None, 7])
def test_centres_and_whitening_are_saved_with_the_model(tmp_path, dim):
    config = ArchConfig("resnet10t", 64, VladConfig(clusters=5, dim=dim, sharpness=2.0), stride=16)
    assert ArchConfig.from_dict(config.to_dict()) == config
    model = build(config).eval()
    card = save_model(tmp_path / "m", model, ModelCard("m", config, Preprocessing(64)))
    again, _ = load_model(tmp_path / "m")
    img = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(img), model(img))
    model.head.centroid += 0.01
    assert save_model(tmp_path / "n", model, ModelCard("m", config, Preprocessing(64))).sha256 != card.sha256
