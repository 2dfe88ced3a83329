import math

import numpy as np
import pytest
import torch

from crossfix.losses.correspondence import Correspondence


def tokens(batch, side, channels, seed):
    return torch.randn(batch, side * side, channels, generator=torch.Generator().manual_seed(seed))


def centres(batch, side):
    """The centres of all tokens, row by row."""
    line = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], 2).reshape(1, -1, 2).repeat(batch, 1, 1)


def test_equals_a_slow_reference_at_token_centres():
    loss = Correspondence(5, 4, temperature=0.2)
    query, gallery = tokens(2, 3, 5, 0), tokens(2, 3, 5, 1)
    seen = torch.rand(2, 9, generator=torch.Generator().manual_seed(2)) < 0.7
    got = loss(query, gallery, centres(2, 3), centres(2, 3), seen)
    with torch.no_grad():
        q, g = (np.array([loss.project(t[b, n]).numpy() for b in range(2) for n in range(9) if seen[b, n]]) for t in (query, gallery))
    expected = []
    for a, b in ((q, g), (g, q)):
        for i in range(len(a)):
            logits = [a[i] @ other / np.linalg.norm(a[i]) / np.linalg.norm(other) / 0.2 for other in b]
            expected.append(math.log(sum(math.exp(x) for x in logits)) - logits[i])
    assert got.item() == pytest.approx(np.mean(expected), abs=1e-5)


def test_points_between_tokens_are_mixed():
    loss = Correspondence(2, 2)
    with torch.no_grad():
        loss.project.weight.copy_(torch.eye(2))
        loss.project.bias.zero_()
    grid = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 8.0], [4.0, 8.0]]])  # columns differ by 4 in x, rows by 8 in y
    at = loss._at(grid, torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.0, 0.0], [-1.0, 1.0]]]))
    assert torch.allclose(at[0], torch.tensor([[0.0, 0], [4, 0], [2, 4], [0, 8]]))


def test_falls_where_the_tokens_agree_and_not_where_they_are_of_other_points():
    loss = Correspondence(6)
    query = tokens(3, 4, 6, 0)
    xy, seen = centres(3, 4), torch.ones(3, 16, dtype=torch.bool)
    assert loss(query, query, xy, xy, seen) < loss(query, query, xy, xy.flip(1), seen) - 1


def test_few_points_give_zero_with_a_gradient():
    loss = Correspondence(6)
    query = tokens(1, 4, 6, 0).requires_grad_()
    seen = torch.zeros(1, 16, dtype=torch.bool)
    seen[0, 0] = True
    value = loss(query, query, centres(1, 4), centres(1, 4), seen)
    assert value.item() == 0
    value.backward()
    assert query.grad.abs().sum() == 0
