from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crossfix.data.university1652 import University1652
from crossfix.errors import DataError, InputError
from data.drone_trees import counts, findings, names, put, university1652


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return university1652(tmp_path / "University-1652")


def test_a_whole_copy_has_no_findings(root: Path):
    assert findings(University1652(root)) == []


def test_drone_to_satellite_searches_among_the_distractors(root: Path):
    task = University1652(root).task("test", "d2s")
    assert names(task.query, root) == [f"test/query_drone/{place}/image-0{shot}.jpeg" for place in ("0001", "0009") for shot in (1, 2)]
    assert names(task.gallery, root) == [f"test/gallery_satellite/{place}/{place}.jpg" for place in ("0001", "0009", "0012")]
    assert [rows.tolist() for rows in task.positives] == [[0], [0], [1], [1]]
    assert {view.kind for view in task.query} == {"drone"}
    assert {view.kind for view in task.gallery} == {"satellite"}
    assert (task.dataset, task.split, task.direction, task.protocol, task.semi_positives) == (
        "university1652",
        "test",
        "d2s",
        "university1652",
        None,
    )


@pytest.mark.parametrize(
    ("split", "direction", "query", "gallery", "positives"),
    [
        ("train", "d2s", "train/drone", "train/satellite", [[0], [0], [0], [1], [1], [1]]),
        ("train", "s2d", "train/satellite", "train/drone", [[0, 1, 2], [3, 4, 5]]),
        ("train", "g2s", "train/street", "train/satellite", [[0], [0], [1], [1]]),
        ("train", "s2g", "train/satellite", "train/street", [[0, 1], [2, 3]]),
        ("test", "s2d", "test/query_satellite", "test/gallery_drone", [[0, 1], [2, 3]]),
        ("test", "g2s", "test/query_street", "test/gallery_satellite", [[0], [1]]),
        ("test", "s2g", "test/query_satellite", "test/gallery_street", [[0], [1]]),
    ],
)
def test_every_direction_of_both_splits(root: Path, split: str, direction: str, query: str, gallery: str, positives: list[list[int]]):
    task = University1652(root).task(split, direction)
    assert all(name.startswith(query + "/") for name in names(task.query, root))
    assert all(name.startswith(gallery + "/") for name in names(task.gallery, root))
    assert [rows.tolist() for rows in task.positives] == positives
    for view, rows in zip(task.query, task.positives, strict=True):
        assert rows.tolist() == [row for row, other in enumerate(task.gallery) if other.place == view.place]


def test_training_images_come_in_natural_order_without_the_google_ones(root: Path):
    task = University1652(root).task("train", "d2s")
    assert [view.path.name for view in task.query[:3]] == ["image-01.jpeg", "image-02.jpeg", "image-10.jpeg"]
    assert not [name for name in names(University1652(root).task("train", "g2s").query, root) if "google" in name]


def test_hidden_files_are_passed_over_and_foreign_ones_are_told_of(root: Path):
    (root / "test/query_drone/0001/.DS_Store").write_bytes(b"")
    (root / "test/query_drone/.cache").mkdir()
    (root / "test/query_drone/0001/Thumbs.db").write_bytes(b"")
    (root / "test/query_drone/list.txt").write_text("x")
    data = University1652(root)
    assert len(data.task("test", "d2s").query) == 4
    assert [(found.kind, found.where) for found in findings(data)] == [
        ("extra", "test/query_drone/0001/Thumbs.db"),
        ("extra", "test/query_drone/list.txt"),
    ]


def test_every_image_once(root: Path):
    listed = names(University1652(root).images(), root)
    there = {path.relative_to(root).as_posix() for path in root.rglob("*.jp*g")}
    assert len(listed) == len(set(listed)) == len(there)
    assert set(listed) == there
    assert listed == names(University1652(root).images(), root)


def test_counts_stand_beside_the_official_ones(root: Path):
    told = counts(University1652(root))
    assert told["images of train"] == (50_218, 6 + 2 + 4 + 1)
    assert told["images of test/query_drone"] == (37_855, 4)
    assert told["places of test/gallery_satellite"] == (951, 3)
    assert told["images of test/gallery_street"] == (2_921, 2)
    assert told["places of test/gallery_street"] == (793, 2)


def test_half_of_a_gallery(root: Path):
    shutil.rmtree(root / "test/gallery_satellite/0009")
    data = University1652(root)
    with pytest.raises(DataError, match=r"gallery_satellite/0009: is missing, though there are queries of this place; unpack or download"):
        data.task("test", "d2s")
    assert [(found.kind, found.where) for found in findings(data)] == [("missing", "test/gallery_satellite/0009")]


def test_an_empty_place_of_the_drone(root: Path):
    for path in (root / "test/query_drone/0001").iterdir():
        path.unlink()
    data = University1652(root)
    with pytest.raises(DataError, match="query_drone/0001: holds no image"):
        data.task("test", "d2s")
    assert [(found.kind, found.where) for found in findings(data)] == [("missing", "test/query_drone/0001")]
    assert len(data.task("test", "s2d").gallery) == 6


def test_a_missing_folder(root: Path):
    shutil.rmtree(root / "test/gallery_drone")
    data = University1652(root)
    with pytest.raises(DataError, match=r"test/gallery_drone: is missing"):
        data.task("test", "s2d")
    assert [(found.kind, found.where) for found in findings(data)] == [("missing", "test/gallery_drone")]


def test_a_place_of_the_query_without_street_views_has_nothing_to_find(root: Path):
    shutil.rmtree(root / "test/gallery_street/0001")
    task = University1652(root).task("test", "s2g")
    assert [rows.tolist() for rows in task.positives] == [[], [0]]


def test_no_street_views_at_all(root: Path):
    shutil.rmtree(root / "test/query_street")
    (root / "test/query_street/0001").mkdir(parents=True)
    with pytest.raises(DataError, match="query_street: holds no image"):
        University1652(root).task("test", "g2s")


@pytest.mark.parametrize("where", ["nowhere", "other"])
def test_a_wrong_root_is_told_what_a_right_one_holds(tmp_path: Path, where: str):
    put(tmp_path / "other", "images/a.jpg")
    data = University1652(tmp_path / where)
    with pytest.raises(DataError, match="holds train and test"):
        data.task("test", "d2s")
    assert [found.kind for found in findings(data)] == ["missing"]


@pytest.mark.parametrize(
    ("split", "direction", "said"), [("val", "d2s", "no split 'val'; choose train or test"), ("test", "any", "no direction")]
)
def test_what_it_does_not_have(root: Path, split: str, direction: str, said: str):
    with pytest.raises(InputError, match=said):
        University1652(root).task(split, direction)
