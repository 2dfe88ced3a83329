"""A laboratory of textures with clouds that go with them: a place is as high as it is bright."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.data.lab_tree import write_lab

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.files import NOTE, POINTS_TEXT, write_cloud
from crossfix.clouds.layout import group_folder
from crossfix.data.worldsv1 import DRONE, SHOTS
from crossfix.disk import write_json
from crossfix.losses.geolink import TermsConfig
from crossfix.models.gengeo import ArchConfig, GemConfig
from crossfix.models.point_branch import PointConfig
from crossfix.train.augment import AugmentConfig, WarpConfig
from crossfix.train.config import OptimConfig, SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.ground import GroundViews

POINTS = 1100


def town(place: int, group: int = 0, points: int = POINTS) -> Cloud:
    """180 m of a place's own blocks, with points of the group's own."""
    heights = np.random.default_rng([1, place]).integers(0, 4, (6, 6)) * 8.0
    rng = np.random.default_rng([2, place, group])
    xy = rng.uniform(-90, 90, (points, 2))
    cell = np.clip(((xy + 90) / 30).astype(int), 0, 5)
    z = heights[cell[:, 0], cell[:, 1]] + rng.normal(0, 0.2, points)
    return Cloud(np.column_stack([xy, z]), rng.integers(0, 256, (points, 3), dtype=np.uint8), "enu")


def camera_axes(down_deg: float) -> npt.NDArray[np.float64]:
    """From east, north and up to right, down and forward of a camera that looks north and so far down."""
    sin, cos = np.sin(np.radians(down_deg)), np.cos(np.radians(down_deg))
    return np.array([[1, 0, 0], [0, -sin, -cos], [0, cos, -sin]])


def write_town(folder: Path, name: str, group: int, cloud: Cloud, cameras: dict[str, list[float]] | None = None) -> Path:
    """As ``crossfix clouds build`` leaves it."""
    place = group_folder(folder, name, group)
    write_cloud(place / POINTS_TEXT, cloud)
    write_json(place / NOTE, {"frame": cloud.frame} | ({} if cameras is None else {"cameras": cameras}))
    return place / POINTS_TEXT


def from_above(turn: int = 0) -> list[float]:
    """The camera, from very high above, of a picture that is the satellite picture, after some quarter turns to the left."""
    x_34, y_34, w_34 = np.array([[1 / 90, 0, 0, 0], [0, -1 / 90, 0, 0], [0, 0, 0, 1]])
    for _ in range(turn):
        x_34, y_34 = y_34, -x_34
    return [*x_34, *y_34, *w_34]


def write_lab_with_clouds(
    root: Path, trained: int = 12, groups: int = 2, points: int = POINTS, headings: bool = False, cameras: bool = False
) -> Path:
    """Returns the laboratory; its clouds lie in ``clouds/train``, each of which knows the cameras of some views if asked for."""
    write_lab(root, trained=trained, headings=headings)
    for place in range(trained):
        for group in range(groups):
            shots = range(1 + 2 * group, min(SHOTS, 2 + 2 * group) + 1)
            known = {f"{DRONE}-{shot}/{place + 1:05d}.jpg": from_above() for shot in shots} if cameras else None
            write_town(root / "clouds/train", f"train-{place + 1:05d}", group, town(place, group, points), known)
    return root


def matching(ground: GroundViews | None = None, **terms: float) -> TrainConfig:
    """A step of a tiny network on drone pictures, with some of the terms that need clouds in metres."""
    points = PointConfig(points=64, centres=(16, 8), growth=(2, 2), blocks=(0, 1), neighbours=4)
    chosen = TermsConfig(points=0.0, intra=0.0, mi=0.0, relation=0.0, **terms)
    return TrainConfig(
        recipe="tiny",
        arch=ArchConfig("test_resnet", 48, GemConfig(16), stride=8),
        data=SetData("worlds-v1", "train", "d2s", (48, 48), 48, draw="place"),
        steps=1,
        batch=8,
        held_out=4,
        optim=OptimConfig(learning_rate=2e-3, warmup_steps=2),
        augment=AugmentConfig(satellite=WarpConfig(rotate_deg=180.0), upright=False),
        precision="32-true",
        log_every=1,
        geolink=GeoLinkTraining(points=points, terms=chosen, satellite_side_m=180.0, sampling="random", radius_m=130.0),
        ground=ground,
    )


def first_terms(run: Path) -> dict[str, float]:
    """What each term came to in a training's first step."""
    terms: dict[str, float] = json.loads((run / "log.jsonl").read_text().splitlines()[0])["terms"]
    return terms
