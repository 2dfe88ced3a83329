"""The worlds behind a written set are made again exactly: its own pictures are the proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.clouds.degrade import Dials
from crossfix.clouds.from_world import WorldBackend
from crossfix.errors import DataError
from crossfix.worlds.sets.exact import ExactSet
from crossfix.worlds.sets.plan import SetPlan, write_set
from crossfix.worlds.sets.registry import writer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "denseuav"
    write_set(writer("denseuav", root, SetPlan(places=2, seed=3, regions=("farmland", "suburb"), scale=0.1)), workers=1)
    return root


def test_a_view_is_seen_again_and_no_other_view_is_as_like(written: Path) -> None:
    """But for the sensor's noise and colours, and for the finer sampling of the file."""
    exact = ExactSet(written)
    paths = sorted((written / "train" / "drone").rglob("*.JPG")) + sorted((written / "test" / "query_drone").rglob("*.JPG"))
    assert len(paths) == 12
    stored = [np.asarray(Image.open(path).convert("L"), float).ravel() for path in paths]
    seen = [np.asarray(Image.fromarray(exact.sight(path).rgb_HW3).convert("L"), float).ravel() for path in paths]
    alike = np.corrcoef(np.stack(seen), np.stack(stored))[:12, 12:]
    assert (alike.argmax(axis=1) == np.arange(12)).all()
    assert np.diag(alike).min() > 0.9


def test_copies_of_a_view_have_its_camera(written: Path) -> None:
    exact = ExactSet(written)
    place = next((written / "train" / "drone").iterdir()).name
    assert exact.camera(written / "train/drone" / place / "H90.JPG") == exact.camera(written / "test/gallery_drone" / place / "H90.JPG")


def test_the_frame_is_metres_about_the_ground_at_the_place(written: Path) -> None:
    exact = ExactSet(written)
    for path in sorted((written / "train" / "drone").rglob("H80.JPG")):
        sight = exact.sight(path, 48)
        np.testing.assert_allclose(sight.eye_3, [0, 0, 80], atol=1e-6)  # straight above
        xyz, rgb = sight.points()
        assert len(xyz) == len(rgb) == 48 * 36
        uv, depth = sight.camera.project(xyz)
        pixels = np.stack(np.meshgrid(np.arange(48), np.arange(36)), axis=-1).reshape(-1, 2)
        np.testing.assert_allclose(uv, pixels, atol=1e-3)
        np.testing.assert_allclose(depth, sight.depth_HW.ravel(), rtol=1e-5)
        assert abs(np.median(xyz[:, 2])) < 10


def test_convention_a_clouds_cameras_show_its_points_where_the_pictures_have_them(written: Path) -> None:
    exact = ExactSet(written)
    for folder in sorted((written / "train" / "drone").iterdir()):
        views = sorted(folder.glob("*.JPG"))
        built = WorldBackend(lambda view: exact.sight(view, 96), Dials(), points=4000).reconstruct(views, "a")
        assert built.cameras_V34 is not None
        for view, camera_34 in zip(views, built.cameras_V34, strict=True):
            picture = np.asarray(Image.open(view).convert("L"), float)
            shown = np.column_stack([built.cloud.xyz_N3, np.ones(len(built.cloud))]) @ camera_34.T
            xy = (shown[:, :2] / shown[:, 2:] + 1) / 2
            inside = (np.abs(xy - 0.5) < 0.48).all(1)
            column, row = (xy[inside] * picture.shape[::-1]).astype(int).T
            assert built.cloud.rgb_N3 is not None
            grey = built.cloud.rgb_N3[inside] @ (0.299, 0.587, 0.114)
            assert inside.sum() > 1000
            assert np.corrcoef(picture[row, column], grey)[0, 1] > 0.8


def test_worlds_of_a_views_own_half_are_looked_through_first(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[str] = []
    rehearse = ExactSet._rehearse

    def counted(exact: ExactSet, half: str, number: int) -> None:
        walked.append(half)
        rehearse(exact, half, number)

    monkeypatch.setattr(ExactSet, "_rehearse", counted)
    ExactSet(written).camera(next((written / "test" / "query_drone").rglob("*.JPG")))
    assert set(walked) == {"test"}


def test_nothing_is_written(written: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    ExactSet(written).camera(next((written / "train" / "drone").rglob("H80.JPG")))
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == before


def test_what_no_drone_took_is_refused(written: Path, tmp_path: Path) -> None:
    exact = ExactSet(written)
    for path in (next((written / "train" / "satellite").rglob("*.tif")), tmp_path / "a.jpg"):
        with pytest.raises(DataError, match="no drone of this set of worlds took it"):
            exact.camera(path)
    with pytest.raises(DataError, match="is no set of worlds"):
        ExactSet(tmp_path)
    (tmp_path / ".worlds").mkdir()
    (tmp_path / ".worlds" / "plan.json").write_text("[]")
    with pytest.raises(DataError, match="is no set of worlds"):
        ExactSet(tmp_path)
