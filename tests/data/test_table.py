from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from crossfix.data.folder import Folder
from crossfix.data.table import TABLE
from crossfix.errors import DataError
from crossfix.geo.geodesy import offset

HEADER = "file,role,place,kind,lat,lon,height_m,heading_deg,pitch_deg"


def table(folder: Path, *lines: str, header: str = HEADER) -> Folder:
    """A folder with the table and every image that it names."""
    folder.mkdir(exist_ok=True)
    for line in lines:
        name = line.split(",")[0]
        if name and name != "missing.jpg":
            Image.new("RGB", (20, 10)).save(folder / name)
    (folder / TABLE).write_text("\n".join([header, *lines]) + "\n")
    return Folder(folder)


def test_views_know_what_the_table_says(tmp_path: Path):
    task = table(
        tmp_path, "a.jpg,query,p1,drone,46.5,7.25,120,359.5,-60", "b.jpg,gallery,p1,satellite,,,,,", "c.jpg,gallery,p2,,,,,,"
    ).task()
    view = task.query[0]
    assert (view.path, view.place, view.kind) == (tmp_path / "a.jpg", "p1", "drone")
    assert (view.lat, view.lon, view.height_m, view.heading_deg, view.pitch_deg) == (46.5, 7.25, 120, 359.5, -60)
    assert (task.gallery[0].lat, task.gallery[1].kind) == (None, None)
    assert [rows.tolist() for rows in task.positives] == [[0]]


def test_without_places_right_is_what_lies_within_25_metres(tmp_path: Path):
    lon, lat = 7.0, 60.0  # a degree of longitude is half as long here
    lines = [f"q.jpg,query,{lat},{lon}"]
    for number, (bearing, away) in enumerate([(90, 24.9), (90, 25.1), (0, 24.9), (0, 25.1), (225, 10), (30, 5000)]):
        at = offset(lon, lat, bearing, away)
        lines.append(f"g{number}.jpg,gallery,{at[1]:.9f},{at[0]:.9f}")
    task = table(tmp_path, *lines, header="file,role,lat,lon").task()
    assert [rows.tolist() for rows in task.positives] == [[0, 2, 4]]


@pytest.mark.parametrize(
    ("lines", "header", "said"),
    [
        (["a.jpg,p1"], "file,place", "has no column role"),
        (["a.jpg,query"], "file,role", "has neither place nor lat and lon"),
        (["a.jpg,photo,p1,,,,,,"], HEADER, "line 2: the role is 'photo'"),
        (["a.jpg,query,p1,,,,,,", "missing.jpg,gallery,p1,,,,,,"], HEADER, "line 3: there is no file 'missing.jpg'"),
        (["a.jpg,query,p1,plane,,,,,"], HEADER, "line 2: the kind is 'plane'"),
        (["a.jpg,query,p1,drone,46.5,,,,"], HEADER, "line 2: has no position"),
        (["a.jpg,query,p1,drone,7.0,146.5,x,,"], HEADER, "line 2: height_m is 'x', no number"),
        (["a.jpg,query,p1,drone,146.5,7.0,,,"], HEADER, "line 2: latitude 146.5 is beyond the poles"),
        (["a.jpg,query,p1,,,,,,"], HEADER, "lists no gallery image"),
        (["a.jpg,query,,7.0"], "file,role,lat,lon", "line 2: has no position"),
    ],
)
def test_impossible_tables_name_the_line(tmp_path: Path, lines: list[str], header: str, said: str):
    with pytest.raises(DataError, match=said):
        table(tmp_path, *lines, header=header).task()
