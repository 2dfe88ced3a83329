from __future__ import annotations

import os
from pathlib import Path

import pytest

from crossfix.data.places import Survey, check_asked, check_root, full_places, list_sorted, read_places, relative
from crossfix.data.university1652 import University1652
from crossfix.errors import DataError, InputError
from data.drone_trees import put


def test_places_and_their_images_in_natural_order(tmp_path: Path):
    put(tmp_path, "p10/a.jpg", "p2/b10.png", "p2/b9.JPG")
    (tmp_path / "p2/.b1.jpg").write_bytes(b"hidden")
    (tmp_path / "p2/notes.txt").write_text("no image")
    (tmp_path / "p2/inner.jpg").mkdir()
    (tmp_path / "p1").mkdir()
    (tmp_path / "list.csv").write_text("no place")
    (tmp_path / ".git").mkdir()
    places = read_places(tmp_path)
    assert {place: [path.name for path in paths] for place, paths in places.images.items()} == {
        "p1": [],
        "p2": ["b9.JPG", "b10.png"],
        "p10": ["a.jpg"],
    }
    assert list(places.images) == ["p1", "p2", "p10"]
    assert [path.name for path in places.extra] == ["list.csv", "inner.jpg", "notes.txt"]
    assert places.count == 3
    assert [view.place for view in places.views("drone", only=["p10", "p77"])] == ["p10"]


def test_linked_places_and_images_count(tmp_path: Path):
    put(tmp_path, "elsewhere/p1/a.jpg", "here/p2/b.jpg")
    (tmp_path / "here/p1").symlink_to(tmp_path / "elsewhere/p1", target_is_directory=True)
    (tmp_path / "here/p2/c.jpg").symlink_to(tmp_path / "elsewhere/p1/a.jpg")
    assert [view.path.name for view in full_places(tmp_path / "here").views("drone")] == ["a.jpg", "b.jpg", "c.jpg"]


def test_what_cannot_be_listed(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"file: cannot be read as a folder"):
        list_sorted(tmp_path / "file")
    with pytest.raises(DataError, match=r"none: is missing; unpack or download it again"):
        read_places(tmp_path / "none")
    with pytest.raises(DataError, match="holds no folder of a place"):
        full_places(tmp_path)


def test_a_survey_lists_a_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "query/a/1.jpg", "query/b/1.jpg", "query/b/2.jpg", "gallery/a/1.jpg")
    (tmp_path / "gallery/c").mkdir()
    listed: list[str] = []
    scandir = os.scandir

    def counting(folder: Path):
        listed.append(Path(folder).relative_to(tmp_path).as_posix())
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counting)
    survey = Survey(tmp_path)
    told = [*survey.faults("query"), *survey.faults("gallery"), *survey.faults("none")]
    told += survey.unpaired([("query", "gallery"), ("query", "gallery"), ("query", "none")])
    assert [(found.kind, found.where) for found in told] == [("missing", "gallery/c"), ("missing", "none"), ("missing", "gallery/b")]
    assert [survey.counts(folder) for folder in ("query", "gallery", "none")] == [(2, 3), (1, 1), (0, 0)]
    assert len(listed) == len(set(listed))


def test_a_root_is_told_by_any_of_its_marks(tmp_path: Path):
    (tmp_path / "train").mkdir()
    check_root(tmp_path, "Thing", ("train", "test"))
    with pytest.raises(DataError, match="is not the folder of Thing; give the folder that holds one and two"):
        check_root(tmp_path, "Thing", ("one", "two"))


def test_questions_are_checked_against_the_class(tmp_path: Path):
    check_asked(University1652(tmp_path), "test", "s2g")
    with pytest.raises(InputError, match="university1652 has no direction 'x2y'; choose d2s or s2d or g2s or s2g"):
        check_asked(University1652, "test", "x2y")


def test_findings_name_paths_below_the_root(tmp_path: Path):
    assert relative(tmp_path, tmp_path / "a/b.txt") == "a/b.txt"
    assert relative(tmp_path, f"{tmp_path}/a.txt line 3") == "a.txt line 3"
    assert relative(tmp_path, "elsewhere") == "elsewhere"
