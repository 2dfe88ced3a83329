"""Where tables are printed: no figure is cut off, however narrow the terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 200


def show(*tables: Table) -> None:
    """Print tables on standard output.

    A terminal gets them at its own width, a file or a pipe, which has none, wide; where that is too little, cells are wrapped.
    """
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PLAIN_WIDTH)
    for table in tables:
        for column in table.columns:
            if not column.no_wrap:
                column.overflow = "fold"
        console.print(table)
