"""A small procedural place, the views of it and their exact depths, for the tests that need a truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from crossfix.geo.camera import Camera
from crossfix.worlds import Epoch, World


@dataclass(frozen=True, eq=False)
class Seen:
    camera: Camera
    rgb: np.ndarray
    depth: np.ndarray  # along the view direction, infinite for sky

    @property
    def eye_3(self) -> np.ndarray:
        return np.array([self.camera.east_m, self.camera.north_m, self.camera.up_m])

    @property
    def projection_34(self) -> np.ndarray:
        return self.camera.projection

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        rays = self.camera.directions().astype(np.float64)
        rays /= (rays @ self.camera.rotation[:, 2])[..., None]
        known = np.isfinite(self.depth)
        return (self.eye_3 + rays * self.depth[..., None])[known], self.rgb[known]


@lru_cache(maxsize=2)
def views(count: int = 6, width: int = 140, height: int = 98, pitch: float = -50.0, arc: float = 360, samples: int = 1) -> tuple[Seen, ...]:
    """Views on an arc about the middle of a town, 70 m up."""
    scene = World("town", 5, 120, texel_m=0.5).scene(Epoch.draw(3))
    found = []
    for number in range(count):
        heading = arc * number / count
        back = 70 / np.tan(np.radians(-pitch))
        east, north = -back * np.sin(np.radians(heading)), -back * np.cos(np.radians(heading))
        camera = Camera(float(east), float(north), 70.0, heading, pitch, 50.0, width, height)
        shot, exact = (scene.perspective(camera, samples=each) for each in (samples, 1))
        along = exact.directions @ camera.rotation[:, 2]
        found.append(Seen(camera, shot.rgb, np.asarray(exact.depth * along, np.float32)))
    return tuple(found)


def stored(seen: tuple[Seen, ...], folder: Path) -> list[Path]:
    """The views as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:02d}.png" for number in range(len(seen))]
    for path, view in zip(paths, seen, strict=True):
        Image.fromarray(view.rgb).save(path)
    return paths
