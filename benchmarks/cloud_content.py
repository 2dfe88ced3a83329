"""What clouds of a GeoLink training tell: how often photos find their place by its satellite picture, by its cloud, by both.

The training's 3D branch, which nobody deploys, is kept in its checkpoint. Here it describes clouds of places that it has not seen; a score
with both is that with the picture plus a weight times that with the cloud, the best of ``WEIGHTS`` on the first half of the places,
measured on the second. It is what a map with heights would be worth at the time of the question. The gallery is of the places with a cloud.

crossfix clouds build LAB --data worlds-v1 --backend world --split seen --groups 1 --out CLOUDS/seen      # likewise: middle
python benchmarks/cloud_content.py LAB CLOUDS claims/geolink/all-0 claims/geolink/all-1 claims/geolink/all-2
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from crossfix.data.view import View
from crossfix.data.worldsv1 import WorldsV1
from crossfix.evaluate.claims import geolink
from crossfix.evaluate.describe import describe_task
from crossfix.models.describe import Describer
from crossfix.models.folder import load_model
from crossfix.train.config import TrainConfig
from crossfix.train.files import read_json
from crossfix.train.linked import Linked, build_linked
from crossfix.train.training_clouds import FoundClouds, sampled

PARTS = ("seen", "middle")
WEIGHTS = np.linspace(0, 1, 11)
_BATCH = 64


def linked(run: Path) -> tuple[TrainConfig, Linked]:
    """The training module of a finished run, with the weights of its last step."""
    config = {trial.name: trial.config for trial in geolink()}[run.name.rpartition("-")[0]]
    assert config.geolink is not None, f"{run} has no clouds"
    made = build_linked(config, config.geolink)
    with safe_open(run / read_json(run / "checkpoint.json")["file"], "pt") as file:
        made.load_state_dict({name.removeprefix("module/"): file.get_tensor(name) for name in file.keys() if name.startswith("module/")})  # noqa: SIM118
    return config, made.eval()


def clouds_of(run: Path, folder: Path, places: list[str], cache: Path) -> np.ndarray:
    """Descriptors (G, D) of the places' clouds, north up."""
    config, module = linked(run)
    assert config.geolink is not None
    clouds = sampled(FoundClouds.of(folder, places, None), config.geolink, cache)
    rows = [clouds.rows[place][0] for place in places]
    parts = []
    with torch.no_grad():
        for some in (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)):
            parts.append(module.link.points(clouds.pts_MNC[some], clouds.table_MT[some]).float().numpy())
    return np.concatenate(parts)


def with_cloud(views: list[View], folder: Path) -> list[int]:
    """Rows of the satellite pictures whose places have a cloud."""
    having = FoundClouds.of(folder, [view.place for view in views], None).files
    return [row for row, view in enumerate(views) if view.place in having]


def first(score_QG: np.ndarray, own_Q: np.ndarray) -> np.ndarray:
    """Whether each photo's own place comes first, bool (Q,)."""
    return score_QG.argmax(1) == own_Q


def main(root: Path, folder: Path, runs: list[Path]) -> None:
    lab = WorldsV1(root)
    for part in PARTS:
        task = lab.task(part, "d2s")
        rows_G = with_cloud(list(task.gallery), folder / part)
        places = [task.gallery[row].place for row in rows_G]
        own_Q = np.array([places.index(view.place) for view in task.query])
        late_Q = own_Q >= len(places) // 2
        for run in runs:
            _, card = load_model(run)
            describer = Describer(linked(run)[1].model, card)
            query_QRD, picture_GD = describe_task(describer, task)
            picture_GD = picture_GD[rows_G]
            cloud_GD = clouds_of(run, folder / part, places, folder)
            by_picture_QRG, by_cloud_QRG = query_QRD @ picture_GD.T, query_QRD @ cloud_GD.T
            hits = [first((by_picture_QRG + weight * by_cloud_QRG).max(1), own_Q) for weight in WEIGHTS]
            best = int(np.argmax([hit[~late_Q].mean() for hit in hits]))
            own_G = np.arange(len(places))
            found = {
                "photo to picture": hits[0][late_Q].mean(),
                "photo to cloud": first(by_cloud_QRG.max(1), own_Q)[late_Q].mean(),
                "photo to both": hits[best][late_Q].mean(),
                "picture to cloud": first(picture_GD @ cloud_GD.T, own_G)[len(places) // 2 :].mean(),
            }
            print(
                part, run.name, *(f"{name} {100 * value:.1f}" for name, value in found.items()), f"weight {WEIGHTS[best]:.1f}", flush=True
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(run) for run in sys.argv[3:]])
