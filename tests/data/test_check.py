from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from crossfix.data import check as module
from crossfix.data.check import check
from crossfix.data.cvusa import Cvusa
from crossfix.data.dataset import Count, Dataset, Direction, Finding, Task
from crossfix.data.view import View
from crossfix.errors import DataError
from data import trees


class Few:
    """A data set of a few images whose published number is two."""

    name: ClassVar[str] = "few"
    splits: ClassVar[tuple[str, ...]] = ("all",)
    directions: ClassVar[tuple[Direction, ...]] = ("g2s",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, split: str, direction: Direction) -> Task:
        raise NotImplementedError

    def inspect(self) -> Iterator[Finding | Count]:
        yield Count("images", 2, len(list(self.root.iterdir())))
        if (self.root / "broken").exists():
            raise DataError("cannot go on", where=self.root / "broken", mend="delete it")

    def images(self) -> list[View]:
        return [View(path, path.stem.split("-")[0]) for path in sorted(self.root.glob("*.*"))]


def test_a_whole_copy_is_ok(tmp_path: Path):
    for name in ("a.png", "b.jpg"):
        trees.put_image(tmp_path / name)
    dataset: Dataset = Few(tmp_path)
    report = check(dataset)
    assert report.ok
    assert (report.findings, report.counts, report.images, report.decoded) == ((), (Count("images", 2, 2),), 2, True)


def test_another_number_than_the_published_one_is_not_ok(tmp_path: Path):
    trees.put_image(tmp_path / "a.png")
    report = check(Few(tmp_path))
    assert report.findings == ()
    assert not report.ok


def test_every_unreadable_image_is_found_in_order(tmp_path: Path):
    trees.cvusa_tree(tmp_path)
    whole = (tmp_path / "streetview/panos/0000001.jpg").read_bytes()
    (tmp_path / "streetview/panos/0000012.jpg").write_bytes(whole[:-30])
    (tmp_path / "streetview/panos/0000003.jpg").write_bytes(whole[:-60] + bytes(60))  # full size, the end zeros
    (tmp_path / "bingmap/19/0000004.jpg").write_bytes(b"")
    (tmp_path / "bingmap/19/0000007.jpg").write_bytes(b"<html>not found</html>")
    report = check(Cvusa(tmp_path))
    assert [(finding.kind, finding.where) for finding in report.findings] == [
        ("unreadable", "streetview/panos/0000003.jpg"),
        ("unreadable", "streetview/panos/0000012.jpg"),
        ("unreadable", "bingmap/19/0000004.jpg"),
        ("unreadable", "bingmap/19/0000007.jpg"),
    ]
    assert all(finding.what and finding.mend for finding in report.findings)
    assert all("truncated" in finding.what for finding in report.findings[:2])
    assert "0 bytes" in report.findings[2].what


def test_same_bytes_count_only_across_places(tmp_path: Path):
    trees.put_image(tmp_path / "a-1.png")
    for copy in ("a-2.png", "b-1.png", "c-1.png"):
        shutil.copy(tmp_path / "a-1.png", tmp_path / copy)
    trees.put_image(tmp_path / "d-1.png")
    for empty in ("e-1.png", "f-1.png"):
        (tmp_path / empty).write_bytes(b"")
    found = [finding for finding in check(Few(tmp_path)).findings if finding.kind == "duplicate"]
    assert [finding.where for finding in found] == ["b-1.png", "c-1.png"]
    assert all("a-1.png" in finding.what for finding in found)


def test_findings_of_the_layout_come_first_and_nothing_hides_another(tmp_path: Path):
    trees.cvusa_tree(tmp_path)
    (tmp_path / "bingmap/19/0000012.jpg").unlink()
    (tmp_path / "splits/val-19zl.csv").unlink()
    shutil.copy(tmp_path / "bingmap/19/0000001.jpg", tmp_path / "bingmap/19/0000004.jpg")
    (tmp_path / "bingmap/19/0000003.jpg").write_bytes(b"x")
    report = check(Cvusa(tmp_path))
    assert [(finding.kind, finding.where) for finding in report.findings] == [
        ("missing", "bingmap/19/0000012.jpg"),
        ("missing", "splits/val-19zl.csv"),
        ("unreadable", "bingmap/19/0000003.jpg"),
        ("duplicate", "bingmap/19/0000004.jpg"),
    ]
    assert [(count.official, count.found) for count in report.counts] == [(35_532, 2), (8_884, 0)]
    assert check(Cvusa(tmp_path)) == report


def test_an_inspection_that_fails_is_a_finding(tmp_path: Path):
    (tmp_path / "broken").mkdir()
    trees.put_image(tmp_path / "a.png")
    report = check(Few(tmp_path))
    assert report.findings == (Finding("split", "broken", "cannot go on", "delete it"),)
    assert (len(report.counts), report.images, report.ok) == (1, 1, False)


def test_without_decoding_no_image_is_read(tmp_path: Path):
    trees.cvusa_tree(tmp_path)
    (tmp_path / "bingmap/19/0000004.jpg").write_bytes(b"")
    seen: list[tuple[int, int]] = []
    report = check(Cvusa(tmp_path), decode=False, progress=lambda done, total: seen.append((done, total)))
    assert (report.findings, report.images, report.decoded, seen) == ((), 0, False, [])


def test_progress_counts_every_image_over_batches(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    trees.cvusa_tree(tmp_path)
    seen: list[tuple[int, int]] = []
    assert check(Cvusa(tmp_path), progress=lambda done, total: seen.append((done, total))).images == 10
    assert seen == [(done, 10) for done in range(1, 11)]


def test_the_report_is_json(tmp_path: Path):
    trees.cvusa_tree(tmp_path)
    (tmp_path / "bingmap/19/0000004.jpg").write_bytes(b"")
    value = json.loads(json.dumps(check(Cvusa(tmp_path)).to_dict()))
    assert (value["dataset"], value["root"], value["ok"], value["images"], value["decoded"]) == ("cvusa", str(tmp_path), False, 10, True)
    assert value["counts"][0] == {"what": "pairs of train", "official": 35_532, "found": 3}
    assert value["findings"][0].keys() == {"kind", "where", "what", "mend"}
