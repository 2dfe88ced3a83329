"""NetVLAD against loops over tokens and clusters, written from the paper's equations in float64."""

import numpy as np
import pytest
import torch

from crossfix.models.netvlad import NetVlad


def reference(head, tokens):
    """One picture's descriptor; tokens (N, D)."""
    clusters, w, b = (p.detach().numpy().astype(np.float64) for p in (head.centroid, head.score.weight, head.score.bias))
    if isinstance(head.project, torch.nn.Linear):
        tokens = tokens @ head.project.weight.detach().numpy().T + head.project.bias.detach().numpy()
    total = np.zeros_like(clusters)
    for x in tokens:
        x = x / np.linalg.norm(x)
        score = np.exp(w @ x + b)
        for j, c in enumerate(clusters):
            total[j] += score[j] / score.sum() * (x - c)
    total /= np.linalg.norm(total, axis=1, keepdims=True)
    return total.reshape(-1) / np.linalg.norm(total)


@pytest.mark.parametrize("cluster_dim", [None, 4])
def test_equals_the_equations(cluster_dim):
    torch.manual_seed(0)
    head = NetVlad(6, clusters=3, cluster_dim=cluster_dim, sharpness=5.0)
    torch.nn.init.normal_(head.score.bias)
    tok = np.random.default_rng(0).normal(size=(2, 9, 6))
    with torch.no_grad():
        got = head(torch.tensor(tok).float())
    assert got.shape == (2, head.out_dim) == (2, 3 * (cluster_dim or 6))
    for row in range(2):
        np.testing.assert_allclose(got[row].numpy(), reference(head, tok[row]), atol=1e-6)


def test_a_token_goes_to_its_centroid_at_the_start():
    """w = 2 alpha c and b = -alpha |c|^2 make the assignment a softmax over squared distances."""
    torch.manual_seed(0)
    head = NetVlad(16, clusters=5, sharpness=100.0)
    share = head.score(head.centroid).softmax(-1)
    distance = torch.cdist(head.centroid, head.centroid).square()
    torch.testing.assert_close(share, (-100.0 * distance).softmax(-1), atol=1e-4, rtol=0)
    assert share.diagonal().min() > 0.99


def test_the_published_size_and_gradients():
    assert NetVlad(512).out_dim == 32768
    head = NetVlad(4, clusters=2, sharpness=2.0).double()
    tok = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, (tok,))
    head(tok).sum().backward()
    assert all(p.grad is not None for p in head.parameters())


def test_float32_under_autocast():
    head = NetVlad(8, clusters=3, cluster_dim=4)
    with torch.autocast("cpu", torch.bfloat16):
        desc = head(torch.randn(2, 9, 8))
    assert desc.dtype == torch.float32
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(2))
