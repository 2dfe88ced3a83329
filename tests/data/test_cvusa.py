from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfix.data.cvusa import LISTS, LOCATIONS, Cvusa
from crossfix.data.dataset import Count, Dataset, Finding
from crossfix.errors import DataError, InputError
from data import trees


def findings(dataset: Dataset) -> list[Finding]:
    return [item for item in dataset.inspect() if isinstance(item, Finding)]


def test_pairs_stand_in_the_order_of_the_list(tmp_path: Path):
    dataset: Dataset = Cvusa(trees.cvusa_tree(tmp_path))
    task = dataset.task("train", "g2s")
    assert (task.dataset, task.split, task.direction, task.protocol, task.semi_positives) == ("cvusa", "train", "g2s", "cvusa", None)
    assert [view.path.relative_to(tmp_path).as_posix() for view in task.query] == [f"streetview/panos/{n:07d}.jpg" for n in (4, 1, 12)]
    assert [view.path.relative_to(tmp_path).as_posix() for view in task.gallery] == [f"bingmap/19/{n:07d}.jpg" for n in (4, 1, 12)]
    assert [view.place for view in task.query] == [view.place for view in task.gallery] == ["4", "1", "12"]
    assert [rows.tolist() for rows in task.positives] == [[0], [1], [2]]
    assert {view.kind for view in task.query} == {"ground"}
    assert {view.kind for view in task.gallery} == {"satellite"}


def test_test_is_the_val_list_and_directions_swap(tmp_path: Path):
    dataset = Cvusa(trees.cvusa_tree(tmp_path))
    there, back = dataset.task("test", "g2s"), dataset.task("test", "s2g")
    assert [view.place for view in there.query] == ["7", "3"]
    assert (back.query, back.gallery) == (there.gallery, there.query)
    assert [rows.tolist() for rows in back.positives] == [[0], [1]]
    assert there.query[0].read().shape == (6, 24, 3)


def test_positions_are_the_line_of_the_pair_number(tmp_path: Path):
    task = Cvusa(trees.cvusa_tree(tmp_path)).task("train", "g2s")
    for ground, satellite in zip(task.query, task.gallery, strict=True):
        expected = trees.cvusa_latlon(int(ground.place))
        np.testing.assert_allclose((satellite.lat, satellite.lon, ground.lat, ground.lon), expected, atol=1e-12)


def test_positions_are_optional(tmp_path: Path):
    task = Cvusa(trees.cvusa_tree(tmp_path, locations=False)).task("train", "g2s")
    assert {(view.lon, view.lat) for view in (*task.query, *task.gallery)} == {(None, None)}


def test_a_whole_copy_has_no_findings_and_counts_its_pairs(tmp_path: Path):
    dataset = Cvusa(trees.cvusa_tree(tmp_path))
    assert list(dataset.inspect()) == [Count("pairs of train", 35_532, 3), Count("pairs of test", 8_884, 2)]


def test_every_missing_image_is_found_and_a_task_refuses(tmp_path: Path):
    dataset = Cvusa(trees.cvusa_tree(tmp_path))
    for name in ("streetview/panos/0000004.jpg", "bingmap/19/0000004.jpg", "bingmap/19/0000012.jpg"):
        (tmp_path / name).unlink()
    assert [finding.where for finding in findings(dataset)] == [
        "streetview/panos/0000004.jpg", "bingmap/19/0000004.jpg", "bingmap/19/0000012.jpg",
    ]  # fmt: skip
    assert Count("pairs of train", 35_532, 1) in list(dataset.inspect())
    with pytest.raises(DataError, match=r"panos/0000004\.jpg: the image is missing \(and 2 more findings.*unpack"):
        dataset.task("train", "g2s")
    dataset.task("test", "g2s")


def test_images_are_all_of_the_folders(tmp_path: Path):
    trees.cvusa_tree(tmp_path)
    extra = trees.put_image(tmp_path / "streetview/panos/0000099.jpg")
    views = Cvusa(tmp_path).images()
    assert len(views) == 11
    assert [view.place for view in views] == [*map(str, (1, 3, 4, 7, 12, 99)), *map(str, (1, 3, 4, 7, 12))]
    assert views[5].path == extra
    assert [view.kind for view in views] == ["ground"] * 6 + ["satellite"] * 5


@pytest.mark.parametrize(
    ("name", "text", "where", "said"),
    [
        (LISTS["train"], None, "splits/train-19zl.csv", "the list is missing"),
        (LISTS["train"], "", "splits/train-19zl.csv", "the list is empty"),
        (LISTS["train"], b"\xff\xfe\x00", "splits/train-19zl.csv", "cannot be read"),
        (LISTS["train"], "\nbingmap/19/0000001.jpg\n", "splits/train-19zl.csv line 2", "no numbered satellite image and panorama"),
        (LISTS["train"], "bingmap/19/a.jpg,streetview/panos/a.jpg\n", "splits/train-19zl.csv line 1", "no numbered satellite image"),
        (LOCATIONS, "1,2,3,4,5\n" * 11, "split_locations/all.csv line 12", "the list ends before pair 12"),
        (LOCATIONS, "1,2,3,4,5\n" * 3 + "95,181,3,4\n" + "1,2,3,4,5\n" * 8, "split_locations/all.csv line 4", "no two positions"),
        (LOCATIONS, "x,2,3,4,5\n" + "1,2,3,4,5\n" * 11, "split_locations/all.csv line 1", "no two positions"),
    ],
)
def test_damaged_lists_are_named_with_their_line(tmp_path: Path, name: str, text: str | bytes | None, where: str, said: str):
    dataset = Cvusa(trees.cvusa_tree(tmp_path))
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=f"{where}: .*{said}"):
        dataset.task("train", "g2s")
    assert [finding for finding in findings(dataset) if finding.where == where and said in finding.what]


def test_a_pair_in_both_lists_is_found(tmp_path: Path):
    found = findings(Cvusa(trees.cvusa_tree(tmp_path, train=(4, 1), test=(3, 4))))
    assert [(finding.kind, finding.where) for finding in found] == [("split", "splits/val-19zl.csv line 2")]
    assert "train-19zl.csv line 1" in found[0].what


def test_an_empty_folder_gives_a_finding_a_list(tmp_path: Path):
    assert [finding.where for finding in findings(Cvusa(tmp_path))] == list(LISTS.values())
    assert Cvusa(tmp_path).images() == []


def test_other_splits_and_directions_are_refused(tmp_path: Path):
    dataset = Cvusa(trees.cvusa_tree(tmp_path))
    with pytest.raises(InputError, match=r"cvusa has no split .val..*train"):
        dataset.task("val", "g2s")
    with pytest.raises(InputError, match=r"cvusa has no direction .d2s..*g2s"):
        dataset.task("test", "d2s")
