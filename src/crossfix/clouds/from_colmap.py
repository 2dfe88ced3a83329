"""Clouds by COLMAP (Schönberger and Frahm, Structure-from-motion revisited, CVPR 2016), through pycolmap: extra ``crossfix[colmap]``."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfix.clouds.align import level
from crossfix.clouds.backend import Built, NoCloudError, read_view
from crossfix.clouds.cloud import Cloud
from crossfix.clouds.files import read_cloud
from crossfix.clouds.sampling import keyed_rng, thin
from crossfix.errors import InputError

POINTS = 30_000
SIDE_PX = 1600
_LEAST_VIEWS = 3
_ERRORS_ONLY = 2


class ColmapBackend:
    """Makes clouds of frame "level": no unit, z up.

    Sparse clouds are its matched features, some thousands; dense ones need a pycolmap built with CUDA.

    Args:
        dense: patch-match stereo after the sparse reconstruction.
        side_px: pictures are made smaller until their longer side has at most so many pixels.
        points: at most so many a cloud.
        seed: of the thinning and of every draw of COLMAP's, so that two runs find the same.

    Raises:
        InputError: pycolmap is not installed, or has no CUDA for dense clouds.
    """

    name = "colmap"
    licence = ""

    def __init__(self, *, dense: bool = False, side_px: int = SIDE_PX, points: int = POINTS, seed: int = 0) -> None:
        try:
            pycolmap: Any = importlib.import_module("pycolmap")
        except ImportError as error:
            raise InputError("the pycolmap package is not installed", mend="install crossfix[colmap]") from error
        if dense and not pycolmap.has_cuda:
            raise InputError("this pycolmap was built without CUDA, which dense clouds need", mend="leave --dense out")
        if side_px < 64:
            raise InputError(f"pictures of {side_px} pixels", mend="give at least 64")
        self._colmap = pycolmap
        self.dense, self.side_px, self.points, self.seed = dense, side_px, points, seed

    def options(self) -> dict[str, object]:
        """The size, the seed and whether clouds are dense."""
        return {name: getattr(self, name) for name in ("dense", "side_px", "points", "seed")}

    def reconstruct(self, views: Sequence[Path], key: str) -> Built:
        """Find and match features of all pairs of views, and solve for cameras and points.

        Args:
            views: pictures of one place.
            key: names the cloud.

        Raises:
            NoCloudError: fewer than three views, or their features do not hold together.
        """
        if len(views) < _LEAST_VIEWS:
            raise NoCloudError("too few views", f"{len(views)} views are too few for COLMAP", mend=f"give at least {_LEAST_VIEWS}")
        with tempfile.TemporaryDirectory() as folder:
            model = self._solve(views, Path(folder))
            cloud = self._dense(Path(folder), model) if self.dense else _points(model)
            eyes = np.full((len(views), 3), np.nan)
            for number in model.reg_image_ids():
                image = model.image(number)
                eyes[int(Path(image.name).stem)] = image.projection_center()
            facts = {
                "reprojection_px": float(model.compute_mean_reprojection_error()),
                "track_length": float(model.compute_mean_track_length()),
            }
        cloud = thin(cloud, self.points, keyed_rng(self.seed, "thin", key))
        turn = level(cloud.xyz_N3, eyes[np.isfinite(eyes).all(axis=1)])
        made = Cloud(cloud.xyz_N3 @ turn.T, cloud.rgb_N3, "level")
        return Built(made, len(views), int(np.isfinite(eyes).all(axis=1).sum()), eyes @ turn.T, facts)

    def _solve(self, views: Sequence[Path], folder: Path) -> Any:  # noqa: ANN401 - pycolmap has types of its own
        colmap = self._colmap
        pictures, database, sparse = folder / "pictures", folder / "database.db", folder / "sparse"
        pictures.mkdir()
        sparse.mkdir()
        shapes = set()
        for number, view in enumerate(views):
            shapes.add(read_view(view).shape)
            shutil.copyfile(view, pictures / f"{number:05d}{view.suffix.lower()}")
        extraction = colmap.FeatureExtractionOptions()
        extraction.max_image_size = self.side_px
        mapping = colmap.IncrementalPipelineOptions()
        # COLMAP gives up models of fewer than ten views by default; a group may have less.
        mapping.min_model_size = _LEAST_VIEWS
        # A draw without a seed of its own follows its thread, and which thread takes which pair is the machine's mood.
        verification = colmap.TwoViewGeometryOptions()
        for drawing in (mapping, mapping.mapper, mapping.triangulation, verification.ransac):
            drawing.random_seed = self.seed
        colmap.set_random_seed(self.seed)
        # Sums of several threads come in any order, and a reconstruction of few views magnifies the last digit.
        mapping.num_threads = 1
        # Views of one size are taken to be of one camera: one focal length from all of them is steadier than one from each.
        mode = colmap.CameraMode.SINGLE if len(shapes) == 1 else colmap.CameraMode.AUTO
        with _quiet(colmap):
            try:
                # Numbered by name first: left to the extraction, whichever thread ends first has the first number.
                colmap.Database.open(database).close()
                colmap.import_images(database, pictures, camera_mode=mode)
                colmap.extract_features(database, pictures, camera_mode=mode, extraction_options=extraction)
                colmap.match_exhaustive(database, verification_options=verification)
                models = colmap.incremental_mapping(database, pictures, sparse, options=mapping)
            except (RuntimeError, ValueError) as error:
                raise NoCloudError("COLMAP failed", f"COLMAP gave up ({str(error).splitlines()[0]})") from error
        best = max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)
        if best is None or best.num_reg_images() < _LEAST_VIEWS or best.num_points3D() == 0:
            raise NoCloudError("views not matched", "its views cannot be matched with each other", mend="give more views that overlap")
        return best

    def _dense(self, folder: Path, model: Any) -> Cloud:  # noqa: ANN401
        colmap, work = self._colmap, folder / "dense"
        chosen = folder / "chosen"
        chosen.mkdir()
        model.write(chosen)
        with _quiet(colmap):
            try:
                colmap.undistort_images(work, chosen, folder / "pictures")
                colmap.patch_match_stereo(work)
                colmap.stereo_fusion(folder / "dense.ply", work, output_type="PLY")
            except (RuntimeError, ValueError) as error:
                raise NoCloudError("COLMAP failed", f"COLMAP's dense part gave up ({str(error).splitlines()[0]})") from error
        return read_cloud(folder / "dense.ply")


def _points(model: Any) -> Cloud:  # noqa: ANN401
    found = list(model.points3D.values())
    return Cloud(np.array([point.xyz for point in found]), np.array([point.color for point in found], np.uint8))


@contextlib.contextmanager
def _quiet(colmap: Any) -> Any:  # noqa: ANN401
    """COLMAP tells every step of its work; a progress bar says enough."""
    before = colmap.logging.minloglevel
    colmap.logging.minloglevel = _ERRORS_ONLY
    try:
        yield
    finally:
        colmap.logging.minloglevel = before
