"""Points of a cloud that both pictures of a pair show, and the cameras that tell it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.clouds.files import NOTE
from crossfix.data.registry import open_dataset
from crossfix.errors import DataError, InputError
from crossfix.geo.camera import Camera
from crossfix.models.point_branch import PointBranch
from crossfix.train.augment import WarpConfig, draw_warp
from crossfix.train.cameras import ViewCameras
from crossfix.train.loop import train
from crossfix.train.sightings import sightings
from crossfix.train.training_clouds import CloudDraw, FoundClouds, TrainingClouds, sampled
from lab_clouds import first_terms, from_above, matching, town, write_lab_with_clouds, write_town

TINY = matching(tokens=1.0)
LINK = TINY.geolink
assert LINK is not None
VIEWS = [Path(f"x/drone-{shot}/00001.jpg") for shot in (1, 2)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab_with_clouds(tmp_path_factory.mktemp("lab"), cameras=True)


def test_points_are_where_both_pictures_show_them():
    generator = torch.Generator().manual_seed(0)
    xyz = np.random.default_rng(0).uniform((-120, -120, 0), (120, 120, 40), (4, 300, 3))
    cameras = [Camera(5.0, -20.0, 120.0, 90.0 * k, -60.0, 60.0, 320, 240, roll_deg=3.0) for k in range(3)]
    known = torch.tensor(np.stack([*(camera.projection for camera in cameras), np.full((3, 4), np.nan)]), dtype=torch.float32)
    drone_P23, satellite_P23 = (draw_warp(4, WarpConfig(rotate_deg=180.0, shift=0.1, side=(0.7, 1.2)), generator) for _ in range(2))
    drone_P23[1, :, 0] *= -1  # mirrored
    satellite_P23[1, :, 0] *= -1
    drone, satellite, seen = sightings(torch.tensor(xyz, dtype=torch.float32), known, drone_P23, satellite_P23, 180.0, 300, generator)
    assert not seen[3].any(), "nobody knows the camera"
    for row, camera in enumerate(cameras):
        uv, depth = camera.project(xyz[row])
        expected = np.column_stack([(2 * uv + 1) / (320, 240) - 1, xyz[row, :, :2] / 90 * (1, -1)])
        linear, shift = drone_P23[row, :, :2].numpy(), drone_P23[row, :, 2].numpy()
        linear_s, shift_s = satellite_P23[row, :, :2].numpy(), satellite_P23[row, :, 2].numpy()
        got = np.column_stack([drone[row].numpy() @ linear.T + shift, satellite[row].numpy() @ linear_s.T + shift_s])[seen[row].numpy()]
        apart = np.abs(got[:, None] - expected[None]).max(2)
        assert apart.min(1).max() < 1e-4, "each is a point of the cloud"
        both = [(expected[:, :2] - shift) @ np.linalg.inv(linear).T, (expected[:, 2:] - shift_s) @ np.linalg.inv(linear_s).T]
        inside = (depth > 0) & (np.abs(np.column_stack([expected, *both])).max(1) <= 0.95)
        assert set(apart.argmin(1)) == set(np.flatnonzero(inside)), "all that both show"
        assert 10 < inside.sum() < 280


def test_of_many_points_some_are_drawn_and_of_few_the_rest_does_not_count():
    xyz = torch.rand(2, 100, 3, generator=torch.Generator().manual_seed(0)) * 60
    xyz[1, 5:] += 500
    same = torch.eye(2, 3).repeat(2, 1, 1)
    above = torch.tensor(from_above(), dtype=torch.float32).reshape(1, 3, 4).repeat(2, 1, 1)
    drawn = [sightings(xyz, above, same, same, 180.0, 16, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert [int(part.sum()) for part in drawn[0][2]] == [16, 5]
    torch.testing.assert_close(drawn[0][0], drawn[0][1])
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert not torch.equal(drawn[0][0], drawn[2][0])
    assert torch.isfinite(drawn[0][0]).all(), "what does not count harms no gradient"


@pytest.fixture
def clouds(tmp_path: Path) -> tuple[FoundClouds, TrainingClouds]:
    """Of three places; the cameras of the first are turned by none, of the second by one quarter, those of the third are not known."""
    for number in range(3):
        known = {f"drone-{shot}/00001.jpg": from_above(number + 2 * shot) for shot in (1, 2)} if number < 2 else None
        write_town(tmp_path / "clouds", f"p{number}", 0, town(number), known)
    found = FoundClouds.of(tmp_path / "clouds", ["p0", "p1", "p2"], None)
    return found, sampled(found, LINK, tmp_path, workers=1)


def test_cameras_are_those_of_the_places_views(clouds: tuple[FoundClouds, TrainingClouds]):
    draw = CloudDraw(clouds[1], ["p0", "p1", "p2"], np.arange(3), 0, cameras=ViewCameras(clouds[0]))
    found = draw.cameras_of(np.array([0, 1, 2, 0]), [VIEWS[0], VIEWS[1], VIEWS[0], Path("x/drone-9/00001.jpg")])
    assert found is not None
    np.testing.assert_allclose(found[:2].reshape(2, 12), np.array([from_above(2), from_above(5)], np.float32))
    assert np.isnan(found[2:]).all(), "nobody knows them"
    assert CloudDraw(clouds[1], ["p0", "p1", "p2"], np.arange(3), 0).cameras_of(np.arange(1), VIEWS[:1]) is None


def test_wrong_clouds_come_with_their_own_cameras(clouds: tuple[FoundClouds, TrainingClouds]):
    draw = CloudDraw(clouds[1], ["p0", "p1"], np.arange(2), 0, wrong=True, cameras=ViewCameras(clouds[0]))
    found = draw.cameras_of(np.array([0, 0, 1]), [VIEWS[0], VIEWS[1], VIEWS[0]])
    assert found is not None
    np.testing.assert_allclose(found.reshape(3, 12), np.array([from_above(3), from_above(5), from_above(2)], np.float32))


def test_flat_clouds_lie_on_the_ground(clouds: tuple[FoundClouds, TrainingClouds]):
    places = np.array([0, 1])
    as_it_is, flat = (CloudDraw(clouds[1], ["p0", "p1", "p2"], np.arange(3), 0, flat=one)(places, 0) for one in (False, True))
    assert as_it_is.xyz_PN3[..., 2].amax() > 10
    assert not flat.xyz_PN3[..., 2].any()
    torch.testing.assert_close(flat.xyz_PN3[..., :2], as_it_is.xyz_PN3[..., :2])
    assert not flat.pts_PNC[..., 2].any(), "metres: the ground is zero"


def test_tokens_find_each_other_through_right_cameras_only(tmp_path: Path, lab: Path):
    """Pictures of one texture, seen through the camera that makes them so: tokens of one point are alike before anything is learnt."""
    found = {}
    for kind in ("right", "flat", "wrong"):
        chosen = dataclasses.replace(TINY, geolink=dataclasses.replace(LINK, clouds=kind))
        train(chosen, tmp_path / kind, root=lab, workers=1)
        found[kind] = first_terms(tmp_path / kind)
    assert found["right"]["cross"] == found["flat"]["cross"] == found["wrong"]["cross"]
    assert found["right"]["tokens"] == pytest.approx(found["flat"]["tokens"]), "seen from straight above, heights do not matter"
    assert found["wrong"]["tokens"] != found["right"]["tokens"]


def test_the_3d_branch_does_not_run_for_terms_that_do_not_look_at_it(tmp_path: Path, lab: Path, monkeypatch: pytest.MonkeyPatch):
    train(TINY, tmp_path / "run", root=lab, workers=1)
    monkeypatch.setattr(PointBranch, "forward", None)
    train(TINY, tmp_path / "without", root=lab, workers=1)
    assert first_terms(tmp_path / "without") == first_terms(tmp_path / "run")
    assert first_terms(tmp_path / "run")["clouds"] == 8


def test_without_cameras_nothing_can_be_told(tmp_path: Path):
    lab = write_lab_with_clouds(tmp_path / "lab", trained=8)
    with pytest.raises(DataError, match="no cloud tells the cameras of its views in metres"):
        train(TINY, tmp_path / "run", root=lab, workers=1)
    with pytest.raises(InputError, match="the term tokens needs clouds, and the ground that a satellite picture spans"):
        dataclasses.replace(LINK, satellite_side_m=0.0)
    note = lab / "clouds/train/train-00001_group0" / NOTE
    for bad in ([1.0] * 11, ["a"] * 12, [float("nan")] * 12):
        note.write_text(json.dumps({"frame": "enu", "cameras": {"drone-1/00001.jpg": bad}}))
        with pytest.raises(DataError, match="holds a camera that is no matrix of 3 x 4 numbers"):
            train(TINY, tmp_path / "run", root=lab, workers=1)


def test_places_of_the_laboratory_are_known_by_their_views(lab: Path):
    task = open_dataset("worlds-v1", lab).task("train", "d2s")
    known = ViewCameras(FoundClouds.of(lab / "clouds/train", [view.place for view in task.query], None))
    assert all(known.of(view.place, view.path) is not None for view in task.query)
