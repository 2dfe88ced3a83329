"""Where the clouds of a data set lie, beside its pictures.

GeoLink's own folders: ``train/drone_3D/{place}_group{0,1,2}/points3D.txt`` in University-1652, ``Training/300/drone300_colmap_output`` in
SUES-200, ``train/denseUAV_colmap_output`` in DenseUAV. Other sets, and copies of another shape, get ``clouds/SPLIT``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfix.clouds.files import POINTS_BINARY, POINTS_TEXT
from crossfix.errors import DataError

GROUPS = 3
_PUBLISHED = {
    "university1652": "train/drone_3D",
    "sues200": "Training/{height}/drone{height}_colmap_output",
    "denseuav": "train/denseUAV_colmap_output",
}
_DEFAULT_SPLIT = {"sues200": "train-300"}
_NAME = re.compile(r"(?P<place>.+)_group(?P<group>\d+)")


def training_split(data: str, splits: Sequence[str]) -> str:
    """The split whose places get clouds if none is named: of SUES-200 the one at 300 m, as published.

    Args:
        data: name of the data set.
        splits: that it has.
    """
    return _DEFAULT_SPLIT.get(data, "train" if "train" in splits else splits[0])


def cloud_folder(root: Path, data: str, split: str) -> Path:
    """The folder of a split's clouds.

    Args:
        root: of the data set.
        data: its name.
        split: such as "train" or "train-300".
    """
    half, _, height = split.partition("-")
    published = root / _PUBLISHED.get(data, "-").format(height=height or 0)
    # A folder Training would turn SUES-200 as downloaded into a broken copy of the split form.
    return published if data in _PUBLISHED and half == "train" and published.parent.is_dir() else root / "clouds" / split


def group_folder(folder: Path, place: str, group: int) -> Path:
    """The folder of one cloud.

    Args:
        folder: of all clouds.
        place: as the data set names it.
        group: number of the group of views, from 0.
    """
    return folder / f"{place}_group{group}"


def view_key(view: Path) -> str:
    """How a cloud's note calls a view: with its folder, since pictures of one place may have one name in several."""
    return f"{view.parent.name}/{view.name}"


@dataclass(frozen=True)
class Clouds:
    """The clouds of some places.

    Attributes:
        files: the clouds of each place that has any, by the number of their group.
        missing: places without one, in the order asked for.
    """

    files: dict[str, tuple[Path, ...]]
    missing: tuple[str, ...]


def find_clouds(folder: Path, places: Iterable[str] | None = None) -> Clouds:
    """Look for clouds in a folder, published or our own; no file is read.

    Args:
        folder: of all clouds; see :func:`cloud_folder`.
        places: whose clouds are wanted; of all places there if none are given.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError("there is no folder of clouds", where=folder, mend="build them with: crossfix clouds build")
    found: dict[str, dict[int, Path]] = {}
    for path in folder.iterdir():
        name = _NAME.fullmatch(path.name)
        file = next((path / points for points in (POINTS_TEXT, POINTS_BINARY) if (path / points).is_file()), None)
        if name and file:
            found.setdefault(name["place"], {})[int(name["group"])] = file
    wanted = sorted(found) if places is None else list(dict.fromkeys(places))
    files = {place: tuple(found[place][group] for group in sorted(found[place])) for place in wanted if place in found}
    return Clouds(files, tuple(place for place in wanted if place not in found))


def view_groups(views: Sequence[Path], groups: int, most: int | None = None) -> list[list[Path]]:
    """Divide a place's views into groups, each of which sees all of it.

    The published grouping is not known. Here group g takes every view whose number leaves the remainder g, so that of a flight
    around a place every group goes around it; of more than ``most`` it takes some at even distances. Where a group would have less than two
    views, as of DenseUAV's three photographs, each group is all of them but one.

    Args:
        views: in the order of the flight.
        groups: how many.
        most: views a group.
    """
    if len(views) < 2 * groups:
        count = len(views)
        parts = [[view for number, view in enumerate(views) if count < 3 or number != group % count] for group in range(groups)]
    else:
        parts = [list(views[group::groups]) for group in range(groups)]
    if most is None:
        return parts
    return [[part[number * len(part) // most] for number in range(most)] if len(part) > most else part for part in parts]
