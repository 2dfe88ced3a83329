from __future__ import annotations

from pathlib import Path

import pytest

from crossfix.data.dataset import Finding
from crossfix.data.disk import list_images, look_up, read_lines, refuse
from crossfix.data.view import View
from crossfix.errors import DataError
from data import trees


def test_lines_keep_their_numbers_and_blank_ones_go(tmp_path: Path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbffirst\r\n\r\n  third \n")
    assert read_lines(tmp_path, "list.txt") == ([(1, "first"), (3, "third")], [])


def test_a_list_that_cannot_be_read_is_a_finding(tmp_path: Path):
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "empty.txt").write_text("\n\n")
    for name, kind in (("missing.txt", "missing"), ("folder.txt", "split"), ("empty.txt", "split")):
        lines, found = read_lines(tmp_path, name)
        assert lines == []
        assert [(finding.kind, finding.where) for finding in found] == [(kind, name)]


def test_images_are_sorted_and_others_left_out(tmp_path: Path):
    for name in ("b.jpg", "a.png", "c.txt", ".d.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.jpg"]
    assert list_images(tmp_path / "nowhere") == []


def test_missing_files_are_found_one_by_one_and_missing_folders_once(tmp_path: Path):
    here = View(trees.put_image(tmp_path / "a/1.png"), "1")
    lost = View(tmp_path / "a/2.png", "2")
    away = [View(tmp_path / f"b/{number}.png", "3") for number in range(3)]
    there, found = look_up(tmp_path, [here, lost, *away])
    assert there == [True, False, False, False, False]
    assert [(finding.kind, finding.where) for finding in found] == [("missing", "a/2.png"), ("missing", "b")]


def test_the_first_finding_is_raised(tmp_path: Path):
    refuse(tmp_path, [])
    findings = [Finding("split", "list.txt line 2", "says nothing", "say something"), Finding("missing", "b", "is missing")]
    with pytest.raises(DataError, match=r"list\.txt line 2: says nothing; say something$"):
        refuse(tmp_path, findings[:1])
    with pytest.raises(DataError, match=r"says nothing \(and 1 more findings; check the data set to see them all\); say something$"):
        refuse(tmp_path, findings)
