"""MixVPR against loops over positions, channels and rows, written from its definition in float64."""

import numpy as np
import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models.mixvpr import MixVpr


def weights(layer):
    return layer.weight.detach().numpy().astype(np.float64), layer.bias.detach().numpy().astype(np.float64)


def reference(head, tokens):
    """One picture's descriptor; tokens (N, D)."""
    rows = [tokens[:, c].astype(np.float64) for c in range(tokens.shape[1])]  # one feature at all positions
    for norm, first, _, last in head.mixers:
        (gain, shift), (w1, b1), (w2, b2) = weights(norm), weights(first), weights(last)
        mixed = []
        for x in rows:
            y = gain * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + shift
            mixed.append(x + w2 @ np.maximum(w1 @ y + b1, 0) + b2)
        rows = mixed
    (wc, bc), (wr, br) = weights(head.channel), weights(head.row)
    out = []
    for k in range(len(wc)):
        projected = np.array([sum(wc[k, c] * rows[c][n] for c in range(len(rows))) + bc[k] for n in range(len(tokens))])
        for j in range(len(wr)):
            out.append(wr[j] @ projected + br[j])
    return np.array(out) / np.linalg.norm(out)


@pytest.mark.parametrize(("depth", "ratio"), [(2, 1.0), (1, 0.5), (0, 1.0)])
def test_equals_the_definition(depth, ratio):
    torch.manual_seed(0)
    head = MixVpr(5, 12, channels=6, rows=3, depth=depth, ratio=ratio)
    for p in head.parameters():
        torch.nn.init.normal_(p)
    tok = np.random.default_rng(0).normal(size=(2, 12, 5))
    with torch.no_grad():
        got = head(torch.tensor(tok).float())
    assert got.shape == (2, 18) == (2, head.out_dim)
    for row in range(2):
        np.testing.assert_allclose(got[row].numpy(), reference(head, tok[row]), atol=1e-6)


def test_the_published_size():
    """CV-Cities and GeoLink: 1024 tokens of 768, 4096 entries."""
    head = MixVpr(768, 1024)
    assert head.out_dim == 4096
    assert sum(p.numel() for p in head.parameters()) == 2 * (2 * 1024 + 2 * (1024 * 1024 + 1024)) + 1024 * 769 + 4 * 1025
    for mixer in head.mixers:
        for layer in (mixer[1], mixer[3]):
            assert layer.bias.abs().max() == 0
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_another_number_of_tokens():
    with pytest.raises(ModelError, match="made for 12 tokens, got 13; resize pictures to the model's px"):
        MixVpr(5, 12)(torch.zeros(1, 13, 5))


def test_unit_norm_in_float32_under_autocast():
    head = MixVpr(5, 12, channels=6, rows=3)
    tok = torch.randn(3, 12, 5)
    with torch.autocast("cpu", torch.bfloat16):
        desc = head(tok)
    assert desc.dtype == torch.float32
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(desc, head(tok), atol=0.03, rtol=0)
