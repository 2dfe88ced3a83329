"""Images from disk to descriptors, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from crossfix.data.view import View
from crossfix.evaluate.measurable import Describe

_BATCH = 64


def describe_views(
    views: Sequence[View],
    describe: Describe,
    progress: Callable[[int, int], None] | None = None,
    change: Callable[[View, npt.NDArray[np.uint8]], npt.NDArray[np.uint8]] | None = None,
) -> npt.NDArray[np.float32]:
    """Describe images from disk, 64 at a time.

    Args:
        views: the images; at least one.
        describe: pictures to descriptors.
        progress: told the images done and all of them.
        change: made of each picture before it is described.

    Raises:
        DataError: where an image cannot be read.
    """
    parts = []
    for begin in range(0, len(views), _BATCH):
        batch = views[begin : begin + _BATCH]
        parts.append(describe([view.read() if change is None else change(view, view.read()) for view in batch]))
        if progress is not None:
            progress(begin + len(batch), len(views))
    return np.concatenate(parts)
