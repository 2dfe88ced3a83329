"""SALAD: tokens are assigned to learned clusters by optimal transport and summed there.

Source: Izquierdo and Civera, "Optimal Transport Aggregation for Visual Place Recognition", CVPR 2024, equations 1 to 6. GenGeo uses one
head for both views, so that ground, drone and satellite pictures share their clusters.

Axes: B batch, N tokens, D features of a token, M clusters, L features of a cluster.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.errors import ModelError


def transport_plan(score_BMN: torch.Tensor, dustbin: torch.Tensor, iterations: int) -> torch.Tensor:
    """Assign tokens to clusters by entropic optimal transport, in float32 (or float64 if given) and in the log domain.

    Every token holds mass 1, every cluster takes mass 1, a dustbin takes the remaining N - M. So exactly M of N units reach clusters,
    whatever the scores. The dustbin's score adds a constant to its row, which the first half-iteration absorbs: its value has no effect.

    Args:
        score_BMN: score of each token for each cluster.
        dustbin: the dustbin's score, a scalar.
        iterations: Sinkhorn iterations, at least 1.

    Returns:
        (B, M, N) assigned mass without the dustbin's row; each token's column sums to 1 less what the dustbin took.

    Raises:
        ModelError: if tokens do not outnumber clusters.
    """
    batch, clusters, tokens = score_BMN.shape
    if tokens <= clusters:
        raise ModelError(
            f"SALAD needs more tokens than clusters, got {tokens} tokens for {clusters} clusters",
            mend="use larger pictures, an encoder with a smaller stride, or fewer clusters",
        )
    with torch.autocast(score_BMN.device.type, enabled=False):
        score_BMN = score_BMN.to(torch.promote_types(score_BMN.dtype, torch.float32))
        bin_B1N = dustbin.to(score_BMN.dtype).expand(batch, 1, tokens)
        score_BMN = torch.cat([score_BMN, bin_B1N], 1)
        # Masses sum to N on both sides; working with masses instead of shares saves the published code's final rescaling by N + M.
        log_row_M1 = score_BMN.new_zeros(clusters + 1, 1)
        log_row_M1[-1] = math.log(tokens - clusters)
        token_B1N = score_BMN.new_zeros(batch, 1, tokens)
        row_BM1 = score_BMN.new_zeros(batch, clusters + 1, 1)
        for _ in range(iterations):
            row_BM1 = log_row_M1 - torch.logsumexp(score_BMN + token_B1N, dim=2, keepdim=True)
            token_B1N = -torch.logsumexp(score_BMN + row_BM1, dim=1, keepdim=True)
        return (score_BMN + row_BM1 + token_B1N)[:, :-1].exp()


class Salad(nn.Module):
    """The SALAD head: (tok_BND, cls_BD) to a unit-norm descriptor of `token_dim + cluster_dim * clusters` entries.

    The descriptor is [global part, clusters]: the global part of norm 1, and each cluster normalised over its features and laid out
    feature-major (entry k * M + j is feature k of cluster j), then everything normalised once more.

    Args:
        dim: features of a token.
        clusters: number of clusters M.
        cluster_dim: features kept a cluster, L.
        token_dim: length of the global part.
        hidden: hidden width of the three perceptrons.
        dropout: share of hidden units dropped in the score and feature perceptrons, before their ReLU.
        iterations: Sinkhorn iterations.

    Encoders without a class token pass None for it: the global part is then made from the mean of the tokens.
    The dustbin's score is kept for parity with published checkpoints; it has no effect (see `transport_plan`).
    """

    def __init__(
        self,
        dim: int,
        clusters: int = 64,
        cluster_dim: int = 128,
        token_dim: int = 256,
        hidden: int = 512,
        dropout: float = 0.3,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        self.clusters = clusters
        self.iterations = iterations
        self.out_dim = token_dim + cluster_dim * clusters
        self.token = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, token_dim))
        self.feature = nn.Sequential(nn.Linear(dim, hidden), nn.Dropout(dropout), nn.ReLU(), nn.Linear(hidden, cluster_dim))
        self.score = nn.Sequential(nn.Linear(dim, hidden), nn.Dropout(dropout), nn.ReLU(), nn.Linear(hidden, clusters))
        self.dustbin = nn.Parameter(torch.tensor(1.0))

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Aggregate tokens into descriptors.

        Args:
            tok_BND: patch tokens of any number above the clusters'.
            cls_BD: class token, or None to use the mean of the tokens.

        Returns:
            (B, out_dim) of unit norm; transport, sums and norms in float32 even under autocast.

        Raises:
            ModelError: if tokens do not outnumber clusters.
        """
        plan_BMN = self.assign(tok_BND)
        global_BD = self.token(tok_BND.mean(1) if cls_BD is None else cls_BD)
        feature_BNL = self.feature(tok_BND)
        with torch.autocast(tok_BND.device.type, enabled=False):
            vlad_BLM = torch.einsum("bnl,bmn->blm", feature_BNL.to(plan_BMN.dtype), plan_BMN)
            parts = [F.normalize(global_BD.to(plan_BMN.dtype), dim=-1), F.normalize(vlad_BLM, dim=1).flatten(1)]
            return F.normalize(torch.cat(parts, -1), dim=-1)

    def assign(self, tok_BND: torch.Tensor) -> torch.Tensor:
        """The transport plan (B, M, N) of tokens: how much of each token every cluster takes."""
        return transport_plan(self.score(tok_BND).transpose(1, 2), self.dustbin, self.iterations)
