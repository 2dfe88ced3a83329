"""Where the views of clouds were taken from: what a reconstruction knows besides its points, as the clouds' notes keep it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossfix.clouds.files import NOTE, read_note
from crossfix.clouds.layout import view_key
from crossfix.errors import DataError
from crossfix.train.training_clouds import FoundClouds

Projection = npt.NDArray[np.float32]


class ViewCameras:
    """The cameras of the views that some places' clouds were made of.

    Args:
        found: the clouds.

    Raises:
        DataError: where no cloud's note tells any, or one is damaged.
    """

    def __init__(self, found: FoundClouds) -> None:
        self._of: dict[str, dict[str, Projection]] = {}
        for place, files in found.files.items():
            known: dict[str, Projection] = {}
            for path in (file.parent / NOTE for file in files):
                if path.is_file():
                    known |= {key: _projection(values, path) for key, values in (read_note(path).get("cameras") or {}).items()}
            self._of[place] = dict(sorted(known.items()))
        if not any(self._of.values()):
            raise DataError(
                "no cloud tells the cameras of its views in metres",
                where=found.folder,
                mend="build the clouds with crossfix clouds build --backend world, or leave the term tokens out",
            )

    def of(self, place: str, view: Path, giver: str | None = None) -> Projection | None:
        """The camera of a view.

        Args:
            place: that the view shows.
            view: its file.
            giver: another place, whose camera is given instead: that of as manieth a view.

        Returns:
            (3, 4) float32, see `Built.cameras_V34`; None where it is not known.
        """
        own = self._of.get(place, {})
        if giver is None:
            return own.get(view_key(view))
        others = list(self._of.get(giver, {}).values())
        number = next((number for number, key in enumerate(own) if key == view_key(view)), None)
        return None if number is None or not others else others[number % len(others)]


def _projection(values: object, path: Path) -> Projection:
    try:
        camera_34 = np.asarray(values, np.float32).reshape(3, 4)
    except (ValueError, TypeError):
        camera_34 = np.full((3, 4), np.nan, np.float32)
    if not np.isfinite(camera_34).all():
        raise DataError("holds a camera that is no matrix of 3 x 4 numbers", where=path, mend="delete it and build the cloud again")
    return camera_34
