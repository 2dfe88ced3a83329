from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crossfix.data.denseuav import DRONE_FILES, GPS_ALL, GPS_TEST, GPS_TRAIN, OFFICIAL, SATELLITE_FILES, DenseUav
from crossfix.errors import DataError, InputError
from data.drone_trees import counts, denseuav, findings, names, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return denseuav(tmp_path / "DenseUAV")


def test_a_whole_copy_has_no_findings(root: Path):
    assert findings(DenseUav(root)) == []


def test_six_satellite_images_of_a_place_are_right(root: Path):
    task = DenseUav(root).task("test", "d2s")
    assert names(task.query[:3], root) == [f"test/query_drone/002256/H{height}.JPG" for height in (80, 90, 100)]
    assert names(task.gallery[:6], root) == [f"test/gallery_satellite/000000/{name}" for name in SATELLITE_FILES]
    assert (len(task.query), len(task.gallery)) == (6, 24)
    assert [rows.tolist() for rows in task.positives] == [list(range(12, 18))] * 3 + [list(range(18, 24))] * 3
    assert (task.protocol, task.semi_positives) == ("denseuav", None)


def test_satellite_to_drone(root: Path):
    task = DenseUav(root).task("test", "s2d")
    assert (len(task.query), len(task.gallery)) == (12, 12)
    assert [rows.tolist() for rows in task.positives] == [[6, 7, 8]] * 6 + [[9, 10, 11]] * 6


@pytest.mark.parametrize(("direction", "queries", "right"), [("d2s", 6, 6), ("s2d", 12, 3)])
def test_training_pairs_every_drone_image_with_its_place(root: Path, direction: str, queries: int, right: int):
    task = DenseUav(root).task("train", direction)
    assert len(task.query) == queries
    assert [len(rows) for rows in task.positives] == [right] * queries
    for view, rows in zip(task.query, task.positives, strict=True):
        assert {task.gallery[row].place for row in rows} == {view.place}


def test_views_know_where_they_are(root: Path):
    task = DenseUav(root).task("test", "d2s")
    assert [(view.lon, view.lat) for view in task.query] == [(120.3874, 30.32413)] * 3 + [(120.3876, 30.32413)] * 3
    assert [view.height_m for view in task.query] == [80, 90, 100] * 2
    assert {view.height_m for view in task.gallery} == {None}
    for view in task.query + task.gallery:
        assert view.lon == pytest.approx(120.387 + 2e-4 * ["000000", "000001", "002256", "002257"].index(view.place), abs=1e-9)


def test_the_folders_that_a_release_lacks_are_put_together(root: Path, tmp_path: Path):
    less = denseuav(tmp_path / "less", whole=False)
    whole, made = DenseUav(root).task("test", "s2d"), DenseUav(less).task("test", "s2d")
    assert [(view.place, view.path.name, view.lon) for view in made.query] == [(v.place, v.path.name, v.lon) for v in whole.query]
    assert [(view.place, view.path.name, view.lon) for view in made.gallery] == [(v.place, v.path.name, v.lon) for v in whole.gallery]
    assert [rows.tolist() for rows in made.positives] == [rows.tolist() for rows in whole.positives]
    assert names(made.gallery[:1], less) == ["train/drone/000000/H80.JPG"]
    assert {found.where for found in findings(DenseUav(less))} == {"test/query_satellite", "test/gallery_drone"}


@pytest.mark.parametrize(
    "line",
    [
        "{}/H80.JPG E120.5 N30.25 94.606",
        "/media/disk/data 2022/newdata/test/satellite/{}/H80_old.tif  E120.5\tN30.25 -3.1",
        "D:\\dense\\test\\satellite\\{}\\H100.tif E120.5 N30.25 100.0 ",
        "./{}/x.png E120.500 N30.250",
    ],
)
def test_paths_and_suffixes_of_the_positions_may_differ(root: Path, line: str):
    lines = (root / GPS_ALL).read_text().splitlines()
    kept = [old for old in lines if "/002256/" not in old]
    (root / GPS_ALL).write_text("\n".join([*kept, line.format("002256"), "", ""]))
    task = DenseUav(root).task("test", "d2s")
    assert (task.query[0].lon, task.query[0].lat) == (120.5, 30.25)


def test_south_and_west_are_negative(root: Path):
    with (root / GPS_ALL).open("a") as file:
        file.write("test/satellite/002256/H80.tif W70.5 S33.5 80\n")
    assert DenseUav(root).positions()["002256"] == (-70.5, -33.5)


def test_of_two_lines_of_a_place_the_later_holds_and_is_told_of(root: Path):
    with (root / GPS_ALL).open("a") as file:
        file.write("test/satellite/002256/H80.tif E121.0 N31.0 80\n")
    data = DenseUav(root)
    assert data.positions()["002256"] == (121.0, 31.0)
    assert [(found.kind, found.where) for found in findings(data)] == [("split", f"{GPS_ALL} line 9")]


def test_without_the_file_of_all_the_two_halves_serve(root: Path):
    whole = DenseUav(root).positions()
    (root / GPS_ALL).unlink()
    assert DenseUav(root).positions() == whole
    (root / GPS_TEST).unlink()
    assert len(DenseUav(root).task("train", "d2s").query) == 6
    with pytest.raises(DataError, match=r"query_drone/002256: no line of the Dense_GPS files gives its position"):
        DenseUav(root).task("test", "d2s")
    (root / GPS_TRAIN).unlink()
    with pytest.raises(DataError, match=r"there is neither Dense_GPS_ALL\.txt nor Dense_GPS_train\.txt"):
        DenseUav(root).task("train", "d2s")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train/satellite/000000/H80.tif 120.3 30.3 94", "cannot be understood; a line is PATH E<lon> N<lat> HEIGHT"),
        ("train/satellite/000000/H80.tif E120.3 94", "cannot be understood"),
        ("H80.tif E120.3 N30.3 94", "cannot be understood"),
        ("train/satellite/000000/H80.tif E30.3 N120.3 94", "gives no position on Earth"),
        ("train/satellite/000000/H80.tif E1.2.3 N30.3 94", "gives no position on Earth"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(root: Path, line: str, said: str):
    lines = (root / GPS_ALL).read_text().splitlines()
    (root / GPS_ALL).write_text("\n".join([lines[0], line, *lines[1:]]))
    data = DenseUav(root)
    with pytest.raises(DataError, match=rf"Dense_GPS_ALL\.txt line 2: {said}"):
        data.task("train", "d2s")
    assert (f"{GPS_ALL} line 2", "split") in [(found.where, found.kind) for found in findings(data)]


def test_places_and_lines_without_each_other(root: Path):
    shutil.rmtree(root / "train/drone/000001")
    put(root / "train/drone/000007", *DRONE_FILES)
    put(root / "train/satellite/000007", *SATELLITE_FILES)
    data = DenseUav(root)
    with pytest.raises(DataError, match=r"train/drone/000007: no line of the Dense_GPS files gives its position"):
        data.task("train", "d2s")
    told = [(found.kind, found.where, found.what) for found in findings(data)]
    assert ("split", GPS_ALL, "has no line of place 000007") in told
    assert ("missing", "train/drone/000001", "is missing, though train/satellite/000001 is there") in told
    for folder in ("drone", "satellite"):
        shutil.rmtree(root / "train" / folder / "000007")
    with pytest.raises(DataError, match=r"train/drone/000001: is missing, though there are queries"):
        data.task("train", "s2d")


def test_an_incomplete_place_is_told_of(root: Path):
    (root / "train/satellite/000001/H90_old.tif").unlink()
    (root / "test/query_drone/002256/H80.JPG").unlink()
    (root / "test/query_drone/002257/H80.JPG").rename(root / "test/query_drone/002257/h80.jpg")
    assert [found.where for found in findings(DenseUav(root))] == [
        "train/satellite/000001/H90_old.tif",
        "test/query_drone/002256/H80.JPG",
    ]


def test_counts_and_images(root: Path):
    data = DenseUav(root)
    told = counts(data)
    assert told["places of test/gallery_drone"] == (3_033, 4)
    assert told["images of test/gallery_satellite"] == (18_198, 24)
    assert len(told) == 2 * len(OFFICIAL)
    listed = names(data.images(), root)
    assert len(listed) == len(set(listed)) == len([path for path in root.rglob("H*") if path.is_file()])
    assert [view.height_m for view in data.images()[:3]] == [80, 90, 100]


def test_wrong_questions(root: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no direction 'g2s'; choose d2s or s2d"):
        DenseUav(root).task("test", "g2s")
    put(tmp_path / "other", "a.jpg")
    with pytest.raises(DataError, match=r"is not the folder of DenseUAV; give the folder that holds Dense_GPS_ALL\.txt"):
        DenseUav(tmp_path / "other").task("test", "d2s")
    assert [found.kind for found in findings(DenseUav(tmp_path / "other"))] == ["missing"]
