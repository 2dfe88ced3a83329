"""What every way to make clouds has in common: views of a place in, a cloud out, or a reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossfix.clouds.cloud import Cloud
from crossfix.errors import DataError, PhotoError
from crossfix.geo.metadata import read_photo


@dataclass(frozen=True, eq=False)
class Built:
    """A cloud and how it came about.

    Attributes:
        cloud: of all points that were found.
        views: pictures given.
        registered: pictures of which the camera was found.
        seen_from_V3: (V, 3) cameras of the pictures given, in the cloud's frame; NaN for those not found.
        facts: further numbers for the report, such as the reprojection error.
        cameras_V34: (V, 3, 4) projections of the pictures given, from metres of the cloud's frame to (x w, y w, w), x and y from -1 to 1
            between the picture's outer edges; NaN for those not found, None where the frame knows no metres.
    """

    cloud: Cloud
    views: int
    registered: int
    seen_from_V3: npt.NDArray[np.float64]
    facts: dict[str, float] = field(default_factory=dict)
    cameras_V34: npt.NDArray[np.float64] | None = None


class NoCloudError(DataError):
    """A place of which no cloud could be made.

    Args:
        reason: one or two words under which a report counts it.
        what: as for every error.
        mend: as for every error.
    """

    def __init__(self, reason: str, what: str, *, mend: str | None = None) -> None:
        super().__init__(what, mend=mend)
        self.reason = reason


class Backend(Protocol):
    """A way to make clouds."""

    name: str
    #: On what terms its code and weights may be used; named before it runs. Empty for our own.
    licence: str

    def options(self) -> dict[str, object]:
        """What decides over its clouds, as JSON values: clouds made otherwise are not mixed with these."""
        ...

    def reconstruct(self, views: Sequence[Path], key: str) -> Built:
        """Make a cloud.

        Args:
            views: pictures of one place.
            key: names the cloud; of random draws.

        Raises:
            NoCloudError: it cannot be made of these views.
        """
        ...


def read_view(path: Path) -> npt.NDArray[np.uint8]:
    """A picture, (H, W, 3) uint8 RGB, upright.

    Raises:
        NoCloudError: it cannot be read.
    """
    try:
        return read_photo(path).pixels
    except PhotoError as error:
        raise NoCloudError("unreadable view", f"{path.name}: {error.what}", mend="replace the picture") from error
