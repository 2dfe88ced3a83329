"""The drawings of an evaluation's page, as SVG: a curve a dial, bars for conditions, distances, differences.

Scores are fractions of 1. The page's style gives the classes ``s0`` to ``s7`` their colours; marks differ by shape, too, for print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.report.wording import Axis, counted

WIDE, HIGH = 360, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 14, 12, 46
_LABEL = 134


@dataclass(frozen=True)
class Point:
    """A score and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """What one model does.

    Attributes:
        label: its name.
        clean: its score of the pictures as they are.
        points: by level, or by name of the condition.
    """

    label: str
    clean: Point
    points: Mapping[Any, Point]


def curve(title: str, series: Sequence[Series], axis: Axis) -> str:
    """R@1 against the levels of a dial, with bands of the intervals; dashed: of the pictures as they are.

    Args:
        title: for those who cannot see it.
        series: their points by level.
        axis: of the levels.
    """
    drawn = [_with_clean(one, axis) for one in series]
    levels = sorted({level for points in drawn for level in points}, reverse=axis.falling)
    place = _placer(levels, axis)
    parts = [_frame(axis.title)]
    for level in levels:
        x = place(level)
        parts.append(f'<path class="tick" d="M{x:.1f} {HIGH - _BOTTOM}v4"/>')
    for level in _uncrowded(levels, place):
        parts.append(f'<text class="mid" x="{place(level):.1f}" y="{HIGH - _BOTTOM + 17}">{level * axis.factor:g}</text>')
    for number, (one, points) in enumerate(zip(series, drawn, strict=True)):
        y = _up(one.clean.value)
        parts.append(f'<path class="clean c{number}" d="M{_LEFT} {y:.1f}H{WIDE - _RIGHT}"/>')
        known = [level for level in levels if level in points]
        upper = [f"{place(level):.1f} {_up(points[level].high):.1f}" for level in known]
        lower = [f"{place(level):.1f} {_up(points[level].low):.1f}" for level in reversed(known)]
        parts.append(f'<path class="band f{number}" d="M{"L".join(upper + lower)}Z"/>')
        line = "L".join(f"{place(level):.1f} {_up(points[level].value):.1f}" for level in known)
        marks = "".join(
            f"<g>{_mark(number, place(level), _up(points[level].value))}"
            f"<title>{escape(one.label)}, {level * axis.factor:g}: {_spoken(points[level])}</title></g>"
            for level in known
        )
        parts.append(f'<path class="line c{number}" d="M{line}"/>{marks}')
    return _svg(title, HIGH, parts)


def bars(title: str, series: Sequence[Series], conditions: Sequence[tuple[str, str]]) -> str:
    """R@1 by condition, with whiskers of the intervals; the first row shows the pictures as they are.

    Args:
        title: for those who cannot see it.
        series: their points by key of the condition.
        conditions: key and name of each.
    """
    step = 9 if len(series) > 1 else 13
    high = step * len(series) + 9
    rows = [("", "as they are"), *conditions]
    tall = 10 + high * len(rows) + 38
    right = WIDE - 46

    def across(value: float) -> float:
        return _LABEL + value * (right - _LABEL)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = across(share)
        parts.append(f'<path class="grid" d="M{x:.1f} 6V{tall - 34}"/><text class="mid" x="{x:.1f}" y="{tall - 18}">{100 * share:g}</text>')
    for place, (key, name) in enumerate(rows):
        top = 10 + place * high
        parts.append(
            f'<text class="end{" strong" if not key else ""}" x="{_LABEL - 8}" y="{top + (high - 9) / 2 + 4:.1f}">{escape(name)}</text>'
        )
        for number, one in enumerate(series):
            point = one.clean if not key else one.points.get(key)
            if point is None:
                continue
            y = top + number * step
            middle = y + step / 2 - 0.5
            left, end, up = across(point.low), across(point.high), middle - 2.5
            whisker = f"M{left:.1f} {middle:.1f}H{end:.1f}M{left:.1f} {up:.1f}v5M{end:.1f} {up:.1f}v5"
            long = max(0.0, across(point.value) - _LABEL)
            parts.append(
                f'<g><rect class="bar f{number}" x="{_LABEL}" y="{y:.1f}" width="{long:.1f}" height="{step - 1}"/>'
                f'<path class="whisker" d="{whisker}"/>'
                f"<title>{escape(one.label)}, {escape(name)}: {_spoken(point)}</title></g>"
                f'<text class="{"" if len(series) == 1 else "small"}" x="{right + 8}" y="{middle + 4:.1f}">{100 * point.value:.1f}</text>'
            )
    if len(series) == 1:
        x = across(series[0].clean.value)
        parts.append(f'<path class="clean c0" d="M{x:.1f} 6V{tall - 34}"/>')
    parts.append(f'<text class="mid muted" x="{(_LABEL + right) / 2:.1f}" y="{tall - 4}">R@1, strict, %</text>')
    return _svg(title, tall, parts)


def shares_within(title: str, series: Sequence[tuple[str, npt.NDArray[np.floating]]]) -> str:
    """How many of the first images lie within so many metres, the metres on a logarithmic axis from 1.

    Args:
        title: for those who cannot see it.
        series: a label and the distances of all queries, metres.
    """
    last = max(10.0, *(float(np.max(distance_Q)) for _, distance_Q in series))
    decades = math.ceil(math.log10(last) - 1e-9)

    def across(metres: float) -> float:
        return _LEFT + math.log10(max(metres, 1.0)) / decades * (WIDE - _RIGHT - _LEFT)

    parts = [_frame("distance of the first image, metres", "share of the queries, %")]
    for power in range(decades + 1):
        x = across(10.0**power)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{HIGH - _BOTTOM}"/>')
        anchor = "end" if power == decades else "mid"
        parts.append(f'<text class="{anchor}" x="{x + 8 * (anchor == "end"):.1f}" y="{HIGH - _BOTTOM + 17}">{counted(10**power)}</text>')
    for number, (label, distance_Q) in enumerate(series):
        metres = np.geomspace(1.0, 10.0**decades, 160)
        share = np.searchsorted(np.sort(distance_Q), metres, side="right") / len(distance_Q)
        line = "L".join(f"{across(float(m)):.1f} {_up(float(s)):.1f}" for m, s in zip(metres, share, strict=True))
        parts.append(f'<path class="line c{number}" d="M{line}"><title>{escape(label)}</title></path>')
    return _svg(title, HIGH, parts)


def forest(title: str, rows: Sequence[tuple[str, Point]]) -> str:
    """Differences with their intervals about a line at zero, in percentage points; those that exclude zero are filled.

    Args:
        title: for those who cannot see it.
        rows: what is compared, and by how much it differs.
    """
    reach = max([0.02, *(abs(end) for _, point in rows for end in (point.low, point.high))]) * 1.08
    tall = 14 + 38 * len(rows) + 38
    middle, half = WIDE / 2, WIDE / 2 - 22

    def across(value: float) -> float:
        return middle + value / reach * half

    step = next(size for size in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if reach / size <= 4)
    parts = []
    for count in range(-int(reach / step), int(reach / step) + 1):
        x = across(count * step)
        name = "axis" if count == 0 else "grid"
        parts.append(f'<path class="{name}" d="M{x:.1f} 4V{tall - 34}"/>')
        parts.append(
            f'<text class="mid" x="{x:.1f}" y="{tall - 18}">{100 * count * step:+g}</text>'.replace("+0<", "0<").replace(">-", ">−")
        )
    for place, (name, point) in enumerate(rows):
        y = 36 + 38 * place
        sure = point.low > 0 or point.high < 0
        parts.append(f'<text class="mid halo" x="{middle}" y="{y - 11}">{escape(name)}</text>')
        parts.append(f'<path class="span{" sure" if sure else ""}" d="M{across(point.low):.1f} {y}H{across(point.high):.1f}"/>')
        dot = f'<circle class="{"sure" if sure else "unsure"}" cx="{across(point.value):.1f}" cy="{y}" r="4.5"/>'
        parts.append(f"<g>{dot}<title>{escape(name)}: {_spoken(point)}</title></g>")
    parts.append(f'<text class="mid muted" x="{middle}" y="{tall - 4}">difference of R@1, percentage points</text>')
    return _svg(title, tall, parts)


def key(number: int) -> str:
    """A series' line and mark, for the legend."""
    return f'<svg class="key" viewBox="0 0 26 12" aria-hidden="true"><path class="line c{number}" d="M1 6H25"/>{_mark(number, 13, 6)}</svg>'


def _with_clean(one: Series, axis: Axis) -> dict[float, Point]:
    points: dict[float, Point] = dict(one.points)
    if axis.neutral is not None:
        points.setdefault(axis.neutral, one.clean)
    return points


def _placer(levels: Sequence[float], axis: Axis) -> Callable[[float], float]:
    def along(level: float) -> float:
        return math.log(level) if axis.log else level

    first, last = along(levels[0]), along(levels[-1])
    return lambda level: _LEFT + 10 + (along(level) - first) / ((last - first) or 1.0) * (WIDE - _RIGHT - _LEFT - 20)


def _uncrowded(levels: Sequence[float], place: Callable[[float], float]) -> list[float]:
    """Those levels whose numbers do not run into each other."""
    kept: list[float] = []
    for level in levels:
        if not kept or abs(place(level) - place(kept[-1])) >= 26:
            kept.append(level)
    return kept


def _frame(below: str, beside: str = "R@1, strict, %") -> str:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _up(share)
        parts.append(f'<path class="{"axis" if share == 0 else "grid"}" d="M{_LEFT} {y:.1f}H{WIDE - _RIGHT}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{100 * share:g}</text>')
    parts.append(f'<text class="mid muted" x="{(_LEFT + WIDE - _RIGHT) / 2:.1f}" y="{HIGH - 8}">{escape(below)}</text>')
    middle = (_TOP + HIGH - _BOTTOM) / 2
    parts.append(f'<text class="mid muted" transform="translate(10 {middle:.1f}) rotate(-90)">{escape(beside)}</text>')
    return "".join(parts)


def _up(share: float) -> float:
    return HIGH - _BOTTOM - share * (HIGH - _BOTTOM - _TOP)


def _mark(number: int, x: float, y: float) -> str:
    shape = (
        f"M{x - 3.4:.1f} {y:.1f}a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0",
        f"M{x - 3.2:.1f} {y - 3.2:.1f}h6.4v6.4h-6.4Z",
        f"M{x:.1f} {y - 4.2:.1f}l4.2 7.2h-8.4Z",
        f"M{x:.1f} {y - 4.4:.1f}l4.4 4.4l-4.4 4.4l-4.4 -4.4Z",
    )[number % 4]
    return f'<path class="{"dot" if number < 4 else "ring"} f{number} c{number}" d="{shape}"/>'


def _spoken(point: Point) -> str:
    return f"{100 * point.value:.1f} ({100 * point.low:.1f} to {100 * point.high:.1f})"


def _svg(title: str, tall: float, parts: Sequence[str]) -> str:
    return f'<svg class="chart" viewBox="0 0 {WIDE} {tall:g}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
