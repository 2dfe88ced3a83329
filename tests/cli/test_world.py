"""`crossfix world`: real files from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import rasterio

from crossfix.cli import main
from crossfix.geo.geodesy import distance_m
from crossfix.geo.metadata import read_prior


def test_a_map_and_photos_of_one_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--seed", "3", "--region", "farmland", "--size-m", "60", "--lon", "-3.2", "--lat", "51.5"]
    assert main(["world", "map", "-o", str(tmp_path / "map.tif"), "--gsd-m", "1", *place, "--json"]) == 0
    told = capsys.readouterr()
    made = json.loads(told.out)
    assert not told.err
    assert (made["region"], made["seed"], made["size_m"]) == ("farmland", 3, 60.0)
    with rasterio.open(tmp_path / "map.tif") as raster:
        assert raster.crs.to_epsg() == 32630
        west, south, east, north = rasterio.warp.transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    assert distance_m((west + east) / 2, (south + north) / 2, -3.2, 51.5) < 1.5

    assert main(["world", "photos", "-o", str(tmp_path / "photos"), "--count", "2", "--width", "64", "--height", "48", *place]) == 0
    told = capsys.readouterr()
    assert "2 drone photos" in told.out
    assert told.err.startswith("Taking drone photos: 2 of 2")
    with (tmp_path / "photos" / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    # Maps and photos never share their day, even with the same --epoch.
    assert {int(row["epoch"]) for row in rows} != {made["epoch"]["seed"]}
    prior = read_prior(tmp_path / "photos" / rows[0]["photo"])
    assert prior.lon is not None
    assert distance_m(prior.lon.value, prior.lat.value, float(rows[0]["lon"]), float(rows[0]["lat"])) < 10  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["map", "-o", "nowhere/map.tif", "--size-m", "60"], "nowhere/map.tif"),
        (["map", "-o", "map.tif", "--size-m", "5"], "5 m"),
        (["map", "-o", "map.tif", "--size-m", "60", "--gsd-m", "30"], "30 m a pixel"),
        (["map", "-o", "map.tif", "--size-m", "60", "--lat", "100"], "latitude 100"),
        (["photos", "-o", "photos", "--size-m", "60", "--width", "3"], "pixels"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["world", *words, "--region", "farmland"]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("crossfix: ")]
    assert len(err) == 1
    assert told in err[0]
    assert not list(tmp_path.iterdir())
