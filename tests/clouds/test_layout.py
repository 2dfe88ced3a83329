"""Folders of clouds, published and our own; which views make which cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfix.clouds.layout import cloud_folder, find_clouds, group_folder, training_split, view_groups
from crossfix.errors import DataError


@pytest.mark.parametrize(
    ("data", "split", "there", "folder"),
    [
        ("university1652", "train", "train", "train/drone_3D"),
        ("sues200", "train-300", "Training/300", "Training/300/drone300_colmap_output"),
        ("sues200", "train-150", "Training/150", "Training/150/drone150_colmap_output"),
        ("denseuav", "train", "train", "train/denseUAV_colmap_output"),
        # As downloaded SUES-200 has no folder Training, and making one would break it.
        ("sues200", "train-300", "drone_view_512", "clouds/train-300"),
        ("folder", "all", "query", "clouds/all"),
        ("university1652", "test", "train", "clouds/test"),
    ],
)
def test_clouds_lie_where_geolink_has_them(data: str, split: str, there: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / there).mkdir(parents=True)
    assert cloud_folder(tmp_path, data, split) == tmp_path / folder


def test_the_split_that_is_trained_on() -> None:
    assert training_split("sues200", ("train-150", "train-300")) == "train-300"
    assert training_split("university1652", ("train", "test")) == "train"
    assert training_split("folder", ("all",)) == "all"


def test_the_published_layout_is_found_as_it_is(tmp_path: Path) -> None:
    for name in ("0001_group0", "0001_group2", "0001_group10", "0839_group0", "a_group_b_group1", "readme"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "points3D.txt").write_text("")
    (tmp_path / "0002_group0").mkdir()
    found = find_clouds(tmp_path, ["0001", "0002", "0839", "0001"])
    assert [path.parent.name for path in found.files["0001"]] == ["0001_group0", "0001_group2", "0001_group10"]
    assert found.missing == ("0002",)
    assert set(find_clouds(tmp_path).files) == {"0001", "0839", "a_group_b"}
    assert group_folder(tmp_path, "0839", 0) / "points3D.txt" == found.files["0839"][0]
    with pytest.raises(DataError, match="crossfix clouds build"):
        find_clouds(tmp_path / "nowhere")


def names(parts: list[list[Path]]) -> list[list[int]]:
    return [[int(path.name) for path in part] for part in parts]


def test_groups_interleave_and_cover_all_views_once() -> None:
    parts = names(view_groups([Path(str(number)) for number in range(54)], 3))
    assert parts[1] == list(range(1, 54, 3))
    assert sorted(number for part in parts for number in part) == list(range(54))


def test_fewer_views_are_taken_at_even_distances() -> None:
    parts = names(view_groups([Path(str(number)) for number in range(54)], 3, 6))
    assert parts[0] == [0, 9, 18, 27, 36, 45]
    assert [len(part) for part in parts] == [6, 6, 6]


@pytest.mark.parametrize(
    ("count", "parts"), [(3, [[1, 2], [0, 2], [0, 1]]), (2, [[0, 1]] * 3), (1, [[0]] * 3), (6, [[0, 3], [1, 4], [2, 5]])]
)
def test_few_views_are_shared(count: int, parts: list[list[int]]) -> None:
    assert names(view_groups([Path(str(number)) for number in range(count)], 3)) == parts


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 7])
def test_no_group_has_a_single_view_where_there_are_two(groups: int, count: int) -> None:
    """A single view shows no depth."""
    parts = names(view_groups([Path(str(number)) for number in range(count)], groups))
    assert all(len(set(part)) == len(part) >= 2 for part in parts)
