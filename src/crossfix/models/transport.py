"""How tokens are shared out among clusters and a dustbin: as SALAD does it, and in forms by which a model learns what to leave out.

All run in the log domain, in float32 (or float64 if given) even under autocast, with an entropy of weight 1. S is the matrix of scores,
P the plan, z the dustbin's score; a token holds mass 1. `lse` is log-sum-exp. Every function gives P without the dustbin's row.

Axes: B batch, N tokens, M clusters.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from crossfix.errors import ModelError


def transport_plan(score_BMN: torch.Tensor, dustbin: torch.Tensor, iterations: int) -> torch.Tensor:
    """The published form: every cluster takes mass 1, the dustbin the remaining N - M.

    So exactly M of N units reach clusters, whatever the scores. The dustbin's score adds a constant to its row, which the first
    half-iteration absorbs: its value has no effect. Source: SALAD (Izquierdo and Civera, CVPR 2024), equations 2 and 3; the dustbin is
    SuperGlue's (Sarlin et al., CVPR 2020).

    Args:
        score_BMN: score of each token for each cluster.
        dustbin: the dustbin's score, a scalar.
        iterations: Sinkhorn iterations, at least 1.

    Returns:
        (B, M, N) assigned mass without the dustbin's row; each token's column sums to 1 less what the dustbin took.

    Raises:
        ModelError: if tokens do not outnumber clusters.
    """
    return _shares(score_BMN, dustbin, iterations)


def balanced_plan(score_BMN: torch.Tensor, iterations: int) -> torch.Tensor:
    """No dustbin: every cluster takes N / M, nothing is left out. SALAD's ablation without a dustbin does not say what clusters take.

    Args:
        score_BMN: score of each token for each cluster.
        iterations: Sinkhorn iterations, at least 1.

    Returns:
        (B, M, N); each token's column sums to 1.
    """
    batch, clusters, tokens = score_BMN.shape
    with torch.autocast(score_BMN.device.type, enabled=False):
        score_BMN = _wide(score_BMN)
        log_row_M1 = score_BMN.new_full((clusters, 1), math.log(tokens / clusters))
        return _sinkhorn(score_BMN, log_row_M1, score_BMN.new_zeros(batch, 1, tokens), iterations)


def relaxed_plan(score_BMN: torch.Tensor, dustbin: torch.Tensor, iterations: int, rho: float) -> torch.Tensor:
    """Relaxed marginals: clusters may take more or less than 1, the dustbin more or less than N - M, at a price.

    P minimises sum P (log P - 1) - <S, P> + rho sum_j KL(P_j | k_j) over plans whose tokens' columns sum to 1, with k = (1, ..., 1, N - M)
    and KL(a | b) = a log(a / b) - a + b of row sums. Its iterations are u = rho / (rho + 1) (log k - lse(S + v)), v = -lse(S + u). A large
    rho approaches the published form, rho 0 is `column_plan`. What is kept lies between 0 and N; z acts with weight 1 / (rho + 1).
    Source: Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Mathematics of Computation 2018.

    Args:
        score_BMN: score of each token for each cluster.
        dustbin: the dustbin's score, a scalar.
        iterations: Sinkhorn iterations, at least 1.
        rho: price of a marginal's divergence, in units of the entropy's weight.

    Raises:
        ModelError: if tokens do not outnumber clusters.
    """
    return _shares(score_BMN, dustbin, iterations, step=rho / (rho + 1))


def partial_plan(score_BMN: torch.Tensor, keep_BN: torch.Tensor, iterations: int) -> torch.Tensor:
    """Partial transport: how much is kept is told from the tokens, which of them compete for it.

    Kept mass r = sum_i sigmoid(a_i) with a_i the tokens' logits; every cluster takes r / M, the dustbin N - r, and it scores token i with
    -a_i. What is kept lies between 0 and N and is a property of the image. A scalar added to the logits would be inert as a score, but it
    acts through r. Sources: partial transport with its added sink after Chapel, Alaya and Gasso, NeurIPS 2020; r and -a_i are ours.

    Args:
        score_BMN: score of each token for each cluster.
        keep_BN: logit of each token's keeping.
        iterations: Sinkhorn iterations, at least 1.

    Returns:
        (B, M, N); a token's column sums to at most 1, the plan to r, up to the iterations' convergence.
    """
    batch, clusters, tokens = score_BMN.shape
    with torch.autocast(score_BMN.device.type, enabled=False):
        score_BMN, keep_B1N = _wide(score_BMN), keep_BN.to(_wide_type(score_BMN)).unsqueeze(1)
        kept_B11 = F.logsigmoid(keep_B1N).logsumexp(2, keepdim=True)
        left_B11 = F.logsigmoid(-keep_B1N).logsumexp(2, keepdim=True)
        log_row_BM1 = torch.cat([(kept_B11 - math.log(clusters)).expand(-1, clusters, 1), left_B11], 1)
        column_B1N = score_BMN.new_zeros(batch, 1, tokens)
        return _sinkhorn(torch.cat([score_BMN, -keep_B1N], 1), log_row_BM1, column_B1N, iterations)[:, :-1]


def column_plan(score_BMN: torch.Tensor, dustbin: torch.Tensor) -> torch.Tensor:
    """No constraint on columns of clusters or dustbin: each token by itself, P_ij = exp(S_ij) / (exp(z) + sum_k exp(S_ik)).

    What is kept lies between 0 and N. It is `relaxed_plan` with rho 0, and NetVLAD's soft assignment with one cluster thrown away (the
    ghost cluster of GhostVLAD: Zhong, Arandjelović and Zisserman, ACCV 2018).

    Args:
        score_BMN: score of each token for each cluster.
        dustbin: the dustbin's score, a scalar.
    """
    with torch.autocast(score_BMN.device.type, enabled=False):
        return _with_dustbin(_wide(score_BMN), dustbin).softmax(1)[:, :-1]


def gated_plan(score_BMN: torch.Tensor, keep_BN: torch.Tensor, iterations: int) -> torch.Tensor:
    """A gate before balanced transport: token i holds only g_i = sigmoid(a_i), and every cluster takes sum_i g_i / M.

    Tokens do not compete for being kept: exactly g_i of each is, between 0 and N together. The form is ours.

    Args:
        score_BMN: score of each token for each cluster.
        keep_BN: logit of each token's keeping.
        iterations: Sinkhorn iterations, at least 1.

    Returns:
        (B, M, N); token i's column sums to g_i.
    """
    with torch.autocast(score_BMN.device.type, enabled=False):
        score_BMN, keep_B1N = _wide(score_BMN), keep_BN.to(_wide_type(score_BMN)).unsqueeze(1)
        gate_B1N = F.logsigmoid(keep_B1N)
        log_row_B11 = gate_B1N.logsumexp(2, keepdim=True) - math.log(score_BMN.shape[1])
        return _sinkhorn(score_BMN, log_row_B11, gate_B1N, iterations)


def _shares(score_BMN: torch.Tensor, dustbin: torch.Tensor, iterations: int, step: float = 1.0) -> torch.Tensor:
    """Marginals 1 for each cluster and N - M for the dustbin, relaxed where `step` is below 1."""
    batch, clusters, tokens = score_BMN.shape
    if tokens <= clusters:
        raise ModelError(
            f"SALAD needs more tokens than clusters, got {tokens} tokens for {clusters} clusters",
            mend="use larger pictures, an encoder with a smaller stride, or fewer clusters",
        )
    with torch.autocast(score_BMN.device.type, enabled=False):
        score_BMN = _with_dustbin(_wide(score_BMN), dustbin)
        # Masses sum to N on both sides; working with masses instead of shares saves the published code's final rescaling by N + M.
        log_row_M1 = score_BMN.new_zeros(clusters + 1, 1)
        log_row_M1[-1] = math.log(tokens - clusters)
        return _sinkhorn(score_BMN, log_row_M1, score_BMN.new_zeros(batch, 1, tokens), iterations, step)[:, :-1]


def _sinkhorn(
    score_BMN: torch.Tensor, log_row_M1: torch.Tensor, log_column_B1N: torch.Tensor, iterations: int, step: float = 1.0
) -> torch.Tensor:
    """Alternate rows (clusters) and columns (tokens), columns last; `step` below 1 relaxes the rows."""
    token_B1N = torch.zeros_like(log_column_B1N)
    row_BM1 = score_BMN.new_zeros(*score_BMN.shape[:2], 1)
    for _ in range(iterations):
        row_BM1 = log_row_M1 - torch.logsumexp(score_BMN + token_B1N, dim=2, keepdim=True)
        if step != 1.0:
            row_BM1 = step * row_BM1
        token_B1N = log_column_B1N - torch.logsumexp(score_BMN + row_BM1, dim=1, keepdim=True)
    return (score_BMN + row_BM1 + token_B1N).exp()


def _with_dustbin(score_BMN: torch.Tensor, dustbin: torch.Tensor) -> torch.Tensor:
    return torch.cat([score_BMN, dustbin.to(score_BMN.dtype).expand(score_BMN.shape[0], 1, score_BMN.shape[2])], 1)


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(_wide_type(tensor))


def _wide_type(tensor: torch.Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
