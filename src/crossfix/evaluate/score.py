"""Scoring descriptors by a published protocol, as its authors' script does and strictly beside it, in one pass over the gallery.

Strict means, for every protocol: cosines; ties count against the query, and of images that score the same the farthest stands first;
a descriptor that is NaN, and descriptors that are all the same, are refused, and so is a query without a positive; distractors stay, and
only what bears the id -1 is junk; every image of the right id is right; R@1% looks at N // 100 images, at least one; AP is the mean of the
precision at each positive; distances are geodesic wherever there are longitudes and latitudes. Its 95 % intervals resample the queries' ids
with all their queries.

Axes: Q queries, G gallery images, K images found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crossfix.errors import DataError
from crossfix.evaluate import positives as rows_of
from crossfix.evaluate.arrays import DescriptorSet
from crossfix.evaluate.distances import geodesic_m, plane_m
from crossfix.evaluate.positives import RowLists
from crossfix.evaluate.protocols import Protocol, find_protocol
from crossfix.evaluate.retrieval import bootstrap_places, check_descriptors
from crossfix.evaluate.side import Measure, SideTable, Stance
from crossfix.index.similarity import Similarity

JUNK = -1
Side = Literal["paper", "strict"]
Doubles = npt.NDArray[np.float64]
_STRICT_DIS = (1, 3, 5)
_UNIT = 2e-3  # half-precision descriptors are as far from unit norm as that


@dataclass(frozen=True)
class Scored:
    """What was measured. Fractions of 1; Dis@K in metres.

    Attributes:
        protocol: which.
        paper: score by metric, as the authors' script gives it; None for a mean over nothing, and empty where it was not asked for.
        strict: likewise under the strict protocol.
        intervals95: of the strict scores.
        top_percent: how many images R@1% looked at on each side.
        queries: number of queries.
        places: number of ids the queries bear; the intervals resample these.
        gallery: number of gallery images, junk included.
        junk: how many of these were junk on each side.
        unit_norm: whether all descriptors have unit norm, which the scripts behind ``paper`` trust them to have.
        strict_Q: every query's strict score by metric, and the ``rank`` of its best positive, counted from 1.
    """

    protocol: Protocol
    paper: dict[str, float | None]
    strict: dict[str, float | None]
    intervals95: dict[str, list[float]]
    top_percent: dict[str, int]
    queries: int
    places: int
    gallery: int
    junk: dict[str, int]
    unit_norm: bool
    strict_Q: dict[str, Doubles] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: ``paper`` and ``strict`` by metric, ``intervals95`` of the strict ones, the protocol and the counts."""
        counts = ("queries", "places", "gallery", "junk", "top_percent", "unit_norm")
        values = {"paper": self.paper, "strict": self.strict, "intervals95": self.intervals95}
        about = {"protocol": self.protocol.name, "about": self.protocol.about}
        return {**about, **values, **{name: getattr(self, name) for name in counts}}


def score(
    queries: DescriptorSet,
    gallery: DescriptorSet,
    protocol: str,
    *,
    only: Side | None = None,
    seed: int = 0,
    draws: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Scored:
    """Score a benchmark's descriptors.

    Memory is bounded: the matrix of similarities exists in blocks, and a gallery that is mapped from a file is never read as a whole.
    Arrays that the protocol does not ask for are passed over, but for positions.

    Args:
        queries: the queries.
        gallery: what is searched.
        protocol: name of a published protocol, see `crossfix.evaluate.protocols`.
        only: one side alone; what only the other refuses is then scored.
        seed: of the bootstrap.
        draws: of the bootstrap.
        progress: told the queries done and all of them.

    Raises:
        InputError: where there is no such protocol.
        DataError: where an array is missing, descriptors have different lengths, or the protocol cannot score them: under "strict" see
            there; under "paper" where the authors' script would stop.
    """
    rules = find_protocol(protocol)
    _check(queries, gallery, rules)
    strict, paper = only != "paper", only != "strict"
    if strict:
        for part in (queries, gallery):
            check_descriptors(part.where, part.features, len(part.ids))
    similarity = Similarity(queries.features, gallery.features)
    sides: dict[str, SideTable] = {}
    if paper:
        sides["paper"] = _paper(similarity, queries, gallery, rules)
    if strict:
        sides["strict"] = _strict(similarity, queries, gallery, rules)
    for block in similarity.blocks(progress):
        for side in sides.values():
            side.take(block)
    means: dict[str, dict[str, float | None]] = {"paper": {}, "strict": {}}
    tables = {name: side.table() for name, side in sides.items()}
    for name, table in tables.items():
        means[name] = {metric: _mean(column) for metric, column in table.items()}
    _, place_Q = np.unique(queries.ids, return_inverse=True)
    intervals: dict[str, list[float]] = {}
    if strict:
        low, high = bootstrap_places(np.stack(list(tables["strict"].values()), axis=1), place_Q, seed, draws)
        intervals = {metric: [float(low[i]), float(high[i])] for i, metric in enumerate(tables["strict"])}
    return Scored(
        rules,
        means["paper"],
        means["strict"],
        intervals,
        {name: side.stance.top_percent for name, side in sides.items()},
        len(queries.ids),
        int(place_Q.max()) + 1,
        len(gallery.ids),
        {name: int(side.stance.left_out_G.sum()) for name, side in sides.items()},
        all(bool((np.abs(norm - 1) < _UNIT).all()) for norm in (similarity.query_norm_QR, similarity.gallery_norm_G)),
        {"rank": sides["strict"].rank().astype(np.float64), **tables["strict"]} if strict else {},
    )


def check_right(queries: DescriptorSet, gallery: DescriptorSet, protocol: str) -> None:
    """Refuse a benchmark in which a query has no right image, as the strict side does; descriptors may be anything.

    Raises:
        DataError: saying which.
    """
    _refuse_missing(queries, gallery, right_rows(queries, gallery, find_protocol(protocol)))


def right_rows(queries: DescriptorSet, gallery: DescriptorSet, rules: Protocol) -> RowLists:
    """Which rows of the gallery are right for each query under the strict protocol.

    Raises:
        DataError: where a query's positives are in no row of the gallery.
    """
    if rules.right != "positives":
        return rows_of.of_ids(queries.ids, gallery.ids)
    assert queries.positives is not None
    _refuse_unknown("positives", queries, gallery)
    return rows_of.of_table(queries.positives, gallery.ids)


def _paper(similarity: Similarity, queries: DescriptorSet, gallery: DescriptorSet, rules: Protocol) -> SideTable:
    junk_G = gallery.ids == JUNK
    if rules.drop_distractors:
        junk_G = junk_G | ~np.isin(gallery.ids, queries.ids)
    right = right_rows(queries, gallery, rules)
    if rules.right == "last":
        _refuse_missing(queries, gallery, right)
        right = rows_of.last_of(right)
    measure = None
    if rules.sdm is not None:
        positions = "lonlat" if "lonlat" in rules.query_needs else "xy_m"
        measure = Measure(*_both(queries, gallery, positions), rules.distance, rules.dis, rules.ma_m, rules.sdm)
    top_percent = rules.top_percent(len(gallery.ids))
    stance = Stance(right, junk_G, unit=False, ties=rules.ties, near_ties="later", ap=rules.ap, top_percent=top_percent)
    return SideTable(similarity, queries, gallery, rules, stance, measure)


def _strict(similarity: Similarity, queries: DescriptorSet, gallery: DescriptorSet, rules: Protocol) -> SideTable:
    junk_G = gallery.ids == JUNK
    right = right_rows(queries, gallery, rules)
    _refuse_missing(queries, gallery, right)
    measure = None
    for positions, by in (("lonlat", geodesic_m), ("xy_m", plane_m)):
        if measure is None and getattr(queries, positions) is not None and getattr(gallery, positions) is not None:
            decay = None if rules.sdm is None else replace(rules.sdm, by=by, rate=rules.sdm_rate_per_m)
            measure = Measure(*_both(queries, gallery, positions), by, rules.dis or _STRICT_DIS, rules.ma_m, decay)
    top_percent = max(1, int((~junk_G).sum()) // 100)
    stance = Stance(right, junk_G, unit=True, ties="against", near_ties="against", ap="step", top_percent=top_percent)
    return SideTable(similarity, queries, gallery, rules, stance, measure)


def _both(queries: DescriptorSet, gallery: DescriptorSet, positions: str) -> tuple[Doubles, Doubles]:
    return np.asarray(getattr(queries, positions), np.float64), np.asarray(getattr(gallery, positions), np.float64)


def _check(queries: DescriptorSet, gallery: DescriptorSet, rules: Protocol) -> None:
    for part, needs in ((queries, rules.query_needs), (gallery, rules.gallery_needs)):
        missing = [name for name in needs if getattr(part, name) is None]
        if missing:
            raise DataError(f"holds no {' and no '.join(missing)}, which {rules.name} needs", where=part.where, mend="add them to the file")
    one, other = queries.features.shape[-1], gallery.features.shape[-1]
    if one != other:
        mend = "describe both with one model"
        raise DataError(f"its descriptors have {one} entries, those of {gallery.where} {other}", where=queries.where, mend=mend)
    if (queries.ids == JUNK).any():
        row = int(np.flatnonzero(queries.ids == JUNK)[0])
        raise DataError(f"query {row} has the id -1, which means junk", where=queries.where, mend="give every query the id of its place")
    if rules.hit:
        _refuse_unknown("semi_positives", queries, gallery)


def _refuse_unknown(name: str, queries: DescriptorSet, gallery: DescriptorSet) -> None:
    table = getattr(queries, name)
    unknown = np.setdiff1d(table[table != JUNK], gallery.ids)
    if len(unknown):
        listed = ", ".join(str(number) for number in unknown[:5])
        mend = "add these images to the gallery or take the ids out"
        raise DataError(f"{len(unknown)} ids in {name} are in no row of {gallery.where} (ids: {listed})", where=queries.where, mend=mend)


def _refuse_missing(queries: DescriptorSet, gallery: DescriptorSet, right: RowLists) -> None:
    without = np.flatnonzero(right.count_Q == 0)
    if len(without):
        listed = ", ".join(str(number) for number in np.unique(queries.ids[without])[:5])
        raise DataError(
            f"{len(without)} queries have no right image in {gallery.where} (ids: {listed})",
            where=queries.where,
            mend="add these images to the gallery or take the queries out",
        )


def _mean(column: npt.NDArray[np.float64]) -> float | None:
    counted = column[~np.isnan(column)]
    return float(counted.mean()) if len(counted) else None
