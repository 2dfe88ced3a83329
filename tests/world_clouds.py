"""Exact clouds of sets that worlds were written as, where training looks for them."""

from __future__ import annotations

from pathlib import Path

from crossfix.clouds.build import build_clouds, plan_jobs
from crossfix.clouds.degrade import Dials
from crossfix.clouds.from_world import WorldBackend
from crossfix.clouds.layout import cloud_folder
from crossfix.data.registry import open_dataset
from crossfix.worlds.sets.exact import ExactSet


def build_world_clouds(root: Path, data: str, split: str, groups: int = 2, side: int = 64) -> Path:
    """As ``crossfix clouds build --backend world`` does it, of two views a cloud; returns the folder."""
    exact = ExactSet(root)
    views = [(view.place, view.path) for view in open_dataset(data, root).task(split, "d2s").query]
    backend = WorldBackend(lambda path: exact.sight(path, side), Dials(reach=130.0), points=5000)
    folder = cloud_folder(root, data, split)
    build_clouds(folder, plan_jobs(views, groups, 2), backend)
    return folder
