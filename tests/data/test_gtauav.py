from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfix.data.gtauav import GtaUav
from crossfix.data.gtauav_pairs import tile_centre, tile_side_m, to_xy_m
from crossfix.errors import DataError, InputError
from data.drone_trees import counts, findings, gtauav, gtauav_entry, names, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return gtauav(tmp_path / "GTA-UAV")


def rewrite(root: Path, change: Callable[[list[dict]], object], split: str = "cross-area-drone2sate-test") -> None:
    path = root / f"{split}.json"
    entries = json.loads(path.read_text())
    change(entries)
    path.write_text(json.dumps(entries))


def lists(rows) -> list[list[int]]:
    return [row.tolist() for row in rows]


def test_a_whole_copy_has_no_findings(root: Path):
    assert findings(GtaUav(root)) == []


def test_the_test_searches_all_tiles_with_the_drone_images_that_have_a_positive_one(root: Path):
    task = GtaUav(root).task("cross-area-test", "d2s")
    assert [view.path.name for view in task.query] == ["200_0001_0000000005.png", "200_0001_0000000011.png"]
    assert [view.path.name for view in task.gallery] == [
        "4_0_6_13.png",
        "5_0_2_3.png",
        "5_0_12_27.png",
        "5_0_13_27.png",
        "5_128_2_3.png",
    ]
    assert lists(task.positives) == [[0, 2], [3]]
    assert lists(task.semi_positives) == [[3], []]
    assert task.protocol == "gtauav"


def test_training_has_semi_positive_pairs_too_and_only_tiles_that_are_named(root: Path):
    task = GtaUav(root).task("cross-area-train", "d2s")
    assert [view.path.name for view in task.query] == ["200_0001_0000000002.png", "200_0001_0000000010.png"]
    assert [view.path.name for view in task.gallery] == ["4_0_6_13.png", "5_0_12_27.png", "5_0_13_27.png"]
    assert lists(task.positives) == [[], [0]]
    assert lists(task.semi_positives) == [[1], [1, 2]]


@pytest.mark.parametrize("split", GtaUav.splits)
def test_from_satellite_to_drone_the_pairs_are_turned_round(root: Path, split: str):
    there, back = GtaUav(root).task(split, "d2s"), GtaUav(root).task(split, "s2d")
    for which in ("positives", "semi_positives"):
        one = {(v.path, there.gallery[row].path) for v, rows in zip(there.query, getattr(there, which), strict=True) for row in rows}
        other = {(back.gallery[row].path, v.path) for v, rows in zip(back.query, getattr(back, which), strict=True) for row in rows}
        # A tile that is semi-positive alone is no query of the test.
        assert one == other or (split.endswith("test") and which == "semi_positives" and other <= one)
    assert back.gallery == there.query
    if split.endswith("test"):
        assert all(len(rows) for rows in back.positives)


def test_views_know_position_height_and_heading(root: Path):
    task = GtaUav(root).task("cross-area-test", "d2s")
    view = task.query[0]
    assert view.xy_m == (4505.0, -9300.0)
    assert (view.height_m, view.pitch_deg, view.heading_deg, view.lon) == (201.5, -88.0, 275.0, None)
    assert task.gallery[0].xy_m == (4492.8, -9331.2)
    assert task.gallery[4].xy_m == pytest.approx((3 * 345.6, -4 * 345.6))


def test_what_an_entry_does_not_say_is_none(root: Path):
    rewrite(root, lambda entries: entries[0].pop("drone_metadata"))
    view = GtaUav(root).task("cross-area-test", "d2s").query[0]
    assert (view.height_m, view.pitch_deg, view.heading_deg) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "centre"),
    [
        # As the authors' published lists have them.
        ("5_10_20.png", (3628.8, 7084.8)),
        ("4_5_10.png", (3801.6, 7257.6)),
        ("6_20_41.png", (3542.4, 7171.2)),
        ("4_0_6_13.png", (4492.8, 9331.2)),
        ("5_0_13_27.png", (4665.6, 9504.0)),
    ],
)
def test_tile_names_say_where_they_are(name: str, centre: tuple[float, float]):
    assert tile_centre(name) == pytest.approx(centre)


def test_tile_names_of_another_kind_say_nothing(root: Path):
    assert tile_centre("map.png") is None
    assert tile_centre("4_1.png") is None
    put(root / "satellite", "map.png")
    assert GtaUav(root).task("cross-area-test", "d2s").gallery[-1].xy_m is None


def test_tiles_of_a_zoom_cover_the_map_without_gap():
    for zoom in (4, 5, 6, 7):
        corner, other = tile_centre(f"{zoom}_0_0_0.png"), tile_centre(f"{zoom}_0_{2**zoom - 1}_{2**zoom - 1}.png")
        assert corner == pytest.approx((tile_side_m(zoom) / 2,) * 2)
        assert other == pytest.approx((24576 * 0.45 - tile_side_m(zoom) / 2,) * 2)
    assert to_xy_m(to_xy_m((1.0, 2.0))) == (1.0, 2.0)


def test_a_list_that_puts_a_tile_elsewhere_holds_and_is_told_of(root: Path):
    def move(entries: list[dict]) -> None:
        entries[2]["pair_pos_sate_loc_x_y_list"][0] = [4665.6, 9510.0]
        entries[2]["pair_pos_semipos_sate_loc_x_y_list"][0] = [4665.6, 9510.0]

    rewrite(root, move)
    data = GtaUav(root)
    assert data.task("cross-area-test", "d2s").gallery[3].xy_m == (4665.6, -9510.0)
    assert [(found.kind, found.where) for found in findings(data)] == [("split", "cross-area-drone2sate-test.json entry 3")]


def test_files_that_are_named_but_not_there(root: Path):
    (root / "drone/images/200_0001_0000000004.png").unlink()
    (root / "satellite/5_0_12_27.png").unlink()
    data = GtaUav(root)
    with pytest.raises(DataError, match=r"cross-area-drone2sate-test\.json entry 1: names satellite/5_0_12_27\.png, which is not there"):
        data.task("cross-area-test", "d2s")
    told = [(found.kind, found.where, found.what) for found in findings(data)]
    assert ("split", "cross-area-drone2sate-test.json entry 2", "names drone/images/200_0001_0000000004.png, which is not there") in told
    assert len(told) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entries: entries[1].pop("drone_img_name"), "entry 2: has no 'drone_img_name'"),
        (lambda entries: entries[1].update(drone_loc_x_y=[1.0]), "entry 2: makes no sense"),
        (lambda entries: entries[1].update(drone_loc_x_y=["a", 2]), "entry 2: makes no sense .'a' is no number"),
        (lambda entries: entries[0]["pair_pos_sate_loc_x_y_list"].pop(), "entry 1: makes no sense"),
        (lambda entries: entries[0].update(pair_pos_sate_img_list=[7, 8]), "entry 1: makes no sense .7 is no file name"),
        (lambda entries: entries[0].update(drone_metadata=[1]), "entry 1: makes no sense"),
        (lambda entries: entries.append("text"), "entry 4: makes no sense"),
        (lambda entries: entries[0].update(drone_metadata={"height": math.nan}), "entry 1: makes no sense .nan is no number"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(root: Path, change: Callable[[list[dict]], object], said: str):
    rewrite(root, change)
    data = GtaUav(root)
    with pytest.raises(DataError, match=rf"cross-area-drone2sate-test\.json {said}"):
        data.task("cross-area-test", "d2s")
    assert [found.where for found in findings(data)] == [f"cross-area-drone2sate-test.json {said.split(':')[0]}"]


def test_lists_that_are_none(root: Path):
    path = root / "same-area-drone2sate-test.json"
    path.write_text('[\n{"drone_img_name": }]')
    with pytest.raises(DataError, match=r"same-area-drone2sate-test\.json line 2: is no JSON"):
        GtaUav(root).task("same-area-test", "d2s")
    path.write_text("{}")
    with pytest.raises(DataError, match="is no list of pairs"):
        GtaUav(root).task("same-area-test", "d2s")
    path.write_text("[]")
    with pytest.raises(DataError, match="pairs no drone image with a tile"):
        GtaUav(root).task("same-area-test", "d2s")
    path.unlink()
    with pytest.raises(DataError, match=r"same-area-drone2sate-test\.json: is missing"):
        GtaUav(root).task("same-area-test", "d2s")
    assert [found.where for found in findings(GtaUav(root))] == ["same-area-drone2sate-test.json"]
    assert len(GtaUav(root).task("cross-area-test", "d2s").query) == 2


def test_a_drone_image_listed_twice(root: Path):
    rewrite(root, lambda entries: entries.append(gtauav_entry(5, {}, {})))
    assert [(f.where, f.what) for f in findings(GtaUav(root))] == [
        ("cross-area-drone2sate-test.json entry 4", "has the drone image of entry 1")
    ]


def test_a_missing_folder(root: Path):
    (root / "satellite").rename(root / "tiles")
    with pytest.raises(DataError, match=r"satellite: is missing"):
        GtaUav(root).task("cross-area-test", "d2s")
    assert [found.where for found in findings(GtaUav(root))] == ["satellite"]


def test_counts_and_images(root: Path):
    (root / "drone/images/.hidden.png").write_bytes(b"")
    (root / "drone/images/notes.txt").write_text("x")
    data = GtaUav(root)
    assert counts(data) == {"images of drone/images": (33_763, 6), "images of satellite": (14_640, 5)}
    assert [(found.kind, found.where) for found in findings(data)] == [("extra", "drone/images/notes.txt")]
    listed = names(data.images(), root)
    assert len(listed) == len(set(listed)) == 11
    assert listed[-1] == "satellite/5_128_2_3.png"


def test_wrong_questions(root: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no split 'test'; choose cross-area-train or"):
        GtaUav(root).task("test", "d2s")
    with pytest.raises(DataError, match="is not the folder of GTA-UAV; give the folder that holds"):
        GtaUav(tmp_path).task("cross-area-test", "d2s")
    assert [found.kind for found in findings(GtaUav(tmp_path / "nowhere"))] == ["missing"]
