from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfix.data.dataset import Count, Dataset, Finding
from crossfix.data.vigor import CITIES, GSD_M, Vigor
from crossfix.errors import DataError, InputError
from crossfix.geo.geodesy import LocalFrame
from data import trees

SPLITS = {
    "train-same": (CITIES, "same_area_balanced_train"),
    "test-same": (CITIES, "same_area_balanced_test"),
    "train-cross": (("NewYork", "Seattle"), "pano_label_balanced"),
    "test-cross": (("Chicago", "SanFrancisco"), "pano_label_balanced"),
}


def findings(dataset: Dataset) -> list[Finding]:
    return [item for item in dataset.inspect() if isinstance(item, Finding)]


def fields(root: Path, split: str) -> list[list[str]]:
    cities, stem = SPLITS[split]
    return [line.split() for city in cities for line in (root / f"splits/{city}/{stem}.txt").read_text().splitlines()]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("rearranged", [False, True])
def test_right_and_half_right_tiles_are_the_labels(tmp_path: Path, split: str, rearranged: bool):
    dataset: Dataset = Vigor(trees.vigor_tree(tmp_path, rearranged=rearranged))
    task = dataset.task(split, "g2s")
    lines = fields(tmp_path, split)
    assert [view.path.name for view in task.query] == [line[0] for line in lines]
    names = [view.path.name for view in task.gallery]
    assert names == [name for city in SPLITS[split][0] for name in (tmp_path / f"splits/{city}/satellite_list.txt").read_text().split()]
    assert task.semi_positives is not None
    for query, line, right, near in zip(task.query, lines, task.positives, task.semi_positives, strict=True):
        assert [names[row] for row in right] == [line[1]]
        assert {names[row] for row in near} == {line[4], line[7], line[10]}
        assert near.tolist() == sorted(near)
        assert query.place == task.gallery[right[0]].place
        assert query.path.is_file()
        assert task.gallery[right[0]].path.is_file()
    assert task.protocol == "vigor"


def test_satellite_to_ground_turns_the_labels_round(tmp_path: Path):
    dataset = Vigor(trees.vigor_tree(tmp_path, panoramas=8))
    there, back = dataset.task("test-cross", "g2s"), dataset.task("test-cross", "s2g")
    assert back.gallery == there.query
    pairs = {(there.query[i].path, there.gallery[row].path) for i, rows in enumerate(there.positives) for row in rows}
    turned = {(back.gallery[row].path, back.query[i].path) for i, rows in enumerate(back.positives) for row in rows}
    assert turned == pairs
    assert all(len(rows) and rows.tolist() == sorted(rows) for rows in back.positives)
    assert any(len(rows) > 1 for rows in back.positives)
    assert there.semi_positives is not None
    assert back.semi_positives is not None
    asked = {view.path for view in back.query}
    half = {(there.query[i].path, there.gallery[row].path) for i, rows in enumerate(there.semi_positives) for row in rows}
    assert {(back.gallery[row].path, back.query[i].path) for i, rows in enumerate(back.semi_positives) for row in rows} == {
        (panorama, tile) for panorama, tile in half if tile in asked
    }


def test_positions_are_in_the_names(tmp_path: Path):
    task = Vigor(trees.vigor_tree(tmp_path)).task("train-cross", "g2s")
    tile = task.gallery[5]
    assert tile.path.name == f"satellite_{tile.lat!r}_{tile.lon!r}.png"
    assert (tile.lon, tile.lat) == tuple(at + step for at, step in zip(trees.CITY_AT["NewYork"], trees.TILE_STEP, strict=True))
    assert task.query[0].path.name.split(",")[1:3] == [f"{task.query[0].lat:.6f}", f"{task.query[0].lon:.6f}"]


def test_convention_a_label_says_where_the_camera_stands_on_its_tiles(tmp_path: Path):
    # x to the east, y to the south, pixel centres: 319.5 is the middle of a tile of 640.
    dataset = Vigor(trees.vigor_tree(tmp_path, corrected=True), corrected=True)
    task, labels = dataset.task("test-same", "g2s"), dataset.labels("test-same")
    tiles = {view.path.name: view for view in task.gallery}
    assert [label.panorama for label in labels] == [view.path.name for view in task.query]
    for label, query in zip(labels, task.query, strict=True):
        assert label.corrected
        for number, name in enumerate(label.tiles):
            tile = tiles[name]
            east_m, north_m = LocalFrame(tile.lon, tile.lat).to_local(query.lon, query.lat)
            expected = (319.5 + east_m / GSD_M[label.city], 319.5 - north_m / GSD_M[label.city])
            np.testing.assert_allclose(label.position_px(number), expected, atol=0.51)
        assert all(0 <= value < 640 for value in label.position_px())


def test_original_labels_are_off_where_the_ground_resolution_is_another(tmp_path: Path):
    trees.vigor_tree(tmp_path, corrected=True)
    original, corrected = (Vigor(tmp_path, wanted).labels("train-same") for wanted in (False, True))
    for one, other in zip(original, corrected, strict=True):
        assert one.tiles == other.tiles
        assert (one.corrected, other.corrected) == (False, True)
        ratio = GSD_M[one.city] / 0.114
        np.testing.assert_allclose(np.array(one.offsets_px), np.array(other.offsets_px) * ratio, atol=1.1)


def test_labels_are_the_published_ones_unless_there_are_only_corrected_ones(tmp_path: Path):
    trees.vigor_tree(tmp_path / "both", corrected=True)
    trees.vigor_tree(tmp_path / "one", corrected=True, original=False)
    assert not Vigor(tmp_path / "both").labels("test-same")[0].corrected
    assert Vigor(tmp_path / "one").labels("test-same")[0].corrected
    assert len(Vigor(tmp_path / "one").task("test-same", "g2s").gallery) == 64
    with pytest.raises(DataError, match=r"splits/Chicago/same_area_balanced_test\.txt: the list is missing"):
        Vigor(tmp_path / "one", corrected=False).labels("test-same")


def test_corrected_labels_that_are_not_there_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"splits__corrected/Chicago/same_area_balanced_test__corrected\.txt: the list is missing"):
        Vigor(trees.vigor_tree(tmp_path), corrected=True).task("test-same", "g2s")


def test_a_whole_copy_has_no_findings_and_counts_everything(tmp_path: Path):
    items = list(Vigor(trees.vigor_tree(tmp_path)).inspect())
    assert all(isinstance(item, Count) for item in items)
    found = {item.what: (item.official, item.found) for item in items if isinstance(item, Count)}
    assert found["labels of train-same (Chicago, NewYork, SanFrancisco, Seattle)"] == (52_609, 8)
    assert found["labels of test-cross (Chicago, SanFrancisco)"] == (53_694, 8)
    assert found["panoramas of Seattle"] == (23_751, 4)
    assert found["satellite tiles of NewYork"] == (23_279, 16)
    assert sum(count[0] for what, count in found.items() if what.startswith("satellite")) == 90_618
    assert sum(count[0] for what, count in found.items() if what.startswith("panoramas")) == 105_214


def test_images_are_all_of_the_cities_and_know_their_place(tmp_path: Path):
    dataset = Vigor(trees.vigor_tree(tmp_path))
    views = dataset.images()
    assert len({view.path for view in views}) == len(views) == 4 * (16 + 4)
    by_path = {view.path: view for view in views}
    task = dataset.task("test-same", "g2s")
    assert all(by_path[view.path] == view for view in (*task.query, *task.gallery))


def test_each_missing_image_is_found_once_and_a_task_refuses(tmp_path: Path):
    dataset = Vigor(trees.vigor_tree(tmp_path))
    view = dataset.task("test-cross", "g2s").query[0]
    view.path.unlink()
    assert [(finding.kind, tmp_path / finding.where) for finding in findings(dataset)] == [("missing", view.path)]
    with pytest.raises(DataError, match="the image is missing"):
        dataset.task("test-cross", "g2s")
    assert dataset.labels("test-cross")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (" satellite_", " ", "line 1: is no panorama with four tiles"),
        (".0 ", ".x ", "line 1: is no panorama with four tiles"),
        (".0 ", " nan ", "line 1: is no panorama with four tiles"),
        (",47.", ",97.", "line 1: is no panorama with four tiles"),
        (" satellite_", " satellite_9", "names tile satellite_9.*satellite_list.txt does not"),
    ],
)
def test_damaged_labels_are_named(tmp_path: Path, old: str, new: str, said: str):
    path = trees.vigor_tree(tmp_path) / "splits/Seattle/same_area_balanced_test.txt"
    change(path, old if new != " " else path.read_text().split()[1], new if new != " " else "")
    with pytest.raises(DataError, match=rf"splits/Seattle/same_area_balanced_test\.txt.*{said}"):
        Vigor(tmp_path).task("test-same", "g2s")
    assert len([finding for finding in findings(Vigor(tmp_path)) if finding.where.startswith("splits/Seattle/same")]) == 1


def test_a_tile_without_a_position_is_named(tmp_path: Path):
    change(trees.vigor_tree(tmp_path) / "splits/Seattle/satellite_list.txt", "satellite_47.6", "satellite_north")
    with pytest.raises(DataError, match=r"splits/Seattle/satellite_list\.txt line 1: is no name of a tile"):
        Vigor(tmp_path).task("test-same", "g2s")


def test_an_empty_folder_is_many_findings_and_no_images(tmp_path: Path):
    assert all(finding.kind == "missing" for finding in findings(Vigor(tmp_path)))
    assert Vigor(tmp_path).images() == []


def test_other_splits_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"vigor has no split .train..*train-same"):
        Vigor(tmp_path).labels("train")
