"""What every benchmark gives: its retrieval tasks, and what is wrong with the copy on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from crossfix.data.view import View
from crossfix.errors import DataError

Direction = Literal["d2s", "s2d", "g2s", "s2g", "any"]
DIRECTIONS: dict[Direction, str] = {
    "d2s": "drone to satellite",
    "s2d": "satellite to drone",
    "g2s": "ground to satellite",
    "s2g": "satellite to ground",
    "any": "queries to gallery, whatever they show",
}
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Which images are searched with, which among, and which of these are right.

    A training split is a task too: its positives are the pairs to learn from.

    Attributes:
        dataset: name of the data set.
        split: of it.
        direction: from which kind of view to which.
        query: the queries.
        gallery: the images searched, distractors included.
        positives: for each query the ascending rows of the gallery that are right; may be empty for a query.
        semi_positives: for each query the rows that are neither right nor wrong, where the set has such.
        protocol: name of the published protocol that scores it, as ``crossfix score`` knows it; None where there is none.
    """

    dataset: str
    split: str
    direction: Direction
    query: Sequence[View]
    gallery: Sequence[View]
    positives: Sequence[Rows]
    semi_positives: Sequence[Rows] | None
    protocol: str | None


@dataclass(frozen=True)
class Finding:
    """Something wrong with a copy of a data set.

    Attributes:
        kind: "missing" (a file or folder that should be there), "count" (other than the official number), "split" (a split file with names
            that do not exist, or that cannot be read), "unreadable" (an image that cannot be decoded), "duplicate" (two images of different
            places with the same bytes), "extra" (a file that does not belong there).
        where: the file or folder, relative to the root.
        what: one sentence.
        mend: what to do, possibly empty.
    """

    kind: Literal["missing", "count", "split", "unreadable", "duplicate", "extra"]
    where: str
    what: str
    mend: str = ""


@dataclass(frozen=True)
class Count:
    """A number that the data set's authors publish, beside what is there.

    Attributes:
        what: what is counted.
        official: as published.
        found: on disk.
    """

    what: str
    official: int
    found: int


class Dataset(Protocol):
    """A benchmark on disk. The class docstring is its data card; see `registry`.

    Opening one reads nothing; ``task`` reads split files and lists folders, and no pixels.
    """

    name: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    directions: ClassVar[tuple[Direction, ...]]
    root: Path

    def __init__(self, root: Path) -> None: ...

    def task(self, split: str, direction: Direction) -> Task:
        """A split as a retrieval task.

        Raises:
            InputError: for a split or direction the set does not have.
            DataError: where files that it needs are missing or damaged.
        """
        ...

    def inspect(self) -> Iterator[Finding | Count]:
        """What is wrong with the layout and the split files, all of it, and the official counts; reads no pixels."""
        ...

    def images(self) -> list[View]:
        """Every image of the copy, each once, in a fixed order: what ``data check`` decodes."""
        ...


def same_place(query: Sequence[View], gallery: Sequence[View]) -> list[Rows]:
    """The positives of tasks where the same place's images are right: for each query the ascending rows of its place."""
    rows: dict[str, list[int]] = {}
    for row, view in enumerate(gallery):
        rows.setdefault(view.place, []).append(row)
    found = {place: np.asarray(numbers, np.int64) for place, numbers in rows.items()}
    none = np.empty(0, np.int64)
    return [found.get(view.place, none) for view in query]


def need(path: Path, mend: str) -> Path:
    """The path, if it exists.

    Raises:
        DataError: where it does not.
    """
    if not path.exists():
        raise DataError("is missing", where=path, mend=mend)
    return path
