from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from crossfix.data.cvact import INDEX, Cvact
from crossfix.data.dataset import Count, Dataset, Finding
from crossfix.errors import DataError, InputError
from crossfix.geo.geodesy import distance_m
from data import trees

IDS = trees.cvact_ids(8)


def findings(dataset: Dataset) -> list[Finding]:
    return [item for item in dataset.inspect() if isinstance(item, Finding)]


@pytest.mark.parametrize(("split", "rows"), [("train", (5, 0, 3)), ("val", (6, 2))])
def test_rows_count_from_one_and_keep_their_order(tmp_path: Path, split: str, rows: tuple[int, ...]):
    dataset: Dataset = Cvact(trees.cvact_tree(tmp_path))
    task = dataset.task(split, "g2s")
    assert [view.place for view in task.query] == [view.place for view in task.gallery] == [IDS[row] for row in rows]
    assert [view.path for view in task.query] == [trees.cvact_image(tmp_path, split, IDS[row], "ground") for row in rows]
    assert [view.path for view in task.gallery] == [trees.cvact_image(tmp_path, split, IDS[row], "satellite") for row in rows]
    assert [found.tolist() for found in task.positives] == [[i] for i in range(len(rows))]
    assert (task.protocol, task.semi_positives) == ("cvact", None)


def test_test_is_all_pairs_of_files_by_id(tmp_path: Path):
    trees.cvact_tree(tmp_path)
    trees.put_image(trees.cvact_image(tmp_path, "test", "alone", "ground"))
    task = Cvact(tmp_path).task("test", "s2g")
    assert [view.place for view in task.query] == sorted(IDS[row] for row in (6, 1, 2, 4))
    assert {view.kind for view in task.query} == {"satellite"}
    assert task.protocol == "cvact-test"


def test_positions_are_those_of_the_index(tmp_path: Path):
    trees.cvact_tree(tmp_path)
    utm = scipy.io.loadmat(tmp_path / INDEX)["utm"]
    for split in ("train", "val", "test"):
        task = Cvact(tmp_path).task(split, "g2s")
        for ground, satellite in zip(task.query, task.gallery, strict=True):
            assert ground.xy_m == satellite.xy_m == tuple(utm[IDS.index(ground.place)])


def utm_55_south(lon: float, lat: float) -> tuple[float, float]:
    """Easting and northing by Snyder's series (Map Projections: A Working Manual, 8-9 to 8-15), good to centimetres."""
    a, e2, scale = 6_378_137.0, 0.006_694_379_990_14, 0.9996
    phi, turn = math.radians(lat), math.radians(lon - 147)
    second, t, c = e2 / (1 - e2), math.tan(phi) ** 2, e2 / (1 - e2) * math.cos(phi) ** 2
    n, x = a / math.sqrt(1 - e2 * math.sin(phi) ** 2), turn * math.cos(phi)
    arc = a * (
        (1 - e2 / 4 - 3 * e2**2 / 64 - 5 * e2**3 / 256) * phi
        - (3 * e2 / 8 + 3 * e2**2 / 32 + 45 * e2**3 / 1024) * math.sin(2 * phi)
        + (15 * e2**2 / 256 + 45 * e2**3 / 1024) * math.sin(4 * phi)
        - 35 * e2**3 / 3072 * math.sin(6 * phi)
    )
    east = scale * n * (x + (1 - t + c) * x**3 / 6 + (5 - 18 * t + t**2 + 72 * c - 58 * second) * x**5 / 120)
    north = scale * (
        arc
        + n
        * math.tan(phi)
        * (x**2 / 2 + (5 - t + 9 * c + 4 * c**2) * x**4 / 24 + (61 - 58 * t + t**2 + 600 * c - 330 * second) * x**6 / 720)
    )
    return 500_000 + east, 10_000_000 + north


def test_positions_around_canberra_have_a_longitude_and_latitude(tmp_path: Path):
    lon, lat = 149.1287, -35.2820
    utm = np.tile([utm_55_south(lon, lat)], (8, 1))
    utm[0] = (500.0, 200.0)
    utm[3] = np.nan
    trees.cvact_tree(tmp_path)
    trees.cvact_index(tmp_path, IDS, (5, 0, 3), (6, 2), (6, 1, 2, 4), utm)
    canberra, elsewhere, unknown = Cvact(tmp_path).task("train", "g2s").query
    assert distance_m(canberra.lon, canberra.lat, lon, lat) < 0.05
    assert (elsewhere.lon, elsewhere.lat, elsewhere.xy_m) == (None, None, (500.0, 200.0))
    assert (unknown.lon, unknown.xy_m) == (None, None)


def test_test_needs_no_index(tmp_path: Path):
    (trees.cvact_tree(tmp_path) / INDEX).unlink()
    assert {view.xy_m for view in Cvact(tmp_path).task("test", "g2s").query} == {None}
    with pytest.raises(DataError, match=r"ACT_data\.mat: the index is missing"):
        Cvact(tmp_path).task("val", "g2s")


def test_pairs_that_lack_an_image_are_skipped_and_found(tmp_path: Path):
    dataset = Cvact(trees.cvact_tree(tmp_path))
    lost = [trees.cvact_image(tmp_path, "train", IDS[5], "satellite"), trees.cvact_image(tmp_path, "test", IDS[2], "ground")]
    for path in lost:
        path.unlink()
    task = dataset.task("train", "g2s")
    assert [view.place for view in task.query] == [view.place for view in task.gallery] == [IDS[0], IDS[3]]
    assert len(dataset.task("test", "g2s").query) == 3
    assert [tmp_path / finding.where for finding in findings(dataset)] == lost
    counts = [item for item in dataset.inspect() if isinstance(item, Count)]
    assert [(count.official, count.found) for count in counts] == [(35_532, 2), (8_884, 2), (92_802, 3)]


def test_a_whole_copy_has_no_findings(tmp_path: Path):
    assert findings(Cvact(trees.cvact_tree(tmp_path))) == []
    assert len(Cvact(tmp_path).images()) == 2 * (3 + 2 + 4)
    assert {view.place for view in Cvact(tmp_path).images()} == {IDS[row] for row in range(7)}


def test_a_part_that_is_not_there_is_one_finding_a_folder(tmp_path: Path):
    trees.cvact_index(tmp_path, IDS, (5, 0, 3), (6, 2), (6, 1, 2, 4))
    assert [finding.where for finding in findings(Cvact(tmp_path))] == [
        f"ANU_data_{part}/{kind}" for part in ("small", "test") for kind in ("streetview", "satview_polish")
    ]
    with pytest.raises(DataError, match="ANU_data_small: holds no pair of val"):
        Cvact(tmp_path).task("val", "g2s")


def test_strangers_in_the_test_set_and_overlaps_are_found(tmp_path: Path):
    trees.cvact_tree(tmp_path)
    trees.cvact_index(tmp_path, IDS, (5, 0, 3), (3, 2), (6, 1))
    trees.put_image(trees.cvact_image(tmp_path, "test", "alone", "ground"))  # no pair: it cannot enter
    found = findings(Cvact(tmp_path))
    assert [(finding.kind, finding.where) for finding in found] == [("split", INDEX), ("extra", "ANU_data_test")]
    assert "1 pairs are in train and in val" in found[0].what
    assert "2 pairs that the index does not name" in found[1].what


def test_the_field_is_taken_by_its_name_or_else_the_second(tmp_path: Path):
    trees.cvact_tree(tmp_path)
    swapped = {"trainInd": np.array([[6], [1]]), "trainNum": np.array([[4], [4]])}
    nameless = {"a": np.array([[1]]), "b": np.array([[7.0], [3.0]])}
    trees.cvact_index(tmp_path, IDS, (0,), (0,), (6, 1), trainSet=swapped, valSet=nameless)
    assert [view.place for view in Cvact(tmp_path).task("train", "g2s").query] == [IDS[5], IDS[0]]
    assert [view.place for view in Cvact(tmp_path).task("val", "g2s").query] == [IDS[6], IDS[2]]


def test_ids_in_cells_are_read_too(tmp_path: Path):
    trees.cvact_tree(tmp_path)
    trees.cvact_index(tmp_path, IDS, (5, 0, 3), (6, 2), (6, 1), panoIds=np.array(IDS, dtype=object))
    assert [view.place for view in Cvact(tmp_path).task("val", "g2s").query] == [IDS[6], IDS[2]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"panoIds": None}, "lacks panoIds or utm"),
        ({"utm": np.zeros((3, 2))}, "utm does not hold two numbers for each of 8 panoIds"),
        ({"trainSet": None}, "trainSet.trainInd does not hold row numbers"),
        ({"valSet": {"valNum": 1, "valInd": np.array([[0]])}}, "valSet.valInd does not hold row numbers"),
        ({"valSet": {"valNum": 1, "valInd": np.array([[9]])}}, "valSet.valInd does not hold row numbers"),
        ({"valSet": {"valNum": 1, "valInd": np.array([[1.5]])}}, "valSet.valInd does not hold row numbers"),
        ({"valSet": {"valNum": 1, "valInd": "text"}}, "valSet.valInd does not hold row numbers"),
        ({"valSet": np.arange(5)}, "valSet.valInd does not hold row numbers"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, more: dict[str, object], said: str):
    trees.cvact_tree(tmp_path)
    utm = more.pop("utm", None)
    trees.cvact_index(tmp_path, IDS, (5, 0, 3), (6, 2), (6, 1, 2, 4), utm, **more)
    with pytest.raises(DataError, match=f"{INDEX}: .*{said}"):
        Cvact(tmp_path).task("val", "g2s")
    assert any(said in finding.what for finding in findings(Cvact(tmp_path)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + b" " * 90 + b"\x00\x02IM\x89HDF\r\n\x1a\n", "MATLAB 7.3 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 600, "MATLAB 7.3 file"),
        (b"", "is no MATLAB file that can be read"),
        (b"half a download", "is no MATLAB file that can be read"),
    ],
)
def test_files_that_are_no_readable_index_are_refused(tmp_path: Path, content: bytes, said: str):
    (trees.cvact_tree(tmp_path) / INDEX).write_bytes(content)
    with pytest.raises(DataError, match=f"{INDEX}: .*{said}"):
        Cvact(tmp_path).task("val", "g2s")


def test_a_cut_off_index_is_refused(tmp_path: Path):
    path = trees.cvact_tree(tmp_path) / INDEX
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=INDEX):
        Cvact(tmp_path).task("val", "g2s")


def test_other_splits_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="cvact has no split 'valSetAll'"):
        Cvact(tmp_path).task("valSetAll", "g2s")
