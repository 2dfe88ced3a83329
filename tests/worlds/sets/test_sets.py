"""What worlds write, the data sets' own readers read back: layout, lists, positives, positions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.check import check
from crossfix.data.dataset import Count
from crossfix.data.gtauav_pairs import tile_side_m
from crossfix.data.registry import open_dataset
from crossfix.data.uavvisloc import UavVisLoc
from crossfix.data.vigor import SATELLITE_PX, Vigor
from crossfix.errors import DataError, InputError
from crossfix.geo.camera import Camera
from crossfix.geo.geodesy import LocalFrame, distance_m
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.sets.plan import SetPlan, write_set
from crossfix.worlds.sets.registry import WRITERS, writer
from crossfix.worlds.sites import MAP, Studio

PLAN = SetPlan(places=4, seed=3, regions=("farmland",), scale=0.06)
PLACES = {"university1652": 2, "sues200": 2}  # 54 and 200 drone views a place
SPLITS = {
    "cvusa": ("train", "test"),
    "cvact": ("train", "val", "test"),
    "vigor": ("train-same", "test-same", "train-cross", "test-cross"),
    "university1652": ("train", "test"),
    "sues200": ("train-150", "test-150", "test-300"),
    "denseuav": ("train", "test"),
    "gtauav": ("cross-area-train", "cross-area-test", "same-area-train", "same-area-test"),
    "uavvisloc": ("all", "01", "06"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set, once."""
    root = tmp_path_factory.mktemp("sets")
    for name in WRITERS:
        write_set(writer(name, root / name, replace(PLAN, places=PLACES.get(name, PLAN.places))), workers=1)
    UavVisLoc(root / "uavvisloc").cut_chips(side_px=64)  # the set has maps and no tiles
    return root


@pytest.mark.parametrize("name", WRITERS)
def test_every_split_and_direction_is_read(written: Path, name: str):
    dataset = open_dataset(name, written / name)
    for split in SPLITS[name]:
        for direction in dataset.directions:
            task = dataset.task(split, direction)
            assert len(task.query) >= (2 if "cross" in split else PLACES.get(name, PLAN.places))
            pairs = list(task.positives)
            if name == "gtauav" and split.endswith("train"):  # learns from semi-positive pairs too
                pairs = [np.union1d(*both) for both in zip(task.positives, task.semi_positives or (), strict=True)]
            assert all(len(rows) for rows in pairs)
            assert task.query[0].read().ndim == 3


@pytest.mark.parametrize("name", WRITERS)
def test_a_check_finds_nothing_but_small_numbers(written: Path, name: str):
    report = check(open_dataset(name, written / name))
    expected = "is missing" if name == "sues200" else None  # all but four of its places
    assert [finding for finding in report.findings if finding.what != expected] == []
    assert report.images > 0
    assert any(isinstance(count, Count) and count.found < count.official for count in report.counts)


def test_galleries_of_the_test_hold_distractors(written: Path):
    task = open_dataset("university1652", written / "university1652").task("test", "d2s")
    assert (len({view.place for view in task.query}), len({view.place for view in task.gallery})) == (2, 3)
    task = open_dataset("sues200", written / "sues200").task("test-200", "s2d")
    assert (len({view.place for view in task.query}), len({view.place for view in task.gallery})) == (2, 4)
    task = open_dataset("denseuav", written / "denseuav").task("test", "d2s")
    assert (len({view.place for view in task.query}), len({view.place for view in task.gallery})) == (4, 8)


def test_denseuav_places_are_neighbours_with_positions(written: Path):
    task = open_dataset("denseuav", written / "denseuav").task("test", "d2s")
    spots = list(dict.fromkeys((view.lon, view.lat) for view in task.query))
    assert len(spots) == 4
    apart = [distance_m(*spots[0], *spot) for spot in spots[1:]]
    assert min(apart) > 19.9
    assert max(apart) < 200


def test_vigor_labels_say_where_a_panorama_stands_on_its_tile(written: Path):
    dataset = Vigor(written / "vigor", corrected=True)
    task = dataset.task("test-same", "g2s")
    for query, label, right, semi in zip(task.query, dataset.labels("test-same"), task.positives, task.semi_positives or (), strict=True):
        assert len(right) == 1
        assert len(semi) == 3
        tile = task.gallery[right[0]]
        assert tile.path.name == label.tiles[0]
        assert query.lon is not None
        assert query.lat is not None
        east, north = LocalFrame(tile.lon or 0, tile.lat or 0).to_local(query.lon, query.lat)
        gsd = {"Chicago": 0.111262, "NewYork": 0.113248, "SanFrancisco": 0.118141, "Seattle": 0.100817}[label.city]
        x, y = label.position_px()
        middle = (SATELLITE_PX - 1) / 2
        np.testing.assert_allclose([(x - middle) * gsd, (middle - y) * gsd], [east, north], atol=0.15)  # names have six decimals
        assert max(abs(east), abs(north)) <= gsd * SATELLITE_PX / 4 + 0.2


def test_panoramas_and_satellites_share_their_positions(written: Path):
    task = open_dataset("cvact", written / "cvact").task("val", "g2s")
    assert all(view.lon is not None and 148.8 < view.lon < 149.8 for view in task.query)
    task = open_dataset("cvusa", written / "cvusa").task("test", "g2s")
    for query, rows in zip(task.query, task.positives, strict=True):
        assert (query.lon, query.lat) == (task.gallery[rows[0]].lon, task.gallery[rows[0]].lat)


@pytest.mark.parametrize("split", SPLITS["gtauav"])
def test_gtauav_photos_see_the_tiles_that_the_lists_pair_them_with(written: Path, split: str):
    task = open_dataset("gtauav", written / "gtauav").task(split, "d2s")
    sides = np.array([tile_side_m(int(view.path.name.partition("_")[0])) for view in task.gallery])
    centres = np.array([view.xy_m for view in task.gallery])
    for view, right, semi in zip(task.query, task.positives, task.semi_positives or (), strict=True):
        # The share of points in common, counted: the map's metres are the game's, and the photo lies over level ground.
        camera = Camera(0.0, 0.0, view.height_m or 0.0, view.heading_deg or 0.0, view.pitch_deg or 0.0, 55.0, 512, 384)
        corners = camera.footprint() - camera.centre_on_ground() + view.xy_m
        low, high = corners.min(0), corners.max(0)
        grid = np.stack(np.meshgrid(*(np.linspace(low[i], high[i], 60) for i in (0, 1))), -1).reshape(-1, 2)
        edges = np.roll(corners, -1, 0) - corners
        side = np.stack([edge[0] * (grid[:, 1] - at[1]) - edge[1] * (grid[:, 0] - at[0]) for edge, at in zip(edges, corners, strict=True)])
        seen = grid[(side <= 0).all(0)]
        area = len(seen) / len(grid) * float(np.prod(high - low))
        common = np.array([(np.abs(seen - at) <= s / 2).all(1).mean() for at, s in zip(centres, sides, strict=True)]) * area
        iou = common / (area + sides**2 - common)
        assert set(np.flatnonzero(iou > 0.39 + 0.02)) <= set(right.tolist()) <= set(np.flatnonzero(iou > 0.39 - 0.02))
        named = {*right.tolist(), *semi.tolist()}
        assert named <= set(np.flatnonzero(iou > 0.14 - 0.02))
        if split.endswith("test"):
            assert set(np.flatnonzero(iou > 0.14 + 0.02)) <= named


def test_gtauav_areas_are_apart_or_mixed(written: Path):
    dataset = open_dataset("gtauav", written / "gtauav")
    spots = {split: np.array([view.xy_m for view in dataset.task(split, "d2s").query]) for split in SPLITS["gtauav"]}
    assert np.ptp(spots["cross-area-train"], axis=0).max() < 1000
    assert np.abs(spots["cross-area-train"].mean(0) - spots["cross-area-test"].mean(0)).min() > 9000
    assert all(np.ptp(spots[split], axis=0).min() > 9000 for split in ("same-area-train", "same-area-test"))
    test = dataset.task("same-area-test", "d2s")
    assert len(test.gallery) == 2 * (1 + 4 + 16 + 64)
    assert {view.path for view in test.query}.isdisjoint(view.path for view in dataset.task("same-area-train", "d2s").query)


def test_uavvisloc_maps_show_the_ground_that_their_corners_name(written: Path):
    for flight, half in zip(UavVisLoc(written / "uavvisloc").flights(), ("train", "test"), strict=True):
        made = writer("uavvisloc", written / "uavvisloc", PLAN)
        studio = Studio(made.ground(half), int(keyed_rng(PLAN.seed, "set", made.name, half).integers(2**31)), 0)
        assert [(view.lon, view.lat) for view in flight.views] == [(site.lon, site.lat) for site in studio.sites[: PLAN.places]]
        with Image.open(flight.map.files[0][0]) as image:
            pixels = np.asarray(image).astype(float)
        rows, columns = pixels.shape[:2]
        deg = (flight.map.north - flight.map.south) / rows
        assert (flight.map.east - flight.map.west) / columns == pytest.approx(deg, rel=1e-6), "pixels are square in degrees"
        px = 24
        site = studio.sites[2]
        shot = studio.day(MAP, 0).ortho(site.east_m, site.north_m, px * 5.0, px, samples=4).rgb.astype(float)
        offset = (np.arange(px) + 0.5 - px / 2) * 5.0
        east, north = np.meshgrid(site.east_m + offset, site.north_m - offset)
        lon, lat = studio.world.frame.to_lonlat(east, north)
        score = {}
        for dx, dy in ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)):
            x, y = (lon - flight.map.west) / deg - 0.5 + dx, (flight.map.north - lat) / deg - 0.5 + dy
            found = pixels[np.rint(y).astype(int), np.rint(x).astype(int)]
            score[dx, dy] = np.corrcoef(found.mean(-1).ravel(), shot.mean(-1).ravel())[0, 1]
        assert max(score, key=lambda at: score[at]) == (0, 0)
        assert score[0, 0] > 0.8


def test_the_same_plan_gives_the_same_bytes_and_goes_on_where_it_stopped(written: Path, tmp_path: Path):
    plan = SetPlan(places=4, seed=3, regions=("farmland",), halves=("test",), scale=0.06)
    made = writer("denseuav", tmp_path / "set", plan)
    write_set(made, workers=1)
    files = sorted(path.relative_to(tmp_path / "set") for path in (tmp_path / "set/test/query_drone").rglob("*.JPG"))
    place = [path.as_posix() for path in files]
    assert len(place) == 12
    for path in files:
        assert (tmp_path / "set" / path).read_bytes() == (written / "denseuav" / path).read_bytes()
    before = (tmp_path / "set" / files[5]).read_bytes()
    (tmp_path / "set" / files[5]).unlink()
    next((tmp_path / "set/.worlds").glob("test-*.json")).unlink()
    kept = (tmp_path / "set" / files[0]).stat().st_mtime_ns
    write_set(made, workers=1)
    assert (tmp_path / "set" / files[5]).read_bytes() == before
    assert (tmp_path / "set" / files[0]).stat().st_mtime_ns == kept


def test_folders_of_others_are_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty"):
        write_set(writer("cvusa", tmp_path, PLAN), workers=1)
    notes = tmp_path / "other/.worlds"
    notes.mkdir(parents=True)
    (notes / "plan.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(DataError, match="another plan"):
        write_set(writer("cvusa", tmp_path / "other", PLAN), workers=1)


@pytest.mark.parametrize("change", [{"places": 0}, {"scale": 0.0}, {"scale": 1.5}, {"halves": ("dev",)}])
def test_impossible_plans_are_refused(change: dict[str, object]):
    with pytest.raises(InputError):
        SetPlan(**({"places": 3} | change))  # type: ignore[arg-type]


def test_unknown_sets_and_too_many_places_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="choose one of cvusa"):
        writer("imagenet", tmp_path, PLAN)
    with pytest.raises(InputError, match="80 places to a half"):
        writer("sues200", tmp_path, SetPlan(places=81))
    with pytest.raises(InputError, match="room for 384 places a half, not 385"):
        writer("gtauav", tmp_path, SetPlan(places=385))
    with pytest.raises(InputError, match="flights for 60 places a half, not 61"):
        writer("uavvisloc", tmp_path, SetPlan(places=61))
    writer("uavvisloc", tmp_path, SetPlan(places=72, halves=("test",)))
