"""Clouds for training: what is sampled, what cannot be used, and who is given which."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.degrade import Dials
from crossfix.clouds.files import NOTE, POINTS_BINARY, POINTS_TEXT, read_cloud, write_cloud
from crossfix.errors import DataError
from crossfix.models.point_branch import PointConfig
from crossfix.models.point_groups import make_table, table_length
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.training_clouds import CloudDraw, FoundClouds, TrainingClouds, sampled
from lab_clouds import POINTS, camera_axes, town, write_town

PLACES = tuple(f"p{number}" for number in range(6))
CHOSEN = GeoLinkTraining(points=PointConfig(points=64, centres=(16, 8), growth=(2, 2), blocks=(0, 1), neighbours=4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clouds of each of the first five of six places."""
    for number in range(5):
        for group in range(2):
            write_town(tmp_path / "clouds", PLACES[number], group, town(number, group))
    return tmp_path / "clouds"


def take(folder: Path, chosen: GeoLinkTraining = CHOSEN, cache: Path | None = None) -> TrainingClouds:
    found = FoundClouds.of(folder, PLACES, chosen.group)
    return sampled(found, chosen, cache or folder.parent / "cache", workers=1)


def test_clouds_are_sampled_to_the_branchs_points_with_their_tables(folder: Path):
    clouds = take(folder)
    assert clouds.pts_MNC.shape == (10, 64, 3)
    assert clouds.pts_MNC.norm(dim=2).amax(1).tolist() == pytest.approx([1.0] * 10, abs=1e-5)
    assert clouds.table_MT.shape == (10, table_length((16, 8), 4))
    assert torch.equal(clouds.table_MT, make_table(clouds.pts_MNC, (16, 8), 4))
    assert clouds.rows == {place: (2 * number, 2 * number + 1) for number, place in enumerate(PLACES[:5])}
    assert {name: clouds.report[name] for name in ("places", "places_with_cloud", "places_without_cloud", "clouds", "unusable")} == {
        "places": 6,
        "places_with_cloud": 5,
        "places_without_cloud": 1,
        "clouds": 10,
        "unusable": 0,
    }
    own = read_cloud(folder / "p3_group1").xyz_N3
    metres = clouds.take(np.array([7]), np.array([0])).xyz_PN3[0].numpy()
    gap = np.linalg.norm(metres[:, None] - own[None], axis=2).min(1)
    assert gap.max() < 1e-3, "the points in metres are the file's own"


def test_metres_keep_place_and_size_and_colours_come_along(folder: Path):
    points = dataclasses.replace(CHOSEN.points, colour=True)
    clouds = take(folder, dataclasses.replace(CHOSEN, points=points, sampling="random", radius_m=100.0))
    assert clouds.pts_MNC.shape == (10, 64, 6)
    own = read_cloud(folder / "p0_group0")
    for x, y, z, *rgb in clouds.pts_MNC[0].tolist():
        row = int(np.linalg.norm(own.xyz_N3 / 100 - (x, y, z), axis=1).argmin())
        assert own.xyz_N3[row] / 100 == pytest.approx((x, y, z), abs=1e-6)
        assert own.rgb_N3[row] / 255 == pytest.approx(rgb, abs=1e-6)
    assert clouds.pts_MNC[..., :2].norm(dim=2).max() <= 1, "cut at the radius"


def test_what_was_sampled_is_kept_and_anything_else_is_sampled_anew(folder: Path, tmp_path: Path):
    first = take(folder)
    (kept,) = (tmp_path / "cache").iterdir()
    before = kept.stat().st_mtime_ns
    again = take(folder)
    assert torch.equal(first.pts_MNC, again.pts_MNC)
    assert (again.rows, again.report) == (first.rows, first.report)
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"half")
    assert torch.equal(take(folder).pts_MNC, first.pts_MNC), "a damaged file is no obstacle"
    for change in ({"sample_seed": 1}, {"sampling": "random"}, {"spoil": Dials(noise=1.0)}):
        assert not torch.equal(take(folder, dataclasses.replace(CHOSEN, **change)).pts_MNC, first.pts_MNC)
    write_town(folder, "p0", 0, town(0, 0, 2 * POINTS))
    assert not torch.equal(take(folder).pts_MNC[0], first.pts_MNC[0])


def test_clouds_that_cannot_be_used_are_counted_with_the_reason(folder: Path):
    (folder / "p0_group0/points3D.txt").write_text("1 0.5 nan 2 1 2 3 0\n" * 200)
    write_town(folder, "p1", 0, town(1, 0, 63))
    write_town(folder, "p1", 1, town(1, 1, 63))
    (folder / "p2_group0/points3D.txt").write_text("not a cloud")
    clouds = take(folder)
    assert set(clouds.rows) == {"p0", "p2", "p3", "p4"}
    assert clouds.report["places_without_cloud"] == 2
    assert clouds.report["unusable"] == 4
    said = " ".join(clouds.report["unusable_first"])
    assert "p0_group0/points3D.txt: " in said
    assert "NaN" in said
    assert "63 points, fewer than 64" in said


def test_metres_of_a_cloud_that_knows_none_and_colours_of_one_without(folder: Path):
    write_town(folder, "p0", 0, dataclasses.replace(town(0), frame="free"))
    found = take(folder, dataclasses.replace(CHOSEN, radius_m=100.0)).report
    assert found["unusable_first"] == ["p0_group0/points3D.txt: is of frame free, which knows no metres"]
    clouds = take(folder)
    assert clouds.report["frames"] == {"level": 1, "enu": 9}
    drawn = clouds.take(np.array([0, 1]), np.array([0, 1]))
    assert drawn.north_P.tolist() == [False, True]
    assert drawn.xyz_PN3[0].isnan().all()


def test_no_cloud_at_all_is_one_sentence(folder: Path, tmp_path: Path):
    with pytest.raises(DataError, match="there is no folder of clouds; build them with: crossfix clouds build"):
        FoundClouds.of(tmp_path / "nowhere", PLACES, None)
    with pytest.raises(DataError, match=r"holds no cloud of the 1 places; .*--clouds"):
        FoundClouds.of(folder, ["elsewhere"], None)
    with pytest.raises(DataError, match="holds no cloud of the 6 places in group 7"):
        FoundClouds.of(folder, PLACES, 7)
    many = dataclasses.replace(CHOSEN, points=dataclasses.replace(CHOSEN.points, points=5000))
    with pytest.raises(DataError, match=r"p0_group0.*no cloud can be used, the first because it has 1,100 points, fewer than 5,000"):
        take(folder, many)


def test_a_copy_elsewhere_has_the_same_fingerprint(folder: Path, tmp_path: Path):
    first = FoundClouds.of(folder, PLACES, None)
    folder.rename(tmp_path / "moved")
    assert FoundClouds.of(tmp_path / "moved", PLACES, None).fingerprint == first.fingerprint
    write_town(tmp_path / "moved", "p5", 0, town(5))
    assert FoundClouds.of(tmp_path / "moved", PLACES, None).fingerprint != first.fingerprint


def test_another_cloud_of_as_many_bytes_and_another_frame_have_another_fingerprint(folder: Path):
    file = folder / "p0_group0" / POINTS_BINARY
    prints, sizes = set(), set()
    (folder / "p0_group0" / POINTS_TEXT).unlink()
    for place in (0, 1):
        write_cloud(file, town(place))
        sizes.add(file.stat().st_size)
        prints.add(FoundClouds.of(folder, PLACES, None).fingerprint)
    file.with_name(NOTE).unlink()
    prints.add(FoundClouds.of(folder, PLACES, None).fingerprint)
    assert (len(sizes), len(prints)) == (1, 3)


def test_clouds_in_the_axes_of_a_camera_are_laid_level(folder: Path):
    """As the authors' are: x right, y down, z along the view, of a camera that looks down obliquely."""
    own = town(0)
    write_town(folder, "p0", 0, dataclasses.replace(own, xyz_N3=own.xyz_N3 @ camera_axes(60).T, frame="free"))
    clouds = take(folder)
    height = clouds.pts_MNC[0, :, 2] * clouds.radius_M[0]
    assert float(height.max() - height.min()) < np.ptp(own.xyz_N3[:, 2]) + 8 < 60, "along the camera's axis it is some 160"


@pytest.mark.parametrize("points", [1, 2, 5])
def test_a_cloud_of_next_to_no_points_is_counted(points: int, folder: Path):
    write_town(folder, "p0", 0, dataclasses.replace(town(0, points=points), frame="free"))
    assert take(folder).report["unusable"] == 1


def number_of(drawn, clouds: TrainingClouds) -> list[int]:
    """Which clouds were drawn."""
    return [int((clouds.pts_MNC == pts).flatten(1).all(1).nonzero()) for pts in drawn.pts_PNC]


def test_every_place_of_a_batch_gets_one_of_its_own_clouds(folder: Path):
    clouds = take(folder)
    draw = CloudDraw(clouds, PLACES, np.arange(6), seed=0)
    seen = set()
    for number in range(20):
        place_J = np.array([4, 5, 0, 2])
        drawn = draw(place_J, number)
        assert drawn.row_P.tolist() == [0, 2, 3], "the place without a cloud has none"
        got = number_of(drawn, clouds)
        assert [one // 2 for one in got] == [4, 0, 2]
        assert got == number_of(draw(place_J, number), clouds)
        seen.update(got)
    assert seen == {0, 1, 4, 5, 8, 9}, "either of a place's clouds has its turn"


def test_wrong_clouds_are_always_another_places_and_always_the_same(folder: Path):
    clouds = take(folder)
    draw = CloudDraw(clouds, PLACES, np.array([0, 1, 2, 4, 5]), seed=3, wrong=True)
    assert sorted(draw.giver) == sorted(draw.giver.values()) == [0, 1, 2, 4], "places that are held out give none"
    assert all(own != other for own, other in draw.giver.items())
    for number in range(10):
        got = number_of(draw(np.array([0, 1, 2, 4]), number), clouds)
        assert [one // 2 for one in got] == [draw.giver[place] for place in (0, 1, 2, 4)]
    astray = draw.astray(np.array([0, 1, 2, 3, 4, 5]))
    assert len(set(astray.tolist())) == 5, "of held-out places and those without clouds nothing is told"
    assert not CloudDraw(clouds, PLACES, np.arange(6), seed=3).astray(np.arange(6)).any()
    assert len({tuple(CloudDraw(clouds, PLACES, np.arange(6), seed, wrong=True).giver.values()) for seed in range(9)}) > 3


def test_one_place_with_a_cloud_is_not_enough(folder: Path):
    with pytest.raises(DataError, match="1 of 2 training places have a cloud"):
        CloudDraw(take(folder), PLACES, np.array([4, 5]), seed=0)


def test_a_cloud_without_colours_cannot_be_used_where_they_are_wanted(folder: Path):
    points = dataclasses.replace(CHOSEN.points, colour=True)
    found = FoundClouds.of(folder, PLACES, None)
    uncoloured = folder / "p0_group0/cloud.npz"
    write_cloud(uncoloured, Cloud(town(0).xyz_N3, None, "enu"))
    found = dataclasses.replace(found, files=found.files | {"p0": (uncoloured,)})
    clouds = sampled(found, dataclasses.replace(CHOSEN, points=points), folder.parent / "cache", workers=1)
    assert clouds.report["unusable_first"] == ["p0_group0/cloud.npz: has no colours, and the 3D branch wants them"]
