"""How a model's scores fall when its pictures get worse: one dial at a time, level by level, everything else as it is.

Axes: Q queries, R descriptors a query, G gallery images, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Task
from crossfix.data.stress.dials import DIALS, Dial, Side, stress
from crossfix.data.stress.weather import CONDITIONS
from crossfix.data.view import View
from crossfix.errors import InputError
from crossfix.evaluate.describe import describe_views, prepare_of
from crossfix.evaluate.measurable import Measurable
from crossfix.models.overhead import PANORAMA_SHAPE

PUBLISHED_WEATHER = 3.0
_PANORAMIC = frozenset({"heading", "fov", "fov_aligned", "perspective"})
_FIRST: tuple[Side, ...] = ("query", "gallery")
FIELDS_OF_VIEW = frozenset({"fov", "fov_aligned", "perspective"})
"""Dials whose level is how many degrees of the horizon a picture still shows: models of panoramas are told."""


@dataclass(frozen=True)
class Setting:
    """A dial at a level, on one half of a task."""

    dial: str
    level: float
    side: Side

    @property
    def key(self) -> str:
        """One word that tells it from all others."""
        return f"{self.dial}={self.level:g}@{self.side}"


@dataclass(frozen=True)
class Member:
    """A dial as a group has it.

    Attributes:
        dial: its name.
        levels: those of its levels that the group turns it to.
        both: each half that it is for, one after the other; otherwise the queries where it is for them, else the gallery.
    """

    dial: str
    levels: tuple[float, ...]
    both: bool = False


def _whole(*names: str, both: bool = False) -> tuple[Member, ...]:
    return tuple(Member(name, DIALS[name].levels, both) for name in names)


GROUPS: dict[str, tuple[Member, ...]] = {
    "weather": tuple(Member(f"weather-{name}", (PUBLISHED_WEATHER,)) for name in CONDITIONS),
    "heading": _whole("heading", "turn"),
    "fov": _whole("fov", "perspective"),
    "shift": _whole("shift"),
    "scale": _whole("scale"),
    "occlusion": _whole("rectangles", "blob", both=True),
    "corruptions": _whole(*(name for name in DIALS if name.startswith("corruption-"))),
}
"""Words for several dials. Where one is a dial's name too, the group goes first.

``weather``: the multi-weather protocol's ten conditions at their published strength. ``heading``: panoramas, and pictures that look down,
with their heading off by up to 15 to 180 degrees. ``fov``: panoramas at any heading, cut to 360, 180, 90, 70 degrees, and what a phone
would take of them. ``shift``: chips off-centre by 10 to 50 % of their side. ``scale``: chips of half to twice their side. ``occlusion``: a
part of either half hidden. ``corruptions``: all of them, at all levels.
"""

Score = Callable[[Setting, npt.NDArray[np.float32], npt.NDArray[np.float32]], dict[str, Any]]


def settings(words: Sequence[str], task: Task) -> list[Setting]:
    """What a sweep over some dials or groups of dials consists of.

    A dial turns the queries where it is for their kind of view, otherwise the gallery. Of a group's dials those that are for neither half
    are passed over, as long as one is left, and those that are for the gallery alone where another turns the queries: one heading error is
    enough.

    Args:
        words: keys of ``GROUPS``, or names of dials, each with all its levels.
        task: what is to be stressed.

    Raises:
        InputError: for an unknown word, a dial that is for neither half of the task, or one for panoramas where the pictures are none.
        DataError: where the first picture of a half cannot be read, which such a dial is told by.
    """
    found: list[Setting] = []
    for word in words:
        if word not in GROUPS and word not in DIALS:
            raise InputError("there is no such stress", where=word, mend=f"choose from {', '.join(dict.fromkeys((*GROUPS, *DIALS)))}")
        usable = [(member, _sides(DIALS[member.dial], task)) for member in GROUPS.get(word, _whole(word) if word in DIALS else ())]
        if not any(sides for _, sides in usable):
            kinds = ", ".join(sorted({kind for member, _ in usable for kind in DIALS[member.dial].kinds}))
            raise InputError(f"is for {kinds} views, of which this task has none it could change", where=word, mend="leave it out")
        reaches_queries = any("query" in sides for _, sides in usable)
        for member, sides in usable:
            if reaches_queries and "query" not in sides:
                continue
            for side in sides if member.both else sides[:1]:
                if member.dial in _PANORAMIC:
                    _need_panoramas(word, task.query if side == "query" else task.gallery)
                found += [Setting(member.dial, level, side) for level in member.levels]
    return list(dict.fromkeys(found))


def sweep(
    model: Measurable,
    task: Task,
    root: Path,
    wanted: Sequence[Setting],
    query_QRD: npt.NDArray[np.float32],
    gallery_GD: npt.NDArray[np.float32],
    score: Score,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Describe and score a task's images under each setting.

    Args:
        model: what describes the images.
        task: the task.
        root: of the data set; images are known to the dials by their paths from here.
        wanted: the settings.
        query_QRD: descriptors of the queries as they are.
        gallery_GD: of the gallery as it is.
        score: from the setting and the descriptors of both halves to JSON values.
        seed: of the dials.
        progress: told the images described and all of them.

    Returns:
        For each setting ``dial``, ``level``, ``side`` and what ``score`` says.
    """
    total = sum(len(task.query if setting.side == "query" else task.gallery) for setting in wanted)
    done, rows = 0, []
    for setting in wanted:
        views = task.query if setting.side == "query" else task.gallery

        def told(now: int, _: int, before: int = done) -> None:
            if progress is not None:
                progress(before + now, total)

        def change(view: View, picture: npt.NDArray[np.uint8], to: Setting = setting) -> npt.NDArray[np.uint8]:
            return stressed(picture, view, root, to, seed)

        if setting.side == "query":
            describe = partial(model.describe_query, fov_deg=setting.level) if setting.dial in FIELDS_OF_VIEW else model.describe_query
            found = score(setting, describe_views(views, describe, told, change, prepare=prepare_of(model)), gallery_GD)
        else:
            found = score(setting, query_QRD, describe_views(views, model.describe, told, change, prepare=prepare_of(model)))
        rows.append({"dial": setting.dial, "level": setting.level, "side": setting.side, **found})
        done += len(views)
    return rows


def stressed(picture_HWC: npt.NDArray[np.uint8], view: View, root: Path, setting: Setting, seed: int) -> npt.NDArray[np.uint8]:
    """A view's picture under a setting, as ``sweep`` shows it to the model.

    Args:
        picture_HWC: as the view reads it.
        view: the view.
        root: of the data set.
        setting: dial and level.
        seed: of the dials.
    """
    return stress(picture_HWC, setting.dial, setting.level, image_id=image_id(view, root), seed=seed)


def image_id(view: View, root: Path) -> str:
    """How an image is known, whatever machine it lies on: its path from the data set's root."""
    return view.path.relative_to(root).as_posix() if view.path.is_relative_to(root) else view.path.as_posix()


def _sides(dial: Dial, task: Task) -> tuple[Side, ...]:
    views = {"query": task.query, "gallery": task.gallery}
    return tuple(side for side in _FIRST if side in dial.applies_to and views[side][0].kind in dial.kinds)


def _need_panoramas(word: str, views: Sequence[View]) -> None:
    height, width = views[0].read().shape[:2]
    if width < PANORAMA_SHAPE * height:
        what = f"is for panoramas, and {views[0].path.name} with {width} x {height} px is none"
        raise InputError(what, where=word, mend="leave it out")
