"""Images from disk to descriptors, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Task
from crossfix.data.view import View
from crossfix.evaluate.measurable import Describe, Measurable

Floats = npt.NDArray[np.float32]
_BATCH = 64


def describe_task(
    model: Measurable, task: Task, progress: Callable[[int, int], None] | None = None, *, total: int | None = None
) -> tuple[Floats, Floats]:
    """Describe both halves of a task, the gallery first.

    Args:
        model: what describes the images.
        task: the task.
        progress: told the images done and all of them.
        total: what to tell as all of them, where more are to follow.

    Returns:
        Queries (Q, R, D) and gallery (G, D).

    Raises:
        DataError: where an image cannot be read.
    """
    first, every = len(task.gallery), total or len(task.gallery) + len(task.query)

    def told(before: int) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, _: progress(before + done, every)

    gallery_GD = describe_views(task.gallery, model.describe, told(0))
    return describe_views(task.query, model.describe_query, told(first)), gallery_GD


def describe_views(
    views: Sequence[View],
    describe: Describe,
    progress: Callable[[int, int], None] | None = None,
    change: Callable[[View, npt.NDArray[np.uint8]], npt.NDArray[np.uint8]] | None = None,
) -> Floats:
    """Describe images from disk, 64 at a time, each as its kind of view is described.

    Args:
        views: the images; at least one.
        describe: pictures to descriptors.
        progress: told the images done and all of them.
        change: made of each picture before it is described.

    Returns:
        What ``describe`` gives, row by row: (N, D) or (N, R, D).

    Raises:
        DataError: where an image cannot be read.
    """
    parts = []
    for begin in range(0, len(views), _BATCH):
        batch = views[begin : begin + _BATCH]
        parts.append(_by_kind(batch, [view.read() if change is None else change(view, view.read()) for view in batch], describe))
        if progress is not None:
            progress(begin + len(batch), len(views))
    return np.concatenate(parts)


def _by_kind(views: Sequence[View], pictures: list[npt.NDArray[np.uint8]], describe: Describe) -> Floats:
    """Descriptors in the views' order, made kind by kind; of views of unknown kind as ``describe`` takes them by itself."""
    out: Floats | None = None
    for kind in dict.fromkeys(view.kind for view in views):
        rows = [row for row, view in enumerate(views) if view.kind == kind]
        some = [pictures[row] for row in rows]
        found = describe(some) if kind is None else describe(some, kind=kind)
        if out is None:
            out = np.empty((len(views), *found.shape[1:]), np.float32)
        out[rows] = found
    assert out is not None
    return out
