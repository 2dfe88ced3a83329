"""What stress does to one model or to several: a curve for a dial of several levels, bars for conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from crossfix.evaluate.report import parts
from crossfix.evaluate.report.charts import Point, Series, bars, curve
from crossfix.evaluate.report.wording import axis_of, dial_name, difference_text, family_of, interval_text, score_text, side_name

Row = Mapping[str, Any]


def drawings(labels: Sequence[str], results: Sequence[Mapping[str, Any]]) -> str:
    """The drawings side by side; nothing where no result has stress.

    Args:
        labels: of the results.
        results: values of each.
    """
    groups: dict[str, dict[tuple[str, str], None]] = {}
    for one in results:
        for row in one.get("stress", ()):
            groups.setdefault(family_of(row["dial"]), {})[row["dial"], row["side"]] = None
    cards = []
    for family, dials in groups.items():
        several = [(dial, side) for dial, side in dials if len(_levels(results, dial, side)) > 1]
        single = [pair for pair in dials if pair not in several]
        if single:
            conditions = [(f"{dial}@{side}", dial_name(dial)) for dial, side in single]
            series = [Series(label, _point(one), _by_condition(one, single)) for label, one in zip(labels, results, strict=True)]
            sides = ", ".join(dict.fromkeys(side_name(side) for _, side in single))
            cards.append(parts.chart(family, bars(f"R@1 by condition: {family}", series, conditions), f"changed: {sides}"))
        for dial, side in several:
            series = [Series(label, _point(one), _by_level(one, dial, side)) for label, one in zip(labels, results, strict=True)]
            drawn = curve(f"R@1 against {dial}", series, axis_of(dial))
            cards.append(parts.chart(dial_name(dial), drawn, f"changed: {side_name(side)}"))
    return parts.charts(cards) if cards else ""


def every_setting(values: Mapping[str, Any]) -> str:
    """A table of all settings of one result."""
    clean = values["strict"]["R@1"]
    others = [name for name in ("AP", "hit", "Dis@1") if name in values["strict"]]
    rows = []
    for row in values["stress"]:
        strict, interval = row["strict"], row["intervals95"]["R@1"]
        name = f"{escape(dial_name(row['dial']))} <small>{escape(row['dial'])}</small>"
        cells = [name, f"{row['level'] * axis_of(row['dial']).factor:g}", escape(side_name(row["side"]))]
        cells += [score_text("R@1", strict["R@1"]), interval_text("R@1", interval), difference_text("R@1", strict["R@1"] - clean)]
        rows.append([*cells, *(score_text(other, strict.get(other)) for other in others)])
    return parts.table(["dial", "level", "changed", "R@1, strict", "95 % interval", "change, points", *others], rows)


def worst_condition(values: Mapping[str, Any]) -> Row | None:
    """The setting with the least R@1."""
    return min(values.get("stress", ()), key=lambda row: float(row["strict"]["R@1"]), default=None)


def _levels(results: Sequence[Mapping[str, Any]], dial: str, side: str) -> set[float]:
    return {row["level"] for one in results for row in one.get("stress", ()) if (row["dial"], row["side"]) == (dial, side)}


def _by_level(one: Mapping[str, Any], dial: str, side: str) -> dict[float, Point]:
    return {row["level"]: _point(row) for row in one.get("stress", ()) if (row["dial"], row["side"]) == (dial, side)}


def _by_condition(one: Mapping[str, Any], wanted: Sequence[tuple[str, str]]) -> dict[str, Point]:
    return {f"{row['dial']}@{row['side']}": _point(row) for row in one.get("stress", ()) if (row["dial"], row["side"]) in wanted}


def _point(row: Row) -> Point:
    low, high = row["intervals95"]["R@1"]
    return Point(row["strict"]["R@1"], low, high)
