"""Fixes as JSON, GeoJSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import pytest

from crossfix.errors import DiskError, InputError
from crossfix.geo.geodesy import distance_m
from crossfix.geo.photo import Prior, Sourced
from crossfix.locate.fix import Candidate, Failure, Fix
from crossfix.locate.output import format_of, render, to_geojson, write


def fix(**changes: object) -> Fix:
    values: dict[str, object] = {
        "photo": "a.jpg", "lon": -91.994, "lat": 46.8425, "centre_lon": -91.9941, "centre_lat": 46.8426, "radius95_m": 12.0,
        "covariance_m2": ((20.0, 3.0), (3.0, 25.0)), "heading_deg": 44.2, "confidence": 0.97, "accepted": True, "reason": None,
        "method": "registration", "candidates": (Candidate(1, -91.99, 46.84, 80.0, 0.71),),
        "prior": Prior(height_m=Sourced(40.0, "flag:--height-m")), "seconds": 0.81,
    }  # fmt: skip
    return Fix(**{**values, **changes})  # type: ignore[arg-type]


def test_json_has_the_fields_promised() -> None:
    told = json.loads(render([fix()], "json"))
    assert list(told[0]) == ["photo", "fix", "candidates", "prior", "seconds"]
    assert list(told[0]["fix"]) == [
        "lat", "lon", "centre_lat", "centre_lon", "radius95_m", "camera_radius95_m", "covariance_m2", "heading_deg",
        "confidence", "accepted", "reason", "method",
    ]  # fmt: skip
    assert list(told[0]["candidates"][0]) == ["rank", "lat", "lon", "side_m", "score"]
    assert told[0]["prior"]["height_m"] == {"value": 40.0, "source": "flag:--height-m"}
    assert told[0]["prior"]["lat"] is None


def test_what_is_unknown_is_null() -> None:
    told = json.loads(render([fix(lon=None, lat=None, heading_deg=None)], "json"))[0]["fix"]
    assert told["lat"] is None
    assert told["lon"] is None
    assert told["heading_deg"] is None


def test_failed_photo_has_its_sentence_and_no_fix() -> None:
    told = json.loads(render([fix(), Failure("b.jpg", "b.jpg: is empty")], "json"))
    assert told[1]["fix"] is None
    assert told[1]["error"] == "b.jpg: is empty"


def test_convention_geojson_has_lon_first_and_the_circle_goes_round_the_centre() -> None:
    told = to_geojson([fix(), Failure("b.jpg", "b.jpg: is empty")])
    by_role = {feature["properties"]["role"]: feature for feature in told["features"]}
    assert set(by_role) == {"camera", "centre", "circle95"}
    assert by_role["camera"]["geometry"]["coordinates"] == [-91.994, 46.8425]
    ring = by_role["circle95"]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert all(distance_m(lon, lat, -91.9941, 46.8426) == pytest.approx(12.0, abs=0.01) for lon, lat in ring)
    turning = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in pairwise(ring))
    assert turning < 0, "outer rings are counterclockwise"
    assert told["failures"] == [{"photo": "b.jpg", "error": "b.jpg: is empty"}]


def test_unknown_camera_is_left_out_of_geojson() -> None:
    roles = [feature["properties"]["role"] for feature in to_geojson([fix(lon=None, lat=None)])["features"]]
    assert roles == ["centre", "circle95"]


def test_csv_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(render([fix(reason='two, "alike"', accepted=False), Failure("b.jpg", "bad")], "csv"))))
    assert rows[0]["reason"] == 'two, "alike"'
    assert rows[0]["accepted"] == "false"
    assert float(rows[0]["covariance_en_m2"]) == 3.0
    assert rows[1]["error"] == "bad"
    assert rows[1]["lat"] == ""


@pytest.mark.parametrize(
    ("path", "wanted", "form"),
    [(None, None, "json"), (Path("x.geojson"), None, "geojson"), (Path("x.CSV"), None, "csv"), (Path("x.csv"), "json", "json")],
)
def test_format_follows_the_ending_unless_told(path: Path | None, wanted: str | None, form: str) -> None:
    assert format_of(path, wanted) == form


def test_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="there is no format 'kml'; use one of json"):
        format_of(None, "kml")


def test_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write("text\n", tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == "text\n"
    with pytest.raises(DiskError, match="cannot be written"):
        write("text\n", tmp_path / "missing" / "out.json")
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
