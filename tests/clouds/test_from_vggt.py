"""VGGT's adapter with a network that knows the truth: all that comes after a network runs as it does with the real one.

The stand-in is a torch module with VGGT's output. As the real one it sees pictures alone, puts the origin into the first camera and chooses
a scale of its own for every batch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from clouds.town import Seen, stored, views
from crossfix.clouds.align import umeyama
from crossfix.clouds.backend import NoCloudError
from crossfix.clouds.compare import compare
from crossfix.clouds.from_vggt import VggtBackend, load_views
from crossfix.clouds.vggt_network import VggtNetwork, decode_poses, load_vggt
from crossfix.errors import InputError, ModelError


class StandIn(torch.nn.Module):
    def __init__(self, seen: tuple[Seen, ...], most: int = 99, unsure: float = 0.0) -> None:
        super().__init__()
        self.known = {view.rgb.tobytes(): view for view in seen}
        self.most, self.unsure = most, unsure
        self.batches: list[int] = []

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        rgb = (images[0].permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        self.batches.append(len(rgb))
        if len(rgb) > self.most:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes")
        seen = [self.known[picture.tobytes()] for picture in rgb]
        scale = 1.0 / (7 + len(self.batches))
        first = seen[0]
        poses, depths, sure = [], [], []
        for view in seen:
            rotation = view.camera.rotation.T @ first.camera.rotation
            shift = scale * view.camera.rotation.T @ (first.eye_3 - view.eye_3)
            half = np.arctan(np.array([view.camera.height, view.camera.width]) / 2 / view.camera.focal_px)
            poses.append(np.concatenate([shift, Rotation.from_matrix(rotation).as_quat(), 2 * half]))
            known = np.isfinite(view.depth)
            depths.append(np.where(known, view.depth, 50.0) * scale)
            sure.append(np.where(known, 5.0, 1.0))
        depth, confidence = np.stack(depths), np.stack(sure)
        if self.unsure:  # a tenth of the pixels is far off, and the network knows it
            wrong = np.random.default_rng(0).random(depth.shape) < self.unsure
            depth[wrong] *= 1.5
            confidence[wrong] = 1.2
        tensors = {"pose_enc": np.stack(poses), "depth": depth[..., None], "depth_conf": confidence}
        return {name: torch.from_numpy(value[None]).float() for name, value in tensors.items()}


def error_m(backend: VggtBackend, seen: tuple[Seen, ...], folder: Path) -> tuple[np.ndarray, float]:
    """Errors of the cameras, and the mean distance from the known points, in metres."""
    built = backend.reconstruct(stored(seen, folder), "a")
    assert built.registered == built.views == len(seen)
    assert built.cloud.frame == "level"
    true = np.stack([view.eye_3 for view in seen])
    similarity = umeyama(built.seen_from_V3, true)
    known = np.concatenate([view.points()[0] for view in seen])
    cameras = np.linalg.norm(similarity.apply(built.seen_from_V3) - true, axis=1)
    return cameras, compare(similarity.apply(built.cloud.xyz_N3), known).accuracy


@pytest.mark.parametrize("most", [99, 5, 3, 2])
def test_the_true_cloud_comes_out_whatever_the_batches(most: int, tmp_path: Path) -> None:
    seen = views()
    network = StandIn(seen, most)
    backend = VggtBackend(VggtNetwork(network), side_px=140, points=4000)
    cameras, away = error_m(backend, seen, tmp_path)
    assert cameras.max() < 0.01
    assert away < 0.01
    assert all(batch <= most for batch in network.batches[-2:])


def test_memory_that_does_not_suffice_halves_the_batch_and_then_says_so(tmp_path: Path) -> None:
    seen = views()
    network = StandIn(seen, 2)
    VggtBackend(VggtNetwork(network), side_px=140).reconstruct(stored(seen, tmp_path), "a")
    assert network.batches == [6, 3, 2, 2, 2, 2, 2]  # tried 6 and 3, then pairs with the first view
    with pytest.raises(NoCloudError, match="not even 2 views of 140 x 98 pixels fit into the memory") as error:
        VggtBackend(VggtNetwork(StandIn(seen, 1)), side_px=140).reconstruct(stored(seen, tmp_path), "a")
    assert error.value.reason == "out of memory"


def test_accelerators_run_out_of_memory_in_their_own_words(tmp_path: Path) -> None:
    class Full(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(NoCloudError, match="memory"):
        VggtBackend(VggtNetwork(Full()), side_px=140).reconstruct(stored(views(), tmp_path), "a")


def test_what_the_network_does_not_trust_is_left_out(tmp_path: Path) -> None:
    seen = views()
    backends = {share: VggtBackend(VggtNetwork(StandIn(seen, unsure=0.1)), side_px=140, confidence=share) for share in (0, 50)}
    assert error_m(backends[0], seen, tmp_path)[1] > 0.3
    assert error_m(backends[50], seen, tmp_path)[1] < 0.01


def test_level_means_that_the_ground_is_flat_and_the_cameras_are_above(tmp_path: Path) -> None:
    seen = views()
    built = VggtBackend(VggtNetwork(StandIn(seen)), side_px=140).reconstruct(stored(seen, tmp_path), "a")
    heights = built.seen_from_V3[:, 2] - np.median(built.cloud.xyz_N3[:, 2])
    assert heights.min() > 0
    assert np.ptp(heights) < 0.05 * heights.mean()


def test_another_network_than_vggt_is_told(tmp_path: Path) -> None:
    class Other(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"depth": images}

    with pytest.raises(ModelError, match="not VGGT's"):
        VggtBackend(VggtNetwork(Other()), side_px=140).reconstruct(stored(views(), tmp_path), "a")


def test_larger_views_need_more_memory() -> None:
    network = VggtNetwork(StandIn(()))
    assert network.views_at_once(98, 140) > network.views_at_once(392, 518) >= 1


def test_poses_are_decoded_as_encoded() -> None:
    turn = Rotation.from_euler("xyz", [[10, 20, 30], [-50, 5, 170]], degrees=True)
    pose = np.concatenate([np.array([[1.0, 2, 3], [4, 5, 6]]), 3 * turn.as_quat(), np.radians([[40, 60], [50, 70]])], axis=1)
    camera, intrinsics = decode_poses(pose, 84, 140)
    np.testing.assert_allclose(camera[:, :, :3], turn.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(camera[:, :, 3], [[1, 2, 3], [4, 5, 6]])
    assert intrinsics[0, 0, 0] == pytest.approx(70 / np.tan(np.radians(30)))
    assert intrinsics[0, 1, 1] == pytest.approx(42 / np.tan(np.radians(20)))
    assert (intrinsics[1, 0, 2], intrinsics[1, 1, 2]) == (69.5, 41.5)


def test_views_are_brought_to_one_shape(tmp_path: Path) -> None:
    paths = []
    for number, size in enumerate([(400, 300), (300, 300), (800, 600)]):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", size, (number, 0, 0)).save(paths[-1])
    got = load_views(paths, 140)
    assert got.shape == (3, 112, 140, 3)  # 105 rows would be no multiple of 14
    assert got[:, 50, 50, 0].tolist() == [0, 1, 2]
    paths[1].write_bytes(b"no picture")
    with pytest.raises(NoCloudError, match=r"1\.png"):
        load_views(paths, 140)


def test_without_the_package_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vggt", None)  # importing it fails as where it is not installed
    monkeypatch.delitem(sys.modules, "vggt.models.vggt", raising=False)
    with pytest.raises(InputError, match="the vggt package is not installed; install it from"):
        load_vggt()


@pytest.mark.parametrize("wrong", [{"confidence": 100}, {"side_px": 100}])
def test_options_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        VggtBackend(VggtNetwork(StandIn(())), **wrong)  # type: ignore[arg-type]
