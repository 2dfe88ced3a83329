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
from crossfix.evaluate.describe import describe_views
from crossfix.evaluate.measurable import Measurable

PUBLISHED_WEATHER = 3.0
GROUPS: dict[str, tuple[tuple[str, tuple[float, ...]], ...]] = {
    "weather": tuple((f"weather-{name}", (PUBLISHED_WEATHER,)) for name in CONDITIONS),
    "corruptions": tuple((name, dial.levels) for name, dial in DIALS.items() if name.startswith("corruption-")),
    "occlusion": tuple((name, DIALS[name].levels) for name in ("rectangles", "blob")),
}
"""Words for several dials: the multi-weather protocol's ten conditions at their published strength, all corruptions, all occlusions."""

FIELDS_OF_VIEW = frozenset({"fov", "fov_aligned", "perspective"})
"""Dials whose level is how many degrees of the horizon a picture still shows: models of panoramas are told."""

Score = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """A dial at a level, on one half of a task."""

    dial: str
    level: float
    side: Side


def settings(words: Sequence[str], task: Task) -> list[Setting]:
    """What a sweep over some dials or groups of dials consists of.

    A dial turns the queries where it is for their kind of view, otherwise the gallery.

    Args:
        words: names of dials, each with all its levels, or keys of ``GROUPS``.
        task: what is to be stressed.

    Raises:
        InputError: for an unknown word, or a dial that is for neither half of the task.
    """
    found: list[Setting] = []
    for word in words:
        if word not in GROUPS and word not in DIALS:
            raise InputError("there is no such stress", where=word, mend=f"choose from {', '.join((*GROUPS, *DIALS))}")
        for name, levels in GROUPS.get(word) or ((word, DIALS[word].levels),):
            side = _side(DIALS[name], task)
            found += [Setting(name, level, side) for level in levels]
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
        score: from descriptors of both halves to JSON values.
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
            image_id = view.path.relative_to(root).as_posix()
            return stress(picture, to.dial, to.level, image_id=image_id, seed=seed)

        if setting.side == "query":
            describe = partial(model.describe_query, fov_deg=setting.level) if setting.dial in FIELDS_OF_VIEW else model.describe_query
            found = score(describe_views(views, describe, told, change), gallery_GD)
        else:
            found = score(query_QRD, describe_views(views, model.describe, told, change))
        rows.append({"dial": setting.dial, "level": setting.level, "side": setting.side, **found})
        done += len(views)
    return rows


def _side(dial: Dial, task: Task) -> Side:
    halves: tuple[tuple[Side, Sequence[View]], ...] = (("query", task.query), ("gallery", task.gallery))
    for side, views in halves:
        if side in dial.applies_to and views[0].kind in dial.kinds:
            return side
    kinds = ", ".join(sorted(dial.kinds))
    raise InputError(f"is for {kinds} views, of which this task has none it could change", where=dial.name, mend="leave it out")
