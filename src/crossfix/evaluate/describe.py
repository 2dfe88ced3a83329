"""Images from disk to descriptors, in batches; all cores decode the next batch while the network runs on this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Task
from crossfix.data.view import View
from crossfix.evaluate.measurable import Describe, Measurable
from crossfix.models.describe import Kind

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
Prepare = Callable[[Picture, Kind], Picture]
Change = Callable[[View, Picture], Picture]
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

    prepare = prepare_of(model)
    gallery_GD = describe_views(task.gallery, model.describe, told(0), prepare=prepare)
    return describe_views(task.query, model.describe_query, told(first), prepare=prepare), gallery_GD


def prepare_of(model: Measurable) -> Prepare | None:
    """What a model does to each picture first, by itself, such as shrinking it to its input; None where it does not say."""
    prepare: Prepare | None = getattr(model, "prepare", None)
    return prepare


def describe_views(
    views: Sequence[View],
    describe: Describe,
    progress: Callable[[int, int], None] | None = None,
    change: Change | None = None,
    *,
    prepare: Prepare | None = None,
) -> Floats:
    """Describe images from disk, 64 at a time, each as its kind of view is described.

    Args:
        views: the images; at least one.
        describe: pictures to descriptors.
        progress: told the images done and all of them.
        change: made of each picture before it is described; called from several threads.
        prepare: what ``describe`` does to a picture first; done beforehand, it runs on all cores and keeps small pictures in memory.

    Returns:
        What ``describe`` gives, row by row: (N, D) or (N, R, D).

    Raises:
        DataError: where an image cannot be read.
    """
    parts: list[Floats] = []
    done = 0
    for batch in read_ahead(views, change, prepare):
        parts.append(_by_kind(views[done : done + len(batch)], batch, describe))
        done += len(batch)
        if progress is not None:
            progress(done, len(views))
    return np.concatenate(parts)


def read_ahead(views: Sequence[View], change: Change | None = None, prepare: Prepare | None = None) -> Iterator[list[Picture]]:
    """Decode images in their order, a batch ahead of the caller, on all cores: decoders do not hold the interpreter's lock.

    Args:
        views: the images.
        change: made of each picture as it is on disk.
        prepare: made of what it has become, told the kind of view.

    Yields:
        64 pictures, (H, W, 3) uint8 RGB, in the end perhaps fewer.

    Raises:
        DataError: of the first image in the order of the views that cannot be read, when its batch is asked for.
    """

    def read(view: View) -> Picture:
        picture = view.read() if change is None else change(view, view.read())
        return picture if prepare is None else prepare(picture, view.kind or "query")

    def start(begin: int) -> list[Future[Picture]]:
        return [pool.submit(read, view) for view in views[begin : begin + _BATCH]]

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        coming = start(0)
        for begin in range(0, len(views), _BATCH):
            now, coming = coming, start(begin + _BATCH)
            yield [future.result() for future in now]
    finally:
        pool.shutdown(cancel_futures=True)


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
