from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.dataset import Task
from crossfix.data.view import View
from crossfix.errors import DataError, InputError
from crossfix.train.config import SetData
from crossfix.train.dataset_source import DatasetSource
from crossfix.train.reading import Reader

GROUND = SetData("made", "train", "g2s", (8, 32), 16)


class Made:
    """Ten tiles in a row, two panoramas on each but the last, each between its own tile and the next: the next one is semi-positive."""

    name = "made"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tiles = [self._view(f"tile{n}.png", f"t{n}", "satellite", n, lon=8 + n / 1000) for n in range(10)]
        self.panoramas = [self._view(f"pano{n}.png", f"t{n // 2}", "ground", 100 + n, lon=8 + n / 2000) for n in range(18)]

    def _view(self, name: str, place: str, kind: str, level: int, lon: float) -> View:
        self.root.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 32, 3), level, np.uint8)).save(self.root / name)
        return View(self.root / name, place, kind, lon, 46.0)  # type: ignore[arg-type]

    def task(self, split: str, direction: str) -> Task:
        right = [np.array([n // 2]) for n in range(18)]
        near = [np.array([n // 2 + 1]) for n in range(18)]
        return Task("made", split, direction, self.panoramas, self.tiles, right, near, None)  # type: ignore[arg-type]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "made")


def source(made: Made, data: SetData = GROUND, held_out: int = 2, seed: int = 0) -> DatasetSource:
    return DatasetSource(made, data, held_out, seed, Reader(1))  # type: ignore[arg-type]


def test_every_query_is_a_pair_with_its_own_satellite_picture(made: Made):
    pairs = source(made)
    assert len(pairs.place_N) == 14
    assert pairs.about == "14 pairs of made train"
    batch = pairs.read(np.arange(14), 0)
    assert batch.query_BHWC.shape == (14, 8, 32, 3)
    assert batch.satellite_BHWC.shape == (14, 16, 16, 3)
    panorama, tile = batch.query_BHWC[:, 0, 0, 0].astype(int) - 100, batch.satellite_BHWC[:, 0, 0, 0].astype(int)
    np.testing.assert_array_equal(panorama // 2, tile)
    np.testing.assert_array_equal(batch.place_J, pairs.place_N)
    assert batch.ids[0] == f"pano{panorama[0]}.png with tile{tile[0]}.png"


def test_panoramas_are_turned_until_they_show_north_in_the_middle(made: Made):
    """Their satellite pictures have north up, whatever bearing the camera's panorama has in its middle."""
    bearing_of_column = np.arange(32) / 32 * 360 - 180  # of a panorama that looks north
    facing = np.repeat(np.round(bearing_of_column)[None, :, None] // 2 + 90, 8, axis=0).repeat(3, axis=2).astype(np.uint8)
    for number, view in enumerate(made.panoramas):
        heading = 45.0 * number
        Image.fromarray(np.roll(facing, -round(heading / 360 * 32), axis=1)).save(view.path)
        made.panoramas[number] = dataclasses.replace(view, heading_deg=heading)
    pairs = source(made)
    trained, mined = pairs.read(np.arange(14), 0).query_BHWC, pairs.pictures("query", np.arange(14))
    for picture in (*trained, *mined, *pairs.validation.read("query", np.arange(4))):
        np.testing.assert_array_equal(picture, facing)
    drones = source(made, dataclasses.replace(GROUND, direction="d2s")).read(np.arange(14), 0).query_BHWC
    assert len({picture.tobytes() for picture in drones}) == 8, "drone pictures stay as they are"


def test_a_part_has_the_pictures_that_the_whole_has(made: Made):
    pairs = source(made, dataclasses.replace(GROUND, draw="place"))
    whole, part = pairs.read(np.arange(6), 5), pairs.read(np.arange(6), 5, (2, 3))
    np.testing.assert_array_equal(part.query_BHWC, whole.query_BHWC[2:5])
    np.testing.assert_array_equal(part.satellite_BHWC, whole.satellite_BHWC[2:5])
    assert (part.ids, part.first, len(part.place_J)) == (whole.ids, 2, 6)


def test_held_out_places_are_none_of_the_training_and_the_same_for_every_seed(made: Made):
    pairs, other = source(made), source(made, seed=1)
    held = pairs.validation
    assert held.own_QG.shape == (4, 2), "both panoramas of two places among their tiles"
    assert held.places == 2
    tiles = {int(picture[0, 0, 0]) for picture in held.read("satellite", np.arange(2))}
    assert not tiles & set(pairs.read(np.arange(14), 0).satellite_BHWC[:, 0, 0, 0].tolist())
    queries = held.read("query", np.arange(4))[:, 0, 0, 0].astype(int) - 100
    for query, own in zip(queries, held.own_QG, strict=True):
        assert held.read("satellite", np.flatnonzero(own))[0, 0, 0, 0] == query // 2
    np.testing.assert_array_equal(other.validation.read("query", np.arange(4)), held.read("query", np.arange(4)))


def test_a_place_draws_one_of_its_queries_anew_each_time(made: Made):
    pairs = source(made, dataclasses.replace(GROUND, draw="place"))
    assert len(pairs.place_N) == len(set(pairs.place_N.tolist())) == 7
    shown = np.stack([pairs.read(np.arange(7), number).query_BHWC[:, 0, 0, 0] for number in range(20)])
    assert all(len(set(column.tolist())) == 2 for column in shown.T)
    again = source(made, dataclasses.replace(GROUND, draw="place"))
    np.testing.assert_array_equal(again.read(np.arange(7), 13).query_BHWC[:, 0, 0, 0], shown[13])
    np.testing.assert_array_equal(pairs.pictures("query", np.arange(7)), again.pictures("query", np.arange(7)))


def test_semi_positives_are_neutral_or_kept_apart_or_negatives(made: Made):
    pairs = source(made)
    batch = pairs.read(np.arange(14), 0)
    panorama, tile = batch.query_BHWC[:, 0, 0, 0].astype(int) - 100, batch.satellite_BHWC[:, 0, 0, 0].astype(int)
    assert batch.neutral_JJ is not None
    np.testing.assert_array_equal(batch.neutral_JJ, panorama[:, None] // 2 + 1 == tile[None])
    assert source(made, dataclasses.replace(GROUND, semi_positives="negatives")).read(np.arange(14), 0).neutral_JJ is None
    assert pairs.apart_NS is not None
    of_place = {int(place): int(number) for place, number in zip(tile, pairs.place_N, strict=True)}
    for row in range(14):
        wanted = {of_place[t] for t in (tile[row] + 1,) if t in of_place}
        assert wanted <= set(pairs.apart_NS[row].tolist())


def test_positions_are_metres_apart(made: Made):
    position_N3 = source(made).position_N3
    assert position_N3 is not None
    steps = np.linalg.norm(position_N3[:, None] - position_N3[None], axis=2)
    assert steps[steps > 0].min() == pytest.approx(0.0005 * 111_320 * np.cos(np.radians(46)), rel=0.01)
    made.panoramas[3] = dataclasses.replace(made.panoramas[3], lon=None)
    assert source(made, held_out=1).position_N3 is not None, "where the query's is unknown, the tile's"
    for views in (made.tiles, made.panoramas):
        views[:] = [dataclasses.replace(view, lon=None) for view in views]
    assert source(made).position_N3 is None


def test_the_fingerprint_knows_the_files_and_not_where_they_are(made: Made, tmp_path: Path):
    first = source(made).fingerprint
    assert source(Made(tmp_path / "elsewhere")).fingerprint == first
    made.panoramas.append(dataclasses.replace(made.panoramas[0], path=made.root / "more.png"))
    right = made.task("train", "g2s").positives
    task = dataclasses.replace(made.task("train", "g2s"), positives=[*right, right[0]], semi_positives=None)
    made.task = lambda split, direction: task  # type: ignore[method-assign, assignment]
    assert source(made).fingerprint != first


def test_too_few_places(made: Made):
    with pytest.raises(DataError, match="9 places are to be held out of 9"):
        source(made, held_out=9)
    with pytest.raises(InputError, match="direction is s2g"):
        SetData("made", "train", "s2g", (8, 32), 16)
