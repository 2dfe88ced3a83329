"""The exact geometry behind the drone views of a written set: its worlds are made again from the plan that was kept beside it.

Which camera took which file is found out by rehearsal: the set's own writer takes every picture once more, of a studio that only notes the
camera. So there is no second list of poses that could differ from the first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.errors import DataError
from crossfix.geo.camera import Camera
from crossfix.worlds.sets.plan import NOTES, SetPlan, TreeWriter, world_seed
from crossfix.worlds.sets.registry import writer
from crossfix.worlds.sets.worldsv1 import WorldsV1Writer
from crossfix.worlds.sites import PHOTO, Rgb, Site, Studio


@dataclass(frozen=True, eq=False)
class Sight:
    """What a drone view shows, exactly. Frame: metres east, north and up of the ground at the place.

    Attributes:
        camera: in that frame, with the size of ``depth_HW``.
        depth_HW: (H, W) float32 metres along the view direction (z, not range), infinite for sky.
        rgb_HW3: (H, W, 3) uint8, without the sensor's errors.
    """

    camera: Camera
    depth_HW: npt.NDArray[np.float32]
    rgb_HW3: Rgb

    @property
    def eye_3(self) -> npt.NDArray[np.float64]:
        """(3,) where the camera is."""
        return np.array([self.camera.east_m, self.camera.north_m, self.camera.up_m])

    @property
    def projection_34(self) -> npt.NDArray[np.float64]:
        """(3, 4) matrix to the picture, see `Camera.projection`."""
        return self.camera.projection

    def points(self) -> tuple[npt.NDArray[np.float64], Rgb]:
        """The points seen, (N, 3) metres, and their colours, (N, 3) uint8."""
        seen = np.isfinite(self.depth_HW)
        rays = self.camera.directions()[seen].astype(np.float64)
        rays /= (rays @ self.camera.rotation[:, 2])[:, None]
        return self.eye_3 + rays * self.depth_HW[seen][:, None], self.rgb_HW3[seen]


@dataclass(frozen=True)
class _Taken:
    """Half and number of the world, the place, the camera in the world's frame, and the day."""

    world: tuple[str, int]
    site: Site
    camera: Camera
    day: str


_Found = dict[str, _Taken]


class ExactSet:
    """A set that ``crossfix world write`` wrote.

    Args:
        root: the set's folder.

    Raises:
        DataError: the folder holds no such set.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / NOTES / "plan.json"
        try:
            plan: dict[str, Any] = json.loads(path.read_text())
            self.name = str(plan["set"])
            self._writer = _writer_of(self.name, plan)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError("is no set of worlds", where=root, mend="write one with: crossfix world write") from error
        self._found: _Found = {}
        made = self._writer(root)
        self._left = [(half, number) for half in made.parts for number in range(len(made.worlds(half)))]
        # A world's scene takes much memory; views come place by place.
        self._studio = lru_cache(maxsize=1)(self._make_studio)

    def camera(self, path: Path) -> Camera:
        """The camera of a drone view, as :class:`Sight` has it, with the size of the file.

        Args:
            path: of the view, below the set's folder.

        Raises:
            DataError: no drone of this set took it.
        """
        shot = self._find(path)
        return _about(self._studio(*shot.world), shot.site, shot.camera)

    def sight(self, path: Path, px: int | None = None) -> Sight:
        """Look once more from where a drone view was taken.

        Args:
            path: of the view, below the set's folder.
            px: width in pixels; as the file if none is given.

        Raises:
            DataError: no drone of this set took it.
        """
        taken = self._find(path)
        studio, camera = self._studio(*taken.world), taken.camera
        if px is not None:
            camera = replace(camera, width=px, height=max(1, round(camera.height * px / camera.width)))
        shot = studio.day(taken.day, 0).perspective(camera, samples=1)
        along = np.asarray(shot.directions @ camera.rotation[:, 2], np.float32)
        return Sight(_about(studio, taken.site, camera), np.asarray(shot.depth * along, np.float32), shot.rgb)

    def _find(self, path: Path) -> _Taken:
        try:
            name = path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            name = ""
        folders = Path(name).parts
        if name not in self._found:  # sets that have a folder for each half tell of where to look first
            self._left.sort(key=lambda world: world[0] not in folders)
        while name not in self._found and self._left:
            self._rehearse(*self._left.pop(0))
        if name not in self._found:
            raise DataError("no drone of this set of worlds took it", where=path, mend=f"give a drone view of {self.root}")
        return self._found[name]

    def _rehearse(self, half: str, number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = self._writer(Path(folder))
            studio = _Blind(made.ground(half), world_seed(made, half), number)
            _note_cameras_(made, self._found, studio, (half, number))
            for site in studio.sites[: made.worlds(half)[number]]:
                made.take(studio, site, half)

    def _make_studio(self, half: str, number: int) -> Studio:
        made = self._writer(self.root)
        return Studio(made.ground(half), world_seed(made, half), number)


def _writer_of(name: str, plan: dict[str, Any]) -> Callable[[Path], TreeWriter]:
    """Makes the writer of a set anew, from the plan that was kept beside it, for any folder."""
    if name == WorldsV1Writer.name:
        return partial(WorldsV1Writer, small=bool(plan["small"]))
    fields = {field: plan[field] for field in ("places", "seed", "scale")}
    made = SetPlan(**fields, regions=tuple(plan["regions"]), halves=tuple(plan["halves"]))
    return lambda root: writer(name, root, made)


class _Blind(Studio):
    """A studio that takes no pictures; it keeps the camera and the site of the last one that a drone was to take."""

    last: tuple[Site, Camera, str] | None = None

    def drone(self, site: Site, name: str, camera: Camera, *, day: str = PHOTO) -> Rgb:
        self.last = site, camera, day
        return np.zeros((1, 1, 3), np.uint8)

    def satellite(self, *_: object, **__: object) -> Rgb:
        return np.zeros((1, 1, 3), np.uint8)

    street = panorama = satellite


def _note_cameras_(made: TreeWriter, found: _Found, studio: _Blind, world: tuple[str, int]) -> None:
    """Have a writer write no pictures but note who would have taken them."""

    class Noting(type(made)):  # type: ignore[misc]  # whichever of the sets it is
        def picture(self, name: str, make: Callable[[], Rgb]) -> None:
            self.pictures([name], make)

        def pictures(self, names: Sequence[str], make: Callable[[], Rgb]) -> None:
            studio.last = None
            make()
            if studio.last is not None:
                found.update((name, _Taken(world, *studio.last)) for name in names)

    made.__class__ = Noting


def _about(studio: Studio, site: Site, camera: Camera) -> Camera:
    ground = float(studio.world.ground_height(site.east_m, site.north_m))
    return replace(camera, east_m=camera.east_m - site.east_m, north_m=camera.north_m - site.north_m, up_m=camera.up_m - ground)
