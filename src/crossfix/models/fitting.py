"""Fitting without labels: centres by k-means, whitening by principal components. Both run on the CPU and are the same every time.

Axes: N tokens or descriptors, D their features, M clusters, L entries kept.
"""

from __future__ import annotations

import torch

from crossfix.errors import ModelError

_ROWS = 16384
_ROUNDS = 100
_LEAST_VARIANCE = 1e-6


def kmeans(tok_ND: torch.Tensor, clusters: int, *, seed: int) -> torch.Tensor:
    """Centres by Lloyd's iterations, begun as k-means++ does (Arthur and Vassilvitskii, SODA 2007).

    Args:
        tok_ND: float32.
        clusters: how many centres M.
        seed: of the first choice of centres.

    Returns:
        (M, D) means of the tokens nearest to them; the iterations end when no token changes its centre, or after 100.

    Raises:
        ModelError: if there are fewer different tokens than centres.
    """
    centre_MD = _spread(tok_ND, clusters, torch.Generator().manual_seed(seed))
    before_N: torch.Tensor | None = None
    for _ in range(_ROUNDS):
        nearest_N, away_N = _nearest(tok_ND, centre_MD)
        if before_N is not None and torch.equal(nearest_N, before_N):
            break
        before_N = nearest_N
        count_M = torch.bincount(nearest_N, minlength=clusters)
        sum_MD = torch.zeros_like(centre_MD).index_add_(0, nearest_N, tok_ND)
        # A centre that lost all its tokens takes the one that is worst off.
        empty = (count_M == 0).nonzero().flatten()
        sum_MD[empty] = tok_ND[away_N.topk(len(empty)).indices]
        centre_MD = sum_MD / count_M.clamp(min=1).unsqueeze(1)
    return centre_MD


def whitening(desc_ND: torch.Tensor, dim: int, *, power: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The affine map that takes descriptors to their main directions and evens out the variances along these.

    It comes from the N x N matrix of inner products, so that long descriptors cost no more than their storage.

    Args:
        desc_ND: float32; centred in place, to hold them once only.
        dim: directions kept at most, those of most variance.
        power: how much they are evened out: a variance v becomes v^(1 - power). 1 is whitening proper, 0 is a rotation; between them it is
            attenuated (Mukundan et al., "Understanding and improving kernel local descriptors", IJCV 2019).

    Returns:
        (mean_D, project_LD): apply as `project (v - mean)`. L is less than dim where the descriptors vary along fewer directions.

    Raises:
        ModelError: if all descriptors are the same.
    """
    mean_D = desc_ND.mean(0)
    desc_ND -= mean_D
    values_N, vectors_NN = torch.linalg.eigh((desc_ND @ desc_ND.T).double())
    kept = min(dim, int((values_N > _LEAST_VARIANCE * values_N[-1]).sum()))
    if kept < 1 or values_N[-1] <= 0:
        raise ModelError("all descriptors are the same: there is nothing to whiten")
    values_L, vectors_NL = values_N[-kept:].flip(0), vectors_NN[:, -kept:].flip(1)
    # Directions are X^T u / sqrt(value), and variances along them are proportional to the values; the largest one stays as it is.
    stretch_L = (values_L / values_L[0]) ** (-power / 2)
    return mean_D, (vectors_NL * (stretch_L / values_L.sqrt())).T.float() @ desc_ND


def _spread(tok_ND: torch.Tensor, clusters: int, generator: torch.Generator) -> torch.Tensor:
    """First centres: tokens, each drawn with a chance in proportion to its squared distance from those drawn before."""
    chosen = [int(torch.randint(len(tok_ND), (1,), generator=generator))]
    away_N = (tok_ND - tok_ND[chosen[0]]).square().sum(1)
    while len(chosen) < clusters:
        if float(away_N.max()) <= 0:
            raise ModelError(f"only {len(chosen)} different tokens for {clusters} clusters", mend="ask for fewer clusters")
        # Not torch.multinomial, which takes no more than 2^24 entries.
        at = torch.rand((), generator=generator, dtype=torch.float64) * away_N.double().sum()
        chosen.append(int(torch.searchsorted(away_N.double().cumsum(0), at, right=True).clamp(max=len(tok_ND) - 1)))
        away_N = torch.minimum(away_N, (tok_ND - tok_ND[chosen[-1]]).square().sum(1))
    return tok_ND[chosen].clone()


def _nearest(tok_ND: torch.Tensor, centre_MD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest centre of each token, and the squared distance to it."""
    found = [(centre_MD.square().sum(1) - 2 * part_ND @ centre_MD.T).min(1) for part_ND in torch.split(tok_ND, _ROWS)]
    nearest_N = torch.cat([part.indices for part in found])
    return nearest_N, torch.cat([part.values for part in found]) + tok_ND.square().sum(1)
