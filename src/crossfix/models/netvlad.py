"""NetVLAD: tokens are assigned to clusters by a softmax and their residuals summed there.

Source: Arandjelović et al., "NetVLAD: CNN architecture for weakly supervised place recognition", CVPR 2016, equations 3 and 4.

Axes: B batch, N tokens, D features of a token, M clusters, L features of a residual.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class NetVlad(nn.Module):
    """The NetVLAD head: tokens to a unit-norm descriptor of `clusters * L` entries.

    Tokens x_i are projected to L features (if asked for) and normalised. Then a_ij = softmax over j of (w_j . x_i + b_j) and
    V_j = sum over i of a_ij (x_i - c_j); every V_j is normalised, then everything once more (entry j * L + k is feature k of cluster j).

    Args:
        dim: features of a token.
        clusters: number of clusters M.
        cluster_dim: features L of a residual after a linear projection; None: no projection, L = dim.
        sharpness: of the assignment at the start, the paper's alpha: w_j = 2 alpha c_j and b_j = -alpha |c_j|^2. Centroids start as random
            unit vectors, where the paper runs k-means on tokens of the training set.
    """

    def __init__(self, dim: int, clusters: int = 64, cluster_dim: int | None = None, sharpness: float = 30.0) -> None:
        super().__init__()
        size = dim if cluster_dim is None else cluster_dim
        self.out_dim = clusters * size
        self.project = nn.Identity() if cluster_dim is None else nn.Linear(dim, cluster_dim)
        self.centroid = nn.Parameter(F.normalize(torch.randn(clusters, size), dim=1))
        self.score = nn.Linear(size, clusters)
        with torch.no_grad():
            self.score.weight.copy_(2 * sharpness * self.centroid)
            self.score.bias.copy_(-sharpness * self.centroid.square().sum(1))

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Aggregate tokens into unit-norm descriptors (B, out_dim), in float32 behind the projection; the class token is not used."""
        tok_BNL = self.project(tok_BND)
        with torch.autocast(tok_BND.device.type, enabled=False):
            tok_BNL = F.normalize(tok_BNL.to(torch.promote_types(tok_BNL.dtype, torch.float32)), dim=-1)
            share_BNM = self.score(tok_BNL).softmax(-1)
            vlad_BML = torch.einsum("bnm,bnl->bml", share_BNM, tok_BNL) - share_BNM.sum(1).unsqueeze(2) * self.centroid
            return F.normalize(F.normalize(vlad_BML, dim=2).flatten(1), dim=-1)
