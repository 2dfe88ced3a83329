"""Retrieval scores of descriptors: R@1, R@5, R@10, R@1 % and AP, with bootstrap intervals over places.

The protocol is strict. A tie counts against the query: a wrong image that scores as high as the right one stands before it. A query's rank
is that of its best positive, other positives not counted. AP is the mean, over a query's positives, of the precision at each (no
interpolation). Published protocols differ in all three, see the docstrings.

Axes: Q queries, G gallery images, R descriptors a query (turned copies, say; the best one counts), D entries, B a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.errors import DataError

Floats = npt.NDArray[np.floating[Any]]
METRICS = ("R@1", "R@5", "R@10", "R@1%", "AP")
_TIE = 1e-9  # products run in float64: equal descriptors score equal to 1e-15, different float32 ones differ by far more
_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Score:
    """A score in [0, 1] and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RetrievalScores:
    """What was measured.

    Attributes:
        scores: by the names in ``METRICS``.
        queries: number of queries.
        places: number of places the queries show; the intervals resample these.
        gallery: number of gallery images.
        gallery_places: number of places in the gallery, distractors included.
        top_percent: how many images R@1 % looks at: 1 % of the gallery, rounded down, at least one.
    """

    scores: dict[str, Score]
    queries: int
    places: int
    gallery: int
    gallery_places: int
    top_percent: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values: each metric as value and ``interval95``, beside the counts."""
        metrics = {name: {"value": score.value, "interval95": [score.low, score.high]} for name, score in self.scores.items()}
        counts = ("queries", "places", "gallery", "gallery_places", "top_percent")
        return {"metrics": metrics, **{name: getattr(self, name) for name in counts}}


def evaluate_pairs(
    query_desc: Floats,
    query_place: Sequence[str] | npt.NDArray[Any],
    gallery_desc: Floats,
    gallery_place: Sequence[str] | npt.NDArray[Any],
    *,
    seed: int = 0,
    draws: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> RetrievalScores:
    """Score descriptors by cosine similarity, in blocks of bounded memory.

    Args:
        query_desc: (Q, D), or (Q, R, D) where a query has several descriptors of which the best counts for each gallery image.
        query_place: place of each query.
        gallery_desc: (G, D).
        gallery_place: place of each gallery image.
        seed: of the bootstrap.
        draws: of the bootstrap.
        progress: told the queries done and all of them.

    Raises:
        DataError: where shapes do not agree, descriptors are NaN, infinite, zero or all the same, or a query has no positive.
    """
    query_QRD = query_desc[:, None] if query_desc.ndim == 2 else query_desc
    query_names, gallery_names = np.asarray(query_place), np.asarray(gallery_place)
    _check("query", query_QRD, query_names)
    _check("gallery", gallery_desc, gallery_names)
    if query_QRD.shape[-1] != gallery_desc.shape[-1]:
        raise DataError(f"queries have {query_QRD.shape[-1]} entries, the gallery {gallery_desc.shape[-1]}", where="descriptors")
    names, place = np.unique(np.concatenate([query_names, gallery_names]), return_inverse=True)
    place_Q, place_G = place[: len(query_names)], place[len(query_names) :]
    missing = np.setdiff1d(place_Q, place_G)
    if len(missing):
        listed = ", ".join(str(names[number]) for number in missing[:5])
        raise DataError(
            f"{np.isin(place_Q, missing).sum()} queries have no image of their place in the gallery (places: {listed})",
            where="gallery",
            mend="add images of these places to the gallery or take the queries out",
        )
    rank_Q, ap_Q = rank_queries(query_QRD, place_Q, gallery_desc, place_G, progress)
    top_percent = max(1, len(place_G) // 100)
    values = [rank_Q <= top for top in (1, 5, 10, top_percent)]
    table_QM = np.stack([*values, ap_Q], axis=1).astype(np.float64)
    _, place_Q = np.unique(place_Q, return_inverse=True)
    low, high = bootstrap_places(table_QM, place_Q, seed, draws)
    mean = table_QM.mean(axis=0)
    scores = {name: Score(float(mean[i]), float(low[i]), float(high[i])) for i, name in enumerate(METRICS)}
    return RetrievalScores(scores, len(query_names), int(place_Q.max()) + 1, len(place_G), len(np.unique(place_G)), top_percent)


def rank_queries(
    query_QRD: Floats,
    place_Q: npt.NDArray[np.integer[Any]],
    gallery_GD: Floats,
    place_G: npt.NDArray[np.integer[Any]],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Rank of the best positive (1-based) and average precision of every query.

    Descriptors need not have unit norm. Every query needs a positive.

    Returns:
        rank (Q,) and AP (Q,).
    """
    order = np.argsort(place_G, kind="stable")
    start_Q = np.searchsorted(place_G, place_Q, side="left", sorter=order)
    stop_Q = np.searchsorted(place_G, place_Q, side="right", sorter=order)
    turns, dim = query_QRD.shape[1:]
    step_Q = max(1, min(256, _BLOCK_BYTES // (8 * dim * turns)))
    step_G = max(1, _BLOCK_BYTES // (8 * max(dim, step_Q * turns)))
    rank_Q = np.empty(len(place_Q), np.int64)
    ap_Q = np.empty(len(place_Q), np.float64)
    for begin in range(0, len(place_Q), step_Q):
        rows = slice(begin, begin + step_Q)
        block_BRD = _unit(query_QRD[rows])
        positive = [order[first:last] for first, last in zip(start_Q[rows], stop_Q[rows], strict=True)]
        good = [np.sort(_score(one_RD[None], _unit(gallery_GD[at]))[0])[::-1] for one_RD, at in zip(block_BRD, positive, strict=True)]
        wrong = [np.zeros(len(scores), np.int64) for scores in good]
        for first in range(0, len(place_G), step_G):
            part = slice(first, first + step_G)
            sim_BG = _score(block_BRD, _unit(gallery_GD[part]))
            sim_BG[place_Q[rows, None] == place_G[None, part]] = -np.inf
            for row, scores in enumerate(good):
                # how many wrong ones score as high as each positive: a sorted row answers for all positives at once
                wrong[row] += sim_BG.shape[1] - np.searchsorted(np.sort(sim_BG[row]), scores - _TIE, side="left")
        rank_Q[rows] = [1 + counts[0] for counts in wrong]
        ap_Q[rows] = [np.mean(found / (found + counts)) for counts in wrong for found in [np.arange(1, len(counts) + 1)]]
        if progress is not None:
            progress(min(begin + step_Q, len(place_Q)), len(place_Q))
    return rank_Q, ap_Q


def bootstrap_places(
    table_QM: npt.NDArray[np.float64], place_Q: npt.NDArray[np.integer[Any]], seed: int, draws: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % percentile intervals of the means of a table's columns, resampling places with all their queries.

    Queries of one place stand or fall together: resampling queries would claim more certainty than there is.

    Args:
        table_QM: a row a query.
        place_Q: number of each query's place, 0 to places - 1.
        seed: of the draws.
        draws: how many.

    Returns:
        Lower and upper bounds, (M,) each.
    """
    places = int(place_Q.max()) + 1
    count_P = np.bincount(place_Q, minlength=places).astype(np.float64)
    sum_PM = np.stack([np.bincount(place_Q, column, minlength=places) for column in table_QM.T], axis=1)
    generator = np.random.default_rng(seed)
    means = []
    for begin in range(0, draws, 64):
        weight_NP = generator.multinomial(places, np.full(places, 1 / places), size=min(64, draws - begin)).astype(np.float64)
        means.append(weight_NP @ sum_PM / (weight_NP @ count_P)[:, None])
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return low, high


def _check(which: str, desc: Floats, names: npt.NDArray[Any]) -> None:
    if len(desc) == 0:
        raise DataError("there are no descriptors", where=which)
    if len(desc) != len(names):
        raise DataError(f"{len(desc)} descriptors, but {len(names)} places", where=which)
    flat = desc.reshape(len(desc), -1)
    constant = True
    for begin in range(0, len(desc), 1024):
        block = desc[begin : begin + 1024]
        bad = ~np.isfinite(block).all(axis=-1) | ~(np.abs(block) > 0).any(axis=-1)
        if bad.any():
            row = begin + int(np.argwhere(bad)[0, 0])
            raise DataError(f"the descriptor of image {row} is NaN, infinite or zero", where=which, mend="check the model and this image")
        constant = constant and bool((flat[begin : begin + 1024] == flat[0]).all())
    if constant and len(desc) > 1:
        raise DataError("all descriptors are the same", where=which, mend="check the model: it tells no image from another")


def _unit(desc: Floats) -> npt.NDArray[np.float64]:
    wide = desc.astype(np.float64)
    unit: npt.NDArray[np.float64] = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    return unit


def _score(query_BRD: npt.NDArray[np.float64], gallery_GD: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Best similarity over a query's descriptors, (B, G)."""
    blocks, turns, dim = query_BRD.shape
    sim: npt.NDArray[np.float64] = (query_BRD.reshape(-1, dim) @ gallery_GD.T).reshape(blocks, turns, -1).max(axis=1)
    return sim
