"""Train the 3D branch alone, before it teaches: clouds of one place find each other among clouds of others.

Axes: B places, N points, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from crossfix.errors import RunError
from crossfix.models.point_branch import PointBranch


class CloudPair(NamedTuple):
    """Two clouds of each of some places: two groups of a reconstruction, or two draws of points and noise.

    Attributes:
        first_BNC: clouds.
        second_BNC: other clouds of the same places.
        first_BT: neighbour tables; None: made anew.
        second_BT: the same of the second.
        turn_B: radians by which both clouds of a place are turned before; None: not at all.
    """

    first_BNC: torch.Tensor
    second_BNC: torch.Tensor
    first_BT: torch.Tensor | None = None
    second_BT: torch.Tensor | None = None
    turn_B: torch.Tensor | None = None


def pretrain(
    points: PointBranch,
    batches: Sequence[CloudPair],
    loss: nn.Module,
    *,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.05,
    report: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a 3D branch by cloud-to-cloud contrast with AdamW; it is left in evaluation mode, and frozen if it was.

    What two reconstructions of one place share is its geometry, and what they do not is noise: a teacher that tells places apart across
    them has learnt to look past the noise without a picture having been seen.

    Args:
        points: the branch; changed.
        batches: one a step; anything with a length and items, which may be made when asked for.
        loss: takes two sets of descriptors; `losses.contrastive.InfoNCE()`. Its parameters are trained too.
        learning_rate: after a linear warm-up over the first twentieth of the steps, and constant then.
        weight_decay: on weights of two and more axes.
        report: told the step and its loss.

    Returns:
        Each step's loss.

    Raises:
        RunError: if the branch has nothing to train, or a loss is not finite.
    """
    trained = [p for module in (points, loss) for p in module.parameters()]
    if not any(True for _ in points.parameters()):
        raise RunError("the 3D branch has no parameters to train", mend="use it as it is, or choose kind pn")
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    warm_up = max(1, len(batches) // 20)
    losses = []
    was_frozen = not any(p.requires_grad for p in points.parameters())
    points.requires_grad_(True).train()
    for step in range(len(batches)):
        pair = batches[step]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / warm_up)
        first_BD = points(pair.first_BNC, pair.first_BT, pair.turn_B)
        value = loss(first_BD, points(pair.second_BNC, pair.second_BT, pair.turn_B))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
        if report is not None:
            report(step, losses[-1])
    points.requires_grad_(not was_frozen).eval()
    return losses


@torch.no_grad()
def recall(points: PointBranch, pair: CloudPair) -> float:
    """Share of places whose second cloud is the nearest, of all second clouds, to their first; ties count as missed.

    What a teacher cannot tell apart it cannot teach: measure it on places it was not trained on before teaching with it.

    Args:
        points: the branch, in evaluation mode.
        pair: two clouds of each place.
    """
    sim_BB = points(pair.first_BNC, pair.first_BT, pair.turn_B) @ points(pair.second_BNC, pair.second_BT, pair.turn_B).T
    others_BB = sim_BB.masked_fill(torch.eye(len(sim_BB), dtype=torch.bool, device=sim_BB.device), -torch.inf)
    return float((sim_BB.diagonal() > others_BB.amax(1)).float().mean())
