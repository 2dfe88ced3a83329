"""Progress bars on standard error, from the rooms' `Callable[[done, total], None]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Report = Callable[[int, int], None]


@contextmanager
def bar(title: str, *, quiet: bool = False) -> Iterator[Report]:
    """A progress bar for one piece of work.

    On a terminal the bar moves and stays when done. Elsewhere (a log, a pipe) nothing moves: one line tells at the end what was done and
    how long it took.

    Args:
        title: what is being done, such as "Indexing the map".
        quiet: show nothing at all.

    Yields:
        A callback to be given the number of steps done and the number in all, as every room takes it.
    """
    if quiet:
        yield lambda done, total: None
        return
    console = Console(stderr=True, file=sys.stderr)
    if not console.is_terminal:
        yield from _line(title)
        return
    columns = (
        TextColumn("[bold]{task.description:<26}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Callable[[str], Report]]:
    """Bars that follow each other: one opens when its work first reports, and closes the one before. Two at a time would not draw."""
    with ExitStack() as current:
        opened: dict[str, Report] = {}

        def stage(title: str) -> Report:
            def report(done: int, total: int) -> None:
                if title not in opened:
                    current.close()
                    opened[title] = current.enter_context(bar(title, quiet=quiet))
                opened[title](done, total)

            return report

        yield stage


def _line(title: str) -> Iterator[Report]:
    state = [0, 0]

    def report(done: int, total: int) -> None:
        state[:] = [done, total]

    start = time.monotonic()
    yield report
    sys.stderr.write(f"{title}: {state[0]} of {state[1]} in {time.monotonic() - start:.1f} s\n")
