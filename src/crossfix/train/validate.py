"""Validation inside a run: drone pictures of held-out places against one map picture of each.

This decides which weights are kept, on places of the training regions only. ``evaluate.retrieval`` measures models for reports.
Axes: P places, V views a place, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from crossfix.errors import RunError
from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank

Describe = Callable[[npt.NDArray[np.uint8], float], torch.Tensor]


def validate(bank: PairBank, rows: npt.NDArray[np.int64], describe: Describe, batch: int, turns: int = 1) -> dict[str, float]:
    """Retrieve the place of every drone view of some places among their satellite pictures of the first epoch.

    Args:
        bank: the pairs.
        rows: the held-out rows.
        describe: pictures (B, px, px, 3) uint8 and the chip sides they span, to (B, D) unit-norm float32.
        batch: pictures described at a time.
        turns: quarter turns at which the queries are described; the best one counts, for each gallery picture by itself.

    Returns:
        ``r1`` and ``r5``: share of the queries whose place is first, or among the first five; a tie counts against the query. ``queries``
        and ``places``: how many.

    Raises:
        RunError: where descriptors are not finite.
    """
    gallery_PD = torch.cat([describe(np.asarray(bank.satellite[part, 0]), SATELLITE_MARGIN) for part in _parts(rows, batch)])
    better = []
    for view in range(bank.drone.shape[1]):
        sims = []
        for turn in range(turns):
            pictures = (np.rot90(np.asarray(bank.drone[part, view]), turn, axes=(1, 2)).copy() for part in _parts(rows, batch))
            sims.append(torch.cat([describe(picture, 1.0) for picture in pictures]) @ gallery_PD.T)
        sim_PP = torch.stack(sims).amax(0)
        if not torch.isfinite(sim_PP).all():
            raise RunError("the model gives descriptors that are not finite", where="validation", mend="lower the learning rate")
        better.append((sim_PP >= sim_PP.diagonal()[:, None]).sum(1) - 1)
    rank = torch.cat(better)
    return {
        "r1": round(float((rank < 1).float().mean()), 6),
        "r5": round(float((rank < 5).float().mean()), 6),
        "queries": len(rank),
        "places": len(rows),
    }


def _parts(rows: npt.NDArray[np.int64], batch: int) -> list[npt.NDArray[np.int64]]:
    return [rows[start : start + batch] for start in range(0, len(rows), batch)]
