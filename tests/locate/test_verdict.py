"""Fixes held against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossfix.errors import DataError, InputError
from crossfix.geo.geodesy import offset
from crossfix.locate.verdict import Truth, Verdict, judge, read_truth, summarise

TRUTH = Truth(lon=9.0, lat=48.5, centre_lon=9.001, centre_lat=48.501)


def result(off_m: float = 0.0, *, accepted: bool = True, camera: bool = True, radius95_m: float = 5.0) -> dict[str, Any]:
    lon, lat = offset(9.0, 48.5, 40.0, off_m)
    centre_lon, centre_lat = offset(9.001, 48.501, 200.0, off_m)
    fix = {"centre_lon": centre_lon, "centre_lat": centre_lat, "radius95_m": radius95_m, "accepted": accepted}
    return {"photo": "a.jpg", "fix": fix | ({"lon": lon, "lat": lat} if camera else {"lon": None, "lat": None}), "seconds": 2.0}


def test_errors_are_geodesic_and_kept_apart() -> None:
    verdict = judge(result(12.5), TRUTH)
    assert verdict.camera_error_m == pytest.approx(12.5, abs=1e-6)
    assert verdict.centre_error_m == pytest.approx(12.5, abs=1e-6)
    assert judge(result(12.5, camera=False), TRUTH).camera_error_m is None


def test_convention_the_error_of_a_fix_is_that_of_the_photos_middle() -> None:
    fix = result(3.0)
    fix["fix"]["lon"], fix["fix"]["lat"] = offset(9.0, 48.5, 0.0, 80.0)
    assert judge(fix, TRUTH).error_m == pytest.approx(3.0, abs=1e-6)
    # A ground photo's middle shows no ground: then it is the camera's.
    assert judge(fix, Truth(9.0, 48.5, None, None)).error_m == pytest.approx(80.0, abs=1e-6)


@pytest.mark.parametrize(
    ("off_m", "accepted", "state", "right"),
    [(24.9, True, "right", True), (25.1, True, "wrong", False), (1.0, False, "refused", True), (900.0, False, "refused", False)],
)
def test_states(off_m: float, accepted: bool, state: str, right: bool) -> None:
    verdict = judge(result(off_m, accepted=accepted), TRUTH)
    assert (verdict.state, verdict.right) == (state, right)


def test_a_circle_holds_the_truth_or_not_or_cannot_be_judged() -> None:
    assert judge(result(4.9), TRUTH).circle_holds is True
    assert judge(result(5.1), TRUTH).circle_holds is False
    assert judge(result(5.1), None).circle_holds is None


def test_a_photo_that_failed_is_wrong_and_refused() -> None:
    verdict = judge({"photo": "b.jpg", "fix": None, "error": "is empty"}, TRUTH)
    assert (verdict.state, verdict.right, verdict.error_m, verdict.accepted) == ("refused", False, None, False)


def test_without_truth_an_accepted_fix_is_not_called_wrong() -> None:
    assert judge(result(5000.0), None).state == "right"


def test_the_figures_of_a_set() -> None:
    offs = [(1.0, True), (9.0, True), (20.0, False), (40.0, True), (3000.0, False)]
    verdicts: list[Verdict] = [judge(result(off, accepted=ok), TRUTH) for off, ok in offs]
    assert summarise(verdicts) == {
        "photos": 5,
        "within_10_m": 2,
        "within_25_m": 3,
        "within_50_m": 4,
        "median_error_m": 20.0,
        "camera_within_10_m": 2,
        "camera_within_25_m": 3,
        "camera_within_50_m": 4,
        "camera_median_error_m": 20.0,
        "right_within_m": 25.0,
        "accepted": 3,
        "accepted_right": 2,
        "accepted_wrong": 1,
        "accepted_circle_holds_truth": pytest.approx(1 / 3, abs=1e-4),
        "seconds_a_photo": 2.0,
    }


def test_a_photo_without_a_fix_counts_as_infinitely_far() -> None:
    lost = {"photo": "b.jpg", "fix": None}
    figures = summarise([judge(result(1.0), TRUTH), judge(lost, TRUTH), judge(lost, TRUTH)])
    assert figures["median_error_m"] is None
    assert figures["within_50_m"] == 1
    assert summarise([])["photos"] == 0


def test_truth_tables_are_read_and_damaged_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("photo,lat,lon,centre_lat,centre_lon,extra\na.jpg,48.5,9.0,,,x\nb.jpg,,,48.6,9.1,y\n")
    assert read_truth(path) == {"a.jpg": Truth(9.0, 48.5, None, None), "b.jpg": Truth(None, None, 9.1, 48.6)}
    path.write_text("photo,lat,lon\na.jpg,48.5,9.0\n")
    with pytest.raises(DataError, match="columns"):
        read_truth(path)
    path.write_text("photo,lat,lon,centre_lat,centre_lon\na.jpg,north,9.0,,\n")
    with pytest.raises(DataError, match="line 2"):
        read_truth(path)
    path.write_text("photo,lat,lon,centre_lat,centre_lon\na.jpg,98.5,9.0,,\n")
    with pytest.raises(InputError, match="latitude"):
        read_truth(path)
    with pytest.raises(DataError, match="cannot read"):
        read_truth(tmp_path / "none.csv")
