"""Clouds of what views see, by any function that looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clouds.town import views
from crossfix.clouds.backend import NoCloudError
from crossfix.clouds.degrade import Dials
from crossfix.clouds.from_world import WorldBackend

SEEN = {Path(f"{number}.jpg"): view for number, view in enumerate(views())}


def test_an_exact_cloud_is_all_that_the_views_see_with_its_colours() -> None:
    got = WorldBackend(SEEN.__getitem__, Dials(), points=10**6).reconstruct(list(SEEN), "a")
    every = [view.points() for view in SEEN.values()]
    np.testing.assert_array_equal(got.cloud.xyz_N3, np.concatenate([xyz for xyz, _ in every]))
    np.testing.assert_array_equal(got.cloud.rgb_N3, np.concatenate([rgb for _, rgb in every]))
    assert (got.cloud.frame, got.views, got.registered) == ("enu", 6, 6)
    np.testing.assert_array_equal(got.seen_from_V3[2], SEEN[Path("2.jpg")].eye_3)


def test_fewer_views_see_less() -> None:
    backend = WorldBackend(SEEN.__getitem__, Dials(), points=10**6)
    assert len(backend.reconstruct(list(SEEN)[:1], "a").cloud) < len(backend.reconstruct(list(SEEN), "a").cloud) / 4


def test_clouds_are_keyed_by_their_names() -> None:
    backend = WorldBackend(SEEN.__getitem__, Dials(noise=1), points=500, seed=2)
    a, again, b = (backend.reconstruct(list(SEEN), key).cloud.xyz_N3 for key in ("a", "a", "b"))
    np.testing.assert_array_equal(a, again)
    assert not np.array_equal(a, b)


def test_nothing_within_the_reach_is_a_reason() -> None:
    with pytest.raises(NoCloudError, match="nothing within the reach"):
        WorldBackend(SEEN.__getitem__, Dials(reach=1e-6)).reconstruct(list(SEEN), "a")
