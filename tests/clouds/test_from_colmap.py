"""COLMAP for real on views of a procedural town, and what is said where pycolmap is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from clouds.town import stored, views
from crossfix.clouds.align import umeyama
from crossfix.clouds.backend import NoCloudError
from crossfix.clouds.compare import compare
from crossfix.clouds.from_colmap import ColmapBackend
from crossfix.errors import InputError


def test_without_pycolmap_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)  # importing it fails as where it is not installed
    with pytest.raises(InputError, match=r"the pycolmap package is not installed; install crossfix\[colmap\]"):
        ColmapBackend()


def test_the_town_is_found_again(tmp_path: Path) -> None:
    seen = views(count=9, width=480, height=360, arc=90, samples=2)
    built = ColmapBackend().reconstruct(stored(seen, tmp_path), "a")
    assert built.cloud.frame == "level"
    assert built.registered >= 8
    assert built.facts["reprojection_px"] < 1.0
    found = np.isfinite(built.seen_from_V3).all(axis=1)
    assert found.sum() == built.registered
    true = np.stack([view.eye_3 for view in seen])
    similarity = umeyama(built.seen_from_V3[found], true[found])
    assert np.linalg.norm(similarity.apply(built.seen_from_V3[found]) - true[found], axis=1).max() < 1.0
    assert (similarity.rotation_33 @ [0, 0, 1])[2] > 0.99  # level, and up is up
    known = np.concatenate([view.points()[0] for view in seen])
    assert compare(similarity.apply(built.cloud.xyz_N3), known).accuracy_median < 0.5


def test_two_runs_find_the_same(tmp_path: Path) -> None:
    paths = stored(views(count=7, width=320, height=240, arc=70, samples=2), tmp_path)
    one, other = (ColmapBackend(seed=3).reconstruct(paths, "a") for _ in range(2))
    assert np.array_equal(one.cloud.xyz_N3, other.cloud.xyz_N3)
    assert np.array_equal(one.seen_from_V3, other.seen_from_V3)


def test_views_that_do_not_match_are_a_reason(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(path)
    with pytest.raises(NoCloudError, match="cannot be matched") as error:
        ColmapBackend().reconstruct(paths, "a")
    assert error.value.reason == "views not matched"
    with pytest.raises(NoCloudError, match="2 views are too few"):
        ColmapBackend().reconstruct(paths[:2], "a")


def test_dense_clouds_need_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycolmap.has_cuda", False)
    with pytest.raises(InputError, match="without CUDA"):
        ColmapBackend(dense=True)
