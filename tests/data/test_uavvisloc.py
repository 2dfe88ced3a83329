from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crossfix.data.uavvisloc import COORDINATES, COORDINATES_RELEASED, UavVisLoc
from crossfix.errors import DataError, InputError
from data.drone_trees import CORNERS, TABLE, counts, findings, names, photo_line, put, uavvisloc


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return uavvisloc(tmp_path / "UAV-VisLoc")


def test_a_whole_copy_has_no_findings(root: Path):
    data = UavVisLoc(root)
    assert findings(data) == []
    assert counts(data) == {"flights": (11, 2), "drone images": (6_742, 6)}


def test_flights_know_their_maps_and_photos(root: Path):
    one, nine = UavVisLoc(root).flights()
    assert (one.number, nine.number) == ("01", "09")
    assert one.map.files == ((root / "01/satellite01.tif",),)
    assert (one.map.west, one.map.north, one.map.east, one.map.south) == CORNERS["01"]
    assert [[path.name[-9:] for path in row] for row in nine.map.files] == [["01-01.tif", "01-02.tif"], ["02-01.tif", "02-02.tif"]]
    assert names(one.views, root) == [f"01/drone/01_000{number}.JPG" for number in (1, 2, 3)]
    view = one.views[0]
    assert (view.place, view.kind, view.lat, view.lon) == ("01_0001", "drone", 32.35 - 50e-6, 115.97 + 60e-6)
    assert [view.heading_deg for view in one.views] == [269.5, 12.25, 180.0]
    assert {view.height_m for view in one.views} == {None}, "the table's height is above the sea"


def test_either_name_of_the_table_of_corners(root: Path):
    (root / COORDINATES_RELEASED).rename(root / COORDINATES)
    assert [flight.number for flight in UavVisLoc(root).flights()] == ["01", "09"]
    assert findings(UavVisLoc(root)) == []


def test_a_flight_without_angles_has_no_heading(root: Path):
    short = [",".join(line.split(",")[:6]) for line in (root / "01/01.csv").read_text().splitlines()]
    (root / "01/01.csv").write_text("\n".join(short))
    assert [view.heading_deg for view in UavVisLoc(root).flights(["01"])[0].views] == [None] * 3


def test_without_chips_a_task_says_how_to_cut_them(root: Path):
    with pytest.raises(DataError, match=r"chips/01\.json: there are no chips of this map; cut them: crossfix data chips ROOT"):
        UavVisLoc(root).task("all", "d2s")


def test_photos_find_the_chips_that_hold_them(root: Path):
    data = UavVisLoc(root)
    chips = data.cut_chips(side_px=64, overlap=0.5)
    task = data.task("all", "d2s")
    assert len(task.query) == 6
    assert names(task.gallery, root) == [f"chips/{chip.file}" for chip in chips]
    assert {view.path.read_bytes()[:2] for view in task.gallery} == {b"\xff\xd8"}
    assert task.protocol is None
    for view, right, near in zip(task.query, task.positives, task.semi_positives, strict=True):
        for row, chip in enumerate(chips):
            sides = max(abs(view.lon - chip.lon) / chip.width_deg, abs(view.lat - chip.lat) / chip.height_deg)
            assert (row in right) == (sides <= 0.5)
            assert (row in near) == (0.5 < sides < 1)
        assert len(right) >= 1
        assert {task.gallery[row].path.parent.name for row in right} == {view.place[:2]}


def test_a_task_of_one_flight_needs_only_its_chips(root: Path, tmp_path: Path):
    data = UavVisLoc(root)
    data.cut_chips(tmp_path / "elsewhere", side_px=64, numbers=["09"])
    task = data.task("09", "d2s")
    assert {view.path.parent for view in task.gallery} == {tmp_path / "elsewhere/09"}
    assert all(CORNERS["09"][0] < view.lon < CORNERS["09"][2] for view in task.gallery)
    with pytest.raises(DataError, match="no chips of this map"):
        data.task("01", "d2s")
    fresh = UavVisLoc(root)
    fresh.chips = tmp_path / "elsewhere"
    assert fresh.task("09", "d2s").gallery == task.gallery


def test_photos_off_the_map_are_left_out_and_told_of(root: Path):
    put(root / "01/drone", "01_0004.JPG")
    with (root / "01/01.csv").open("a") as file:
        file.write(photo_line(4, "01", 33.0, 115.9701) + "\n")
    data = UavVisLoc(root)
    data.cut_chips(side_px=64)
    task = data.task("01", "d2s")
    assert [view.path.stem for view in task.query] == ["01_0001", "01_0002", "01_0003"]
    assert len(task.positives) == len(task.semi_positives) == 3
    assert min(map(len, task.positives)) > 0
    assert [(found.where, found.what) for found in findings(data)] == [("01/01.csv", "1 photos lie off the map")]


def test_a_flight_off_its_map_is_told(root: Path):
    table = root / "01/01.csv"
    head = table.read_text().splitlines()[0]
    table.write_text("\n".join([head, *(photo_line(number, "01", 33.0, 115.9701) for number in (1, 2, 3))]) + "\n")
    data = UavVisLoc(root)
    data.cut_chips(side_px=64)
    with pytest.raises(DataError, match="no photo lies on its map"):
        data.task("01", "d2s")


def test_every_image_once(root: Path):
    data = UavVisLoc(root)
    assert len(data.images()) == 6
    data.cut_chips(side_px=64, numbers=["01"])
    listed = names(data.images(), root)
    assert len(listed) == len(set(listed)) == 6 + len(list((root / "chips/01").iterdir()))


def test_a_photo_that_is_not_there(root: Path):
    (root / "09/drone/09_0002.JPG").unlink()
    data = UavVisLoc(root)
    with pytest.raises(DataError, match=r"09\.csv line 3: names drone/09_0002\.JPG, which is not there; unpack or download"):
        data.flights()
    assert [(found.kind, found.where) for found in findings(data)] == [("split", "09/09.csv line 3")]
    assert len(data.flights(["01"])) == 1


def test_a_photo_without_a_line(root: Path):
    put(root / "09/drone", "09_0009.JPG")
    assert [(found.kind, found.where) for found in findings(UavVisLoc(root))] == [("extra", "09/drone/09_0009.JPG")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (photo_line(2, "01", 32.3, 115.9).replace("32.3", "north"), "line 3: lat is 'north', which is no number"),
        (photo_line(2, "01", 32.3, 115.9, heading="nan"), "line 3: Phi1 is 'nan', which is no number"),
        (photo_line(2, "01", 115.9, 32.3), "line 3: latitude 115.9 is beyond the poles"),
        ("2,01_0002.JPG,2018", "line 3: has no lat"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(root: Path, line: str, said: str):
    lines = (root / "01/01.csv").read_text().splitlines()
    (root / "01/01.csv").write_text("\n".join([*lines[:2], line, *lines[3:]]))
    data = UavVisLoc(root)
    with pytest.raises(DataError, match=rf"01\.csv {said}"):
        data.flights()
    assert [(found.kind, found.where) for found in findings(data)] == [("split", "01/01.csv line 3")]


def test_tables_without_their_columns(root: Path):
    (root / "01/01.csv").write_text(TABLE.replace("lat", "y") + "\n")
    with pytest.raises(DataError, match=r"01\.csv: has no column lat"):
        UavVisLoc(root).flights()
    (root / COORDINATES_RELEASED).write_text("")
    with pytest.raises(DataError, match="has no column mapname"):
        UavVisLoc(root).flights()
    assert [found.kind for found in findings(UavVisLoc(root))] == ["missing"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("satellite01.tif,32.3,115.9,32.4,116.0,x", "line 2: the corners of the map are not north-west and south-east"),
        ("map.tif,32.3,115.9,32.2,116.0,x", "line 2: 'map.tif' is no map"),
        ("satellite01.tif,32.3,,32.2,116.0,x", "line 2: has no LT_lon_map"),
    ],
)
def test_corners_that_make_no_sense(root: Path, line: str, said: str):
    header = (root / COORDINATES_RELEASED).read_text().splitlines()[0]
    (root / COORDINATES_RELEASED).write_text(f"{header}\n{line}\n")
    with pytest.raises(DataError, match=said):
        UavVisLoc(root).flights()


def test_missing_maps_and_folders(root: Path):
    (root / "09/satellite09_02-01.tif").unlink()
    (root / "01/satellite01.tif").unlink()
    data = UavVisLoc(root)
    with pytest.raises(DataError, match=r"09/satellite09_02-01\.tif: this part of the map is missing"):
        data.flights(["09"])
    with pytest.raises(DataError, match=r"01/satellite01\.tif: is missing"):
        data.flights(["01"])
    assert [found.where for found in findings(data)] == ["01/satellite01.tif", "09/satellite09_02-01.tif"]
    shutil.rmtree(root / "01/drone")
    assert "01/drone" in [found.where for found in findings(data)]
    (root / COORDINATES_RELEASED).unlink()
    with pytest.raises(DataError, match=r"satellite_coordinates_range\.csv: is missing"):
        data.flights()


def test_wrong_questions(root: Path, tmp_path: Path):
    data = UavVisLoc(root)
    with pytest.raises(InputError, match="no direction 's2d'; choose d2s"):
        data.task("all", "s2d")
    with pytest.raises(InputError, match="no split '12'; choose all or 01"):
        data.task("12", "d2s")
    with pytest.raises(DataError, match="has no line of flight 05"):
        data.task("05", "d2s")
    with pytest.raises(InputError, match="too small"):
        data.cut_chips(side_px=1)
    with pytest.raises(DataError, match="is not the folder of UAV-VisLoc; give the folder that holds"):
        UavVisLoc(tmp_path).flights()
