"""Clouds of made-up towns, and groups of points found the slow way."""

import numpy as np
import torch


def towns(batch, points, seed=0):
    """Plains with boxes of each place's own layout, in the unit sphere: (batch, points, 3), z up."""
    generator = torch.Generator().manual_seed(seed)
    xy = torch.rand(batch, points, 2, generator=generator) * 2 - 1
    wave = torch.rand(batch, 1, 4, generator=generator) * 6
    built = torch.sin(wave[..., 0] * xy[..., 0] + wave[..., 1]) * torch.sin(wave[..., 2] * xy[..., 1] + wave[..., 3]) > 0
    z = built * 0.4 + 0.02 * torch.randn(batch, points, generator=generator)
    pts = torch.cat([xy, z[..., None]], 2)
    pts = pts - pts.mean(1, keepdim=True)
    return pts / pts.norm(dim=2).amax(1)[:, None, None]


def slow_groups(xyz, count, neighbours):
    """(centre, its neighbours) of one cloud, by farthest-point sampling from the definition."""
    xyz = np.asarray(xyz, np.float64)
    chosen = [int(np.argmax(np.linalg.norm(xyz - xyz.mean(0), axis=1)))]
    while len(chosen) < count:
        chosen.append(int(np.argmax([min(np.linalg.norm(p - xyz[c]) for c in chosen) for p in xyz])))
    return [(c, np.argsort(np.linalg.norm(xyz - xyz[c], axis=1), kind="stable")[:neighbours].tolist()) for c in chosen]
