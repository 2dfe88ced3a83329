"""Folders of places, ``FOLDER/PLACE/*.jpg``: the layout that several benchmarks share, and the questions all of them are asked."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfix.data.dataset import Dataset, Finding, Rows
from crossfix.data.view import SUFFIXES, View, ViewKind, natural_key
from crossfix.errors import DataError, InputError

REFETCH = "unpack or download it again"


@dataclass(frozen=True)
class Places:
    """What a folder of places holds, hidden files passed over.

    Attributes:
        folder: of the places.
        images: files by place, both in natural order; a place without images has an empty list.
        extra: files that belong to no place or are no images.
    """

    folder: Path
    images: dict[str, list[Path]]
    extra: list[Path]

    @property
    def count(self) -> int:
        """How many images."""
        return sum(map(len, self.images.values()))

    def views(self, kind: ViewKind, only: Collection[str] | None = None) -> list[View]:
        """The images as views, of some places or of all."""
        chosen = self.images if only is None else {place: paths for place, paths in self.images.items() if place in only}
        return [View(path, place, kind) for place, paths in chosen.items() for path in paths]


def list_sorted(folder: Path) -> list[Path]:
    """A folder's visible entries in natural order.

    Raises:
        DataError: where it is missing or cannot be read.
    """
    return [path for path, _ in _entries(folder)]


def read_places(folder: Path) -> Places:
    """List a folder of places, whatever its state.

    Raises:
        DataError: where it is missing or cannot be read.
    """
    images: dict[str, list[Path]] = {}
    extra: list[Path] = []
    for path, is_folder in _entries(folder):
        if not is_folder:
            extra.append(path)
            continue
        images[path.name] = []
        for file, is_inner in _entries(path):
            (images[path.name] if file.suffix.lower() in SUFFIXES and not is_inner else extra).append(file)
    return Places(folder, images, extra)


def full_places(folder: Path) -> Places:
    """List a folder of places, each of which must have an image.

    Raises:
        DataError: where the folder is missing or cannot be read, has no place, or a place has no image.
    """
    places = read_places(folder)
    if not places.images:
        raise DataError("holds no folder of a place", where=folder, mend=REFETCH)
    for place, paths in places.images.items():
        if not paths:
            raise DataError("holds no image", where=folder / place, mend=REFETCH)
    return places


def all_right(query: Sequence[View], gallery: Path, positives: Sequence[Rows]) -> None:
    """Refuse a task in which a query's place is not in the gallery: half of the set is missing.

    Raises:
        DataError: naming the first such place.
    """
    for view, rows in zip(query, positives, strict=True):
        if len(rows) == 0:
            raise DataError("is missing, though there are queries of this place", where=gallery / view.place, mend=REFETCH)


def check_root(root: Path, name: str, marks: Sequence[str]) -> None:
    """Refuse a root that is none.

    Args:
        root: of the data set.
        name: of the data set, for the message.
        marks: files or folders of which a root holds at least one.

    Raises:
        DataError: saying what a right root holds.
    """
    if not root.is_dir():
        raise DataError("there is no such folder", where=root, mend=f"give the folder of {name}, which holds {' and '.join(marks)}")
    if not any((root / mark).exists() for mark in marks):
        raise DataError(f"is not the folder of {name}", where=root, mend=f"give the folder that holds {' and '.join(marks)}")


def check_asked(dataset: type[Dataset] | Dataset, split: str, direction: str) -> None:
    """Refuse a split or direction that a data set does not have.

    Raises:
        InputError: listing those it has.
    """
    for word, asked, has in (("split", split, dataset.splits), ("direction", direction, dataset.directions)):
        if asked not in has:
            raise InputError(f"{dataset.name} has no {word} {asked!r}", mend=f"choose {' or '.join(has)}")


class Survey:
    """What is wrong with the folders of places of a copy; each folder is listed once, as that takes minutes on a network disk.

    Args:
        root: of the data set. Folders are named relative to it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, Places | DataError] = {}

    def places(self, folder: str) -> Places | None:
        """A folder's places, None where it is missing or cannot be read."""
        read = self._listed(folder)
        return None if isinstance(read, DataError) else read

    def faults(self, folder: str, empty: bool = False) -> Iterator[Finding]:
        """What is wrong with a folder: missing, places without images, files that do not belong there.

        Args:
            folder: of the places.
            empty: whether places without images are normal.
        """
        places = self._listed(folder)
        if isinstance(places, DataError):
            yield Finding("missing", relative(self.root, places.where), places.what, places.mend or "")
            return
        if not places.images:
            yield Finding("missing", folder, "holds no folder of a place", REFETCH)
        for place, paths in places.images.items():
            if not paths and not empty:
                yield Finding("missing", f"{folder}/{place}", "holds no image", REFETCH)
        for path in places.extra:
            yield Finding("extra", relative(self.root, path), "is no image of a place", "delete it, or ignore this")

    def unpaired(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Finding]:
        """Places that a folder of queries has and its gallery lacks, each once; folders that cannot be read are passed over.

        Args:
            pairs: folders of queries and their galleries.
        """
        told: set[str] = set()
        for query, gallery in pairs:
            asked, answers = self.places(query), self.places(gallery)
            if asked is None or answers is None:
                continue
            for place, paths in asked.images.items():
                where = f"{gallery}/{place}"
                # A folder that is there but empty is one of the faults.
                if paths and place not in answers.images and where not in told:
                    told.add(where)
                    yield Finding("missing", where, f"is missing, though {query}/{place} is there", REFETCH)

    def counts(self, folder: str) -> tuple[int, int]:
        """Places with images, and images; zero where the folder cannot be read."""
        places = self.places(folder)
        return (0, 0) if places is None else (sum(1 for paths in places.images.values() if paths), places.count)

    def _listed(self, folder: str) -> Places | DataError:
        if folder not in self._read:
            try:
                self._read[folder] = read_places(self.root / folder)
            except DataError as error:
                self._read[folder] = error
        return self._read[folder]


def relative(root: Path, where: Any) -> str:  # noqa: ANN401 - an error's place may be any text
    """A path as findings name it: relative to the root, where it lies below."""
    path = Path(str(where))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(where)


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """Visible entries in natural order, and whether they are folders: the listing says so, no file is asked for itself."""
    try:
        with os.scandir(folder) as listed:
            visible = [(Path(entry.path), entry.is_dir()) for entry in listed if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise DataError("is missing", where=folder, mend=REFETCH) from error
    except OSError as error:
        what = f"cannot be read as a folder ({error.strerror})"
        raise DataError(what, where=folder, mend="check the folder and its permissions") from error
    return sorted(visible, key=lambda entry: (natural_key(entry[0].name), entry[0].name))
