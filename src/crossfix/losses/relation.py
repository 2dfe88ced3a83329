"""Relation distillation: pictures of places lie to each other as the places' clouds do.

GeoLink's "unified view relation distillation": drone and satellite descriptors are both matched to the one matrix of distances between
clouds.

Axes: B rows of the batch, D entries of a descriptor.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F

from crossfix.errors import RunError

Metric = Literal["euclidean", "cosine"]
Scale = Literal["mean", "standard", "none"]
_EPS = 1e-6


def relations(a_BD: torch.Tensor, b_BD: torch.Tensor, *, metric: Metric = "euclidean", scale: Scale = "mean") -> torch.Tensor:
    """How each row of one set lies to each of another, brought to a common scale; (B, B) in float32, the diagonal zero.

    Args:
        a_BD: descriptors; they are normalised here.
        b_BD: descriptors; row i belongs to row i.
        metric: distances, or cosines.
        scale: "mean" divides by the mean off the diagonal; published is that of all entries. "standard" subtracts the mean and divides
            by the standard deviation, both off the diagonal: only the pattern is left. "none": as they are.

    Raises:
        RunError: if there are fewer than two rows, or three where the pattern is asked for.
    """
    if len(a_BD) < (3 if scale == "standard" else 2):
        raise RunError(f"a batch of {len(a_BD)} has no relations", mend="use larger batches")
    with torch.autocast(a_BD.device.type, enabled=False):
        cosine_BB = F.normalize(a_BD.float(), dim=1) @ F.normalize(b_BD.float(), dim=1).T
        # The root's slope is infinite at zero, where two rows are equal.
        value_BB = cosine_BB if metric == "cosine" else (2 - 2 * cosine_BB).clamp(min=_EPS).sqrt()
        off_BB = ~torch.eye(len(a_BD), dtype=torch.bool, device=a_BD.device)
        off_X = value_BB[off_BB]
        if scale == "standard":
            value_BB = (value_BB - off_X.mean()) / (off_X.std(correction=0) + _EPS)
        elif scale == "mean":
            value_BB = value_BB / (off_X.mean() + _EPS)
        return value_BB * off_BB


def relation_loss(
    drone_BD: torch.Tensor,
    satellite_BD: torch.Tensor,
    point_BP: torch.Tensor,
    *,
    metric: Metric = "euclidean",
    scale: Scale = "mean",
    across: bool = False,
    teacher_gradient: bool = False,
) -> torch.Tensor:
    """Mean squared difference between the views' relations and the clouds', summed over drone and satellite.

    Entries are those off the diagonal, since on it both sides are zero by definition. The published code counts it in both means, that of
    the distances and that of the squares: with euclidean distances and scale "mean" its loss is larger by the factor B / (B - 1).

    Args:
        drone_BD: descriptors.
        satellite_BD: descriptors of the same places.
        point_BP: descriptors of the places' clouds, of any length.
        metric: see `relations`. Cosines are published with scale "none".
        scale: see `relations`.
        across: add a third term, the drone's relations to the satellite's, between different places.
        teacher_gradient: let the clouds' descriptors move towards the pictures', as published; otherwise they are the fixed standard.

    Returns:
        A scalar.

    Raises:
        RunError: if the batch is too small, or the loss is not finite.
    """
    teacher_BB = relations(point_BP, point_BP, metric=metric, scale=scale)
    if not teacher_gradient:
        teacher_BB = teacher_BB.detach()
    pairs = [(drone_BD, drone_BD), (satellite_BD, satellite_BD)] + ([(drone_BD, satellite_BD)] if across else [])
    count = len(drone_BD) * (len(drone_BD) - 1)
    loss = torch.stack([(relations(a, b, metric=metric, scale=scale) - teacher_BB).square().sum() / count for a, b in pairs]).sum()
    if not torch.isfinite(loss):
        raise RunError(f"the relation term is {loss.item()}", mend="lower the learning rate or train in bf16-mixed")
    return loss


@torch.no_grad()
def spread(point_BP: torch.Tensor) -> torch.Tensor:
    """Standard deviation over mean of the distances between clouds, a scalar.

    Where it is near zero every cloud lies as far from every other, and a loss at scale "mean" asks no more than that pictures spread
    evenly, whichever cloud belongs to which place.
    """
    value_BB = relations(point_BP, point_BP, scale="none")
    off_X = value_BB[~torch.eye(len(point_BP), dtype=torch.bool, device=point_BP.device)]
    return off_X.std(correction=0) / off_X.mean()
