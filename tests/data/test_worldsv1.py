"""worlds-v1 as a data set: parts, conditions, directions, and what is said of a damaged copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.lab_tree import write_lab

from crossfix.data.registry import card, open_dataset
from crossfix.data.worldsv1 import DRONE_CONDITIONS, HEIGHTS_M, TESTS, WorldsV1
from crossfix.errors import DataError, InputError


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> WorldsV1:
    return WorldsV1(write_lab(tmp_path_factory.mktemp("lab"), trained=2))


def test_it_is_a_data_set_by_name(lab: WorldsV1):
    assert isinstance(open_dataset("worlds-v1", lab.root), WorldsV1)
    assert "crossfix lab make" in card("worlds-v1")


@pytest.mark.parametrize("part", TESTS)
def test_a_part_has_all_heights_and_no_later_day(lab: WorldsV1, part: str):
    task = lab.task(part, "d2s")
    assert len(task.query) == 3 * len(HEIGHTS_M)
    assert len(task.gallery) == 4
    assert {view.path.parent.name for view in task.query} == {f"drone-{height}m" for height in HEIGHTS_M}
    for view, rows in zip(task.query, task.positives, strict=True):
        assert [task.gallery[row].place for row in rows] == [view.place]


@pytest.mark.parametrize("condition", DRONE_CONDITIONS)
def test_a_condition_has_one_query_a_place(lab: WorldsV1, condition: str):
    task = lab.task(f"far-{condition}", "d2s")
    assert [view.path.parent.name for view in task.query] == [f"drone-{condition}"] * 3


def test_satellite_queries_leave_distractors_out(lab: WorldsV1):
    for direction, shots in (("s2d", len(HEIGHTS_M)), ("s2g", 1)):
        task = lab.task("seen", direction)
        assert len(task.query) == 3
        assert all(len(rows) == shots for rows in task.positives)


def test_panoramas_are_ground_views(lab: WorldsV1):
    assert {view.kind for view in lab.task("near", "g2s").query} == {"ground"}


@pytest.mark.parametrize("split", ["train", "near-train", "middle-train", "far-train"])
def test_training_parts_are_tasks_too(lab: WorldsV1, split: str):
    task = lab.task(split, "d2s")
    assert len(task.query) == 2 * 4
    assert all(len(rows) == 1 for rows in task.positives)


def test_places_of_two_parts_have_different_names(lab: WorldsV1):
    places = [view.place for part in TESTS for view in lab.task(part, "g2s").query]
    assert len(set(places)) == len(places)


def test_every_split_is_read(lab: WorldsV1):
    assert all(lab.task(split, "d2s").query for split in lab.splits)


@pytest.mark.parametrize(("split", "direction"), [("moon", "d2s"), ("seen-90m", "d2s"), ("seen", "any")])
def test_what_there_is_not_is_refused(lab: WorldsV1, split: str, direction: str):
    with pytest.raises(InputError):
        lab.task(split, direction)  # type: ignore[arg-type]


def test_a_condition_of_the_ground_is_refused(lab: WorldsV1):
    with pytest.raises(DataError, match="no ground views"):
        lab.task("seen-80m", "g2s")


def test_a_missing_part_says_how_to_make_it(tmp_path: Path):
    lab = WorldsV1(write_lab(tmp_path))
    assert list(WorldsV1(write_lab(tmp_path / "b", trained=2)).inspect()) == []
    assert {finding.where for finding in lab.inspect()} == {"train", "near-train", "middle-train", "far-train"}
    with pytest.raises(DataError, match="crossfix lab make"):
        lab.task("train", "d2s")
