from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from crossfix.evaluate.report.charts import Point, Series, bars, curve, forest, key, shares_within
from crossfix.evaluate.report.wording import axis_of


def flat(value: float, spread: float = 0.1) -> Point:
    return Point(value, max(0.0, value - spread), min(1.0, value + spread))


def path_of(svg: str, name: str) -> list[tuple[float, float]]:
    """Corners of the first path of a class."""
    found = next(element for element in ET.fromstring(svg).iter("path") if element.get("class", "").startswith(name))
    numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", found.get("d", ""))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_curve_starts_at_what_is_clean_and_falls_with_the_scores():
    svg = curve("shift", [Series("m", flat(0.8), {0.1: flat(0.6), 0.2: flat(0.2)})], axis_of("shift"))
    line = path_of(svg, "line")
    assert len(line) == 3
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    y = [y for _, y in line]
    assert (y[1] - y[0]) / (y[2] - y[1]) == pytest.approx(0.5, abs=0.01)
    assert "off-centre by, % of the side" in svg
    assert ">20</text>" in svg
    assert len(path_of(svg, "band")) == 6


def test_fields_of_view_grow_narrower_to_the_right_and_have_no_clean_point():
    svg = curve("fov", [Series("m", flat(0.8), {level: flat(level / 360) for level in (360.0, 180.0, 90.0)})], axis_of("fov"))
    line = path_of(svg, "line")
    assert len(line) == 3
    assert [y for _, y in line] == sorted(y for _, y in line)
    assert line[1][0] - line[0][0] == pytest.approx(line[2][0] - line[1][0], abs=0.11)


def test_bars_are_as_long_as_the_scores():
    series = [Series("a", flat(1.0, 0), {"fog@query": flat(0.5)}), Series("b", flat(0.25), {"fog@query": flat(0.0)})]
    svg = bars("weather", series, [("fog@query", "Fog"), ("rain@query", "Rain")])
    widths = [float(rect.get("width", "")) for rect in ET.fromstring(svg).iter("rect")]
    assert widths == pytest.approx([widths[0], widths[0] / 4, widths[0] / 2, 0.0], abs=0.1)  # nobody was measured in rain


def test_shares_rise_to_one():
    line = path_of(shares_within("d", [("m", np.array([0.0, 3.0, 40.0, 900.0]))]), "line")
    y = [y for _, y in line]
    assert y == sorted(y, reverse=True)
    share = [(y[0] - value) for value in (y[0], y[-1])]
    assert share[1] / (236 - 46 - 12) == pytest.approx(0.75, abs=0.01)  # one of four lies within the first metre


def test_a_difference_that_excludes_zero_is_filled():
    root = ET.fromstring(forest("d", [("a", Point(0.1, 0.05, 0.15)), ("b", Point(0.01, -0.02, 0.04)), ("c", Point(0.0, 0.0, 0.0))]))
    assert [circle.get("class") for circle in root.iter("circle")] == ["sure", "unsure", "unsure"]


def test_names_cannot_break_out_and_marks_are_told_apart():
    nasty = '"><script>alert(1)</script>&'
    drawn = [
        curve(nasty, [Series(nasty, flat(0.5), {1.0: flat(0.2)})], axis_of("corruption-x")),
        bars(nasty, [Series(nasty, flat(0.5), {"k": flat(0.2)})], [("k", nasty)]),
        shares_within(nasty, [(nasty, np.ones(3))]),
        forest(nasty, [(nasty, flat(0.5))]),
    ]
    for svg in drawn:
        assert "<script" not in svg
        ET.fromstring(svg)
    assert len({key(number) for number in range(8)}) == 8
