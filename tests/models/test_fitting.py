"""Fitting against plain numpy written from the definitions."""

import numpy as np
import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models import fitting
from crossfix.models.fitting import kmeans, whitening


def blobs(clusters=5, each=200, dim=8, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(clusters, dim)) * 5
    points = middle[:, None] + rng.normal(size=(clusters, each, dim))
    return torch.tensor(points.reshape(-1, dim)).float(), middle


def test_separate_groups_are_found():
    tokens, middle = blobs()
    found = kmeans(tokens[torch.randperm(len(tokens), generator=torch.Generator().manual_seed(1))], 5, seed=0).numpy()
    away = np.linalg.norm(middle[:, None] - found[None], axis=2)
    assert sorted(away.argmin(1)) == [0, 1, 2, 3, 4]
    assert away.min(1).max() < 0.5


def test_the_end_is_a_fixed_point_of_lloyds_iteration(monkeypatch):
    monkeypatch.setattr(fitting, "_ROWS", 64)  # several blocks
    tokens = torch.randn(700, 4, generator=torch.Generator().manual_seed(0))
    found = kmeans(tokens, 12, seed=3).numpy().astype(np.float64)
    points = tokens.numpy().astype(np.float64)
    nearest = ((points[:, None] - found[None]) ** 2).sum(2).argmin(1)
    for j in range(12):
        np.testing.assert_allclose(found[j], points[nearest == j].mean(0), atol=1e-4)


def test_the_same_every_time_and_another_with_another_seed():
    tokens = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kmeans(tokens, 7, seed=0), kmeans(tokens, 7, seed=0))
    assert not torch.equal(kmeans(tokens, 7, seed=0), kmeans(tokens, 7, seed=1))


def test_a_centre_that_loses_its_tokens_takes_another(monkeypatch):
    tokens = torch.cat([torch.zeros(50, 2), torch.ones(50, 2) * 9, torch.tensor([[30.0, 0.0]])])
    monkeypatch.setattr(fitting, "_spread", lambda *_: torch.tensor([[0.0, 0.0], [500.0, 500.0], [9.0, 9.0]]))
    found = kmeans(tokens, 3, seed=0)
    assert sorted(map(tuple, found.round().tolist())) == [(0.0, 0.0), (9.0, 9.0), (30.0, 0.0)]


def test_fewer_different_tokens_than_clusters_are_refused():
    with pytest.raises(ModelError, match="only 2 different tokens for 3 clusters"):
        kmeans(torch.tensor([[1.0], [2.0]]).repeat(10, 1), 3, seed=0)


@pytest.mark.parametrize("rows", [40, 6])
def test_whitened_descriptors_vary_equally_along_the_main_directions(rows):
    rng = np.random.default_rng(0)
    desc = rng.normal(size=(rows, 12)) * np.linspace(3, 0.3, 12) + 5
    dim = min(4, rows - 1)
    mean, project = whitening(torch.tensor(desc).float(), dim)
    white = (desc - mean.numpy()) @ project.numpy().T
    np.testing.assert_allclose(mean, desc.mean(0), rtol=1e-5)
    cov = white.T @ white
    np.testing.assert_allclose(cov, np.eye(dim) * cov[0, 0], atol=1e-3 * cov[0, 0])
    _, _, main = np.linalg.svd(desc - desc.mean(0))
    inside = project.numpy() @ main[:dim].T @ main[:dim]
    np.testing.assert_allclose(inside, project.numpy(), atol=1e-3 * np.abs(project.numpy()).max())


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_attenuated_whitening_evens_out_in_part(power):
    desc = np.random.default_rng(0).normal(size=(60, 8)) * np.linspace(4, 1, 8)
    mean, project = whitening(torch.tensor(desc).float(), 4, power=power)
    cov = np.cov((desc - mean.numpy()) @ project.numpy().T, rowvar=False)
    wanted = np.linalg.eigvalsh(np.cov(desc, rowvar=False))[::-1][:4]
    np.testing.assert_allclose(np.diag(cov) / cov[0, 0], (wanted / wanted[0]) ** (1 - power), rtol=1e-3)
    np.testing.assert_allclose(cov, np.diag(np.diag(cov)), atol=1e-4 * cov[0, 0])


def test_no_more_directions_than_the_descriptors_have():
    desc = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)) @ torch.randn(2, 9, generator=torch.Generator().manual_seed(1))
    _, project = whitening(desc, 6)
    assert project.shape == (2, 9)
    with pytest.raises(ModelError, match="all descriptors are the same"):
        whitening(torch.ones(5, 3), 2)
