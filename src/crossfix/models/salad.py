"""SALAD: tokens are assigned to learned clusters by optimal transport and summed there.

Source: Izquierdo and Civera, "Optimal Transport Aggregation for Visual Place Recognition", CVPR 2024, equations 1 to 6. GenGeo uses one
head for both views, so that ground, drone and satellite pictures share their clusters.

Axes: B batch, N tokens, D features of a token, M clusters, L features of a cluster.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.errors import ModelError
from crossfix.models.transport import balanced_plan, column_plan, gated_plan, partial_plan, relaxed_plan, transport_plan

Dustbin = Literal["fixed", "none", "relaxed", "partial", "column", "gate"]
ClusterWeight = Literal["equal", "mass"]
NEEDS_MORE_TOKENS_THAN_CLUSTERS: tuple[Dustbin, ...] = ("fixed", "relaxed")
_LEAST_MASS = 1e-12


class Salad(nn.Module):
    """The SALAD head: (tok_BND, cls_BD) to a unit-norm descriptor of `token_dim + cluster_dim * clusters` entries.

    The descriptor is [global part, clusters]: the global part of norm 1, and each cluster normalised over its features and laid out
    feature-major (entry k * M + j is feature k of cluster j), then everything normalised once more.

    Args:
        dim: features of a token.
        clusters: number of clusters M.
        cluster_dim: features kept a cluster, L.
        token_dim: length of the global part; 0: there is none.
        hidden: hidden width of the perceptrons.
        dropout: share of hidden units dropped in the score, feature and keep perceptrons, before their ReLU.
        iterations: Sinkhorn iterations.
        dustbin: what may be left out of the clusters. "fixed" is the published form: N - M of N units are, whatever the image, and the
            dustbin's score has no effect. In these the model learns how much to leave out of an image: "relaxed" (`relaxed_plan`),
            "partial" (`partial_plan`), "column" (`column_plan`) and "gate" (`gated_plan`). "none" has no dustbin (`balanced_plan`).
        relaxation: price rho of "relaxed".
        cluster_weight: "equal" gives every cluster the same norm, as published: one that takes next to nothing of an image counts as much
            as any other. "mass" gives a cluster a squared norm in proportion to what it takes ("fixed" has equal masses anyway).

    Encoders without a class token pass None for it: the global part is then made from the mean of the tokens.
    In "partial" and "gate" a token's keeping has the logit a perceptron gives for it, less the dustbin's score. All learned forms keep
    about a quarter at the start. A published checkpoint loads into every form with a dustbin, but its dustbin's score, inert there,
    says nothing.

    Raises:
        ModelError: for a dustbin or cluster weight there is not, a negative relaxation, or no iteration.
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
        dustbin: Dustbin = "fixed",
        relaxation: float = 1.0,
        cluster_weight: ClusterWeight = "equal",
    ) -> None:
        super().__init__()
        if dustbin not in get_args(Dustbin) or cluster_weight not in get_args(ClusterWeight):
            raise ModelError(
                f"SALAD knows no dustbin {dustbin!r} with cluster weight {cluster_weight!r}",
                mend=f"choose the dustbin from {', '.join(get_args(Dustbin))} and the weight from {', '.join(get_args(ClusterWeight))}",
            )
        if relaxation < 0 or iterations < 1:
            raise ModelError(
                f"SALAD cannot work with relaxation {relaxation} and {iterations} iterations", mend="give 0 or more and 1 or more"
            )
        self.clusters = clusters
        self.feature_dim = cluster_dim
        self.iterations = iterations
        self.form = dustbin
        self.relaxation = relaxation
        self.cluster_weight = cluster_weight
        self.out_dim = token_dim + cluster_dim * clusters
        self.token = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, token_dim)) if token_dim else None
        self.feature = _perceptron(dim, hidden, cluster_dim, dropout)
        self.score = _perceptron(dim, hidden, clusters, dropout)
        # Where every token is in doubt, a dustbin of this score takes about three quarters of it in all learned forms: they start alike.
        start = 1.0 + (math.log(clusters) if dustbin in ("relaxed", "column") else 0.0)
        self.dustbin = None if dustbin == "none" else nn.Parameter(torch.tensor(start))
        self.keep = _perceptron(dim, hidden, 1, dropout) if dustbin in ("partial", "gate") else None

    @property
    def least_tokens(self) -> int:
        """How many tokens a picture must have."""
        return self.clusters + 1 if self.form in NEEDS_MORE_TOKENS_THAN_CLUSTERS else 1

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Aggregate tokens into descriptors.

        Args:
            tok_BND: patch tokens; with a "fixed" or "relaxed" dustbin more than there are clusters.
            cls_BD: class token, or None to use the mean of the tokens.

        Returns:
            (B, out_dim) of unit norm; transport, sums and norms in float32 even under autocast.

        Raises:
            ModelError: if there are too few tokens.
        """
        plan_BMN = self.assign(tok_BND)
        global_BD = None if self.token is None else self.token(tok_BND.mean(1) if cls_BD is None else cls_BD)
        feature_BNL = self.feature(tok_BND)
        with torch.autocast(tok_BND.device.type, enabled=False):
            cluster_BLM = self.gather(plan_BMN, feature_BNL)
            parts = [] if global_BD is None else [F.normalize(global_BD.to(plan_BMN.dtype), dim=-1)]
            return F.normalize(torch.cat([*parts, cluster_BLM.flatten(1)], -1), dim=-1)

    def gather(self, plan_BMN: torch.Tensor, feature_BNL: torch.Tensor) -> torch.Tensor:
        """What the clusters take of the tokens' features, (B, L, M), each normalised and weighed."""
        vlad_BLM = torch.einsum("bnl,bmn->blm", feature_BNL.to(plan_BMN.dtype), plan_BMN)
        cluster_BLM = F.normalize(vlad_BLM, dim=1)
        if self.cluster_weight == "equal":
            return cluster_BLM
        mass_BM = plan_BMN.sum(2).clamp(min=_LEAST_MASS)  # the root's gradient at nothing is not finite
        return cluster_BLM * (mass_BM / mass_BM.mean(1, keepdim=True)).sqrt().unsqueeze(1)

    def assign(self, tok_BND: torch.Tensor) -> torch.Tensor:
        """The transport plan (B, M, N) of tokens: how much of each token every cluster takes; the rest of its 1 is left out."""
        score_BMN = self.score(tok_BND).transpose(1, 2)
        if self.dustbin is None:
            return balanced_plan(score_BMN, self.iterations)
        if self.form == "relaxed":
            return relaxed_plan(score_BMN, self.dustbin, self.iterations, self.relaxation)
        if self.form == "column":
            return column_plan(score_BMN, self.dustbin)
        if self.keep is not None:
            keep_BN = self.keep(tok_BND).squeeze(2) - self.dustbin
            return (partial_plan if self.form == "partial" else gated_plan)(score_BMN, keep_BN, self.iterations)
        return transport_plan(score_BMN, self.dustbin, self.iterations)


def _perceptron(dim: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.Dropout(dropout), nn.ReLU(inplace=True), nn.Linear(hidden, out))
