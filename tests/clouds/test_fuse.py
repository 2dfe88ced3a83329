"""Depths and cameras become the points they were made from; sky is found where a camera sees it."""

from __future__ import annotations

import numpy as np
import pytest

from clouds.town import Seen, views
from crossfix.clouds.fuse import Prediction, sky_mask, trusted
from crossfix.errors import DataError


def exact(seen: tuple[Seen, ...]) -> Prediction:
    rotation = np.stack([view.camera.rotation.T for view in seen])
    eyes = np.stack([view.eye_3 for view in seen])
    shift = -np.einsum("sij,sj->si", rotation, eyes)
    depth = np.stack([view.depth for view in seen])
    intrinsics = np.stack([view.camera.intrinsics for view in seen])
    return Prediction(depth, np.ones_like(depth), np.concatenate([rotation, shift[..., None]], -1), intrinsics)


def test_exact_depths_and_cameras_give_the_exact_points() -> None:
    seen = views()
    prediction = exact(seen)
    np.testing.assert_allclose(prediction.eyes(), [view.eye_3 for view in seen], atol=1e-9)
    for view, points in zip(seen, prediction.points(), strict=True):
        np.testing.assert_allclose(points[np.isfinite(view.depth)], view.points()[0], atol=1e-3)


def test_depths_that_are_none_give_no_points() -> None:
    prediction = exact(views())
    prediction.depth_SHW[0, :2, :3] = np.array([[np.inf, np.nan, 0], [-1, 5, 5]])
    bad = np.isnan(prediction.points()[0]).any(axis=-1)
    assert bad[:2, :3].tolist() == [[True, True, True], [True, False, False]]
    rgb = np.zeros((*prediction.depth_SHW.shape, 3), np.uint8)
    assert not (trusted(prediction, rgb, percentile=0, sky=False) & np.isnan(prediction.points()).any(axis=-1)).any()


def test_the_percentile_is_taken_over_all_views_together() -> None:
    shape = (2, 10, 10)
    confidence = np.arange(200, dtype=np.float32).reshape(shape)
    cameras, intrinsics = np.tile(np.eye(3, 4), (2, 1, 1)), np.tile(np.eye(3), (2, 1, 1))
    prediction = Prediction(np.ones(shape, np.float32), confidence, cameras, intrinsics)
    rgb = np.zeros((*shape, 3), np.uint8)
    kept = trusted(prediction, rgb, percentile=50, sky=False)
    assert not kept[0].any()
    assert kept[1].all()
    assert trusted(prediction, rgb, percentile=0, sky=False).all()


def test_sky_is_left_out_where_a_view_has_any_and_nothing_else_is() -> None:
    for seen in (views(count=4, pitch=-4.0), views()):
        prediction = exact(seen)
        sky = ~np.isfinite(prediction.depth_SHW)
        prediction.depth_SHW[sky] = 500.0  # a network gives sky some depth too
        prediction.confidence_SHW[~sky] = 2.0
        kept = trusted(prediction, np.stack([view.rgb for view in seen]), percentile=0, sky=True)
        assert kept[sky].sum() <= 0.1 * sky.sum()
        assert kept[~sky].mean() > 0.97


def test_sky_is_found_by_its_looks() -> None:
    level = views(count=4, pitch=-4.0)
    sky = np.stack([~np.isfinite(view.depth) for view in level])
    assert 0.1 < sky.mean() < 0.9  # these views look across the town
    found = np.stack([sky_mask(view.rgb) for view in level])
    assert found[sky].mean() > 0.9
    assert found[~sky].mean() < 0.1


def test_shapes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(DataError, match="do not go together"):
        Prediction(np.ones((2, 4, 4), np.float32), np.ones((2, 4, 4), np.float32), np.zeros((3, 3, 4)), np.zeros((2, 3, 3)))
