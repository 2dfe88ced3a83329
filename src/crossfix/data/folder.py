"""Benchmarks laid out as folders: ``query/<place>/*.jpg`` and ``gallery/<place>/*.jpg``.

A place is the name of a folder; the same name under ``query`` and ``gallery`` means the same place. Gallery places that no query shows are
distractors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crossfix.data.view import View, is_image
from crossfix.errors import DataError

QUERY = "query"
GALLERY = "gallery"
_LAYOUT = f"lay the images out as {QUERY}/PLACE/*.jpg and {GALLERY}/PLACE/*.jpg"


@dataclass(frozen=True)
class Benchmark:
    """Queries and gallery of a benchmark, in natural order of place and file name."""

    query: list[View]
    gallery: list[View]


def read_folder(folder: Path) -> Benchmark:
    """List a benchmark folder's views without reading pixels.

    Hidden files and files that are no images are passed over.

    Raises:
        DataError: where the folder, one of its halves or all images of a place are missing.
    """
    if not folder.is_dir():
        raise DataError("there is no such folder", where=folder, mend=_LAYOUT)
    return Benchmark(_half(folder / QUERY), _half(folder / GALLERY))


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sorting key under which ``place2`` stands before ``place10``."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in re.split(r"(\d+)", name) if part)


def _half(folder: Path) -> list[View]:
    if not folder.is_dir():
        raise DataError("the folder is missing", where=folder, mend=_LAYOUT)
    try:
        places = [path for path in _sorted(folder) if path.is_dir()]
        views = {place.name: [View(path, place.name) for path in _sorted(place) if is_image(path)] for place in places}
    except OSError as error:
        raise DataError(f"the folder cannot be read ({error.strerror})", where=folder, mend="check its permissions") from error
    if not places:
        raise DataError("holds no folder of a place", where=folder, mend=_LAYOUT)
    for place, images in views.items():
        if not images:
            raise DataError("holds no image", where=folder / place, mend="add images or delete the folder")
    return [view for images in views.values() for view in images]


def _sorted(folder: Path) -> list[Path]:
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(visible, key=lambda path: (natural_key(path.name), path.name))
