"""Worker processes that are not left behind: they end when the process that started them is gone, however it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

from crossfix.errors import RunError


@contextmanager
def worker_processes(count: int, first: Callable[..., object] | None = None, *args: object) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes (spawned, not forked) to hand work to; leaving waits for them.

    Without this a worker whose parent is killed waits for more work forever, and keeps its memory.

    Args:
        count: of processes.
        first: called in each before any work.
        args: for it.

    Yields:
        The executor.

    Raises:
        RunError: where a worker was killed.
    """
    try:
        with ProcessPoolExecutor(count, get_context("spawn"), _begin, (first, args)) as pool:
            yield pool
    except BrokenProcessPool as error:
        mend = "probably memory ran out: run the same command again, it goes on; on a smaller machine one process at a time"
        raise RunError("was killed", where="a worker process", mend=mend) from error


def _begin(first: Callable[..., object] | None, args: tuple[object, ...]) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    if first is not None:
        first(*args)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)  # nobody is left to tell; files are whole or not there
