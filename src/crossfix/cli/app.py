"""Joins the verbs into one command, and turns errors into one sentence and an exit code.

A verb's module is imported when the verb is called, not before: `crossfix --help` must answer at once, and torch takes seconds to import.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from crossfix import __version__
from crossfix.errors import CrossfixError

#: Verb -> what it does. Each verb `x` is the typer application `app` of `crossfix.cli.x`.
VERBS = {
    "map": "Make overhead imagery searchable: build an index, show what is in one.",
    "locate": "Tell where photos were taken, by an indexed map.",
    "model": "List, describe and export models, import those of other projects.",
    "train": "Train a model by a recipe; goes on where it was killed.",
    "evaluate": "Measure a model on a benchmark or a folder, under stress if asked; compare results query by query.",
    "matrix": "Test models trained on each of several data sets on all of them.",
    "lab": "Make and run worlds-v1, the laboratory of generalisation.",
    "score": "Score descriptors by a published protocol, and strictly beside it.",
    "data": "List benchmarks, show their cards, check a copy on disk, cut chips.",
    "explain": "Draw what a model sees in common in a photo and a chip, and what it leaves out.",
    "world": "Render maps and photos of procedural places, with exact truth.",
    "clouds": "Build, check and draw point clouds of the places of a data set.",
    "demo": "Show the whole way once: a map, an index, photos of another season, fixes, a report.",
}

_SPINS = ("GOMP_SPINCOUNT", "10000")
INTERRUPTED = 130
BROKEN_PIPE = 141


class _Verbs(TyperGroup):
    """Lists the verbs from the table and imports only the one that is called."""

    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401 - typer passes whatever its group takes
        attrs["commands"] = {name: TyperCommand(name, help=about) for name, about in VERBS.items()}
        super().__init__(**attrs)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:  # noqa: ANN401 - typer's own copy of click is private
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name in VERBS else command, rest


def load_verb(name: str) -> Any:  # noqa: ANN401 - see above
    """The command or group behind a verb.

    Args:
        name: a key of :data:`VERBS`.
    """
    command = typer.main.get_command(importlib.import_module(f"crossfix.cli.{name}").app)
    command.name = name
    return command


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossfix {__version__}")
        raise typer.Exit


app = typer.Typer(cls=_Verbs, no_args_is_help=True, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(epilog="Start with: crossfix demo -o demo")
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True)] = False,
) -> None:
    """Tell where a photo was taken by matching it with overhead imagery."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        args: the words after `crossfix`; those of the process by default.

    Returns:
        0 when all went well, 1 when some of many inputs failed, 2 for what the user must mend, 130 when interrupted.
    """
    _wait_politely()
    try:
        typer.main.get_command(app).main(args=None if args is None else list(args), prog_name="crossfix")
        sys.stdout.flush()
    except SystemExit as leave:
        return _flush(leave.code)
    except CrossfixError as error:
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _muted()
    return 0


def _wait_politely() -> None:
    """Let threads that wait for each other sleep soon, unless the user has said how they should wait.

    GNU OpenMP's count, 300,000, costs nothing on an idle machine and a factor of seven and more on one where other processes want the
    cores, too; this one is as fast on the first (`benchmarks/busy_machine.py`). Torch reads it when it is imported, not yet.
    """
    if not {_SPINS[0], "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ[_SPINS[0]] = _SPINS[1]


def complain(error: CrossfixError) -> None:
    """Say on standard error, in one red sentence, what went wrong.

    Args:
        error: what happened.
    """
    Console(stderr=True, file=sys.stderr, soft_wrap=True, highlight=False).print(Text(f"crossfix: {error}", style="red"))


def _flush(code: str | int | None) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _muted()
    return code if isinstance(code, int) else 0


def _muted() -> int:
    # The reader has gone (`crossfix ... | head`): Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
