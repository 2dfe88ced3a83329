from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.TiffImagePlugin import IFDRational

from crossfix.geo.tags import adobe_coordinate, altitude_reference, degrees_minutes_seconds, number, text

anything = st.recursive(
    st.none() | st.floats() | st.integers() | st.text() | st.binary() | st.just(IFDRational(1, 0)),
    lambda inner: st.lists(inner) | st.tuples(inner),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("+40.00", 40.0), ("1763/10", 176.3), (IFDRational(7, 2), 3.5), ((5,), 5.0), (3, 3.0), (" -1.5 ", -1.5)],
)
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize("value", [None, "", "abc", "1/0", b"12", math.nan, math.inf, IFDRational(0, 0), (1, 2), "1e999", 10**400])
def test_what_is_no_number(value):
    assert number(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0,4.21601S", -0.0702668333),
        ("34,22.91611E", 34.3819351667),
        ("46,50,33.4654N", 46.8426292778),
        ("91,59,36.8832W", -91.9935786667),
        ("12.5s", -12.5),
        ("-91.25", -91.25),
    ],
)
def test_adobe_notation(value, expected):
    assert adobe_coordinate(value) == pytest.approx(expected, abs=1e-10)


def test_degrees_minutes_seconds():
    assert degrees_minutes_seconds((46.0, 50.0, 33.4654), "N", "S") == pytest.approx(46.84262928, abs=1e-8)
    assert degrees_minutes_seconds((46.0, 30.0), "S\0", "S") == -46.5
    assert degrees_minutes_seconds(46.5, "w", "W") == -46.5
    assert degrees_minutes_seconds((46.0, 50.0, 33.0), None, "S") is None
    assert degrees_minutes_seconds((46.0, math.nan, 33.0), "N", "S") is None
    assert degrees_minutes_seconds((), "N", "S") is None


@pytest.mark.parametrize(("value", "expected"), [(b"\1", 1), (b"\0", 0), (1, 1), (0.0, 0), (b"\0d", 0), (None, 0), ("x", 0)])
def test_altitude_reference(value, expected):
    assert altitude_reference(value) == expected


@given(anything, anything)
def test_nothing_raises(value, other):
    for result in (number(value), adobe_coordinate(value), degrees_minutes_seconds(value, other, "S")):
        assert result is None or math.isfinite(result)
    assert isinstance(text(value), str)
    assert altitude_reference(value) in (0, 1)


def test_text_ends_at_its_padding():
    assert text("DJI\0\0\0") == "DJI"
    assert text(b"IMG_1.TIF\0") == "IMG_1.TIF"
    assert text(123) == ""
