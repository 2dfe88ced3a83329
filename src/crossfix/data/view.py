"""One image of a benchmark: what it shows, from where, and what is known of its camera."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.errors import DataError, PhotoError
from crossfix.geo.decode import read_pixels

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".jp2"})
ViewKind = Literal["ground", "drone", "satellite"]


@dataclass(frozen=True)
class View:
    """A benchmark image. What its data set does not say is None.

    Attributes:
        path: of the file.
        place: the place it shows, as the data set names it.
        kind: from where it looks.
        lon: degrees, WGS 84: of the camera of ground and drone views, of the middle of satellite views.
        lat: likewise.
        height_m: of the camera above ground.
        heading_deg: bearing of the middle column of the picture (of the upper edge, for pictures that look straight down).
        pitch_deg: of the camera.
        xy_m: (east, north) in metres in the data set's own plane, for sets of a world that is not this one.
    """

    path: Path
    place: str
    kind: ViewKind | None = None
    lon: float | None = None
    lat: float | None = None
    height_m: float | None = None
    heading_deg: float | None = None
    pitch_deg: float | None = None
    xy_m: tuple[float, float] | None = None

    def read(self) -> npt.NDArray[np.uint8]:
        """The picture, upright, (H, W, 3) uint8 RGB.

        Raises:
            DataError: where it cannot be read.
        """
        try:
            return read_pixels(self.path, _decode_jpeg)
        except PhotoError as error:
            raise DataError(error.what, where=self.path, mend="replace the file or take it out") from error


def _decode_jpeg(stored: bytes) -> npt.NDArray[np.uint8] | None:
    """By OpenCV: the same library and the same pixels as Pillow's, but straight into an array."""
    try:
        decoded = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if decoded is None else decoded.astype(np.uint8, copy=False)


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name, and no hidden one."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sorting key under which ``place2`` stands before ``place10``."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in re.split(r"(\d+)", name) if part)
