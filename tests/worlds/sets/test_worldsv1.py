"""The laboratory's writer: what it promises of its tree, and its truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfix.data.worldsv1 import HEIGHTS_M, OWN, PARTS, TESTS, TRAINED, WorldsV1
from crossfix.errors import DataError
from crossfix.geo.geodesy import distance_m
from crossfix.worlds.regions import REGIONS
from crossfix.worlds.sets.plan import write_set
from crossfix.worlds.sets.worldsv1 import TRAINING_REGIONS, UNSEEN_REGIONS, WorldsV1Writer, digest


class Corner(WorldsV1Writer):
    """Nine sites of one test part, eight with queries, and two of one training part."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, small=True)
        self.px, self.parts = 32, ("far", "far-train")

    def worlds(self, half: str) -> list[int]:
        return [9] if half == "far" else [2]


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> WorldsV1:
    return WorldsV1(write_set(Corner(tmp_path_factory.mktemp("lab")), workers=1))


def test_a_test_part_is_read_back(corner: WorldsV1):
    task = corner.task("far", "d2s")
    assert len(task.query) == 8 * len(HEIGHTS_M)
    assert len(task.gallery) == 9, "the ninth is a distractor"
    assert {view.height_m for view in task.query} == set(map(float, HEIGHTS_M))
    assert len(corner.task("far", "g2s").query) == len(corner.task("far-later", "d2s").query) == 8


def test_a_training_part_has_four_shots_of_drawn_heights(corner: WorldsV1):
    heights = [view.height_m for view in corner.task("far-train", "d2s").query]
    assert len(heights) == len(set(heights)) == 8
    assert all(HEIGHTS_M[0] <= height <= HEIGHTS_M[-1] for height in heights if height)


def test_headings_are_all_over_the_compass(corner: WorldsV1):
    quarters = {
        int(view.heading_deg // 90) for direction in ("d2s", "g2s") for view in corner.task("far", direction).query if view.heading_deg
    }
    assert quarters == {0, 1, 2, 3}


def test_cameras_look_at_their_place(corner: WorldsV1):
    task = corner.task("far-150m", "d2s")
    for view, rows in zip(task.query, task.positives, strict=True):
        place = task.gallery[rows[0]]
        back = 150 / np.tan(np.radians(-view.pitch_deg))
        heading = np.radians(view.heading_deg)
        metres = 111_200.0
        north = (view.lat - place.lat) * metres + back * np.cos(heading)
        east = (view.lon - place.lon) * metres * np.cos(np.radians(place.lat)) + back * np.sin(heading)
        assert np.hypot(north, east) < 8.0 + 0.01 * back + 1.0, "8 m off at most"


def test_the_later_day_shows_the_place_otherwise(corner: WorldsV1):
    now, later = (corner.task(f"far-{name}", "d2s").query[0].read().astype(float) for name in ("150m", "later"))
    assert np.abs(now - later).mean() > 5


def test_parts_lie_apart(tmp_path: Path):
    grounds = [WorldsV1Writer(tmp_path).ground(part) for part in PARTS]
    apart = [distance_m(a.lon, a.lat, b.lon, b.lat) for i, a in enumerate(grounds) for b in grounds[:i]]
    assert min(apart) > 100_000, "a place of one part can be no neighbour of another's"


def test_unseen_regions_are_in_no_training(tmp_path: Path):
    writer = WorldsV1Writer(tmp_path)
    assert not [name for name in TRAINING_REGIONS if REGIONS[name].unseen]
    assert all(REGIONS[name].unseen for name in UNSEEN_REGIONS.values())
    for part in (TRAINED, "seen"):
        assert writer.ground(part).regions == TRAINING_REGIONS
    for test, own in zip(TESTS[1:], OWN, strict=True):
        assert writer.ground(test).regions == writer.ground(own).regions == (UNSEEN_REGIONS[test],)


def test_full_and_small_hold_what_the_card_says(tmp_path: Path):
    for small, trained, places, distractors in ((False, 960, 240, 120), (True, 240, 96, 48)):
        writer = WorldsV1Writer(tmp_path, small=small)
        assert sum(writer.worlds("train")) == sum(writer.worlds("far-train")) == trained
        assert (sum(writer.worlds("far")) * 2 // 3, sum(writer.worlds("far")) // 3) == (places, distractors)


def test_its_digest_knows_every_byte(corner: WorldsV1, tmp_path: Path):
    first = digest(corner.root)
    assert first == digest(corner.root)
    path = corner.task("far", "g2s").query[0].path
    kept = path.read_bytes()
    path.write_bytes(kept + b"\0")
    assert digest(corner.root) != first
    path.write_bytes(kept)


def test_small_does_not_go_on_where_full_stopped(corner: WorldsV1):
    other = Corner(corner.root)
    other.small = False
    with pytest.raises(DataError, match="another plan"):
        write_set(other)


def test_what_a_killed_run_left_behind_is_no_part_of_the_digest(tmp_path: Path):
    for name in ("a.jpg", "images.csv"):
        (tmp_path / "seen").mkdir(exist_ok=True)
        (tmp_path / "seen" / name).write_bytes(name.encode())
    whole = digest(tmp_path)
    (tmp_path / "seen/.b.jpg.1234.jpg").write_bytes(b"half")
    assert digest(tmp_path) == whole
    (tmp_path / "seen/b.jpg").write_bytes(b"more")
    assert digest(tmp_path) != whole
