"""Several evaluations of the same task side by side, and every pair of them query by query.

Axes: Q queries, M scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError
from crossfix.evaluate.paired import DRAWS, differences
from crossfix.evaluate.results import CLEAN, QueryFacts, Results, key_of

MOST = 8
"""More results than that nobody tells apart in one chart."""

Order = npt.NDArray[np.int64]


def compare(
    results: Sequence[Results], *, seed: int = 0, draws: int = DRAWS, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Compare evaluations.

    Queries are paired by their names, in whatever order each evaluation has them. Intervals are 95 % each: of many comparisons some will
    exclude zero by chance.

    Args:
        results: two to eight of them.
        seed: of the bootstrap.
        draws: of the bootstrap.
        progress: told the draws done and all of them.

    Returns:
        JSON values: the task, ``results`` (a label, the model, the scores and the stress of each) and ``pairs``: numbers ``one`` and
        ``other`` of two results, ``differences`` (other minus one) by metric with ``interval95`` and ``excludes0``, ``first_right`` (how
        many queries both, one, the other or neither answered), ``stress`` likewise for each setting that both have.

    Raises:
        InputError: where there are too few or too many, or they are not of the same task, pictures and queries.
    """
    _check(results)
    labels = labels_of(results)
    order = [_order(results[0], one) for one in results]
    top = int(results[0].values["top_percent"]["strict"])
    columns = _columns(results, top)
    blank_Q = np.full(len(order[0]), np.nan)
    tables = []
    for result, rows in zip(results, order, strict=True):
        by = {key: result.facts.table(key, top) for key in result.facts.settings}
        tables.append(np.stack([by[key][name][rows] if name in by.get(key, {}) else blank_Q for key, name in columns], axis=1))
    found = differences(tables, results[0].facts.place_number(), seed=seed, draws=draws, progress=progress)
    compared = []
    for (one, other), apart in found.items():
        by_setting: dict[str, dict[str, Any]] = {}
        for (key, name), difference in zip(columns, apart, strict=True):
            if not np.isnan(difference.value):  # what one of them has not measured
                by_setting.setdefault(key, {})[name] = difference.to_dict()
        rows_of = {key_of(row): row for row in results[one].values.get("stress", ())}
        hits = [results[number].facts.rank_SQ[0][order[number]] == 1 for number in (one, other)]
        compared.append(
            {
                "one": one,
                "other": other,
                "differences": by_setting.pop(CLEAN),
                "first_right": _first_right(*hits),
                "stress": [
                    {**{name: rows_of[key][name] for name in ("dial", "level", "side")}, "differences": by_setting[key]}
                    for key in by_setting
                ],
            }
        )
    first = results[0].values
    same = ("dataset", "split", "direction", "protocol", "queries", "places", "gallery", "data_sha256")
    return {
        **{name: first.get(name) for name in same},
        "seed": seed,
        "draws": draws,
        "results": [_shown(label, one) for label, one in zip(labels, results, strict=True)],
        "pairs": compared,
    }


def labels_of(results: Sequence[Results]) -> list[str]:
    """A name for each: its model's; where two are the same, the folder's too, or a number."""
    names = [str(one.values["model"]["name"]) for one in results]
    if len(set(names)) < len(names):
        folders = [Path(one.where).parent.name for one in results]
        names = [f"{n} ({f})" if f and names.count(n) > 1 else n for n, f in zip(names, folders, strict=True)]
    return [name if names.count(name) == 1 else f"{name} #{1 + names[:place].count(name)}" for place, name in enumerate(names)]


def _shown(label: str, one: Results) -> dict[str, Any]:
    kept = ("model", "paper", "strict", "intervals95", "stress", "environment")
    return {"label": label, "where": one.where, **{name: one.values[name] for name in kept if name in one.values}}


def _columns(results: Sequence[Results], top_percent: int) -> list[tuple[str, str]]:
    """Settings and metrics that at least two have."""
    seen = Counter((key, name) for one in results for key in one.facts.settings for name in one.facts.table(key, top_percent))
    return [column for column, count in seen.items() if count > 1]


def _first_right(one_Q: npt.NDArray[np.bool_], other_Q: npt.NDArray[np.bool_]) -> dict[str, int]:
    masks = {"both": one_Q & other_Q, "one": one_Q & ~other_Q, "other": ~one_Q & other_Q, "neither": ~one_Q & ~other_Q}
    return {name: int(mask.sum()) for name, mask in masks.items()}


def _order(first: Results, one: Results) -> Order:
    """For each query of the first the row where the other has it."""
    row = {name: number for number, name in enumerate(one.facts.image)}
    return np.array([row[name] for name in first.facts.image], np.int64)


def _check(results: Sequence[Results]) -> None:
    if not 2 <= len(results) <= MOST:
        raise InputError(f"{len(results)} results cannot be compared", where="--compare", mend=f"give two to {MOST}")
    first = results[0]
    for one in results[1:]:
        for name in ("dataset", "split", "direction", "protocol"):
            if one.values[name] != first.values[name]:
                raise InputError(
                    f"its {name} is {one.values[name]}, that of {first.where} {first.values[name]}",
                    where=one.where,
                    mend="compare results of one task",
                )
        _check_queries(first.facts, one.facts, first.where, one.where)
        if one.values.get("data_sha256") != first.values.get("data_sha256"):
            raise InputError(
                f"its pictures, gallery or positives are not those of {first.where}",
                where=one.where,
                mend="evaluate both on one copy of the data",
            )
    stressed = [one for one in results if "stress" in one.values]
    for one in stressed[1:]:
        if one.values["seed"] != stressed[0].values["seed"]:
            seeds = f"{one.values['seed']}, those of {stressed[0].where} with {stressed[0].values['seed']}"
            raise InputError(
                f"its pictures under stress were drawn with the seed {seeds}", where=one.where, mend="evaluate both with one seed"
            )


def _check_queries(first: QueryFacts, one: QueryFacts, first_where: str, where: str) -> None:
    places = dict(zip(first.image, first.place, strict=True))
    strange = [name for name in one.image if name not in places]
    missing = set(places) - set(one.image)
    if strange or missing:
        example = strange[0] if strange else min(missing)
        counted = f"{len(strange)} are not there and {len(missing)} are missing here, such as {example}"
        what = f"its queries are not those of {first_where}: {counted}"
        raise InputError(what, where=where, mend="compare results of one task")
    moved = [name for name, place in zip(one.image, one.place, strict=True) if places[name] != place]
    if moved:
        raise InputError(f"{len(moved)} of its queries show another place than in {first_where}, such as {moved[0]}", where=where)
