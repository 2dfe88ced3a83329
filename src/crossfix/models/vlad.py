"""VLAD with a vocabulary that is fitted, not trained: tokens go to their nearest centres, residuals are summed there and whitened.

Sources: Jégou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010 (VLAD), Arandjelović and Zisserman,
"All about VLAD", CVPR 2013 (normalisation inside clusters), Jégou and Chum, "Negative evidences and co-occurences in image retrieval",
ECCV 2012 (whitening), Keetha et al., "AnyLoc", RA-L 2023 (on tokens of a frozen encoder; 32 clusters, 512 entries).

Axes: B batch, N tokens, D features of a token, M clusters, L entries of the whitened descriptor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Vlad(nn.Module):
    """The VLAD head: tokens to a unit-norm descriptor, without anything to train.

    Tokens are normalised; V_j is the sum of (x_i - c_j) over the tokens assigned to centre j; every V_j is normalised and everything once
    more (entry j * D + k is feature k of cluster j); then `project (v - mean)`, normalised again, if there is a projection.

    Args:
        dim: features of a token.
        clusters: number of centres M.
        out_dim: entries L behind the projection; None: no projection, the descriptor has `clusters * dim` entries.
        sharpness: shares a token out by a softmax over -alpha |x - c|^2, as NetVLAD does. None: it belongs to its nearest centre alone, as
            in AnyLoc; a token half way between two centres then changes sides by a rounding error.

    Attributes:
        centroid: (M, D) of tokens of unit norm; random directions until a fit puts centres there.
        mean: (M * D,) what is subtracted before the projection; zero until then.
        project: (L, M * D), random until then.
    """

    centroid: torch.Tensor
    mean: torch.Tensor
    project: torch.Tensor

    def __init__(self, dim: int, clusters: int = 32, out_dim: int | None = 512, sharpness: float | None = 20.0) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.out_dim = clusters * dim if out_dim is None else out_dim
        self.register_buffer("centroid", F.normalize(torch.randn(clusters, dim), dim=1))
        if out_dim is not None:
            self.register_buffer("mean", torch.zeros(clusters * dim))
            self.register_buffer("project", torch.randn(out_dim, clusters * dim) / out_dim**0.5)
        self.projected = out_dim is not None

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Aggregate tokens into unit-norm descriptors (B, out_dim), in float32; the class token is not used."""
        with torch.autocast(tok_BND.device.type, enabled=False):
            desc_BD = self.aggregate(tok_BND)
            if not self.projected:
                return desc_BD
            return F.normalize(F.linear(desc_BD - self.mean, self.project), dim=-1)

    def aggregate(self, tok_BND: torch.Tensor) -> torch.Tensor:
        """The descriptor before the projection, (B, M * D) of unit norm."""
        tok_BND = F.normalize(tok_BND.to(self.centroid.dtype), dim=-1)
        near_BNM = 2 * tok_BND @ self.centroid.T - self.centroid.square().sum(1)
        if self.sharpness is None:
            share_BNM = F.one_hot(near_BNM.argmax(-1), len(self.centroid)).to(tok_BND.dtype)
        else:
            share_BNM = (self.sharpness * near_BNM).softmax(-1)
        vlad_BMD = torch.einsum("bnm,bnd->bmd", share_BNM, tok_BND) - share_BNM.sum(1).unsqueeze(2) * self.centroid
        return F.normalize(F.normalize(vlad_BMD, dim=2).flatten(1), dim=-1)
