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
from crossfix.evaluate.positives import of_ids
from crossfix.evaluate.ranks import WrongAbove
from crossfix.index.similarity import BLOCK_BYTES, Similarity, View

Floats = npt.NDArray[np.floating[Any]]
METRICS = ("R@1", "R@5", "R@10", "R@1%", "AP")
_BLOCK_BYTES = BLOCK_BYTES


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
    check_descriptors("query", query_QRD, len(query_names))
    check_descriptors("gallery", gallery_desc, len(gallery_names))
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
    similarity = Similarity(query_QRD, gallery_GD, block_bytes=_BLOCK_BYTES)
    ranks = WrongAbove(View(similarity, unit=True), of_ids(place_Q, place_G))
    for block in similarity.blocks(progress):
        ranks.take(block)
    counts = ranks.counts()
    return 1 + counts.best("against"), counts.average_precision("against", "step")


def bootstrap_places(
    table_QM: npt.NDArray[np.float64], place_Q: npt.NDArray[np.integer[Any]], seed: int, draws: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % percentile intervals of the means of a table's columns, resampling places with all their queries.

    Args:
        table_QM: a row a query.
        place_Q: number of each query's place, 0 to places - 1.
        seed: of the draws.
        draws: how many.

    Returns:
        Lower and upper bounds, (M,) each.
    """
    low, high = np.quantile(bootstrap_means(table_QM, place_Q, seed, draws), [0.025, 0.975], axis=0)
    return low, high


def bootstrap_means(
    table_QM: npt.NDArray[np.float64],
    place_Q: npt.NDArray[np.integer[Any]],
    seed: int,
    draws: int,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float64]:
    """Means of a table's columns in each draw of places with all their queries, (draws, M).

    Queries of one place stand or fall together: resampling queries would claim more certainty than there is.

    Args:
        table_QM: a row a query.
        place_Q: number of each query's place, 0 to places - 1.
        seed: of the draws.
        draws: how many.
        progress: told the draws done and all of them.
    """
    places = int(place_Q.max()) + 1
    count_P = np.bincount(place_Q, minlength=places).astype(np.float64)
    sum_PM = np.stack([np.bincount(place_Q, column, minlength=places) for column in table_QM.T], axis=1)
    generator = np.random.default_rng(seed)
    means = []
    for begin in range(0, draws, 64):
        weight_NP = generator.multinomial(places, np.full(places, 1 / places), size=min(64, draws - begin)).astype(np.float64)
        means.append(weight_NP @ sum_PM / (weight_NP @ count_P)[:, None])
        if progress is not None:
            progress(min(begin + 64, draws), draws)
    return np.concatenate(means)


def check_descriptors(which: str, desc: Floats, places: int) -> None:
    """Refuse descriptors that say nothing: they would score by chance, or by a quirk.

    Args:
        which: half of the benchmark they are, for the message.
        desc: a row an image.
        places: number of images whose place is known.

    Raises:
        DataError: where there are none or not one for every place, or some are NaN, infinite or zero, or all are the same.
    """
    if len(desc) == 0:
        raise DataError("there are no descriptors", where=which)
    if len(desc) != places:
        raise DataError(f"{len(desc)} descriptors, but {places} places", where=which)
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
