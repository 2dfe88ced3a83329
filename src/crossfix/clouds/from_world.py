"""Exact clouds of procedural places: what their drone views see, spoilt as much as is asked for.

This room knows nothing of worlds; who calls it gives a function that looks again from where a view was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossfix.clouds.backend import Built, NoCloudError
from crossfix.clouds.cloud import Cloud
from crossfix.clouds.degrade import Dials, degrade
from crossfix.clouds.sampling import keyed_rng

POINTS = 30_000
#: Width at which views are looked at again: a point every metre or two, of each of a group's views.
SIDE_PX = 160
#: The default reach: University-1652's satellite squares of worlds are 180 m wide, half their diagonal is 127 m.
REACH_M = 130.0


class Sight(Protocol):
    """What a view shows, in metres east, north and up of the ground at its place."""

    @property
    def eye_3(self) -> npt.NDArray[np.float64]:
        """(3,) where the camera is."""
        ...

    @property
    def projection_34(self) -> npt.NDArray[np.float64]:
        """(3, 4) matrix from metres to the picture, see `Built.cameras_V34`."""
        ...

    def points(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """The points seen, (N, 3), and their colours, (N, 3)."""
        ...


class WorldBackend:
    """Makes clouds of frame "enu": metres about the ground at the place.

    Args:
        look: what a view shows.
        dials: how the clouds are spoilt.
        points: at most so many a cloud.
        seed: of all draws.
    """

    name = "world"
    licence = ""

    def __init__(self, look: Callable[[Path], Sight], dials: Dials, *, points: int = POINTS, seed: int = 0) -> None:
        self._look, self.dials, self.points, self.seed = look, dials, points, seed

    def options(self) -> dict[str, object]:
        """The dials and the seed."""
        return {**self.dials.to_dict(), "points": self.points, "seed": self.seed}

    def reconstruct(self, views: Sequence[Path], key: str) -> Built:
        """Collect what the views see.

        Args:
            views: drone views of one place of a world.
            key: names the cloud.

        Raises:
            NoCloudError: they see nothing within the reach.
            DataError: a view is none of the set.
        """
        sights = [self._look(view) for view in views]
        found = [sight.points() for sight in sights]
        xyz, rgb = (np.concatenate([pair[i] for pair in found]) for i in (0, 1))
        if self.dials.reach is not None and not (np.hypot(xyz[:, 0], xyz[:, 1]) <= self.dials.reach).any():
            raise NoCloudError("nothing in reach", "its views see nothing within the reach", mend="raise the reach")
        cloud = degrade(Cloud(xyz, rgb.astype(np.uint8), "enu"), self.dials, self.points, keyed_rng(self.seed, "degrade", key))
        eyes, cameras = np.stack([sight.eye_3 for sight in sights]), np.stack([sight.projection_34 for sight in sights])
        return Built(cloud, len(views), len(views), eyes, cameras_V34=cameras)
