"""The query: pixels and what is believed of the camera, each belief with its source."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossfix.errors import PhotoError


@dataclass(frozen=True)
class Sourced:
    """A number and where it comes from.

    Args:
        value: in the unit of the field that holds it.
        source: such as ``exif:GPSLatitude``, ``xmp:drone-dji:GimbalYawDegree`` or ``flag``; words in brackets qualify the reading.
    """

    value: float
    source: str


@dataclass(frozen=True)
class Prior:
    """What is believed of a photo's camera before anything is matched. Every field may be missing.

    Args:
        lon: camera position, degrees.
        lat: camera position, degrees.
        radius_m: how far from (lon, lat) the camera may be, metres.
        height_m: metres above ground, or above the take-off point where that is all the photo knows (the source tells).
        heading_deg: degrees clockwise from true north, 0 to 360, of the view direction (of the picture's upper edge looking straight down).
        pitch_deg: the camera's, 0 level, -90 straight down.
        roll_deg: about the view direction, positive clockwise as seen from behind the camera.
        fov_deg: horizontal field of view of the upright picture.
    """

    lon: Sourced | None = None
    lat: Sourced | None = None
    radius_m: Sourced | None = None
    height_m: Sourced | None = None
    heading_deg: Sourced | None = None
    pitch_deg: Sourced | None = None
    roll_deg: Sourced | None = None
    fov_deg: Sourced | None = None

    @property
    def has_position(self) -> bool:
        """Whether both coordinates are known."""
        return self.lon is not None and self.lat is not None

    @property
    def heading_may_be_reversed(self) -> bool:
        """Whether the heading may be half a turn off by the nature of its source.

        A gimbal near the vertical swings through half a turn without the stored picture following, so the yaw it reports for a picture
        that looks straight down (pitch below -75) is the picture's upper edge or the opposite of it.
        """
        if self.heading_deg is None or self.pitch_deg is None:
            return False
        return "Gimbal" in self.heading_deg.source and self.pitch_deg.value < -75

    def without_position(self) -> Prior:
        """The same prior without lon, lat and radius, as after ``--no-gps``."""
        return replace(self, lon=None, lat=None, radius_m=None)

    def merged(self, other: Prior) -> Prior:
        """This prior overruled by another.

        Args:
            other: wins in every field that it sets.

        Returns:
            A new prior.
        """
        return replace(self, **{f.name: value for f in fields(other) if (value := getattr(other, f.name)) is not None})

    def to_dict(self) -> dict[str, dict[str, float | str] | None]:
        """For JSON: each field as ``{"value", "source"}``, or null where it is unknown."""
        return {f.name: None if (s := getattr(self, f.name)) is None else {"value": s.value, "source": s.source} for f in fields(self)}


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture to be located.

    Args:
        name: the file's name, or a caller's name for pixels from elsewhere.
        path: the file, if there is one.
        pixels: (H, W, 3) uint8 RGB, upright.
        prior: what is believed of the camera.

    Raises:
        PhotoError: the pixels are not an (H, W, 3) uint8 picture.
    """

    name: str
    path: Path | None
    pixels: NDArray[np.uint8]
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8 or self.pixels.size == 0:
            raise PhotoError(f"pixels of shape {self.pixels.shape} and type {self.pixels.dtype} are no RGB picture", where=self.name)

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[0])
