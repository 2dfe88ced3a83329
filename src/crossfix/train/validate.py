"""Validation inside a run: the queries of held-out places among the satellite pictures of these places.

This decides which weights are kept, on places of the training split only. ``evaluate`` measures models for reports.
Axes: Q queries, G gallery pictures, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from crossfix.errors import RunError
from crossfix.train.source import Bytes, Rows, Side, Validation

Describe = Callable[[Bytes, Side], torch.Tensor]


def validate(held: Validation, describe: Describe, batch: int, turns: int = 1) -> dict[str, float]:
    """Retrieve the place of every query.

    Args:
        held: the held-out places.
        describe: pictures (B, H, W, 3) uint8 of a side to (B, D) unit-norm float32.
        batch: pictures described at a time.
        turns: turns at which the queries are described, quarter turns or, of panoramas, so many around the upright axis; the best one
            counts, for each gallery picture by itself.

    Returns:
        ``r1`` and ``r5``: share of the queries for which a right picture is first, or among the first five; a tie counts against the query.
        ``queries`` and ``places``: how many.

    Raises:
        RunError: where descriptors are not finite.
    """
    queries, gallery = held.own_QG.shape
    gallery_GD = torch.cat([describe(held.read("satellite", part), "satellite") for part in _parts(gallery, batch)])
    ranks = []
    for part in _parts(queries, batch):
        pictures, own_BG = held.read(held.side, part), torch.from_numpy(held.own_QG[part]).to(gallery_GD.device)
        turned = (_rolled(pictures, turn / turns) if held.panoramas else _turned(pictures, turn) for turn in range(turns))
        sim_BG = torch.stack([describe(picture, held.side) @ gallery_GD.T for picture in turned]).amax(0)
        if not torch.isfinite(sim_BG).all():
            raise RunError("the model gives descriptors that are not finite", where="validation", mend="lower the learning rate")
        best_B1 = sim_BG.masked_fill(~own_BG, -torch.inf).amax(1, keepdim=True)
        ranks.append(((sim_BG >= best_B1) & ~own_BG).sum(1))
    rank_Q = torch.cat(ranks)
    return {
        "r1": round(float((rank_Q < 1).float().mean()), 6),
        "r5": round(float((rank_Q < 5).float().mean()), 6),
        "queries": queries,
        "places": held.places,
    }


def _rolled(panorama_BHWC: Bytes, share: float) -> Bytes:
    return np.roll(panorama_BHWC, round(share * panorama_BHWC.shape[2]), axis=2)


def _turned(picture_BHWC: Bytes, quarters: int) -> Bytes:
    return np.rot90(picture_BHWC, quarters, axes=(1, 2)).copy() if quarters else picture_BHWC


def _parts(count: int, batch: int) -> list[Rows]:
    return [np.arange(start, min(start + batch, count)) for start in range(0, count, batch)]
