"""Drone to satellite on a bank of world views: the laboratory's own retrieval task, heading unknown.

Gallery: one chip a place, north up, seen on one day. Queries: drone views of the places on other days, any heading, off centre and of
another scale as the bank's plan says. Axes: P places, V views a place, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.evaluate.measurable import Describe, Measurable
from crossfix.evaluate.retrieval import RetrievalScores, evaluate_pairs
from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank

_CHUNK = 256  # pictures described at a time: bounds the memory


def chips(bank: PairBank) -> list[npt.NDArray[np.uint8]]:
    """The gallery: the chip in the middle of each place's first satellite square, (px, px, 3) uint8, north up."""
    px, inner = bank.satellite.shape[2], round(bank.satellite.shape[2] / SATELLITE_MARGIN)
    start = (px - inner) // 2
    return [np.asarray(square[start : start + inner, start : start + inner]) for square in bank.satellite[:, 0]]


def photos(bank: PairBank) -> list[npt.NDArray[np.uint8]]:
    """The queries: every drone view at the model's input size, (px, px, 3) uint8, place by place."""
    px = bank.plan.px
    return [cv2.resize(np.asarray(view), (px, px), interpolation=cv2.INTER_AREA).astype(np.uint8) for place in bank.drone for view in place]


def score_bank(
    bank: PairBank,
    model: Measurable,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RetrievalScores:
    """Retrieve the place of every drone view among one chip a place.

    Args:
        bank: the places.
        model: what describes chips and photos.
        seed: of the bootstrap over places.
        progress: told the pictures described and their number.
    """
    gallery, queries = chips(bank), photos(bank)
    total = len(gallery) + len(queries)

    def run(pictures: list[npt.NDArray[np.uint8]], using: Describe, done: int) -> npt.NDArray[np.floating[Any]]:
        rows = []
        for start in range(0, len(pictures), _CHUNK):
            rows.append(using(pictures[start : start + _CHUNK]))
            if progress:
                progress(done + min(start + _CHUNK, len(pictures)), total)
        return np.concatenate(rows)

    gallery_PD = run(gallery, model.describe, 0)
    query_QRD = run(queries, model.describe_query, len(gallery))
    names = np.arange(len(gallery)).astype(str)
    return evaluate_pairs(query_QRD, np.repeat(names, bank.drone.shape[1]), gallery_PD, names, seed=seed)
