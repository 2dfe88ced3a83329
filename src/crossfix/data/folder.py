"""Anybody's own images as a benchmark: folders by place, or a table that says what is known of each image.

By place: ``query/<place>/*.jpg`` and ``gallery/<place>/*.jpg``; the same name under both means the same place, and gallery places that no
query shows are distractors. By table: see :mod:`crossfix.data.table`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.table import TABLE, read_table
from crossfix.data.view import View, is_image, natural_key
from crossfix.errors import DataError, InputError

QUERY = "query"
GALLERY = "gallery"
_LAYOUT = f"lay the images out as {QUERY}/PLACE/*.jpg and {GALLERY}/PLACE/*.jpg, or list them in {TABLE}"


class Folder:
    """Your own images: folders by place, or a table of images with positions.

    Source: you. Two layouts, told apart by whether ``images.csv`` is there:

    * ``query/PLACE/*.jpg`` and ``gallery/PLACE/*.jpg``: the same folder name means the same place.
    * ``images.csv`` with a header: ``file`` (relative to the folder) and ``role`` (query or gallery), then what is known of the image:
      ``place``, ``kind`` (ground, drone, satellite), ``lat``, ``lon``, ``height_m``, ``heading_deg``, ``pitch_deg``. Right is the same
      ``place``; in a table without that column, a gallery image within 25 m.

    Counts, licence and ground resolution are yours. Known faults: none that we could know.
    """

    name: ClassVar[str] = "folder"
    splits: ClassVar[tuple[str, ...]] = ("all",)
    directions: ClassVar[tuple[Direction, ...]] = ("any",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def task(self, split: str = "all", direction: Direction = "any") -> Task:
        """All queries among all gallery images.

        Raises:
            InputError: for another split or direction.
            DataError: where the folder is not laid out so.
        """
        if split != "all" or direction != "any":
            raise InputError(f"a folder has no split {split!r} or direction {direction!r}", where=self.root, mend="leave both out")
        if not self.root.is_dir():
            raise DataError("there is no such folder", where=self.root, mend=_LAYOUT)
        if (self.root / TABLE).exists():
            query, gallery, positives = read_table(self.root)
        else:
            query, gallery = _half(self.root / QUERY), _half(self.root / GALLERY)
            positives = same_place(query, gallery)
        return Task(self.name, split, direction, query, gallery, positives, None, None)

    def inspect(self) -> Iterator[Finding | Count]:
        """What keeps the folder from being read, and the places that have queries but nothing to find."""
        try:
            task = self.task()
        except DataError as error:
            yield Finding("missing", error.where or "", error.what, error.mend or "")
            return
        alone = sorted({view.place for view, rows in zip(task.query, task.positives, strict=True) if len(rows) == 0}, key=natural_key)
        for place in alone:
            yield Finding(
                "missing", place, "its queries have no right image in the gallery", "add images of the place or take the queries out"
            )

    def images(self) -> list[View]:
        """All images, queries first."""
        task = self.task()
        return [*task.query, *task.gallery]


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
