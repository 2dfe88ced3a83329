"""One side of a protocol, paper or strict: what it counts while blocks of the gallery pass by, and the scores of every query.

Axes: Q queries, G gallery images, K images found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from crossfix.evaluate import positives as rows_of
from crossfix.evaluate.arrays import DescriptorSet
from crossfix.evaluate.distances import Distance, found, sdm
from crossfix.evaluate.positives import RowLists
from crossfix.evaluate.protocols import Decay, Protocol
from crossfix.evaluate.ranks import TieRule, WrongAbove
from crossfix.index.nearest import Nearest
from crossfix.index.similarity import Block, Similarity, View


@dataclass(frozen=True)
class Stance:
    """What a side holds to be right and how it counts.

    Attributes:
        right: the right rows of each query.
        left_out_G: junk, bool.
        unit: cosines; otherwise plain products.
        ties: how equal scores are settled.
        near_ties: likewise where any image near enough is right.
        ap: form of average precision.
        top_percent: how many images R@1% looks at.
    """

    right: RowLists
    left_out_G: npt.NDArray[np.bool_]
    unit: bool
    ties: TieRule
    near_ties: TieRule
    ap: Literal["step", "trapezoid"] | None
    top_percent: int


@dataclass(frozen=True)
class Measure:
    """How a side takes distances.

    Attributes:
        query_Q2: positions of the queries.
        gallery_G2: positions of the gallery images.
        by: distance between them in metres, of Dis@K and MA@K.
        dis: K of Dis@K.
        ma_m: K of MA@K.
        sdm: the spatial distance metric.
    """

    query_Q2: npt.NDArray[np.float64]
    gallery_G2: npt.NDArray[np.float64]
    by: Distance
    dis: tuple[int, ...] = ()
    ma_m: tuple[int, ...] = ()
    sdm: Decay | None = None


class SideTable:
    """Counts while blocks pass by, and makes of it a table of a column a metric and a row a query.

    Args:
        similarity: whose blocks will pass.
        queries: the queries.
        gallery: what is searched.
        rules: of the protocol, which say what to measure.
        stance: what is right, and how it is counted.
        measure: how distances are taken; None for none.
    """

    def __init__(
        self,
        similarity: Similarity,
        queries: DescriptorSet,
        gallery: DescriptorSet,
        rules: Protocol,
        stance: Stance,
        measure: Measure | None,
    ) -> None:
        self.rules, self.stance, self.measure = rules, stance, measure
        view = View(similarity, unit=stance.unit, left_out_G=stance.left_out_G, nan_first=stance.ties == "later")
        self.ranks = WrongAbove(view, stance.right)
        self.hit = self.near = self.nearest = None
        if rules.hit and queries.semi_positives is not None:
            self.hit = WrongAbove(view, stance.right, neutral=rows_of.of_table(queries.semi_positives, gallery.ids))
        if rules.within_m is not None and queries.xy_m is not None and gallery.xy_m is not None:
            near = _without(rows_of.within(queries.xy_m, gallery.xy_m, rules.within_m), stance.left_out_G)
            sorting = View(similarity, unit=stance.unit, left_out_G=stance.left_out_G, nan_first=stance.near_ties == "later")
            self.near = WrongAbove(sorting, near)
        if measure is not None:
            k = max(measure.dis + (measure.sdm.ks if measure.sdm else ()) + (1,) * bool(measure.ma_m))
            self.nearest = Nearest(view, k, None if stance.ties == "later" else self._farther)

    def take(self, block: Block) -> None:
        """Look through one block; every block must come once, in order."""
        for part in (self.ranks, self.hit, self.near, self.nearest):
            if part is not None:
                part.take(block)

    def rank(self) -> npt.NDArray[np.int64]:
        """Rank of every query's best positive, counted from 1, other positives not counted, (Q,); every query needs one."""
        return 1 + self.ranks.counts().best(self.stance.ties)

    def table(self) -> dict[str, npt.NDArray[np.float64]]:
        """Every query's score by metric, (Q,) each; NaN where the query does not count."""
        counts = self.ranks.counts()
        best_Q = counts.best(self.stance.ties)
        columns = {f"R@{k}": best_Q < k for k in self.rules.ks}
        columns["R@1%"] = best_Q < self.stance.top_percent
        table = {name: hit_Q.astype(np.float64) for name, hit_Q in columns.items()}
        if self.stance.ap is not None:
            table["AP"] = counts.average_precision(self.stance.ties, self.stance.ap)
            if self.rules.ap_of_answered:
                table["AP"][counts.lists.count_Q == 0] = np.nan
        if self.hit is not None:
            table["hit"] = (self.hit.counts().best(self.stance.ties) == 0).astype(np.float64)
        if self.near is not None:
            near_Q = self.near.counts().best(self.stance.near_ties)
            table |= {f"R@{k}<{self.rules.within_m:g}m": (near_Q < k).astype(np.float64) for k in self.rules.ks}
        if self.nearest is not None:
            table |= self._distances(self.nearest.rows())
        return table

    def _distances(self, row_QK: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
        """Scores of distances; those of more images than the gallery shows are left out."""
        measure, seen = self.measure, row_QK.shape[1]
        table: dict[str, npt.NDArray[np.float64]] = {}
        assert measure is not None
        query_Q2, gallery_G2 = measure.query_Q2, measure.gallery_G2
        if measure.sdm is not None:
            distance_QK = found(query_Q2, gallery_G2, row_QK, measure.sdm.by)
            table |= {f"SDM@{k}": sdm(distance_QK, k, measure.sdm.rate) for k in measure.sdm.ks if k <= seen}
        distance_QK = found(query_Q2, gallery_G2, row_QK, measure.by)
        table |= {f"Dis@{k}": distance_QK[:, :k].mean(axis=1) for k in measure.dis if k <= seen}
        table |= {f"MA@{metres}": (distance_QK[:, 0] < metres).astype(np.float64) for metres in measure.ma_m if seen}
        return table

    def _farther(self, query_N: npt.NDArray[np.int64], row_N: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        assert self.measure is not None
        return self.measure.by(self.measure.query_Q2[query_N], self.measure.gallery_G2[row_N])


def _without(lists: RowLists, left_out_G: npt.NDArray[np.bool_]) -> RowLists:
    keep = ~left_out_G[lists.row_P]
    return rows_of.of_pairs(lists.query_P[keep], lists.row_P[keep], len(lists.start_S) - 1)
