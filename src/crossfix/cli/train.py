"""`crossfix train`: train a model by a recipe."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from crossfix.cli.progress import Report, bar

app = typer.Typer(help="Train a model by a recipe; goes on where it was killed.")


@contextmanager
def _stages() -> Iterator[Callable[[str], Report]]:
    """Bars that follow each other: one opens when its work first reports, and closes the one before. Two at a time would not draw."""
    with ExitStack() as current:
        opened: dict[str, Report] = {}

        def stage(title: str) -> Report:
            def report(done: int, total: int) -> None:
                if title not in opened:
                    current.close()
                    opened[title] = current.enter_context(bar(title))
                opened[title](done, total)

            return report

        yield stage


@app.command(epilog="Example: crossfix train gengeo-tiny -o runs/tiny")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of the recipe, such as gengeo-tiny.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RUN", help="Run folder; a killed run in it goes on.")],
    steps: Annotated[int | None, typer.Option(help="Optimiser steps instead of the recipe's; the schedule is laid over them.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, batches and augmentation instead of the recipe's.")] = None,
    bank: Annotated[Path | None, typer.Option(help="Folder of a finished bank of pairs; otherwise RUN/bank is rendered.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON only.")] = False,
) -> None:
    """Train a model by a recipe; the same command goes on where a killed run stands."""
    # torch takes seconds to import: --help must not wait for it
    from crossfix.train.loop import train as run_training
    from crossfix.train.recipes import recipe as recipe_named
    from crossfix.worlds.pairs import PairBank

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision through the bars
    config = recipe_named(recipe)
    if steps is not None:
        config = dataclasses.replace(config, steps=steps)
    if seed is not None:
        config = dataclasses.replace(config, seed=seed)
    given = None if bank is None else PairBank.open(bank)
    with _stages() as stage:
        result = run_training(config, out, stage("Training"), bank=given, bank_progress=stage("Rendering worlds"))
    if as_json:
        typer.echo(json.dumps(result.results, indent=2))
        return
    best = result.results["validation"]
    typer.echo(
        f"{out}: {result.results['steps']} steps in {result.results['seconds']:.0f} s; best at step {best['step']}: "
        f"R@1 {100 * best['r1']:.1f} %, R@5 {100 * best['r5']:.1f} % of {best['queries']} held-out photos among {best['places']} places"
    )
    typer.echo(f"Use it with --model {out}, or write it out with: crossfix model export {out} -o FOLDER")
