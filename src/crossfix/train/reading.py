"""Reading pictures of a data set: decoded and resized in threads, kept in memory where they fit, whole batches ahead of the network.

What is read does not depend on threads, memory or how far ahead. Axes: B pictures, H W pixels, C = 3 RGB channels.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import cv2
import numpy as np

from crossfix.data.view import View
from crossfix.models.card import GroundFit
from crossfix.models.describe import fit
from crossfix.train.source import Bytes

_T = TypeVar("_T")
_JPEG = frozenset({".jpg", ".jpeg"})
_JPEG_END = b"\xff\xd9"


def read_picture(view: View) -> Bytes:
    """A view's picture, upright RGB. Whole JPEGs go the short way through OpenCV, everything else the careful one.

    Raises:
        DataError: where it cannot be read.
    """
    if view.path.suffix.lower() in _JPEG:
        try:
            content = view.path.read_bytes()
        except OSError:
            return view.read()
        if _JPEG_END in content[-64:]:  # a file that broke off decodes to a picture that is grey or worse
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if picture is not None:
                return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    return view.read()


class Reader:
    """Reads pictures at given sizes.

    Args:
        workers: threads that decode; as many as there are cores if none is given.
        memory_gb: pictures are kept as they are used, until they take so much memory; 0 keeps none.
    """

    def __init__(self, workers: int | None = None, memory_gb: float = 0.0) -> None:
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="decode")
        self._room = int(memory_gb * 1e9)
        self._kept: dict[tuple[str, tuple[int, int], str], Bytes] = {}
        self._lock = threading.Lock()

    @property
    def kept_bytes(self) -> int:
        """Memory that kept pictures take."""
        return sum(picture.nbytes for picture in self._kept.values())

    def read(self, views: Sequence[View], hw: tuple[int, int], how: GroundFit = "whole") -> Bytes:
        """Some pictures, resized.

        Args:
            views: which.
            hw: height and width.
            how: "whole" or "middle", see `Preprocessing.ground_fit`.

        Returns:
            (B, H, W, 3) uint8.

        Raises:
            DataError: where one cannot be read.
        """
        out_BHWC = np.empty((len(views), *hw, 3), np.uint8)

        def one(row: int) -> None:
            key = (os.fspath(views[row].path), hw, how)
            picture = self._kept.get(key)
            if picture is None:
                picture = fit(read_picture(views[row]), hw, how)
                self._keep(key, picture)
            out_BHWC[row] = picture

        for done in [self._pool.submit(one, row) for row in range(len(views))]:
            done.result()
        return out_BHWC

    def _keep(self, key: tuple[str, tuple[int, int], str], picture: Bytes) -> None:
        with self._lock:
            if key not in self._kept and picture.nbytes <= self._room:
                self._kept[key] = np.ascontiguousarray(picture)
                self._room -= picture.nbytes


class Ahead(Generic[_T]):
    """Gives what is made of one number after the other, made by threads before it is asked for.

    Args:
        make: called with a number, at once; what it returns is called in a thread.
        depth: numbers made ahead; 0 makes each when it is asked for.
    """

    def __init__(self, make: Callable[[int], Callable[[], _T]], depth: int) -> None:
        self._make, self._depth = make, depth
        self._pool = ThreadPoolExecutor(max(1, depth), thread_name_prefix="ahead")
        self._coming: dict[int, Future[_T]] = {}

    def get(self, number: int, limit: int) -> _T:
        """What was made of a number.

        Args:
            number: which.
            limit: nothing is made ahead of this number and those after it.

        Raises:
            Exception: whatever making it raised.
        """
        if self._depth == 0:
            return self._make(number)()
        for late in [other for other in self._coming if other < number]:
            self._coming.pop(late).cancel()
        for ahead in range(number, max(number + 1, min(number + 1 + self._depth, limit))):
            if ahead not in self._coming:
                self._coming[ahead] = self._pool.submit(self._make(ahead))
        return self._coming.pop(number).result()

    def close(self) -> None:
        """Stop; what was made ahead is thrown away."""
        self._pool.shutdown(wait=False, cancel_futures=True)
