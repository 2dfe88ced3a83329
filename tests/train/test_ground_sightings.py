"""Points of a cloud that a panorama and the satellite picture of its place show."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.data.view import View
from crossfix.errors import DataError, InputError
from crossfix.geo.geodesy import offset
from crossfix.train.augment import WarpConfig, draw_warp
from crossfix.train.dataset_source import eye_of
from crossfix.train.ground import Facing, GroundViews, redrawn
from crossfix.train.loop import train
from crossfix.train.sightings import ground_sightings, in_sight, on_overhead
from lab_clouds import first_terms, matching, write_lab_with_clouds

TINY = matching(GroundViews((48, 192)), ground_tokens=1.0)
LINK = TINY.geolink
assert LINK is not None
NORTH = Facing.north(1)


def polar(bearing_deg: float, elevation_deg: float, away_m: float = 30.0) -> torch.Tensor:
    """A direction from a camera, (1, 1, 3)."""
    bearing, elevation = np.radians([bearing_deg, elevation_deg])
    return torch.tensor([[[np.sin(bearing), np.cos(bearing), np.tan(elevation)]]], dtype=torch.float32) * away_m


@pytest.mark.parametrize("mirrored", [False, True])
def test_convention_points_lie_where_the_redrawn_panorama_shows_them(mirrored: bool):
    """A spot painted into the panorama at a bearing and an elevation is found in the redrawn picture where the formula says."""
    height, width, px = 256, 1024, 256
    draws = torch.Generator().manual_seed(3)
    warp = draw_warp(1, WarpConfig(rotate_deg=180.0, side=(0.7, 1.2)), draws)[:, :, :2]
    warp = warp * torch.tensor([-1.0 if mirrored else 1.0, 1.0])
    facing = Facing(warp, torch.tensor([11.0]), torch.tensor([360.0]), torch.tensor([0.0]))
    for bearing, elevation in ((0.0, -10.0), (75.0, -20.0), (200.0, 5.0), (310.0, 12.0), (-179.0, -3.0)):
        panorama = torch.zeros(1, 3, height, width)
        column, row = round((bearing / 360 + 0.5) % 1 * width - 0.5), round(height / 2 - 0.5 - elevation * width / 360)
        panorama[:, :, row - 3 : row + 4, [(column + by) % width for by in range(-3, 4)]] = 1.0
        drawn = redrawn(panorama, px, facing, torch.zeros(3, 1, 1))[0, 0]
        rows, columns = torch.meshgrid(*[(2 * torch.arange(px) + 1) / px - 1] * 2, indexing="ij")
        middle = torch.stack([(columns * drawn).sum(), (rows * drawn).sum()]) / drawn.sum()
        at, shown = on_overhead(polar(bearing, elevation), facing)
        assert shown.all()
        torch.testing.assert_close(at[0, 0], middle, atol=0.012, rtol=0)


def test_what_a_part_of_the_horizon_does_not_show_is_not_seen():
    east = dataclasses.replace(NORTH, fov_deg_G=torch.tensor([90.0]), middle_deg_G=torch.tensor([90.0]))
    at = torch.cat([polar(bearing, -5.0) for bearing in (50.0, 130.0, 140.0, 0.0, 270.0)], 1)
    assert on_overhead(at, east)[1].tolist() == [[True, True, False, False, False]]
    assert on_overhead(at, NORTH)[1].all()
    assert on_overhead(polar(0.0, -60.0), NORTH)[1].tolist() == [[False]], "redrawn panoramas show nothing so far down"


def test_what_is_near_hides_what_is_far_in_its_sector():
    generator = np.random.default_rng(0)
    bearing, away, up = generator.uniform(-180, 180, (3, 200)), generator.uniform(2, 100, (3, 200)), generator.uniform(-2, 15, (3, 200))
    way = np.stack([away * np.sin(np.radians(bearing)), away * np.cos(np.radians(bearing)), up], 2)
    way[1, 50:] = np.nan
    sector, elevation = np.floor((bearing + 180) / 10), np.arctan2(up, away)
    seen = in_sight(torch.tensor(way, dtype=torch.float32)).numpy()
    for cloud in range(3):
        known = np.isfinite(way[cloud, :, 0])
        for point in range(200):
            before = known & (sector[cloud] == sector[cloud, point]) & (away[cloud] < away[cloud, point])
            free = known[point] and not (elevation[cloud, before] >= elevation[cloud, point]).any()
            assert seen[cloud, point] == free
    assert 40 < seen.sum() < 300


def test_flat_ground_is_in_sight_and_what_stands_behind_a_wall_is_not():
    away = torch.tensor([3.0, 10.0, 30.0, 31.0, 35.0, 60.0, 61.0])
    up = torch.tensor([-1.7, -1.7, -1.7, 6.0, 6.0, -1.7, 30.0])
    way = torch.stack([torch.zeros(7), away, up], 1)[None]
    assert in_sight(way).tolist() == [[True, True, True, True, False, False, True]]


def test_points_from_the_ground_follow_the_camera_and_both_pictures():
    draws = torch.Generator().manual_seed(0)
    xyz = torch.tensor([[[0.0, 40.0, 0.0], [40.0, 0.0, 5.0], [-60.0, 0.0, 3.0], [0.0, -84.0, 0.0], [0.0, -86.5, 0.0]]])
    eye, same = torch.tensor([[0.0, 10.0, 1.7]]), torch.eye(2, 3)[None]
    ground, satellite, seen = ground_sightings(xyz, eye, NORTH, same, 180.0, 5, draws)
    assert seen.sum() == 4, "the last lies beyond what counts of the satellite picture"
    points = {tuple(point.tolist()): drawn for point, drawn in zip((satellite[0] * 90).round(), ground[0], strict=True)}
    north, east, south = (points[at].numpy() for at in ((0.0, -40.0), (40.0, 0.0), (0.0, 84.0)))
    assert north[0] == pytest.approx(0, abs=1e-6)
    assert -0.75 < float(north[1]) < -0.5
    assert float(east[0]) > 0.75 * np.cos(np.arctan2(10, 40)), "above the horizon"
    assert np.degrees(np.arctan2(east[0], -east[1])) == pytest.approx(np.degrees(np.arctan2(40, -10)), abs=1e-3)
    assert south[1] > 0.6
    nowhere = ground_sightings(xyz, torch.full((1, 3), torch.nan), NORTH, same, 180.0, 5, draws)
    assert not nowhere[2].any()
    assert torch.isfinite(nowhere[0]).all()
    assert not ground_sightings(xyz * torch.nan, eye, NORTH, same, 180.0, 5, draws)[2].any()


def test_eyes_stand_where_the_set_says():
    lon, lat = offset(-50.0, 46.0, 60.0, 20.0)
    middle = View(Path("s.jpg"), "p", "satellite", -50.0, 46.0)
    eye = eye_of(View(Path("g.jpg"), "p", "ground", lon, lat, height_m=2.5), middle)
    np.testing.assert_allclose(eye, [20 * np.sin(np.pi / 3), 20 * np.cos(np.pi / 3), 2.5], atol=1e-3)
    assert eye_of(View(Path("g.jpg"), "p", "ground", lon, lat), middle)[2] == pytest.approx(1.7)
    assert np.isnan(eye_of(View(Path("g.jpg"), "p", "ground"), middle)).all()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab_with_clouds(tmp_path_factory.mktemp("lab"), headings=True)


def test_tokens_of_panoramas_are_matched_in_training_and_no_drone_camera_is_asked_for(tmp_path: Path, lab: Path):
    found = {}
    for kind in ("right", "flat", "wrong"):
        train(dataclasses.replace(TINY, geolink=dataclasses.replace(LINK, clouds=kind)), tmp_path / kind, root=lab, workers=1)
        found[kind] = first_terms(tmp_path / kind)
    assert set(found["right"]) == {"cross", "ground", "ground_tokens", "clouds"}
    assert found["right"]["ground"] == found["flat"]["ground"] == found["wrong"]["ground"]
    assert len({terms["ground_tokens"] for terms in found.values()}) == 3
    assert min(terms["ground_tokens"] for terms in found.values()) > 1


def test_places_without_a_cloud_show_no_points(tmp_path: Path):
    lab = write_lab_with_clouds(tmp_path / "lab", headings=True)
    for note in sorted((lab / "clouds/train").glob("train-*_group*"))[: 2 * 6]:
        (note / "points3D.txt").unlink()
    train(TINY, tmp_path / "run", root=lab, workers=1)
    terms = first_terms(tmp_path / "run")
    assert 0 < terms["clouds"] < 8
    assert np.isfinite(terms["ground_tokens"])


def test_batches_of_places_without_any_cloud_train_on_pictures(tmp_path: Path, lab: Path):
    training = [f"train-{number + 1:05d}" for number in range(12)]
    training = sorted(training, key=lambda place: hashlib.blake2b(place.encode()).digest())[TINY.held_out :]
    for place in training[:2]:
        shutil.copytree(lab / f"clouds/train/{place}_group0", tmp_path / "few" / f"{place}_group0")
    train(dataclasses.replace(TINY, batch=2, steps=12), tmp_path / "run", root=lab, clouds=tmp_path / "few", workers=1)
    steps = [json.loads(line)["terms"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines() if "terms" in line]
    assert {terms["clouds"] for terms in steps} >= {0.0, 1.0}
    assert all(("ground_tokens" in terms) == (terms["clouds"] > 0) for terms in steps)


def test_what_cannot_be_matched_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="the term ground_tokens needs ground views that are redrawn as seen from above"):
        dataclasses.replace(TINY, ground=GroundViews((48, 192), fit="whole"))
    with pytest.raises(InputError, match="the term ground_tokens needs ground views"):
        dataclasses.replace(TINY, ground=None)
    with pytest.raises(InputError, match="the term ground_tokens needs clouds, and the ground that a satellite picture spans"):
        dataclasses.replace(LINK, satellite_side_m=0.0)
    lab = write_lab_with_clouds(tmp_path / "lab", trained=8, headings=True)
    table = lab / "train" / "images.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    where = [lines[0].index(name) for name in ("lat", "lon")]
    for line in lines[1:]:
        if line[0].startswith("ground/"):
            for column in where:
                line[column] = ""
    table.write_text("\n".join(",".join(line) for line in lines) + "\n")
    with pytest.raises(DataError, match="no panorama of worlds-v1 train tells where it was taken"):
        train(TINY, tmp_path / "run", root=lab, workers=1)
