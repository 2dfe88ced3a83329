"""Several evaluations of the same task side by side, and every pair of them query by query.

Axes: Q queries, M scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
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
        progress: told the draws done and all of them, of all pairs.

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
    pairs = list(combinations(range(len(results)), 2))
    place_Q = results[0].facts.place_number()
    compared = []
    for number, (one, other) in enumerate(pairs):

        def told(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, len(pairs) * total)

        found = _pair(results[one], results[other], order[one], order[other], place_Q, seed, draws, told)
        compared.append({"one": one, "other": other, **found})
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


def _pair(
    one: Results,
    other: Results,
    order_one: Order,
    order_other: Order,
    place_Q: npt.NDArray[np.int64],
    seed: int,
    draws: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    top = int(one.values["top_percent"]["strict"])
    shared = [key for key in one.facts.settings if key in other.facts.settings]
    names: list[tuple[str, str]] = []
    left, right = [], []
    for key in shared:
        a, b = one.facts.table(key, top), other.facts.table(key, top)
        for metric in a:
            if metric in b:
                names.append((key, metric))
                left.append(a[metric][order_one])
                right.append(b[metric][order_other])
    found = differences(np.stack(left, axis=1), np.stack(right, axis=1), place_Q, seed=seed, draws=draws, progress=progress)
    by: dict[str, dict[str, Any]] = {key: {} for key in shared}
    for (key, metric), difference in zip(names, found, strict=True):
        by[key][metric] = difference.to_dict()
    hit_one, hit_other = one.facts.rank_SQ[0][order_one] == 1, other.facts.rank_SQ[0][order_other] == 1
    settings = {key_of(row): row for row in one.values.get("stress", ())}
    return {
        "differences": by.pop(CLEAN),
        "first_right": {
            "both": int((hit_one & hit_other).sum()),
            "one": int((hit_one & ~hit_other).sum()),
            "other": int((~hit_one & hit_other).sum()),
            "neither": int((~hit_one & ~hit_other).sum()),
        },
        "stress": [{**{name: settings[key][name] for name in ("dial", "level", "side")}, "differences": by[key]} for key in by],
    }


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
        if one.values["seed"] != first.values["seed"] and "stress" in one.values and "stress" in first.values:
            seeds = f"{one.values['seed']}, those of {first.where} with {first.values['seed']}"
            what = f"its pictures under stress were drawn with the seed {seeds}"
            raise InputError(what, where=one.where, mend="evaluate both with one seed")


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
